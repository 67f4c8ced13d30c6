//! Timers by name.

use crate::bank::ids::WaitId;

/// Timers by name; the shell turns a name into a jittered deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Time to tell the others that this server is there.
    Heartbeat,
    /// A proposer with a majority of promises has waited long enough for the others: a short time,
    /// or, if what was promised covers all that waits, a very short one.
    Gather {
        /// What was promised covers all that waits.
        covered: bool,
    },
    /// Time to repeat the run's prepare or accept to those who haven't answered.
    Repeat,
    /// A proposer that lost, or that lets others go first, may try again. Longer with each attempt.
    BackOff {
        /// Counts the attempts in a row that did not get through.
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
        /// How long that is, in milliseconds.
        ms: u64,
    },
    /// Payees that nobody knows may be asked for again.
    LookUp,
    /// Runs that by the look of the last ones bring nothing but refusals may begin again.
    Rest,
    /// The oldest entry of the local log has been there long enough: settle.
    Settle,
}
