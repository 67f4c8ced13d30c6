//! The judge's books: all entries, all blocks, all balances, kept outside the state machine.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::former::{Carried, NEXT};
use super::register::Register;
use super::tally::Mark;
use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::ids::{AccountId, InstanceId, RequestId, ServerId, SessionId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Entry};
use crate::bank::paxos::ballot::Ballot;
use crate::bank::request::Order;
use crate::bank::wall_time::WallTime;

/// (server, epoch, seq)
pub type Name = (ServerId, u64, u64);

pub fn name(entry: &Entry) -> Name {
    (entry.server.clone(), entry.epoch, entry.seq)
}

/// Accounts and what they hold.
pub type Accounts = BTreeMap<AccountId, i128>;

/// An entry takes effect on accounts of which it may ask everything.
fn apply(accounts: &mut Accounts, entry: &Entry) {
    let home = entry.record.action.subject().map(AccountId::home);
    let by_home = home.is_none_or(|home| home == entry.server.as_str());
    assert!(by_home, "only the home does that: {entry:?}");
    match &entry.record.action {
        Action::Open { account, .. } => {
            assert_eq!(accounts.insert(account.clone(), 0), None, "{account} is opened twice");
        }
        Action::Transfer { from, to, amount } => {
            let units = i128::from(amount.units());
            assert!(units > 0 && from != to, "that makes no sense: {entry:?}");
            let payer = accounts.get_mut(from).unwrap_or_else(|| panic!("no payer: {entry:?}"));
            *payer -= units;
            assert!(*payer >= 0, "{from} is below zero after {entry:?}");
            *accounts.get_mut(to).unwrap_or_else(|| panic!("no payee: {entry:?}")) += units;
        }
        Action::Mint { account, .. } | Action::Burn { account, .. } => {
            let units = i128::from(entry.record.action.issues());
            assert!(units != 0, "that makes no sense: {entry:?}");
            let holds =
                accounts.get_mut(account).unwrap_or_else(|| panic!("no account: {entry:?}"));
            *holds += units;
            assert!(*holds >= 0, "{account} is below zero after {entry:?}");
        }
        Action::Rekey { account, .. } => {
            assert!(accounts.contains_key(account), "no account: {entry:?}");
        }
        Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => {}
    }
}

/// A payment that became durable at its home. Money that is issued comes from nowhere, and goes there when it is taken
/// back.
pub struct Move {
    pub name: Name,
    pub server: ServerId,
    pub from: Option<AccountId>,
    pub to: Option<AccountId>,
    pub units: i128,
}

#[derive(Default)]
pub struct Books {
    /// What everybody holds when the bank opens, and the servers that found it.
    first: Accounts,
    servers: Vec<ServerId>,
    /// How many opening blocks there are.
    pub openings: u64,
    /// The epoch in which the bank begins.
    first_epoch: u64,
    /// How far names had come in the bank that this one goes on from.
    sessions: BTreeMap<SessionId, u64>,
    /// Counts what became durable.
    pub clock: usize,
    /// Every entry that was ever durable, as it was, and every element by its first entry.
    pub logged: BTreeMap<Name, Entry>,
    elements: BTreeMap<Name, Element>,
    /// The payments, in the order in which they came to be.
    pub moves: Vec<Move>,
    /// When each account was opened at its home.
    pub opened: BTreeMap<AccountId, usize>,
    /// When each server's chain first held an account.
    pub in_chain_of: BTreeMap<(AccountId, ServerId), usize>,
    /// What happened for a request.
    pub paid: HashMap<RequestId, Name>,
    /// Who accepted what in which ballot.
    accepts: HashMap<(u64, Ballot, BlockHash), BTreeSet<ServerId>>,
    pub heights: BTreeMap<u64, BlockHash>,
    pub in_block: BTreeMap<Name, u64>,
    /// What was issued beyond what was taken back, by the chain.
    issued: i128,
    /// When each server's last element was, in each of its epochs.
    times: BTreeMap<(ServerId, u64), WallTime>,
    /// What the chain comes to, and what each server decides by.
    chain: Accounts,
    pub views: BTreeMap<ServerId, Accounts>,
    /// Who takes part, by the chain that anybody has.
    pub register: Register,
    /// What operators have ordered about the members.
    pub ordered: Vec<Order>,
    /// Changes of the members that are in a log and in no block.
    pub changes: BTreeSet<Name>,
    /// The servers that have logged that they leave, and where.
    pub leaving: BTreeMap<ServerId, Name>,
    /// How high each server's chain is.
    pub tops: BTreeMap<ServerId, u64>,
    /// Whom a block named, and which one.
    pub named: BTreeMap<InstanceId, (ServerId, u64)>,
    /// The stores that were ever to come in place of others.
    pub waiting: BTreeSet<InstanceId>,
    /// The servers whose new store no block that they have names yet.
    pub learning: BTreeMap<ServerId, InstanceId>,
    /// What was lost with a store.
    pub lost: BTreeSet<Name>,
    pub marks: Vec<Mark>,
}

