//! What is written as a line is read as the same, and no line takes a reader down.

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ids::{NamedSession, RequestId, SessionId};
use paxos_banking::bank::ledger::entry::{Action, Position};
use paxos_banking::bank::limits::{MAX_PAGE, MAX_WAIT_MS};
use paxos_banking::bank::reason::{Code, Reason};
use paxos_banking::bank::request::{Cursor, Instruction, Outcome, Reply, Request};
use paxos_banking::wire::{self, Tag};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::config;
use crate::values::{
    account, action, amount, count, message, name_of_session, position, request_id, server,
    session, via,
};

/// One that is asked for alone.
fn instruction() -> impl Strategy<Value = Instruction> {
    (action(), option::of(request_id()), any::<bool>(), option::of(0..=MAX_WAIT_MS)).prop_map(
        |(action, request, settled, wait_ms)| {
            let waits = matches!(action, Action::Transfer { .. });
            let wait_ms = wait_ms.filter(|_| waits);
            Instruction { action, request, linked: false, settled, wait_ms, reference: None }
        },
    )
}

/// Those of one batch have one session, or none, and numbers one after the other.
fn batch() -> impl Strategy<Value = Vec<Instruction>> {
    let names = option::of((session(), 1..Amount::MAX.units() - 10));
    (names, any::<bool>(), vec((instruction(), any::<bool>()), 1..5)).prop_map(
        |(names, settled, all): (Option<(SessionId, u64)>, bool, Vec<_>)| {
            let named = |(place, (instruction, linked))| {
                let request = names
                    .clone()
                    .map(|(session, first)| RequestId { session, number: first + place as u64 });
                Instruction { request, linked, settled, ..instruction }
            };
            all.into_iter().enumerate().map(named).collect()
        },
    )
}

fn named_session() -> impl Strategy<Value = NamedSession> {
    (name_of_session(), option::of(count())).prop_map(|(name, last)| NamedSession { name, last })
}

fn request() -> impl Strategy<Value = Request> {
    let cursor = (count(), count(), amount()).prop_map(|(height, place, balance)| Cursor {
        height,
        place,
        balance,
    });
    let history = (account(), option::of(cursor), 1..=MAX_PAGE);
    prop_oneof![
        option::of(named_session()).prop_map(Request::Session),
        Just(Request::Status),
        Just(Request::Settle),
        instruction().prop_map(Request::One),
        batch().prop_map(Request::Batch),
        option::of(account()).prop_map(Request::Balance),
        option::of(position()).prop_map(|after| Request::Log { after }),
        (count(), any::<bool>(), count()).prop_map(|(one, ends, other)| {
            Request::Chain { from: one.min(other), to: ends.then_some(one.max(other)) }
        }),
        history.prop_map(|(account, before, limit)| Request::History { account, before, limit }),
        ("([A-Z]{1,2}(/[a-z.]{0,5})?)?", option::of(account()), 1..=MAX_PAGE)
            .prop_map(|(prefix, after, limit)| Request::Accounts { prefix, after, limit }),
    ]
}

/// A batch of transfers as it is usually written, with something wrong with it, perhaps.
fn usual_batch() -> impl Strategy<Value = (String, String)> {
    let names = prop_oneof![
        Just(String::new()),
        (session(), 0..4u64).prop_map(|(session, number)| format!(
            "\"session\":\"{session}\",\"number\":{number},"
        )),
        session().prop_map(|session| format!(
            "\"session\":\"{session}\",\"number\":{},",
            Amount::MAX.units() - 1
        )),
        Just("\"settled\":true,".to_owned()),
        Just("\"items\":[[\"A\",\"B\",1]],".to_owned()),
        Just("\"\\\"items\":[[\"A\",\"B\",1]],".to_owned()),
    ];
    let units = prop_oneof![
        amount().prop_map(|amount| amount.to_string()),
        "[0-9]{1,3}|-1|1.0|9007199254740992",
    ];
    let transfer = (account(), account(), units)
        .prop_map(|(from, to, units)| format!("[\"{from}\",\"{to}\",{units}]"));
    let item = prop_oneof![8 => transfer, 1 => Just("{\"open\":\"A/x\"}".to_owned())];
    let end = prop_oneof![9 => Just("}}"), 1 => Just("}"), 1 => Just(",\"settled\":true}}")];
    (names, vec(item, 1..5), end).prop_map(|(names, items, end)| {
        let items = items.join(",");
        let line = |space| format!("{{\"id\":7,\"batch\":{{{names}\"items\":[{space}{items}]{end}");
        (line(""), line(" "))
    })
}

