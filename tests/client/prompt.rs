//! Commands as they are typed, and what is printed then.

use std::io::{self, Write};

use paxos_banking::bank::request::{ErrorCode, Request};
use paxos_banking::client::Options;
use paxos_banking::client::repl::Repl;
use paxos_banking::client::session::{Failure, Session};
use serde_json::{Value, json};

use crate::fake::*;
use crate::{impatient, options};

/// Types the lines and returns the exit status and what was printed.
fn converse(options: &Options, input: &[u8]) -> (u8, String, String) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let status = Repl::new(options, &mut output, &mut errors).converse(input);
    (status, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
}

fn json_lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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
fn an_answer_that_makes_no_sense_is_an_error() {
    for nonsense in ["HTTP/1.1 400 Bad Request", "[1]", r#"{"id":ID,"outcome":"maybe"}"#] {
        let fake = Fake::start_nameless(vec![say(nonsense)]);
        let (status, output, _) = converse(&options(&fake), b"status\n");
        assert_eq!((status, &json_lines(&output)[0]["error"]), (3, &"not_understood".into()));
        let fake = Fake::start(vec![session(SESSION), say(nonsense)]);
        let (status, output, _) = converse(&options(&fake), b"t B 1\n");
        assert_eq!((status, &json_lines(&output)[0]["outcome"]), (3, &"unknown".into()));
    }
    let error = r#"{"id":ID,"error":"bad_version","message":"only version 2"}"#;
    let fake = Fake::start_nameless(vec![say(error)]);
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

/// As editors of Windows begin a file, and end its lines.
#[test]
fn a_byte_order_mark_is_no_part_of_the_first_command() {
    let balance = r#"{"id":ID,"account":"A","balance":70,"committed":100,"height":0}"#;
    let fake = Fake::start(vec![say(balance)]);
    let (status, output, _) = converse(&options(&fake), "\u{feff}balance\r\nquit\r\n".as_bytes());
    assert_eq!((status, json_lines(&output).len()), (0, 1), "{output}");
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
        let status = Repl::new(&options(&fake), Closed(kind), &mut errors).converse(&b"help\n"[..]);
        assert_eq!((status, errors.is_empty()), (expected, expected == 0));
    }
}

