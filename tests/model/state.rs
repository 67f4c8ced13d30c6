//! A state of the whole bank: servers, disks, messages under way, and what clients were told.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::bank::ids::SessionId;
use crate::bank::ledger::entry::{Action, Via};
use crate::bank::paxos::message::Message;

use crate::node::Node;

/// A value that is shared between states, with its hash, worked out once.
///
/// A step changes one server of three, so this keeps a state small and its hash cheap. Equality is
/// that of the 64-bit hash, by which stateright tells states apart anyway.
#[derive(Clone)]
pub struct Shared<T> {
    value: Arc<T>,
    hash: u64,
}

impl<T: Hash> Shared<T> {
    pub fn new(value: T) -> Shared<T> {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Shared { value: Arc::new(value), hash: hasher.finish() }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl<T> Eq for Shared<T> {}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A message under way, between the places of two servers; or, where a server has several connections
/// to another (in `rejoin`), on the connection that the receiver gave the number `from`.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Flight {
    pub from: usize,
    pub to: usize,
    pub message: Shared<Message>,
}

/// All messages under way.
///
/// Either they overtake each other as they like, and are a set: one that never arrives is lost, so
/// there is no step for that. Or what one server says to another arrives in its order, as on one
/// connection; there are far fewer such states, and nothing is lost but in a crash.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct Network {
    in_order: bool,
    flights: Vec<Flight>,
}

impl Network {
    pub fn new(in_order: bool) -> Network {
        Network { in_order, flights: Vec::new() }
    }

    pub fn send(&mut self, from: usize, to: usize, message: Message) {
        let flight = Flight { from, to, message: Shared::new(message) };
        // Sorted, so that sets which are equal look equal; any order of messages does.
        let order = |flight: &Flight| {
            let rank = if self.in_order { 0 } else { flight.message.hash };
            (flight.to, flight.from, rank)
        };
        let wanted = order(&flight);
        let place = self.flights.partition_point(|other| order(other) <= wanted);
        if self.in_order || place == 0 || order(&self.flights[place - 1]) != wanted {
            self.flights.insert(place, flight);
        }
    }

    pub fn take(&mut self, flight: &Flight) {
        let place = self.flights.iter().position(|other| other == flight);
        self.flights.remove(place.expect("it is under way"));
    }

    pub fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter()
    }

    /// What can arrive at a server next.
    pub fn arriving(&self, to: usize) -> impl Iterator<Item = &Flight> {
        let is_first = move |place: usize| match place.checked_sub(1) {
            Some(before) if self.in_order => {
                self.flights[before].from != self.flights[place].from
                    || self.flights[before].to != to
            }
            _ => true,
        };
        let flights = self.flights.iter().enumerate();
        let first = flights.filter(move |(place, flight)| flight.to == to && is_first(*place));
        first.map(|(_, flight)| flight)
    }

    /// What was on its way to a server that is gone.
    pub fn lose_to(&mut self, place: usize) {
        self.flights.retain(|flight| flight.to != place);
    }

    /// What was on its way on one connection.
    pub fn lose_on(&mut self, from: usize, to: usize) {
        self.flights.retain(|flight| (flight.from, flight.to) != (from, to));
    }

    /// What was on its way on connections that were replaced.
    pub fn lose_from(&mut self, place: usize) {
        self.flights.retain(|flight| flight.from != place);
    }
}

/// What a client wants of a server in one request; what it holds is linked, if it is more than one
/// thing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wish {
    pub home: usize,
    pub group: Vec<Action>,
    /// To be answered when it is in a block.
    pub settled: bool,
    /// It may wait for money.
    pub patient: bool,
}

impl Wish {
    /// The client's number for one of the group, in the `story`-th wish of all.
    pub fn number(story: usize, member: usize) -> u64 {
        (10 * (story + 1) + member) as u64
    }
}

/// What a client was told of one of the things that it wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Told {
    Accepted {
        seq: u64,
        via: Via,
    },
    Refused,
    /// Refused because nobody asked knows the payee.
    Unknown,
    Unavailable,
    Invalid,
    LinkedFailed,
    Expired,
}

/// What became of one of the wishes, as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Story {
    pub wish: Shared<Wish>,
    /// Since it came to the home's present life, for each choice of other servers (a bit for each of
    /// the two): there was a moment when it could not have been granted by what the home and these
    /// had made durable. None before it came.
    pub short: Option<[bool; 4]>,
    /// It was asked for at least once.
    pub asked: bool,
    /// All that was ever said about it: in each reply, a word for each of the group.
    pub told: BTreeSet<Vec<Told>>,
    /// It was accepted, and that was said again to a retry.
    pub repeated: bool,
    /// It was said to be in a block.
    pub settled: bool,
    /// It was refused although those consulted had what it took, all the time.
    pub wronged: bool,
}

impl Story {
    pub fn new(wish: &Wish) -> Story {
        Story {
            wish: Shared::new(wish.clone()),
            short: None,
            asked: false,
            told: BTreeSet::new(),
            repeated: false,
            settled: false,
            wronged: false,
        }
    }

    pub fn was_rejected(&self) -> bool {
        self.told.iter().flatten().any(|told| !matches!(told, Told::Accepted { .. }))
    }
}

/// The clients of one server: one session on one connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    pub session: SessionId,
    /// Counts its connections.
    pub connection: u64,
    /// An older connection still leads to the same life of the server.
    pub has_older: bool,
}

/// What may still go wrong, or be done once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Crashes.
    pub crashes: u8,
    /// Messages between servers that arrive twice.
    pub duplicates: u8,
    /// Timers that say that something took too long: repeat, finish round, reconcile, deadline.
    pub impatience: u8,
    /// Timers that say that it is time for something: to ask again for payees that nobody knows, to
    /// settle by habit, to wait for money no longer.
    pub passing: u8,
    /// Turns that take in two events.
    pub shared_turns: u8,
    /// Retries of a request, each on a new connection; and copies of one that come late, on the
    /// connection before.
    pub retries: u8,
}

/// When servers crashed; remembered, so that it can be asked what they survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Crashes {
    pub idle: bool,
    pub before_save: bool,
    pub before_send: bool,
}

#[derive(Clone, Debug, PartialEq, Hash)]
pub struct State {
    pub nodes: [Shared<Node>; 3],
    pub network: Network,
    pub stories: Vec<Story>,
    pub clients: Vec<Client>,
    pub budget: Budget,
    pub crashes: Crashes,
}

impl State {
    /// Lets one server change.
    pub fn change<R>(&mut self, place: usize, change: impl FnOnce(&mut Node) -> R) -> R {
        let mut node = Node::clone(&self.nodes[place]);
        let result = change(&mut node);
        self.nodes[place] = Shared::new(node);
        result
    }

    pub fn is_up(&self, place: usize) -> bool {
        self.nodes[place].server.is_some()
    }
}
