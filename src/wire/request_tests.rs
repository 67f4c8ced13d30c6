//! Tests of [`super`]: each kind, each way to get it wrong.

use super::*;
use crate::bank::ids::NamedSession;
use crate::bank::ledger::entry::Action;
use crate::bank::limits::MAX_BATCH;
use crate::bank::request::{Follow, Wanted};

fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

/// The number that a request's name is.
fn number(tag: Option<Tag>) -> Option<u64> {
    match tag? {
        Tag::Number(number) => Some(number),
        Tag::Json(json) => panic!("{json} is no number"),
    }
}

fn good(line: &str) -> (Option<u64>, Request) {
    let (tag, request) = parse_request(line.as_bytes(), &account("A"))
        .unwrap_or_else(|error| panic!("{line}: {error:?}"));
    (number(tag), request)
}

fn bad(line: &[u8]) -> (Option<u64>, ErrorCode, String) {
    match parse_request(line, &account("A")) {
        Err((id, Reply::Error { error, message })) => {
            assert!(message.len() < 2_000, "{message}");
            (number(id), error, message)
        }
        other => panic!("{}: {other:?}", String::from_utf8_lossy(line)),
    }
}

fn transfer(from: &str, to: &str, amount: u64) -> Instruction {
    let amount = Amount::new(amount).unwrap();
    Instruction::plain(Action::Transfer { from: account(from), to: account(to), amount })
}

fn open(name: &str) -> Instruction {
    Instruction::plain(Action::open(account(name)))
}

fn named(number: u64, instruction: Instruction) -> Instruction {
    let request = format!("A.1.17.00000000000000ff.3#{number}").parse().unwrap();
    Instruction { request: Some(request), settled: true, ..instruction }
}

fn by_name(name: &str, last: Option<u64>) -> Request {
    Request::Session(Some(NamedSession { name: name.parse().unwrap(), last }))
}

fn linked(instruction: Instruction) -> Instruction {
    Instruction { linked: true, ..instruction }
}

fn patient(instruction: Instruction, ms: u64) -> Instruction {
    Instruction { wait_ms: Some(ms), ..instruction }
}

