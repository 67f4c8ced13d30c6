//! Handshakes that are begun and left open.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use paxos_banking::noise::Preamble;
use serde_json::json;

use crate::keyed::Keyed;
use crate::sealed::{random, with_keys};
use crate::support::cluster::{Client, server};
use crate::support::doors::Sealed;

#[test]
fn a_thousand_handshakes_left_open_keep_nobody_out() {
    let mut bank = Keyed::start();
    bank.bank.kill("A");
    // They would stay for as long as the test takes.
    bank.start_server_by("A", "A", &["--handshake", "600s"]);
    bank.wait_until_connected();
    let address = bank.bank.address("A").to_owned();
    let mut alice = bank.client("alice", "A");
    let mut paid = 0;
    let mut pay = || {
        // There and back, so that the money is enough.
        for (whose, to, balance) in [("A/alice", "A/mallory", 19), ("A/mallory", "A/alice", 20)] {
            let pay = json!({"transfer": {"from": whose, "to": to, "amount": 1}});
            let reply = match whose {
                "A/alice" => alice.ask(&pay),
                // A newcomer, every time.
                _ => bank.ask("mallory", &pay),
            };
            assert_eq!(
                (&reply["outcome"], &reply["balance"]),
                (&json!("accepted"), &json!(balance))
            );
            paid += 1;
        }
    };
    let preamble = Preamble::new(None, None, None).to_string();
    let mut open = Vec::new();
    for number in 0..1_000 {
        let mut stream = TcpStream::connect(&address).unwrap();
        // Some stop within the preamble, some after it.
        let length = if number % 2 == 0 { 3 } else { preamble.len() };
        stream.write_all(&preamble.as_bytes()[..length]).unwrap();
        open.push(stream);
        if number % 50 == 0 {
            pay();
        }
    }
    pay();
    // Newcomers without a key hear what they lack.
    for _ in 0..10 {
        let mut newcomer = Client::connect(&address);
        assert_eq!(newcomer.ask(&json!({"balance": {}}))["error"], json!("forbidden"));
    }
    // Those that were begun first have given way.
    open[0].set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(matches!(open[0].read(&mut [0]), Ok(0)), "the first has ended");
    assert_eq!(paid, 42);
    bank.wait_until_connected();
}

#[test]
fn a_handshake_has_to_end_in_time() {
    let mut cluster = with_keys(&["A"]);
    cluster.configs.get_mut(&server("A")).unwrap().timings.handshake = Duration::from_millis(200);
    cluster.start_all();
    cluster.wait_until_open();
    let address = cluster.configs[&server("A")].listen.clone();
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(Preamble::new(None, None, None).to_string().as_bytes()).unwrap();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "it is ended");
    let status = cluster.ask("A", &json!({"status": {}})).unwrap();
    assert_eq!(status["measured"]["handshakes"]["failed"]["late"], json!(1));
    // Who has proved a key may be silent for longer.
    let mut idle = Sealed::connect(&address, &random());
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(idle.ask(&json!({"balance": {}}))["balance"], json!(100));
}
