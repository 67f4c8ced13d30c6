//! Transfers that the local balance does not cover, and clients that settle: what waits for a run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Server;
use super::calls::Ticket;
use crate::bank::effects::{Bound, Timer, WaitId};
use crate::bank::ids::{AccountId, ConnectionId, ServerId};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::entry::Via;
use crate::bank::ledger::sessions::Fate;
use crate::bank::request::{ErrorCode, Outcome, Reply, TransferRequest};

/// The most transfers and settling clients that may wait at one server.
pub const MAX_WAITING: usize = 10_000;

/// A transfer that waits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wait {
    id: WaitId,
    /// With its payer filled in.
    transfer: TransferRequest,
    /// Who is to be told: places in one request, which may name the transfer more than once.
    tickets: Vec<Ticket>,
    /// Connected servers that did not answer a run which would otherwise have refused it.
    unanswered: BTreeSet<ServerId>,
}

/// A client that waits for the logs to be settled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Settling {
    id: WaitId,
    connection: ConnectionId,
    request: Option<u64>,
    unanswered: BTreeSet<ServerId>,
}

/// All that waits: first in, first out per account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    queues: BTreeMap<AccountId, VecDeque<Wait>>,
    settling: Vec<Settling>,
    named: u64,
}

/// What a run allows to refuse: one that this server prepared, that built its own block or found all
/// logs empty, and that cut nothing off.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Verdict {
    /// What had come in before it prepared, and whose account has not been debited since.
    pub eligible: BTreeSet<WaitId>,
    /// The servers whose logs were looked at.
    pub consulted: BTreeSet<ServerId>,
}

impl Waiting {
    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.settling.is_empty()
    }

    /// Some transfer waits.
    pub fn has_transfers(&self) -> bool {
        !self.queues.is_empty()
    }

    /// How many transfers wait.
    pub fn transfers(&self) -> usize {
        self.queues.values().map(VecDeque::len).sum()
    }

    /// A transfer of this account waits.
    pub fn holds_up(&self, account: &AccountId) -> bool {
        self.queues.contains_key(account)
    }

    /// All that waits now.
    pub fn ids(&self) -> BTreeSet<WaitId> {
        let transfers = self.queues.values().flatten().map(|wait| wait.id);
        transfers.chain(self.settling.iter().map(|settling| settling.id)).collect()
    }

    /// Whether transfers wait, nobody settles, and these balances cover them all.
    pub fn all_covered_by(&self, balances: &Balances) -> bool {
        self.has_transfers()
            && self.settling.is_empty()
            && self.queues.iter().all(|(account, queue)| {
                let mut rest = balances.of(account);
                for wait in queue {
                    rest = rest.and_then(|rest| rest.minus(wait.transfer.amount));
                }
                rest.is_some()
            })
    }

    fn name(&mut self) -> WaitId {
        self.named += 1;
        WaitId(self.named)
    }

    fn head(&self, account: &AccountId) -> Option<&Wait> {
        self.queues.get(account)?.front()
    }

    fn pop(&mut self, account: &AccountId) -> Option<Wait> {
        let queue = self.queues.get_mut(account)?;
        let wait = queue.pop_front();
        if queue.is_empty() {
            self.queues.remove(account);
        }
        wait
    }

    fn remove(&mut self, id: WaitId) -> Option<Wait> {
        let (account, place) = self.queues.iter().find_map(|(account, queue)| {
            let place = queue.iter().position(|wait| wait.id == id)?;
            Some((account.clone(), place))
        })?;
        let queue = self.queues.get_mut(&account)?;
        let wait = queue.remove(place);
        if queue.is_empty() {
            self.queues.remove(&account);
        }
        wait
    }

    fn remove_settling(&mut self, id: WaitId) -> Option<Settling> {
        let place = self.settling.iter().position(|settling| settling.id == id)?;
        Some(self.settling.remove(place))
    }

    fn unanswered_by(&mut self, id: WaitId) -> Option<&mut BTreeSet<ServerId>> {
        let transfers = self.queues.values_mut().flatten();
        let transfers = transfers.map(|wait| (wait.id, &mut wait.unanswered));
        let settling = self.settling.iter_mut().map(|s| (s.id, &mut s.unanswered));
        transfers.chain(settling).find(|(found, _)| *found == id).map(|(_, unanswered)| unanswered)
    }
}

impl Server {
    /// Puts a transfer at the end of its account's queue.
    pub(super) fn wait(&mut self, transfer: TransferRequest, ticket: Ticket) -> WaitId {
        let id = self.waiting.name();
        let account = self.payer(&transfer);
        let wait = Wait { id, transfer, tickets: vec![ticket], unanswered: BTreeSet::new() };
        self.waiting.queues.entry(account).or_default().push_back(wait);
        self.set(Timer::Deadline(id));
        id
    }

    /// A retry of a transfer that waits takes over its reply.
    pub(super) fn join_wait(&mut self, id: WaitId, ticket: Ticket) {
        let mut waits = self.waiting.queues.values_mut().flatten();
        if let Some(wait) = waits.find(|wait| wait.id == id) {
            if let Some(older) = wait.tickets.first().filter(|older| older.call != ticket.call) {
                self.calls.forget(older.call);
                wait.tickets.clear();
            }
            wait.tickets.push(ticket);
        }
    }

    /// A client settles: it waits for a run that begins now.
    pub(super) fn settle(&mut self, connection: ConnectionId, request: Option<u64>) {
        if self.waiting.settling.len() >= MAX_WAITING {
            let message = format!("already {MAX_WAITING} clients wait for a settlement");
            return self.reply_error(connection, request, ErrorCode::Unavailable, message);
        }
        let id = self.waiting.name();
        let unanswered = BTreeSet::new();
        self.waiting.settling.push(Settling { id, connection, request, unanswered });
        self.set(Timer::Deadline(id));
    }

