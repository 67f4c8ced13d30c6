//! What a server measures and counts beside its work, for `status`. Nothing depends on it.
//!
//! The state machine reads no clock and keeps no counters: with them, two states that behave alike would
//! differ. So the event loop's thread measures here, by what goes into the machine and comes out.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::bank::effects::{Batch, Write};
use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::{Position, Via};
use crate::bank::paxos::message::{Message, Standing};
use crate::bank::request::{Measured, Outcome, RedisStatus, Reply, Status};
use crate::bank::status::Runs;
use crate::node::backlog::MAX_BACKLOG;
use crate::node::figures::Figures;
use crate::node::histogram::Recent;

/// How many moments of the local log's growth are kept. When there are more, every other one goes.
const MOMENTS: usize = 1024;
/// The least time between two such moments.
const MOMENT: Duration = Duration::from_millis(100);
/// The time over which a rate is taken, about.
const RATE: Duration = Duration::from_secs(2);

/// The event loop's own measurements.
#[derive(Debug)]
pub(crate) struct Gauges {
    id: ServerId,
    started: Instant,
    now: Instant,
    peers: BTreeMap<ServerId, Heard>,
    own: Rate,
    grew: Growth,
    counts: Measured,
    local: Recent,
    paxos: Recent,
    store: Recent,
    last_us: Option<u64>,
    failure: Option<(String, Instant)>,
    pub(crate) figures: Figures,
}

/// When a peer was last heard, and its rate.
#[derive(Debug)]
struct Heard {
    at: Instant,
    rate: Rate,
}

impl Gauges {
    /// Starts with nothing measured.
    pub(crate) fn new(id: ServerId) -> Gauges {
        let now = Instant::now();
        Gauges {
            id,
            started: now,
            now,
            peers: BTreeMap::new(),
            own: Rate::default(),
            grew: Growth::new(now),
            counts: Measured::default(),
            local: Recent::new(now),
            paxos: Recent::new(now),
            store: Recent::new(now),
            last_us: None,
            failure: None,
            figures: Figures::default(),
        }
    }

    /// Notes that a peer said something.
    pub(crate) fn heard(&mut self, peer: &ServerId, message: &Message) {
        let at = Instant::now();
        if let Message::Heartbeat(Standing { position, .. }) = message {
            let heard = self.peers.entry(peer.clone());
            let heard = heard.or_insert_with(|| Heard { at, rate: Rate::default() });
            heard.rate.add(*position, at);
        }
        if let Some(heard) = self.peers.get_mut(peer) {
            heard.at = at;
        }
    }

    /// Notes that a turn is durable since `now`. Its write, if it had one, began at `begun`.
    pub(crate) fn turn(&mut self, batch: &Batch, runs: Runs, begun: Instant, now: Instant) {
        self.now = now;
        self.counts.runs_started += runs.started;
        self.counts.runs_won += runs.won;
        self.counts.runs_lost += runs.lost;
        if batch.writes.is_empty() {
            return;
        }
        let took = now.saturating_duration_since(begun);
        self.store.add(took, now);
        self.figures.store.add(took);
        self.last_us = Some(micros(took));
        for write in &batch.writes {
            match write {
                Write::Log(element) => {
                    self.grew.logged(element.first(), now);
                    self.own.add(element.last(), now);
                }
                Write::Append { derived, .. } => {
                    let included = derived.included.get(&self.id).copied();
                    self.grew.left(included.unwrap_or(Position::START));
                }
                Write::Promise(_) | Write::Accept { .. } | Write::Activate => {}
            }
        }
    }

