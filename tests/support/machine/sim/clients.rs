//! Clients: some per server. Each sends orders, several at a time, and retries what got no answer,
//! on the same connection or on a new one.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::bank::effects::Event;
use crate::bank::ids::{AccountId, ClientName, ConnectionId, NamedSession, ServerId, SessionId};
use crate::bank::ledger::entry::Action;
use crate::bank::reason::Code;
use crate::bank::request::{ErrorCode, Instruction, Outcome, Reply, Request};

use super::orders::{self, Asker, Habits, Order};
use super::tally::{Fault, Mark};
use super::world::World;

/// What a request on a connection was for.
enum Asked {
    Session,
    /// The orders in it: the first number of each, and how many it has.
    Orders(Vec<(u64, usize)>),
    Settle {
        /// The client is done with all else.
        last: bool,
    },
    /// Instructions without a session: whatever becomes of them.
    Careless,
}

pub struct Client {
    home: ServerId,
    all: Vec<ServerId>,
    habits: Habits,
    /// With the life of the server that it leads to.
    pub connection: Option<(ConnectionId, u64)>,
    session: Option<SessionId>,
    /// The name of its session, if it gives it one, and the session that it so got.
    name: Option<ClientName>,
    named: Option<SessionId>,
    /// The highest number that it had used in a former bank, and that is in the balances.
    carried: u64,
    number: u64,
    /// By their first numbers.
    under_way: BTreeMap<u64, Order>,
    /// Accounts of its home that it knows to be open.
    open: Vec<AccountId>,
    /// The requests on this connection, by their ids.
    asked: BTreeMap<u64, Asked>,
    ids: u64,
    /// Counts its alarms; only the last one that was set wakes it.
    pub alarm: u64,
    /// Transfers and openings that it still wants to make.
    pub left: usize,
    /// It settles once it has made them; None until then, then whether that is done.
    pub settles: bool,
    pub settled: bool,
    /// Its home is no member, or not yet.
    pub gone: bool,
}

impl Client {
    pub fn new(number: usize, home: ServerId, all: Vec<ServerId>, habits: Habits) -> Client {
        let name = (habits.named && number.is_multiple_of(2))
            .then(|| format!("client-{number}").parse().unwrap());
        Client {
            home,
            all,
            habits,
            connection: None,
            session: None,
            name,
            named: None,
            carried: 0,
            number: 0,
            under_way: BTreeMap::new(),
            open: Vec::new(),
            asked: BTreeMap::new(),
            ids: 0,
            alarm: 0,
            left: 64,
            settles: false,
            settled: false,
            gone: false,
        }
    }

    /// Its name had come so far in the bank that this one goes on from. It may have used more numbers, of which nothing is
    /// left.
    pub fn goes_on(&mut self, carried: u64, lost: u64) -> Option<(ServerId, String, u64)> {
        let name = self.name.as_ref()?;
        (self.carried, self.number) = (carried, carried + lost);
        Some((self.home.clone(), name.to_string(), carried))
    }

    pub fn home(&self) -> &ServerId {
        &self.home
    }

    pub fn is_at(&self, home: &ServerId) -> bool {
        self.home == *home
    }

    /// More servers may have accounts from now on.
    pub fn hear_of(&mut self, all: &[ServerId]) {
        self.all = all.to_vec();
    }

    /// Its home is a member, and knows nothing of it; it wants to make so many transfers and openings.
    pub fn revive(&mut self, left: usize) {
        self.retire();
        (self.left, self.gone, self.session) = (left, false, None);
    }

    /// Its home is no member any more.
    pub fn retire(&mut self) {
        (self.left, self.gone, self.connection) = (0, true, None);
        self.under_way.clear();
        self.asked.clear();
    }

    pub fn is_done(&self) -> bool {
        self.gone || (self.left == 0 && self.under_way.is_empty())
    }

    /// All that it wanted is done and settled.
    pub fn is_content(&self) -> bool {
        self.gone || (self.is_done() && self.settled)
    }

    /// Sometimes the beginning of linked ones comes without their end.
    fn torn(&self, rng: &mut Rng) -> Option<Order> {
        let order = self.under_way.values().find(|order| order.len() > 1)?;
        let torn = rng.u8(0..100) < self.habits.careless;
        torn.then(|| order[..rng.usize(1..order.len())].to_vec())
    }

