//! Settling: clients that ask for it, replies that wait for a block, and the bank's own habit.

use std::collections::{BTreeMap, BTreeSet};

use super::Server;
use super::calls::Ticket;
use super::refusing::Verdict;
use crate::bank::blockchain::chain::Chain;
use crate::bank::effects::{Bound, Timer, WaitId};
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::ledger::entry::Position;
use crate::bank::limits::{Limits, Share};
use crate::bank::request::{ErrorCode, Outcome, Reply};
use crate::bank::status::Runs;

/// When a server settles by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Habit {
    /// When an entry has been in the local log for so long as the shell makes [`Timer::Settle`] last.
    pub by_age: bool,
    /// When the local log holds so many entries.
    pub by_length: Option<usize>,
    /// At once: every transfer and opening is answered as if it asked to be told when it is in a block.
    pub always: bool,
}

/// A client that waits for the logs to be settled: for what they held when it asked, not for what comes
/// meanwhile, of which there may be no end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Settling {
    connection: ConnectionId,
    request: Option<u64>,
    /// The last entry of each server's log: of this one's when the client asked, of the others' when they
    /// promised for the first time since.
    targets: BTreeMap<ServerId, Position>,
    /// How many entries up to there are in no block yet.
    left: u64,
    /// Connected servers that did not answer a run which would otherwise have ended this.
    unanswered: BTreeSet<ServerId>,
    /// What had become of this server's runs when the client asked.
    since: Runs,
}

impl Settling {
    /// Whether all that a server's log held is in a block.
    fn is_done(&self, chain: &Chain, server: &ServerId) -> bool {
        self.targets.get(server).is_some_and(|target| *target <= chain.included(server))
    }

    /// Looks at how much is left; true if that is less than before.
    fn comes_closer(&mut self, chain: &Chain) -> bool {
        let left = |(server, target): (&ServerId, &Position)| {
            let included = chain.included(server);
            if included < *target { target.seq.saturating_sub(included.seq) } else { 0 }
        };
        let left = self.targets.iter().map(left).fold(0, u64::saturating_add);
        std::mem::replace(&mut self.left, left) > left
    }

    /// Goes by what a run has heard of logs that were not heard of before.
    fn aim(&mut self, chain: &Chain, verdict: &Verdict) {
        for (server, end) in &verdict.consulted.ends {
            if let Some(end) = end {
                let target = self.targets.entry(server.clone()).or_insert(*end);
                if planted!(SettlingNeverEnds) {
                    *target = *end;
                }
            }
        }
        self.comes_closer(chain);
    }
}

/// The entries of one request that are told when they are in a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Unsettled {
    id: WaitId,
    /// The entries' positions, and what is told then.
    entries: Vec<(Position, Ticket, Outcome)>,
}

fn settled_by(outcome: Outcome, is_settled: bool) -> Outcome {
    match outcome {
        Outcome::Accepted { server, epoch, seq, balance, via, repeated, .. } => {
            let settled = Some(is_settled);
            Outcome::Accepted { server, epoch, seq, balance, via, repeated, settled }
        }
        other => other,
    }
}

impl Server {
    /// A client settles: it waits for a run that begins now.
    pub(super) fn settle(&mut self, connection: ConnectionId, request: Option<u64>) {
        let Limits { waiting: most, waiting_anyway: anyway, .. } = self.config.limits;
        let all = &self.waiting.settling;
        // Counted only where there is little room: there are as many as many connections may have.
        let of_one = || all.values().filter(|one| one.connection == connection).count();
        if all.len() >= most && of_one() >= anyway {
            let message = format!("already {most} clients wait for a settlement");
            return self.reply_error(connection, request, ErrorCode::Unavailable, message);
        }
        let id = self.waiting.name();
        let targets = BTreeMap::from([(self.config.id.clone(), self.log.last())]);
        let (left, unanswered, since) = (self.log.len() as u64, BTreeSet::new(), self.runs);
        let settling = Settling { connection, request, targets, left, unanswered, since };
        self.waiting.settling.insert(id, settling);
        self.set(Timer::Deadline(id));
    }

