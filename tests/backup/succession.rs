//! A new bank beside the one that it goes on from: each difference is found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use paxos_banking::audit::backup::going_on::going_on;
use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::{BlockHash, FORMAT, Genesis, Origin, SealedBlock};
use paxos_banking::bank::blockchain::origin::Opening;
use paxos_banking::bank::fingerprint::Fingerprint;
use paxos_banking::bank::ids::{AccountId, InstanceId, ServerId, SessionId};
use paxos_banking::bank::ledger::element::Element;
use serde_json::{Value, json};

use crate::bank::Archived;
use crate::support::cluster::Client;
use crate::told::{Told, back_up, program};

/// What a new bank begins with, taken apart so that it can be changed.
#[derive(Clone)]
struct Parts {
    origin: Origin,
    accounts: Vec<(AccountId, Amount, Option<Fingerprint>)>,
    sessions: BTreeMap<SessionId, u64>,
    logs: BTreeMap<ServerId, Vec<Element>>,
}

impl Parts {
    fn of(folder: &Path) -> Parts {
        let opening = going_on(&[folder.to_owned()]).unwrap().opening;
        let mut parts = Parts {
            origin: opening.origin.clone(),
            accounts: Vec::new(),
            sessions: BTreeMap::new(),
            logs: BTreeMap::new(),
        };
        let mut height = 0;
        while let Some(block) = opening.block_after(height, BlockHash::NONE) {
            if let Some(accounts) = &block.block().opening {
                let with_key = |(account, amount): &(AccountId, Amount)| {
                    (account.clone(), *amount, accounts.keys.get(account).copied())
                };
                parts.accounts.extend(accounts.balances.iter().map(with_key));
                parts.sessions.extend(accounts.sessions.clone());
            }
            for (server, log) in &block.block().logs {
                parts.logs.entry(server.clone()).or_default().extend(log.clone());
            }
            height += 1;
        }
        parts
    }

    /// Writes the chain of a bank that begins so.
    fn write(self, path: &Path) -> PathBuf {
        let Parts { origin, accounts, sessions, logs } = self;
        let opening = Opening::new(origin, accounts.into_iter(), sessions, logs).unwrap();
        let servers = ["A", "B", "C"]
            .map(|id| (id.parse().unwrap(), InstanceId(0xa + id.as_bytes()[0] as u64)));
        let mut block = SealedBlock::genesis(Genesis {
            format: FORMAT,
            opening_balance: Amount::ZERO,
            servers: servers.into(),
            keys: BTreeMap::new(),
            origin: Some(Arc::new(opening.origin.clone())),
            issuing: false,
        });
        let mut text = format!("{}\n", block.text());
        while let Some(next) = opening.block_after(block.height(), block.hash()) {
            text += &format!("{}\n", next.text());
            block = next;
        }
        fs::write(path, text).unwrap();
        path.to_owned()
    }

    fn account(&mut self, name: &str) -> &mut (AccountId, Amount, Option<Fingerprint>) {
        self.accounts.iter_mut().find(|(account, ..)| account.as_str() == name).unwrap()
    }
}

fn audit(files: &[&Path]) -> (i32, Value) {
    let told = Told::of(program(&["audit", "--json"]).args(files).output().unwrap());
    (told.status, serde_json::from_str(&told.out).unwrap())
}

