//! What clients say: read, written again, and handled by an open bank.

use paxos_banking::bank::effects::Event;
use paxos_banking::bank::ids::AccountId;
use paxos_banking::wire::asked::Asked;
use paxos_banking::wire::traces::encode_trace;
use paxos_banking::wire::{Tag, encode_order, encode_request, parse_asked, parse_request};

use crate::banks::{Bank, hear_named};
use crate::machine::bank_of_three::{CLIENT, id};
use crate::samples::REQUESTS;
use crate::target::{Heard, Target};

pub struct ClientLines;

impl Target for ClientLines {
    fn name(&self) -> &'static str {
        "client-lines"
    }

    fn executions(&self) -> usize {
        25_000
    }

    fn samples(&self) -> Vec<Vec<u8>> {
        REQUESTS.iter().map(|request| request.as_bytes().to_vec()).collect()
    }

    fn read(&self, input: &[u8], heard: &Heard) {
        let home = AccountId::of(&id("A"));
        let mut bank = Bank::open();
        for line in input.split(|byte| *byte == b'\n') {
            match parse_asked(line, &home) {
                Ok((_, Asked::Link(order))) => {
                    let again = encode_order(7, &order);
                    let read = parse_asked(again.trim_end().as_bytes(), &home);
                    assert_eq!(
                        read,
                        Ok((Some(Tag::Number(7)), Asked::Link(order))),
                        "written again: {again}"
                    );
                    heard.accepted("an order");
                }
                Ok((_, Asked::Trace)) => {
                    let read = parse_asked(encode_trace(7).trim_end().as_bytes(), &home);
                    assert_eq!(read, Ok((Some(Tag::Number(7)), Asked::Trace)));
                    heard.accepted("a trace");
                }
                Ok((tag, Asked::Request(request))) => {
                    let again = encode_request(7, &request);
                    let read = parse_request(again.trim_end().as_bytes(), &home);
                    assert_eq!(
                        read,
                        Ok((Some(Tag::Number(7)), request.clone())),
                        "written again: {again}"
                    );
                    bank.handle(Event::Request(CLIENT, numbered(tag), request), heard);
                }
                Err((tag, reply)) => hear_named(tag.as_ref(), &reply, heard),
            }
        }
        // Whatever waits has its outcome in the end.
        bank.wait(heard);
        bank.handle(Event::Closed(CLIENT), heard);
    }

    fn marks(&self) -> &'static [&'static str] {
        &[
            "a transfer",
            "an order",
            "a trace",
            "a batch",
            "a balance",
            "a session",
            "a status",
            "reads History",
            "reads Chain",
            "a list of accounts",
            "writes an entry",
            "not UTF-",
            "not JSON",
            "the text ends",
            "control character",
            "unknown field",
            "duplicate field",
            "found ",
            "is missing",
            "belong together",
            "belongs to a session's",
            "a name for a session",
            "several things are asked for",
            "nothing is asked for",
            "is not spoken here",
            "more than the most",
            "no account's name begins",
            "no Paxos run got through",
            "there is no account",
            "the same account",
            "must be at least",
            "is open already",
        ]
    }
}

/// The number by which the state machine may know a request.
fn numbered(tag: Option<Tag>) -> Option<u64> {
    match tag? {
        Tag::Number(number) => Some(number),
        Tag::Json(json) => Some(json.len() as u64),
    }
}
