//! The words that a scene is written in.

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::effects::{Event, Timer};
use paxos_banking::bank::ids::{ConnectionId, NamedSession, RequestId, ServerId, SessionId};
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::ledger::member_change::MemberChange;
use paxos_banking::bank::member_order::Order;
use paxos_banking::bank::request::{Instruction, Request};

use crate::stage::{Flight, Stage, id};
use crate::words;

fn pays(from: &str, to: &str, amount: u64) -> Action {
    let account = |name: &str| name.parse().expect("an account");
    let amount = Amount::new(amount).expect("an amount");
    Action::Transfer { from: account(from), to: account(to), amount }
}

/// A client's connection; those of servers are counted from 1.
const CLIENT: u64 = 1 << 32;

impl Stage {
    /// A word to the reader.
    pub fn say(&mut self, text: &str) {
        self.line(&format!("\n--- {text}"));
    }

    /// A client of a server's asks for a transfer; returns its number.
    pub fn pay(&mut self, home: &str, to: &str, amount: u64) -> u64 {
        self.happens(&format!("A client of {home}'s asks: pay {to} {amount}."));
        self.instruct(home, Instruction::plain(pays(home, to, amount)))
    }

    /// It asks again, under the same number, after the server came back.
    pub fn pay_again(&mut self, home: &str, to: &str, amount: u64, number: u64) {
        self.happens(&format!(
            "The client of {home}'s asks again, for the same: pay {to} {amount}."
        ));
        let instruction = Instruction::plain(pays(home, to, amount));
        let instruction = self.named(home, instruction, number);
        self.ask(home, Request::One(instruction));
    }

    /// A client asks for a transfer, and to be answered when it is in a block.
    pub fn pay_settled(&mut self, home: &str, to: &str, amount: u64) {
        self.happens(&format!(
            "A client of {home}'s asks: pay {to} {amount}, and answer when it is in a block."
        ));
        let instruction = Instruction::plain(pays(home, to, amount));
        self.instruct(home, Instruction { settled: true, ..instruction });
    }

    /// A client asks for two transfers from two accounts, linked.
    pub fn pay_both(&mut self, home: &str, [first, second]: [(&str, &str, u64); 2]) {
        let words = |(from, to, amount): (&str, &str, u64)| format!("{from} pays {to} {amount}");
        self.happens(&format!(
            "A client of {home}'s asks, linked: {}; {}.",
            words(first),
            words(second)
        ));
        let mut named = |(from, to, amount), linked| {
            let instruction = Instruction::plain(pays(from, to, amount));
            let number = self.next_number();
            self.named(home, Instruction { linked, ..instruction }, number)
        };
        let both = vec![named(first, true), named(second, false)];
        self.ask(home, Request::Batch(both));
    }

    /// A client opens an account.
    pub fn open_account(&mut self, home: &str, account: &str) {
        self.happens(&format!("A client of {home}'s asks: open {account}."));
        let account = account.parse().expect("an account");
        self.instruct(home, Instruction::plain(Action::open(account)));
    }

    /// A client asks for one thing, under a new number.
    fn instruct(&mut self, home: &str, instruction: Instruction) -> u64 {
        let number = self.next_number();
        let instruction = self.named(home, instruction, number);
        self.ask(home, Request::One(instruction));
        number
    }

