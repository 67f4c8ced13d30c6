//! Tests of [`super`]: what scripts and people see of each response.

use serde_json::Value;

use super::*;
use crate::bank::amount::Amount;
use crate::bank::ids::{InstanceId, LifeId, TurnNumber};
use crate::bank::request::PeerStatus;
use crate::bank::request::Request;
use crate::wire::{Answer, parse_reply};

fn server(id: &str) -> ServerId {
    id.parse().unwrap()
}

fn request() -> RequestId {
    "A.1.0.00000000000000ff.1#3".parse().unwrap()
}

fn accepted(via: Via) -> Response {
    Response::Transfer(Ending::Decided(Outcome::Accepted {
        server: server("A"),
        epoch: 1,
        seq: 5,
        balance: Amount::new(70).unwrap(),
        via,
        repeated: false,
    }))
}

fn refused() -> Response {
    Response::Transfer(Ending::Decided(Outcome::Refused {
        reason: "A has 20, of which 30 can't be paid".into(),
        balance: Amount::new(20).unwrap(),
        consulted: vec![server("A"), server("B")],
        not_consulted: vec![server("C")],
    }))
}

fn unknown_ending() -> Response {
    Response::Transfer(Ending::Unknown { request: request(), reason: "no reply in time".into() })
}

fn not_done(failure: Failure) -> Response {
    Response::Transfer(Ending::NotDone(failure))
}

fn entry() -> Entry {
    Entry {
        server: server("A"),
        epoch: 1,
        seq: 5,
        from: "A".parse().unwrap(),
        to: "B".parse().unwrap(),
        amount: Amount::new(30).unwrap(),
        request: Some(request()),
        via: Via::Paxos,
    }
}

fn blocks() -> Response {
    let line = r#"{"id":1,"blocks":[
        {"height":0,"hash":"1111111111111111111111111111111111111111111111111111111111111111",
         "previous":"0000000000000000000000000000000000000000000000000000000000000000",
         "genesis":{"format":1,"opening_balance":100,"servers":{"A":"0000000000000001"}},"entries":[]},
        {"height":1,"hash":"2222222222222222222222222222222222222222222222222222222222222222",
         "previous":"1111111111111111111111111111111111111111111111111111111111111111",
         "proposer":"B","entries":[{"server":"A","epoch":1,"seq":1,"from":"A","to":"B","amount":30}]}
        ],"more":false}"#;
    match parse_reply(line.as_bytes(), 1, &Request::Chain { from: 0, to: None }) {
        Ok(Some(Answer::Chain(piece))) => Response::Chain(piece.blocks),
        other => panic!("{other:?}"),
    }
}

fn status() -> Response {
    Response::Reply(Reply::Status(Box::new(Status {
        server: server("A"),
        start: Start::Zombie,
        instance: InstanceId(1),
        life: LifeId(2),
        turn: TurnNumber(3),
        active: true,
        waiting_for: vec![],
        height: Some(4),
        head: crate::bank::blockchain::block::BlockHash::NONE,
        log_length: 2,
        waiting: 0,
        promised: None,
        run: "idle".into(),
        peers: vec![
            PeerStatus { id: server("B"), connected: true, height: Some(4) },
            PeerStatus { id: server("C"), connected: false, height: None },
        ],
    })))
}

fn json(response: &Response) -> Value {
    let line = to_json(response);
    assert_eq!(line.find('\n'), Some(line.len() - 1), "exactly one line: {line}");
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_transfer_in_json_has_its_outcome_and_what_is_known() {
    let line = to_json(&accepted(Via::Paxos));
    assert_eq!(
        line,
        "{\"outcome\":\"accepted\",\"server\":\"A\",\"epoch\":1,\"seq\":5,\"balance\":70,\
         \"via\":\"paxos\"}\n"
    );
    let refused = json(&refused());
    assert_eq!(refused["outcome"], "refused");
    assert_eq!(refused["balance"], 20);
    assert_eq!(refused["consulted"], serde_json::json!(["A", "B"]));
    assert_eq!(refused["not_consulted"], serde_json::json!(["C"]));
    assert!(refused["reason"].as_str().unwrap().contains("A has 20"));
    let unknown = json(&unknown_ending());
    assert_eq!(unknown["outcome"], "unknown");
    assert_eq!(unknown["request"], request().to_string());
    assert!(unknown["reason"].as_str().unwrap().contains("may or may not"));
}

#[test]
fn a_transfer_that_was_never_taken_in_is_unavailable_or_invalid() {
    let unreachable = not_done(Failure::NotSent("refused".into()));
    assert_eq!(json(&unreachable)["outcome"], "unavailable");
    assert_eq!(exit_of(&unreachable), Exit::NoAnswer);
    let reason = json(&unreachable)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("has not happened"), "{reason}");
    let bad = not_done(Failure::Said(ErrorCode::BadRequest, "number".into()));
    assert_eq!(json(&bad)["outcome"], "invalid");
    assert_eq!(exit_of(&bad), Exit::Refused);
}

