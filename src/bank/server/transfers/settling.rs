//! Settling: clients that ask for it, replies that wait for a block, and the server's own habit.

use std::collections::{BTreeMap, BTreeSet};

use super::super::Server;
use super::until_settled::{Settling, settled_by};
use super::verdict::Verdict;
use crate::bank::effects::{Bound, Timer};
use crate::bank::ids::{ConnectionId, ServerId, WaitId};
use crate::bank::limits::{Limits, Share};
use crate::bank::note::Note;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::request::{ErrorCode, Reply};

impl Server {
    /// Has a client wait until the logs are settled, by a run that begins now.
    pub(in crate::bank::server) fn settle(
        &mut self,
        connection: ConnectionId,
        request: Option<u64>,
    ) {
        let Limits { waiting: most, waiting_anyway: anyway, .. } = self.config.limits;
        let all = &self.waiting.settling;
        // Counted only where there is little room, since there are as many as many connections may have.
        let of_one = || all.values().filter(|one| one.connection == connection).count();
        if all.len() >= most && of_one() >= anyway {
            let message = format!("already {most} clients wait for a settlement");
            return self.reply_error(connection, request, ErrorCode::Unavailable, message);
        }
        let id = self.waiting.name();
        let targets = BTreeMap::from([(self.config.id.clone(), self.ledger.log.last())]);
        let (left, unanswered, since) =
            (self.ledger.log.len() as u64, BTreeSet::new(), self.proposer.runs);
        let settling = Settling { connection, request, targets, left, unanswered, since };
        self.waiting.settling.insert(id, settling);
        self.set(Timer::Deadline(id));
    }

    /// Tells clients whose entries are in the block just appended.
    pub(in crate::bank::server) fn tell_settled(&mut self) {
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
        self.waiting.just_told |= !told.is_empty();
        for (_, ticket, outcome) in told {
            self.resolve_all(&[ticket], settled_by(outcome, true));
        }
        for id in over {
            self.cancel(Timer::Deadline(id));
        }
    }

    /// Gives up a settlement that was waited for long enough. What was accepted has happened all the same.
    pub(in crate::bank::server) fn settling_took_too_long(&mut self, id: WaitId) {
        if self.order_took_too_long(id) {
            return;
        }
        if let Some(settling) = self.waiting.settling.remove(&id) {
            let Settling { connection, request, since, .. } = settling;
            let reason = self.why_undecided(since);
            return self.reply_error(connection, request, ErrorCode::Unavailable, reason.words);
        }
        let mut unsettled = self.waiting.unsettled.iter();
        let call = unsettled.find(|(_, unsettled)| unsettled.id == id).map(|(call, _)| *call);
        let unsettled = call.and_then(|call| self.waiting.unsettled.remove(&call));
        for (_, ticket, outcome) in unsettled.into_iter().flat_map(|unsettled| unsettled.entries) {
            self.resolve_all(&[ticket], settled_by(outcome, false));
        }
    }

    /// Answers the clients whose settlement a run has brought about; returns how many there are.
    pub(in crate::bank::server) fn look_at_settling(
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
                // It waits for one further run to hear these servers.
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
        let (consulted, not_consulted) =
            self.members().cloned().partition(|server| settling.is_done(self.chain(), server));
        let height = self.chain().height();
        let reply = Reply::Settled { settled: true, height, consulted, not_consulted };
        self.effects.bind(Bound::Reply(settling.connection, settling.request, reply));
    }

    /// Sees to it, by habit, that an entry in the log doesn't stay there for ever.
    pub(in crate::bank::server) fn begin_to_settle(&mut self) {
        if self.config.habit.by_age && !self.ledger.log.is_empty() {
            let timer = self.pace.begin_to_settle();
            self.set_all(timer);
        }
    }

