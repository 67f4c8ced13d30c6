//! What a running server answers of accounts has to follow from its chain.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use paxos_banking::audit::{Options, SOUND, WRONG};
use serde_json::json;

use crate::banks::{accepted, audit, nothing};
use crate::support::cluster::Client;
use crate::support::process::Bank;

/// What goes wrong with an answer.
type Spoil = fn(&str) -> String;

/// An address at which a server's answers come spoilt.
fn liar(server: &str, spoil: Spoil) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = server.to_owned();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let [from, to] = [&client, &server].map(|stream| stream.try_clone().unwrap());
            thread::spawn(move || pass(from, to, str::to_owned));
            thread::spawn(move || pass(server, client, spoil));
        }
    });
    address
}

/// Passes lines on until one side has gone.
fn pass(from: TcpStream, mut to: TcpStream, change: impl Fn(&str) -> String) {
    for line in BufReader::new(from).lines() {
        let Ok(line) = line else { break };
        if writeln!(to, "{}", change(&line)).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn what_a_server_tells_wrongly_of_accounts_is_found() {
    let bank = Bank::start(&["A", "B"]);
    let mut client = Client::connect(bank.address("B"));
    accepted(&mut client, &json!({"open": {"account": "B/bob"}}));
    bank.settle();
    accepted(&mut client, &json!({"open": {"account": "B/new"}}));
    let audited = |spoil: Spoil| {
        let at = liar(bank.address("B"), spoil);
        let servers = vec![
            ("A".parse().unwrap(), bank.address("A").to_owned()),
            ("B".parse().unwrap(), at.clone()),
        ];
        (audit(&Options { servers, ..nothing() }), at)
    };
    let (right, _) = audited(str::to_owned);
    assert_eq!(right.status, SOUND, "{}", right.report);
    let spoilt: [(Spoil, &str, &str); 4] = [
        (
            |line| line.replace(r#"{"account":"A","committed":100},"#, ""),
            "",
            "2 accounts are there, and the chain has 3",
        ),
        (
            |line| {
                line.replace(
                    r#"{"account":"A","committed":100}"#,
                    r#"{"account":"A","committed":101}"#,
                )
            },
            "A",
            "101 is there, and 100 follows from the chain",
        ),
        (
            |line| line.replace(r#"{"account":"B/bob","#, r#"{"account":"B/eve","#),
            "B/eve",
            "the chain knows no such account",
        ),
        (
            |line| line.replace(r#"{"account":"B/new"}"#, r#"{"account":"B/eve"}"#),
            "B/eve",
            "it is listed, and neither the chain nor the log opens it",
        ),
    ];
    for (spoil, field, says) in spoilt {
        let (found, at) = audited(spoil);
        assert_eq!(found.status, WRONG, "{says}: {}", found.report);
        let first = &found.report["first"];
        assert_eq!(first["key"], json!(format!("accounts of B at {at}")), "{first}");
        assert_eq!(first["field"].as_str().unwrap_or_default(), field, "{first}");
        assert!(first["what"].as_str().unwrap().contains(says), "{first}");
    }
}
