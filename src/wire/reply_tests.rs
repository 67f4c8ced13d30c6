//! Tests of [`super`]: each reply, there and back.

use std::collections::BTreeMap;

use super::*;
use crate::bank::blockchain::block::Block;
use crate::bank::ids::{InstanceId, LifeId, TurnNumber};
use crate::bank::ledger::entry::Via;
use crate::bank::request::{PeerStatus, Start, Status};

fn entry() -> Entry {
    Entry {
        server: "A".parse().unwrap(),
        epoch: 1,
        seq: 1,
        from: "A".parse().unwrap(),
        to: "B".parse().unwrap(),
        amount: Amount::new(30).unwrap(),
        request: None,
        via: Via::Local,
    }
}

#[test]
fn the_id_comes_first_and_is_left_out_if_there_is_none() {
    let accepted = Reply::Transfer(Outcome::Accepted {
        server: "A".parse().unwrap(),
        epoch: 1,
        seq: 2,
        balance: Amount::new(70).unwrap(),
        via: Via::Local,
        repeated: false,
    });
    let fields =
        r#""outcome":"accepted","server":"A","epoch":1,"seq":2,"balance":70,"via":"local"}"#;
    assert_eq!(encode_reply(Some(2), &accepted), format!("{{\"id\":2,{fields}\n"));
    assert_eq!(encode_reply(None, &accepted), format!("{{{fields}\n"));
}

#[test]
fn each_kind_of_reply_is_one_line_that_names_its_fields() {
    let error = Reply::Error { error: ErrorCode::NotJson, message: "a\nb".into() };
    assert_eq!(encode_reply(None, &error), "{\"error\":\"not_json\",\"message\":\"a\\nb\"}\n");
    let session = Reply::Session { session: "A.1.0.00000000000000ff.1".parse().unwrap() };
    assert_eq!(
        encode_reply(Some(1), &session),
        "{\"id\":1,\"session\":\"A.1.0.00000000000000ff.1\"}\n"
    );
    let log = Reply::Log { server: "A".parse().unwrap(), entries: vec![entry()], more: false };
    assert_eq!(
        encode_reply(Some(5), &log),
        "{\"id\":5,\"server\":\"A\",\"entries\":[{\"server\":\"A\",\"epoch\":1,\"seq\":1,\
         \"from\":\"A\",\"to\":\"B\",\"amount\":30}],\"more\":false}\n"
    );
    let invalid = Outcome::Invalid { reason: "no".into() };
    assert_eq!(
        encode_reply(Some(3), &Reply::Transfers { outcomes: vec![invalid] }),
        "{\"id\":3,\"outcomes\":[{\"outcome\":\"invalid\",\"reason\":\"no\"}]}\n"
    );
}

