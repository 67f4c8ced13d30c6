//! A server that has nothing to write: Redis may close its connections, or be gone.

mod support;

use serde_json::{Value, json};
use support::cluster::{Client, wait_until};
use support::process::Bank;
use support::redis::say;

fn status(bank: &Bank, id: &str) -> Value {
    bank.ask(id, &json!({"status": {}})).unwrap_or_default()
}

/// Bug: each payment after a minute without one was cut off, and began a new life, where Redis had
/// `timeout 60`. Fix: a connection that was closed while nothing was under way is made anew.
#[test]
fn a_redis_that_closes_the_connections_of_who_rests_costs_nothing() {
    let mut bank = Bank::start(&["A", "B", "C"]);
    let redis = &mut bank.redis("A").connect();
    say::<()>(redis, &["CONFIG", "SET", "timeout", "1"]);
    let before = status(&bank, "A");
    let mut client = Client::connect(bank.address("A"));
    for round in 1..=4 {
        // As `timeout` does, but not some time within two seconds.
        bank.redis("A").hang_up_on_all();
        let paid = client.ask(&json!({"transfer": {"to": "B", "amount": 1}}));
        assert_eq!((&paid["outcome"], &paid["seq"]), (&json!("accepted"), &json!(round)), "{paid}");
        let chain = client.ask(&json!({"chain": {}}));
        assert_eq!(chain["blocks"][0]["height"], json!(0), "{chain}");
    }
    let after = status(&bank, "A");
    assert_eq!(after["life"], before["life"], "it is the same life");
    assert_eq!(after["turn"].as_u64(), before["turn"].as_u64().map(|turn| turn + 4));
    assert_eq!(after["measured"]["redis"]["last_error"], json!(null));
}

#[test]
fn a_server_that_rests_notices_that_its_redis_is_gone() {
    let mut bank = Bank::start(&["A"]);
    bank.redis("A").kill();
    wait_until("it says so", || {
        bank.ask("A", &json!({"balance": {}})).is_some_and(|told| told["error"] == json!("store"))
    });
    bank.redis("A").restart();
    wait_until("it serves again", || {
        bank.ask("A", &json!({"balance": {}})).is_some_and(|told| told["balance"] == json!(100))
    });
    let failure = status(&bank, "A")["measured"]["redis"]["last_error"].to_string();
    assert!(failure.contains("Redis at"), "{failure}");
}
