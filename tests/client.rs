//! The client against a server that fails on cue.

#[path = "client/fake.rs"]
mod fake;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use fake::*;
use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::request::{ErrorCode, Outcome, Request};
use paxos_banking::client::Options;
use paxos_banking::client::repl::Repl;
use paxos_banking::client::session::{Ending, Failure, Session};
use serde_json::{Value, json};

/// Patient with everything that is answered in the end.
fn options(fake: &Fake) -> Options {
    Options {
        id: "A".parse().unwrap(),
        address: fake.address.clone(),
        timeout: Duration::from_secs(20),
        give_up_after: Duration::from_secs(60),
        json: true,
        commands: Vec::new(),
    }
}

/// For tests in which a try, or all of them, run out of time.
fn impatient(fake: &Fake, timeout: u64, give_up_after: u64) -> Options {
    let (timeout, give_up_after) =
        (Duration::from_millis(timeout), Duration::from_millis(give_up_after));
    Options { timeout, give_up_after, ..options(fake) }
}

fn pay(session: &mut Session) -> Ending {
    session.transfer(None, "B".parse().unwrap(), Amount::new(30).unwrap())
}

fn is_accepted(ending: &Ending) -> bool {
    matches!(ending, Ending::Decided(Outcome::Accepted { .. }))
}

/// Types the lines and returns the exit status and what was printed.
fn converse(options: &Options, input: &[u8]) -> (u8, String, String) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let status = Repl::new(options, &mut output, &mut errors).converse(input, false);
    (status, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
}

