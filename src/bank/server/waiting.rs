//! What waits: groups of transfers that the local balances do not cover, and clients that settle.

use std::collections::{BTreeMap, BTreeSet};

use super::Server;
use super::calls::Ticket;
use super::held::{Bounds, Full, Held};
use super::instructing::{debited, need_of};
use super::settling::{Settling, Unsettled};
use crate::bank::effects::{Timer, WaitId};
use crate::bank::ids::{AccountId, ConnectionId, ServerId};
use crate::bank::ledger::sessions::Fate;
use crate::bank::limits::Limits;
use crate::bank::request::{ErrorCode, Instruction, Outcome};
use crate::bank::status::Runs;

/// What a client is told that would have to wait with more than there is room for.
const TOO_MUCH: &str = "too much waits at this server already";

/// One of a group, and who is to be told: places in requests, which may name it more than once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub instruction: Instruction,
    pub tickets: Vec<Ticket>,
}

/// For what a group waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Need {
    /// For a run that finds money, or shows that there is none.
    Money,
    /// For a run that finds the payee, or shows that nobody knows it.
    Payee,
    /// For money to come by itself: a run has looked for it already.
    Time,
    /// For its turn: nothing was missing when it came, but what waits already goes first.
    Turn,
}

/// A group that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wait {
    pub members: Vec<Member>,
    /// Who brought it, in whose share it counts.
    pub of: ConnectionId,
    /// The accounts that it debits.
    pub accounts: BTreeSet<AccountId>,
    pub need: Need,
    /// It doesn't hold up its accounts, and can't be refused yet.
    pub patient: bool,
    /// Connected servers that did not answer a run which would otherwise have refused it.
    pub unanswered: BTreeSet<ServerId>,
    /// What had become of this server's runs when it came to wait for one.
    pub since: Runs,
}

/// All that waits. A [`WaitId`] tells when it came, so that a queue is a set of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    waits: BTreeMap<WaitId, Wait>,
    /// First in, first out for each account that they debit.
    queues: BTreeMap<AccountId, BTreeSet<WaitId>>,
    /// Those that don't hold anything up.
    patient: BTreeMap<AccountId, BTreeSet<WaitId>>,
    /// How many wait for each thing.
    needs: BTreeMap<Need, usize>,
    /// The transfers in all waits.
    transfers: Held,
    /// Those of them that may wait for money.
    patient_transfers: Held,
    pub settling: BTreeMap<WaitId, Settling>,
    /// Requests that are told when their entries are in a block, by their calls.
    pub unsettled: BTreeMap<u64, Unsettled>,
    /// Accounts of which something waits that should be looked at.
    touched: BTreeSet<AccountId>,
    named: u64,
}

fn leave(queues: &mut BTreeMap<AccountId, BTreeSet<WaitId>>, account: &AccountId, id: WaitId) {
    if let Some(queue) = queues.get_mut(account) {
        queue.remove(&id);
        if queue.is_empty() {
            queues.remove(account);
        }
    }
}

impl Waiting {
    /// Some group waits for money to be found, or for a payee.
    pub fn has_transfers(&self) -> bool {
        self.count(Need::Money) + self.count(Need::Payee) > 0
    }

    /// How many groups have this need.
    pub fn count(&self, need: Need) -> usize {
        self.needs.get(&need).copied().unwrap_or(0)
    }

    /// How many transfers wait.
    pub fn transfers(&self) -> usize {
        self.transfers.all()
    }

    /// Why so many transfers more of a connection's may not wait, if that is so. What makes one group is
    /// never too many.
    fn has_no_room(
        &self,
        of: ConnectionId,
        more: usize,
        patient: bool,
        limits: &Limits,
    ) -> Option<String> {
        let (all, of_one) = (limits.waiting, limits.waiting_of_one);
        let bounds = |all: usize, of_one: usize| {
            let anyway = match planted!(TwoFillTheWaits) {
                true => 0,
                false => limits.waiting_anyway,
            };
            Bounds { all: all.max(more), of_one: of_one.max(more), anyway }
        };
        match self.transfers.has_room(of, more, bounds(all, of_one)) {
            Err(Full::All) => return Some(format!("already {all} transfers wait at this server")),
            Err(Full::OfOne) => {
                return Some(format!("already {of_one} transfers of this connection wait"));
            }
            Ok(()) if !patient => return None,
            Ok(()) => {}
        }
        // So that those who may wait for a day don't take the place of those who wait for a run.
        let half = bounds(all.div_ceil(2), of_one.div_ceil(2));
        let whose = match self.patient_transfers.has_room(of, more, half).err()? {
            Full::All => "those that may wait here",
            Full::OfOne => "those of this connection that may wait",
        };
        Some(format!("already half of {whose} wait for money"))
    }

