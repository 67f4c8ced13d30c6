//! Clients: one per server. Each sends one transfer after the other, and retries what got no answer.

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::effects::Event;
use paxos_banking::bank::ids::{AccountId, ConnectionId, RequestId, ServerId, SessionId};
use paxos_banking::bank::request::{ErrorCode, Reply, Request, TransferRequest};

use crate::world::World;

pub struct Client {
    home: ServerId,
    all: Vec<ServerId>,
    pub connection: Option<ConnectionId>,
    session: Option<SessionId>,
    number: u64,
    under_way: Option<TransferRequest>,
    /// Counts its requests; a reply must carry the last one's number.
    asked: u64,
    /// Counts its alarms; only the last one that was set wakes it.
    pub alarm: u64,
    /// Transfers it still wants to make.
    pub left: usize,
    /// It settles once it has made them; None until then, then whether that is done.
    pub settles: bool,
    pub settled: bool,
    pub answered: usize,
}

impl Client {
    pub fn new(home: ServerId, all: Vec<ServerId>) -> Client {
        Client {
            home,
            all,
            connection: None,
            session: None,
            number: 0,
            under_way: None,
            asked: 0,
            alarm: 0,
            left: 30,
            settles: false,
            settled: false,
            answered: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        self.left == 0 && self.under_way.is_none()
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
    // A new connection for every try, as after a time-out.
    let connection = world.new_connection();
    let request = next_request(world, index);
    let client = &mut world.clients[index];
    client.connection = Some(connection);
    client.asked += 1;
    let asked = Some(client.asked);
    let event = Event::Request(connection, asked, request.clone());
    let delay = world.rng.u64(1..20);
    world.deliver(&home, delay, event);
    if world.rng.u8(0..100) < world.faults.duplication {
        // A copy of the request, late.
        let delay = world.rng.u64(1..4_000);
        world.deliver(&home, delay, Event::Request(connection, Some(0), request));
    }
    let patience = world.rng.u64(1_000..3_000);
    world.wake_client(index, patience);
}

fn next_request(world: &mut World, index: usize) -> Request {
    let rng = &mut world.rng;
    let client = &mut world.clients[index];
    let Some(session) = client.session.clone() else { return Request::Session };
    if client.under_way.is_none() && client.left > 0 {
        client.left -= 1;
        client.number += 1;
        let to = AccountId::of(&client.all[rng.usize(..client.all.len())]);
        let most = [20, 60, 150, 1_000][rng.usize(..4)];
        let amount = Amount::new(rng.u64(0..most)).unwrap();
        let request = Some(RequestId { session, number: client.number });
        client.under_way = Some(TransferRequest { from: None, to, amount, request });
    }
    match &client.under_way {
        Some(transfer) => Request::Transfer(transfer.clone()),
        None => Request::Settle,
    }
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
    if client.connection != Some(connection) || id != Some(client.asked) {
        return;
    }
    match reply {
        Reply::Session { session } => {
            client.session = Some(session);
            client.number = 0;
        }
        Reply::Transfer(outcome) => {
            let Some(transfer) = client.under_way.take() else { return };
            client.answered += 1;
            let request = transfer.request.expect("all have one");
            world.judge.outcome(&request, &outcome);
        }
        Reply::Settled { not_consulted, .. } => {
            client.settled = not_consulted.is_empty();
        }
        Reply::Error { error: ErrorCode::Unavailable, .. } => {}
        other => panic!("unexpected: {other:?}"),
    }
    let pause = world.rng.u64(1..200);
    world.wake_client(index, pause);
}
