//! A store of which the pages of balances are not as its server left them.

use redis::Connection;
use serde_json::{Value, json};

use super::damage::{Damage, command, damage, retyped};
use super::redis::say;

/// A page of A's balances.
fn page(c: &mut Connection, number: u32) -> Value {
    let text: String = say(c, &["HGET", "SERVER-BALANCES-A", &number.to_string()]);
    serde_json::from_str(&text).expect("a page")
}

/// Puts another text in the place of a page.
fn set_page(number: u32, text: &str) -> Vec<String> {
    command("HSET", "BALANCES", &[&number.to_string(), text])
}

/// Says that the pages have the blocks up to this height.
fn set_checkpoint(text: &str) -> Vec<String> {
    command("HSET", "STATE", &["checkpoint", text])
}

/// What may be wrong with the balances: A's one page has three accounts, and all three blocks.
pub fn of_pages(c: &mut Connection) -> Vec<Damage> {
    let right = page(c, 0);
    let held = json!([["A", 45], ["B", 105], ["A/alice", 50]]);
    assert_eq!(right, json!({"height": 2, "balances": held}));
    let with = |height: u64, balances: Value| {
        set_page(0, &json!({"height": height, "balances": balances}).to_string())
    };
    let (place, next) = ("SERVER-BALANCES-A[0]", "SERVER-BALANCES-A[1]");
    let checkpoint = "SERVER-STATE-A[checkpoint]";
    let second = |height: u64, balances: Value| {
        set_page(1, &json!({"height": height, "balances": balances}).to_string())
    };
    let cut = right.to_string();
    let cut = &cut[..cut.len() - 5];
    // Block 2 lets A pay 5, block 1 lets it pay 50 and opens A/alice.
    let before = |height: u64| match height {
        0 => json!([["A", 100], ["B", 100]]),
        _ => json!([["A", 50], ["B", 100], ["A/alice", 50]]),
    };
    vec![
        damage(
            "a balance that differs",
            [with(2, json!([["A", 45], ["B", 105], ["A/alice", 51]]))],
            [place, "A/alice", "51", "50"],
        ),
        damage(
            "money that has changed hands",
            [with(2, json!([["A", 46], ["B", 104], ["A/alice", 50]]))],
            [place, "A comes to 46", "45"],
        ),
        damage(
            "a balance below zero",
            [with(2, json!([["A", -1], ["B", 105], ["A/alice", 50]]))],
            [place, "an amount is"],
        ),
        damage(
            "no number for a balance",
            [with(2, json!([["A", "much"], ["B", 105], ["A/alice", 50]]))],
            [place, "an amount is"],
        ),
        damage(
            "a balance of nobody's",
            [with(2, json!([["A", 45], ["B", 105], ["A/alice", 50], ["A/eve", 1]]))],
            [place, "A/eve"],
        ),
        damage(
            "a balance is gone",
            [with(2, json!([["A", 45], ["A/alice", 50]]))],
            ["SERVER-BALANCES-A", "B is missing"],
        ),
        damage(
            "an account twice on a page",
            [with(2, json!([["A", 45], ["B", 105], ["A/alice", 50], ["A", 45]]))],
            [place, "A was there before"],
        ),
        damage("a page without accounts", [with(2, json!([]))], [place, "it holds 0 accounts"]),
        damage("a page cut short", [set_page(0, cut)], [place, "the text ends"]),
        damage("a page that is no page", [set_page(0, "50")], [place, "found "]),
        damage("an empty page", [set_page(0, "")], [place, "the text ends"]),
        damage(
            "a field that a page has not",
            [set_page(0, r#"{"height":2,"balances":[],"x":1}"#)],
            [place, "unknown field"],
        ),
        damage(
            "a page of a block that isn't there",
            [with(3, held.clone())],
            [place, "it is of height 3"],
        ),
        damage(
            "a page too many",
            [second(2, json!([["A/eve", 0]]))],
            [place, "it is not full, and page 1 is there"],
        ),
        damage(
            "a page under a name that is no number",
            [command("HSET", "BALANCES", &["x", "{}"])],
            [next, "missing"],
        ),
        damage(
            "a page under another number",
            [command("DEL", "BALANCES", &[]), second(2, held.clone())],
            [place, "missing"],
        ),
        damage("no pages", [command("DEL", "BALANCES", &[])], ["SERVER-BALANCES-A", "missing"]),
        damage(
            "an older page than the checkpoint says",
            [with(1, before(1))],
            [place, "A comes to 50", "45"],
        ),
        damage(
            "a page that says that it is older",
            [with(1, held.clone()), set_checkpoint("1")],
            [place, "A comes to 40", "45"],
        ),
        damage(
            "a page that says that it is older than an account on it",
            [with(0, held.clone()), set_checkpoint("0")],
            [place, "A/alice is there, and only block 1 opens it"],
        ),
        damage(
            "a page that lacks an account which it says it has",
            [with(1, before(0)), set_checkpoint("0")],
            [place, "A/alice is missing, which block 1 opens"],
        ),
        damage(
            "a page that can't have been before a block",
            [with(1, json!([["A", 4], ["B", 146], ["A/alice", 50]])), set_checkpoint("1")],
            [place, "A can't have held 4 before block 2"],
        ),
        damage("balances of another type", retyped("BALANCES"), ["BALANCES-A", "WRONGTYPE"]),
        damage(
            "no checkpoint",
            [command("HDEL", "STATE", &["checkpoint"])],
            [checkpoint, "missing"],
        ),
        damage("a checkpoint beyond the chain", [set_checkpoint("3")], [checkpoint]),
        damage("garbage for a checkpoint", [set_checkpoint("x")], [checkpoint, "expected value"]),
        damage("a checkpoint below zero", [set_checkpoint("-1")], [checkpoint, "found "]),
    ]
}

/// Other pages that are just as good, of which the heights differ from what the server wrote last.
pub fn of_older_pages(c: &mut Connection) -> Vec<Vec<Vec<String>>> {
    let older = |height: u64, balances: Value| {
        set_page(0, &json!({"height": height, "balances": balances}).to_string())
    };
    let held = page(c, 0)["balances"].clone();
    let first = json!([["A", 50], ["B", 100], ["A/alice", 50]]);
    vec![
        vec![older(1, first.clone()), set_checkpoint("1")],
        vec![older(1, first), set_checkpoint("0")],
        vec![older(0, json!([["A", 100], ["B", 100]])), set_checkpoint("0")],
        // What isn't late need not be written anew with each block.
        vec![older(2, held), set_checkpoint("0")],
    ]
}
