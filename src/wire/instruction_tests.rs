//! Tests of [`super`], and of the items of batches: money that is issued and taken back, and what something is for.

use super::*;
use crate::bank::request::{ErrorCode, Reply};
use crate::wire::{encode_request, parse_request};

fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

fn good(line: &str) -> Request {
    let read = parse_request(line.as_bytes(), &account("A"));
    read.unwrap_or_else(|error| panic!("{line}: {error:?}")).1
}

fn bad(line: &str) -> String {
    match parse_request(line.as_bytes(), &account("A")) {
        Err((Some(_), Reply::Error { error: ErrorCode::BadRequest, message })) => message,
        other => panic!("{line}: {other:?}"),
    }
}

fn units(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

fn transfer(to: &str, amount: u64) -> Instruction {
    let (from, to) = (account("A"), account(to));
    Instruction::plain(Action::Transfer { from, to, amount: units(amount) })
}

fn mint(name: &str, amount: u64) -> Instruction {
    Instruction::plain(Action::Mint { account: account(name), amount: units(amount) })
}

fn burn(name: &str, amount: u64) -> Instruction {
    Instruction::plain(Action::Burn { account: account(name), amount: units(amount) })
}

fn open(name: &str) -> Instruction {
    Instruction::plain(Action::open(account(name)))
}

fn for_what(text: &str, instruction: Instruction) -> Instruction {
    Instruction { reference: Some(text.parse().unwrap()), ..instruction }
}

fn patient(instruction: Instruction) -> Instruction {
    Instruction { wait_ms: Some(100), ..instruction }
}

fn linked(instruction: Instruction) -> Instruction {
    Instruction { linked: true, ..instruction }
}

#[test]
fn money_is_issued_and_taken_back_and_everything_is_for_something() {
    let key = Fingerprint::of(b"abc");
    let rekey = Action::Rekey { account: account("A/x"), key: Box::new(key) };
    let rekeyed = format!(r#"{{"rekey":{{"account":"A/x","key":"{key}","reference":"lost"}}}}"#);
    let name = "A.1.17.00000000000000ff.3#4".parse().unwrap();
    let named = Instruction { request: Some(name), settled: true, ..patient(burn("B", 1)) };
    for (line, instruction) in [
        (r#"{"mint":{"amount":30}}"#, mint("A", 30)),
        (r#"{"mint":{"account":"A/x","amount":30}}"#, mint("A/x", 30)),
        (r#"{"burn":{"amount":30}}"#, burn("A", 30)),
        (
            r#"{"burn":{"account":"B","amount":1,"session":"A.1.17.00000000000000ff.3","number":4,"settled":true,"wait_ms":100,"reference":"a"}}"#,
            for_what("a", named),
        ),
        (
            r#"{"transfer":{"to":"B","amount":30,"reference":"invoice \"17\""}}"#,
            for_what("invoice \"17\"", transfer("B", 30)),
        ),
        (r#"{"mint":{"amount":30,"reference":"cash"}}"#, for_what("cash", mint("A", 30))),
        (r#"{"open":{"account":"A/x","reference":"\u5bb6"}}"#, for_what("家", open("A/x"))),
        (&*rekeyed, for_what("lost", Instruction::plain(rekey))),
    ] {
        let request = Request::One(instruction);
        assert_eq!(good(line), request, "{line}");
        let again = encode_request(7, &request);
        assert_eq!(good(&again), request, "{again}");
    }
    let written = encode_request(2, &Request::One(for_what("x", mint("A", 30))));
    let expected = r#"{"id":2,"mint":{"account":"A","amount":30,"reference":"x"}}"#;
    assert_eq!(written, format!("{expected}\n"));
}

#[test]
fn a_batch_issues_and_takes_back_too() {
    let line = r#"{"id":3,"batch":{"items":[{"from":"A","to":"B","amount":30,"reference":"x"},{"amount":5,"mint":"A/x","linked":true},{"amount":5,"burn":"B","wait_ms":100,"reference":"y"},{"open":"A/x","reference":"z"}]}}"#;
    let expected = Request::Batch(vec![
        for_what("x", transfer("B", 30)),
        linked(mint("A/x", 5)),
        for_what("y", patient(burn("B", 5))),
        for_what("z", open("A/x")),
    ]);
    assert_eq!(good(line), expected);
    assert_eq!(encode_request(3, &expected), format!("{line}\n"));
}

#[test]
fn what_no_line_can_say_is_not_written() {
    for request in [
        Request::One(patient(mint("A", 1))),
        Request::Batch(vec![patient(mint("A", 1))]),
        Request::One(linked(burn("A", 1))),
    ] {
        let written = std::panic::catch_unwind(|| encode_request(1, &request));
        assert!(written.is_err(), "{written:?}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    let long = format!(r#""open":{{"account":"A/x","reference":"{}"}}"#, "ß".repeat(65));
    for (request, what) in [
        (r#""mint":{}"#, "\"amount\" is missing; money is issued by"),
        (r#""burn":{"account":"A"}"#, "\"amount\" is missing; money is taken back by"),
        (r#""mint":{"amount":1,"wait_ms":1}"#, "needs no money, so it has no \"wait_ms\""),
        (r#""mint":{"amount":-1}"#, "is a whole number of units from 1 to"),
        (r#""mint":{"amount":1,"number":1}"#, "belong together"),
        (r#""burn":{"amount":1,"to":"B"}"#, "unknown field `to`"),
        (r#""mint":{"amount":1,"linked":true}"#, "unknown field `linked`"),
        (r#""mint":{"amount":1},"burn":{"amount":1}"#, "several things"),
        (r#""mint":{"amount":1,"reference":""}"#, "it is empty; a reference is 1 to 64 characters"),
        (
            r#""transfer":{"to":"B","amount":1,"reference":"a\nb"}"#,
            "it holds the control character '\\n'",
        ),
        (r#""transfer":{"to":"B","amount":1,"reference":7}"#, "expected a text"),
        (r#""transfer":{"to":"B","amount":1,"reference":null}"#, "expected a text"),
        (&*long, "it has 65 characters; a reference is 1 to 64 characters"),
    ] {
        let message = bad(&format!(r#"{{"id":9,{request}}}"#));
        assert!(message.contains(what), "{request}: {message}");
    }
}

#[test]
fn what_is_wrong_with_an_item_is_said() {
    for (item, what) in [
        (r#"{"open":"A/x","mint":"A","amount":1}"#, "are two items"),
        (r#"{"mint":"A","burn":"A","amount":1}"#, "are two items"),
        (r#"{"mint":"A","to":"B","amount":1}"#, "are two items"),
        (r#"{"mint":"A"}"#, "\"amount\" is missing"),
        (r#"{"mint":7,"amount":1}"#, "expected a name"),
        (r#"{"mint":"A","amount":1,"wait_ms":1}"#, "it needs no money, so it has no \"wait_ms\""),
        (
            r#"{"burn":"A","amount":1,"key":"SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0"}"#,
            "\"key\" goes with",
        ),
        (r#"{"open":"A/x","amount":1}"#, "\"amount\" goes with what moves money"),
        (r#"{"to":"B","amount":1,"reference":"\u202e1"}"#, "it holds the control character"),
    ] {
        let message = bad(&format!(r#"{{"id":9,"batch":{{"items":[["A","B",1],{item}]}}}}"#));
        let named = message.starts_with("items, number 2: ") && message.contains(what);
        assert!(named, "{item}: {message}");
    }
}

#[test]
fn only_whole_amounts_in_range_are_understood() {
    for amount in [
        "-1",
        "1.5",
        "30.0",
        "1e99",
        "1e999",
        "18446744073709551616",
        "9007199254740992",
        "\"30\"",
        "null",
        "true",
    ] {
        let line = format!(r#"{{"id":9,"transfer":{{"to":"B","amount":{amount}}}}}"#);
        let message = bad(&line);
        let named = message.contains("a whole number of units") || amount == "1e999";
        assert!(named, "{line}: {message}");
    }
    // That these make no sense is for the state machine to say.
    good(r#"{"transfer":{"to":"B","amount":0}}"#);
    good(r#"{"transfer":{"from":"B","to":"B","amount":9007199254740991}}"#);
}
