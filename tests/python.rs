//! The Python client of doc/, with nothing but Python's own library: plain, and over a tunnel.
#![cfg(feature = "noise")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use support::cluster::Cluster;
use support::tunnel::User;

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/doc/client.py");

fn python(arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    // Nothing is to be written into the folder of the documents.
    command.arg("-B").arg(CLIENT).args(arguments);
    command
}

/// What it printed, and whether it says that all went well.
fn said(output: &Output) -> (Value, bool) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let answer = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text:?} {errors}"));
    (answer, output.status.success())
}

fn run(arguments: &[&str]) -> (Value, bool) {
    said(&python(arguments).output().expect("python3 is there"))
}

fn address_of<'a>(cluster: &'a Cluster, id: &str) -> &'a str {
    &cluster.configs[&id.parse().unwrap()].listen
}

#[test]
fn it_pays_and_asks_over_a_tunnel() {
    let (mut cluster, _) = Cluster::in_memory(&["A", "B", "C"]);
    cluster.wait_until_open();
    let tunnel = User::new().tunnel_kept(address_of(&cluster, "A"));
    let at = tunnel.1.address.as_str();
    let (paid, well) = run(&[at, "pay", "A", "B", "30"]);
    assert_eq!((&paid["outcome"], &paid["balance"], well), (&"accepted".into(), &70.into(), true));
    let (refused, well) = run(&[at, "pay", "A", "B", "9000"]);
    assert_eq!((&refused["outcome"], well), (&"refused".into(), false));
    let (balance, well) = run(&[at, "balance", "A"]);
    assert_eq!((&balance["balance"], well), (&70.into(), true));
    let (unknown, well) = run(&[at, "balance", "A/nobody"]);
    assert_eq!((&unknown["error"], well), (&"unknown_account".into(), false));
    // It pays once, though at first nobody is there.
    cluster.kill("A");
    let mut patient = python(&[at, "pay", "A", "B", "5"]);
    let patient = patient.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(200));
    cluster.start("A");
    let (paid, _) = said(&patient.wait_with_output().unwrap());
    assert_eq!((&paid["outcome"], &paid["balance"]), (&"accepted".into(), &65.into()), "{paid}");
}

/// Runs these lines of Python in the documents' folder, with `Bank` at hand; returns the last line that they print.
fn script(lines: &str) -> Value {
    let folder = Path::new(CLIENT).parent().unwrap();
    let lines = format!("import json\nfrom client import Bank\n{lines}");
    let output = Command::new("python3").args(["-B", "-c", &lines]).current_dir(folder).output();
    let output = output.expect("python3 is there");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = printed.lines().last().unwrap_or_else(|| panic!("{errors}"));
    serde_json::from_str(last).unwrap_or_else(|_| panic!("{last} {errors}"))
}

/// Stands before a server. Of the first connection it takes two requests, and lets only the first one's reply through; then
/// it cuts the connection. All others are passed on.
fn cutting_once(server: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, server) = (listener.local_addr().unwrap().to_string(), server.to_owned());
    thread::spawn(move || {
        for (place, client) in listener.incoming().map_while(Result::ok).enumerate() {
            let server = TcpStream::connect(&server).unwrap();
            let (requests, replies) =
                (BufReader::new(client.try_clone().unwrap()), BufReader::new(&server));
            let mut pairs = requests.lines().map_while(Result::ok);
            let mut replies = replies.lines().map_while(Result::ok);
            for number in 1.. {
                let Some(request) = pairs.next() else { break };
                writeln!(&server, "{request}").unwrap();
                let reply = replies.next().unwrap();
                if place == 0 && number == 2 {
                    break;
                }
                writeln!(&client, "{reply}").unwrap();
            }
            let _ = client.shutdown(Shutdown::Both);
        }
    });
    address
}

