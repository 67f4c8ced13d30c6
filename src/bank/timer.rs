//! The timers' names.

use crate::bank::ids::WaitId;

/// A timer's name; the shell turns it into a jittered deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Time to tell the others that this server is there.
    Heartbeat,
    /// A proposer with a majority of promises has waited long enough for the others.
    Gather {
        /// True for a very short time, since the promises cover all that waits.
        covered: bool,
    },
    /// Clients that were answered, and that ask again at once, have had the time to do so.
    Comeback,
    /// Time to repeat the run's prepare or accept to servers that haven't answered.
    Repeat,
    /// A proposer that lost, or that lets others go first, may try again. The time grows with each attempt.
    BackOff {
        /// The number of attempts in a row that did not get through.
        attempt: u32,
    },
    /// A block was accepted here a while ago and no commit was heard of.
    FinishRound,
    /// A step of reconciling has taken too long.
    Reconcile,
    /// A waiting transfer, or a client that waits for a settlement, has waited long enough.
    Deadline(WaitId),
    /// A transfer that waits for money has waited as long as it was allowed to.
    Patience {
        /// The transfer.
        wait: WaitId,
        /// The time that it was allowed, in milliseconds.
        ms: u64,
    },
    /// Runs may begin again that look for unknown payees.
    LookUp,
    /// Runs may begin again after a row of runs that brought nothing.
    Rest,
    /// The oldest entry of the local log has been there long enough: settle.
    Settle,
}