#[test]
fn each_kind_is_understood() {
    let after = Some(Position { epoch: 1, seq: 1000 });
    let before = Some(Cursor { height: 7, place: 3, balance: Amount::new(50).unwrap() });
    let history = |name, before, limit| Request::History { account: account(name), before, limit };
    let accounts = |prefix: &str, after: Option<&str>, limit| Request::Accounts {
        prefix: prefix.into(),
        after: after.map(account),
        limit,
    };
    for (line, request) in [
        (r#"{"session":{}}"#, Request::Session(None)),
        (r#"{"session":{"name":"invoices"}}"#, by_name("invoices", None)),
        (r#"{"session":{"name":"x-1_Z","last":0}}"#, by_name("x-1_Z", Some(0))),
        (r#"{"transfer":{"to":"B","amount":30}}"#, Request::One(transfer("A", "B", 30))),
        (
            r#"{"transfer":{"from":"A/alice","to":"B","amount":30,"session":"A.1.17.00000000000000ff.3","number":42,"settled":true,"wait_ms":5000}}"#,
            Request::One(named(42, patient(transfer("A/alice", "B", 30), 5000))),
        ),
        (
            r#"{"transfer":{"to":"B","amount":30,"settled":false}}"#,
            Request::One(transfer("A", "B", 30)),
        ),
        (r#"{"open":{"account":"A/alice"}}"#, Request::One(open("A/alice"))),
        (
            r#"{"open":{"account":"A/alice","session":"A.1.17.00000000000000ff.3","number":5,"settled":true}}"#,
            Request::One(named(5, open("A/alice"))),
        ),
        (r#"{"balance":{}}"#, Request::Balance(None)),
        (r#"{"balance":{"account":"B"}}"#, Request::Balance(Some(account("B")))),
        (r#"{"history":{}}"#, history("A", None, 50)),
        (
            r#"{"history":{"account":"A/alice","before":{"height":7,"place":3,"balance":50},"limit":20}}"#,
            history("A/alice", before, 20),
        ),
        (r#"{"accounts":{}}"#, accounts("", None, 50)),
        (
            r#"{"accounts":{"prefix":"A/","after":"A/bob","limit":1000}}"#,
            accounts("A/", Some("A/bob"), 1000),
        ),
        (r#"{"accounts":{"prefix":"A/al"}}"#, accounts("A/al", None, 50)),
        (r#"{"log":{}}"#, Request::Log { after: None }),
        (r#"{"log":{"after":{"epoch":1,"seq":1000}}}"#, Request::Log { after }),
        (r#"{"chain":{}}"#, Request::Chain { from: 0, to: None }),
        (r#"{"chain":{"from":1,"to":5}}"#, Request::Chain { from: 1, to: Some(5) }),
        (r#"{"follow":{}}"#, Request::Follow(Follow::default())),
        (
            r#"{"follow":{"from":{"height":7,"number":3},"accounts":["A","B/x"],"prefix":"C/","log":true}}"#,
            Request::Follow(Follow {
                from: Some("7-3".parse().unwrap()),
                wanted: Wanted::new(vec![account("A"), account("B/x")], "C/".into()),
                log: true,
            }),
        ),
        (r#"{"status":{}}"#, Request::Status),
        (r#" { "settle" : { } } "#, Request::Settle),
    ] {
        assert_eq!(good(line), (None, request.clone()), "{line}");
        comes_back(&request);
    }
}

fn comes_back(request: &Request) {
    let encoded = encode_request(7, request);
    let text = encoded.strip_suffix('\n').expect("a line ends in a newline");
    assert_eq!(good(text), (Some(7), request.clone()), "{text}");
}

#[test]
fn a_batch_holds_transfers_and_openings_in_many_forms() {
    let line = r#"{"id":3,"batch":{"session":"A.1.17.00000000000000ff.3","number":17,"settled":true,"items":[["A","B",30],["A","B",5,"linked"],{"open":"A/alice"},{"open":"A/x","linked":true},{"from":"A","to":"B","amount":3,"wait_ms":100,"linked":true},["A/x","B",1]]}}"#;
    let expected = [
        transfer("A", "B", 30),
        linked(transfer("A", "B", 5)),
        open("A/alice"),
        linked(open("A/x")),
        linked(patient(transfer("A", "B", 3), 100)),
        transfer("A/x", "B", 1),
    ];
    let expected = expected.into_iter().zip(17..).map(|(one, number)| named(number, one));
    let expected = Request::Batch(expected.collect());
    assert_eq!(good(line), (Some(3), expected.clone()));
    assert_eq!(encode_request(3, &expected), format!("{line}\n"));
    // Without names, and with what follows from the rest left away.
    let line = r#"{"batch":{"items":[{"to":"B","amount":1},["\u0041","B",2]]}}"#;
    let expected = Request::Batch(vec![transfer("A", "B", 1), transfer("A", "B", 2)]);
    assert_eq!(good(line), (None, expected.clone()));
    comes_back(&expected);
}

#[test]
fn only_plain_transfers_are_parsed_quickly() {
    let quickly = |items: &str| {
        let line = format!(r#"{{"batch":{{"items":[["A","B",1],{items}]}}}}"#);
        let quickly = parse_quickly(line.as_bytes(), &account("A"));
        quickly.is_some_and(|(_, request)| request == good(&line).1)
    };
    assert!(quickly(r#"["A","B",2]"#));
    for other in [
        r#"{"from":"A","to":"B","amount":2,"reference":"x"}"#,
        r#"{"mint":"A","amount":2}"#,
        r#"{"burn":"A","amount":2}"#,
        r#"["A","B",2],{"open":"A/x"}"#,
    ] {
        assert!(!quickly(other), "{other}");
    }
}

#[test]
fn the_wire_is_as_documented() {
    let line = encode_request(2, &Request::One(transfer("A", "B", 30)));
    assert_eq!(line, "{\"id\":2,\"transfer\":{\"from\":\"A\",\"to\":\"B\",\"amount\":30}}\n");
    assert_eq!(encode_request(1, &Request::Session(None)), "{\"id\":1,\"session\":{}}\n");
    assert_eq!(encode_request(5, &Request::Log { after: None }), "{\"id\":5,\"log\":{}}\n");
}

#[test]
fn the_own_account_is_that_of_the_server_asked() {
    let (_, request) =
        parse_request(br#"{"transfer":{"to":"B","amount":1}}"#, &account("north")).unwrap();
    assert_eq!(request, Request::One(transfer("north", "B", 1)));
}

#[test]
fn what_no_line_can_say_is_not_written() {
    let unwritable = [
        Request::One(linked(transfer("A", "B", 1))),
        Request::One(patient(open("A/x"), 1)),
        Request::Batch(vec![patient(open("A/x"), 1)]),
        Request::Batch(vec![named(1, open("A/x")), named(3, open("A/y"))]),
        Request::Batch(vec![named(1, open("A/x")), open("A/y")]),
        Request::Batch(vec![open("A/x"), Instruction { settled: true, ..open("A/y") }]),
    ];
    for request in unwritable {
        let written = std::panic::catch_unwind(|| encode_request(1, &request));
        assert!(written.is_err(), "{written:?}");
    }
}

#[test]
fn an_id_and_a_version_may_be_given() {
    assert_eq!(
        good(r#"{"version":2,"status":{},"id":18446744073709551615}"#),
        (Some(u64::MAX), Request::Status)
    );
    let (id, error, message) = bad(br#"{"id":3,"version":1,"status":{}}"#);
    assert_eq!((id, error), (Some(3), ErrorCode::BadVersion));
    assert!(message.contains("version 1") && message.contains("version 2"), "{message}");
    let (tag, _) = parse_request(br#"{"id":"pay-7","status":{}}"#, &account("A")).unwrap();
    assert_eq!(tag, Some(Tag::Json(Box::new("\"pay-7\"".into()))));
    // Another version may have other kinds: then it is the version that is wrong.
    let (id, error, _) = bad(br#"{"id":3,"version":1,"transfers":[]}"#);
    assert_eq!((id, error), (Some(3), ErrorCode::BadVersion));
}

#[test]
fn what_is_not_json_is_called_so() {
    for line in [
        "",
        "hello",
        "{",
        "{\"id\":1,\"status\":{}",
        "{\"id\":1,\"status\":{}} x",
        "{\"id\":1,\"transfer\":{\"to\":7",
        "{'id':1}",
        "GET / HTTP/1.1",
        "\u{feff}{}",
    ] {
        let (id, error, message) = bad(line.as_bytes());
        assert_eq!((id, error), (None, ErrorCode::NotJson), "{line}");
        assert!(message.contains("a request is one JSON object"), "{message}");
    }
    assert_eq!(bad(b"{\"id\":1,\"\xff\":{}}").1, ErrorCode::NotJson);
}

#[test]
fn what_is_json_but_no_request_keeps_its_id_and_says_what_is_wrong() {
    for (line, what) in [
        (r#"{"id":9}"#, "nothing is asked for"),
        (r#"{"id":9,"status":{},"settle":{}}"#, "several things"),
        (r#"{"id":9,"teleport":{}}"#, "unknown field `teleport`"),
        (r#"{"id":9,"status":{"x":1}}"#, "unknown field `x`"),
        (r#"{"id":9,"status":null}"#, "expected an object"),
        (r#"{"id":9,"status":null,"settle":{}}"#, "expected an object"),
        (r#"{"id":9,"status":[]}"#, "expected an object"),
        (r#"{"id":9,"transfer":["A","B",30]}"#, "expected an object"),
        (r#"{"id":9,"transfer":{"to":"B"}}"#, "is missing"),
        (r#"{"id":9,"transfer":{"amount":1}}"#, "is missing"),
        (r#"{"id":9,"transfer":{"to":"B","amount":1,"amount":2}}"#, "duplicate field `amount`"),
        (r#"{"id":9,"status":{},"status":{}}"#, "duplicate field `status`"),
        (r#"{"id":9,"transfer":{"to":"B b","amount":1}}"#, "\"B b\" is not an account"),
        (r#"{"id":9,"transfer":{"to":7,"amount":1}}"#, "expected"),
        (r#"{"id":9,"transfer":{"to":"B","amount":1,"memo":"x"}}"#, "unknown field `memo`"),
        (r#"{"id":9,"transfer":{"to":"B","amount":1,"number":1}}"#, "belong together"),
        (
            r#"{"id":9,"transfer":{"to":"B","amount":1,"session":"A.1.0.00000000000000ff.1"}}"#,
            "belong together",
        ),
        (
            r#"{"id":9,"transfer":{"to":"B","amount":1,"session":"A.1.0.00000000000000ff.1","number":0}}"#,
            "begin with 1",
        ),
        (
            r#"{"id":9,"transfer":{"to":"B","amount":1,"session":"A","number":1}}"#,
            "is not a session",
        ),
        (r#"{"id":9,"transfer":{"to":"B","amount":1,"settled":1}}"#, "expected true or false"),
        (
            r#"{"id":9,"transfer":{"to":"B","amount":1.5}}"#,
            "an amount to pay is a whole number of units from 1 to 9007199254740991 (found the number `1.5`",
        ),
        (r#"{"id":9,"transfer":{"to":"B","amount":1,"linked":true}}"#, "unknown field `linked`"),
        (
            r#"{"id":9,"transfer":{"to":"B","amount":1,"wait_ms":86400001}}"#,
            "86400001 is more than the most, 86400000 milliseconds",
        ),
        (r#"{"id":9,"transfers":[]}"#, "unknown field `transfers`"),
        (r#"{"id":9,"open":{}}"#, "\"account\" is missing; an opening is"),
        (r#"{"id":9,"open":{"account":"A/"}}"#, "\"A/\" is not an account"),
        (r#"{"id":9,"open":{"account":"A/x","number":1}}"#, "belong together"),
        (r#"{"id":9,"open":{"account":"A/x","wait_ms":1}}"#, "unknown field `wait_ms`"),
        (r#"{"id":9,"history":{"limit":0}}"#, "\"limit\" is 1 to 1000"),
        (r#"{"id":9,"history":{"limit":1001}}"#, "\"limit\" is 1 to 1000"),
        (r#"{"id":9,"history":{"account":"A","before":{"height":7}}}"#, "\"before\" is {"),
        (r#"{"id":9,"history":{"before":[7,3,50]}}"#, "expected an object"),
        (
            r#"{"id":9,"history":{"before":{"height":18446744073709551615,"place":3,"balance":50}}}"#,
            "more than the most",
        ),
        (r#"{"id":9,"accounts":{"prefix":"A/b/"}}"#, "no account's name begins with \"A/b/\""),
        (r#"{"id":9,"accounts":{"prefix":"é"}}"#, "no account's name begins"),
        (r#"{"id":9,"accounts":{"limit":0}}"#, "\"limit\" is 1 to 1000"),
        (r#"{"id":9,"accounts":{"after":""}}"#, "is not an account"),
        (r#"{"id":9,"log":{"after":{"epoch":1}}}"#, "with both"),
        (
            r#"{"id":9,"log":{"after":{"epoch":1,"seq":18446744073709551615}}}"#,
            "more than the most",
        ),
        (r#"{"id":9,"chain":{"from":5,"to":1}}"#, "below"),
        (r#"{"id":9,"chain":{"from":-1}}"#, "-1"),
        (r#"{"id":9,"version":"x","status":{}}"#, "\"x\""),
    ] {
        let (id, error, message) = bad(line.as_bytes());
        assert_eq!((id, error), (Some(9), ErrorCode::BadRequest), "{line}");
        assert!(message.contains(what), "{line}: {message}");
    }
}

#[test]
fn a_wrong_one_of_a_batch_is_named_by_its_place() {
    for (item, what) in [
        (r#"["A","B"]"#, "invalid length 2, expected [from, to, amount]"),
        (r#"["A","B",1,"linked",1]"#, "invalid length 5, expected [from, to, amount]"),
        (r#"["A","B",1,"link"]"#, "\"link\", expected nothing or \"linked\""),
        (r#"["A","B",1,true]"#, "expected nothing or \"linked\""),
        (r#"["A","B b",1]"#, "\"B b\" is not an account"),
        (r#"["A",7,1]"#, "the number `7`, expected a name"),
        (r#"["A","B",-1]"#, "an amount to pay is a whole number of units from 1 to"),
        (r#"{"to":"B","amount":-1}"#, "an amount to pay is a whole number of units from 1 to"),
        (r#"["A","B",-1]"#, "a whole number of units"),
        (r#""A""#, "expected [from, to, amount]"),
        (r#"null"#, "expected [from, to, amount]"),
        (r#"{}"#, "\"to\" or \"amount\" is missing"),
        (r#"{"to":"B"}"#, "\"to\" or \"amount\" is missing"),
        (r#"{"open":7}"#, "expected a name"),
        (r#"{"open":"A/x","to":"B"}"#, "a transfer and an opening are two items"),
        (r#"{"open":"A/x","wait_ms":1}"#, "it needs no money, so it has no"),
        (r#"{"to":"B","amount":1,"number":1}"#, "unknown field `number`"),
        (r#"{"to":"B","amount":1,"settled":true}"#, "unknown field `settled`"),
        (r#"{"to":"B","amount":1,"wait_ms":86400001}"#, "more than the most"),
        (r#"{"to":"B","amount":1,"linked":null}"#, "expected true or false"),
    ] {
        let line = format!(r#"{{"id":9,"batch":{{"items":[["A","B",1],{item}]}}}}"#);
        let (id, error, message) = bad(line.as_bytes());
        assert_eq!((id, error), (Some(9), ErrorCode::BadRequest), "{line}");
        let named = message.starts_with("items, number 2: ") && message.contains(what);
        assert!(named, "{line}: {message}");
        assert!(message.contains("(at character "), "{line}: {message}");
    }
}

#[test]
fn a_wrong_batch_is_an_error() {
    for (batch, what) in [
        ("[]", "expected an object"),
        ("{}", "\"items\" is missing; a batch is"),
        (r#"{"items":[]}"#, "items holds 1 to 5000, not none"),
        (r#"{"items":{}}"#, "expected a list of transfers and openings"),
        (r#"{"items":[["A","B",1]],"number":1}"#, "belong together"),
        (
            r#"{"items":[["A","B",1]],"session":"A.1.0.00000000000000ff.1","number":0}"#,
            "begin with 1",
        ),
        (
            r#"{"items":[["A","B",1],["A","B",1]],"session":"A.1.0.00000000000000ff.1","number":9007199254740991}"#,
            "end with 9007199254740991",
        ),
        (r#"{"items":[["A","B",1]],"wait_ms":1}"#, "unknown field `wait_ms`"),
    ] {
        let line = format!(r#"{{"id":9,"batch":{batch}}}"#);
        let (id, error, message) = bad(line.as_bytes());
        assert_eq!((id, error), (Some(9), ErrorCode::BadRequest), "{line}");
        assert!(message.contains(what), "{line}: {message}");
    }
}

#[test]
fn without_a_usable_id_there_is_none() {
    for line in [
        "7",
        "null",
        "\"status\"",
        "[]",
        "[7,1,{}]",
        r#"{"id":true,"status":{}}"#,
        r#"{"id":["x"],"status":{}}"#,
        r#"{"id":null,"status":{}}"#,
        r#"{"id":1,"id":2,"status":{}}"#,
    ] {
        let (id, error, _) = bad(line.as_bytes());
        assert_eq!((id, error), (None, ErrorCode::BadRequest), "{line}");
    }
}

#[test]
fn there_may_be_as_many_as_allowed_and_no_more() {
    let lines = |count| encode_request(1, &Request::Batch(vec![transfer("A", "B", 1); count]));
    good(&lines(MAX_BATCH));
    let (_, error, message) = bad(lines(MAX_BATCH + 1).as_bytes());
    assert_eq!(error, ErrorCode::BadRequest);
    assert!(message.contains("items holds 1 to 5000, not more"), "{message}");
}

#[test]
fn deep_and_long_lines_do_no_harm() {
    let deep = |depth| format!(r#"{{"id":9,"status":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
    assert_eq!(bad(deep(200_000).as_bytes()).1, ErrorCode::BadRequest);
    assert_eq!(bad("[".repeat(1 << 20).as_bytes()).1, ErrorCode::NotJson);
    assert_eq!(bad("{\"a\":".repeat(200_000).as_bytes()).1, ErrorCode::NotJson);
    let unknown = format!(r#"{{"id":9,"{}":1}}"#, "é".repeat(500_000));
    assert_eq!(bad(unknown.as_bytes()).0, Some(9));
}
