//! Entries, elements, the directory of accounts and the limits: what they say of themselves.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::catch_unwind;

use paxos_banking::bank::ledger::directory::Directory;
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Action, Entry, Record, Via};
use paxos_banking::bank::limits::{Limits, Share};

use crate::stage::*;

fn hashed(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[test]
fn an_entry_knows_whom_it_touches() {
    let transfer = pays("A", "B", 1);
    let touched =
        |action: &Action| ["A", "B", "C", "A/x"].map(|name| action.touches(&account(name)));
    assert_eq!(touched(&transfer), [true, true, false, false]);
    assert_eq!(touched(&opens("A/x")), [false, false, false, true]);
    assert_eq!(transfer.payer(), Some(&account("A")));
    assert_eq!(transfer.payee(), Some(&account("B")));
    assert_eq!((opens("A/x").payer(), opens("A/x").payee()), (None, None));
}

#[test]
fn an_entry_is_told_without_what_goes_without_saying() {
    let entry = |record| Entry { server: id("A"), epoch: 1, seq: 7, record, time: None };
    let text = |record| serde_json::to_string(&entry(record)).unwrap();
    let plain = record(pays("A", "B", 30));
    let begin = r#"{"server":"A","epoch":1,"seq":7,"from":"A","to":"B","amount":30"#;
    assert_eq!(text(plain.clone()), format!("{begin}}}"));
    let request = transfer(1, 4).request;
    let full = Record { request, via: Via::Paxos, linked: true, ..plain };
    let session = "A.1.0.0000000000000001.1";
    let end = format!(r#","request":"{session}#4","via":"paxos","linked":true}}"#);
    assert_eq!(text(full.clone()), format!("{begin}{end}"));
    assert_eq!(serde_json::from_str::<Entry>(&text(full.clone())).unwrap(), entry(full));
}

#[test]
fn elements_are_told_apart_by_their_texts() {
    let (one, other) = (element("A", 1), element("A", 2));
    let spaced = Element::open(&one.text().replace(',', ", ")).unwrap();
    assert_eq!(spaced.records(), one.records());
    assert_ne!(spaced, one);
    assert_eq!(hashed(&one), hashed(&Element::open(one.text()).unwrap()));
    assert_ne!(hashed(&one), hashed(&other));
    assert_eq!(format!("{one:?}"), r#"{"epoch":1,"seq":1,"entries":[["A","B",1]]}"#);
}

#[test]
fn an_element_that_says_a_thing_twice_is_none() {
    let problem = |entries: &str| {
        let text = format!(r#"{{"epoch":1,"seq":1,"entries":{entries}}}"#);
        Element::open(&text).unwrap_err().to_string()
    };
    let request = r#""request":"A.1.0.00000000000000ff.1#4""#;
    let twice = problem(&format!(r#"[{{"open":"A/x",{request},{request}}}]"#));
    assert!(twice.contains("duplicate field `request`"), "{twice}");
    let twice = problem(r#"[{"open":"A/x","marks":"paxos","marks":"paxos"}]"#);
    assert!(twice.contains("duplicate field `marks`"), "{twice}");
    assert!(problem("7").contains("a list of entries"));
}

#[test]
fn a_directory_is_what_names_are_in_it() {
    let directory = |names: &[&str]| {
        let mut directory = Directory::<()>::new(7);
        for name in names {
            directory.add(&account(name));
        }
        directory
    };
    assert!(directory(&[]).is_empty() && !directory(&["A"]).is_empty());
    assert_eq!(hashed(&directory(&["A", "B"])), hashed(&directory(&["A", "B", "A"])));
    assert_ne!(hashed(&directory(&["A", "B"])), hashed(&directory(&["A", "C"])));
    // The same letters, but cut elsewhere.
    let cut = directory(&["A/x", "yB"]);
    assert_ne!(hashed(&cut), hashed(&directory(&["A/xy", "B"])));
}

#[test]
fn no_limit_is_0() {
    let changes: [fn(&mut Limits); 9] = [
        |limits| limits.element = 0,
        |limits| limits.block = 0,
        |limits| limits.block_bytes = 0,
        |limits| limits.log = 0,
        |limits| limits.accounts = 0,
        |limits| limits.waiting = 0,
        |limits| limits.sessions = 0,
        |limits| limits.remembered = 0,
        |limits| limits.remembered_in_all = 0,
    ];
    Limits::default().assert_sound();
    for change in changes {
        let mut limits = Limits::default();
        change(&mut limits);
        assert!(catch_unwind(|| limits.assert_sound()).is_err(), "{limits:?}");
    }
}

#[test]
fn a_promise_is_a_fair_share_of_a_block_but_at_least_an_element() {
    let limits = Limits { element: 10, block: 100, block_bytes: 1_000, ..Limits::default() };
    let share = |entries, bytes| Share { entries, bytes };
    let expected = [share(33, 333), share(10, 100), share(10, 50)];
    assert_eq!([3, 10, 20].map(|servers| limits.share(servers)), expected);
}