    /// Tells of an entry: at once, or when it is in a block, if that was asked for or is the habit.
    pub(super) fn deliver(
        &mut self,
        tickets: &[Ticket],
        when_settled: bool,
        position: Position,
        outcome: Outcome,
    ) {
        if !when_settled && !self.config.habit.always {
            return self.resolve_all(tickets, outcome);
        }
        if position <= self.chain().included(&self.config.id) || planted!(SettledEarly) {
            return self.resolve_all(tickets, settled_by(outcome, true));
        }
        for ticket in tickets {
            self.tell_when_settled(*ticket, position, &outcome);
        }
    }

    fn tell_when_settled(&mut self, ticket: Ticket, position: Position, outcome: &Outcome) {
        let entry = (position, ticket, outcome.clone());
        if let Some(unsettled) = self.waiting.unsettled.get_mut(&ticket.call) {
            return unsettled.entries.push(entry);
        }
        let limits = &self.config.limits;
        let is_full = self.waiting.unsettled.len() >= limits.waiting;
        if is_full || !self.calls.may_wait(ticket.call, limits) {
            return self.resolve_all(&[ticket], settled_by(outcome.clone(), false));
        }
        let id = self.waiting.name();
        self.waiting.unsettled.insert(ticket.call, Unsettled { id, entries: vec![entry] });
        self.set(Timer::Deadline(id));
    }

    /// A block was appended: tells those whose entries are in it.
    pub(super) fn tell_settled(&mut self) {
        let included = self.chain().included(&self.config.id);
        let mut told = Vec::new();
        let mut over = Vec::new();
        self.waiting.unsettled.retain(|_, unsettled| {
            told.extend(unsettled.entries.extract_if(.., |(position, ..)| *position <= included));
            if unsettled.entries.is_empty() {
                over.push(unsettled.id);
            }
            !unsettled.entries.is_empty()
        });
        for (_, ticket, outcome) in told {
            self.resolve_all(&[ticket], settled_by(outcome, true));
        }
        for id in over {
            self.cancel(Timer::Deadline(id));
        }
    }

    /// A settlement was waited for long enough. What was accepted has happened all the same.
    pub(super) fn settling_took_too_long(&mut self, id: WaitId) {
        if let Some(settling) = self.waiting.settling.remove(&id) {
            let Settling { connection, request, since, .. } = settling;
            let reason = self.why_undecided(since);
            return self.reply_error(connection, request, ErrorCode::Unavailable, reason);
        }
        let mut unsettled = self.waiting.unsettled.iter();
        let call = unsettled.find(|(_, unsettled)| unsettled.id == id).map(|(call, _)| *call);
        let unsettled = call.and_then(|call| self.waiting.unsettled.remove(&call));
        for (_, ticket, outcome) in unsettled.into_iter().flat_map(|unsettled| unsettled.entries) {
            self.resolve_all(&[ticket], settled_by(outcome, false));
        }
    }

    /// Answers the clients whose settlement a run has brought about; returns how many those are.
    pub(super) fn look_at_settling(
        &mut self,
        verdict: &Verdict,
        missing: &BTreeSet<ServerId>,
    ) -> usize {
        let chain = self.chain.as_ref().expect("a run was concluded");
        let mut settled = Vec::new();
        for (id, settling) in &mut self.waiting.settling {
            if !verdict.eligible.contains(id) {
                continue;
            }
            settling.aim(chain, verdict);
            if !verdict.consulted.ends.keys().all(|server| settling.is_done(chain, server)) {
                continue;
            }
            if missing.is_subset(&settling.unanswered) {
                settled.push(*id);
            } else {
                // It waits for one further run to hear those servers.
                settling.unanswered.clone_from(missing);
            }
        }
        let told = settled.len();
        settled.into_iter().for_each(|id| self.tell_that_it_is_settled(id));
        told
    }

