//! The messages between servers, as lines.

use crate::bank::paxos::message::Message;
use crate::explain::explain;
use crate::wire::to_line;

/// Writes a message as a line, with its newline.
pub fn encode_message(message: &Message) -> String {
    to_line(message)
}

/// Parses a line as a message.
///
/// # Errors
/// Says why the line is not a message.
pub fn parse_message(line: &[u8]) -> Result<Message, String> {
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    serde_json::from_str(text).map_err(|error| format!("not a message: {}", explain(&error)))
}

/// True if a connection's first line is a peer's hello: an object whose first key is `hello`.
///
/// It must be cheap, since it decides by which rules the line is parsed. [`parse_message`] says whether
/// the hello is a good one.
pub fn is_peer_line(line: &[u8]) -> bool {
    let rest = line.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    let rest = rest.and_then(|rest| rest.strip_prefix(b"\"hello\"")).map(<[u8]>::trim_ascii_start);
    rest.is_some_and(|rest| rest.starts_with(b":"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bank::amount::Amount;
    use crate::bank::blockchain::block::{Block, BlockHash, FORMAT, Genesis, SealedBlock};
    use crate::bank::ids::{InstanceId, LifeId, ServerId, TurnNumber};
    use crate::bank::ledger::element::Element;
    use crate::bank::ledger::entry::{Action, Position, Record, Via};
    use crate::bank::limits::{Limits, MAX_ENTRY_TEXT};
    use crate::bank::paxos::ballot::Ballot;
    use crate::bank::paxos::message::{Configuration, Hello, Standing, Vote, Whole};

    fn server(id: &str) -> ServerId {
        id.parse().unwrap()
    }

    /// Takes at least one element of each of nine servers, each as long as possible.
    #[test]
    fn the_largest_block_fits_into_a_line() {
        let Limits { element, block_bytes, .. } = Limits::default();
        let largest = block_bytes.max(9 * (element * MAX_ENTRY_TEXT + 100));
        assert!(largest + (64 << 10) < crate::wire::MAX_PEER_LINE, "{largest}");
    }

    fn ballot() -> Ballot {
        Ballot { round: 3, server: server("B"), life: LifeId(7) }
    }

    fn standing() -> Standing {
        Standing {
            genesis: Some(BlockHash::of("genesis")),
            active: true,
            height: 4,
            turn: TurnNumber(9),
            position: Position { epoch: 1, seq: 17 },
        }
    }

    fn hello() -> Hello {
        Hello {
            version: FORMAT,
            id: server("A"),
            instance: InstanceId(1),
            life: LifeId(2),
            lives: vec![(LifeId(1), TurnNumber(1)), (LifeId(2), TurnNumber(5))],
            configuration: Configuration {
                servers: vec![server("A"), server("B")],
                opening_balance: Amount::new(100).unwrap(),
                issuing: false,
            },
            standing: standing(),
            knows_you_as: None,
            rejoins: false,
            saw_you_at: None,
            keys: false,
            origin: None,
            joins: false,
            addresses: BTreeMap::new(),
        }
    }

    fn element() -> Element {
        let (from, to) = ("A".parse().unwrap(), "B".parse().unwrap());
        let transfer = Action::Transfer { from, to, amount: Amount::new(30).unwrap() };
        let open = Action::open("A/alice".parse().unwrap());
        let record = |action, linked| Record {
            action,
            request: Some("A.1.17.00000000000000ff.3#42".parse().unwrap()),
            via: Via::Paxos,
            linked,
            reference: None,
        };
        let first = Position { epoch: 1, seq: 18 };
        Element::seal(first, vec![record(open, true), record(transfer, false)])
    }

    fn blocks() -> Vec<SealedBlock> {
        let genesis = SealedBlock::genesis(Genesis {
            format: FORMAT,
            opening_balance: Amount::new(100).unwrap(),
            servers: BTreeMap::from([(server("A"), InstanceId(1))]),
            keys: BTreeMap::new(),
            origin: None,
            issuing: false,
        });
        let next = SealedBlock::seal(Block {
            height: 1,
            previous: genesis.hash(),
            proposer: Some(server("B")),
            genesis: None,
            opening: None,
            logs: BTreeMap::from([(server("A"), vec![element()])]),
        });
        vec![genesis, next]
    }

    fn every_message() -> Vec<Message> {
        let (height, hash, instance, block) =
            (5, BlockHash::of("x"), InstanceId(8), blocks()[1].clone());
        let promise =
            |vote| Message::Promise { height, ballot: ballot(), instance, waiting: true, vote };
        let prepare = |asks: &[&str]| Message::Prepare {
            height,
            ballot: ballot(),
            previous: hash,
            known: BTreeMap::from([(server("A"), 18)]),
            asks: asks.iter().map(|name| name.parse().unwrap()).collect(),
        };
        let cut = |whole| Vote::Log { elements: vec![element()], cut: true, whole };
        let last = Position { epoch: 1, seq: 99 };
        let brings = BTreeMap::from([("A".parse().unwrap(), Amount::MAX)]);
        vec![
            Message::Hello(hello()),
            Message::Reject {
                reason: "another bank".into(),
                hello: Some(Box::new(hello())),
                over: false,
            },
            Message::Heartbeat(standing()),
            prepare(&[]),
            prepare(&["A", "B/x"]),
            promise(Vote::Accepted { ballot: ballot(), block: block.clone() }),
            promise(Vote::Log { elements: vec![element()], cut: false, whole: None }),
            promise(cut(None)),
            promise(cut(Some(Whole { last, brings }))),
            Message::Accept { height, ballot: ballot(), block },
            Message::Accepted {
                height,
                ballot: ballot(),
                hash,
                instance,
                waiting: false,
                beyond: None,
            },
            Message::Accepted {
                height,
                ballot: ballot(),
                hash,
                instance,
                waiting: true,
                beyond: Some(vec![element()]),
            },
            Message::Commit { height, hash },
            Message::Nack { height, ballot: ballot(), promised: ballot(), waiting: false },
            Message::ReconcileRequest,
            Message::ReconcileAck { height },
            Message::BlocksRequest { from: 2, to: 3 },
            Message::BlocksResponse { blocks: blocks() },
        ]
    }

    #[test]
    fn every_message_but_those_that_open_a_connection_can_be_lost_by_name() {
        for message in every_message() {
            let name = message.name();
            let opens = matches!(message, Message::Hello(_) | Message::Reject { .. });
            assert_eq!(name.parse::<crate::wire::messages::Messages>().is_ok(), !opens, "{name}");
        }
    }

    #[test]
    fn every_message_comes_back_as_it_went() {
        for message in every_message() {
            let line = encode_message(&message);
            let text = line.strip_suffix('\n').expect("a line ends in a newline");
            assert!(!text.contains('\n'));
            assert_eq!(parse_message(text.as_bytes()).unwrap(), message);
            assert_eq!(is_peer_line(text.as_bytes()), matches!(message, Message::Hello(_)));
        }
    }

    /// Lines of a server that requests nothing and announces nothing of whole logs.
    #[test]
    fn what_is_said_of_whole_logs_may_be_left_out() {
        let ballot = r#"{"round":3,"server":"B","life":"0000000000000007"}"#;
        let hash = BlockHash::of("x");
        let prepare = format!(
            r#"{{"prepare":{{"height":5,"ballot":{ballot},"previous":"{hash}","known":{{}}}}}}"#
        );
        let promise = format!(
            r#"{{"promise":{{"height":5,"ballot":{ballot},"instance":"0000000000000001","waiting":false,"vote":{{"log":{{"elements":[],"cut":true}}}}}}}}"#
        );
        for line in [prepare, promise] {
            let message = parse_message(line.as_bytes()).unwrap();
            assert_eq!(encode_message(&message).trim_end(), line);
        }
    }

    #[test]
    fn a_hello_is_told_from_all_that_clients_say() {
        assert!(is_peer_line(b" { \"hello\" : whatever"));
        for other in ["", "{", "{\"hello\"", "{\"hello", "[\"hello\":", "{\"id\":1,\"hello\":{}}"] {
            assert!(!is_peer_line(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn what_is_no_message_is_an_error_of_bounded_length() {
        let long = format!("{{\"{}\":1}}", "x".repeat(1 << 20));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let in_block = format!(
            r#"{{"accept":{{"height":1,"ballot":{{"round":1,"server":"A","life":"0000000000000001"}},"block":{deep}}}}}"#
        );
        let extra = r#"{"commit":{"height":1,"hash":"00","more":1}}"#;
        for bad in ["", "{}", "7", "\"transfer\"", &long, &deep, &in_block, extra] {
            let error = parse_message(bad.as_bytes()).unwrap_err();
            assert!(error.starts_with("not a message: ") && error.len() < 1_000, "{error}");
        }
        assert!(parse_message(b"{\"\xff\":1}").unwrap_err().starts_with("not UTF-8"));
    }
}