fn json_lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn transfers_of_a_session_are_numbered_from_1() {
    let fake = Fake::start(vec![session(SESSION), say(ACCEPTED), say(ACCEPTED), say(ACCEPTED)]);
    let mut session = Session::new(&options(&fake));
    assert!((0..3).all(|_| is_accepted(&pay(&mut session))));
    let asked = fake.asked();
    let names: Vec<_> = asked[1..].iter().map(Asked::name).collect();
    assert_eq!(names, [1, 2, 3].map(|number| (SESSION.to_owned(), number)));
    let ids: Vec<_> = asked.iter().map(|asked| asked.request["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 4]);
}

#[test]
fn a_transfer_whose_connection_breaks_is_retried_under_its_name() {
    let fake = Fake::start(vec![session(SESSION), Step::Close, Step::Close, say(ACCEPTED)]);
    assert!(is_accepted(&pay(&mut Session::new(&options(&fake)))));
    let asked = fake.asked();
    assert!(asked[1..].iter().all(|asked| asked.name() == (SESSION.into(), 1)));
    assert_eq!(asked.iter().map(|asked| asked.connection).collect::<Vec<_>>(), [0, 0, 1, 2]);
}

#[test]
fn a_transfer_without_an_answer_is_retried_under_its_name() {
    let fake = Fake::start(vec![Step::Silence, say(ACCEPTED), say(ACCEPTED), say(ACCEPTED)]);
    let mut session = Session::new(&impatient(&fake, 1_000, 60_000));
    assert!(is_accepted(&pay(&mut session)));
    let tries = fake.transfers();
    assert!(tries.len() > 1 && tries.iter().all(|asked| asked.name() == (SESSION.into(), 1)));
    assert_ne!(tries[0].connection, tries[1].connection);
}

#[test]
fn an_answer_to_another_request_is_dropped() {
    let stale = r#"{"id":99,"outcome":"refused","reason":"","balance":0,"consulted":[],"not_consulted":[]}"#;
    let both = format!("{stale}\n{ACCEPTED}");
    let fake = Fake::start(vec![session(SESSION), say(&both)]);
    assert!(is_accepted(&pay(&mut Session::new(&options(&fake)))));
    assert_eq!(fake.asked().len(), 2);
}

#[test]
fn what_was_decided_is_not_asked_again() {
    for outcome in ["unavailable", "invalid"] {
        let reply = format!(r#"{{"id":ID,"outcome":"{outcome}","reason":"so it is"}}"#);
        let fake = Fake::start(vec![session(SESSION), say(&reply), say(ACCEPTED)]);
        let ending = pay(&mut Session::new(&options(&fake)));
        assert!(matches!(ending, Ending::Decided(_)), "{ending:?}");
        assert_eq!(fake.asked().len(), 2);
    }
}

#[test]
fn a_session_that_expired_is_replaced_if_nothing_was_sent_in_it_before() {
    let script = vec![session(SESSION), say(EXPIRED), session(NEXT_SESSION), say(ACCEPTED)];
    let fake = Fake::start(script);
    assert!(is_accepted(&pay(&mut Session::new(&options(&fake)))));
    let asked = fake.asked();
    assert_eq!(asked[1].name(), (SESSION.into(), 1));
    assert_eq!(asked[3].name(), (NEXT_SESSION.into(), 1));
}

#[test]
fn a_retry_that_expired_may_have_been_paid_and_is_not_sent_under_another_name() {
    let fake = Fake::start(vec![
        session(SESSION),
        Step::Close,
        say(EXPIRED),
        session(NEXT_SESSION),
        say(ACCEPTED),
    ]);
    let mut session = Session::new(&options(&fake));
    let ending = pay(&mut session);
    let Ending::Unknown { request, reason } = ending else { panic!("{ending:?}") };
    assert_eq!((request.to_string(), reason.as_str()), (format!("{SESSION}#1"), "too late"));
    assert_eq!(fake.asked().len(), 3);
    // The next transfer is another matter.
    assert!(is_accepted(&pay(&mut session)));
    assert_eq!(fake.asked()[4].name(), (NEXT_SESSION.into(), 1));
}

#[test]
fn a_connection_closed_while_nothing_was_asked_leaves_nothing_open() {
    // Bug this guards against: a server restarts between two transfers; the second is written into
    // the dead connection, and its retry, which the new server calls expired, ends as unknown.
    let script = vec![
        session(SESSION),
        Step::SayAndClose(ACCEPTED.into()),
        say(EXPIRED),
        session(NEXT_SESSION),
        say(ACCEPTED),
    ];
    let fake = Fake::start(script);
    let mut session = Session::new(&options(&fake));
    assert!(is_accepted(&pay(&mut session)));
    fake.wait_for_closed(1);
    assert!(is_accepted(&pay(&mut session)));
    assert_eq!(fake.asked()[2].name(), (SESSION.into(), 2));
}

#[test]
fn a_client_that_gives_up_says_that_it_does_not_know() {
    let fake = Fake::start(vec![Step::Silence; 1_000]);
    let start = Instant::now();
    let mut session = Session::new(&impatient(&fake, 500, 3_000));
    let ending = pay(&mut session);
    assert!(start.elapsed() < Duration::from_secs(30));
    let Ending::Unknown { request, .. } = ending else { panic!("{ending:?}") };
    assert_eq!(request.to_string(), format!("{SESSION}#1"));
    // Its number is used up: another transfer must not be taken for a retry of it.
    assert!(matches!(pay(&mut session), Ending::Unknown { request, .. } if request.number == 2));
    assert!(fake.transfers().len() > 2, "it never retried");
}

#[test]
fn a_server_that_sends_a_byte_now_and_then_does_not_hold_the_client() {
    let fake = Fake::start(vec![Step::Drip; 1_000]);
    let start = Instant::now();
    let mut session = Session::new(&impatient(&fake, 200, 1_000));
    assert!(matches!(session.ask(&Request::Status), Err(Failure::NoAnswer(_))));
    assert!(start.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_transfer_that_never_left_has_not_happened() {
    let mut fake = Fake::start(vec![]);
    // Nobody can listen there. (A port that was free a moment ago may be another test's by now.)
    fake.address = "127.0.0.1:0".into();
    let ending = pay(&mut Session::new(&impatient(&fake, 200, 500)));
    assert!(matches!(ending, Ending::NotDone(Failure::NotSent(_))), "{ending:?}");
}

#[test]
fn a_number_that_was_sent_never_stands_for_another_transfer() {
    let bad = r#"{"id":ID,"error":"bad_request","message":"no"}"#;
    let fake = Fake::start(vec![session(SESSION), say(bad), say(ACCEPTED)]);
    let mut session = Session::new(&options(&fake));
    assert!(matches!(pay(&mut session), Ending::NotDone(Failure::Said(..))));
    assert!(is_accepted(&pay(&mut session)));
    let numbers: Vec<u64> = fake.transfers().iter().map(|asked| asked.name().1).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn patience_without_end_is_no_trouble() {
    let fake = Fake::start(vec![session(SESSION), say(ACCEPTED)]);
    let endless =
        Options { timeout: Duration::MAX, give_up_after: Duration::MAX, ..options(&fake) };
    assert!(is_accepted(&pay(&mut Session::new(&endless))));
}

#[test]
fn a_bank_that_is_not_founded_yet_is_waited_for() {
    let fake = Fake::start(vec![say(WAITS), say(WAITS), session(SESSION), say(ACCEPTED)]);
    assert!(is_accepted(&pay(&mut Session::new(&options(&fake)))));
    assert!(fake.asked().iter().all(|asked| asked.connection == 0), "an error breaks nothing");
}

#[test]
fn a_bank_that_stays_unfounded_ends_the_wait_with_the_server_s_words() {
    let fake = Fake::start(vec![say(WAITS); 1_000]);
    let (status, output, _) = converse(&impatient(&fake, 20_000, 3_000), b"t B 30\nbalance\n");
    let lines = json_lines(&output);
    assert_eq!(status, 3);
    assert_eq!(lines[0]["outcome"], "unavailable");
    assert!(lines[0]["reason"].as_str().unwrap().contains("waiting for C"));
    assert_eq!(lines[1]["error"], "unavailable");
    assert!(lines[1]["message"].as_str().unwrap().contains("waiting for C"));
}

#[test]
fn what_the_server_said_is_not_forgotten_when_it_falls_silent() {
    let mut script = vec![say(WAITS)];
    script.extend(vec![Step::Silence; 100]);
    let fake = Fake::start(script);
    let failure = Session::new(&impatient(&fake, 2_000, 5_000)).ask(&Request::Settle).unwrap_err();
    let Failure::Said(ErrorCode::Unavailable, message) = failure else { panic!("{failure:?}") };
    assert!(message.contains("waiting for C; then: no answer"), "{message}");
}

#[test]
fn a_transfer_that_a_failing_store_may_have_kept_is_retried_under_its_name() {
    let store = r#"{"id":ID,"error":"store","message":"ask again"}"#;
    let fake = Fake::start(vec![session(SESSION), say(store), say(EXPIRED)]);
    let ending = pay(&mut Session::new(&options(&fake)));
    assert!(matches!(ending, Ending::Unknown { .. }), "{ending:?}");
    let asked = fake.asked();
    assert_eq!(asked[1].name(), asked[2].name());
}

#[test]
fn money_is_not_sent_from_another_server_s_account() {
    let fake = Fake::start(vec![session("B.1.0.00000000000000ff.1"), say(ACCEPTED)]);
    let ending = pay(&mut Session::new(&options(&fake)));
    assert!(matches!(ending, Ending::NotDone(Failure::WrongServer(_))), "{ending:?}");
    assert_eq!(fake.asked().len(), 1);
}

#[test]
fn an_answer_that_makes_no_sense_is_an_error() {
    for nonsense in ["HTTP/1.1 400 Bad Request", "[1]", r#"{"id":ID,"outcome":"maybe"}"#] {
        let fake = Fake::start(vec![say(nonsense)]);
        let (status, output, _) = converse(&options(&fake), b"status\n");
        assert_eq!((status, &json_lines(&output)[0]["error"]), (3, &"not_understood".into()));
        let fake = Fake::start(vec![session(SESSION), say(nonsense)]);
        let (status, output, _) = converse(&options(&fake), b"t B 1\n");
        assert_eq!((status, &json_lines(&output)[0]["outcome"]), (3, &"unknown".into()));
    }
    let error = r#"{"id":ID,"error":"bad_version","message":"only version 2"}"#;
    let fake = Fake::start(vec![say(error)]);
    let failure = Session::new(&options(&fake)).ask(&Request::Status).unwrap_err();
    assert_eq!(failure, Failure::Said(ErrorCode::BadVersion, "only version 2".into()));
}

#[test]
fn each_command_prints_one_line_of_json() {
    let refused = r#"{"id":ID,"outcome":"refused","reason":"no money","balance":20,"consulted":["A","B"],"not_consulted":["C"]}"#;
    let fake = Fake::start(vec![
        session(SESSION),
        say(ACCEPTED),
        say(refused),
        say(r#"{"id":ID,"account":"A","balance":70,"committed":100,"height":0}"#),
        say(r#"{"id":ID,"settled":true,"height":1,"consulted":["A","B"],"not_consulted":[]}"#),
    ]);
    let input = b"t B 30\n\n# nothing\n(A, B, 900)\nbalance\nsettle\nquit\nbalance";
    let (status, output, errors) = converse(&options(&fake), input);
    assert_eq!((status, errors.as_str()), (1, ""));
    let expected = [
        json!({"outcome":"accepted","server":"A","epoch":1,"seq":1,"balance":70,"via":"local"}),
        json!({"outcome":"refused","reason":"no money","balance":20,
               "consulted":["A","B"],"not_consulted":["C"]}),
        json!({"account":"A","balance":70,"committed":100,"height":0}),
        json!({"settled":true,"height":1,"consulted":["A","B"],"not_consulted":[]}),
    ];
    assert_eq!(json_lines(&output), expected);
    assert_eq!(fake.requests()[2]["transfer"]["from"], "A");
}

#[test]
fn long_logs_and_chains_are_fetched_in_pieces_and_printed_in_one() {
    let entry =
        |seq| format!(r#"{{"server":"A","epoch":1,"seq":{seq},"from":"A","to":"B","amount":1}}"#);
    let log = |seq, more| {
        say(&format!(r#"{{"id":ID,"server":"A","entries":[{}],"more":{more}}}"#, entry(seq)))
    };
    let zeros = "0".repeat(64);
    let block = |height: u64| {
        format!(
            r#"{{"height":{height},"hash":"{zeros}","previous":"{zeros}","entries":[{}]}}"#,
            entry(height)
        )
    };
    let chain =
        |height, more| say(&format!(r#"{{"id":ID,"blocks":[{}],"more":{more}}}"#, block(height)));
    let script =
        vec![log(1, true), log(2, false), chain(3, true), chain(4, false), chain(7, false)];
    let fake = Fake::start(script);
    let (status, output, _) = converse(&options(&fake), b"log\nchain 3\nchain 6");
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[0]["server"], lines[0]["entries"].as_array().unwrap().len()),
        (&"A".into(), 2)
    );
    assert_eq!(lines[1]["blocks"][1]["height"], 4);
    assert_eq!((status, &lines[2]["error"]), (3, &"not_understood".into()), "a gap is noticed");
    let requests = fake.requests();
    assert_eq!(requests[1], json!({"log":{"after":{"epoch":1,"seq":1}}}));
    assert_eq!(requests[3], json!({"chain":{"from":4}}));
}

#[test]
fn a_server_that_always_has_more_and_never_sends_it_is_not_believed() {
    let fake = Fake::start(vec![
        say(r#"{"id":ID,"server":"A","entries":[],"more":true}"#),
        say(r#"{"id":ID,"blocks":[],"more":true}"#),
    ]);
    let (status, output, _) = converse(&options(&fake), b"log\nchain\n");
    assert_eq!(status, 3);
    assert!(json_lines(&output).iter().all(|line| line["error"] == "not_understood"));
}

#[test]
fn what_is_mistyped_is_an_error_of_its_own_line() {
    let balance = r#"{"id":ID,"account":"A","balance":70,"committed":100,"height":0}"#;
    let fake = Fake::start(vec![say(balance)]);
    let (status, output, _) = converse(&options(&fake), b"blance\nt B -1\n\xff\nbalance");
    let lines = json_lines(&output);
    assert_eq!((status, lines.len()), (2, 4));
    assert!(lines[..3].iter().all(|line| line["error"] == "usage"));
    assert_eq!(lines[3]["balance"], 70);

    let fake = Fake::start(vec![say(balance)]);
    let words = Options { json: false, ..options(&fake) };
    let (status, output, errors) = converse(&words, b"blance\nbalance\n");
    assert_eq!((status, output.as_str()), (2, "A: 70 (in the chain at height 0: 100)\n"));
    assert!(errors.contains("did you mean balance?"), "{errors}");
}

#[test]
fn a_person_is_prompted_and_forgiven() {
    let fake = Fake::start(vec![]);
    let id = "north".parse().unwrap();
    let words = Options { id, json: false, ..options(&fake) };
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let status = Repl::new(&words, &mut output, &mut errors).converse(&b"blance\n"[..], true);
    assert_eq!((status, output.as_slice()), (0, &b"north> north> \n"[..]));
}

#[test]
fn commands_given_beforehand_are_obeyed_in_order() {
    let balance = r#"{"id":ID,"account":"B","balance":0,"committed":0,"height":0}"#;
    let fake = Fake::start(vec![say(balance)]);
    let mut output = Vec::new();
    let commands = ["", "balance B", "teleport", "quit", "balance"].map(String::from);
    let status = Repl::new(&options(&fake), &mut output, io::sink()).obey(&commands);
    let lines = json_lines(std::str::from_utf8(&output).unwrap());
    assert_eq!((status, lines.len()), (2, 2));
    assert_eq!(fake.requests(), [json!({"balance":{"account":"B"}})]);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    struct Closed(io::ErrorKind);
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let fake = Fake::start(vec![]);
    for (kind, expected) in [(io::ErrorKind::BrokenPipe, 0), (io::ErrorKind::StorageFull, 3)] {
        let mut errors = Vec::new();
        let status =
            Repl::new(&options(&fake), Closed(kind), &mut errors).converse(&b"help\n"[..], false);
        assert_eq!((status, errors.is_empty()), (expected, expected == 0));
    }
}