impl Books {
    pub fn new(opening: u64, servers: &[ServerId], carried: Option<&Carried>) -> Books {
        let own = |id| (AccountId::of(id), i128::from(opening));
        let mut books = Books {
            first: servers.iter().map(own).collect(),
            servers: servers.to_vec(),
            first_epoch: 1,
            ..Books::default()
        };
        if let Some(Carried { accounts, sessions, blocks, .. }) = carried {
            (books.first, books.sessions) = (accounts.clone(), sessions.clone());
            (books.openings, books.first_epoch) = (*blocks, NEXT);
        }
        books.chain = books.genesis();
        books.views = servers.iter().map(|id| (id.clone(), books.genesis())).collect();
        books
    }

    /// The epoch in which the bank begins.
    pub fn first_epoch(&self) -> u64 {
        self.first_epoch
    }

    pub fn is_founder(&self, server: &ServerId) -> bool {
        self.servers.contains(server)
    }

    /// What the chain comes to.
    pub fn chain(&self) -> &Accounts {
        &self.chain
    }

    /// What everybody holds at first.
    pub fn genesis(&self) -> Accounts {
        self.first.clone()
    }

    /// What an account held before anybody paid.
    pub fn at_first(&self, account: &AccountId) -> i128 {
        self.first.get(account).copied().unwrap_or_default()
    }

    /// Whether it is open, whoever may know that.
    pub fn is_open(&self, account: &AccountId) -> bool {
        self.opened.contains_key(account) || self.first.contains_key(account)
    }

    /// A server has made an element durable; returns its entries.
    pub fn log(&mut self, server: &ServerId, element: &Element) -> Vec<Entry> {
        let entries: Vec<Entry> = element.entries(server).collect();
        assert!(!self.is_learning(server), "{server} logs before the chain names its store");
        let leaves = self.leaving.contains_key(server);
        assert!(!leaves, "{server} logs {entries:?} after it has asked to be dismissed");
        if let Some(time) = element.time() {
            let before = self.times.insert((server.clone(), element.first().epoch), time);
            assert!(
                before <= Some(time),
                "{element:?} is earlier than what {server} logged before"
            );
        }
        let view = self.views.get_mut(server).expect("a server of the bank");
        for entry in &entries {
            let before = self.logged.insert(name(entry), entry.clone());
            assert_eq!(before, None, "an entry's name is used once");
            apply(view, entry);
            if let Some(request) = &entry.record.request {
                let before = self.paid.insert(request.clone(), name(entry));
                let former = self.sessions.get(&request.session);
                assert!(former < Some(&request.number), "{request} was used in the former bank");
                // A client's own name is as good for the next store as for the one that was lost.
                let lost = before.as_ref().is_some_and(|name| self.lost.contains(name));
                let again = lost && request.session.is_named();
                assert!(
                    before.is_none() || again,
                    "{request} happens twice, at first as {before:?}"
                );
                if again {
                    self.marks.push(Mark::NamedAgain);
                }
            }
            match &entry.record.action {
                Action::Open { account, .. } => {
                    let before = self.opened.insert(account.clone(), self.clock);
                    assert_eq!(before, None, "{account} is opened twice");
                }
                Action::Rejoin { new, .. } => {
                    assert!(self.waiting.contains(new), "nobody asked for {entry:?}");
                }
                Action::Rekey { .. } | Action::Pin { .. } => {}
                Action::Member(_) => {}
                action @ (Action::Transfer { amount, .. }
                | Action::Mint { amount, .. }
                | Action::Burn { amount, .. }) => {
                    self.marks.extend(Mark::of_issue(action));
                    self.moves.push(Move {
                        name: name(entry),
                        server: server.clone(),
                        from: action.payer().cloned(),
                        to: action.payee().cloned(),
                        units: i128::from(amount.units()),
                    });
                }
            }
        }
        for entry in &entries {
            if let Action::Member(change) = &entry.record.action {
                self.log_change(entry, change);
            }
        }
        self.elements.insert(name(&entries[0]), element.clone());
        entries
    }

