//! Sealed connections, of clients and of peers, to servers in this process.

use std::io::Write;
use std::net::TcpStream;

use paxos_banking::bank::blockchain::block::BlockHash;
use paxos_banking::noise::{HandshakeError, Preamble, SecretKey};
use paxos_banking::store::memory::MemoryStore;
use serde_json::{Value, json};

use crate::support::cluster::{Client, Cluster, quick, server, wait_until};
use crate::support::doors::{Eavesdropper, Sealed};

pub fn random() -> SecretKey {
    SecretKey::random().unwrap()
}

/// Servers with keys, each with its own store in memory; none is started yet.
pub fn with_keys(ids: &[&str]) -> Cluster {
    let mut stores = std::collections::BTreeMap::new();
    let store =
        move |id: &paxos_banking::bank::ids::ServerId| -> Box<dyn paxos_banking::store::Store> {
            Box::new(stores.entry(id.clone()).or_insert_with(MemoryStore::new).clone())
        };
    let mut cluster = Cluster::new(ids, quick(), Box::new(store));
    for config in cluster.configs.values_mut() {
        config.doors.key = Some(random());
    }
    cluster
}

fn transfer(to: &str, amount: u64) -> Value {
    json!({"transfer": {"to": to, "amount": amount}})
}

#[test]
fn who_proves_a_key_pays_over_sealed_lines_and_peers_agree_over_them() {
    let mut cluster = with_keys(&["A", "B", "C"]);
    cluster.start_all();
    cluster.wait_until_open();
    let config = &cluster.configs[&server("A")];
    let mut client = Sealed::connect(&config.listen, &random());
    assert_eq!((client.server.id.as_str(), client.server.keyed), ("A", true));
    assert_eq!(client.ask(&transfer("B", 30))["outcome"], json!("accepted"));
    // More than A has by itself.
    wait_until("B's money is found", || {
        let reply = Sealed::connect(&config.listen, &random()).ask(&json!({"settle": {}}));
        reply["settled"] == json!(true)
    });
    let status = client.ask(&json!({"status": {}}));
    assert!(status["measured"]["handshakes"]["done"].as_u64() >= Some(4), "{status}");
    let bank: BlockHash = status["bank"].as_str().unwrap().parse().unwrap();
    assert_eq!(Sealed::connect(&config.listen, &random()).server.bank, Some(bank));
}

#[test]
fn a_server_without_a_key_answers_with_one_that_nobody_can_know_again() {
    let mut cluster = with_keys(&["A", "B"]);
    cluster.configs.get_mut(&server("A")).unwrap().doors.key = None;
    cluster.start_all();
    cluster.wait_until_open();
    let mut client = Sealed::connect(&cluster.configs[&server("A")].listen, &random());
    assert!(!client.server.keyed);
    assert_eq!(client.ask(&transfer("B", 30))["outcome"], json!("accepted"));
}

#[test]
fn long_lines_and_many_unread_replies_come_whole_and_in_order() {
    let mut cluster = with_keys(&["A"]);
    cluster.start_all();
    cluster.wait_until_open();
    let mut client = Sealed::connect(&cluster.configs[&server("A")].listen, &random());
    client.ask(&json!({"open": {"account": "A/alice"}}));
    let there_and_back = [json!(["A", "A/alice", 1]), json!(["A/alice", "A", 1])];
    for round in 0..3 {
        let items: Vec<&Value> = there_and_back.iter().cycle().take(5_000).collect();
        let line = format!("{}\n", json!({"id": round, "batch": {"items": items}}));
        assert!(line.len() > 80_000, "more than a frame");
        // In pieces that frames don't follow.
        line.as_bytes().chunks(33_333).for_each(|piece| client.send(piece));
    }
    for id in 3..3_000 {
        client.send(format!("{}\n", json!({"id": id, "balance": {}})).as_bytes());
    }
    for id in 0..3_000 {
        let reply = client.read().expect("a reply");
        assert_eq!(reply["id"], json!(id), "{}", reply.to_string().len());
        match id {
            0..3 => assert_eq!(reply["outcomes"].as_array().map(Vec::len), Some(5_000), "{reply}"),
            _ => assert_eq!(reply["account"], json!("A")),
        }
    }
}