    /// Returns how many requests were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.counts.refused
    }

    /// Notes that the store failed.
    pub(crate) fn failed(&mut self, error: &str) {
        self.figures.store_failures += 1;
        self.failure = Some((error.to_owned(), Instant::now()));
    }

    /// Notes that the store is loaded again. When its log's entries came is then not known.
    pub(crate) fn loaded(&mut self) {
        self.grew = Growth::new(Instant::now());
    }

    /// Notes that a reply leaves, to a request that came at `at`.
    pub(crate) fn answered(&mut self, reply: &Reply, at: Option<Instant>) {
        let slowest = match reply {
            Reply::One(outcome) => self.count(outcome),
            Reply::Batch { outcomes } => outcomes.iter().filter_map(|one| self.count(one)).max(),
            _ => return,
        };
        let (Some(slowest), Some(at)) = (slowest, at) else { return };
        let took = self.now.saturating_duration_since(at);
        let (recent, ever) = match slowest {
            Way::Local => (&mut self.local, &mut self.figures.local),
            Way::Run => (&mut self.paxos, &mut self.figures.paxos),
        };
        recent.add(took, self.now);
        ever.add(took);
    }

    /// Counts an outcome; returns what an acceptance took.
    fn count(&mut self, outcome: &Outcome) -> Option<Way> {
        self.figures.count(outcome);
        match outcome {
            Outcome::Accepted { repeated: true, .. } => None,
            Outcome::Accepted { via, settled, .. } => {
                self.counts.accepted += 1;
                let is_local = *via == Via::Local && settled.is_none();
                Some(if is_local { Way::Local } else { Way::Run })
            }
            Outcome::Refused { .. } => {
                self.counts.refused += 1;
                None
            }
            Outcome::Unavailable { .. } => {
                self.counts.unavailable += 1;
                None
            }
            _ => None,
        }
    }

    /// Notes how long a turn took, from taking in to handing out.
    pub(crate) fn took(&mut self, turn: Duration) {
        self.figures.turns.add(turn);
    }

    /// Returns the measurements to a status, and adds to it when peers were heard.
    pub(crate) fn measured(&mut self, status: &mut Status) -> Measured {
        let now = Instant::now();
        for peer in &mut status.peers {
            let Some(heard) = self.peers.get(&peer.id) else { continue };
            peer.heard_ms = Some(millis(now.saturating_duration_since(heard.at)));
            peer.entries_per_second = Some(heard.rate.per_second(now));
        }
        let included = status.included.get(&status.server).copied();
        let oldest = included.unwrap_or(Position::START).next();
        let last_error_ms = |at: Instant| millis(now.saturating_duration_since(at));
        Measured {
            uptime_ms: millis(now.saturating_duration_since(self.started)),
            oldest_entry_ms: (status.log_length > 0)
                .then(|| millis(now.saturating_duration_since(self.grew.since(oldest)))),
            entries_per_second: self.own.per_second(now),
            local: self.local.percentiles(now),
            paxos: self.paxos.percentiles(now),
            redis: RedisStatus {
                round_trip: self.store.percentiles(now),
                last_us: self.last_us,
                last_error: self.failure.as_ref().map(|(error, _)| error.clone()),
                last_error_ms: self.failure.as_ref().map(|(_, at)| last_error_ms(*at)),
            },
            ..self.counts.clone()
        }
    }
}

/// What it took to accept something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// The local log alone.
    Local,
    /// A Paxos run.
    Run,
}

/// When the requests of a connection came that have no reply yet, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Asked(VecDeque<(Option<u64>, Instant)>);

impl Asked {
    /// Notes that a request came. Some never get a reply; no more are kept than can be owed.
    pub(crate) fn came(&mut self, id: Option<u64>, at: Instant) {
        if self.0.len() >= MAX_BACKLOG {
            self.0.pop_front();
        }
        self.0.push_back((id, at));
    }

    /// Returns the number of the oldest request, if there is one.
    pub(crate) fn oldest(&self) -> Option<Option<u64>> {
        self.0.front().map(|(id, _)| *id)
    }

    /// Returns when the request came that is now answered. It is nearly always the oldest.
    pub(crate) fn answered(&mut self, id: Option<u64>) -> Option<Instant> {
        let place = self.0.iter().position(|(asked, _)| *asked == id)?;
        self.0.remove(place).map(|(_, at)| at)
    }
}

/// The times at which the local log reached its entries, roughly.
#[derive(Debug)]
struct Growth(VecDeque<(Position, Instant)>);

impl Growth {
    fn new(loaded: Instant) -> Growth {
        Growth(VecDeque::from([(Position::START, loaded)]))
    }

    fn logged(&mut self, first: Position, now: Instant) {
        let last = self.0.back().map(|(_, at)| *at);
        if last.is_some_and(|last| now.saturating_duration_since(last) < MOMENT) {
            return;
        }
        self.0.push_back((first, now));
        if self.0.len() > MOMENTS {
            let mut place = 0;
            self.0.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
    }

    /// Notes that the entries up to `included` are in the chain.
    fn left(&mut self, included: Position) {
        while self.0.get(1).is_some_and(|(first, _)| *first <= included.next()) {
            self.0.pop_front();
        }
    }

    /// Returns since when an entry has been in the log.
    fn since(&self, entry: Position) -> Instant {
        let after = self.0.partition_point(|(first, _)| *first <= entry);
        self.0[after.saturating_sub(1)].1
    }
}

/// The rate at which a sequence of entries grows.
#[derive(Debug, Default)]
struct Rate {
    older: Option<(Position, Instant)>,
    newer: Option<(Position, Instant)>,
    last: Option<Position>,
}

impl Rate {
    fn add(&mut self, position: Position, at: Instant) {
        self.last = Some(position);
        let is_due = |(_, begun)| at.saturating_duration_since(begun) >= RATE;
        if self.newer.is_none_or(is_due) {
            self.older = self.newer.replace((position, at)).or(Some((position, at)));
        }
    }

    fn per_second(&self, now: Instant) -> u64 {
        let (Some((from, begun)), Some(to)) = (self.older, self.last) else { return 0 };
        // A time of less than a second tells no rate.
        let millis = millis(now.saturating_duration_since(begun)).max(1_000);
        // In another epoch the seq counts from 1 again.
        let entries = if from.epoch == to.epoch { to.seq.saturating_sub(from.seq) } else { to.seq };
        entries.saturating_mul(1_000) / millis
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "gauges_tests.rs"]
mod tests;
