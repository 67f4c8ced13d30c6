//! The Python client of doc/: over a tunnel, with nothing but Python's own library.
#![cfg(feature = "noise")]

mod support;

use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
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