fn accepted() -> impl Strategy<Value = Outcome> {
    let entry = (server(), position(), amount(), via());
    (entry, any::<bool>(), option::of(any::<bool>())).prop_map(
        |((server, Position { epoch, seq }, balance, via), repeated, settled)| Outcome::Accepted {
            server,
            epoch,
            seq,
            balance,
            via,
            repeated,
            settled,
        },
    )
}

/// Any code but the one that stands for those of later programs.
fn reason() -> impl Strategy<Value = Reason> {
    let codes = [Code::NotOpen, Code::LogFull, Code::InsufficientFunds, Code::LinkedFailed];
    (select(codes.to_vec()), ".*").prop_map(|(code, words)| Reason::new(code, words))
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let servers = || vec(server(), 0..3);
    prop_oneof![
        accepted(),
        (reason(), amount(), servers(), servers()).prop_map(
            |(reason, balance, consulted, not_consulted)| {
                Outcome::Refused { reason, balance, consulted, not_consulted }
            }
        ),
        (reason(), server(), ".*").prop_map(|(reason, server, address)| Outcome::WrongServer {
            reason,
            server,
            address
        }),
        reason().prop_map(|reason| Outcome::Unavailable { reason }),
        reason().prop_map(|reason| Outcome::Invalid { reason }),
        reason().prop_map(|reason| Outcome::LinkedFailed { reason }),
        reason().prop_map(|reason| Outcome::Expired { reason }),
    ]
}

/// What a client makes of a reply to this request, if it understands it.
fn heard(id: u64, asked: &Request, reply: &Reply) -> Option<Reply> {
    let line = wire::encode_reply(Some(&Tag::Number(id)), reply);
    match wire::parse_reply(line.trim_end().as_bytes(), id, asked) {
        Ok(Some(wire::Answer::Reply(reply))) => Some(reply),
        _ => None,
    }
}

proptest! {
    #![proptest_config(config())]

    /// The space keeps a line from being read the quick way.
    #[test]
    fn a_batch_is_read_the_same_whichever_way((usual, spaced) in usual_batch()) {
        let home = "A".parse().unwrap();
        match (wire::parse_request(usual.as_bytes(), &home), wire::parse_request(spaced.as_bytes(), &home)) {
            (Ok(quick), Ok(slow)) => prop_assert_eq!(quick, slow),
            (Err(_), Err(_)) => {}
            (quick, slow) => prop_assert!(false, "{quick:?} is not {slow:?}"),
        }
    }

    #[test]
    fn messages_survive_the_wire(message in message()) {
        let line = wire::encode_message(&message);
        prop_assert_eq!(wire::parse_message(line.trim_end().as_bytes()), Ok(message));
    }

    #[test]
    fn requests_survive_the_wire(id in count(), request in request(), home in account()) {
        let line = wire::encode_request(id, &request);
        let read = wire::parse_request(line.trim_end().as_bytes(), &home);
        prop_assert_eq!(read, Ok((Some(Tag::Number(id)), request)));
    }

    #[test]
    fn replies_survive_the_wire(id in count(), asked in instruction(), outcome in outcome()) {
        let reply = Reply::One(outcome);
        prop_assert_eq!(heard(id, &Request::One(asked), &reply), Some(reply));
    }

    #[test]
    fn replies_to_batches_survive_the_wire(
        id in count(),
        asked in batch(),
        outcomes in vec(outcome(), 5),
    ) {
        let outcomes = outcomes.into_iter().take(asked.len()).collect();
        let reply = Reply::Batch { outcomes };
        prop_assert_eq!(heard(id, &Request::Batch(asked), &reply), Some(reply));
    }

    #[test]
    fn no_line_takes_the_parsers_down(line in vec(any::<u8>(), 0..200), home in account()) {
        prop_assert!(wire::parse_message(&line).is_err());
        prop_assert!(wire::parse_request(&line, &home).is_err());
    }
}