#[test]
fn the_other_commands_in_json_have_their_fields() {
    let chain = json(&blocks());
    assert_eq!(chain["blocks"][1]["height"], 1);
    assert_eq!(chain["blocks"][1]["previous"], chain["blocks"][0]["hash"]);
    assert_eq!(chain["blocks"][1]["entries"][0]["amount"], 30);
    let log = Reply::Log { server: server("A"), entries: vec![entry()], more: false };
    let log = json(&Response::Reply(log));
    assert_eq!((&log["server"], &log["entries"][0]["to"]), (&"A".into(), &"B".into()));
    let status = json(&status());
    assert_eq!((&status["server"], &status["start"]), (&"A".into(), &"zombie".into()));
    assert_eq!((&status["height"], &status["log_length"]), (&4.into(), &2.into()));
    assert_eq!(status["peers"][1], serde_json::json!({"id":"C","connected":false,"height":null}));
    assert!(json(&Response::Help)["help"].as_str().unwrap().contains("transfer"));
}

#[test]
fn errors_in_json_have_a_code_and_a_message() {
    for (response, code, exit) in [
        (Response::Usage("what?".into()), "usage", Exit::Usage),
        (Response::Failed(Failure::NotSent("x".into())), "unavailable", Exit::NoAnswer),
        (Response::Failed(Failure::NoAnswer("x".into())), "unavailable", Exit::NoAnswer),
        (Response::Failed(Failure::NotUnderstood("x".into())), "not_understood", Exit::NoAnswer),
        (Response::Failed(Failure::WrongServer("x".into())), "wrong_server", Exit::NoAnswer),
        (
            Response::Failed(Failure::Said(ErrorCode::Unavailable, "waits for C".into())),
            "unavailable",
            Exit::NoAnswer,
        ),
        (
            Response::Failed(Failure::Said(ErrorCode::UnknownAccount, "Z".into())),
            "unknown_account",
            Exit::Usage,
        ),
    ] {
        let line = json(&response);
        assert_eq!(line["error"], code);
        assert!(line["message"].is_string());
        assert_eq!(exit_of(&response), exit, "{code}");
    }
}

#[test]
fn exit_statuses_are_as_documented() {
    for (response, code) in [
        (accepted(Via::Local), 0),
        (refused(), 1),
        (Response::Transfer(Ending::Decided(Outcome::Invalid { reason: String::new() })), 1),
        (Response::Usage(String::new()), 2),
        (Response::Transfer(Ending::Decided(Outcome::Unavailable { reason: String::new() })), 3),
        (unknown_ending(), 3),
        (status(), 0),
        (Response::Help, 0),
    ] {
        assert_eq!(exit_of(&response).code(), code, "{response:?}");
    }
    assert!(Exit::Usage > Exit::NoAnswer && Exit::NoAnswer > Exit::Refused);
}

#[test]
fn people_read_words() {
    for (response, expected) in [
        (accepted(Via::Local), "accepted: balance 70, from the local log, as A.1.5\n"),
        (accepted(Via::Paxos), "accepted: balance 70, after a Paxos run, as A.1.5\n"),
        (
            refused(),
            "refused: A has 20, of which 30 can't be paid; balance 20; \
             consulted A, B, not consulted C\n",
        ),
        (
            blocks(),
            "block 0 11111111 genesis: A open with 100 each: 0 entries\n\
             block 1 22222222 by B: 1 entry\n  A.1.1: A pays B 30\n",
        ),
        (
            status(),
            "A: open; started as a zombie\n  height 4 (head 00000000), log 2, waiting 0, run idle, \
             turn 3\n  peer B: connected, height 4\n  peer C: not connected\n",
        ),
        (Response::Chain(vec![]), "no such blocks\n"),
        (
            Response::Reply(Reply::Log {
                server: server("A"),
                entries: vec![entry()],
                more: false,
            }),
            "local log of A: 1 entry\n  A.1.5: A pays B 30 (paxos)\n",
        ),
    ] {
        assert_eq!(to_words(&response), expected);
    }
    assert!(
        to_words(&unknown_ending()).starts_with("unknown: no reply in time; it may or may not")
    );
}

#[test]
fn a_server_s_words_can_t_play_with_the_terminal() {
    let reason = "no\u{1b}[2J\nmoney".to_owned();
    let response = Response::Transfer(Ending::Decided(Outcome::Invalid { reason }));
    assert_eq!(to_words(&response), "invalid: no [2J money\n");
    assert_eq!(to_json(&response).lines().count(), 1);
}
