//! What peers say: read, written again, and handled by an open bank, in which a run may be under way.

use paxos_banking::bank::effects::Event;
use paxos_banking::bank::ids::ConnectionId;
use paxos_banking::bank::paxos::message::Message;
use paxos_banking::wire::{encode_message, is_peer_line, parse_message, parse_request};

use crate::banks::Bank;
use crate::machine::bank_of_three::{CLIENT, OF_B, OF_C, id};
use crate::samples::stories;
use crate::target::{Heard, Target};

/// What makes A begin a run.
const OVERDRAFT: &[u8] = br#"{"transfer":{"to":"B","amount":50000}}"#;

pub struct PeerLines;

impl Target for PeerLines {
    fn name(&self) -> &'static str {
        "peer-lines"
    }

    fn executions(&self) -> usize {
        20_000
    }

    /// A story as lines. One of the first letter `r` begins when A is in a run.
    fn samples(&self) -> Vec<Vec<u8>> {
        let text = |story: Vec<Message>| story.iter().map(encode_message).collect::<String>();
        let texts: Vec<String> = stories().into_iter().map(text).collect();
        let in_run = texts.iter().map(|text| format!("r\n{text}"));
        in_run.chain(texts.iter().cloned()).map(String::into_bytes).collect()
    }

    fn read(&self, input: &[u8], heard: &Heard) {
        let mut bank = Bank::open();
        let mut lines =
            input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).peekable();
        if lines.next_if(|line| *line == b"r").is_some() {
            let (_, request) =
                parse_request(OVERDRAFT, &"A".parse().expect("an account")).expect("one");
            bank.handle(Event::Request(CLIENT, Some(1), request), &Heard::default());
        }
        for (connection, line) in (10..).map(ConnectionId).zip(lines) {
            let message = match parse_message(line) {
                Ok(message) => message,
                Err(error) => {
                    heard.refused(&error);
                    continue;
                }
            };
            let again = encode_message(&message);
            let read = parse_message(again.trim_end().as_bytes());
            assert_eq!(read.as_ref(), Ok(&message), "written again: {again}");
            let is_hello = matches!(message, Message::Hello(_));
            assert!(
                !is_hello || is_peer_line(again.as_bytes()),
                "a hello opens a peer's connection"
            );
            let events = match message {
                Message::Hello(hello) => vec![Event::Greeted(connection, hello)],
                answer @ Message::Reject { .. } => {
                    vec![Event::LinkUp(id("B")), Event::LinkAnswered(id("B"), answer)]
                }
                message => [OF_B, OF_C].map(|peer| Event::Received(peer, message.clone())).into(),
            };
            // One that stopped says nothing more.
            if !events.into_iter().all(|event| bank.handle(event, heard)) {
                return;
            }
        }
        bank.wait(heard);
    }

    fn marks(&self) -> &'static [&'static str] {
        &[
            "writes a promise",
            "writes an accepted block",
            "writes a block",
            "says promise",
            "says accepted",
            "says nack",
            "says hello",
            "sends blocks",
            "not a message",
            "not UTF-",
            "unknown variant",
            "missing field",
            "can't be: ignored",
            "is not a server of this bank",
            "it speaks format",
            "is configured for",
            "is known as instance",
            "belongs to another bank",
            "was lost or swapped",
            "refuses this server",
        ]
    }
}