    /// Something waits that holds up later transfers of this account.
    pub fn holds_up(&self, account: &AccountId) -> bool {
        self.queues.contains_key(account)
            || (planted!(PatientHoldsUp) && self.patient.contains_key(account))
            || (planted!(OneHoldsUpAll) && !self.queues.is_empty())
    }

    /// What holds up this account, the oldest first.
    pub fn queue(&self, account: &AccountId) -> impl Iterator<Item = WaitId> + '_ {
        self.queues.get(account).into_iter().flatten().copied()
    }

    /// All that a run could bring something to.
    pub fn ids(&self) -> BTreeSet<WaitId> {
        self.waits.keys().chain(self.settling.keys()).copied().collect()
    }

    /// All groups, in the order in which they came.
    pub fn waits(&self) -> impl Iterator<Item = &Wait> {
        self.waits.values()
    }

    /// A name for something that begins to wait.
    pub fn name(&mut self) -> WaitId {
        self.named += 1;
        WaitId(self.named)
    }

    pub fn get(&self, id: WaitId) -> Option<&Wait> {
        self.waits.get(&id)
    }

    fn insert(&mut self, id: WaitId, wait: Wait) {
        self.transfers.take(wait.of, wait.members.len());
        if wait.patient {
            self.patient_transfers.take(wait.of, wait.members.len());
        }
        *self.needs.entry(wait.need).or_default() += 1;
        let queues = if wait.patient { &mut self.patient } else { &mut self.queues };
        for account in &wait.accounts {
            queues.entry(account.clone()).or_default().insert(id);
        }
        self.waits.insert(id, wait);
    }

    /// Takes out a group; its accounts are to be looked at.
    pub fn take(&mut self, id: WaitId) -> Option<Wait> {
        let wait = self.waits.remove(&id)?;
        self.transfers.give_back(wait.of, wait.members.len());
        if wait.patient {
            self.patient_transfers.give_back(wait.of, wait.members.len());
        }
        self.lessen(wait.need);
        let queues = if wait.patient { &mut self.patient } else { &mut self.queues };
        for account in &wait.accounts {
            leave(queues, account, id);
            self.touched.insert(account.clone());
        }
        Some(wait)
    }

    fn lessen(&mut self, need: Need) {
        if let Some(count) = self.needs.get_mut(&need) {
            *count -= 1;
            if *count == 0 {
                self.needs.remove(&need);
            }
        }
    }

    /// Notes what a group needs by now.
    pub fn set_need(&mut self, id: WaitId, need: Need) {
        if let Some(wait) = self.waits.get_mut(&id) {
            let before = std::mem::replace(&mut wait.need, need);
            *self.needs.entry(need).or_default() += 1;
            self.lessen(before);
        }
    }

    /// Whether a group stands first in all queues that it is in.
    pub fn is_first(&self, id: WaitId) -> bool {
        let first = |account| self.queue(account).next() == Some(id);
        self.waits.get(&id).is_some_and(|wait| wait.accounts.iter().all(first))
    }

    /// The patient groups of an account that nothing else of their accounts goes before.
    pub fn patient(&self, account: &AccountId) -> Vec<WaitId> {
        let free = |id: &WaitId| {
            let wait = self.waits.get(id);
            wait.is_some_and(|wait| !wait.accounts.iter().any(|account| self.holds_up(account)))
        };
        self.patient.get(account).into_iter().flatten().copied().filter(free).collect()
    }

    /// An account has more than before.
    pub fn credited(&mut self, account: &AccountId) {
        if self.queues.contains_key(account) || self.patient.contains_key(account) {
            self.touched.insert(account.clone());
        }
    }

    /// All accounts of which something waits are to be looked at.
    pub fn touch_all(&mut self) {
        self.touched = self.queues.keys().chain(self.patient.keys()).cloned().collect();
    }

    /// The next account that is to be looked at.
    pub fn next_touched(&mut self) -> Option<AccountId> {
        self.touched.pop_first()
    }

    /// A group has waited for a run in vain: it has to hear these servers next time.
    pub fn is_unanswered_by(&mut self, id: WaitId, missing: &BTreeSet<ServerId>) {
        if let Some(wait) = self.waits.get_mut(&id) {
            wait.unanswered.clone_from(missing);
        }
    }
}

