//! What a server serves by HTTP: figures as Prometheus reads them, health, and readiness.
#![cfg(feature = "http")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use paxos_banking::store::Store;
use paxos_banking::store::memory::MemoryStore;
use serde_json::{Value, json};
use support::cluster::{Client, Cluster, free_address, quick, wait_until};
use support::process::{Bank, signal};

/// A bank of three, each of which serves HTTP.
fn cluster() -> Cluster {
    cluster_that(false)
}

/// The same, which issues money or doesn't.
fn cluster_that(issues: bool) -> Cluster {
    let stores = Box::new(|_: &_| Box::new(MemoryStore::new()) as Box<dyn Store>);
    let mut cluster = Cluster::new(&["A", "B", "C"], quick(), stores);
    for config in cluster.configs.values_mut() {
        (config.http, config.issuing) = (Some("127.0.0.1:0".into()), issues);
    }
    cluster.start_all();
    cluster.wait_until_open();
    cluster
}

fn at(cluster: &Cluster, id: &str) -> SocketAddr {
    cluster.nodes[&id.parse().unwrap()].http_address().expect("it serves HTTP")
}

/// The status and the body of what comes back.
fn asked(address: SocketAddr, method: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn scrape(address: SocketAddr) -> String {
    let (status, body) = asked(address, "GET", "/metrics");
    assert_eq!(status, 200, "{body}");
    body
}

/// The value of a sample, by its whole name with labels.
fn value(page: &str, sample: &str) -> Option<f64> {
    let mut lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    lines.find(|(name, _)| *name == sample).map(|(_, value)| value.parse().unwrap())
}

/// The families of a page, each with its type.
fn families(page: &str) -> BTreeMap<&str, &str> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split_once(' ').unwrap()).collect()
}

/// A bank in which everything that is counted has happened.
fn busy() -> (Cluster, String) {
    let cluster = cluster();
    let mut client = cluster.client("A");
    let pay = |client: &mut Client, amount: u64| {
        client.ask(&json!({"transfer": {"to": "B", "amount": amount}}))
    };
    assert_eq!(pay(&mut client, 30)["outcome"], "accepted");
    assert_eq!(pay(&mut client, 9_000)["outcome"], "refused");
    let mut other = cluster.client("B");
    assert_eq!(other.ask(&json!({"transfer": {"to": "A", "amount": 50}}))["outcome"], "accepted");
    assert_eq!(pay(&mut client, 100)["outcome"], "accepted");
    let page = scrape(at(&cluster, "A"));
    (cluster, page)
}

#[test]
fn figures_tell_what_happened() {
    let (_cluster, page) = busy();
    let is = |sample: &str, wanted: f64| {
        assert_eq!(value(&page, sample), Some(wanted), "{sample}\n{page}")
    };
    is("paxos_banking_serving", 1.0);
    is("paxos_banking_majority_heard", 1.0);
    is("paxos_banking_members", 3.0);
    is("paxos_banking_money_units", 300.0);
    is("paxos_banking_accounts", 3.0);
    is("paxos_banking_outcomes_total{result=\"accepted\"}", 2.0);
    is("paxos_banking_outcomes_total{result=\"refused\"}", 1.0);
    is("paxos_banking_refusals_total{reason=\"insufficient_funds\"}", 1.0);
    is("paxos_banking_local_latency_seconds_count", 1.0);
    is("paxos_banking_paxos_latency_seconds_count", 1.0);
    is("paxos_banking_entries", 2.0);
    is("paxos_banking_peer_connected{peer=\"B\"}", 1.0);
    is("paxos_banking_connections{kind=\"to_peer\"}", 2.0);
    is("paxos_banking_connections{kind=\"from_peer\"}", 2.0);
    assert!(value(&page, "paxos_banking_chain_height") >= Some(2.0), "{page}");
    assert!(value(&page, "paxos_banking_runs_total{result=\"won\"}") >= Some(2.0), "{page}");
    assert!(value(&page, "paxos_banking_turn_duration_seconds_count") >= Some(4.0), "{page}");
    assert!(
        value(&page, "paxos_banking_redis_write_duration_seconds_count") >= Some(3.0),
        "{page}"
    );
}

