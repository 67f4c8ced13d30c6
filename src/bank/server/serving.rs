//! Clients' requests (DESIGN.md, "A transfer" and "Retries").

use super::Server;
use super::calls::Ticket;
use super::waiting::MAX_WAITING;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::blockchain::chain::Chain;
use crate::bank::effects::{Bound, Write};
use crate::bank::ids::{AccountId, ConnectionId, RequestId, SessionId};
use crate::bank::ledger::balances::LedgerError;
use crate::bank::ledger::entry::{Entry, Position, Via};
use crate::bank::ledger::sessions::{Fate, Found};
use crate::bank::request::{
    ErrorCode, MAX_LOG_PAGE, Outcome, PeerStatus, Reply, Request, Status, TransferRequest,
};

impl Server {
    /// A client asks.
    pub(super) fn request(&mut self, connection: ConnectionId, id: Option<u64>, request: Request) {
        let reply = match request {
            Request::Transfer(transfer) => {
                return self.transfers(connection, id, vec![transfer], true);
            }
            Request::Transfers(transfers) => {
                return self.transfers(connection, id, transfers, false);
            }
            Request::Status => Reply::Status(Box::new(self.status())),
            _ if !self.active => {
                Reply::Error { error: ErrorCode::Unavailable, message: self.not_open() }
            }
            Request::Settle => return self.settle(connection, id),
            Request::Chain { from, to } => {
                let height = self.chain().height();
                let to = to.unwrap_or(height).min(height);
                return self.effects.bind(Bound::ReadChain { connection, id, from, to });
            }
            Request::Session => self.open_session(connection),
            Request::Balance(account) => self.balance(account),
            Request::Log { after } => self.log_page(after),
        };
        self.effects.bind(Bound::Reply(connection, id, reply));
    }

    pub(super) fn reply_error(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
        error: ErrorCode,
        message: String,
    ) {
        let reply = Reply::Error { error, message };
        self.effects.bind(Bound::Reply(connection, id, reply));
    }

    fn not_open(&self) -> String {
        let names: Vec<String> = self.waits_for().iter().map(|id| id.to_string()).collect();
        format!("the bank is not open yet: {} waits for {}", self.config.id, names.join(", "))
    }

    fn open_session(&mut self, connection: ConnectionId) -> Reply {
        self.sessions_opened += 1;
        let Position { epoch, seq } = self.log.last();
        let session = SessionId {
            server: self.config.id.clone(),
            epoch,
            opened_at: seq,
            life: self.life,
            count: self.sessions_opened,
        };
        self.sessions.open(&session, connection);
        Reply::Session { session }
    }

    fn transfers(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
        transfers: Vec<TransferRequest>,
        single: bool,
    ) {
        if transfers.is_empty() {
            // There is no last outcome that would bring the reply.
            let reply = Reply::Transfers { outcomes: Vec::new() };
            return self.effects.bind(Bound::Reply(connection, id, reply));
        }
        let call = self.calls.open(connection, id, transfers.len(), single);
        for (place, mut transfer) in transfers.into_iter().enumerate() {
            transfer.from.get_or_insert_with(|| AccountId::of(&self.config.id));
            let ticket = Ticket { call, place };
            if let Some(outcome) = self.transfer(connection, transfer, ticket) {
                self.resolve(ticket, outcome);
            }
        }
    }

    /// Hands an outcome to whoever holds the ticket.
    pub(super) fn resolve(&mut self, ticket: Ticket, outcome: Outcome) {
        if let Some(reply) = self.calls.resolve(ticket, outcome) {
            self.effects.bind(reply);
        }
    }

    /// The account that pays, which [`Server::transfers`] has filled in.
    pub(super) fn payer(&self, transfer: &TransferRequest) -> AccountId {
        transfer.from.clone().unwrap_or_else(|| AccountId::of(&self.config.id))
    }

    /// The outcome of a transfer, or None if that is told later. In this order: is the bank open, is
    /// it a retry, does it make sense, is it covered.
    fn transfer(
        &mut self,
        connection: ConnectionId,
        transfer: TransferRequest,
        ticket: Ticket,
    ) -> Option<Outcome> {
        if !self.active {
            return Some(Outcome::Unavailable { reason: self.not_open() });
        }
        let Some(request) = transfer.request.clone() else {
            return self.new_transfer(transfer, ticket);
        };
        if let Err(reason) = self.is_session(&request) {
            return Some(Outcome::Invalid { reason });
        }
        match self.sessions.find(&request, &transfer, connection) {
            Found::New => {
                let outcome = self.new_transfer(transfer.clone(), ticket);
                if let Some(outcome) = &outcome
                    && !matches!(outcome, Outcome::Accepted { .. })
                {
                    let fate = Fate::Rejected(outcome.clone());
                    self.sessions.remember(&request, &transfer, fate);
                }
                outcome
            }
            Found::Known(Fate::Accepted(position, via)) => {
                Some(self.accepted_before(&transfer, position, via))
            }
            Found::Known(Fate::Rejected(outcome)) => Some(outcome),
            Found::Known(Fate::Waiting(wait)) => {
                self.join_wait(wait, ticket);
                None
            }
            Found::Expired => Some(Outcome::Expired {
                reason: format!("{request} is too long ago: what became of it is not known here"),
            }),
            Found::Reused => Some(Outcome::Invalid {
                reason: format!("{request} was another transfer; a new one takes a new number"),
            }),
            Found::Stale => {
                self.debug(|| format!("{request} came on an older connection of its session"));
                self.calls.forget(ticket.call);
                None
            }
        }
    }