#[test]
fn blocks_stand_with_their_hashes() {
    let genesis = SealedBlock::genesis(Genesis {
        format: 1,
        opening_balance: Amount::new(100).unwrap(),
        servers: BTreeMap::from([("A".parse().unwrap(), InstanceId(1))]),
    });
    let next = SealedBlock::seal(Block {
        height: 1,
        previous: genesis.hash(),
        proposer: Some("B".parse().unwrap()),
        genesis: None,
        entries: vec![entry()],
    });
    let line = encode_chain(Some(6), &[genesis.clone(), next.clone()], true);
    let (zero, one) = (BlockHash::NONE, genesis.hash());
    let expected = format!(
        "{{\"id\":6,\"blocks\":[{{\"height\":0,\"hash\":\"{one}\",\"previous\":\"{zero}\",\
         \"genesis\":{{\"format\":1,\"opening_balance\":100,\
         \"servers\":{{\"A\":\"0000000000000001\"}}}},\"entries\":[]}},\
         {{\"height\":1,\"hash\":\"{}\",\"previous\":\"{one}\",\"proposer\":\"B\",\
         \"entries\":[{{\"server\":\"A\",\"epoch\":1,\"seq\":1,\"from\":\"A\",\"to\":\"B\",\
         \"amount\":30}}]}}],\"more\":true}}\n",
        next.hash()
    );
    assert_eq!(line, expected);
}
fn every_reply() -> Vec<(Request, Reply)> {
    let server = |id: &str| -> ServerId { id.parse().unwrap() };
    let (consulted, not_consulted) = (vec![server("A"), server("B")], vec![server("C")]);
    let balance = Amount::new(70).unwrap();
    let transfer = || {
        let line = br#"{"transfer":{"to":"B","amount":30}}"#;
        crate::wire::parse_request(line).unwrap().1
    };
    let refused = Outcome::Refused {
        reason: "A has 20".into(),
        balance,
        consulted: consulted.clone(),
        not_consulted: not_consulted.clone(),
    };
    let outcomes = vec![
        refused,
        Outcome::Unavailable { reason: "no majority".into() },
        Outcome::Invalid { reason: "to itself".into() },
        Outcome::Expired { reason: "too late".into() },
    ];
    let mut all: Vec<(Request, Reply)> =
        outcomes.iter().map(|outcome| (transfer(), Reply::Transfer(outcome.clone()))).collect();
    let account = "A".parse().unwrap();
    let status = Status {
        server: server("A"),
        start: Start::Zombie,
        instance: InstanceId(1),
        life: LifeId(2),
        turn: TurnNumber(3),
        active: false,
        waiting_for: vec![server("C")],
        height: None,
        head: BlockHash::NONE,
        log_length: 4,
        waiting: 5,
        promised: None,
        run: "idle".into(),
        peers: vec![PeerStatus { id: server("B"), connected: true, height: Some(6) }],
    };
    all.extend([
        (Request::Session, Reply::Session { session: "A.1.0.00000000000000ff.1".parse().unwrap() }),
        (Request::Transfers(vec![]), Reply::Transfers { outcomes }),
        (
            Request::Balance(None),
            Reply::Balance { account, balance, committed: Amount::ZERO, height: 3 },
        ),
        (
            Request::Log { after: None },
            Reply::Log { server: server("A"), entries: vec![entry()], more: true },
        ),
        (Request::Status, Reply::Status(Box::new(status))),
        (Request::Settle, Reply::Settled { settled: true, height: 4, consulted, not_consulted }),
        (
            Request::Settle,
            Reply::Error { error: ErrorCode::Unavailable, message: "waits for C".into() },
        ),
    ]);
    all
}

#[test]
fn every_reply_comes_back_as_it_went() {
    for (request, reply) in every_reply() {
        let line = encode_reply(Some(4), &reply);
        let back = parse_reply(line.trim_end().as_bytes(), 4, &request);
        assert_eq!(back, Ok(Some(Answer::Reply(reply))), "{line}");
    }
}

#[test]
fn a_piece_of_the_chain_comes_back_as_it_went() {
    let block = SealedBlock::seal(Block {
        height: 1,
        previous: BlockHash::NONE,
        proposer: Some("B".parse().unwrap()),
        genesis: None,
        entries: vec![entry()],
    });
    let line = encode_chain(Some(6), std::slice::from_ref(&block), true);
    let request = Request::Chain { from: 1, to: None };
    let Ok(Some(Answer::Chain(piece))) = parse_reply(line.as_bytes(), 6, &request) else {
        panic!("{line}");
    };
    assert_eq!(piece, Blocks { blocks: vec![HashedBlock::of(&block)], more: true });
}

#[test]
fn an_answer_to_another_question_is_none() {
    let line = encode_reply(Some(3), &Reply::Transfers { outcomes: vec![] });
    assert_eq!(parse_reply(line.as_bytes(), 4, &Request::Status), Ok(None));
    assert_eq!(parse_reply(b"{\"settled\":true}", 4, &Request::Settle), Ok(None));
    // Unless it is an error: then the server could not make out the question.
    let error = Reply::Error { error: ErrorCode::LineTooLong, message: String::new() };
    let line = encode_reply(None, &error);
    assert_eq!(parse_reply(line.as_bytes(), 4, &Request::Status), Ok(Some(Answer::Reply(error))));
}

#[test]
fn what_is_no_answer_is_an_error_of_bounded_length() {
    let long = format!("{{\"id\":4,\"error\":\"{}\",\"message\":\"\"}}", "x".repeat(1 << 20));
    for bad in [
        "",
        "HTTP/1.1 400 Bad Request",
        "{\"id\":4}",
        "{\"id\":4,\"settled\":true,\"height\":-1,\"consulted\":[],\"not_consulted\":[]}",
        "{\"id\":4.5,\"settled\":true}",
        &long,
        &"[".repeat(1 << 20),
    ] {
        let error = parse_reply(bad.as_bytes(), 4, &Request::Settle).unwrap_err();
        assert!(error.len() < 1_000, "{error}");
    }
    assert!(parse_reply(b"\xff", 4, &Request::Settle).is_err());
}
