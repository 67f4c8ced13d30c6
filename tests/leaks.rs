//! Connections that come and go leave nothing behind: no thread, no open file, no place that another
//! one could have had.

mod support;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paxos_banking::node::{MAX_CLIENTS, ROOM_FOR_PEERS, Timings};
use paxos_banking::store::memory::MemoryStore;
use serde_json::{Value, json};
use support::cluster::{Client, Cluster, Stores, quick, server, wait_until};

/// More than there are places.
const MANY: usize = MAX_CLIENTS + ROOM_FOR_PEERS + 1;

/// One test at a time, since the open files of a process are counted.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The threads of the server `id` that serve connections made to it.
fn threads_of_connections(id: &str) -> Vec<String> {
    let prefix = format!("{id}:");
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let of_one = |name: &String| {
        let what = name.trim_end().strip_prefix(&prefix).unwrap_or_default();
        let number = what.strip_suffix("-in").or_else(|| what.strip_suffix("-out"));
        number.is_some_and(|number| number.parse::<u64>().is_ok())
    };
    names.filter(of_one).collect()
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Server `V` of a bank with `W`, and where W would listen.
fn server_and_listener() -> (Cluster, TcpListener) {
    let stores: Stores = Box::new(|_| Box::new(MemoryStore::new()));
    let timings = Timings { handshake: Duration::from_millis(300), ..quick() };
    let mut cluster = Cluster::new(&["V", "W"], timings, stores);
    let listener = TcpListener::bind(&cluster.configs[&server("W")].listen).unwrap();
    cluster.start("V");
    (cluster, listener)
}

/// The hello that V would believe W, made of V's own.
fn hello_of_w(dialled: &mut Client) -> Value {
    let mut hello = dialled.read().unwrap();
    hello["hello"]["id"] = json!("W");
    hello["hello"]["instance"] = json!("00000000000000aa");
    hello
}

/// V, with W away; and the hello that it would believe W.
fn server_and_hello() -> (Cluster, Value) {
    let (cluster, listener) = server_and_listener();
    let hello = hello_of_w(&mut Client::over(listener.accept().unwrap().0));
    (cluster, hello)
}

/// Has each of many connections say and hear something, and end; then all must be as it was.
fn come_and_go(cluster: &Cluster, mut visit: impl FnMut(TcpStream)) {
    let address = &cluster.configs[&server("V")].listen;
    wait_until("nobody is connected", || threads_of_connections("V").is_empty());
    let before = open_files();
    for _ in 0..MANY {
        visit(TcpStream::connect(address).unwrap());
    }
    wait_until("the threads of all connections have ended", || {
        threads_of_connections("V").is_empty()
    });
    // V dials W in vain all the while: a socket of that may be open, or not.
    wait_until("the files of all connections are closed", || open_files() <= before + 1);
    let status = cluster.client("V").ask(&json!({"status": {}}));
    assert_eq!(status["server"], json!("V"), "{status}");
}

/// Bug: that a peer's connection had ended was not told, so each one left an entry in the event loop's
/// table, a thread and a place, until the server let nobody in.
#[test]
fn peers_that_come_and_go_leave_nothing_behind() {
    let _alone = alone();
    let (cluster, hello) = server_and_hello();
    come_and_go(&cluster, |stream| {
        let answer = Client::over(stream).ask(&hello);
        assert!(answer["hello"].is_object(), "{answer}");
    });
}

#[test]
fn peers_that_are_refused_leave_nothing_behind() {
    let _alone = alone();
    let (cluster, mut hello) = server_and_hello();
    hello["hello"]["configuration"]["opening_balance"] = json!(7);
    come_and_go(&cluster, |stream| {
        let mut peer = Client::over(stream);
        let answer = peer.ask(&hello);
        assert!(answer["reject"].is_object(), "{answer}");
        assert_eq!(peer.read(), None, "who is refused is hung up on");
    });
}

#[test]
fn peers_that_break_the_rules_leave_nothing_behind() {
    let _alone = alone();
    let (cluster, hello) = server_and_hello();
    come_and_go(&cluster, |stream| {
        let mut peer = Client::over(stream);
        peer.ask(&hello);
        // The connection isn't listened to any more, and its other direction ends.
        peer.send(b"{\"x\":1}\n");
        assert_eq!(peer.read(), None);
    });
    come_and_go(&cluster, |stream| {
        let mut stranger = Client::over(stream);
        stranger.send(b"{\"hello\":{}}\n");
        assert_eq!(stranger.read(), None);
    });
}

#[test]
fn clients_that_come_and_go_leave_nothing_behind() {
    let _alone = alone();
    let (cluster, _) = server_and_hello();
    come_and_go(&cluster, |stream| {
        let status = Client::over(stream).ask(&json!({"status": {}}));
        assert_eq!(status["server"], json!("V"));
    });
    // With a request under way that nobody answers any more, and within a line.
    come_and_go(&cluster, |stream| Client::over(stream).send(b"{\"status\":{}}\n{\"sta"));
    come_and_go(&cluster, drop);
}

#[test]
fn a_peer_that_does_not_answer_the_hello_is_not_waited_for() {
    let _alone = alone();
    let (_cluster, listener) = server_and_listener();
    let silent = listener.accept().unwrap();
    listener.set_nonblocking(true).unwrap();
    wait_until("V dials anew", || listener.accept().is_ok());
    drop(silent);
}

/// Nothing is said to who dialled but the answer to the hello, however long that is ago.
#[test]
fn a_link_lasts_though_its_peer_has_nothing_more_to_say() {
    let _alone = alone();
    let (_cluster, listener) = server_and_listener();
    let mut dialled = Client::over(listener.accept().unwrap().0);
    let hello = hello_of_w(&mut dialled);
    dialled.send(format!("{hello}\n").as_bytes());
    // Ten times as long as the answer could have taken.
    for _ in 0..30 {
        assert!(dialled.read().is_some());
    }
}