    fn is_session(&self, request: &RequestId) -> Result<(), String> {
        let SessionId { server, epoch, opened_at, .. } = &request.session;
        let Position { epoch: present, seq } = self.log.last();
        if *server != self.config.id {
            return Err(format!("{} is a session with server {server}", request.session));
        }
        if *epoch != present || *opened_at > seq {
            return Err(format!("{} is no session of this server's", request.session));
        }
        Ok(())
    }

    fn accepted_before(&self, transfer: &TransferRequest, at: Position, via: Via) -> Outcome {
        Outcome::Accepted {
            server: self.config.id.clone(),
            epoch: at.epoch,
            seq: at.seq,
            balance: self.local.of(&self.payer(transfer)).unwrap_or_default(),
            via,
            repeated: true,
        }
    }

    /// A transfer that is no retry.
    fn new_transfer(&mut self, transfer: TransferRequest, ticket: Ticket) -> Option<Outcome> {
        let payer = self.payer(&transfer);
        let checked = match self.local.check(&payer, &transfer.to, transfer.amount) {
            _ if payer.home() != self.config.id.as_str() => {
                Err(LedgerError::NotHome(payer.clone()))
            }
            checked => checked,
        };
        match checked {
            // What waits already goes first.
            Ok(()) if !self.waiting.holds_up(&payer) || planted!(WaitingOvertaken) => {
                Some(self.accept_transfer(&transfer, Via::Local))
            }
            Ok(()) | Err(LedgerError::Overdraft { .. }) => {
                if self.waiting.transfers() >= MAX_WAITING {
                    let reason = format!("already {MAX_WAITING} transfers wait at this server");
                    return Some(Outcome::Unavailable { reason });
                }
                let request = transfer.request.clone();
                let wait = self.wait(transfer.clone(), ticket);
                if let Some(request) = request {
                    self.sessions.remember(&request, &transfer, Fate::Waiting(wait));
                }
                None
            }
            Err(error) => Some(Outcome::Invalid { reason: error.to_string() }),
        }
    }

    /// Accepts a transfer that is covered: an entry in the local log. After this point it happened.
    pub(super) fn accept_transfer(&mut self, transfer: &TransferRequest, via: Via) -> Outcome {
        let Position { epoch, seq } = self.log.last().next();
        let from = self.payer(transfer);
        let entry = Entry {
            server: self.config.id.clone(),
            epoch,
            seq,
            from: from.clone(),
            to: transfer.to.clone(),
            amount: transfer.amount,
            request: transfer.request.clone(),
            via,
        };
        self.local.apply(&entry).expect("an accepted transfer is covered");
        if let Some(request) = &entry.request {
            self.sessions.remember(request, transfer, Fate::Accepted(entry.position(), via));
        }
        self.append_to_log(entry);
        self.debited(&from);
        let balance = self.local.of(&from).unwrap_or_default();
        let server = self.config.id.clone();
        Outcome::Accepted { server, epoch, seq, balance, via, repeated: false }
    }

    fn append_to_log(&mut self, entry: Entry) {
        let begins_element = self.log.append(entry.clone());
        let open = self.effects.writes.iter_mut().rev().find_map(|write| match write {
            Write::Log(entries) => Some(entries),
            _ => None,
        });
        match open {
            Some(entries) if !begins_element => entries.push(entry),
            _ => {
                assert!(begins_element, "an element is open only within its turn");
                self.write(Write::Log(vec![entry]));
            }
        }
    }

    fn balance(&self, account: Option<AccountId>) -> Reply {
        let account = account.unwrap_or_else(|| AccountId::of(&self.config.id));
        match (self.local.of(&account), self.chain().committed().of(&account)) {
            (Some(balance), Some(committed)) => {
                Reply::Balance { account, balance, committed, height: self.chain().height() }
            }
            _ => Reply::Error {
                error: ErrorCode::UnknownAccount,
                message: LedgerError::UnknownAccount(account).to_string(),
            },
        }
    }

    fn log_page(&self, after: Option<Position>) -> Reply {
        let wanted = |entry: &&Entry| after.is_none_or(|after| entry.position() > after);
        let mut entries: Vec<Entry> =
            self.log.entries().filter(wanted).take(MAX_LOG_PAGE + 1).cloned().collect();
        let more = entries.len() > MAX_LOG_PAGE;
        entries.truncate(MAX_LOG_PAGE);
        Reply::Log { server: self.config.id.clone(), entries, more }
    }

    fn status(&self) -> Status {
        let run = match &self.run {
            Some(run) => run.describe(),
            None if self.backing_off => "backing off",
            None => "idle",
        };
        let peers = self.peers.iter().map(|(id, peer)| PeerStatus {
            id: id.clone(),
            connected: peer.is_connected(),
            height: peer.height,
        });
        Status {
            server: self.config.id.clone(),
            start: self.start,
            instance: self.instance,
            life: self.life,
            turn: self.turn,
            active: self.active,
            waiting_for: self.waits_for(),
            height: self.height(),
            head: self.chain.as_ref().map_or(BlockHash::NONE, Chain::head),
            log_length: self.log.len(),
            waiting: self.waiting.transfers(),
            promised: self.acceptor.promised().cloned(),
            run: run.into(),
            peers: peers.collect(),
        }
    }
}
