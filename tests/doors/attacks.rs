//! Attacks on a bank with keys: each is refused with its reason, and leaves the bank as it was.

use std::fs::{self, Permissions};
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use paxos_banking::bank::blockchain::block::{BlockHash, FORMAT};
use paxos_banking::noise::{Preamble, SecretKey, create_key_file};
use serde_json::{Value, json};

use crate::keyed::Keyed;
use crate::support::cluster::{Client, server, wait_until};
use crate::support::doors::{Eavesdropper, Sealed};
use crate::support::process::signal;
use crate::support::redis::say;

/// The words of a reply that refuses, whether as an error or as an outcome.
fn forbidden(reply: &Value) -> String {
    let code = if reply["error"].is_string() { &reply["error"] } else { &reply["code"] };
    assert_eq!(*code, json!("forbidden"), "{reply}");
    let words = if reply["error"].is_string() { &reply["message"] } else { &reply["reason"] };
    words.as_str().expect("words").to_owned()
}

fn debit(from: &str, to: &str) -> Value {
    json!({"transfer": {"from": from, "to": to, "amount": 5}})
}

/// True if words tell a balance of 20. A key's fingerprint may happen to hold these digits.
fn tells_20(words: &str) -> bool {
    let mut words = words.split_whitespace().filter(|word| !word.contains("SHA256:"));
    words.any(|word| word.contains("20"))
}

/// Debits of accounts that are another's, and orders that only an operator may give.
fn debits(bank: &Keyed) {
    let from_alice = debit("A/alice", "A/mallory");
    let words = forbidden(&bank.ask("mallory", &from_alice));
    assert!(words.contains("A/alice") && !tells_20(&words), "{words}");
    for who in ["auditor", "operator"] {
        forbidden(&bank.ask(who, &from_alice));
    }
    forbidden(&bank.ask("mallory", &debit("A", "A/mallory")));
    let mut plain = Client::connect(bank.bank.address("A"));
    for request in [from_alice.clone(), debit("A", "A/mallory"), json!({"settle": {}})] {
        let words = forbidden(&plain.ask(&request));
        assert!(words.contains("--key"), "{words}");
    }
    let mut mallory = bank.client("mallory", "A");
    let key = bank.fingerprint("mallory");
    for request in [
        json!({"open": {"account": "A/new", "key": key}}),
        json!({"rekey": {"account": "A/alice", "key": key}}),
        json!({"settle": {}}),
        json!({"rejoin": {}}),
        json!({"rejoin": {"server": "C", "key": key}}),
        json!({"kind": "link", "fault": "cut", "peer": "B"}),
    ] {
        forbidden(&mallory.ask(&request));
    }
    let link = json!({"kind": "link", "fault": "cut", "peer": "B"});
    forbidden(&plain.ask(&link));
    // In a batch, and linked with what is allowed.
    let items = json!([["A/mallory", "A/alice", 1, "linked"], ["A/alice", "A/mallory", 20]]);
    let reply = mallory.ask(&json!({"batch": {"items": items}}));
    assert!(reply.to_string().contains("forbidden"), "{reply}");
    assert!(!reply["outcomes"][0].is_array(), "{reply}");
}

/// Reads of what is another's.
fn reads(bank: &Keyed) {
    let asks = [
        json!({"balance": {"account": "A/alice"}}),
        json!({"balance": {}}),
        json!({"history": {"account": "A/alice"}}),
        json!({"chain": {}}),
        json!({"log": {}}),
    ];
    for request in &asks {
        for (who, named) in [("mallory", "A/mallory"), ("B", "nothing")] {
            let words = forbidden(&bank.ask(who, request));
            assert!(!tells_20(&words) && !words.contains(named), "{words}");
        }
        let mut plain = Client::connect(bank.bank.address("A"));
        forbidden(&plain.ask(request));
        assert!(bank.ask("auditor", request)["error"].is_null());
    }
    let accounts = bank.ask("mallory", &json!({"accounts": {}}));
    let text = accounts.to_string();
    assert!(text.contains("A/mallory") && !text.contains("alice"), "{text}");
    let text = bank.ask("mallory", &json!({"status": {}})).to_string();
    assert!(!text.contains("alice") && !text.contains("peers"), "{text}");
    // A stranger's key, and an account that isn't there: no word tells whether it is.
    let mut stranger =
        Sealed::connect(bank.bank.address("A"), &SecretKey::random().expect("a key"));
    let [real, none] = ["A/alice", "A/nobody"]
        .map(|account| forbidden(&stranger.ask(&json!({"balance": {"account": account}}))));
    assert_eq!(real.replace("A/alice", ""), none.replace("A/nobody", ""));
    forbidden(&stranger.ask(&json!({"status": {}})));
}

