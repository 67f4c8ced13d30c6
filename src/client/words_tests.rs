//! Tests of [`super`]: what people see of each response.

use std::collections::BTreeMap;

use super::*;
use crate::bank::reason::{Code, Reason};
use crate::bank::request::ErrorCode;
use crate::bank::request::Outcome;
use crate::client::json::to_json;
use crate::client::samples::{
    accepted, accounts, balance, blocks, entries, history, linked_failed, links, log, of_status,
    refused, server, status, unknown_ending, wrong_server,
};

#[test]
fn people_read_what_became_of_a_transfer() {
    for (ending, expected) in [
        (
            accepted(Via::Local, false, None),
            "accepted: balance 70, from the local log, as A.1.5; durable at home\n",
        ),
        (
            accepted(Via::Paxos, false, None),
            "accepted: balance 70, after a Paxos run, as A.1.5; durable at home\n",
        ),
        (
            accepted(Via::Local, true, Some(true)),
            "accepted: balance 70, from the local log, as A.1.5 (a retry: it happened once, \
             before); settled: in a block that a majority holds\n",
        ),
        (
            accepted(Via::Local, false, Some(false)),
            "accepted: balance 70, from the local log, as A.1.5; not settled yet: durable at its \
             home alone until a block takes it, which settle sees to\n",
        ),
        (
            refused(),
            "refused: A has 20, of which 30 can't be paid; balance 20; \
             consulted A, B, not consulted C\n",
        ),
        (linked_failed(), "linked failed: number 2 of its linked group has not happened\n"),
        (
            wrong_server(),
            "wrong server: B/x is at home at B; the right one is B at 127.0.0.1:8002\n",
        ),
    ] {
        assert_eq!(to_words(&Response::One(ending)), expected);
    }
    let unknown = to_words(&Response::One(unknown_ending()));
    assert!(unknown.starts_with("unknown: no reply in time; it may or may not"), "{unknown}");
    let unavailable = Failure::Said(ErrorCode::Unavailable, "waits for C".into());
    let unavailable = to_words(&Response::One(Ending::NotDone(unavailable)));
    assert_eq!(unavailable, "unavailable: waits for C; it has not happened and will not\n");
}

#[test]
fn people_read_a_batch_by_numbers() {
    let batch = Response::Batch(vec![linked_failed(), accepted(Via::Local, false, None)]);
    assert_eq!(
        to_words(&batch),
        "1: linked failed: number 2 of its linked group has not happened\n\
         2: accepted: balance 70, from the local log, as A.1.5; durable at home\n"
    );
}

#[test]
fn people_read_pages_and_how_to_go_on() {
    assert_eq!(
        to_words(&history(false)),
        "A, the newest first:\n  \
           in the log  A.1.7: A pays B 30; balance 70\n  \
           block 12    A.1.5: A pays B 30 (paxos); balance 100\n  \
           to go on: more, or: history A 2 --before 12.3.130\n"
    );
    let last = to_words(&history(true));
    assert!(last.ends_with("(paxos); balance 100\n"), "{last}");
    let (account, lines) = ("A/x".parse().unwrap(), Vec::new());
    let reply = Reply::History { account, lines, next: None };
    let none = Response::Page { reply, next: None, since: None };
    assert_eq!(to_words(&none), "A/x: no entries\n");
    let since = clock::read("2026-11-30T03:46");
    let Response::Page { reply, next, .. } = none else { panic!("{none:?}") };
    let none = to_words(&Response::Page { reply, next, since });
    assert_eq!(none, "A/x: no entries since 2026-11-30T03:46:00Z\n");
    let Response::Page { reply, next, .. } = history(true) else { panic!("no page") };
    assert_eq!(to_words(&Response::Page { reply, next, since }), last);
    assert_eq!(
        to_words(&accounts()),
        "A/alice: 70 in the chain\nA/bob: not in the chain yet\n  \
         to go on: more, or: accounts A/ 2 --after A/bob\n"
    );
    let reply = Reply::Accounts { accounts: Vec::new(), more: false };
    assert_eq!(to_words(&Response::Page { reply, next: None, since: None }), "no such accounts\n");
}

#[test]
fn people_read_when_it_was_and_what_it_was_for() {
    let entry = |action, reference: &str| {
        let mut entry = entries().remove(2);
        entry.record.action = action;
        entry.record.reference = Some(reference.parse().unwrap());
        entry.time = clock::read("2026-11-30T03:46:26");
        entry_in_words(&entry)
    };
    let (account, amount) = (|| "A/x".parse().unwrap(), "30".parse().unwrap());
    for (action, what) in [
        (Action::Mint { account: account(), amount }, "30 is issued to A/x"),
        (Action::Burn { account: account(), amount }, "30 is taken back from A/x"),
        (Action::open(account()), "A/x is opened"),
    ] {
        let expected = format!("2026-11-30T03:46:26Z  A.1.7: {what} for \"a \\\"b\\\"\"");
        assert_eq!(entry(action, "a \"b\""), expected);
    }
}

#[test]
fn people_read_the_rest_in_words() {
    for (response, expected) in [
        (
            blocks(),
            "block 0 11111111 genesis: A open with 100 each: 0 entries\n\
             block 1 22222222 by B: 1 entry\n  A.1.1: A pays B 30\n",
        ),
        (
            of_status(status()),
            "A: open; started as a zombie\n  height 4 (head 00000000), log 2, waiting 0, \
             accounts 5, turn 3\n  block 5: no ballot yet\n  peer B: connected, height 4\n  \
             peer C: not connected\n",
        ),
        (balance(Some(100)), "A/alice: 70 (in the chain at height 3: 100)\n"),
        (balance(None), "A/alice: 70 (not in the chain at height 3)\n"),
        (Response::Chain(vec![]), "no such blocks\n"),
        (
            Response::Links(LinkFaults { faults: vec![], lost: BTreeMap::new() }),
            "no link is broken\n",
        ),
        (links(), "link to B: cut\nlink to C: delays by 200 ms\nlink to C: drops 30%\n"),
        (
            log(),
            "local log of A: 3 entries\n  A.1.5: A pays B 30 (paxos)\n  \
             A.1.6: A/alice is opened (linked to the next)\n  A.1.7: A pays B 30\n",
        ),
    ] {
        assert_eq!(to_words(&response), expected);
    }
}

#[test]
fn a_server_s_words_can_t_play_with_the_terminal() {
    let reason = || "no\u{1b}[2J\nmoney".to_owned();
    let why = || Reason::new(Code::Other, reason());
    let response = Response::One(Ending::Decided(Outcome::Invalid { reason: why() }));
    assert_eq!(to_words(&response), "invalid: no [2J money\n");
    assert_eq!(to_json(&response).lines().count(), 1);
    let (server, address) = (server("B"), reason());
    let wrong = Outcome::WrongServer { reason: why(), server, address };
    let wrong = to_words(&Response::One(Ending::Decided(wrong)));
    assert_eq!(wrong, "wrong server: no [2J money; the right one is B at no [2J money\n");
}
