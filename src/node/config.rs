//! What a node is told when it starts: who it is, where the others are, and how patient to be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::bank::amount::Amount;
use crate::bank::blockchain::bank_name::BankName;
use crate::bank::effects::Timer;
use crate::bank::ids::ServerId;
use crate::bank::limits::Limits;
use crate::bank::paxos::message::Configuration;
use crate::bank::server::Config;
use crate::bank::server::settling::Habit;

/// Everything that a node has to know beside its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Which of the cluster's servers this is.
    pub id: ServerId,
    /// All servers, this one too, with the `HOST:PORT` at which the others find each.
    pub cluster: BTreeMap<ServerId, String>,
    /// The `HOST:PORT` to listen on. Port 0 lets the system choose.
    pub listen: String,
    /// What every server's account holds at the founding.
    pub opening_balance: Amount,
    /// Its store was lost for good: it is to rejoin with the one that it is given.
    pub rejoin: bool,
    /// The only bank that it serves; none if it may found one.
    pub bank: Option<BankName>,
    /// The local log is settled when it holds so many entries, if at all.
    pub settle_at: Option<usize>,
    /// No transfer is answered before it is in a block. To compare with; a bank has no use for it.
    pub always_paxos: bool,
    /// Clients may break and mend this server's links.
    pub allow_fault_injection: bool,
    /// The file to which what happens is noted down, if any.
    pub trace: Option<PathBuf>,
    /// How patient to be.
    pub timings: Timings,
}

impl NodeConfig {
    /// The other servers, with their addresses.
    pub fn peers(&self) -> impl Iterator<Item = (&ServerId, &String)> {
        self.cluster.iter().filter(|(id, _)| **id != self.id)
    }

    /// What the state machine has to know of this.
    pub fn for_server(&self) -> Config {
        let servers = self.cluster.keys().cloned().collect();
        let configuration = Configuration { servers, opening_balance: self.opening_balance };
        let by_age = self.timings.settle_every.is_some();
        Config {
            id: self.id.clone(),
            configuration,
            addresses: self.cluster.clone(),
            rejoin: self.rejoin,
            bank: self.bank.clone(),
            habit: Habit { by_age, by_length: self.settle_at, always: self.always_paxos },
            limits: Limits::default(),
        }
    }
}

/// How long things take. Nothing but liveness and comfort depends on these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings {
    /// Between two heartbeats. Three missed ones make a peer count as not connected.
    pub heartbeat: Duration,
    /// How long a proposer with a majority of promises waits for the other connected servers.
    pub gather: Duration,
    /// The same where the promises at hand cover all that waits.
    pub gather_covered: Duration,
    /// After this, prepare or accept goes once more to those who haven't answered.
    pub repeat: Duration,
    /// The first back-off of a proposer that lost. It doubles with each attempt…
    pub back_off: Duration,
    /// …up to this.
    pub back_off_most: Duration,
    /// How long a server that accepted a block waits for the commit before it finishes the round.
    pub finish_round: Duration,
    /// How long a step of reconciling may take before another peer is asked.
    pub reconcile: Duration,
    /// How long a transfer waits for a majority before it is *unavailable*.
    pub deadline: Duration,
    /// Between two runs that are made only because a payee is unknown.
    pub look_up: Duration,
    /// Between runs that, by the look of the last ones, bring nothing but refusals.
    pub rest: Duration,
    /// The local log is settled when an entry has been in it for so long, if at all.
    pub settle_every: Option<Duration>,
    /// The first pause before a peer is dialled again, or a failed store loaded again. It doubles
    /// with each failure…
    pub redial: Duration,
    /// …up to this.
    pub redial_most: Duration,
    /// How long dialling may take, and then the peer's answer to the hello.
    pub handshake: Duration,
    /// How long a peer that dialled may say nothing, heartbeats included, before its connection is
    /// taken for dead (a machine without power doesn't say goodbye).
    pub silence: Duration,
    /// How long a client or peer may leave what is written to it unread before it is disconnected.
    pub unread: Duration,
    /// How long a client's line may take from its first byte to its end.
    pub line: Duration,
}

impl Default for Timings {
    fn default() -> Timings {
        Timings {
            heartbeat: Duration::from_millis(500),
            gather: Duration::from_millis(200),
            gather_covered: Duration::from_millis(10),
            repeat: Duration::from_millis(300),
            back_off: Duration::from_millis(20),
            back_off_most: Duration::from_secs(1),
            finish_round: Duration::from_secs(1),
            reconcile: Duration::from_secs(1),
            deadline: Duration::from_secs(5),
            look_up: Duration::from_millis(500),
            rest: Duration::from_millis(40),
            settle_every: None,
            redial: Duration::from_millis(50),
            redial_most: Duration::from_secs(1),
            handshake: Duration::from_secs(2),
            silence: Duration::from_secs(15),
            unread: Duration::from_secs(10),
            line: Duration::from_secs(10),
        }
    }
}

impl Timings {
    /// How long a timer runs, before jitter.
    pub fn of(&self, timer: Timer) -> Duration {
        match timer {
            Timer::Heartbeat => self.heartbeat,
            Timer::Gather { covered: false } => self.gather,
            Timer::Gather { covered: true } => self.gather_covered,
            Timer::Repeat => self.repeat,
            Timer::BackOff { attempt } => doubled(self.back_off, attempt, self.back_off_most),
            Timer::FinishRound => self.finish_round,
            Timer::Reconcile => self.reconcile,
            Timer::Deadline(_) => self.deadline,
            Timer::Patience { ms, .. } => Duration::from_millis(ms),
            Timer::LookUp => self.look_up,
            Timer::Rest => self.rest,
            Timer::Settle => self.settle_every.unwrap_or(self.deadline),
        }
    }

    /// The pause after this many failures in a row to reach a peer or the store, before jitter.
    pub fn redial_after(&self, failures: u32) -> Duration {
        doubled(self.redial, failures.saturating_sub(1), self.redial_most)
    }
}

/// `base` doubled `times` times, to `most` at the most.
fn doubled(base: Duration, times: u32, most: Duration) -> Duration {
    2u32.checked_pow(times)
        .and_then(|factor| base.checked_mul(factor))
        .map_or(most, |d| d.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_bound() {
        let timings = Timings::default();
        let millis = |attempt| timings.of(Timer::BackOff { attempt }).as_millis();
        assert_eq!([millis(0), millis(1), millis(2), millis(5)], [20, 40, 80, 640]);
        assert_eq!([millis(6), millis(31), millis(32), millis(u32::MAX)], [1000; 4]);
    }

    #[test]
    fn so_does_the_pause_before_redialling() {
        let timings = Timings::default();
        let millis = |failures| timings.redial_after(failures).as_millis();
        assert_eq!([millis(0), millis(1), millis(2), millis(5)], [50, 50, 100, 800]);
        assert_eq!([millis(6), millis(u32::MAX)], [1000; 2]);
    }
}