/// A session of alice's in mallory's hands.
fn sessions(bank: &Keyed) {
    let session = bank.ask("alice", &json!({"session": {}}))["session"].clone();
    let pay = |amount: u64| {
        json!({"transfer": {"from": "A/mallory", "to": "A/alice", "amount": amount,
            "session": session, "number": 1}})
    };
    let reply = bank.ask("mallory", &pay(1));
    assert_ne!(reply["outcome"], json!("accepted"), "{reply}");
    assert_eq!(reply["code"], json!("wrong_session"), "{reply}");
}

#[test]
fn only_its_owner_debits_or_reads_an_account_and_only_operators_give_orders() {
    let bank = Keyed::start();
    let before = bank.books();
    debits(&bank);
    reads(&bank);
    sessions(&bank);
    assert_eq!(bank.books(), before);
    // The owner does what the others may not.
    let reply = bank.ask("alice", &debit("A/alice", "A/mallory"));
    assert_eq!((&reply["outcome"], &reply["balance"]), (&json!("accepted"), &json!(15)));
    let faults = bank.ask("operator", &json!({"kind": "link"}));
    assert_eq!(faults["faults"], json!([]), "an operator orders links: {faults}");
}

/// A hello in the name of a server, as the server itself might say it.
fn hello_of(id: &str, bank: &Keyed) -> Value {
    let status = bank.status(id);
    let genesis =
        bank.ask("operator", &json!({"chain": {"from": 0, "to": 0}}))["blocks"][0].clone();
    let life = "00000000000000ff";
    json!({"hello": {
        "version": FORMAT,
        "id": id,
        "instance": status["instance"],
        "life": life,
        "lives": [[life, 1]],
        "configuration": {"servers": ["A", "B", "C"], "opening_balance": 100},
        "standing": {
            "genesis": genesis["hash"], "active": true, "height": status["height"], "turn": 9_999,
            "position": {"epoch": 1, "seq": 0},
        },
        "knows_you_as": genesis["genesis"]["servers"]["A"],
        "rejoins": false,
        "saw_you_at": null,
    }})
}

/// Expects that a hello is refused with a reason of these words, over sealed lines or plain ones.
fn expect_reject(said: Option<Value>, words: &str) {
    let said = said.expect("an answer");
    let reason = said["reject"]["reason"].as_str().unwrap_or_else(|| panic!("no reject: {said}"));
    assert!(reason.contains(words), "{reason}");
}

#[test]
fn nobody_is_a_peer_without_the_key_that_the_chain_names() {
    let bank = Keyed::start();
    let before = bank.books();
    let (hello, address) = (hello_of("B", &bank), bank.bank.address("A"));
    // Without a key, and so by plain lines; then what a peer would say is heard by nobody.
    let mut plain = Client::connect(address);
    plain.send(format!("{hello}\n").as_bytes());
    let said = plain.read();
    assert!(said.as_ref().is_some_and(|said| said["reject"]["hello"].is_null()), "{said:?}");
    expect_reject(said, "without a key");
    assert_eq!(plain.read(), None);
    // With the keys of a client, an operator, another server, and of nobody.
    let stranger = SecretKey::random().expect("a key");
    let keys = ["mallory", "operator", "C"].map(|name| bank.key(name).clone());
    for key in keys.iter().chain([&stranger]) {
        let preamble = Preamble::new(Some(server("B")), Some(server("A")), None);
        let mut peer = Sealed::meaning(address, key, &preamble).expect("a handshake");
        expect_reject(peer.try_ask(&hello), "the chain names another");
    }
    // In an older format, by whatever key.
    let mut older = hello.clone();
    older["hello"]["version"] = json!(4);
    let mut peer = Sealed::connect(address, bank.key("B"));
    expect_reject(peer.try_ask(&older), "it speaks format 4");
    // A block that nobody asked for, and votes, where a hello has to be.
    for line in [
        json!({"blocks_response": {"blocks": []}}),
        json!({"commit": {"height": 9, "hash": "00".repeat(32)}}),
    ] {
        let said = Sealed::connect(address, bank.key("mallory")).try_ask(&line);
        assert!(said.as_ref().is_none_or(|said| said["error"] == json!("bad_request")), "{said:?}");
    }
    assert_eq!(bank.books(), before);
    bank.wait_until_connected();
}