#[test]
fn what_is_issued_and_what_may_be_is_told() {
    let cluster = cluster_that(true);
    let mut client = cluster.client("A");
    for request in [
        json!({"mint": {"amount": 500}}),
        json!({"burn": {"amount": 30, "settled": true}}),
        json!({"mint": {"amount": 7}}),
    ] {
        assert_eq!(client.ask(&request)["outcome"], "accepted", "{request}");
    }
    let taken = cluster.client("B").ask(&json!({"burn": {"amount": 100, "settled": true}}));
    assert_eq!(taken["settled"], json!(true), "{taken}");
    let most = 1u64 << 42;
    // What A logged last may have missed B's block.
    assert_eq!(client.ask(&json!({"settle": {}}))["settled"], json!(true));
    let status = |id| cluster.client(id).ask(&json!({"status": {}}));
    wait_until("both hold it all", || {
        ["A", "B"].iter().all(|id| status(id)["issued"]["all"] == 377)
    });
    let told = ["A", "B"].map(status);
    assert_eq!(told[0]["issued"], json!({"all": 377, "here": 477, "left_here": most - 477}));
    assert_eq!(told[1]["issued"], json!({"all": 377, "here": -100, "left_here": most + 100}));
    let page = scrape(at(&cluster, "B"));
    for (name, wanted) in [("issued", 377.0), ("home_issued", -100.0)] {
        let sample = format!("paxos_banking_{name}_units");
        assert_eq!(value(&page, &sample), Some(wanted), "{page}");
    }
    let left = value(&page, "paxos_banking_home_issuable_units");
    assert_eq!(left, Some((most + 100) as f64), "{page}");
    let (_others, page) = busy();
    assert_eq!(value(&page, "paxos_banking_issued_units"), None, "this bank issues nothing");
}

#[test]
fn names_follow_prometheus_s_conventions() {
    let (_cluster, page) = busy();
    let families = families(&page);
    let (mut told, mut seen) = (None, BTreeSet::new());
    for line in page.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (what, rest) = comment.split_once(' ').unwrap();
            let (name, text) = rest.split_once(' ').unwrap();
            assert!(!text.is_empty() && ["HELP", "TYPE"].contains(&what), "{line}");
            assert!(what != "HELP" || seen.insert(name), "{name} is there twice");
            assert!(what != "HELP" || text.ends_with('.'), "{line}");
            told = Some(name);
            continue;
        }
        let name: &str = line.split(['{', ' ']).next().unwrap();
        let family = told.expect("a sample has its help before it");
        let end = name.strip_prefix(family).unwrap_or_else(|| panic!("{line} is not of {family}"));
        let ends: &[&str] = match families[family] {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(ends.contains(&end), "{line}");
    }
    for (name, kind) in &families {
        assert!(name.starts_with("paxos_banking_"), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == "counter", "{name} is a {kind}");
        assert!(*kind != "histogram" || name.ends_with("_seconds"), "{name}");
        for other in [
            "_ms", "_us", "_millis", "_micros", "_minutes", "_kb", "_mb", "_count", "_sum",
            "_bucket",
        ] {
            assert!(
                !name.ends_with(other) && !name.contains(&format!("{other}_")),
                "{name}: a base unit"
            );
        }
        for word in ["gauge", "counter", "histogram"] {
            assert!(!name.contains(word), "{name} has its type in its name");
        }
    }
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    assert!(samples < 200, "{samples} samples: too many labels");
}

