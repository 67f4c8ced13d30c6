//! Clients' places: who is gone or idle keeps nobody out, and clients never keep out servers and Redis.

use std::net::TcpStream;

use paxos_banking::node::MAX_CLIENTS;
use serde_json::json;

use crate::support::cluster::{Client, hears, wait_until};
use crate::support::process::{Bank, Setup};

/// A connection of this machine's, as the system lists it.
struct Listed {
    local: u16,
    remote: u16,
    /// Which of its timers runs: 2 is the one that looks whether the other end is still there.
    timer: u8,
}

fn listed() -> Vec<Listed> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the connections");
    let port = |address: &str| {
        let port = address.split(':').nth(1).expect("a port");
        u16::from_str_radix(port, 16).expect("a number")
    };
    let listed = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (timer, _) = fields[5].split_once(':').expect("a timer and when it runs out");
        let timer = u8::from_str_radix(timer, 16).expect("a number");
        Listed { local: port(fields[1]), remote: port(fields[2]), timer }
    };
    // Others than established ones have timers of their own.
    let open = table.lines().skip(1).filter(|line| line.split_whitespace().nth(3) == Some("01"));
    open.map(listed).collect()
}

/// Waits until the system looks after each of these connections.
fn wait_until_looked_after(what: &str, least: usize, is_one: impl Fn(&Listed) -> bool) {
    // For a moment the timer of what was just sent takes the place of the other one.
    wait_until(&format!("{what}: it is looked whether the other end is there"), || {
        let connections: Vec<Listed> = listed().into_iter().filter(|one| is_one(one)).collect();
        connections.len() >= least && connections.iter().all(|one| one.timer == 2)
    });
}

#[test]
fn the_system_looks_whether_who_is_connected_is_still_there() {
    let bank = Bank::start(&["A", "B"]);
    let ports = ["A", "B"].map(|id| {
        let (_, port) = bank.address(id).rsplit_once(':').expect("a port");
        port.parse::<u16>().expect("a number")
    });
    let redis = bank.stores[0].port();
    let mut client = Client::connect(bank.address("A"));
    client.ask(&json!({"balance": {}}));
    let own = client.socket().local_addr().expect("its address").port();
    wait_until_looked_after("a client", 1, |one| one.local == ports[0] && one.remote == own);
    // Both of what peers dial and what they accept, where nothing is said but heartbeats.
    wait_until_looked_after("peers that dialled", 2, |one| {
        ports.contains(&one.local) && one.remote != own
    });
    wait_until_looked_after("peers that were dialled", 2, |one| {
        ports.contains(&one.remote) && one.local != own
    });
    wait_until_looked_after("Redis", 2, |one| one.remote == redis);
}

#[test]
fn who_is_idle_gives_way_to_who_asks_and_hears_why() {
    let mut setup = Setup::default();
    setup.flags.extend(["--handshake", "500ms"].map(str::to_owned));
    let mut bank = Bank::set_up(&["A"], setup);
    bank.start_all();
    let mut idle: Vec<Client> = Vec::new();
    while idle.len() < MAX_CLIENTS {
        let mut client = Client::connect(bank.address("A"));
        client.ask(&json!({"balance": {}}));
        idle.push(client);
    }
    let mut late = None;
    wait_until("a newcomer is served", || {
        let mut client = Client::connect(bank.address("A"));
        let reply = client.ask(&json!({"balance": {}}));
        if reply["error"] == json!("unavailable") {
            return false;
        }
        assert_eq!(reply["balance"], json!(100), "{reply}");
        late = Some(client);
        true
    });
    let reply = idle[0].read().expect("a word");
    let words = reply["message"].as_str().expect("words");
    assert!(words.contains("idle the longest"), "the first one leaves: {reply}");
    assert_eq!(idle[0].read(), None);
    // All others are served as before.
    for client in idle[1..].iter_mut().chain(&mut late) {
        assert_eq!(client.ask(&json!({"balance": {}}))["balance"], json!(100));
    }
}

#[test]
fn with_few_files_clients_are_turned_away_before_servers_and_redis_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = Some(folder.path().to_owned());
    let mut bank =
        Bank::set_up(&["A", "B", "C"], Setup { logs, bounds: Some("-n 128"), ..Setup::default() });
    bank.start_all();
    let log = |bank: &Bank| {
        std::fs::read_to_string(bank.log_file("A").expect("a log")).expect("it can be read")
    };
    assert!(log(&bank).contains("this process may have 128 open files"), "{}", log(&bank));
    let mut early = Client::connect(bank.address("A"));
    early.ask(&json!({"status": {}}));
    let idle: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(bank.address("A")).expect("a connection")).collect();
    bank.kill("B");
    wait_until("A misses B", || !hears(&early.ask(&json!({"status": {}})), "B"));
    bank.start_server("B");
    wait_until("A hears B again", || hears(&early.ask(&json!({"status": {}})), "B"));
    bank.kill("C");
    // Only B is left to agree with.
    wait_until("a run succeeds", || {
        let reply = early.ask(&json!({"transfer": {"to": "B", "amount": 1000}}));
        reply["consulted"] == json!(["A", "B"])
    });
    bank.redis("A").kill();
    bank.redis("A").restart();
    wait_until("A is back on its Redis", || {
        let reply = Client::try_connect(bank.address("A"))
            .and_then(|mut client| client.try_ask(&json!({"transfer": {"to": "B", "amount": 1}})));
        reply.is_some_and(|reply| reply["outcome"] == "accepted")
    });
    assert!(!log(&bank).contains("could not be accepted"), "{}", log(&bank));
    drop(idle);
}