    /// It dies, and comes back with nothing but the last number that it used: what it wants to pay stands in its
    /// books. So all but that is for sure the same afterwards.
    fn dies(&mut self, rng: &mut Rng) -> bool {
        let dies = self.name.is_some() && !self.under_way.is_empty() && rng.u8(0..12) == 0;
        if dies {
            self.session = None;
        }
        dies
    }

    /// Its session was opened; `highest` is as far as the server knows it.
    fn has_session(&mut self, session: SessionId, highest: Option<u64>) {
        if self.name.is_some() {
            let named = self.named.get_or_insert_with(|| session.clone());
            assert_eq!(*named, session, "a name stands for one session, whatever happens");
            let highest = highest.expect("it is told");
            assert!(
                (self.carried..=self.number).contains(&highest),
                "{session} has {highest}, and {} was used",
                self.number
            );
        }
        self.session = Some(session);
    }

    fn asker(&self) -> Asker<'_> {
        Asker { home: &self.home, all: &self.all, habits: self.habits, open: &self.open }
    }
}

/// Sends what there is to send, and comes back when that should have been answered.
pub fn act(world: &mut World, index: usize) {
    let client = &world.clients[index];
    let home = client.home.clone();
    if client.is_done() && !client.settles {
        return world.wake_client(index, 500);
    }
    if client.settled || client.gone {
        return;
    }
    if !world.is_up(&home) {
        return world.wake_client(index, 200);
    }
    // After a time-out mostly a new connection, sometimes the same.
    let life = world.life(&home);
    let lives = client.connection.is_some_and(|(_, of)| of == life);
    let dies = world.clients[index].dies(&mut world.rng);
    world.tally.mark_if(dies, Mark::ClientDied);
    let client = &world.clients[index];
    if !lives || dies || world.rng.u8(0..10) < if client.asked.is_empty() { 2 } else { 8 } {
        connect(world, index, life);
    }
    for (asked, request) in next_requests(world, index) {
        send(world, index, asked, request);
    }
    let client = &world.clients[index];
    if !client.settles && world.rng.u8(0..100) < client.habits.careless {
        let order = client.asker().order(&mut world.rng, 3);
        send(world, index, Asked::Careless, Request::Batch(order));
    }
    let torn = world.clients[index].torn(&mut world.rng);
    if let Some(torn) = torn {
        send(world, index, Asked::Careless, Request::Batch(torn));
    }
    if world.rng.u8(0..6) == 0 {
        // In between, so that there are runs while nothing waits for money.
        send(world, index, Asked::Settle { last: false }, Request::Settle);
    }
    let patience = world.rng.u64(1_000..3_000);
    world.wake_client(index, patience);
}

fn connect(world: &mut World, index: usize, life: u64) {
    let connection = world.new_connection();
    let client = &mut world.clients[index];
    client.asked.clear();
    let (home, older) = (client.home.clone(), client.connection.replace((connection, life)));
    world.prove_operator(&home, connection);
    if let Some((older, of)) = older
        && of == life
    {
        // The server learns of the end late, and of what was said before it perhaps later still.
        let delay = world.rng.u64(1..5_000);
        world.deliver(&home, delay, Event::Closed(older));
    }
}

fn send(world: &mut World, index: usize, asked: Asked, request: Request) {
    let client = &mut world.clients[index];
    let Some((connection, _)) = client.connection else { return };
    let home = client.home.clone();
    client.ids += 1;
    let id = client.ids;
    client.asked.insert(id, asked);
    if !world.happens(world.faults.loss, Fault::ClientLost) {
        let delay = world.rng.u64(1..20);
        let event = Event::Request(connection, Some(id), request.clone());
        world.deliver(&home, delay, event);
    }
    // Were a session opened by a late copy, nobody would hear of it.
    let by_name = matches!(request, Request::Session(Some(_)));
    if !by_name && world.happens(world.faults.duplication, Fault::ClientRepeated) {
        // A copy of the request, late.
        let delay = world.rng.u64(1..4_000);
        let nobody = Some((1 << 32) + world.count());
        world.deliver(&home, delay, Event::Request(connection, nobody, request));
    }
}

fn next_requests(world: &mut World, index: usize) -> Vec<(Asked, Request)> {
    let client = &mut world.clients[index];
    let Some(session) = client.session.clone() else {
        let last = Some(client.number);
        let named = client.name.clone().map(|name| NamedSession { name, last });
        return vec![(Asked::Session, Request::Session(named))];
    };
    while client.left > 0 && client.under_way.len() < client.habits.window {
        let mut order = client.asker().order(&mut world.rng, client.left);
        orders::number(&mut order, &session, client.number + 1);
        let (first, members) = (client.number + 1, order.len());
        client.left -= members;
        client.number += members as u64;
        client.under_way.insert(first, order);
    }
    if client.under_way.is_empty() {
        return vec![(Asked::Settle { last: true }, Request::Settle)];
    }
    requests_for(world, index)
}

