//! Tests of [`super`]: each reply, there and back.

use std::collections::BTreeMap;

use super::*;
use crate::bank::blockchain::block::{Block, FORMAT};
use crate::bank::ids::{InstanceId, LifeId, NamedSession, TurnNumber};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::reason::{Code, Reason};
use crate::bank::request::{Instruction, Issued, Measured, Outcome, PeerStatus, Start, Status};

fn server(id: &str) -> ServerId {
    id.parse().unwrap()
}

fn units(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

fn records() -> Vec<Record> {
    let (from, to) = ("A".parse().unwrap(), "B".parse().unwrap());
    let open = Action::open("A/alice".parse().unwrap());
    let record = |action, linked| Record { linked, ..Record::plain(action) };
    vec![record(open, true), record(Action::Transfer { from, to, amount: units(30) }, false)]
}

fn entries() -> Vec<Entry> {
    let entry = |(record, seq)| Entry { server: server("A"), epoch: 1, seq, time: None, record };
    records().into_iter().zip(1..).map(entry).collect()
}

const ENTRIES: &str = "[{\"server\":\"A\",\"epoch\":1,\"seq\":1,\"open\":\"A/alice\",\"linked\":true},\
    {\"server\":\"A\",\"epoch\":1,\"seq\":2,\"from\":\"A\",\"to\":\"B\",\"amount\":30}]";

fn block() -> SealedBlock {
    let element = Element::seal(Position { epoch: 1, seq: 1 }, records());
    SealedBlock::seal(Block {
        height: 1,
        previous: BlockHash::NONE,
        proposer: Some(server("B")),
        genesis: None,
        opening: None,
        logs: BTreeMap::from([(server("A"), vec![element])]),
    })
}

fn accepted(id: &str, seq: u64, via: Via) -> Outcome {
    Outcome::Accepted {
        server: server(id),
        epoch: 1,
        seq,
        balance: units(70),
        via,
        repeated: false,
        settled: None,
    }
}

#[test]
fn the_id_comes_first_and_is_left_out_if_there_is_none() {
    let accepted = Reply::One(accepted("A", 2, Via::Local));
    let fields =
        r#""outcome":"accepted","server":"A","epoch":1,"seq":2,"balance":70,"via":"local"}"#;
    assert_eq!(encode_reply(Some(&Tag::Number(2)), &accepted), format!("{{\"id\":2,{fields}\n"));
    assert_eq!(encode_reply(None, &accepted), format!("{{{fields}\n"));
}

#[test]
fn each_kind_of_reply_is_one_line_that_names_its_fields() {
    let error = Reply::Error { error: ErrorCode::NotJson, message: "a\nb".into() };
    assert_eq!(encode_reply(None, &error), "{\"error\":\"not_json\",\"message\":\"a\\nb\"}\n");
    let session =
        Reply::Session { session: "A.1.0.00000000000000ff.1".parse().unwrap(), highest: None };
    assert_eq!(
        encode_reply(Some(&Tag::Number(1)), &session),
        "{\"id\":1,\"session\":\"A.1.0.00000000000000ff.1\"}\n"
    );
    let log = Reply::Log { server: server("A"), entries: entries(), more: false };
    assert_eq!(
        encode_reply(Some(&Tag::Number(5)), &log),
        format!("{{\"id\":5,\"server\":\"A\",\"entries\":{ENTRIES},\"more\":false}}\n")
    );
    let [Reply::History { .. }, accounts] = &pages()[..] else { panic!("{:?}", pages()) };
    assert_eq!(
        encode_reply(Some(&Tag::Number(6)), accounts),
        "{\"id\":6,\"accounts\":[{\"account\":\"A\",\"committed\":70},{\"account\":\"A/alice\"}],\
         \"more\":true}\n"
    );
    assert_eq!(
        encode_reply(Some(&Tag::Number(7)), &pages()[0]),
        "{\"id\":7,\"account\":\"A\",\"lines\":[\
         {\"balance\":40,\"server\":\"A\",\"epoch\":1,\"seq\":2,\"from\":\"A\",\"to\":\"B\",\"amount\":30},\
         {\"height\":1,\"balance\":70,\"server\":\"A\",\"epoch\":1,\"seq\":2,\"from\":\"A\",\"to\":\"B\",\
         \"amount\":30}],\"next\":{\"height\":1,\"place\":0,\"balance\":100}}\n"
    );
}

/// Returns a statement and a list of accounts.
fn pages() -> Vec<Reply> {
    let account: AccountId = "A".parse().unwrap();
    let entry = || entries().remove(1);
    let lines = vec![
        StatementLine { height: None, balance: units(40), entry: entry() },
        StatementLine { height: Some(1), balance: units(70), entry: entry() },
    ];
    let next = Some(Cursor { height: 1, place: 0, balance: units(100) });
    let listed = |name: &str, committed| Listed { account: name.parse().unwrap(), committed };
    let accounts = vec![listed("A", Some(units(70))), listed("A/alice", None)];
    vec![Reply::History { account, lines, next }, Reply::Accounts { accounts, more: true }]
}

#[test]
fn of_a_batch_s_outcomes_those_that_say_nothing_more_are_short() {
    let settled = match accepted("A", 5, Via::Local) {
        Outcome::Accepted { server, epoch, seq, balance, via, .. } => {
            let settled = Some(true);
            Outcome::Accepted { server, epoch, seq, balance, via, repeated: false, settled }
        }
        other => other,
    };
    let invalid = Outcome::Invalid { reason: Reason::new(Code::AmountZero, "no") };
    let outcomes = vec![
        invalid.clone(),
        accepted("A", 2, Via::Local),
        accepted("A", 3, Via::Paxos),
        accepted("A", 4, Via::Local),
        settled,
        accepted("B", 1, Via::Local),
    ];
    let line = encode_reply(Some(&Tag::Number(3)), &Reply::Batch { outcomes: outcomes.clone() });
    assert_eq!(
        line,
        "{\"id\":3,\"server\":\"A\",\"epoch\":1,\"outcomes\":[\
         {\"outcome\":\"invalid\",\"code\":\"amount_zero\",\"reason\":\"no\"},[2,70],\
         {\"outcome\":\"accepted\",\"server\":\"A\",\"epoch\":1,\"seq\":3,\"balance\":70,\"via\":\"paxos\"},\
         [4,70],{\"outcome\":\"accepted\",\"server\":\"A\",\"epoch\":1,\"seq\":5,\"balance\":70,\
         \"via\":\"local\",\"settled\":true},{\"outcome\":\"accepted\",\"server\":\"B\",\"epoch\":1,\
         \"seq\":1,\"balance\":70,\"via\":\"local\"}]}\n"
    );
    let batch = Request::Batch(Vec::new());
    let back = parse_reply(line.as_bytes(), 3, &batch);
    assert_eq!(back, Ok(Some(Answer::Reply(Reply::Batch { outcomes }))));

    // A retry's client is to know that it was paid before.
    let again = match accepted("A", 6, Via::Local) {
        Outcome::Accepted { server, epoch, seq, balance, via, settled, .. } => {
            Outcome::Accepted { server, epoch, seq, balance, via, repeated: true, settled }
        }
        other => other,
    };
    let outcomes = vec![accepted("A", 2, Via::Local), again];
    let line = encode_reply(Some(&Tag::Number(3)), &Reply::Batch { outcomes: outcomes.clone() });
    let back = parse_reply(line.as_bytes(), 3, &batch);
    assert_eq!(back, Ok(Some(Answer::Reply(Reply::Batch { outcomes }))));

    let none_accepted = encode_reply(None, &Reply::Batch { outcomes: vec![invalid] });
    let whole =
        "{\"outcomes\":[{\"outcome\":\"invalid\",\"code\":\"amount_zero\",\"reason\":\"no\"}]}\n";
    assert_eq!(none_accepted, whole);

    for bad in [
        r#"{"id":3,"outcomes":[[2,70]]}"#,
        r#"{"id":3,"server":"A","outcomes":[[2,70]]}"#,
        r#"{"id":3,"server":"A","epoch":1,"outcomes":[[2]]}"#,
        r#"{"id":3,"server":"A","epoch":1,"outcomes":[[2,70,1]]}"#,
        r#"{"id":3,"server":"A","epoch":1,"outcomes":[7]}"#,
        r#"{"id":3,"server":"A","epoch":1,"outcomes":[{"outcome":"maybe"}]}"#,
        r#"{"id":3,"server":"A","epoch":1}"#,
    ] {
        assert!(parse_reply(bad.as_bytes(), 3, &batch).is_err(), "{bad}");
    }
}

#[test]
fn blocks_stand_with_their_hashes_and_name_their_entries() {
    let genesis = SealedBlock::genesis(Genesis {
        format: FORMAT,
        opening_balance: units(100),
        servers: BTreeMap::from([(server("A"), InstanceId(1))]),
        keys: BTreeMap::new(),
        origin: None,
        issuing: false,
    });
    let next = block();
    let line = encode_chain(Some(&Tag::Number(6)), &[genesis.clone(), next.clone()], true);
    let (zero, one) = (BlockHash::NONE, genesis.hash());
    let expected = format!(
        "{{\"id\":6,\"blocks\":[{{\"height\":0,\"hash\":\"{one}\",\"previous\":\"{zero}\",\
         \"genesis\":{{\"format\":7,\"opening_balance\":100,\
         \"servers\":{{\"A\":\"0000000000000001\"}}}},\"entries\":[]}},\
         {{\"height\":1,\"hash\":\"{}\",\"previous\":\"{zero}\",\"proposer\":\"B\",\
         \"entries\":{ENTRIES}}}],\"more\":true}}\n",
        next.hash()
    );
    assert_eq!(line, expected);
}

fn every_reply() -> Vec<(Request, Reply)> {
    let (consulted, not_consulted) = (vec![server("A"), server("B")], vec![server("C")]);
    let balance = units(70);
    let one = || Request::One(Instruction::plain(records().remove(0).action));
    let refused = Outcome::Refused {
        reason: Reason::new(Code::InsufficientFunds, "A has 20"),
        balance,
        consulted: consulted.clone(),
        not_consulted: not_consulted.clone(),
    };
    let outcomes = vec![
        accepted("A", 1, Via::Local),
        refused,
        Outcome::Unavailable { reason: Reason::new(Code::NoMajority, "no majority") },
        Outcome::Invalid { reason: Reason::new(Code::SameAccount, "to itself") },
        Outcome::LinkedFailed { reason: Reason::new(Code::LinkedFailed, "number 2") },
        Outcome::WrongServer {
            reason: Reason::new(Code::WrongServer, "B's"),
            server: server("B"),
            address: "127.0.0.1:8002".into(),
        },
        Outcome::Expired { reason: Reason::new(Code::TooLate, "too late") },
    ];
    let mut all: Vec<(Request, Reply)> =
        outcomes.iter().map(|outcome| (one(), Reply::One(outcome.clone()))).collect();
    let [history, accounts] = <[Reply; 2]>::try_from(pages()).unwrap();
    let account = "A".parse().unwrap();
    let status = Status {
        server: server("A"),
        keyed: false,
        keys: BTreeMap::new(),
        start: Start::Zombie,
        instance: InstanceId(1),
        life: LifeId(2),
        turn: TurnNumber(3),
        active: false,
        waiting_for: vec![server("C")],
        bank: Some(BlockHash::NONE),
        not_serving: Some("A only reads".into()),
        hears_majority: Some(true),
        total: Amount::new(300),
        issued: Some(Issued { all: -7, here: 30, left_here: 5 }),
        no_writes: Some("full".into()),
        height: None,
        head: BlockHash::NONE,
        included: [(server("A"), Position { epoch: 1, seq: 4 })].into(),
        log_length: 4,
        waiting: 5,
        accounts: 3,
        promised: None,
        accepted: None,
        run: "idle".into(),
        ballot: None,
        answered: vec![],
        unanswered: vec![],
        peers: vec![PeerStatus {
            id: server("B"),
            address: "127.0.0.1:8002".into(),
            connected: true,
            height: Some(6),
            turn: Some(TurnNumber(9)),
            heard_ms: Some(70),
            entries_per_second: None,
        }],
        measured: Some(Measured::default()),
    };
    all.extend([
        (
            Request::Session(None),
            Reply::Session { session: "A.1.0.00000000000000ff.1".parse().unwrap(), highest: None },
        ),
        (
            Request::Session(Some(NamedSession { name: "invoices".parse().unwrap(), last: None })),
            Reply::Session { session: "A.1.named.invoices".parse().unwrap(), highest: Some(17) },
        ),
        (Request::Batch(vec![]), Reply::Batch { outcomes }),
        (
            Request::Balance(None),
            Reply::Balance { account, balance, committed: Some(Amount::ZERO), height: 3 },
        ),
        (
            Request::Balance(None),
            Reply::Balance { account: "A/x".parse().unwrap(), balance, committed: None, height: 3 },
        ),
        (Request::History { account: "A".parse().unwrap(), before: None, limit: 2 }, history),
        (Request::Accounts { prefix: "A".into(), after: None, limit: 2 }, accounts),
        (
            Request::Log { after: None },
            Reply::Log { server: server("A"), entries: entries(), more: true },
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
        let line = encode_reply(Some(&Tag::Number(4)), &reply);
        let back = parse_reply(line.trim_end().as_bytes(), 4, &request);
        assert_eq!(back, Ok(Some(Answer::Reply(reply))), "{line}");
    }
}

#[test]
fn a_piece_of_the_chain_comes_back_as_it_went() {
    let block = block();
    let line = encode_chain(Some(&Tag::Number(6)), std::slice::from_ref(&block), true);
    let request = Request::Chain { from: 1, to: None };
    let Ok(Some(Answer::Chain(piece))) = parse_reply(line.as_bytes(), 6, &request) else {
        panic!("{line}");
    };
    assert_eq!(piece, Blocks { blocks: vec![HashedBlock::of(&block)], more: true });
}

#[test]
fn an_answer_to_another_question_is_none() {
    let line = encode_reply(Some(&Tag::Number(3)), &Reply::Batch { outcomes: vec![] });
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
