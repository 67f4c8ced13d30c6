//! Tests of [`super`]: each kind, each way to get it wrong.

use super::*;

fn good(line: &str) -> (Option<u64>, Request) {
    parse_request(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error:?}"))
}

fn bad(line: &[u8]) -> (Option<u64>, ErrorCode, String) {
    match parse_request(line) {
        Err((id, Reply::Error { error, message })) => {
            assert!(message.len() < 2_000, "{message}");
            (id, error, message)
        }
        other => panic!("{}: {other:?}", String::from_utf8_lossy(line)),
    }
}

fn transfer(to: &str, amount: u64) -> TransferRequest {
    let (to, amount) = (to.parse().unwrap(), Amount::new(amount).unwrap());
    TransferRequest { from: None, to, amount, request: None }
}

#[test]
fn each_kind_is_understood() {
    let from = Some("A/alice".parse().unwrap());
    let request = Some("A.1.17.00000000000000ff.3#42".parse().unwrap());
    let named = TransferRequest { from, request, ..transfer("B", 30) };
    let after = Some(Position { epoch: 1, seq: 1000 });
    for (line, request) in [
        (r#"{"session":{}}"#, Request::Session),
        (r#"{"transfer":{"to":"B","amount":30}}"#, Request::Transfer(transfer("B", 30))),
        (
            r#"{"transfer":{"from":"A/alice","to":"B","amount":30,"session":"A.1.17.00000000000000ff.3","number":42}}"#,
            Request::Transfer(named.clone()),
        ),
        (
            r#"{"transfers":[{"to":"B","amount":1},{"to":"C","amount":2}]}"#,
            Request::Transfers(vec![transfer("B", 1), transfer("C", 2)]),
        ),
        (r#"{"balance":{}}"#, Request::Balance(None)),
        (r#"{"balance":{"account":"B"}}"#, Request::Balance(Some("B".parse().unwrap()))),
        (r#"{"log":{}}"#, Request::Log { after: None }),
        (r#"{"log":{"after":{"epoch":1,"seq":1000}}}"#, Request::Log { after }),
        (r#"{"chain":{}}"#, Request::Chain { from: 0, to: None }),
        (r#"{"chain":{"from":1,"to":5}}"#, Request::Chain { from: 1, to: Some(5) }),
        (r#"{"status":{}}"#, Request::Status),
        (r#" { "settle" : { } } "#, Request::Settle),
    ] {
        assert_eq!(good(line), (None, request.clone()), "{line}");
        let encoded = encode_request(7, &request);
        let text = encoded.strip_suffix('\n').expect("a line ends in a newline");
        assert_eq!(good(text), (Some(7), request), "{text}");
    }
}

#[test]
fn the_wire_is_as_documented() {
    let line = encode_request(2, &Request::Transfer(transfer("B", 30)));
    assert_eq!(line, "{\"id\":2,\"transfer\":{\"to\":\"B\",\"amount\":30}}\n");
    assert_eq!(encode_request(1, &Request::Session), "{\"id\":1,\"session\":{}}\n");
    assert_eq!(encode_request(5, &Request::Log { after: None }), "{\"id\":5,\"log\":{}}\n");
}

#[test]
fn an_id_and_a_version_may_be_given() {
    assert_eq!(
        good(r#"{"version":1,"status":{},"id":18446744073709551615}"#),
        (Some(u64::MAX), Request::Status)
    );
    let (id, error, message) = bad(br#"{"id":3,"version":2,"status":{}}"#);
    assert_eq!((id, error), (Some(3), ErrorCode::BadVersion));
    assert!(message.contains("version 2") && message.contains("version 1"), "{message}");
    // Another version may have other kinds: then it is the version that is wrong.
    let (id, error, _) = bad(br#"{"id":3,"version":2,"teleport":{}}"#);
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
        (r#"{"id":9,"transfers":[]}"#, "1 to 5000"),
        (r#"{"id":9,"transfers":{"to":"B","amount":1}}"#, "expected a sequence"),
        (r#"{"id":9,"transfers":[{"to":"B","amount":1},{"to":"B"}]}"#, "number 2: "),
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
        let (id, error, message) = bad(line.as_bytes());
        assert_eq!((id, error), (Some(9), ErrorCode::BadRequest), "{line}");
        let named = message.contains("a whole number of units") || amount == "1e999";
        assert!(named, "{line}: {message}");
    }
    // That these make no sense is for the state machine to say.
    good(r#"{"transfer":{"to":"B","amount":0}}"#);
    good(r#"{"transfer":{"from":"B","to":"B","amount":9007199254740991}}"#);
}

#[test]
fn without_a_usable_id_there_is_none() {
    for line in [
        "7",
        "null",
        "\"status\"",
        "[]",
        "[7,1,{}]",
        r#"{"id":-1,"status":{}}"#,
        r#"{"id":"x","status":{}}"#,
        r#"{"id":null,"status":{}}"#,
        r#"{"id":1,"id":2,"status":{}}"#,
    ] {
        let (id, error, _) = bad(line.as_bytes());
        assert_eq!((id, error), (None, ErrorCode::BadRequest), "{line}");
    }
}

#[test]
fn there_may_be_as_many_transfers_as_allowed_and_no_more() {
    let lines = |count| encode_request(1, &Request::Transfers(vec![transfer("B", 1); count]));
    good(&lines(MAX_TRANSFERS));
    assert_eq!(bad(lines(MAX_TRANSFERS + 1).as_bytes()).1, ErrorCode::BadRequest);
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