#[test]
fn a_payment_whose_connection_is_cut_is_paid_once() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    let address = cutting_once(address_of(&cluster, "A"));
    cluster.client("A").ask(&json!({"open": {"account": "A/x"}}));
    let paid = script(&format!(r#"print(json.dumps(Bank("{address}").pay("A", "A/x", 30)))"#));
    assert_eq!((&paid["outcome"], &paid["repeated"]), (&"accepted".into(), &true.into()), "{paid}");
    assert_eq!(paid["balance"], 70);
    assert_eq!(cluster.client("A").ask(&json!({"balance": {"account": "A/x"}}))["balance"], 30);
}

#[test]
fn it_follows_to_the_payers_home() {
    let (cluster, _) = Cluster::in_memory(&["A", "B", "C"]);
    cluster.wait_until_open();
    let lines = r#"bank = Bank("ADDRESS")
there = [bank.pay("B", "C", 10), bank.pay("A", "C", 1), bank.pay("B", "C", 10), bank.pay("Z", "C", 10)]
print(json.dumps([[one["outcome"], one.get("server"), one.get("balance")] for one in there]))"#;
    let told = script(&lines.replace("ADDRESS", address_of(&cluster, "A")));
    let expected = json!([
        ["accepted", "B", 90],
        ["accepted", "A", 99],
        ["accepted", "B", 80],
        ["invalid", null, null]
    ]);
    assert_eq!(told, expected);
}

#[test]
fn who_kept_session_and_number_goes_on_after_a_crash() {
    let (cluster, _) = Cluster::in_memory(&["A", "B", "C"]);
    cluster.wait_until_open();
    let lines = r#"bank = Bank("ADDRESS")
bank.pay("A", "C", 10)
kept = bank.session, bank.number, ("A", "C", 10)
del bank
bank = Bank("ADDRESS", session=kept[0], number=kept[1] - 1)
there = [bank.pay(*kept[2]), bank.pay("A", "C", 5)]
print(json.dumps([[one.get("repeated"), one["balance"]] for one in there]))"#;
    let told = script(&lines.replace("ADDRESS", address_of(&cluster, "A")));
    assert_eq!(told, json!([[true, 90], [null, 85]]));
}

/// It is killed when its payment was sent and before it heard the answer; all that it keeps is a number.
#[test]
fn who_kept_only_its_number_goes_on_after_a_crash() {
    let (cluster, _) = Cluster::in_memory(&["A", "B", "C"]);
    cluster.wait_until_open();
    let crashes = r#"bank = Bank("ADDRESS", name="invoices")
bank.pay("A", "C", 10)
ask = bank.ask
def asks_and_dies(request):
    import os
    bank.lines.write(json.dumps(request).encode() + b"\n")
    bank.lines.flush()
    bank.lines.readline()
    print(json.dumps(bank.number), flush=True)
    os._exit(9)
bank.ask = asks_and_dies
bank.pay("A", "C", 20)"#;
    let address = address_of(&cluster, "A");
    let kept = script(&crashes.replace("ADDRESS", address));
    assert_eq!(kept, 2);
    let returns = r#"invoice = {1: ("A", "C", 10), 2: ("A", "C", 20), 3: ("A", "C", 30), 4: ("B", "C", 5)}
bank = Bank("ADDRESS", name="invoices", number=KEPT)
there = [bank.pay(*invoice[2], number=2), bank.pay(*invoice[3]), bank.pay(*invoice[1], number=1), bank.pay(*invoice[4])]
again = Bank("ADDRESS", name="invoices", number=4).pay(*invoice[4], number=4)
print(json.dumps([[one.get("repeated"), one["balance"]] for one in [*there, again]]))"#;
    let told = script(&returns.replace("ADDRESS", address).replace("KEPT", &kept.to_string()));
    let expected = [(Some(true), 70), (None, 40), (Some(true), 40), (None, 95), (Some(true), 95)];
    assert_eq!(told, json!(expected));
    let highest = cluster.client("A").ask(&json!({"session": {"name": "invoices"}}));
    assert_eq!(
        (&highest["session"], &highest["highest"]),
        (&"A.1.named.invoices".into(), &4.into())
    );
}

/// It needs the package noiseprotocol, which `./dev.sh python` installs aside.
#[test]
#[ignore = "needs the Python package noiseprotocol: ./dev.sh python"]
fn it_shakes_hands_by_itself() {
    let (cluster, _) = Cluster::in_memory(&["A"]);
    cluster.wait_until_open();
    let user = User::new();
    let key = user.keys().join("key").display().to_string();
    let wrong = format!("SHA256:{}", "A".repeat(43));
    let refused = python(&[address_of(&cluster, "A"), "pay", "A", "B", "1", &key, &wrong]);
    let refused = { refused }.output().unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    let proved = errors.split_whitespace().find(|word| word.starts_with("SHA256:"));
    let proved = proved.unwrap_or_else(|| panic!("{errors}")).trim_end_matches(',');
    let (balance, well) = run(&[address_of(&cluster, "A"), "balance", "A", &key, proved]);
    assert_eq!((&balance["balance"], well), (&100.into(), true), "{balance}");
}