fn units(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

type Difference = (&'static str, fn(&mut Parts), &'static str);

const DIFFERENCES: [Difference; 16] = [
    (
        "money of one account is another's",
        |parts| {
            let taken = parts.account("A/alice").1;
            parts.account("A/alice").1 = Amount::ZERO;
            let of_b = parts.account("B").1;
            parts.account("B").1 = units(of_b.units() + taken.units());
        },
        "A/alice begins with 0, and held 50",
    ),
    (
        "an owner's key is another",
        |parts| parts.account("A/alice").2 = Some(Fingerprint([9; 32])),
        "A/alice begins with another owner's key",
    ),
    (
        "an owner's key is gone",
        |parts| parts.account("A/carol").2 = None,
        "A/carol begins with another owner's key",
    ),
    (
        "an account is left out",
        |parts| parts.accounts.retain(|(account, ..)| account.as_str() != "A/dora"),
        "it leaves out A/dora",
    ),
    (
        "an account more",
        |parts| {
            parts.accounts.push(("C/zoe".parse().unwrap(), Amount::ZERO, None));
        },
        "the former chain has no such account",
    ),
    ("another head", |parts| parts.origin.head = BlockHash::of("x"), "it goes on from block"),
    ("an earlier block", |parts| parts.origin.height -= 1, "it goes on from block"),
    (
        "a count of accounts that isn't right",
        |parts| parts.origin.accounts += 1,
        "and the chain ended with 3000 in",
    ),
    (
        "other last entries",
        |parts| {
            let last = parts.origin.included.get_mut(&"B".parse().unwrap()).unwrap();
            last.seq += 1;
        },
        "it names other last entries",
    ),
    ("no entry is carried over", |parts| parts.logs.clear(), "was not carried over"),
    (
        "an entry is left behind",
        |parts| drop(parts.logs.values_mut().next().unwrap().pop()),
        "was not carried over",
    ),
    (
        "an entry is another",
        |parts| {
            let log = parts.logs.values_mut().next().unwrap();
            let last = log.pop().unwrap();
            let text = last.text().replacen(",1,", ",3,", 1);
            assert_ne!(text, last.text());
            log.push(Element::open(&text).unwrap());
        },
        "was carried over as another entry",
    ),
    (
        "a name had come further",
        |parts| *parts.sessions.values_mut().next().unwrap() -= 1,
        "named.invoices was used up to 1, and it was up to 2",
    ),
    (
        "a name is left out",
        |parts| parts.sessions.clear(),
        "named.invoices, which was used up to 2",
    ),
    (
        "a name more",
        |parts| {
            let session = format!("B.{}.named.wages", parts.origin.epoch);
            parts.sessions.insert(session.parse().unwrap(), 7);
        },
        "named.wages was used up to 7, and it never was",
    ),
    (
        "names are told that are not all, and one is wrong",
        |parts| {
            parts.origin.sessions = false;
            let session = format!("B.{}.named.wages", parts.origin.epoch);
            parts.sessions = [(session.parse().unwrap(), 7)].into();
        },
        "named.wages was used up to 7, and it never was",
    ),
];

#[test]
fn each_difference_between_the_end_of_one_bank_and_the_beginning_of_the_next_is_found() {
    let mut archived = Archived::with_a_past();
    let key = "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0";
    for request in [
        json!({"open": {"account": "A/alice"}}),
        json!({"open": {"account": "A/carol", "key": key}}),
        json!({"open": {"account": "A/dora"}}),
        json!({"transfer": {"to": "A/alice", "amount": 50, "settled": true}}),
        json!({"transfer": {"to": "B", "amount": 1}}),
        json!({"transfer": {"to": "B", "amount": 2}}),
    ] {
        assert_eq!(
            archived.bank.ask("A", &request).unwrap()["outcome"],
            json!("accepted"),
            "{request}"
        );
    }
    let mut client = Client::try_connect(archived.bank.address("A")).unwrap();
    let session = client.ask(&json!({"session": {"name": "invoices"}}))["session"].clone();
    for number in [1, 2] {
        let pays = json!({"to": "B", "amount": 1, "session": session, "number": number});
        assert_eq!(client.ask(&json!({"transfer": pays}))["outcome"], json!("accepted"));
    }
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("a");
    assert_eq!(back_up(&mut archived, "A", &dir).status, 0);
    let right = Parts::of(&dir);
    let new = right.clone().write(&root.path().join("new.jsonl"));
    let (status, report) = audit(&[&dir, &new]);
    assert_eq!(status, 0, "{report:#}");
    let notes = report["stores"][1]["notes"].to_string();
    assert!(
        notes.contains("exactly where the bank")
            && notes.contains("the former log of B was not looked at"),
        "{report:#}"
    );
    for (number, (name, plant, words)) in DIFFERENCES.iter().enumerate() {
        let mut parts = right.clone();
        plant(&mut parts);
        let new = parts.write(&root.path().join(format!("{number}.jsonl")));
        let (status, report) = audit(&[&new, &dir]);
        assert_eq!(status, 1, "{name}: {report:#}");
        let what = report["first"]["what"].as_str().unwrap_or_default();
        assert!(what.contains(words), "{name}: {report:#}");
    }
    // The old bank went on after the backup: first in the log, then in the chain.
    let later = root.path().join("later");
    let pays = json!({"transfer": {"to": "B", "amount": 1}});
    archived.bank.ask("A", &pays).unwrap();
    assert_eq!(back_up(&mut archived, "A", &later).status, 0);
    let (status, report) = audit(&[&later, &new]);
    assert!(status == 1 && report.to_string().contains("and was not carried over"), "{report:#}");
    archived.pay(1);
    assert_eq!(back_up(&mut archived, "A", &later).status, 0);
    let (status, report) = audit(&[&later, &new]);
    assert!(
        status == 1 && report.to_string().contains("a longer backup should have been taken"),
        "{report:#}"
    );
    // A bank that goes on from another one than the one beside it is another bank.
    let mut parts = right.clone();
    parts.origin.bank = BlockHash::of("elsewhere");
    let strange = parts.write(&root.path().join("strange.jsonl"));
    let (status, report) = audit(&[&dir, &strange]);
    assert!(status == 1 && report.to_string().contains("another bank"), "{report:#}");
}
