//! The tables of doc/CLIENTS.md, held against what a bank takes and says.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use support::cluster::{Client, Cluster};

type Names = BTreeSet<String>;

/// The names in a cell of a table: those that are always there, and those in brackets.
#[derive(Debug)]
struct Cell {
    always: Names,
    perhaps: Names,
}

impl Cell {
    fn of(text: &str) -> Cell {
        let mut cell = Cell { always: Names::new(), perhaps: Names::new() };
        let mut is_optional = false;
        for (place, part) in text.split('`').enumerate() {
            if place % 2 == 1 {
                let names = if is_optional { &mut cell.perhaps } else { &mut cell.always };
                names.insert(part.to_owned());
            } else if let Some(bracket) = part.rfind(['[', ']']) {
                is_optional = &part[bracket..=bracket] == "[";
            }
        }
        cell
    }

    fn all(&self) -> Names {
        self.always.union(&self.perhaps).cloned().collect()
    }

    /// Fails unless a reply has what is always there, and nothing that isn't listed.
    fn fits(&self, reply: &Value) {
        let mut keys: Names = reply.as_object().expect("an object").keys().cloned().collect();
        keys.remove("id");
        assert!(self.always.is_subset(&keys), "{:?} in {reply}", self.always);
        assert!(keys.is_subset(&self.all()), "{:?} lists not all of {reply}", self.all());
    }
}

/// The rows of the table whose first column has this head, by the names in that column.
fn table(head: &str) -> BTreeMap<String, Vec<String>> {
    let page = include_str!("../doc/CLIENTS.md");
    let rows = page.lines().skip_while(|line| !line.starts_with(&format!("| {head} |"))).skip(2);
    let rows = rows.take_while(|line| line.starts_with('|')).flat_map(|row| {
        let cells: Vec<String> =
            row.split('|').skip(1).map(|cell| cell.trim().to_owned()).collect();
        Cell::of(&cells[0]).always.into_iter().map(move |name| (name, cells.clone()))
    });
    let rows: BTreeMap<String, Vec<String>> = rows.collect();
    assert!(!rows.is_empty(), "there is no table of {head}");
    rows
}

fn bank() -> (Cluster, Client) {
    let (cluster, _) = Cluster::in_memory(&["A", "B", "C"]);
    cluster.wait_until_open();
    let client = cluster.client("A");
    (cluster, client)
}

fn message(client: &mut Client, request: &Value) -> String {
    let reply = client.ask(request);
    assert_eq!(reply["error"], "bad_request", "{request}");
    reply["message"].as_str().unwrap().to_owned()
}

#[test]
fn the_requests_and_their_fields_are_those_that_a_server_takes() {
    let (_cluster, mut client) = bank();
    let kinds = message(&mut client, &json!({}));
    let (_, kinds) = kinds.rsplit_once("with exactly one of ").expect("the kinds");
    let kinds: Names = kinds.split(", ").map(str::to_owned).collect();
    let listed = table("request");
    assert_eq!(listed.keys().cloned().collect::<Names>(), kinds);
    for (kind, cells) in listed {
        let said = message(&mut client, &json!({kind.as_str(): {"no_such_field": 1}}));
        let (_, fields) = said.split_once("`no_such_field`").expect("it is named");
        let (fields, _) = fields.split_once(';').expect("what would be right");
        assert_eq!(Cell::of(fields).always, Cell::of(&cells[1]).all(), "{kind}");
    }
}

#[test]
fn a_request_needs_the_fields_that_are_not_in_brackets() {
    let (_cluster, mut client) = bank();
    let whole = [
        ("transfer", json!({"to": "B", "amount": 1})),
        ("mint", json!({"amount": 1})),
        ("burn", json!({"amount": 1})),
        ("open", json!({"account": "A/x"})),
        ("batch", json!({"items": [["A", "B", 1]]})),
        ("rekey", json!({"account": "A/x", "key": format!("SHA256:{}", "A".repeat(43))})),
    ];
    for (kind, fields) in whole {
        let fields = fields.as_object().unwrap();
        let listed = Cell::of(&table("request")[kind][1]).always;
        assert_eq!(fields.keys().cloned().collect::<Names>(), listed, "{kind}");
        for name in &listed {
            let mut without = fields.clone();
            without.remove(name);
            message(&mut client, &json!({kind: without}));
        }
    }
}