#[test]
fn what_is_not_settled_in_time_is_not_all_that_was_asked() {
    for (settled, code) in [("true", 0), ("false", 3)] {
        let accepted = ACCEPTED.replace("}", &format!(r#","settled":{settled}}}"#));
        let fake = Fake::start(vec![session(SESSION), say(&accepted)]);
        let (status, output, _) = converse(&options(&fake), b"t B 3 --settled\n");
        assert_eq!((status, &json_lines(&output)[0]["outcome"]), (code, &"accepted".into()));
    }
}

#[test]
fn transfers_openings_and_batches_are_asked_as_they_are_typed() {
    let settled = ACCEPTED.replace("}", r#","settled":true}"#);
    let failed = r#"{"outcome":"linked_failed","reason":"number 2"}"#;
    let invalid = r#"{"outcome":"invalid","reason":"no account Z"}"#;
    let outcomes = format!(r#"{{"id":ID,"outcomes":[{failed},{invalid}]}}"#);
    let script = [ACCEPTED, &settled, &outcomes, BOTH_ACCEPTED].map(say);
    let fake = Fake::start([vec![session(SESSION)], script.to_vec()].concat());
    let input =
        b"open A/x\nt A/x B 3 --settled --wait 10s\nlinked B 5, Z B 1\nbatch B 5, open A/y\n";
    let words = Options { json: false, ..options(&fake) };
    let (status, output, errors) = converse(&words, input);
    let settled = "accepted: balance 70, from the local log, as A.1.1";
    let accepted = format!("{settled}; durable at home");
    let expected = format!(
        "{accepted}\n{settled}; settled: in a block that a majority holds\n\
         1: linked failed: number 2\n2: invalid: no account Z\n\
         1: {accepted}\n2: accepted: balance 65, from the local log, as A.1.2; durable at home\n"
    );
    assert_eq!((status, output, errors), (1, expected, String::new()));
    let named = |number: u64| {
        move |mut request: Value| {
            let fields = request.as_object_mut().unwrap().values_mut().next().unwrap();
            fields["session"] = SESSION.into();
            fields["number"] = number.into();
            request
        }
    };
    let expected = [
        named(1)(json!({"open":{"account":"A/x"}})),
        named(2)(
            json!({"transfer":{"from":"A/x","to":"B","amount":3,"settled":true,"wait_ms":10_000}}),
        ),
        named(3)(json!({"batch":{"items":[["A","B",5,"linked"],["Z","B",1]]}})),
        named(5)(json!({"batch":{"items":[["A","B",5],{"open":"A/y"}]}})),
    ];
    assert_eq!(fake.requests()[1..], expected);
}

#[test]
fn more_goes_on_where_the_last_page_ended() {
    let line = r#"{"height":3,"balance":70,"server":"A","epoch":1,"seq":5,"from":"A","to":"B","amount":30}"#;
    let history = |next: &str| say(&format!(r#"{{"id":ID,"account":"A","lines":[{line}]{next}}}"#));
    let accounts = |name: &str, more: bool| {
        say(&format!(r#"{{"id":ID,"accounts":[{{"account":"{name}"}}],"more":{more}}}"#))
    };
    let fake = Fake::start(vec![
        history(r#","next":{"height":3,"place":0,"balance":100}"#),
        history(""),
        accounts("A", true),
        accounts("A/x", false),
    ]);
    let input = b"more\nhistory A 1\nmore\nmore\naccounts A 1\nmore\nmore\n";
    let (status, output, _) = converse(&options(&fake), input);
    let lines = json_lines(&output);
    assert_eq!((status, lines.len()), (2, 7));
    for place in [0, 3, 6] {
        assert_eq!(lines[place]["error"], "usage", "{place}");
    }
    assert_eq!(lines[1]["lines"][0]["amount"], 30);
    let expected = [
        json!({"history":{"account":"A","limit":1}}),
        json!({"history":{"account":"A","before":{"height":3,"place":0,"balance":100},"limit":1}}),
        json!({"accounts":{"prefix":"A","limit":1}}),
        json!({"accounts":{"prefix":"A","after":"A","limit":1}}),
    ];
    assert_eq!(fake.requests(), expected);
}

#[test]
fn what_it_is_for_and_money_that_is_issued_go_to_the_server() {
    let input = b"t B 30 --for \"May, # 5\" # late\nmint 500\nburn A/x 5 --for 'paid out'\n\
        batch B 1 --for \"a, b\", mint A/x 2\nt B 1 --for \"open\nt B 1 --for invoice 17\n";
    let fake = Fake::start(vec![
        session(SESSION),
        say(ACCEPTED),
        say(ACCEPTED),
        say(ACCEPTED),
        say(BOTH_ACCEPTED),
    ]);
    let (status, output, _) = converse(&options(&fake), input);
    let lines = json_lines(&output);
    assert_eq!((status, lines.len()), (2, 6), "{output}");
    assert!(lines[4]["message"].as_str().unwrap().contains("the closing quote of \"open\""));
    assert!(lines[5]["message"].as_str().unwrap().contains("--for \"invoice 17\""));
    let named = |number: u64, kind: &str, mut fields: Value| {
        fields["session"] = SESSION.into();
        fields["number"] = number.into();
        json!({ kind: fields })
    };
    let expected = [
        named(
            1,
            "transfer",
            json!({"from": "A", "to": "B", "amount": 30, "reference": "May, # 5"}),
        ),
        named(2, "mint", json!({"account": "A", "amount": 500})),
        named(3, "burn", json!({"account": "A/x", "amount": 5, "reference": "paid out"})),
        named(
            4,
            "batch",
            json!({"items": [{"from": "A", "to": "B", "amount": 1, "reference": "a, b"},
                             {"mint": "A/x", "amount": 2}]}),
        ),
    ];
    assert_eq!(fake.requests()[1..], expected);
}

#[test]
fn a_statement_ends_at_a_page_of_older_entries_and_goes_on_with_its_bound() {
    // 2026-11-30T03:46:00Z
    const BOUND: u64 = 1_796_010_360_000;
    let page = |times: [u64; 2], next: u64| {
        let line = |time: u64| {
            json!({"height": next, "balance": 1, "server": "A", "epoch": 1, "seq": 1, "time": time,
                   "from": "A", "to": "B", "amount": 1})
        };
        let next = json!({"height": next, "place": 0, "balance": 1});
        let lines = times.map(line);
        let page = json!({"account": "A", "lines": lines, "next": next}).to_string();
        say(&page.replacen('{', "{\"id\":ID,", 1))
    };
    let fake = Fake::start(vec![
        page([BOUND + 9, BOUND], 9),
        page([BOUND + 5, BOUND - 1], 8),
        page([BOUND - 2, BOUND - 9], 7),
    ]);
    let input = b"history A 2 --since 2026-11-30T03:46\nmore\nmore\n";
    let mut shown = options(&fake);
    shown.json = false;
    let (status, output, errors) = converse(&shown, input);
    assert_eq!(status, 2, "{errors}");
    let bounded = "to go on: more, or: history A 2 --since 2026-11-30T03:46:00Z --before 9.0.1";
    assert!(output.contains(bounded), "{output}");
    assert_eq!(output.matches("A pays B").count(), 3, "{output}");
    assert_eq!(output.matches("to go on").count(), 1, "{output}");
    assert!(errors.contains("there is no next page"), "{errors}");
    assert_eq!(fake.requests()[2]["history"]["before"]["height"], 8);
}
