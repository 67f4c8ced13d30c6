//! Who pretends to be a server, or is one of another bank: refused, with a reason in the log, and
//! nothing else happens.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::payer::Payer;
use crate::support::cluster::{Client, hears, wait_until};
use crate::support::process::{Bank, Setup};

/// A bank of A and B with logs.
fn bank_with_logs() -> (Bank, TempDir) {
    bank_of(&["A", "B"])
}

fn bank_of(ids: &[&str]) -> (Bank, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = Some(folder.path().to_owned());
    (Bank::set_up(ids, Setup { logs, ..Setup::default() }), folder)
}

/// What a server has logged since its last start.
fn log_of(id: &str, bank: &Bank) -> String {
    let file = bank.log_file(id).expect("servers log here");
    std::fs::read_to_string(file).unwrap_or_default()
}

/// What B says when it dials A. It is started anew for that, and at the end as it was.
fn hello_of_b(bank: &mut Bank) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let route = ("B".to_owned(), "A".to_owned());
    bank.kill("B");
    bank.routes.insert(route.clone(), address);
    bank.start_server("B");
    let (stream, _) = listener.accept().expect("B dials");
    let hello = Client::over(stream).read().expect("a hello");
    bank.kill("B");
    bank.routes.remove(&route);
    bank.start_server("B");
    bank.wait_until_connected();
    hello
}

/// A hello changed in one place, and what the log says of it.
fn bad_hellos(good: &Value) -> Vec<(Value, &'static str)> {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut hello = good.clone();
        change(&mut hello["hello"]);
        hello
    };
    vec![
        (changed(&|hello| hello["version"] = json!(1)), "it speaks format 1"),
        (changed(&|hello| hello["id"] = json!("Z")), "Z is not a server of this bank"),
        (changed(&|hello| hello["id"] = json!("A")), "it calls itself A, as this server does"),
        (changed(&|hello| hello["instance"] = json!("00000000000000aa")), "is known as instance"),
        // B has been started again since it said this.
        (good.clone(), "the store of B was rolled back"),
        (
            changed(&|hello| hello["configuration"]["opening_balance"] = json!(7)),
            "is configured for servers A, B with opening balance 7",
        ),
        (
            changed(&|hello| hello["configuration"]["servers"] = json!(["A", "B", "C"])),
            "is configured for servers A, B, C",
        ),
        (
            changed(&|hello| drop(hello.as_object_mut().map(|hello| hello.remove("life")))),
            "missing field `life`",
        ),
        (changed(&|hello| hello["id"] = json!("x".repeat(10_000))), "is not a server id"),
        (changed(&|hello| *hello = json!({})), "missing field"),
        (changed(&|hello| *hello = json!("B")), "not a message"),
    ]
}

#[test]
fn who_greets_as_a_server_and_is_none_is_refused_with_a_reason() {
    let (mut bank, _folder) = bank_with_logs();
    bank.start_all();
    let payer = Payer::start(bank.address("A"));
    let good = hello_of_b(&mut bank);
    let hellos = bad_hellos(&good);
    println!("{} bad hellos", hellos.len());
    for (hello, reason) in hellos {
        let mut stranger = Client::connect(bank.address("A"));
        stranger.send(format!("{hello}\n").as_bytes());
        // Nothing of what follows is listened to.
        let _ = stranger.socket().write_all(b"{\"commit\":{\"height\":1,\"hash\":\"00\"}}\n");
        if let Some(answer) = stranger.read() {
            assert!(
                answer["reject"]["reason"].as_str().expect("a reason").contains(reason),
                "{answer}"
            );
            assert_eq!(stranger.read(), None, "and the connection ends");
        }
        wait_until(&format!("the log says: {reason}"), || log_of("A", &bank).contains(reason));
    }
    let status = bank.ask("A", &json!({"status": {}})).expect("an answer");
    assert!(hears(&status, "B") && status["height"] == json!(0), "{status}");
    println!("{}", payer.stop());
}

