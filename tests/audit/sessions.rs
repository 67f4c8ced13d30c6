//! What a store says of sessions: by it alone a late retry is known, until the chain was gone through.

use paxos_banking::audit::{SOUND, WRONG};
use paxos_banking::bank::ledger::sessions::opened_at;
use redis::Connection;
use serde_json::{Value, json};

use crate::banks::{audit_redis, blocks, sound};
use crate::corruption::tell;
use crate::support::cluster::Client;
use crate::support::damage::{dump, restore};
use crate::support::process::Bank;

const SESSIONS: &str = "SERVER-SESSIONS-A";
const STATE: &str = "SERVER-STATE-A";

/// What is done to the session `name`, of which the chain holds numbers up to 4, and what has to be said
/// of it then.
type Damage = (&'static str, fn(&mut Connection, &str), Option<&'static str>);

#[test]
fn what_a_store_says_of_a_session_is_what_the_chain_says() {
    let mut sound = sound();
    let redis = sound.bank.redis("A");
    let (c, url) = (&mut redis.connect(), redis.url());
    let whole = dump(c);
    let chain = blocks(c, "A");
    let records = chain.iter().flat_map(|block| block.block().records());
    let request = records.filter_map(|(_, record)| record.request.clone()).next().expect("one");
    assert_eq!(
        opened_at(&request.session).map(|at| at.seq),
        Some(0),
        "the horizons below are beyond it"
    );
    let damages: [Damage; 6] = [
        ("no sessions", |c, _| tell(c, &["DEL", SESSIONS]), Some("missing, and the chain holds 4")),
        (
            "another one in its place",
            |c, name| {
                tell(c, &["DEL", SESSIONS]);
                tell(c, &["HSET", SESSIONS, &name.replacen("A.1.0", "A.1.1", 1), "4"]);
            },
            Some("the chain knows no such session"),
        ),
        (
            "a lower number",
            |c, name| tell(c, &["HSET", SESSIONS, name, "2"]),
            Some("2 is there, and 4 follows from the chain"),
        ),
        (
            "a higher number",
            |c, name| tell(c, &["HSET", SESSIONS, name, "5"]),
            Some("5 is there, and 4 follows from the chain"),
        ),
        (
            "no sessions, and a horizon that it was opened at",
            |c, _| {
                tell(c, &["DEL", SESSIONS]);
                tell(c, &["HSET", STATE, "horizon", r#"{"epoch":1,"seq":0}"#]);
            },
            Some("missing, and the chain holds 4"),
        ),
        (
            "forgotten, by a horizon beyond it",
            |c, _| {
                tell(c, &["DEL", SESSIONS]);
                tell(c, &["HSET", STATE, "horizon", r#"{"epoch":1,"seq":1}"#]);
            },
            None,
        ),
    ];
    for (what, damage, says) in damages {
        damage(c, &request.session.to_string());
        let audited = audit_redis(&url);
        let first = &audited.report["first"];
        match says {
            None => assert_eq!(audited.status, SOUND, "{what}: {first}"),
            Some(says) => {
                assert_eq!(
                    (audited.status, &first["key"]),
                    (WRONG, &Value::from(SESSIONS)),
                    "{what}"
                );
                assert!(first["what"].as_str().is_some_and(|said| said == says), "{what}: {first}");
            }
        }
        restore(c, &whole);
    }
}

/// It is in the store under its own spelling, no horizon covers it, and its server starts with it again.
#[test]
fn a_session_that_its_client_named_may_not_be_missing() {
    let mut bank = Bank::start(&["A"]);
    let mut client = Client::connect(bank.address("A"));
    let pay = |number| json!({"transfer": {"to": "A/x", "amount": 5, "session": "A.1.named.invoices", "number": number}});
    client.ask(&json!({"open": {"account": "A/x"}}));
    let named = client.ask(&json!({"session": {"name": "invoices"}}));
    assert_eq!((&named["session"], &named["highest"]), (&json!("A.1.named.invoices"), &json!(0)));
    assert_eq!(client.ask(&pay(7))["outcome"], "accepted");
    bank.settle();
    bank.kill("A");
    let (c, url) = (&mut bank.redis("A").connect(), bank.redis("A").url());
    let whole = dump(c);
    assert_eq!(audit_redis(&url).status, SOUND);
    tell(c, &["DEL", SESSIONS]);
    tell(c, &["HSET", STATE, "horizon", r#"{"epoch":1,"seq":2}"#]);
    let audited = audit_redis(&url);
    let first = &audited.report["first"];
    assert_eq!((audited.status, &first["what"]), (WRONG, &json!("missing, and the chain holds 7")));
    restore(c, &whole);
    bank.start_server("A");
    bank.wait_until_connected();
    let mut client = Client::connect(bank.address("A"));
    assert_eq!(client.ask(&json!({"session": {"name": "invoices", "last": 7}}))["highest"], 7);
    assert_eq!(client.ask(&pay(7))["repeated"], true);
}