impl Server {
    /// Lets a group wait: behind what holds up its accounts, or, if it may wait for money, beside it.
    pub(super) fn wait(&mut self, of: ConnectionId, group: Vec<Member>, need: Need) {
        let limits = &self.config.limits;
        let patience = group.iter().filter_map(|member| member.instruction.wait_ms).max();
        let no_room = self.waiting.has_no_room(of, group.len(), patience.is_some(), limits);
        if let Some(reason) = no_room {
            return self.reject(group, (0, Outcome::Unavailable { reason }));
        }
        let mut tickets = group.iter().flat_map(|member| &member.tickets);
        if !tickets.all(|ticket| self.calls.may_wait(ticket.call, limits)) {
            return self.reject(group, (0, Outcome::Unavailable { reason: TOO_MUCH.into() }));
        }
        let id = self.waiting.name();
        for Member { instruction, .. } in &group {
            if let Some(request) = &instruction.request {
                let fate = Fate::Waiting(id);
                self.sessions.remember(request, &instruction.action, instruction.linked, fate);
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
        let (unanswered, since) = (BTreeSet::new(), self.runs);
        let wait = Wait { members: group, of, accounts, need, patient, unanswered, since };
        self.waiting.insert(id, wait);
    }

    /// A retry of one that waits takes over its reply.
    pub(super) fn join_wait(&mut self, id: WaitId, again: &Instruction, tickets: &[Ticket]) {
        let members = self.waiting.waits.get_mut(&id).map(|wait| &mut wait.members);
        let mut members = members.into_iter().flatten();
        let same = |member: &&mut Member| member.instruction.request == again.request;
        let Some(member) = members.find(same) else { return };
        member.instruction.settled = again.settled;
        for ticket in tickets {
            if let Some(older) = member.tickets.first().filter(|older| older.call != ticket.call) {
                self.calls.forget(older.call);
                member.tickets.clear();
            }
            member.tickets.push(*ticket);
        }
        let limits = &self.config.limits;
        let too_much = tickets.iter().find(|ticket| !self.calls.may_wait(ticket.call, limits));
        let Some(Ticket { call, .. }) = too_much else { return };
        // It may yet happen, so it has no outcome; and nothing is to be kept for this reply.
        member.tickets.clear();
        if let Some((connection, id)) = self.calls.give_up(*call) {
            self.reply_error(connection, id, ErrorCode::Unavailable, TOO_MUCH.into());
        }
    }

    /// Something waited long enough for a run: it has not happened and will not.
    pub(super) fn deadline(&mut self, id: WaitId) {
        match self.waiting.take(id) {
            Some(wait) => {
                let reason = self.why_undecided(wait.since);
                self.reject(wait.members, (0, Outcome::Unavailable { reason }));
            }
            None => self.settling_took_too_long(id),
        }
    }

    /// For people: why something has waited in vain since these runs.
    pub(super) fn why_undecided(&self, since: Runs) -> String {
        let names = |connected: bool| {
            let ids = self.peers.iter().filter(|(_, peer)| peer.is_connected() == connected);
            ids.map(|(id, _)| id.as_str()).collect::<Vec<_>>()
        };
        let (here, away) = (names(true), names(false).join(", "));
        let (won, lost) = (self.runs.won - since.won, self.runs.lost - since.lost);
        let who = match &away[..] {
            "" => "all servers are connected".into(),
            away => format!("{away} not connected"),
        };
        match (won, lost) {
            (1, _) => format!("one Paxos run got through in time, but brought no answer; {who}"),
            (2.., _) => {
                format!("{won} Paxos runs got through in time, but none brought an answer; {who}")
            }
            _ if here.len() + 1 < self.majority() => format!("no majority in time: {who}"),
            (_, 0) if away.is_empty() => format!("no Paxos run got through in time, though {who}"),
            (_, 0) => {
                format!("no Paxos run got through in time: {who}, {} is", here.join(", "))
            }
            (..) => format!("no Paxos run got through in time: {lost} lost to others; {who}"),
        }
    }

    /// A group has waited for money as long as it was allowed to: from now on it waits like any
    /// other, for a run that says whether there is some.
    pub(super) fn patience_is_over(&mut self, id: WaitId) {
        let Some(mut wait) = self.waiting.take(id) else { return };
        // While it was patient others spent from its accounts, perhaps since the run prepared.
        if !planted!(PatienceIgnoresDebits) {
            self.needs_another_run(id);
        }
        (wait.patient, wait.since) = (false, self.runs);
        wait.need = match self.weigh(&wait.members) {
            Err((_, error)) => need_of(&error).unwrap_or(Need::Money),
            Ok(()) => Need::Turn,
        };
        self.waiting.insert(id, wait);
        self.set(Timer::Deadline(id));
    }

    /// An account was debited: what waits behind that must be weighed by a run that comes after it.
    pub(super) fn debited(&mut self, account: &AccountId) {
        if planted!(RefusedThoughDebited) {
            return;
        }
        let mut queue: Vec<WaitId> = self.waiting.queue(account).collect();
        if planted!(DebitSparesTheThird) {
            queue.truncate(1);
        }
        queue.into_iter().for_each(|id| self.needs_another_run(id));
    }

    /// Neither the run under way nor the one that was just concluded may refuse this.
    fn needs_another_run(&mut self, id: WaitId) {
        if let Some(run) = &mut self.run {
            run.eligible.remove(&id);
        }
        if let Some(verdict) = &mut self.verdict {
            verdict.eligible.remove(&id);
        }
    }
}