    /// A server has accepted a block.
    pub fn accept(&mut self, server: &ServerId, ballot: &Ballot, block: &SealedBlock) {
        let key = (block.height(), ballot.clone(), block.hash());
        self.accepts.entry(key).or_default().insert(server.clone());
    }

    /// A server has appended a block.
    pub fn append(&mut self, server: &ServerId, block: &SealedBlock) {
        let height = block.height();
        self.tops.insert(server.clone(), height);
        let known = self.heights.get(&height).copied();
        match known {
            Some(known) => assert_eq!(known, block.hash(), "two blocks at height {height}"),
            None => {
                self.heights.insert(height, block.hash());
                if height > self.openings {
                    self.assert_chosen(block);
                    self.enter(block);
                }
                self.enter_turns(block);
            }
        }
        if height <= self.openings {
            // What these open is in all books from the beginning: before they are all there, nobody serves.
            return;
        }
        let learns = self.is_learning(server);
        let view = self.views.get_mut(server).expect("a server of the bank");
        for entry in block.block().entries() {
            if entry.server != *server || learns {
                apply(view, &entry);
            }
            if let Action::Open { account, .. } = entry.record.action {
                self.in_chain_of.insert((account, server.clone()), self.clock);
            }
        }
        self.learnt(server, block);
    }

    fn assert_chosen(&self, block: &SealedBlock) {
        let roll = self.register.latest();
        let mut accepts = self.accepts.iter().filter(|((_, _, hash), _)| *hash == block.hash());
        let votes = |by: &BTreeSet<ServerId>| by.iter().filter(|server| roll.votes(server)).count();
        let chosen = accepts.any(|(_, by)| 2 * votes(by) > roll.voters().count());
        assert!(chosen, "block {} is appended, but no majority accepted it", block.height());
    }

    fn enter(&mut self, block: &SealedBlock) {
        let height = block.height();
        for (server, log) in &block.block().logs {
            for element in log {
                let first = (server.clone(), element.first().epoch, element.first().seq);
                let logged = self.elements.get(&first);
                assert_eq!(logged, Some(element), "never logged so, but in block {height}");
            }
        }
        for entry in block.block().entries() {
            let before = self.in_block.insert(name(&entry), height);
            assert_eq!(before, None, "{entry:?} is in two blocks");
            assert!(!self.lost.contains(&name(&entry)), "{entry:?} was lost with its store");
            apply(&mut self.chain, &entry);
            self.issued += i128::from(entry.record.action.issues());
        }
        let total: i128 = self.chain.values().sum();
        let right = self.first.values().sum::<i128>() + self.issued;
        assert_eq!(total, right, "only what is issued or taken back changes the total");
    }

    /// What is in no block yet, and not lost.
    pub fn in_no_block(&self) -> Vec<Name> {
        let names = self.logged.keys().filter(|name| !self.lost.contains(*name));
        names.filter(|name| !self.in_block.contains_key(*name)).cloned().collect()
    }

    /// At the end everything that was ever durable is in the chain, or was lost with a store.
    pub fn assert_all_in_chain(&self) {
        assert!(self.learning.is_empty(), "{:?} did not come in", self.learning);
        for (name, entry) in &self.logged {
            let is_there = self.in_block.contains_key(name) || self.lost.contains(name);
            assert!(is_there, "{entry:?} is lost");
        }
        let roll = self.register.latest();
        for (server, view) in self.views.iter().filter(|(id, _)| roll.members.contains_key(*id)) {
            assert_eq!(*view, self.chain, "{server} knows what the chain says");
        }
    }

    /// Whether a server knows an account, by when the clock stood so.
    pub fn knew(&self, server: &ServerId, account: &AccountId, clock: usize) -> bool {
        let own = self.opened.get(account).filter(|_| account.home() == server.as_str());
        let chain = self.in_chain_of.get(&(account.clone(), server.clone()));
        own.is_some_and(|at| *at <= clock)
            || chain.is_some_and(|at| *at <= clock)
            || (self.openings > 0 && self.first.contains_key(account))
    }
}