    fn tell_that_it_is_settled(&mut self, id: WaitId) {
        let Some(settling) = self.waiting.settling.remove(&id) else { return };
        self.cancel(Timer::Deadline(id));
        let servers = self.config.configuration.servers.iter().cloned();
        let (consulted, not_consulted) =
            servers.partition(|server| settling.is_done(self.chain(), server));
        let height = self.chain().height();
        let reply = Reply::Settled { settled: true, height, consulted, not_consulted };
        self.effects.bind(Bound::Reply(settling.connection, settling.request, reply));
    }

    /// There is something in the log: it shall not stay there for ever, if that is the habit.
    pub(super) fn begin_to_settle(&mut self) {
        if self.config.habit.by_age && !self.settle_timer && !self.log.is_empty() {
            self.settle_timer = true;
            self.set(Timer::Settle);
        }
    }

    /// The oldest entries are old enough.
    pub(super) fn time_to_settle(&mut self) {
        self.settle_timer = false;
        if !self.log.is_empty() {
            self.settle_up_to = Some(self.log.last().seq);
        }
    }

    /// A block was appended: that may have been what the habit asked for, and who waits for what logs held
    /// waits on while there comes to be less of it.
    pub(super) fn settled_some(&mut self) {
        let chain = self.chain.as_ref().expect("a block was appended");
        let all = self.waiting.settling.iter_mut();
        let closer = all.filter_map(|(id, settling)| settling.comes_closer(chain).then_some(*id));
        let closer: Vec<WaitId> = closer.collect();
        closer.into_iter().for_each(|id| self.set(Timer::Deadline(id)));
        let included = self.chain().included(&self.config.id).seq;
        self.settle_up_to = self.settle_up_to.filter(|seq| *seq > included);
        if self.settle_up_to.is_none() {
            self.begin_to_settle();
        }
    }

    /// Whether somebody, or the habit, wants the local log emptied, or it is getting too long.
    pub(super) fn wants_to_settle(&self) -> bool {
        (!self.waiting.settling.is_empty() && !self.may_not_run_yet())
            || !self.waiting.unsettled.is_empty()
            || self.settle_up_to.is_some()
            || self.is_long()
    }

    /// Whether the local log is so long that it is to be settled: by habit, and in any case from half of its
    /// bound on, so that as a rule no home has to stop taking transfers.
    fn is_long(&self) -> bool {
        let half = self.config.limits.log.div_ceil(2);
        let most = match self.config.habit.by_length {
            Some(most) => most.min(half),
            None if planted!(LogFillsUp) => usize::MAX,
            None => half,
        };
        self.log.len() >= most
    }

    /// What this server promises for a block at the most.
    pub(super) fn share(&self) -> Share {
        self.config.limits.share(self.config.configuration.servers.len())
    }

    /// Whether the local log holds more than the next block can take while a run is wanted and can
    /// succeed. New transfers would only wait there, and make all the others wait longer: their clients
    /// had better be held back. Of a server that only reads nobody waits for anything.
    pub fn is_crowded(&self) -> bool {
        !self.rests()
            && self.log.len() >= self.share().entries
            && self.takes_part()
            && self.wants_run()
            && self.peers.values().filter(|peer| peer.is_connected()).count() + 1 >= self.majority()
    }

    /// Whether to let another server's run for this height go first, once: one run serves all who
    /// settle.
    pub(super) fn yields(&mut self) -> bool {
        let other = self.acceptor.promised().filter(|ballot| ballot.server != self.config.id);
        let other = other.filter(|other| self.yielded_to.as_ref() != Some(*other)).cloned();
        let Some(other) = other else { return false };
        self.step(format!("settling: the run of {} may go first", other.server));
        self.yielded_to = Some(other);
        true
    }
}
