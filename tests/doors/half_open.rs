//! Handshakes that are begun and left open.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use paxos_banking::noise::Preamble;
use serde_json::json;

use crate::sealed::{random, with_keys};
use crate::support::cluster::{Client, server};
use crate::support::doors::Sealed;

#[test]
fn a_thousand_handshakes_left_open_keep_nobody_out() {
    let mut cluster = with_keys(&["A"]);
    // They would stay for as long as the test takes.
    cluster.configs.get_mut(&server("A")).unwrap().timings.handshake = Duration::from_secs(600);
    cluster.start_all();
    cluster.wait_until_open();
    let address = cluster.configs[&server("A")].listen.clone();
    let mut payer = Sealed::connect(&address, &random());
    payer.ask(&json!({"open": {"account": "A/alice"}}));
    let mut left = 100;
    let mut pay = || {
        left -= 1;
        let reply = payer.ask(&json!({"transfer": {"to": "A/alice", "amount": 1}}));
        assert_eq!((&reply["outcome"], &reply["balance"]), (&json!("accepted"), &json!(left)));
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
    // Newcomers as well, whether they prove a key or not.
    for _ in 0..10 {
        let mut newcomer = Sealed::try_connect(&address, &random()).expect("it is let in");
        assert_eq!(newcomer.ask(&json!({"balance": {}}))["account"], json!("A"));
        let mut newcomer = Client::connect(&address);
        assert_eq!(newcomer.ask(&json!({"balance": {}}))["account"], json!("A"));
    }
    // Those that were begun first have given way.
    open[0].set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert!(matches!(open[0].read(&mut [0]), Ok(0)), "the first has ended");
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
