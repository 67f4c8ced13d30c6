//! Tests of the tables of connections and links.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::FORMAT;
use crate::bank::ids::{InstanceId, LifeId, TurnNumber};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::message::{Configuration, Hello, Standing};
use crate::node::send_queue::testing::connection;
use crate::node::writer::write_out;
use crate::store::Store;
use crate::store::memory::MemoryStore;

#[test]
fn what_connected_before_everything_was_forgotten_is_not_listened_to_after() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let opened = |id| {
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Incoming::Opened(ConnectionId(id), ReplySender::new(Arc::new(socket)).0)
    };
    let closed = |id| Incoming::Connection(ConnectionId(id), Event::Closed(ConnectionId(id)));
    let mut transport = exchange_of(Gauges::new("A".parse().unwrap()));
    transport.admit(opened(2));
    transport.forget();
    transport.admit(opened(1));
    transport.admit(opened(3));
    assert_eq!(transport.admit(closed(1)), None);
    assert_eq!(transport.admit(closed(2)), None);
    assert!(transport.admit(closed(3)).is_some());
}

#[test]
fn who_greets_anew_is_not_listened_to_where_it_greeted_before() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gauges = Gauges::new("A".parse().unwrap());
    let mut transport = exchange_of(gauges);
    let mut greet = |id: u64, peer: &str| {
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let reply_sender = ReplySender::new(Arc::new(listener.accept().unwrap().0)).0;
        let (id, hello) = (ConnectionId(id), hello(peer));
        transport.admit(Incoming::Opened(id, reply_sender));
        transport.admit(Incoming::Connection(id, Event::Greeted(id, hello.clone())));
        transport.hand_out(Bound::Answer(id, Message::Hello(hello)));
        theirs
    };
    let mut older = greet(1, "B");
    let another = greet(2, "C");
    let newer = greet(3, "B");
    older.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(older.read(&mut [0]).unwrap(), 0, "it is hung up on");
    for open in [another, newer] {
        open.set_nonblocking(true).unwrap();
        let nothing = (&open).read(&mut [0]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    }
}

/// What waits for a client's writer when the server takes its leave is written before this returns; a client that
/// doesn't read is left.
#[test]
fn what_clients_are_owed_is_written_before_the_leave_is_over() {
    let (reading, mut lines) = connection();
    let (other, _unread) = connection();
    let mut transport = exchange_of(Gauges::new("A".parse().unwrap()));
    let (_running, over) = crossbeam_channel::bounded(0);
    thread::scope(|scope| {
        for (id, socket) in [(1, reading), (2, other)] {
            let (reply_sender, queued) = ReplySender::new(socket);
            let (socket, owed) = reply_sender.for_writer();
            for number in 0..20 {
                reply_sender.send(Outgoing::Text(format!("{number}{}\n", "x".repeat(500_000))));
            }
            transport.admit(Incoming::Opened(ConnectionId(id), reply_sender));
            let over = over.clone();
            scope.spawn(move || write_out(&queued, &socket, &owed, &over));
        }
        let reading = scope.spawn(move || lines.by_ref().map_while(Result::ok).count());
        transport.take_leave();
        let first = &transport.connections[&ConnectionId(1)].reply_sender;
        let left = first.queued();
        // As the node's end does; only then do those end that nobody reads.
        transport.forget();
        assert_eq!(left, 0, "all is written");
        assert_eq!(reading.join().unwrap(), 20, "and comes whole, before the end");
    });
}

/// Holds the socket in the test as well, so dropping the connection alone doesn't close it.
#[test]
fn who_is_let_go_of_is_hung_up_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let pair = || {
        let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        theirs.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (theirs, Arc::new(listener.accept().unwrap().0))
    };
    let peer: ServerId = "B".parse().unwrap();
    let down = |number| Incoming::Link(number, peer.clone(), Event::LinkDown(peer.clone()));
    let mut transport = exchange_of(Gauges::new("A".parse().unwrap()));
    let [mut first, mut second, mut client] = [pair(), pair(), pair()];
    for (number, (_, ours)) in [(1, &first), (2, &second)] {
        let (link, _) = Link::new(number, ours, None, None);
        transport.admit(Incoming::Dialled(peer.clone(), link, None));
    }
    assert_eq!(first.0.read(&mut [0]).unwrap(), 0, "another link has come in its place");
    assert_eq!(transport.admit(down(1)), None, "the other one is up");
    let (reply_sender, _) = ReplySender::new(Arc::clone(&client.1));
    transport.admit(Incoming::Opened(ConnectionId(1), reply_sender));
    transport.forget();
    for theirs in [&mut second.0, &mut client.0] {
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    }
    assert_eq!(transport.admit(down(2)), None, "it is forgotten");
}

fn exchange_of(gauges: Gauges) -> Transport {
    let doors = Doors::open(&"A".parse().unwrap(), &Default::default()).unwrap();
    let (following, _) = Following::new("A".parse().unwrap(), MemoryStore::new().reader());
    let trace = Trace::open(&"A".parse().unwrap(), None);
    let queues = (Jobs::new().0, crossbeam_channel::bounded(1).0, following);
    Transport::new(queues, gauges, (doors, trace))
}

fn hello(id: &str) -> Hello {
    let id: ServerId = id.parse().unwrap();
    let opening_balance = Amount::new(1).unwrap();
    Hello {
        version: FORMAT,
        id: id.clone(),
        instance: InstanceId(1),
        life: LifeId(1),
        lives: Vec::new(),
        configuration: Configuration { servers: vec![id], opening_balance, issuing: false },
        standing: Standing {
            genesis: None,
            active: false,
            height: 0,
            turn: TurnNumber(1),
            position: Position::START,
        },
        knows_you_as: None,
        rejoins: false,
        saw_you_at: None,
        keys: false,
        origin: None,
        joins: false,
        addresses: BTreeMap::new(),
    }
}