#[test]
fn whoever_listens_in_hears_no_name() {
    let mut cluster = with_keys(&["A", "B", "C"]);
    let to =
        |id: &str, cluster: &Cluster| Eavesdropper::before(&cluster.configs[&server(id)].listen);
    let (to_a, to_b) = (to("A", &cluster), to("B", &cluster));
    let a = cluster.configs.get_mut(&server("A")).unwrap();
    a.cluster.insert(server("B"), to_b.address.clone());
    cluster.start_all();
    cluster.wait_until_open();
    let mut client = Sealed::connect(&to_a.address, &random());
    let words = ["open", "alice", "transfer", "hello", "promise", "prepare", "status", "instance"];
    client.ask(&json!({"open": {"account": "A/alice"}}));
    client.ask(&json!({"transfer": {"to": "A/alice", "amount": 30}}));
    // All of A's entries go to B, with alice's name.
    wait_until("all is settled", || client.ask(&json!({"settle": {}}))["settled"] == json!(true));
    assert_eq!(client.ask(&json!({"balance": {"account": "A/alice"}}))["balance"], json!(30));
    for eavesdropper in [&to_a, &to_b] {
        assert!(eavesdropper.heard().iter().map(Vec::len).sum::<usize>() > 500);
        for word in words {
            assert!(!eavesdropper.has_heard(word), "{word} passes in the clear");
        }
    }
    // By plain lines it hears all of them.
    let mut plain = Client::connect(&to_a.address);
    plain.ask(&json!({"balance": {"account": "A/alice"}}));
    assert!(to_a.has_heard("alice"));
}

#[test]
fn who_means_another_server_or_bank_or_speaks_another_format_hears_so() {
    let mut cluster = with_keys(&["A", "B"]);
    cluster.start_all();
    cluster.wait_until_open();
    let address = cluster.configs[&server("A")].listen.clone();
    let means = |to: Option<&str>, bank: Option<BlockHash>| {
        let preamble = Preamble::new(None, to.map(server), bank);
        match Sealed::meaning(&address, &random(), &preamble).map(|_| ()) {
            Err(error @ HandshakeError::Refused(_)) => Err(error.to_string()),
            other => other.map_err(|error| panic!("{error}")),
        }
    };
    let bank = Sealed::connect(&address, &random()).server.bank;
    means(Some("A"), bank).expect("it is the right one");
    assert!(means(Some("B"), bank).unwrap_err().contains("this is server A"));
    let words = means(None, Some(BlockHash::of("another"))).unwrap_err();
    assert!(words.contains("another bank"), "{words}");
    let mut lines = 0;
    for (line, words) in [
        ("NOISE {\"format\":4,\"from\":\"B\"}\n", "is of format 4"),
        ("NOISE {\"format\":999}\n", "is of format 999"),
        ("Now?\n", "does not begin with NOISE"),
    ] {
        if line
            .contains(&format!("{{\"format\":{},", paxos_banking::bank::blockchain::block::FORMAT))
        {
            continue;
        }
        lines += 1;
        let mut client = Client::connect(&address);
        client.send(line.as_bytes());
        let reply = client.read().expect("an answer");
        assert!(reply["message"].as_str().is_some_and(|said| said.contains(words)), "{reply}");
        assert_eq!(client.read(), None, "and that is the end");
    }
    let status = cluster.ask("A", &json!({"status": {}})).unwrap();
    let failed = &status["measured"]["handshakes"]["failed"];
    assert_eq!((&failed["elsewhere"], &failed["preamble"]), (&json!(2), &json!(lines)), "{status}");
}

#[test]
fn a_recording_of_a_client_moves_no_money() {
    let mut cluster = with_keys(&["A"]);
    cluster.start_all();
    cluster.wait_until_open();
    let listener = Eavesdropper::before(&cluster.configs[&server("A")].listen);
    let mut client = Sealed::connect(&listener.address, &random());
    client.ask(&json!({"open": {"account": "A/alice"}}));
    client.ask(&json!({"transfer": {"to": "A/alice", "amount": 1}}));
    drop(client);
    let said = listener.heard().into_iter().find(|bytes| bytes.starts_with(b"NOISE"));
    let mut replayed = TcpStream::connect(&cluster.configs[&server("A")].listen).unwrap();
    replayed.write_all(&said.expect("what the client said")).unwrap();
    let failed = || {
        let status = cluster.ask("A", &json!({"status": {}})).unwrap();
        status["measured"]["handshakes"]["failed"]["forged"].as_u64()
    };
    wait_until("it is noticed", || failed() == Some(1));
    assert_eq!(cluster.ask("A", &json!({"balance": {}})).unwrap()["balance"], json!(99));
}
