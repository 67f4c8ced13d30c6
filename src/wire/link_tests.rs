//! Tests of [`super`].

use super::*;
use crate::bank::ids::AccountId;
use crate::bank::request::{ErrorCode, Reply, Request};
use crate::wire::asked::{Asked, parse_asked};
use crate::wire::parse_request;

fn home() -> AccountId {
    "A".parse().unwrap()
}

fn server(id: &str) -> ServerId {
    id.parse().unwrap()
}

fn every_order() -> Vec<LinkOrder> {
    let broken = |fault| LinkOrder::Break(LinkFault { peer: server("B"), fault });
    vec![
        LinkOrder::Show,
        LinkOrder::Heal(None),
        LinkOrder::Heal(Some(server("B"))),
        broken(Fault::Cut),
        broken(Fault::Delay { ms: 200 }),
        broken(Fault::Drop { percent: 30 }),
        broken(Fault::Lose { messages: "commit".parse().unwrap() }),
    ]
}

#[test]
fn every_order_is_read_as_it_was_written() {
    for order in every_order() {
        let line = encode_order(7, &order);
        let read = parse_asked(line.trim_end().as_bytes(), &home());
        assert_eq!(read, Ok((Some(Tag::Number(7)), Asked::Link(order))), "{line}");
    }
}

#[test]
fn an_order_needs_no_id() {
    let line = br#"{"kind":"link","fault":"delay","peer":"B","ms":200}"#;
    let fault = Fault::Delay { ms: 200 };
    let order = LinkOrder::Break(LinkFault { peer: server("B"), fault });
    assert_eq!(parse_asked(line, &home()), Ok((None, Asked::Link(order))));
}

#[test]
fn requests_are_read_as_ever() {
    let line = br#"{"id":1,"status":{}}"#;
    assert_eq!(
        parse_asked(line, &home()),
        Ok((Some(Tag::Number(1)), Asked::Request(Request::Status)))
    );
    let wrong = |line: &[u8]| parse_asked(line, &home()).unwrap_err();
    for line in
        [&b"{}"[..], br#"{"kind":"lunk"}"#, br#"{"kind":"link","version":1}"#, b"[]", b"\xff"]
    {
        assert_eq!(wrong(line), parse_request(line, &home()).unwrap_err());
    }
}

#[test]
fn what_is_wrong_with_an_order_is_said() {
    for (fields, part) in [
        (r#""fault":"cut""#, "one is missing"),
        (r#""fault":"cut","peer":"B","ms":3"#, "don't belong together"),
        (r#""fault":"delay","peer":"B""#, "one is missing"),
        (r#""fault":"delay","peer":"B","ms":0"#, "1 to 60000 milliseconds, not 0"),
        (r#""fault":"delay","peer":"B","ms":60001"#, "not 60001"),
        (r#""fault":"drop","peer":"B","percent":0"#, "percent must be 1 to 100"),
        (r#""fault":"drop","peer":"B","percent":256"#, "not 256"),
        (r#""fault":"lose","peer":"B""#, "one is missing"),
        (r#""fault":"lose","peer":"B","messages":[]"#, "name one, such as"),
        (r#""fault":"lose","peer":"B","messages":["comit"]"#, "\"comit\" is no message"),
        (r#""fault":"cut","peer":"B","messages":["commit"]"#, "goes with \"lose\""),
        (r#""fault":"bend","peer":"B""#, "\"bend\" is no fault"),
        (r#""fault":"cut","peer":"B/x""#, "not a server id"),
        (r#""peer":"B""#, "don't belong together"),
        (r#""colour":"red""#, "unknown field `colour`"),
    ] {
        let line = format!(r#"{{"id":5,"kind":"link",{fields}}}"#);
        let (id, reply) = parse_asked(line.as_bytes(), &home()).unwrap_err();
        let Reply::Error { error: ErrorCode::BadRequest, message } = reply else {
            panic!("{line}: {reply:?}")
        };
        assert_eq!(id, Some(Tag::Number(5)), "{line}");
        assert!(message.contains(part) && message.contains(RIGHT), "{line}: {message}");
    }
}