    /// Has the log settled, since its oldest entries are old enough.
    pub(in crate::bank::server) fn on_old_log(&mut self) {
        self.pace.on_old_log();
        if !self.ledger.log.is_empty() {
            self.pace.settle_up_to(self.ledger.log.last().seq);
        }
    }

    /// Notes that a block was appended. It may be what the habit asked for. A client that waits for logs to
    /// be settled goes on waiting while ever less of them is left.
    pub(in crate::bank::server) fn settled_some(&mut self) {
        let chain = self.chain.as_ref().expect("a block was appended");
        let all = self.waiting.settling.iter_mut();
        let closer = all.filter_map(|(id, settling)| settling.comes_closer(chain).then_some(*id));
        let closer: Vec<WaitId> = closer.collect();
        closer.into_iter().for_each(|id| self.set(Timer::Deadline(id)));
        let included = self.chain().included(&self.config.id).seq;
        if self.pace.on_settled(included) {
            self.begin_to_settle();
        }
    }

    /// True if somebody, or the habit, wants the local log emptied, or it is getting too long.
    pub(in crate::bank::server) fn wants_to_settle(&self) -> bool {
        (!self.waiting.settling.is_empty() && !self.rests_between_runs())
            || !self.waiting.unsettled.is_empty()
            || self.pace.settles()
            || self.is_long()
    }

    /// True if a block is wanted only for entries of this server that are logged already: by clients that wait until
    /// theirs are in one.
    pub(in crate::bank::server) fn only_its_own_entries_wait(&self) -> bool {
        let others = !self.waiting.settling.is_empty() || self.pace.settles() || self.is_long();
        match planted!(SettlesUnheard) {
            true => others,
            false => !self.waiting.unsettled.is_empty() && !others,
        }
    }

    /// True if the local log has to be settled for its length: by habit, and in any case from half of its bound
    /// on. As a rule no home then has to stop accepting transfers.
    fn is_long(&self) -> bool {
        let half = self.config.limits.log.div_ceil(2);
        let most = match self.config.habit.by_length {
            Some(most) => most.min(half),
            None if planted!(LogFillsUp) => usize::MAX,
            None => half,
        };
        self.ledger.log.len() >= most
    }

    /// Returns the largest share that this server promises for a block.
    pub(in crate::bank::server) fn share(&self) -> Share {
        self.config.limits.share(self.members().count())
    }

    /// True if the local log holds more than the next block can take while a run is wanted and can succeed. New
    /// transfers would only wait there, and make all others wait longer, so clients should be held back. Nobody
    /// waits for anything of a server that only reads.
    pub fn is_crowded(&self) -> bool {
        !self.rests()
            && self.ledger.log.len() >= self.share().entries
            && self.takes_part()
            && self.wants_run()
            && self.sees_majority()
    }

    /// True, once, if another server's run for this height has to go first: one run settles the logs of all, and brings
    /// money to all who wait for some, which is `urgent`.
    pub(in crate::bank::server) fn yields(&mut self, urgent: bool) -> bool {
        let runs = self.voter.asked.as_ref().filter(|ballot| self.peers.is_linked(&ballot.server));
        let asked = runs.or_else(|| self.usual_winner().filter(|_| !urgent)).cloned();
        let height = self.chain().height() + 1;
        let yields = self.pace.yields_to(height, asked.as_ref(), urgent);
        if let Some(other) = asked.filter(|_| yields) {
            self.note(Note::Yields(other.server));
        }
        yields
    }

    /// Returns the ballot of a peer that has won twice in a row, and goes on in it if anybody waits there. None if this
    /// server settles by habit, or for others: then its peers mostly do so too, and nobody goes on in a ballot.
    fn usual_winner(&self) -> Option<&Ballot> {
        let promised = self.voter.acceptor.promised()?;
        let goes_on = self.peers.is_linked(&promised.server)
            && (self.only_its_own_entries_wait() || planted!(HabitYields));
        (goes_on && self.pace.usually_wins(&promised.server)).then_some(promised)
    }
}
