//! Clients' requests: transfers and openings go on to `transfers`; all other requests, status too, are answered
//! here.

use super::Server;
use super::own::Leaving;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::issuing::left_to_issue;
use crate::bank::effects::Bound;
use crate::bank::ids::{AccountId, ConnectionId, ServerId};
use crate::bank::ledger::entry::{Entry, Position};
use crate::bank::ledger::rule::LedgerError;
use crate::bank::limits::{MAX_LOG_PAGE, MAX_LOOKED_THROUGH, MAX_PAGE};
use crate::bank::request::{
    AccountState, Cursor, ErrorCode, Follow, Following, Issued, PeerStatus, Query, Reply, Request,
    Status,
};

fn unknown(account: AccountId) -> Reply {
    let message = LedgerError::UnknownAccount(account).to_string();
    Reply::Error { error: ErrorCode::UnknownAccount, message }
}

fn moved_on() -> Reply {
    let message =
        "a block has come since the page before, and what was its end is in the chain now: \
        begin with the first page"
            .to_owned();
    Reply::Error { error: ErrorCode::BadRequest, message }
}

impl Server {
    /// Takes in a client's request.
    pub(super) fn on_request(
        &mut self,
        connection: ConnectionId,
        id: Option<u64>,
        request: Request,
    ) {
        if self.declines(connection, id, &request) {
            return;
        }
        let right = self.right_of(connection);
        if let Some(message) = self.rights().forbids(right, &request) {
            return self.reply_error(connection, id, ErrorCode::Forbidden, message);
        }
        let reply = match request {
            Request::One(instruction) => {
                return self.instructions(connection, id, vec![instruction], true);
            }
            Request::Batch(instructions) => {
                return self.instructions(connection, id, instructions, false);
            }
            Request::Status => {
                self.short_status(right).unwrap_or_else(|| Reply::Status(Box::new(self.status())))
            }
            Request::Rejoin(confirmed) => self.confirm_rejoin(connection, confirmed),
            _ if !self.takes_part() => {
                Reply::Error { error: ErrorCode::Unavailable, message: self.not_open() }
            }
            Request::Settle => return self.settle(connection, id),
            Request::Members(order) => return self.on_order(connection, id, order),
            Request::Chain { from, to } => {
                return self.read(connection, id, self.blocks(from, to));
            }
            Request::Follow(follow) => return self.begin_following(connection, id, follow),
            Request::History { account, before, limit } => {
                if self.ledger.balances.local(&account).is_some() {
                    let limit = limit.clamp(1, MAX_PAGE);
                    match self.account_state(&account, before) {
                        Some(state) => {
                            let query = Query::History { account, before, limit, state };
                            return self.read(connection, id, query);
                        }
                        None => moved_on(),
                    }
                } else {
                    unknown(account)
                }
            }
            Request::Accounts { prefix, after, limit } => {
                let limit = limit.clamp(1, MAX_PAGE);
                let (accounts, more) =
                    self.rights().accounts_for(right, &prefix, after.as_ref(), limit);
                Reply::Accounts { accounts, more }
            }
            Request::Session(named) => self.open_session(connection, named),
            Request::Balance(account) => self.balance(account),
            Request::Log { after } => self.log_page(after),
        };
        self.effects.bind(Bound::Reply(connection, id, reply));
    }

    fn blocks(&self, from: u64, to: Option<u64>) -> Query {
        let height = self.chain().height();
        Query::Chain { from, to: to.unwrap_or(height).min(height) }
    }

    /// Has the shell tell a client what comes, from what is so now.
    fn begin_following(&mut self, connection: ConnectionId, id: Option<u64>, follow: Follow) {
        let blocks = self.chain().height() + 1;
        let bank = self.chain().genesis_hash();
        let log = if follow.log { self.ledger.log.elements().collect() } else { Vec::new() };
        let following = Box::new(Following { follow, blocks, bank, log });
        self.effects.bind(Bound::Follow(connection, id, following));
    }

    /// Returns what a page of the account's statement starts from, with a piece of the log if it can hold
    /// anything of the account. None if the page before ended in the log, at entries that are now in the chain.
    fn account_state(&self, account: &AccountId, before: Option<Cursor>) -> Option<AccountState> {
        let in_log = before.is_none_or(|before| before.height == Cursor::IN_LOG);
        let end = before.map_or(u64::MAX, |before| before.place);
        let local = self.ledger.balances.local(account).unwrap_or_default();
        let mut state = AccountState {
            blocks: self.chain().height() + 1,
            committed: self.ledger.balances.committed(account),
            log: Vec::new(),
            older: false,
            balance: before.map_or(local, |before| before.balance),
        };
        if in_log && account.is_of(&self.config.id) {
            if end <= self.chain().included(&self.config.id).seq {
                return None;
            }
            (state.log, state.older) = self.ledger.log.before(end, MAX_LOOKED_THROUGH);
        }
        Some(state)
    }

    fn read(&mut self, connection: ConnectionId, id: Option<u64>, query: Query) {
        self.effects.bind(Bound::Read { connection, id, query });
    }