/// It is believed as little as it can be proved: C has welcomed A.
#[test]
fn one_who_lies_of_a_server_s_store_stops_nobody() {
    let (mut bank, _folder) = bank_of(&["A", "B", "C"]);
    bank.start_all();
    let good = hello_of_b(&mut bank);
    let lies: [(&str, Value); 2] = [
        ("knows_you_as", json!("00000000000000aa")),
        (
            "saw_you_at",
            json!({
                "instance": good["hello"]["knows_you_as"], "life": "00000000000000bb",
                "turn": 1u64 << 40, "position": {"epoch": 1, "seq": 1_000},
            }),
        ),
    ];
    for (field, lie) in lies {
        let mut hello = good.clone();
        hello["hello"][field] = lie;
        hello["hello"]["standing"]["height"] = json!(1u64 << 40);
        let mut stranger = Client::connect(bank.address("A"));
        stranger.send(format!("{hello}\n").as_bytes());
        let answer = stranger.read().expect("an answer");
        assert!(answer["reject"]["reason"].is_string(), "{field}: {answer}");
    }
    wait_until("A says what it was told", || {
        log_of("A", &bank).contains("B alone says so, and others have welcomed this server")
    });
    let pays = bank.ask("A", &json!({"transfer": {"to": "B", "amount": 1}})).expect("an answer");
    assert_eq!(pays["outcome"], json!("accepted"), "{pays}");
    let settled = || bank.ask("A", &json!({"settle": {}})).unwrap_or_default();
    wait_until("A's runs go on", || settled()["settled"] == json!(true));
}

/// What a listener in B's place does with who dials it, and what A's log says of that.
type Rude = (&'static str, fn(TcpStream), &'static str);

/// Keeps the connection and says nothing more, until the other side hangs up.
fn hold(mut stream: TcpStream) {
    let mut buffer = [0; 1 << 12];
    while stream.read(&mut buffer).is_ok_and(|count| count > 0) {}
}

const RUDE: [Rude; 6] = [
    ("hangs up", |stream| drop(stream), "can't be reached"),
    ("never answers", hold, "it does not answer the hello in time"),
    (
        "answers garbage",
        |mut stream| {
            let _ = stream.write_all(b"220 mail.example.org ready\r\n");
            hold(stream);
        },
        "not a message",
    ),
    (
        "answers binary garbage",
        |mut stream| {
            let _ = stream.write_all(b"\x16\x03\x01\xff\xfe\n");
            hold(stream);
        },
        "not UTF-8",
    ),
    (
        "answers by another message",
        |mut stream| {
            let _ = stream.write_all(b"\"reconcile_request\"\n");
            hold(stream);
        },
        "it answers the hello with: reconcile_request",
    ),
    (
        "answers without end",
        |mut stream| {
            let chunk = vec![b'x'; 1 << 20];
            while stream.write_all(&chunk).is_ok() {}
        },
        "its answer has more than",
    ),
];

#[test]
fn who_is_dialled_and_is_no_server_is_complained_about_and_dialled_again() {
    let (mut bank, _folder) = bank_with_logs();
    bank.start_all();
    for (what, rude, reason) in RUDE {
        bank.kill("A");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        bank.routes.insert(("A".into(), "B".into()), address.clone());
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                std::thread::spawn(move || rude(stream));
            }
        });
        bank.start_server("A");
        let payer = Payer::start(bank.address("A"));
        let complaint = format!("B at {address} can't be reached");
        wait_until(&format!("one that {what} is complained about"), || {
            let log = log_of("A", &bank);
            log.lines().any(|line| line.contains(&complaint) && line.contains(reason))
        });
        println!("{what}: {}", payer.stop());
    }
    bank.kill("A");
    bank.routes.clear();
    bank.start_server("A");
    bank.wait_until_connected();
}