#[test]
fn recordings_and_words_on_their_way_elsewhere_are_worth_nothing() {
    let mut bank = Keyed::start();
    // What B says to A, and what alice says to A, noted down on the way.
    let listener = Eavesdropper::before(bank.bank.address("A"));
    bank.bank.kill("B");
    bank.bank.routes.insert(("B".to_owned(), "A".to_owned()), listener.address.clone());
    bank.start_server("B");
    bank.wait_until_connected();
    let mut alice = Sealed::connect(&listener.address, bank.key("alice"));
    let reply = alice.ask(&debit("A/alice", "A/mallory"));
    assert_eq!(reply["outcome"], json!("accepted"), "{reply}");
    drop(alice);
    let before = bank.books();
    let recordings: Vec<Vec<u8>> = listener.heard();
    let recordings = recordings.iter().filter(|bytes| bytes.starts_with(b"NOISE"));
    let count = recordings.clone().count();
    assert!(count >= 2, "B's and alice's");
    for name in ["alice", "mallory", "hello", "heartbeat"] {
        assert!(!listener.has_heard(name), "{name} passes in the clear");
    }
    let failed = |kind: &str| {
        let failed = bank.status("A")["measured"]["handshakes"]["failed"].clone();
        failed[kind].as_u64().unwrap_or_default()
    };
    let so_far = failed("forged");
    for recording in recordings.clone() {
        let mut again = TcpStream::connect(bank.bank.address("A")).expect("a connection");
        again.write_all(recording).expect("it is read");
    }
    wait_until("all are noticed", || failed("forged") == so_far + count as u64);
    // The same words, said to another server than they were meant for.
    let peers = format!("NOISE {{\"format\":{FORMAT},\"from\"");
    for recording in recordings.filter(|bytes| bytes.starts_with(peers.as_bytes())) {
        let mut elsewhere = Client::connect(bank.bank.address("C"));
        elsewhere.send(recording);
        let reply = elsewhere.read().expect("a word");
        assert!(reply["message"].as_str().is_some_and(|said| said.contains("server C")), "{reply}");
    }
    // A handshake that is meant for another bank.
    let elsewhere = Preamble::new(None, Some(server("A")), Some(BlockHash::of("another")));
    let refused = Sealed::meaning(bank.bank.address("A"), bank.key("alice"), &elsewhere);
    let words = refused.map(|_| ()).expect_err("it is another bank").to_string();
    assert!(words.contains("another bank"), "{words}");
    wait_until("it is logged", || bank.log_of("A").contains("a handshake of 127.0.0.1:"));
    assert_eq!(bank.books(), before);
}

#[test]
fn a_store_without_its_key_and_a_key_that_others_read_start_no_server() {
    let mut bank = Keyed::start();
    let before = bank.books();
    bank.bank.kill("C");
    // Whoever has the store alone doesn't have the key.
    bank.start_server_by("C", "mallory", &[]);
    let log = bank.ends("C");
    let own = bank.fingerprint("C").to_string();
    assert!(log.contains("C is known by the key") && log.contains(&own), "{log}");
    bank.bank.start_server("C");
    let log = bank.ends("C");
    assert!(log.contains("start it with its key file (--key FILE)"), "{log}");
    // A file that others may read.
    let open = |bank: &Keyed, mode: u32| {
        fs::set_permissions(bank.path("C"), Permissions::from_mode(mode)).expect("a mode");
    };
    open(&bank, 0o644);
    bank.start_server("C");
    let log = bank.ends("C");
    assert!(log.contains("others than its owner may read") && log.contains("chmod 600"), "{log}");
    open(&bank, 0o600);
    // A line in the file of the roles that is none.
    bank.authorize("admin SHA256:x root\n");
    bank.start_server("C");
    let log = bank.ends("C");
    assert!(log.contains("roles, line 4: \"admin\" is no role"), "{log}");
    bank.authorize("");
    bank.start_server("C");
    bank.wait_until_connected();
    assert_eq!(bank.books(), before);
}