/// All that is under way, each order by itself or several in one request.
fn requests_for(world: &mut World, index: usize) -> Vec<(Asked, Request)> {
    let rng = &mut world.rng;
    let under_way = &world.clients[index].under_way;
    let mistaken = |order: &Order| order.last().is_some_and(|last| last.linked);
    let (alone, mut others): (Vec<u64>, Vec<u64>) =
        under_way.keys().partition(|first| mistaken(&under_way[first]));
    let mut parts: Vec<Vec<u64>> = alone.into_iter().map(|first| vec![first]).collect();
    if others.len() > 1 && rng.bool() {
        if rng.u8(0..4) == 0 {
            others.extend_from_within(..1);
        }
        parts.push(others);
    } else {
        parts.extend(others.into_iter().map(|first| vec![first]));
    }
    let request = |part: Vec<u64>| {
        let instructions = part.iter().flat_map(|first| under_way[first].clone());
        let mut instructions: Vec<Instruction> = instructions.collect();
        if rng.u8(0..12) == 0 {
            // The client has changed its mind about when it wants to hear.
            instructions.iter_mut().for_each(|asked| asked.settled = !asked.settled);
        }
        let request = match instructions.len() {
            1 if rng.u8(0..4) > 0 => Request::One(instructions.remove(0)),
            _ => Request::Batch(instructions),
        };
        let orders = part.into_iter().map(|first| (first, under_way[&first].len())).collect();
        (Asked::Orders(orders), request)
    };
    parts.into_iter().map(request).collect()
}

/// A reply arrives.
pub fn replied(
    world: &mut World,
    index: usize,
    connection: ConnectionId,
    id: Option<u64>,
    reply: Reply,
) {
    let client = &mut world.clients[index];
    let id = id.unwrap_or_default();
    if client.connection.map(|(connection, _)| connection) != Some(connection) {
        return;
    }
    let Some(asked) = client.asked.remove(&id) else { return };
    match (reply, asked) {
        (Reply::Session { session, highest }, _) => client.has_session(session, highest),
        (Reply::One(outcome), Asked::Orders(orders)) => told(world, index, &orders, vec![outcome]),
        (Reply::Batch { outcomes }, Asked::Orders(orders)) => {
            told(world, index, &orders, outcomes);
        }
        (Reply::Settled { not_consulted, .. }, Asked::Settle { last }) => {
            client.settled = last && client.is_done() && not_consulted.is_empty();
        }
        (Reply::Batch { .. }, Asked::Careless) => {}
        (Reply::Error { error: ErrorCode::Unavailable, .. } | Reply::TakenOver { .. }, _) => {}
        (other, _) => panic!("unexpected: {other:?}"),
    }
    let client = &world.clients[index];
    if !client.under_way.is_empty() && !client.asked.is_empty() {
        return;
    }
    let pause = match client.habits.beat {
        0 => world.rng.u64(1..60),
        beat => beat - world.now % beat,
    };
    world.wake_client(index, pause);
}

fn told(world: &mut World, index: usize, orders: &[(u64, usize)], outcomes: Vec<Outcome>) {
    let mut outcomes = outcomes.into_iter();
    for (first, members) in orders {
        let outcomes: Vec<Outcome> = outcomes.by_ref().take(*members).collect();
        // It may stand twice in a request, or in two; the judge looks at all outcomes.
        let order = world.clients[index].under_way.remove(first);
        for (instruction, outcome) in order.into_iter().flatten().zip(outcomes) {
            let client = &mut world.clients[index];
            match (&outcome, &instruction.action) {
                (Outcome::Accepted { .. }, Action::Open { account, .. }) => {
                    client.open.push(account.clone());
                }
                // What is new needs a session that the server remembers.
                (Outcome::Expired { .. }, _) => client.session = None,
                (Outcome::Unavailable { reason }, _) if reason.code == Code::Lost => {
                    client.session = None;
                }
                _ => {}
            }
            let request = instruction.request.expect("all under way have one");
            world.judge.outcome(&request, &outcome);
            world.tally.judged += 1;
        }
    }
}
