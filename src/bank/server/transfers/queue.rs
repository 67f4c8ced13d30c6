//! The queue: groups of transfers that the local balances do not cover, and clients that settle.

use std::collections::{BTreeMap, BTreeSet};

use super::super::own::Ledger;
use super::super::rights::Right;
use super::calls::Ticket;
use super::held::{Bounds, Full, Held};
use super::until_settled::{Settling, Unsettled};
use super::verdict::Verdict;
use crate::bank::ids::{AccountId, ConnectionId, ServerId, WaitId};
use crate::bank::ledger::balances::View;
use crate::bank::ledger::rule::LedgerError;
use crate::bank::ledger::trial::Trial;
use crate::bank::limits::Limits;
use crate::bank::paxos::knowledge::Knowledge;
use crate::bank::reason::{Code, Reason};
use crate::bank::request::{Instruction, Outcome};
use crate::bank::status::Runs;

/// The member of a group that stands in the way of all: its place, and its outcome.
pub(in crate::bank::server) type Culprit = (usize, Outcome);

/// A member of a group, with the places in requests that wait for its outcome; a request may have it twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Member {
    pub instruction: Instruction,
    pub tickets: Vec<Ticket>,
}

/// The need for which a group waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::bank::server) enum Need {
    /// A run that finds money, or shows that there is none.
    Money,
    /// A run that finds the payee, or shows that nobody knows it.
    Payee,
    /// Money that comes by itself: a run has looked for it already.
    Time,
    /// Its turn: nothing was missing when it came, but what waits already goes first.
    Turn,
}

/// A group that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Wait {
    pub members: Vec<Member>,
    /// The connection that brought it, and in whose share it counts.
    pub of: ConnectionId,
    /// The right by which it was asked for.
    pub right: Right,
    /// The accounts that it debits.
    pub accounts: BTreeSet<AccountId>,
    pub need: Need,
    /// True if it doesn't hold up its accounts, and can't be refused yet.
    pub patient: bool,
    /// The servers whose silence kept the last run from refusing this group. The next run treats them as not
    /// consulted.
    pub unanswered: BTreeSet<ServerId>,
    /// The outcomes of this server's runs when it began to wait for one.
    pub since: Runs,
}

impl Wait {
    /// Returns 1 if a run had to serve it, 0 if it had only waited for its turn.
    pub fn is_due_to_a_run(&self) -> usize {
        usize::from(matches!(self.need, Need::Money | Need::Payee))
    }
}

