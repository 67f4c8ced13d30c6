//! Messages sent and received, as lines of the log: at `debug`, heartbeats at `trace`.

use std::fmt;

use crate::bank::ids::ServerId;
use crate::bank::paxos::message::{Message, content};

/// Logs a message that leaves for a peer.
pub(crate) fn sent(to: &ServerId, message: &Message) {
    log::log!(level(message), "to {to}: {}", InBrief(message));
}

/// Logs a message that came from a peer.
pub(crate) fn received(from: &ServerId, message: &Message) {
    log::log!(level(message), "from {from}: {}", InBrief(message));
}

fn level(message: &Message) -> log::Level {
    match message {
        Message::Heartbeat(_) => log::Level::Trace,
        _ => log::Level::Debug,
    }
}

/// A message in the protocol's words: its kind, height, ballot, and how much it carries.
struct InBrief<'a>(&'a Message);

impl fmt::Display for InBrief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())?;
        match self.0 {
            Message::Reject { hello: None, .. } => Ok(()),
            Message::Reject { hello: Some(hello), .. } => {
                write!(f, " of {}, height {}", hello.id, hello.standing.height)
            }
            Message::Hello(hello) => {
                write!(f, " of {}, height {}", hello.id, hello.standing.height)
            }
            Message::Heartbeat(standing) => write!(f, " height {}", standing.height),
            Message::Rejoin { old, new } => write!(f, " {new} in place of {old}"),
            Message::Prepare { height, ballot, .. } => {
                write!(f, " block {height}, ballot {ballot}")
            }
            Message::Promise { height, ballot, vote, .. } => {
                write!(f, " block {height}, ballot {ballot}: {}", vote.in_words())
            }
            Message::Accept { height, ballot, block } => {
                write!(f, " block {height}, ballot {ballot}: {}", content(block))
            }
            Message::Accepted { height, ballot, hash, .. } => {
                write!(f, " block {height}, ballot {ballot}: hash {}", hash.short())
            }
            Message::Commit { height, hash } => write!(f, " block {height}: hash {}", hash.short()),
            Message::Nack { height, ballot, promised, .. } => {
                write!(f, " block {height}, ballot {ballot}: promised {promised}")
            }
            Message::ReconcileRequest => Ok(()),
            Message::ReconcileAck { height } => write!(f, " height {height}"),
            Message::BlocksRequest { from, to } => write!(f, " blocks {from} to {to}"),
            Message::BlocksResponse { blocks } => match (blocks.first(), blocks.last()) {
                (Some(first), Some(last)) => {
                    write!(f, " blocks {} to {}", first.height(), last.height())
                }
                _ => f.write_str(" no blocks"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::blockchain::block::{Block, BlockHash, SealedBlock};
    use crate::bank::ids::{InstanceId, LifeId};
    use crate::bank::paxos::ballot::Ballot;
    use crate::bank::paxos::message::Vote;

    #[test]
    fn a_message_is_told_with_its_height_and_ballot() {
        let ballot = |round| Ballot { round, server: "A".parse().unwrap(), life: LifeId(1) };
        let (previous, logs) = (BlockHash::NONE, std::collections::BTreeMap::new());
        let (proposer, genesis, opening) = (None, None, None);
        let block = Block { height: 5, previous, proposer, genesis, opening, logs };
        let block = SealedBlock::seal(block);
        let promise = |vote| {
            let (height, ballot, instance) = (5, ballot(3), InstanceId(1));
            Message::Promise { height, ballot, instance, waiting: false, vote }
        };
        let hash = block.hash().short();
        for (message, expected) in [
            (
                Message::Prepare {
                    height: 5,
                    ballot: ballot(3),
                    previous,
                    known: [].into(),
                    asks: [].into(),
                },
                "prepare block 5, ballot 3.A".to_owned(),
            ),
            (
                promise(Vote::Log { elements: vec![], cut: true, whole: None }),
                "promise block 5, ballot 3.A: no entries, cut".into(),
            ),
            (
                promise(Vote::Accepted { ballot: ballot(2), block: block.clone() }),
                format!(
                    "promise block 5, ballot 3.A: what it accepted in ballot 2.A: no entries, hash \
                     {hash}"
                ),
            ),
            (
                Message::Nack { height: 5, ballot: ballot(3), promised: ballot(4), waiting: true },
                "nack block 5, ballot 3.A: promised 4.A".into(),
            ),
            (Message::BlocksResponse { blocks: vec![] }, "blocks_response no blocks".into()),
            (
                Message::BlocksResponse { blocks: vec![block] },
                "blocks_response blocks 5 to 5".into(),
            ),
        ] {
            assert_eq!(InBrief(&message).to_string(), expected);
        }
    }
}