    fn next_number(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    fn named(&mut self, home: &str, instruction: Instruction, number: u64) -> Instruction {
        let session = self.hosts[&id(home)].session.clone().unwrap_or_else(|| self.session(home));
        Instruction { request: Some(RequestId { session, number }), ..instruction }
    }

    /// A client opens the session that it calls so.
    pub fn open_by_name(&mut self, home: &str, name: &str) {
        self.happens(&format!("A client of {home}'s asks for its session {name}."));
        let name = name.parse().expect("a name");
        self.ask(home, Request::Session(Some(NamedSession { name, last: None })));
    }

    fn session(&mut self, home: &str) -> SessionId {
        let quiet = std::mem::replace(&mut self.quiet, true);
        self.ask(home, Request::Session(None));
        self.quiet = quiet;
        self.hosts[&id(home)].session.clone().expect("it was opened")
    }

    /// An operator orders that a server is admitted, which is found at this address.
    pub fn admit(&mut self, at: &str, server: &str, address: &str) {
        self.happens(&format!("An operator orders at {at}: admit {server} {address}."));
        let address = address.parse().expect("an address");
        let order = Order::Admit { server: id(server), at: address, key: None, branch: false };
        self.ask(at, Request::Members(order));
    }

    /// An operator orders that a server is dismissed.
    pub fn dismiss(&mut self, server: &str) {
        self.change(server, "dismiss", server, |server| MemberChange::Dismiss { server });
    }

    /// An operator orders that a server loses its vote.
    pub fn demote(&mut self, at: &str, server: &str) {
        self.change(at, "demote", server, |server| MemberChange::Demote { server });
    }

    /// An operator orders that a server gets a vote.
    pub fn promote(&mut self, at: &str, server: &str) {
        self.change(at, "promote", server, |server| MemberChange::Promote { server });
    }

    fn change(&mut self, at: &str, word: &str, server: &str, of: fn(ServerId) -> MemberChange) {
        self.happens(&format!("An operator orders at {at}: {word} {server}."));
        self.ask(at, Request::Members(Order::Change(of(id(server)))));
    }

    /// A server dials again whom it isn't connected to.
    pub fn dial_again(&mut self, name: &str) {
        self.happens(&format!("{name} dials those again to whom it has no connection."));
        self.connect_all();
    }

    /// A server starts with an empty store, and is told of one member.
    pub fn join(&mut self, name: &str, member: &str) {
        self.add(name, Some(member));
        self.happens(&format!("{name} starts with an empty store, to join at {member}."));
        self.begin_life(&id(name));
        self.connect_all();
    }

    /// A client settles.
    pub fn settle(&mut self, home: &str) {
        self.happens(&format!("A client of {home}'s asks: settle, so that no log holds anything."));
        self.ask(home, Request::Settle);
    }

    fn ask(&mut self, home: &str, request: Request) {
        self.take_in(&id(home), Event::Request(ConnectionId(CLIENT), None, request));
    }

    /// The oldest message of that kind from one to another arrives.
    pub fn deliver(&mut self, from: &str, to: &str, kind: &str) {
        let flight = self.take(from, to, kind);
        self.arrive(flight);
    }

    /// The same, but it never arrives.
    pub fn lose(&mut self, from: &str, to: &str, kind: &str) {
        self.take(from, to, kind);
        self.happens(&format!("The {kind} from {from} to {to} is lost."));
    }

    fn take(&mut self, from: &str, to: &str, kind: &str) -> Flight {
        let is_it = |flight: &Flight| {
            flight.from.as_str() == from
                && flight.to.as_str() == to
                && flight.message.name() == kind
        };
        let place = self.flights.iter().position(is_it);
        place.and_then(|place| self.flights.remove(place)).expect("it is under way")
    }

    /// Everything that is under way arrives, and all that follows from it, in the order of sending.
    pub fn deliver_all(&mut self) {
        while let Some(flight) = self.flights.pop_front() {
            self.arrive(flight);
        }
    }

    /// A timer that was set runs out.
    pub fn run_out(&mut self, name: &str, wanted: impl Fn(&Timer) -> bool) {
        let host = self.hosts.get_mut(&id(name)).expect("a server");
        let timer = *host.timers.iter().find(|timer| wanted(timer)).expect("it is set");
        host.timers.remove(&timer);
        self.happens(&format!("A timer of {name}'s runs out: {}.", words::timer(timer)));
        self.take_in(&id(name), Event::Timer(timer));
    }

    /// The server dies in its next turn that saves something, once it has sent so many of the
    /// messages that were bound to that.
    pub fn doom(&mut self, name: &str, after: usize) {
        self.hosts.get_mut(&id(name)).expect("a server").doomed = Some(after);
    }

    /// A server dies now.
    pub fn crash(&mut self, name: &str) {
        self.happens(&format!("{name} crashes."));
        self.die(&id(name));
    }

    /// Two servers can't reach each other any more.
    pub fn part(&mut self, one: &str, other: &str) {
        self.happens(&format!("The connection between {one} and {other} breaks."));
        let (one, other) = (id(one), id(other));
        let is_between =
            |f: &Flight| [&f.from, &f.to] == [&one, &other] || [&f.to, &f.from] == [&one, &other];
        self.flights.retain(|flight| !is_between(flight));
        self.disconnect(&one, &other);
    }

    /// All that are up can reach each other again.
    pub fn heal(&mut self) {
        self.happens("The network is whole again. Who lost each other shake hands (not shown).");
        self.connect_all();
    }

    /// A server begins its next life.
    pub fn start(&mut self, name: &str) {
        self.happens(&format!(
            "{name} starts again, with what it had saved, and shakes hands with all (not shown)."
        ));
        self.begin_life(&id(name));
        self.connect_all();
    }

    /// Ends the scene with what is on the disks.
    pub fn close(mut self) -> String {
        self.line("\n--- What is saved in the end");
        let hosts = std::mem::take(&mut self.hosts);
        for (name, host) in &hosts {
            let up = if host.server.is_some() { "" } else { " (down)" };
            self.line(&format!("\n{name}{up}"));
            for block in host.disk.chain.iter().skip(1) {
                self.follows(&words::block(block), &words::entries_of(block));
            }
            self.follows("local log", &words::log(name, &host.disk.stored.log));
            let balances = host.disk.pages.values().flat_map(|page| &page.balances);
            let mut balances: Vec<String> =
                balances.map(|(account, balance)| format!("{account} {balance}")).collect();
            balances.sort();
            self.follows("by chain", &balances.join(", "));
        }
        self.text
    }
}