/// Everything that waits. A [`WaitId`] tells when it came, so a queue is a set of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Waiting {
    pub waits: BTreeMap<WaitId, Wait>,
    /// The groups in order, first in, first out, for each account that they debit.
    queues: BTreeMap<AccountId, BTreeSet<WaitId>>,
    /// The groups that don't hold anything up.
    patient: BTreeMap<AccountId, BTreeSet<WaitId>>,
    /// How many groups have each need.
    needs: BTreeMap<Need, usize>,
    /// The transfers in all groups.
    transfers: Held,
    /// The transfers among them that may wait for money.
    patient_transfers: Held,
    pub settling: BTreeMap<WaitId, Settling>,
    /// The requests that are answered when their entries are in a block, by their calls.
    pub unsettled: BTreeMap<u64, Unsettled>,
    /// True if clients were just told that their entries are in a block.
    pub just_told: bool,
    /// The accounts with waiting groups that should be looked at.
    touched: BTreeSet<AccountId>,
    named: u64,
    /// True if everything that waits has to be looked at again.
    pub look_again: bool,
    /// What the run that was just concluded allows to refuse.
    pub verdict: Option<Verdict>,
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
    /// True if a group waits for money to be found, or for a payee.
    pub fn has_transfers(&self) -> bool {
        self.count(Need::Money) + self.count(Need::Payee) > 0
    }

    /// Returns how many groups have this need.
    pub fn count(&self, need: Need) -> usize {
        self.needs.get(&need).copied().unwrap_or(0)
    }

    /// Returns how many transfers wait.
    pub fn transfers(&self) -> usize {
        self.transfers.all()
    }

    /// Returns why `more` transfers of a connection may not wait, if they may not. A single group is never too
    /// large.
    pub fn has_no_room(
        &self,
        of: ConnectionId,
        more: usize,
        patient: bool,
        limits: &Limits,
    ) -> Option<Reason> {
        let (all, of_one) = (limits.waiting, limits.waiting_of_one);
        let too_much = |words| Some(Reason::new(Code::TooMuchWaits, words));
        let bounds = |all: usize, of_one: usize| {
            let anyway = if planted!(TwoFillTheWaits) { 0 } else { limits.waiting_anyway };
            Bounds { all: all.max(more), of_one: of_one.max(more), anyway }
        };
        match self.transfers.has_room(of, more, bounds(all, of_one)) {
            Err(Full::All) => {
                return too_much(format!("already {all} transfers wait at this server"));
            }
            Err(Full::OfOne) => {
                return too_much(format!("already {of_one} transfers of this connection wait"));
            }
            Ok(()) if !patient => return None,
            Ok(()) => {}
        }
        // So that transfers that may wait for a day don't take the place of those that wait for a run.
        let half = bounds(all.div_ceil(2), of_one.div_ceil(2));
        let whose = match self.patient_transfers.has_room(of, more, half).err()? {
            Full::All => "those that may wait here",
            Full::OfOne => "those of this connection that may wait",
        };
        too_much(format!("already half of {whose} wait for money"))
    }

    /// True if a group waits that holds up later transfers of this account.
    pub fn holds_up(&self, account: &AccountId) -> bool {
        self.queues.contains_key(account)
            || (planted!(PatientHoldsUp) && self.patient.contains_key(account))
            || (planted!(OneHoldsUpAll) && !self.queues.is_empty())
    }

    /// Returns the groups that hold up this account, the oldest first.
    pub fn queue(&self, account: &AccountId) -> impl Iterator<Item = WaitId> + '_ {
        self.queues.get(account).into_iter().flatten().copied()
    }

    /// Returns everything to which a run could bring something.
    pub fn ids(&self) -> BTreeSet<WaitId> {
        self.waits.keys().chain(self.settling.keys()).copied().collect()
    }

    /// Returns all groups, in the order in which they came.
    pub fn waits(&self) -> impl Iterator<Item = &Wait> {
        self.waits.values()
    }

    /// Returns a name for something that begins to wait.
    pub fn name(&mut self) -> WaitId {
        self.named += 1;
        WaitId(self.named)
    }

    pub fn get(&self, id: WaitId) -> Option<&Wait> {
        self.waits.get(&id)
    }

    pub fn insert(&mut self, id: WaitId, wait: Wait) {
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

    /// Takes a group out. Its accounts have to be looked at.
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

    /// True if a group is first in all queues that it is in.
    pub fn is_first(&self, id: WaitId) -> bool {
        let first = |account| self.queue(account).next() == Some(id);
        self.waits.get(&id).is_some_and(|wait| wait.accounts.iter().all(first))
    }

    /// Returns the patient groups of an account that nothing else of their accounts goes before.
    pub fn patient(&self, account: &AccountId) -> Vec<WaitId> {
        let free = |id: &WaitId| {
            let wait = self.waits.get(id);
            wait.is_some_and(|wait| !wait.accounts.iter().any(|account| self.holds_up(account)))
        };
        self.patient.get(account).into_iter().flatten().copied().filter(free).collect()
    }

    /// Notes that an account has more than before.
    pub fn credited(&mut self, account: &AccountId) {
        if self.queues.contains_key(account) || self.patient.contains_key(account) {
            self.touched.insert(account.clone());
        }
    }

    /// Marks all accounts with waiting groups to be looked at.
    pub fn touch_all(&mut self) {
        self.touched = self.queues.keys().chain(self.patient.keys()).cloned().collect();
    }

    /// Takes the next account that has to be looked at.
    pub fn next_touched(&mut self) -> Option<AccountId> {
        self.touched.pop_first()
    }

    /// Notes that a group has waited for a run in vain. The next run treats these servers as not consulted.
    pub fn is_unanswered_by(&mut self, id: WaitId, missing: &BTreeSet<ServerId>) {
        if let Some(wait) = self.waits.get_mut(&id) {
            wait.unanswered.clone_from(missing);
        }
    }

    /// True if transfers wait, nobody settles, and these servers' logs bring what all of them need.
    pub fn is_covered_by(
        &self,
        ledger: &Ledger,
        known: &Knowledge,
        servers: &BTreeSet<ServerId>,
        me: &ServerId,
    ) -> bool {
        if !self.has_transfers() || !self.settling.is_empty() {
            return false;
        }
        let mut trial = Trial::new(&ledger.balances, View::Local);
        let others = servers.iter().filter(|server| *server != me);
        let logs = others.flat_map(|server| known.log(server));
        let records = logs.flat_map(|element| element.records());
        let waits = self.waits().filter(|wait| wait.need != Need::Time);
        let members = waits.flat_map(|wait| &wait.members);
        records
            .map(|record| &record.action)
            .chain(members.map(|member| &member.instruction.action))
            .all(|action| trial.apply(action).is_ok())
    }

    /// Returns the groups that wait behind an account that was debited.
    pub fn behind(&self, account: &AccountId) -> Vec<WaitId> {
        let mut queue: Vec<WaitId> = self.queue(account).collect();
        if planted!(DebitSparesTheThird) {
            queue.truncate(1);
        }
        queue
    }
}

/// Returns the accounts that a group debits, each once.
pub fn debited(group: &[Member]) -> BTreeSet<AccountId> {
    group.iter().filter_map(|member| member.instruction.action.payer().cloned()).collect()
}

/// Returns what could remedy an error, if anything could.
pub fn need_of(error: &LedgerError) -> Option<Need> {
    match error {
        LedgerError::Overdraft { .. } => Some(Need::Money),
        LedgerError::UnknownAccount(_) => Some(Need::Payee),
        _ => None,
    }
}