    pub(super) fn not_open(&self) -> String {
        if self.is_in_doubt() {
            return self.doubt();
        }
        match self.store.leaving {
            Leaving::No => {}
            Leaving::Asked => {
                return format!(
                    "{} is to be dismissed, and serves nothing until a block has decided",
                    self.config.id
                );
            }
            Leaving::Dismissed => {
                return format!(
                    "{} is dismissed: it is no member of this bank any more",
                    self.config.id
                );
            }
        }
        if self.joins() {
            return format!(
                "{} is no member of this bank yet: an operator has to order it at a member (admit)",
                self.config.id
            );
        }
        if self.rejoins() {
            return format!(
                "{} rejoins: it serves when the chain names its new store",
                self.config.id
            );
        }
        if let Some(why) = self.waits_for_its_bank() {
            return why;
        }
        let names: Vec<String> = self.waits_for().iter().map(|id| id.to_string()).collect();
        let waits_for = match self.chain.as_ref().filter(|_| names.is_empty()) {
            Some(chain) => chain.opening_in_words(),
            None => names.join(", "),
        };
        format!("the bank is not open yet: {} waits for {waits_for}", self.config.id)
    }

    fn balance(&self, account: Option<AccountId>) -> Reply {
        let account = account.unwrap_or_else(|| AccountId::of(&self.config.id));
        let Some(balance) = self.ledger.balances.local(&account) else { return unknown(account) };
        let committed = self.ledger.balances.committed(&account);
        Reply::Balance { account, balance, committed, height: self.chain().height() }
    }

    fn log_page(&self, after: Option<Position>) -> Reply {
        let server = self.config.id.clone();
        let after = after.unwrap_or(self.chain().included(&server));
        let mut entries: Vec<Entry> =
            self.ledger.log.entries_after(&server, after).take(MAX_LOG_PAGE + 1).collect();
        let more = entries.len() > MAX_LOG_PAGE;
        entries.truncate(MAX_LOG_PAGE);
        Reply::Log { server, entries, more }
    }

    /// Returns why this server serves no transfers as a home, if it serves none.
    fn not_serving(&self) -> Option<String> {
        if !self.takes_part() {
            return Some(self.not_open());
        }
        let why = self.store.no_writes.as_ref()?;
        Some(format!("{} only reads: its store takes no writes: {why}", self.config.id))
    }

    /// Returns what the server knows of itself. A client may hear it only when the turn is durable.
    pub fn status(&self) -> Status {
        let run = match &self.proposer.run {
            Some(run) => run.describe(),
            None if self.pace.is_backing_off() => "backing off",
            None => "idle",
        };
        let peers = self.peers.iter().map(|(id, peer)| PeerStatus {
            id: id.clone(),
            address: self.address(id).unwrap_or_default().to_owned(),
            connected: peer.is_connected(),
            height: peer.height,
            turn: peer.seen.map(|seen| seen.turn),
            heard_ms: None,
            entries_per_second: None,
        });
        let asked = self.members().filter(|_| self.proposer.run.is_some());
        let has_answered =
            |server: &ServerId| self.proposer.run.as_ref().is_some_and(|run| run.has_heard(server));
        let (answered, unanswered) = asked.cloned().partition(has_answered);
        Status {
            server: self.config.id.clone(),
            start: self.store.start,
            instance: self.store.instance,
            life: self.store.life,
            turn: self.store.turn,
            active: self.store.active,
            waiting_for: self.waits_for(),
            no_writes: self.store.no_writes.clone(),
            not_serving: self.not_serving(),
            hears_majority: Some(self.sees_majority()),
            bank: self.bank(),
            total: self
                .chain
                .as_ref()
                .and_then(|chain| u64::try_from(chain.money()).ok().and_then(Amount::new)),
            issued: self.issued(),
            height: self.height(),
            head: self.chain.as_ref().map_or(BlockHash::NONE, Chain::head),
            included: self.chain.as_ref().map(|c| c.derived().included.clone()).unwrap_or_default(),
            log_length: self.ledger.log.len(),
            waiting: self.waiting.transfers(),
            accounts: self.ledger.balances.accounts(),
            promised: self.voter.acceptor.promised().cloned(),
            accepted: self.voter.acceptor.accepted().map(|(ballot, _)| ballot.clone()),
            run: run.into(),
            ballot: self.proposer.run.as_ref().map(|run| run.plan.ballot.clone()),
            answered,
            unanswered,
            keyed: self.is_keyed(),
            keys: self.chain.as_ref().map(|c| c.derived().keys.clone()).unwrap_or_default(),
            peers: peers.collect(),
            measured: None,
        }
    }

    /// Returns how much money was issued, in a bank that was founded for it.
    fn issued(&self) -> Option<Issued> {
        let chain = self.chain.as_ref().filter(|chain| chain.genesis().issuing)?;
        let here = self.issued_here();
        Some(Issued { all: chain.issued(), here, left_here: left_to_issue(here) })
    }
}
