//! What servers note down while they run: that it is all there, that it fits together, and that a
//! picture comes of it; and that a trace which can't be written harms nobody.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use paxos_banking::store::memory::MemoryStore;
use paxos_banking::trace::merge::{Deed, Delivery, Story, merge};
use paxos_banking::trace::record::{Loss, Record, What};
use paxos_banking::trace::{self, Choice, reader};
use serde_json::json;
use support::cluster::{Client, Cluster, PATIENCE, quick, server, wait_until};

const IDS: [&str; 3] = ["A", "B", "C"];

/// Servers that trace into this folder, open and connected.
fn cluster(folder: &Path) -> Cluster {
    let disks: BTreeMap<_, _> = IDS.iter().map(|id| (server(id), MemoryStore::new())).collect();
    let stores = Box::new(move |id: &_| Box::new(disks[id].clone()) as _);
    let mut cluster = Cluster::new(&IDS, quick(), stores);
    for (id, config) in &mut cluster.configs {
        config.trace = Some(folder.join(format!("{id}.jsonl")));
        config.allow_fault_injection = true;
    }
    cluster.start_all();
    cluster.wait_until_open();
    cluster
}

fn texts(folder: &Path) -> Vec<(String, String)> {
    let name = |id: &&str| format!("{id}.jsonl");
    let text = |name: String| {
        let text = fs::read_to_string(folder.join(&name)).unwrap();
        (name, text)
    };
    IDS.iter().map(name).map(text).collect()
}

fn records(folder: &Path) -> Vec<Record> {
    let read = |(name, text): &(String, String)| reader::read(name, text).unwrap();
    texts(folder).iter().flat_map(read).collect()
}

fn run(cluster: &Cluster, id: &str) -> u64 {
    let mut height = 0;
    wait_until("a run succeeds", || {
        cluster.client(id).ask(&json!({"transfer": {"to": "A", "amount": 1}}));
        cluster.client(id).ask(&json!({"transfer": {"to": "C", "amount": 1}}));
        let settled = cluster.client(id).ask(&json!({"settle": {}}));
        height = settled["height"].as_u64().unwrap_or(0);
        settled["settled"] == json!(true)
    });
    height
}

/// Who sent what to whom, of what arrived.
fn arrived(story: &Story, kind: &str, height: u64) -> Vec<(String, String)> {
    let name = |server: usize| story.servers[server].to_string();
    let of = |event: &trace::merge::Event| match &event.deed {
        Deed::Sent { to, message, fate: Delivery::Arrived(arrival) }
            if message.kind == kind && message.height == Some(height) =>
        {
            assert_eq!(story.events[*arrival].server, *to);
            Some((name(event.server), name(*to)))
        }
        _ => None,
    };
    let mut arrived: Vec<_> = story.events.iter().filter_map(of).collect();
    arrived.sort();
    arrived.dedup();
    arrived
}

#[test]
fn each_message_that_is_received_is_one_that_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path());
    let height = run(&cluster, "B");
    wait_until("all have noted the block down", || {
        let appended = |id: &&str| {
            records(folder.path()).iter().any(|record| {
                record.server == server(id)
                    && matches!(record.what, What::Appended { height: of, .. } if of == height)
            })
        };
        IDS.iter().all(appended)
    });
    // Or what is noted down at one server is read before what happens at another one.
    drop(cluster);
    let story = merge(records(folder.path()));
    let unknown =
        story.events.iter().filter(|event| matches!(event.deed, Deed::Received { sent: None, .. }));
    assert_eq!(unknown.count(), 0);
    let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    for kind in ["prepare", "accept"] {
        assert_eq!(arrived(&story, kind, height), [pair("B", "A"), pair("B", "C")], "{kind}");
    }
    // A majority, with B's own.
    assert!(arrived(&story, "accepted", height).iter().any(|(_, to)| to == "B"));
    // What is sent comes first, and each server's own events are in their order.
    for (number, event) in story.events.iter().enumerate() {
        if let Deed::Received { sent: Some(sent), .. } = event.deed {
            assert!(sent < number && story.events[sent].clock < event.clock);
        }
    }
    let clients = |server: usize| {
        let at = story.events.iter().filter(move |event| event.server == server);
        at.filter(|event| matches!(event.deed, Deed::Noted(What::Asked { .. }))).count()
    };
    assert!(clients(1) >= 3 && clients(0) == 0, "only B was asked");
}

#[test]
fn a_server_that_was_killed_goes_on_in_the_same_file_and_the_picture_shows_its_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = cluster(folder.path());
    cluster.kill("C");
    // As if it had been killed while it wrote.
    let file = folder.path().join("C.jsonl");
    let mut text = fs::read_to_string(&file).unwrap();
    text.push_str(r#"{"server":"C","clo"#);
    fs::write(&file, text).unwrap();
    let height = run(&cluster, "B");
    cluster.start("C");
    wait_until("C has caught up, and says so", || {
        let caught_up = |record: &Record| {
            record.server.as_str() == "C"
                && matches!(record.what, What::Appended { height: of, .. } if of == height)
        };
        records(folder.path()).iter().any(caught_up)
    });
    let story = merge(records(folder.path()));
    let of_c = |deed: &Deed| {
        story.events.iter().filter(|event| event.server == 2 && event.deed == *deed).count()
    };
    assert_eq!((of_c(&Deed::Crashed), of_c(&Deed::Started { again: true })), (1, 1));
    let svg = trace::draw(&texts(folder.path()), &Choice::default()).unwrap();
    for part in
        [">crash</text>", ">restart</text>", "prepare 1", &format!(">block {height}</text>")]
    {
        assert!(svg.contains(part), "{part}");
    }
    let heartbeats = Choice { heartbeats: true, ..Choice::default() };
    assert!(!svg.contains(">heartbeat"));
    assert!(trace::draw(&texts(folder.path()), &heartbeats).unwrap().contains(">heartbeat"));
}

