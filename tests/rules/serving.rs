//! What clients are told.

use paxos_banking::bank::effects::{Bound, Event, Timer, Write};
use paxos_banking::bank::ids::{ConnectionId, Naming, RequestId, SessionName, WaitId};
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::ledger::entry::{Position, Via};
use paxos_banking::bank::limits::MAX_LOG_PAGE;
use paxos_banking::bank::reason::{Code, Reason};
use paxos_banking::bank::request::{
    AccountState, Cursor, ErrorCode, Instruction, Outcome, Part, Query, Reply, Request,
};
use paxos_banking::bank::server::Server;

use crate::stage::*;

/// The only outcome.
fn outcome(said: Said) -> Outcome {
    match &said.outcomes()[..] {
        [outcome] => outcome.clone(),
        _ => panic!("{said:?}"),
    }
}

fn invalid(said: Said, words: &str) {
    match outcome(said) {
        Outcome::Invalid { reason } => assert!(reason.contains(words), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn before_the_founding_nothing_is_served_but_the_status() {
    let mut stage = Stage::baby();
    stage.turn();
    let words = "the bank is not open yet: A waits for B, C";
    for request in [Request::Session(None), Request::Settle, Request::Balance(None)] {
        let message = words.into();
        let error = Reply::Error { error: ErrorCode::Unavailable, message };
        assert_eq!(stage.request(request).replies(), [error]);
    }
    let plain = Instruction { request: None, ..transfer(1, 1) };
    let unavailable = Outcome::Unavailable { reason: Reason::new(Code::NotOpen, words) };
    assert_eq!(outcome(stage.request(Request::One(plain))), unavailable);
    // It may have been accepted with a store that is lost: then a verdict would be untrue.
    let undecided = Reply::Error { error: ErrorCode::Unavailable, message: words.into() };
    assert_eq!(stage.pay(1, 1).replies(), [undecided]);
    let status = stage.status();
    assert!(!status.active && status.height.is_none() && status.run == "idle");
}

#[test]
fn a_payment_is_told_and_a_retry_is_told_so() {
    let mut stage = Stage::open();
    let paid = |repeated, balance| Outcome::Accepted {
        server: id("A"),
        epoch: 1,
        seq: 1,
        balance: units(balance),
        via: Via::Local,
        repeated,
        settled: None,
    };
    let said = stage.pay(30, 1);
    assert!(matches!(&said.writes[..], [Write::Log(element)] if element.records().len() == 1));
    assert_eq!(outcome(said), paid(false, OPENING - 30));
    stage.pay(5, 2);
    assert_eq!(outcome(stage.pay(30, 1)), paid(true, OPENING - 35));
    invalid(stage.pay(31, 1), "was something else; what is new takes a new number");
    let status = stage.status();
    assert_eq!((status.log_length, status.waiting, status.height), (2, 0, Some(0)));
}

#[test]
fn what_makes_no_sense_is_told_why_and_stays_so() {
    let mut stage = Stage::open();
    let pay = |to: &str, amount, number| Request::One(numbered(pays("A", to, amount), number));
    invalid(stage.request(pay("B", 0, 1)), "at least 1");
    invalid(stage.request(pay("A", 1, 2)), "payer and payee are the same account");
    invalid(stage.request(pay("Z", 1, 3)), "there is no account Z");
    invalid(stage.request(pay("Z", 1, 3)), "there is no account Z");
    invalid(stage.request(pay("A/x", 1, 4)), "there is no account A/x");
    let of_b = Request::One(numbered(pays("B", "A", 1), 5));
    let elsewhere = Outcome::WrongServer {
        reason: Reason::new(
            Code::WrongServer,
            "B may be opened and debited only by its home, server B",
        ),
        server: id("B"),
        address: "B:7000".into(),
    };
    assert_eq!(outcome(stage.request(of_b)), elsewhere);
}

#[test]
fn only_this_server_s_sessions_are_served() {
    let mut stage = Stage::open();
    let Some(Reply::Session { session, .. }) =
        stage.request(Request::Session(None)).replies().pop()
    else {
        panic!("a session is opened")
    };
    let first = session_at(0, 1);
    assert_eq!((&session.server, session.epoch), (&id("A"), 1));
    assert!(matches!(session.naming, Naming::ByServer { opened_at: 0, count: 0, .. }));
    let mut pay = |session: SessionName| {
        let request = Some(RequestId { session: session.into(), number: 1 });
        stage.request(Request::One(Instruction { request, ..transfer(1, 1) }))
    };
    invalid(pay(SessionName { server: id("B"), ..first.clone() }), "is a session with server B");
    invalid(pay(SessionName { epoch: 2, ..first.clone() }), "is no session of this server's");
    invalid(pay(session_at(1, 1)), "is no session of this server's");
    assert!(matches!(outcome(pay(first.clone())), Outcome::Accepted { .. }));
    let later = session_at(1, 2);
    assert!(matches!(outcome(pay(later)), Outcome::Accepted { .. }));
    let second = stage.request(Request::Session(None)).replies();
    assert!(matches!(&second[..], [Reply::Session { highest: None, .. }]));
}

#[test]
fn balances_are_told_with_and_without_the_log() {
    let mut stage = Stage::open();
    stage.pay(30, 1);
    let balance = |of: &str, balance| Reply::Balance {
        account: account(of),
        balance: units(balance),
        committed: Some(units(OPENING)),
        height: 0,
    };
    assert_eq!(stage.request(Request::Balance(None)).replies(), [balance("A", OPENING - 30)]);
    let of_b = stage.request(Request::Balance(Some(account("B")))).replies();
    assert_eq!(of_b, [balance("B", OPENING + 30)]);
    let message = "there is no account Z".into();
    let error = Reply::Error { error: ErrorCode::UnknownAccount, message };
    assert_eq!(stage.request(Request::Balance(Some(account("Z")))).replies(), [error]);
}

#[test]
fn the_log_is_told_in_pages() {
    let mut stage = Stage::open();
    let one = Instruction::plain(pays("A", "B", 1));
    stage.request(Request::Batch(vec![one; MAX_LOG_PAGE + 1]));
    let mut page = |after: Option<u64>| {
        let after = after.map(|seq| Position { epoch: 1, seq });
        match stage.request(Request::Log { after }).replies().pop() {
            Some(Reply::Log { entries, more, .. }) => {
                (entries.first().map(|e| e.seq), entries.len(), more)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(page(None), (Some(1), MAX_LOG_PAGE, true));
    assert_eq!(page(Some(1)), (Some(2), MAX_LOG_PAGE, false));
    assert_eq!(page(Some(MAX_LOG_PAGE as u64 + 1)), (None, 0, false));
}

#[test]
fn a_piece_of_the_chain_is_asked_for_up_to_the_head() {
    let mut stage = Stage::open();
    let mut asked = |to| stage.request(Request::Chain { from: 0, to }).bound;
    let read =
        |to| Bound::Read { connection: CLIENT, id: Some(1), query: Query::Chain { from: 0, to } };
    assert_eq!(asked(None), [read(0)]);
    assert_eq!(asked(Some(7)), [read(0)]);
}

#[test]
fn who_is_gone_is_told_nothing() {
    for (gone, replies) in [(CLIENT, 0), (ConnectionId(10), 1)] {
        let mut stage = Stage::alone();
        stage.pay(TOO_MUCH, 1);
        stage.handle(Event::Closed(gone));
        let said = stage.time_out(Timer::Deadline(WaitId(1)));
        assert_eq!(said.replies().len(), replies);
    }
}

#[test]
fn servers_in_the_same_state_are_equal() {
    let server = |amount| -> Server {
        let mut stage = Stage::open();
        stage.pay(amount, 1);
        stage.server
    };
    assert_eq!(server(1), server(1));
    assert_ne!(server(1), server(2));
}

#[test]
fn pages_are_read_from_the_store_within_their_bounds() {
    let mut stage = Stage::open();
    let mut history = |name: &str, limit| {
        let account = account(name);
        stage.request(Request::History { account, before: None, limit }).bound
    };
    let (connection, id, account) = (CLIENT, Some(1), account("B"));
    let read = |limit| {
        let account = account.clone();
        // Another's account has nothing in this log.
        let (committed, balance) = (Some(units(OPENING)), units(OPENING));
        let state = AccountState { blocks: 1, committed, log: vec![], older: false, balance };
        let query = Query::History { account, before: None, limit, state };
        Bound::Read { connection, id, query }
    };
    assert_eq!(history("B", 0), [read(1)]);
    assert_eq!(history("B", 7), [read(7)]);
    assert_eq!(history("B", 5_000), [read(1_000)]);
    let [Bound::Reply(_, _, Reply::Error { error, message })] = &history("A/x", 7)[..] else {
        panic!("there is no such account")
    };
    assert_eq!((*error, message.as_str()), (ErrorCode::UnknownAccount, "there is no account A/x"));
}

#[test]
fn a_statement_goes_on_from_the_chain_with_the_log_of_that_moment() {
    let mut stage = Stage::open();
    stage.pay(7, 1);
    let mut state = |before| {
        let request = Request::History { account: account("A"), before, limit: 9 };
        match &stage.request(request).bound[..] {
            [Bound::Read { query: Query::History { state, .. }, .. }] => state.clone(),
            other => panic!("{other:?}"),
        }
    };
    let AccountState { blocks, committed, log, older, balance } = state(None);
    assert_eq!((blocks, committed, older), (1, Some(units(OPENING)), false));
    assert_eq!(balance, units(OPENING - 7), "what it holds after all of the log");
    assert_eq!(log.iter().map(Element::entries_held).sum::<usize>(), 1);
    // A further page doesn't come to the log any more.
    let cursor = Cursor { height: 0, place: 0, balance: units(OPENING) };
    assert_eq!(state(Some(cursor)).log, []);
}

#[test]
fn an_account_that_was_just_opened_is_not_in_the_chain() {
    let mut stage = Stage::open();
    stage.request(Request::One(numbered(opens("A/x"), 1)));
    stage.request(Request::One(numbered(pays("A", "A/x", 5), 2)));
    let balance = |committed| Reply::Balance {
        account: account("A/x"),
        balance: units(5),
        committed,
        height: u64::from(committed.is_some()),
    };
    let asks = || Request::Balance(Some(account("A/x")));
    assert_eq!(stage.request(asks()).replies(), [balance(None)]);
    stage.request(Request::Settle);
    stage.win(1, vec![], vec![]);
    assert_eq!(stage.request(asks()).replies(), [balance(Some(units(5)))]);
}

#[test]
fn a_request_that_holds_nothing_is_answered_so() {
    let replies = Stage::open().request(Request::Batch(vec![])).replies();
    assert_eq!(replies, [Reply::Batch { outcomes: vec![] }]);
}

/// Two payments and, not covered, a third, taken in as a batch of three parts in as many turns.
fn in_parts(stage: &mut Stage) -> Vec<Said> {
    let amounts = [1, 2, OPENING];
    let part = |(place, amount): (usize, &u64)| Part {
        before: place,
        instructions: vec![transfer(*amount, place as u64 + 1)],
        after: amounts.len() - 1 - place,
    };
    let parts: Vec<Part> = amounts.iter().enumerate().map(part).collect();
    parts.into_iter().map(|part| stage.handle(Event::Part(CLIENT, Some(1), part))).collect()
}

#[test]
fn a_batch_in_parts_is_decided_part_by_part_and_answered_as_one() {
    let mut stage = Stage::open();
    let said = in_parts(&mut stage);
    assert!(said.iter().all(|said| said.replies().is_empty()), "{said:?}");
    assert_eq!(stage.status().log_length, 2, "the first two are done");
    let outcomes = stage.win(1, vec![], vec![]).outcomes();
    assert!(
        matches!(
            &outcomes[..],
            [Outcome::Accepted { .. }, Outcome::Accepted { .. }, Outcome::Refused { .. }]
        ),
        "{outcomes:?}"
    );
}

#[test]
fn of_a_batch_that_is_refused_as_a_whole_no_later_part_is_decided() {
    let mut stage = Stage::baby();
    let said = in_parts(&mut stage);
    let replies: Vec<Reply> = said.iter().flat_map(Said::replies).collect();
    assert!(
        matches!(&replies[..], [Reply::Error { error: ErrorCode::Unavailable, .. }]),
        "{replies:?}"
    );
}

#[test]
fn the_parts_that_still_come_when_a_connection_has_ended_are_nothing() {
    let mut stage = Stage::open();
    let part = |before| Part { before, instructions: vec![transfer(1, 1)], after: 1 - before };
    stage.handle(Event::Part(CLIENT, Some(1), part(0)));
    stage.handle(Event::Closed(CLIENT));
    let said = stage.handle(Event::Part(CLIENT, Some(1), part(1)));
    assert!(said.writes.is_empty() && said.replies().is_empty(), "{said:?}");
}