#[test]
fn the_replies_have_the_fields_that_are_listed() {
    let (_cluster, mut client) = bank();
    let listed = table("request");
    let asked = [
        ("session", json!({})),
        ("session", json!({"name": "invoices", "last": 3})),
        ("batch", json!({"items": [["A", "B", 1]]})),
        ("batch", json!({"items": [["A", "B", 0]]})),
        ("balance", json!({})),
        ("history", json!({"limit": 1})),
        ("accounts", json!({})),
        ("log", json!({})),
        ("settle", json!({})),
        ("chain", json!({})),
        ("status", json!({})),
        ("rejoin", json!({})),
        ("members", json!({})),
        ("follow", json!({})),
    ];
    for (kind, fields) in &asked {
        let reply = client.ask(&json!({"id": 7, *kind: fields}));
        Cell::of(&listed[*kind][2]).fits(&reply);
    }
    let by_outcome = ["transfer", "mint", "burn", "open", "rekey"].map(str::to_owned);
    let seen = asked.map(|(kind, _)| kind.to_owned()).into_iter().chain(by_outcome);
    assert_eq!(seen.collect::<Names>(), listed.into_keys().collect(), "each kind is asked for");
    let reply = client.ask(&json!({"kind": "link"}));
    assert!(reply["error"].is_string() || reply["faults"].is_array(), "{reply}");
}

/// Asks for something, and returns the outcome's word.
fn outcome(client: &mut Client, request: &Value) -> String {
    let reply = client.ask(request);
    let word = reply["outcome"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned();
    let mut cell = Cell::of(&table("`outcome`")[&word][1]);
    cell.always.insert("outcome".to_owned());
    cell.fits(&reply);
    if let Some(code) = reply["code"].as_str() {
        assert!(table("`code`").contains_key(code), "{reply}");
    }
    word
}

#[test]
fn the_outcomes_have_the_fields_that_are_listed() {
    let (mut cluster, mut client) = bank();
    let session = client.ask(&json!({"session": {}}))["session"].clone();
    let pay = |from: &str, amount: u64, number: u64| {
        json!({"transfer": {"from": from, "to": "C", "amount": amount,
        "session": session, "number": number, "settled": true}})
    };
    let mut told = Names::new();
    let mut expect = |client: &mut Client, request: &Value, word: &str| {
        assert_eq!(outcome(client, request), word, "{request}");
        told.insert(word.to_owned());
    };
    expect(&mut client, &pay("A", 5, 1), "accepted");
    expect(&mut client, &pay("A", 5, 1), "accepted");
    expect(&mut client, &pay("A", 6, 1), "invalid");
    expect(&mut client, &pay("A", 5000, 2), "refused");
    expect(&mut client, &pay("B", 5, 3), "wrong_server");
    expect(&mut client, &json!({"open": {"account": "A/x"}}), "accepted");
    let linked = client.ask(&json!({"batch": {"items": [["A", "B", 1, "linked"], ["A", "B", 0]]}}));
    let words = linked["outcomes"].as_array().unwrap().iter().map(|one| &one["outcome"]);
    assert_eq!(words.collect::<Vec<_>>(), ["linked_failed", "invalid"]);
    cluster.kill("B");
    cluster.kill("C");
    expect(&mut client, &pay("A", 5000, 4), "unavailable");
    told.extend(["linked_failed".to_owned(), "expired".to_owned()]);
    assert_eq!(told, table("`outcome`").into_keys().collect(), "each outcome is met");
}

#[test]
fn a_connection_whose_session_goes_on_elsewhere_is_told_so() {
    let (cluster, mut older) = bank();
    let session = older.ask(&json!({"session": {}}))["session"].clone();
    let pay = |id: &str, number: u64| {
        json!({"id": id, "transfer": {"to": "B", "amount": 1,
        "session": session, "number": number}})
    };
    assert_eq!(older.ask(&pay("first", 1))["outcome"], "accepted");
    let mut newer = cluster.client("A");
    assert_eq!(newer.ask(&pay("again", 1))["repeated"], true);
    let word = older.read().expect("it is told");
    let told = Cell::of("`error` `session` `message`");
    told.fits(&word);
    assert_eq!((&word["error"], &word["session"]), (&json!("taken_over"), &session));
    assert!(word.get("id").is_none(), "nothing was asked: {word}");
    let answer = older.ask(&pay("too late", 2));
    told.fits(&answer);
    assert_eq!((&answer["error"], &answer["id"]), (&json!("taken_over"), &json!("too late")));
    assert_eq!(older.ask(&json!({"balance": {}}))["balance"], 99, "it is served as before");
    assert!(table("what came").keys().any(|name| name == "taken_over"));
}
