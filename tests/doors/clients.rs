//! The shipped client at a bank with keys, with a user's home.

use std::fs;
use std::process::Output;

use paxos_banking::noise::SecretKey;
use serde_json::{Value, json};

use crate::keyed::Keyed;
use crate::support::cluster::wait_until;
use crate::support::tunnel::User;

/// What came of a client's commands: its exit status, its output, its errors.
fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A user whose usual key is alice's.
fn alice(bank: &Keyed) -> User {
    let user = User::new();
    fs::copy(bank.path("alice"), user.keys().join("key")).unwrap();
    user
}

#[test]
fn the_usual_key_pays_and_the_servers_keys_are_remembered() {
    let bank = Keyed::start();
    let user = alice(&bank);
    let client = |id: &str, at: &str, more: &[&str]| {
        let arguments = ["client", "--id", id, "--connect", bank.bank.address(at)];
        said(&user.program(&[&arguments[..], more].concat()).output().unwrap())
    };
    let pay = ["-c", "transfer A/alice A/mallory 5"];
    let (status, output, errors) = client("A", "A", &pay);
    assert_eq!((status, output.contains("accepted: balance 15")), (Some(0), true), "{errors}");
    let key = bank.key("A").fingerprint().to_string();
    assert!(errors.contains(&key) && errors.contains("seen for the first time"), "{errors}");
    let (status, _, errors) = client("A", "A", &pay);
    assert_eq!((status, errors.as_str()), (Some(0), ""), "it is said once");
    let (status, _, errors) = client("A", "A", &["--plain", "-c", "balance A/alice"]);
    assert!(status == Some(1) && errors.contains("proved none"), "{status:?} {errors}");
    let (status, _, errors) = client("A", "B", &["-c", "balance A/alice"]);
    assert!(status == Some(3) && errors.contains("server A was meant"), "{status:?} {errors}");

    // Another key at the address, as if the server's had changed, or somebody stood in between.
    let known = user.keys().join("known_servers");
    let other = SecretKey::random().unwrap().fingerprint().to_string();
    let before = fs::read_to_string(&known).unwrap().replace(&key, &other);
    fs::write(&known, &before).unwrap();
    let (status, output, errors) = client("A", "A", &pay);
    assert_eq!((status, errors.as_str()), (Some(3), ""), "it is an answer about a transfer");
    let line = format!("{}, line 1", known.display());
    for part in [&key, &other, &line, "HAS CHANGED", "has not happened"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let (status, output, _) = client("A", "A", &["--json", "-c", "balance A/alice"]);
    let answer: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((status, &answer["error"]), (Some(3), &json!("untrusted")));
    assert_eq!(fs::read_to_string(&known).unwrap(), before, "nothing is remembered of it");
    let right = bank.path("A.pub").display().to_string();
    let (status, output, _) = client("A", "A", &["--server-key", &right, "-c", "balance A/alice"]);
    assert_eq!((status, output.starts_with("A/alice: 10 ")), (Some(0), true), "{output}");
    assert!(fs::read_to_string(&known).unwrap().contains(&key), "the old one's place is taken");
}

#[test]
fn a_tunnel_speaks_with_its_user_s_key() {
    let bank = Keyed::start();
    let (user, tunnel) = alice(&bank).tunnel_kept(bank.bank.address("A"));
    let mut client = tunnel.client();
    let pay = |from: &str| json!({"transfer": {"from": from, "to": "B", "amount": 5}});
    assert_eq!(client.ask(&pay("A/alice"))["outcome"], "accepted");
    assert_eq!(client.ask(&pay("A/mallory"))["code"], "forbidden");
    assert_eq!(client.ask(&json!({"balance": {"account": "A/mallory"}}))["error"], "forbidden");
    assert!(user.keys().join("known_servers").exists(), "it remembers whom it speaks to");
}

#[test]
fn an_audit_asks_only_servers_that_prove_the_keys_it_was_told() {
    let bank = Keyed::start();
    let user = User::new();
    let key = |name: &str| bank.path(name).display().to_string();
    let at = |id: &str| format!("{id}={}", bank.bank.address(id));
    let servers = ["A", "B", "C"].map(at).join(",");
    let audit = |keys: &str| {
        let own = key("auditor");
        let words = ["audit", "--server", &servers, "--key", &own, "--server-key", keys];
        said(&user.program(&words).output().unwrap())
    };
    let of = |id: &str| bank.fingerprint(id);
    let (status, output, _) = audit(&format!("A={},B={},C={}", of("A"), of("mallory"), of("C")));
    assert_eq!(status, Some(3), "{output}");
    for part in [of("B").to_string(), format!("--server-key says {}", of("mallory"))] {
        assert!(output.contains(&part), "{part}: {output}");
    }
    let known = fs::read_to_string(user.keys().join("known_servers")).unwrap();
    assert!(!known.contains(&of("B").to_string()), "B was not asked, so not remembered: {known}");
    let (status, output, errors) = audit(&format!("A={},B={}.pub", of("A"), key("B")));
    assert_eq!((status, output.ends_with("sound\n")), (Some(0), true), "{output} {errors}");
    let (status, _, errors) = audit(&format!("D={}", of("A")));
    assert!(status == Some(2) && errors.contains("which no --server names"), "{errors}");
}

#[test]
fn who_starts_a_bank_in_which_nobody_is_an_operator_is_told() {
    let mut bank = Keyed::not_started();
    let key = bank.path("A").display().to_string();
    let says = "nobody is an operator at this server";
    bank.bank.start_server_with("A", &["--key", &key]);
    wait_until("it is said", || bank.log_of("A").contains(says));
    bank.bank.kill("A");
    bank.start_server("A");
    wait_until("A listens", || bank.log_of("A").contains("listening on"));
    assert!(!bank.log_of("A").contains(says));
}
