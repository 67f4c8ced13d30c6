//! Waiting: behind earlier groups, for a run, or for money that comes by itself.

use std::collections::BTreeSet;

use super::super::Server;
use super::admitting::Asked;
use super::calls::Ticket;
use super::queue::{Member, Need, Wait, debited, need_of};
use crate::bank::effects::Timer;
use crate::bank::ids::{AccountId, WaitId};
use crate::bank::ledger::sessions::Fate;
use crate::bank::reason::{Code, Reason};
use crate::bank::request::{ErrorCode, Instruction, Outcome};
use crate::bank::status::Runs;

/// The words for a client whose request would have to wait with more than there is room for.
const TOO_MUCH: &str = "too much waits at this server already";

impl Server {
    /// Has a group wait: behind what holds up its accounts or, if it may wait for money, beside it.
    pub(in crate::bank::server) fn wait(
        &mut self,
        Asked { connection: of, right }: Asked,
        group: Vec<Member>,
        need: Need,
    ) {
        let limits = &self.config.limits;
        let patience = group.iter().filter_map(|member| member.instruction.wait_ms).max();
        let no_room = self.waiting.has_no_room(of, group.len(), patience.is_some(), limits);
        if let Some(reason) = no_room {
            return self.reject(group, (0, Outcome::Unavailable { reason }));
        }
        let mut tickets = group.iter().flat_map(|member| &member.tickets);
        if !tickets.all(|ticket| self.clients.calls.may_wait(ticket.call, limits)) {
            let reason = Reason::new(Code::TooMuchWaits, TOO_MUCH);
            return self.reject(group, (0, Outcome::Unavailable { reason }));
        }
        let id = self.waiting.name();
        for Member { instruction, .. } in &group {
            if let Some(request) = &instruction.request {
                self.ledger.sessions.remember(request, instruction.into(), Fate::Waiting(id));
            }
        }
        match patience {
            Some(ms) => self.set(Timer::Patience { wait: id, ms }),
            None => self.set(Timer::Deadline(id)),
        }
        let mut accounts = debited(&group);
        if planted!(GroupInOneQueue) {
            accounts = accounts.into_iter().take(1).collect();
        }
        let patient = patience.is_some() && !planted!(PatientRefusedEarly);
        let (unanswered, since) = (BTreeSet::new(), self.proposer.runs);
        let wait = Wait { members: group, of, right, accounts, need, patient, unanswered, since };
        self.waiting.insert(id, wait);
    }

    /// Has a retry of a waiting instruction take over its reply.
    pub(in crate::bank::server) fn join_wait(
        &mut self,
        id: WaitId,
        again: &Instruction,
        tickets: &[Ticket],
    ) {
        let members = self.waiting.waits.get_mut(&id).map(|wait| &mut wait.members);
        let mut members = members.into_iter().flatten();
        let same = |member: &&mut Member| member.instruction.request == again.request;
        let Some(member) = members.find(same) else { return };
        member.instruction.settled = again.settled;
        let mut superseded = Vec::new();
        for ticket in tickets {
            if let Some(older) = member.tickets.first().filter(|older| older.call != ticket.call) {
                superseded.extend(self.clients.calls.give_up(older.call));
                member.tickets.clear();
            }
            member.tickets.push(*ticket);
        }
        let limits = &self.config.limits;
        let too_much =
            tickets.iter().find(|ticket| !self.clients.calls.may_wait(ticket.call, limits));
        let no_room = too_much.and_then(|Ticket { call, .. }| {
            // It may yet happen, so it has no outcome, and nothing has to be kept for this reply.
            member.tickets.clear();
            self.clients.calls.give_up(*call)
        });
        let session = again.request.as_ref().map(|request| &request.session);
        for (older, session) in superseded.into_iter().zip(session) {
            self.answered_elsewhere(older, session);
        }
        if let Some((connection, id)) = no_room {
            self.reply_error(connection, id, ErrorCode::Unavailable, TOO_MUCH.into());
        }
    }

    /// Gives up something that waited long enough for a run: it has not happened and will not.
    pub(in crate::bank::server) fn on_deadline(&mut self, id: WaitId) {
        match self.waiting.take(id) {
            Some(wait) => {
                let reason = self.why_undecided(wait.since);
                self.reject(wait.members, (0, Outcome::Unavailable { reason }));
            }
            None => self.settling_took_too_long(id),
        }
    }

    /// Says why something has waited in vain since these runs.
    pub(in crate::bank::server) fn why_undecided(&self, since: Runs) -> Reason {
        let names = |connected: bool| {
            let ids = self.peers.iter().filter(|(_, peer)| peer.is_connected() == connected);
            ids.map(|(id, _)| id.as_str()).collect::<Vec<_>>()
        };
        let (here, away) = (names(true), names(false).join(", "));
        let (won, lost) =
            (self.proposer.runs.won - since.won, self.proposer.runs.lost - since.lost);
        let who = match &away[..] {
            "" => "all servers are connected".into(),
            away => format!("{away} not connected"),
        };
        let is_few = !self.sees_majority();
        let code = match won {
            1.. => Code::Undecided,
            0 if is_few => Code::NoMajority,
            0 => Code::NoRun,
        };
        let words = match (won, lost) {
            (1, _) => format!("one Paxos run got through in time, but brought no answer; {who}"),
            (2.., _) => {
                format!("{won} Paxos runs got through in time, but none brought an answer; {who}")
            }
            _ if is_few => format!("no majority in time: {who}"),
            (_, 0) if away.is_empty() => format!("no Paxos run got through in time, though {who}"),
            (_, 0) => {
                format!("no Paxos run got through in time: {who}, {} is", here.join(", "))
            }
            (..) => format!("no Paxos run got through in time: {lost} lost to others; {who}"),
        };
        Reason::new(code, words)
    }

    /// Has a group wait like any other, for a run that says whether there is money: it has waited for money as
    /// long as it was allowed to.
    pub(in crate::bank::server) fn on_patience_over(&mut self, id: WaitId) {
        let Some(mut wait) = self.waiting.take(id) else { return };
        // While it was patient, others spent from its accounts, perhaps since the run prepared.
        if !planted!(PatienceIgnoresDebits) {
            self.needs_another_run(id);
        }
        (wait.patient, wait.since) = (false, self.proposer.runs);
        wait.need = match self.weigh(&wait.members) {
            Err((_, error)) => need_of(&error).unwrap_or(Need::Money),
            Ok(()) => Need::Turn,
        };
        self.waiting.insert(id, wait);
        self.set(Timer::Deadline(id));
    }

    /// Notes that an account was debited: only a later run may weigh the groups that wait behind it.
    pub(in crate::bank::server) fn debited(&mut self, account: &AccountId) {
        if !planted!(RefusedThoughDebited) {
            self.waiting.behind(account).into_iter().for_each(|id| self.needs_another_run(id));
        }
    }

    /// Keeps the run under way, and the run just concluded, from refusing this group.
    fn needs_another_run(&mut self, id: WaitId) {
        if let Some(run) = &mut self.proposer.run {
            run.plan.eligible.remove(&id);
        }
        if let Some(verdict) = &mut self.waiting.verdict {
            verdict.eligible.remove(&id);
        }
    }
}