    /// Something waited long enough: it has not happened and will not.
    pub(super) fn deadline(&mut self, id: WaitId) {
        let reason = self.no_majority();
        if let Some(wait) = self.waiting.remove(id) {
            self.look_again = true;
            self.reject(wait, Outcome::Unavailable { reason });
        } else if let Some(settling) = self.waiting.remove_settling(id) {
            let Settling { connection, request, .. } = settling;
            self.reply_error(connection, request, ErrorCode::Unavailable, reason);
        }
    }

    fn no_majority(&self) -> String {
        let names = |connected: bool| {
            let ids = self.peers.iter().filter(|(_, peer)| peer.is_connected() == connected);
            ids.map(|(id, _)| id.as_str()).collect::<Vec<_>>().join(", ")
        };
        match (names(true).as_str(), names(false).as_str()) {
            (_, "") => "no Paxos run got through in time, though all servers are connected".into(),
            ("", lost) => format!("no majority in time: {lost} not connected"),
            (connected, lost) => {
                format!("no Paxos run got through in time: {lost} not connected, {connected} is")
            }
        }
    }

    /// An account was debited: what waits behind that must be weighed by a run that comes after it.
    pub(super) fn debited(&mut self, account: &AccountId) {
        let Some(queue) = self.waiting.queues.get(account) else { return };
        for wait in queue.iter().filter(|_| !planted!(RefusedThoughDebited)) {
            if let Some(run) = &mut self.run {
                run.eligible.remove(&wait.id);
            }
            if let Some(verdict) = &mut self.verdict {
                verdict.eligible.remove(&wait.id);
            }
        }
    }

    /// Looks at all that waits: serves what is covered now, and refuses what the run that was just
    /// concluded, if any, has shown not to be.
    pub(super) fn look_at_waiting(&mut self) {
        let missing = match &self.verdict {
            None => BTreeSet::new(),
            Some(_) if planted!(RefusedUnheard) => BTreeSet::new(),
            Some(verdict) => self.unheard(&verdict.consulted),
        };
        let accounts: Vec<AccountId> = self.waiting.queues.keys().cloned().collect();
        for account in accounts {
            self.look_at_queue(&account, &missing);
        }
        let Some(verdict) = self.verdict.take() else { return };
        self.look_at_settling(&verdict, &missing);
        // What is still there waits for one further run to hear those servers.
        for id in &verdict.eligible {
            if let Some(unanswered) = self.waiting.unanswered_by(*id) {
                unanswered.clone_from(&missing);
            }
        }
    }

    fn look_at_queue(&mut self, account: &AccountId, missing: &BTreeSet<ServerId>) {
        while let Some(head) = self.waiting.head(account) {
            let TransferRequest { to, amount, .. } = &head.transfer;
            if self.local.check(account, to, *amount).is_ok() {
                let Some(wait) = self.waiting.pop(account) else { return };
                self.cancel(Timer::Deadline(wait.id));
                let outcome = self.accept_transfer(&wait.transfer, Via::Paxos);
                self.resolve_all(&wait.tickets, &outcome);
                continue;
            }
            let refusable = self.verdict.as_ref().filter(|verdict| {
                (verdict.eligible.contains(&head.id) || planted!(RefusedByEarlierRun))
                    && missing.is_subset(&head.unanswered)
            });
            let Some(verdict) = refusable else { return };
            let outcome = self.refusal(account, &head.transfer, verdict);
            let Some(wait) = self.waiting.pop(account) else { return };
            self.cancel(Timer::Deadline(wait.id));
            self.reject(wait, outcome);
        }
    }

    fn refusal(&self, payer: &AccountId, wanted: &TransferRequest, verdict: &Verdict) -> Outcome {
        let balance = self.local.of(payer).unwrap_or_default();
        let (consulted, not_consulted) = self.consultation(verdict);
        let reason = format!("insufficient funds: {payer} has {balance}, {} asked", wanted.amount);
        Outcome::Refused { reason, balance, consulted, not_consulted }
    }

    fn consultation(&self, verdict: &Verdict) -> (Vec<ServerId>, Vec<ServerId>) {
        let servers = self.config.configuration.servers.iter().cloned();
        servers.partition(|server| verdict.consulted.contains(server))
    }

    fn reject(&mut self, wait: Wait, outcome: Outcome) {
        if let Some(request) = &wait.transfer.request {
            self.sessions.remember(request, &wait.transfer, Fate::Rejected(outcome.clone()));
        }
        self.resolve_all(&wait.tickets, &outcome);
    }

    fn resolve_all(&mut self, tickets: &[Ticket], outcome: &Outcome) {
        for ticket in tickets {
            self.resolve(*ticket, outcome.clone());
        }
    }

    fn look_at_settling(&mut self, verdict: &Verdict, missing: &BTreeSet<ServerId>) {
        let settled: Vec<WaitId> = (self.waiting.settling.iter())
            .filter(|s| verdict.eligible.contains(&s.id) && missing.is_subset(&s.unanswered))
            .map(|settling| settling.id)
            .collect();
        let (consulted, not_consulted) = self.consultation(verdict);
        for id in settled {
            let Some(settling) = self.waiting.remove_settling(id) else { continue };
            self.cancel(Timer::Deadline(id));
            let reply = Reply::Settled {
                settled: true,
                height: self.chain().height(),
                consulted: consulted.clone(),
                not_consulted: not_consulted.clone(),
            };
            self.effects.bind(Bound::Reply(settling.connection, settling.request, reply));
        }
    }
}
