//! A node's configuration: who it is, where the others are, and how patient to be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::bank::amount::Amount;
use crate::bank::blockchain::bank_name::BankName;
use crate::bank::blockchain::origin::Opening;
use crate::bank::effects::Timer;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;
use crate::bank::limits::Limits;
use crate::bank::paxos::message::Configuration;
use crate::bank::server::Config;
use crate::bank::server::Habit;
use crate::noise::SecretKey;

/// Everything that a node has to know beside its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// This server's id in the cluster.
    pub id: ServerId,
    /// All servers, this one too, each with the `HOST:PORT` at which the others find it.
    pub cluster: BTreeMap<ServerId, String>,
    /// The `HOST:PORT` to listen on. Port 0 lets the system choose.
    pub listen: String,
    /// The balance of every server's account at the founding.
    pub opening_balance: Amount,
    /// True if the bank is founded to issue money, and to take some back.
    pub issuing: bool,
    /// True if the store was lost for good, and the server is to rejoin with the store it is given.
    pub rejoin: bool,
    /// True if the server is no member yet, and waits to be admitted. Then `cluster` is where to begin.
    pub join: bool,
    /// The only bank it may serve; none if it may found one.
    pub bank: Option<BankName>,
    /// What the bank begins with, if it is to be founded where another one ended.
    pub opening: Option<Arc<Opening>>,
    /// The length of the local log, in entries, at which it is settled; none for never.
    pub settle_at: Option<usize>,
    /// True if no transfer is answered before it is in a block. For comparisons; no bank needs it.
    pub always_paxos: bool,
    /// True if clients may break and mend this server's links.
    pub allow_fault_injection: bool,
    /// About how many bytes of memory the index behind statements may take.
    pub index_memory: usize,
    /// The file in which to note down what happens, if any.
    pub trace: Option<PathBuf>,
    /// The `HOST:PORT` at which to serve figures and health by HTTP, if any. Port 0 lets the system choose.
    pub http: Option<String>,
    /// Who is let in.
    pub doors: Doors,
    /// How patient to be.
    pub timings: Timings,
}

/// Whom a server lets in, and by which key it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doors {
    /// The server's key. Without one it dials plain lines, and nobody can know it again.
    pub key: Option<SecretKey>,
    /// True if the server founds only a bank with keys, in which nobody debits an account but its owner.
    pub keys: bool,
    /// The keys that other servers have to prove before the chain names them.
    pub expect: BTreeMap<ServerId, Fingerprint>,
    /// True if `expect` has to name all others where the chain names none: others than this machine's users
    /// could pretend to be them.
    pub must_expect: bool,
    /// The file that says which keys are operators' and auditors', if any are.
    pub authorized: Option<PathBuf>,
}

impl Doors {
    /// Returns what is wrong if a key is needed of each other server, and not all are there. The words follow
    /// what the server was told to do.
    pub fn unexpected<'a>(
        &self,
        id: &ServerId,
        servers: impl IntoIterator<Item = &'a ServerId>,
    ) -> Option<String> {
        let is_missing = |other: &&ServerId| *other != id && !self.expect.contains_key(*other);
        let missing: Vec<&ServerId> = servers.into_iter().filter(is_missing).collect();
        if !self.must_expect || missing.is_empty() {
            return None;
        }
        let list = |of: &str| missing.iter().map(|id| format!("{id}{of}")).collect::<Vec<_>>();
        Some(format!(
            "beyond loopback needs the keys of all other servers, and lacks {}: --expect {} (each \
             server's first start prints its key, and so does `paxos-banking key FILE`)",
            list("").join(", "),
            list("=SHA256:…").join(",")
        ))
    }
}

impl NodeConfig {
    /// What the index behind statements takes at most, unless something else is said.
    pub const INDEX_MEMORY: usize = 64 << 20;

    /// Returns the other servers with their addresses.
    pub fn peers(&self) -> impl Iterator<Item = (&ServerId, &String)> {
        self.cluster.iter().filter(|(id, _)| **id != self.id)
    }

    /// Returns the part that the state machine has to know.
    pub fn for_server(&self) -> Config {
        // Who joins a bank doesn't know with whom it was founded.
        let servers = match self.join {
            true => Vec::new(),
            false => self.cluster.keys().cloned().collect(),
        };
        let (opening_balance, issuing) = (self.opening_balance, self.issuing);
        let configuration = Configuration { servers, opening_balance, issuing };
        let by_age = self.timings.settle_every.is_some();
        Config {
            id: self.id.clone(),
            configuration,
            addresses: self.cluster.clone(),
            rejoin: self.rejoin,
            join: self.join,
            bank: self.bank.clone(),
            opening: self.opening.clone(),
            key: self.doors.key.as_ref().map(SecretKey::fingerprint),
            keys: self.doors.keys,
            expect: self.doors.expect.clone(),
            habit: Habit { by_age, by_length: self.settle_at, always: self.always_paxos },
            limits: Limits::default(),
        }
    }
}

/// How long things take. Liveness and comfort depend on it, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings {
    /// The time between two heartbeats. After three missed ones a peer counts as not connected.
    pub heartbeat: Duration,
    /// How long a proposer with a majority of promises waits for the other connected servers.
    pub gather: Duration,
    /// How long it waits where the promises at hand cover all waiting transfers.
    pub gather_covered: Duration,
    /// How long clients have to come again, once a block has answered them, before the next block goes out.
    pub comeback: Duration,
    /// The time after which prepare or accept is repeated to servers that haven't answered.
    pub repeat: Duration,
    /// The first back-off of a proposer that lost. It doubles with each attempt.
    pub back_off: Duration,
    /// The longest back-off.
    pub back_off_most: Duration,
    /// How long a server that accepted a block waits for the commit before it finishes the round itself.
    pub finish_round: Duration,
    /// How long a step of reconciling may take before another peer is asked.
    pub reconcile: Duration,
    /// How long a transfer waits for a majority before it is *unavailable*.
    pub deadline: Duration,
    /// The time between two runs that are made only because a payee is unknown.
    pub look_up: Duration,
    /// The time between runs when the last ones brought nothing but refusals.
    pub rest: Duration,
    /// How long an entry may be in the local log before the log is settled; none for ever.
    pub settle_every: Option<Duration>,
    /// The first pause before a peer is dialled again, or a failed store loaded again. It doubles with
    /// each failure.
    pub redial: Duration,
    /// The longest such pause.
    pub redial_most: Duration,
    /// How long dialling may take, and again the peer's answer to the hello.
    pub handshake: Duration,
    /// How long a peer that dialled may be silent, heartbeats included, before its connection counts as
    /// dead. (A machine without power doesn't say goodbye.)
    pub silence: Duration,
    /// How long a client or peer may leave bytes unread before it is disconnected.
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
            comeback: Duration::from_millis(1),
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
    /// Returns a timer's time, before jitter.
    pub fn of(&self, timer: Timer) -> Duration {
        match timer {
            Timer::Heartbeat => self.heartbeat,
            Timer::Gather { covered: false } => self.gather,
            Timer::Gather { covered: true } => self.gather_covered,
            Timer::Comeback => self.comeback,
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

    /// Returns the pause after `failures` failures in a row to reach a peer or the store, before jitter.
    pub fn redial_after(&self, failures: u32) -> Duration {
        doubled(self.redial, failures.saturating_sub(1), self.redial_most)
    }
}

/// Doubles `base` `times` times, up to `most`.
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