#[test]
fn what_a_broken_link_loses_is_noted_down_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = cluster(folder.path());
    let fault = json!({"kind": "link", "fault": "drop", "peer": "C", "percent": 100});
    cluster.client("B").ask(&fault);
    let height = run(&cluster, "B");
    let is_lost = |record: &Record| match &record.what {
        What::Lost { to, why: Loss::Fault, message } => {
            to.as_str() == "C" && message.kind == "prepare" && message.height == Some(height)
        }
        _ => false,
    };
    assert!(records(folder.path()).iter().any(is_lost));
    let svg = trace::draw(&texts(folder.path()), &Choice::default()).unwrap();
    assert!(svg.contains("arrow prepare lost"));
}

#[test]
fn a_trace_that_can_t_be_written_is_no_reason_not_to_serve() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::new(&["A"], quick(), Box::new(|_| Box::new(MemoryStore::new())));
    for config in cluster.configs.values_mut() {
        config.trace = Some(folder.path().into());
    }
    cluster.start("A");
    cluster.wait_until_open();
    assert_eq!(cluster.ask("A", &json!({"balance": {}})).unwrap()["balance"], json!(100));
}

/// A client that is told a server's trace.
struct Onlooker(Client);

impl Onlooker {
    fn of(cluster: &Cluster, id: &str) -> Onlooker {
        let mut client = cluster.client(id);
        let first = client.ask(&json!({"id": "t", "kind": "trace"}));
        assert_eq!((&first["id"], &first["server"]), (&json!("t"), &json!(id)), "{first}");
        assert_eq!(first["event"], json!("start"), "the life that goes on: {first}");
        Onlooker(client)
    }

    /// Records up to the first one of which this is true.
    fn until(&mut self, is_last: impl Fn(&What) -> bool) -> Vec<Record> {
        let (mut told, until) = (Vec::new(), Instant::now() + PATIENCE);
        loop {
            assert!(Instant::now() < until, "in vain: {:?}", told.last());
            let mut line = self.0.read().expect("a line");
            assert_eq!(line.as_object_mut().unwrap().remove("id"), Some(json!("t")), "{line}");
            if line["missed"].is_u64() {
                continue;
            }
            let record: Record = serde_json::from_value(line).unwrap();
            told.push(record);
            if is_last(&told[told.len() - 1].what) {
                return told;
            }
        }
    }
}

fn untraced() -> Cluster {
    let (cluster, _) = Cluster::in_memory(&IDS);
    cluster.wait_until_open();
    cluster
}

/// The servers have spoken for long before anybody looks on, and write no trace.
#[test]
fn who_looks_on_from_the_middle_on_sees_whole_runs() {
    let cluster = untraced();
    run(&cluster, "A");
    run(&cluster, "C");
    let mut onlookers = IDS.map(|id| Onlooker::of(&cluster, id));
    let height = run(&cluster, "B");
    let has_appended =
        |what: &What| matches!(what, What::Appended { height: of, .. } if *of == height);
    let records: Vec<Record> =
        onlookers.iter_mut().flat_map(|onlooker| onlooker.until(has_appended)).collect();
    let story = merge(records);
    let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    for kind in ["prepare", "accept"] {
        assert_eq!(arrived(&story, kind, height), [pair("B", "A"), pair("B", "C")], "{kind}");
    }
    let accepted = arrived(&story, "accepted", height);
    assert!(accepted.iter().any(|(_, to)| to == "B"), "{accepted:?}");
    let is_asked = |event: &trace::merge::Event| {
        event.server == 1 && event.deed == Deed::Noted(What::Asked { what: "settle".into() })
    };
    assert!(story.events.iter().any(is_asked));
}

#[test]
fn only_so_many_look_on_and_who_leaves_makes_room() {
    let cluster = untraced();
    let mut all: Vec<Onlooker> = (0..8).map(|_| Onlooker::of(&cluster, "A")).collect();
    let order = json!({"id": 1, "kind": "trace"});
    let refused = cluster.ask("A", &order).unwrap();
    assert_eq!((&refused["id"], &refused["error"]), (&json!(1), &json!("unavailable")));
    assert!(refused["message"].as_str().unwrap().starts_with("8 clients are told"), "{refused}");
    // One stream a connection, whichever.
    let client = &mut all[0].0;
    client.send(b"{\"id\":2,\"follow\":{}}\n");
    let reply = loop {
        let line = client.read().unwrap();
        if line["id"] == json!(2) {
            break line;
        }
    };
    assert!(reply["message"].as_str().unwrap().contains("follows already"), "{reply}");
    all.pop();
    wait_until("there is room again", || {
        cluster.ask("A", &order).is_some_and(|first| first["event"] == json!("start"))
    });
    let wrong = cluster.ask("A", &json!({"id": 3, "kind": "trace", "from": 7})).unwrap();
    assert_eq!((&wrong["id"], &wrong["error"]), (&json!(3), &json!("bad_request")), "{wrong}");
}