#[test]
fn a_parser_of_prometheus_s_own_reads_them() {
    let has = Command::new("python3").args(["-c", "import prometheus_client"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "pip install prometheus_client");
        eprintln!("left out: python3 has no prometheus_client here");
        return;
    }
    let (cluster, page) = busy();
    let script = "import sys, urllib.request\n\
        from prometheus_client.parser import text_string_to_metric_families as parse\n\
        text = urllib.request.urlopen(sys.argv[1]).read().decode()\n\
        print(len([s for f in parse(text) for s in f.samples]), len(list(parse(text))))\n";
    let address = format!("http://{}/metrics", at(&cluster, "A"));
    let output = Command::new("python3").args(["-c", script, &address]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let counts: Vec<usize> = said.split_whitespace().map(|n| n.parse().unwrap()).collect();
    let samples = page.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(counts, [samples, families(&page).len()], "{said} {output:?}");
}

#[test]
fn health_and_readiness_are_told_apart() {
    let mut cluster = cluster();
    let address = at(&cluster, "A");
    assert_eq!(asked(address, "GET", "/health"), (200, "A serves\n".into()));
    assert_eq!(asked(address, "GET", "/ready"), (200, "A serves, and hears a majority\n".into()));
    cluster.kill("B");
    cluster.kill("C");
    wait_until("no majority is heard", || asked(address, "GET", "/ready").0 == 503);
    let said = asked(address, "GET", "/ready").1;
    assert_eq!(said, "A serves, but hears no majority\n");
    assert_eq!(asked(address, "GET", "/health").0, 200, "what the home covers goes on");
    assert_eq!(asked(address, "GET", "/").0, 404);
    assert_eq!(asked(address, "POST", "/metrics").0, 405);
    assert_eq!(asked(address, "HEAD", "/health"), (200, String::new()));
}

#[test]
fn a_redis_that_hangs_is_bad_health_and_the_page_still_comes() {
    let mut bank = Bank::new(&["A", "B", "C"]);
    let http = free_address();
    let address = http.parse().unwrap();
    bank.start_server("B");
    bank.start_server("C");
    bank.start_server_with("A", &["--http", &http]);
    bank.wait_until_connected();
    assert_eq!(asked(address, "GET", "/health").0, 200);
    assert_eq!(value(&scrape(address), "paxos_banking_serving"), Some(1.0));
    assert!(value(&scrape(address), "paxos_banking_redis_written_bytes_total") > Some(100.0));
    signal(bank.redis("A").process(), "STOP");
    wait_until("that is noticed", || asked(address, "GET", "/health").0 == 503);
    let (_, why) = asked(address, "GET", "/health");
    assert!(why.contains("store"), "{why}");
    // A client that asks is answered, too, and not only left without an answer.
    wait_until("a client is told", || {
        let mut client = bank.client_command("A");
        let client = client.args(["--timeout", "500ms", "--give-up-after", "1s", "-c", "health"]);
        client.output().unwrap().status.code() == Some(1)
    });
    let page = scrape(address);
    assert_eq!(value(&page, "paxos_banking_serving"), Some(0.0));
    assert!(value(&page, "paxos_banking_chain_height").is_some(), "as it was last seen\n{page}");
    signal(bank.redis("A").process(), "CONT");
    wait_until("it serves again", || asked(address, "GET", "/health").0 == 200);
    let health = |bank: &Bank| {
        let output = bank.client_command("A").args(["-c", "health"]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    bank.wait_until_connected();
    assert_eq!(health(&bank), (Some(0), "A serves, and hears a majority\n".into()));
}

#[test]
fn a_client_is_told_why_a_server_serves_nothing() {
    let mut bank = Bank::new(&["A", "B", "C"]);
    bank.start_server("A");
    let mut output = None;
    wait_until("A answers", || {
        let mut client = bank.client_command("A");
        let client = client.args(["--timeout", "500ms", "--give-up-after", "1s", "-c", "health"]);
        let said = client.output().unwrap();
        let code = said.status.code();
        output = Some(String::from_utf8_lossy(&said.stdout).into_owned());
        code == Some(1)
    });
    let said = output.unwrap();
    assert_eq!(said, "A doesn't serve: the bank is not open yet: A waits for B, C\n");
}

#[test]
fn slow_and_many_clients_of_http_cost_the_bank_nothing() {
    let cluster = cluster();
    let address = at(&cluster, "A");
    // They say nothing, and half of a request; and take every place.
    let slow: Vec<TcpStream> = (0..64)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            if number % 2 == 0 {
                stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ").unwrap();
            }
            stream
        })
        .collect();
    let mut client = cluster.client("A");
    let begun = Instant::now();
    for _ in 0..50 {
        let paid = client.ask(&json!({"transfer": {"to": "B", "amount": 1}}));
        assert_eq!(paid["outcome"], "accepted");
    }
    println!("50 transfers took {:?}", begun.elapsed());
    // Their time is over at last, and then others have their places.
    wait_until("a place is free", || {
        std::panic::catch_unwind(|| asked(address, "GET", "/health").0 == 200).unwrap_or(false)
    });
    drop(slow);
}

/// The names of figures that a text has.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let words = text.split(|c| !is_name(c)).filter(|word| word.starts_with("paxos_banking_"));
    words.map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    let path = format!("{}/doc/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_document_lists_what_is_served() {
    let (_cluster, page) = busy();
    let rows = read("METRICS.md");
    let listed = rows.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: BTreeMap<&str, &str> = listed
        .map(|row| {
            let mut cells = row.split(" | ");
            let name = cells.next().unwrap().split(['`', '{']).next().unwrap();
            (name, cells.next().unwrap())
        })
        .filter(|(name, _)| name.starts_with("paxos_banking_"))
        .collect();
    assert_eq!(listed, families(&page), "left: doc/METRICS.md; right: what is served");
}

#[test]
fn alerts_and_the_dashboard_name_only_figures_that_exist() {
    let (_cluster, page) = busy();
    let families = families(&page);
    let exists = |name: &String| {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let is_histogram = base.is_some_and(|base| families.get(base) == Some(&"histogram"));
        is_histogram || families.contains_key(name.as_str())
    };
    for file in ["prometheus/alerts.yml", "prometheus/dashboard.json"] {
        let names = names_in(&read(file));
        assert!(names.len() > 8, "{file}: {names:?}");
        let unknown: Vec<_> = names.iter().filter(|name| !exists(name)).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}");
    }
    let dashboard: Value = serde_json::from_str(&read("prometheus/dashboard.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().unwrap();
        assert!(targets.iter().all(|target| target["expr"].is_string()), "{panel}");
        assert!(panel["title"].is_string() && panel["gridPos"]["w"].is_u64(), "{panel}");
    }
}
