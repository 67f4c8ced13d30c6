//! Clients: some per server. Each sends transfers, several at a time, and retries what got no answer,
//! on the same connection or on a new one.

use std::collections::BTreeMap;

use crate::bank::amount::Amount;
use crate::bank::effects::Event;
use crate::bank::ids::{AccountId, ConnectionId, RequestId, ServerId, SessionId};
use crate::bank::request::{ErrorCode, Outcome, Reply, Request, TransferRequest};

use crate::tally::Fault;
use crate::world::World;

/// How the clients of one world behave.
#[derive(Clone, Copy)]
pub struct Habits {
    /// Transfers that a client has under way at a time.
    pub window: usize,
    /// Amounts are below one of these.
    pub most: [u64; 4],
    /// All begin to ask at multiples of so many milliseconds; 0: each in its own time.
    pub beat: u64,
}

pub struct Client {
    home: ServerId,
    all: Vec<ServerId>,
    habits: Habits,
    /// With the life of the server that it leads to.
    pub connection: Option<(ConnectionId, u64)>,
    session: Option<SessionId>,
    number: u64,
    under_way: BTreeMap<u64, TransferRequest>,
    /// The requests on this connection, by their ids, with the numbers of their transfers.
    asked: BTreeMap<u64, Vec<u64>>,
    ids: u64,
    /// Counts its alarms; only the last one that was set wakes it.
    pub alarm: u64,
    /// Transfers it still wants to make.
    pub left: usize,
    /// It settles once it has made them; None until then, then whether that is done.
    pub settles: bool,
    pub settled: bool,
}

impl Client {
    pub fn new(home: ServerId, all: Vec<ServerId>, habits: Habits) -> Client {
        Client {
            home,
            all,
            habits,
            connection: None,
            session: None,
            number: 0,
            under_way: BTreeMap::new(),
            asked: BTreeMap::new(),
            ids: 0,
            alarm: 0,
            left: 56,
            settles: false,
            settled: false,
        }
    }

    pub fn is_done(&self) -> bool {
        self.left == 0 && self.under_way.is_empty()
    }
}

/// Sends what there is to send, and comes back when that should have been answered.
pub fn act(world: &mut World, index: usize) {
    let client = &world.clients[index];
    let home = client.home.clone();
    if client.is_done() && !client.settles {
        return world.wake_client(index, 500);
    }
    if client.settled {
        return;
    }
    if !world.is_up(&home) {
        return world.wake_client(index, 200);
    }
    // After a time-out mostly a new connection, sometimes the same.
    let life = world.life(&home);
    let lives = client.connection.is_some_and(|(_, of)| of == life);
    if !lives || world.rng.u8(0..10) < if client.asked.is_empty() { 2 } else { 8 } {
        connect(world, index, life);
    }
    for (numbers, request) in next_requests(world, index) {
        send(world, index, numbers, request);
    }
    if world.rng.u8(0..6) == 0 {
        // In between, so that there are runs while nothing waits for money.
        send(world, index, vec![0], Request::Settle);
    }
    let patience = world.rng.u64(1_000..3_000);
    world.wake_client(index, patience);
}

fn connect(world: &mut World, index: usize, life: u64) {
    let connection = world.new_connection();
    let client = &mut world.clients[index];
    client.asked.clear();
    let (home, older) = (client.home.clone(), client.connection.replace((connection, life)));
    if let Some((older, of)) = older
        && of == life
    {
        // The server learns of the end late, and of what was said before it perhaps later still.
        let delay = world.rng.u64(1..5_000);
        world.deliver(&home, delay, Event::Closed(older));
    }
}

fn send(world: &mut World, index: usize, numbers: Vec<u64>, request: Request) {
    let client = &mut world.clients[index];
    let Some((connection, _)) = client.connection else { return };
    let home = client.home.clone();
    client.ids += 1;
    let id = client.ids;
    client.asked.insert(id, numbers);
    if !world.happens(world.faults.loss, Fault::ClientLost) {
        let delay = world.rng.u64(1..20);
        let event = Event::Request(connection, Some(id), request.clone());
        world.deliver(&home, delay, event);
    }
    if world.happens(world.faults.duplication, Fault::ClientRepeated) {
        // A copy of the request, late.
        let delay = world.rng.u64(1..4_000);
        let nobody = Some((1 << 32) + world.count());
        world.deliver(&home, delay, Event::Request(connection, nobody, request));
    }
}

/// Each with the numbers of the transfers in it.
fn next_requests(world: &mut World, index: usize) -> Vec<(Vec<u64>, Request)> {
    let rng = &mut world.rng;
    let client = &mut world.clients[index];
    let Some(session) = client.session.clone() else {
        return vec![(Vec::new(), Request::Session)];
    };
    while client.left > 0 && client.under_way.len() < client.habits.window {
        client.left -= 1;
        client.number += 1;
        let (mut to, most) =
            (AccountId::of(&client.all[rng.usize(..client.all.len())]), rng.usize(..4));
        let mut amount = Amount::new(rng.u64(0..client.habits.most[most])).unwrap();
        match rng.u8(0..100) {
            0 => to = "nobody".parse().unwrap(),
            1 => amount = Amount::MAX,
            _ => {}
        }
        let request = Some(RequestId { session: session.clone(), number: client.number });
        client.under_way.insert(client.number, TransferRequest { from: None, to, amount, request });
    }
    let under_way: Vec<(u64, TransferRequest)> =
        client.under_way.iter().map(|(number, transfer)| (*number, transfer.clone())).collect();
    if under_way.is_empty() {
        return vec![(Vec::new(), Request::Settle)];
    }
    if under_way.len() > 1 && rng.bool() {
        let mut under_way = under_way;
        if rng.u8(0..4) == 0 {
            under_way.extend_from_within(..1);
        }
        let (numbers, transfers) = under_way.into_iter().unzip();
        return vec![(numbers, Request::Transfers(transfers))];
    }
    let single = |(number, transfer)| (vec![number], Request::Transfer(transfer));
    under_way.into_iter().map(single).collect()
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
    let Some(numbers) = client.asked.remove(&id) else { return };
    match reply {
        Reply::Session { session } => {
            client.session = Some(session);
            client.number = 0;
        }
        Reply::Transfer(outcome) => told(world, index, &numbers, vec![outcome]),
        Reply::Transfers { outcomes } => told(world, index, &numbers, outcomes),
        Reply::Settled { not_consulted, .. } => {
            client.settled = numbers.is_empty() && not_consulted.is_empty();
        }
        Reply::Error { error: ErrorCode::Unavailable, .. } => {}
        other => panic!("unexpected: {other:?}"),
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

fn told(world: &mut World, index: usize, numbers: &[u64], outcomes: Vec<Outcome>) {
    assert_eq!(numbers.len(), outcomes.len(), "an outcome for each transfer");
    for (number, outcome) in numbers.iter().zip(outcomes) {
        let client = &mut world.clients[index];
        if let Some(transfer) = client.under_way.remove(number) {
            let request = transfer.request.expect("all have one");
            world.judge.outcome(&request, &outcome);
            world.tally.judged += 1;
        }
    }
}