#[test]
fn a_false_rejoin_changes_nothing_and_a_confirmed_one_ends_the_former_key() {
    let mut bank = Keyed::start();
    let before = bank.books();
    let address = bank.bank.address("A").to_owned();
    // C is gone, and mallory would be C.
    bank.bank.kill("C");
    let mut hello = hello_of("B", &bank);
    (hello["hello"]["id"], hello["hello"]["instance"]) = (json!("C"), json!("00000000000000aa"));
    hello["hello"]["rejoins"] = json!(true);
    let mut mallory = Sealed::connect(&address, bank.key("mallory"));
    expect_reject(mallory.try_ask(&hello), "an operator has to confirm this key");
    let who_asks = bank.ask("operator", &json!({"rejoin": {}}));
    let key = bank.fingerprint("mallory").to_string();
    assert_eq!(who_asks["rejoins"][0]["key"], json!(key), "{who_asks}");
    // Nobody confirms it but an operator, and no key that nobody has shown.
    forbidden(&bank.ask("mallory", &json!({"rejoin": {"server": "C", "key": key}})));
    let other = bank.fingerprint("alice");
    let reply = bank.ask("operator", &json!({"rejoin": {"server": "C", "key": other}}));
    assert!(reply["error"].is_string(), "{reply}");
    assert_eq!(bank.books(), before);
    // The real C comes back with an empty store and a new key, which the operator compares.
    let _: String = say(&mut bank.bank.redis("C").connect(), &["FLUSHALL"]);
    let new = create_key_file(&bank.path("new-C")).expect("a key");
    bank.start_server_by("C", "new-C", &["--rejoin"]);
    let confirm = json!({"rejoin": {"server": "C", "key": new.fingerprint()}});
    wait_until("the operator sees C's new key", || {
        bank.ask("operator", &confirm)["rejoins"].is_array()
    });
    bank.wait_until_connected();
    // Whoever has the former key is nobody now.
    hello["hello"]["rejoins"] = json!(false);
    let mut former = Sealed::connect(&address, bank.key("C"));
    expect_reject(former.try_ask(&hello), "no server's any more");
    assert_eq!(bank.status("A")["keys"]["C"], json!(new.fingerprint()));
}

#[test]
fn roles_change_with_their_file_for_open_connections_too() {
    let mut bank = Keyed::start();
    let mut mallory = bank.client("mallory", "A");
    let read = json!({"balance": {"account": "A/alice"}});
    let link = json!({"kind": "link"});
    forbidden(&mallory.ask(&read));
    bank.authorize(&format!("operator {} Mallory, for today\n", bank.fingerprint("mallory")));
    signal(bank.bank.process("A"), "HUP");
    wait_until("mallory is an operator", || mallory.ask(&read)["balance"] == json!(20));
    assert_eq!(mallory.ask(&link)["faults"], json!([]));
    // A slip in the file takes no role away, and is said.
    bank.authorize("operator\n");
    signal(bank.bank.process("A"), "HUP");
    wait_until("it is said", || bank.log_of("A").contains("the roles stay as they were"));
    assert_eq!(mallory.ask(&read)["balance"], json!(20));
    bank.authorize("");
    signal(bank.bank.process("A"), "HUP");
    wait_until("mallory is one no more", || mallory.ask(&read)["error"] == json!("forbidden"));
    forbidden(&mallory.ask(&link));
}

/// Founds no bank with whoever comes first: beyond loopback others than this machine's users could.
#[test]
fn a_bank_is_founded_only_with_the_keys_that_are_expected() {
    let mut bank = Keyed::not_started();
    // Beyond loopback it has to be said who is expected.
    let anywhere = bank.bank.address("A").replace("127.0.0.1", "0.0.0.0");
    bank.start_server_by("A", "A", &["--listen", &anywhere]);
    let log = bank.ends("A");
    assert!(log.contains("lacks B, C: --expect B=SHA256:…,C=SHA256:…"), "{log}");
    // Without a key it has to be said that everybody debits.
    bank.bank.start_server_with("A", &["--listen", &anywhere]);
    let log = bank.ends("A");
    assert!(log.contains("--access open --let-everybody-debit"), "{log}");
    // Mallory runs a server in C's place, with a key of her own.
    let expect =
        |other: &str| format!("{other}={},C={}", bank.fingerprint(other), bank.fingerprint("C"));
    let (of_a, of_b) = (expect("B"), expect("A"));
    bank.start_server_by("A", "A", &["--listen", &anywhere, "--expect", &of_a]);
    bank.start_server_by("B", "B", &["--expect", &of_b]);
    bank.start_server_by("C", "mallory", &[]);
    let words = format!("proves the key {}", bank.fingerprint("mallory"));
    wait_until("A says whom it doesn't trust", || {
        let log = bank.log_of("A");
        log.contains(&words) && log.contains("is expected (--expect)")
    });
    assert_eq!(bank.status("A")["active"], json!(false));
    bank.bank.kill("C");
    bank.start_server("C");
    bank.wait_until_connected();
    let keys = bank.status("A")["keys"].clone();
    assert_eq!(keys["C"], json!(bank.fingerprint("C")));
}
