//! A line of a trace: one event at one server.

use serde::{Deserialize, Serialize};

use crate::bank::ids::{LifeId, ServerId};
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Message, Vote};

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The server where it happened.
    pub server: ServerId,
    /// The number of the event in its life: the server's own part of a logical clock. Merging traces adds
    /// the rest, from sending and receiving.
    pub clock: u64,
    /// The time by that machine's clock, in microseconds since 1970. It matters only for what is shown.
    pub us: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// A line of the trace of a play: what its file does to the bank, or has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The time, as in [`Record`].
    pub us: u64,
    /// The words: `set 2`, `cut A B`, a title.
    pub told: String,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The store was loaded. If there was a life before, it has ended in a crash.
    Start {
        /// The life that begins.
        life: LifeId,
    },
    /// A message was given to a connection. Only the receiver's trace tells whether it arrived.
    Sent {
        /// The receiver.
        to: ServerId,
        /// The message's place in the connection.
        place: Place,
        /// The message.
        message: Brief,
    },
    /// A message was lost before it left.
    Lost {
        /// The receiver it was for.
        to: ServerId,
        /// Why it was lost.
        why: Loss,
        /// The message.
        message: Brief,
    },
    /// A message was taken in.
    Received {
        /// The sender.
        from: ServerId,
        /// The message's place in the connection.
        place: Place,
        /// The message.
        message: Brief,
    },
    /// Writes became durable.
    Durable {
        /// The turn's number.
        turn: u64,
        /// How many writes became durable.
        writes: usize,
    },
    /// A ballot was promised, durably.
    Promised {
        /// The ballot.
        ballot: String,
    },
    /// A block was accepted, durably.
    Accepted {
        /// The block's height.
        height: u64,
        /// The ballot.
        ballot: String,
        /// The beginning of the block's hash.
        hash: String,
    },
    /// A block was appended, durably.
    Appended {
        /// The block's height.
        height: u64,
        /// The beginning of the block's hash.
        hash: String,
        /// The server that built it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proposer: Option<ServerId>,
        /// How many entries the block holds.
        entries: usize,
    },
    /// A client asked for something that changes accounts.
    Asked {
        /// The question: `transfer B 90`, `open A/x`, `batch of 3`, `settle`.
        what: String,
    },
    /// A client was answered.
    Answered {
        /// The answer: an outcome's name and what is behind it, such as `refused: A has 40, 90 asked`; `batch`,
        /// `settled`.
        what: String,
    },
}

/// A message's place among the messages of one connection.
///
/// Small messages may overtake messages with blocks, but messages of one kind never overtake each other. So
/// the nth of its kind that is sent is the nth that is received, and no message needs to carry a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The connection, by the addresses from and to which it was dialled, as both ends see them.
    pub connection: String,
    /// The connection's queue.
    pub queue: Queue,
    /// The message's number in the queue, from 1.
    pub number: u64,
}

/// A queue: messages that don't overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Small messages.
    Small,
    /// Messages with blocks.
    Bulky,
    /// The answer to the hello, the only message that goes the other way.
    Answer,
}

impl Queue {
    /// Returns the queue of a message over a dialled connection.
    pub fn of(message: &Message) -> Queue {
        if message.is_bulky() { Queue::Bulky } else { Queue::Small }
    }
}

/// Why a message did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// There was no connection.
    NoLink,
    /// Too many messages were waiting.
    QueueFull,
    /// The link loses it, on order.
    Fault,
}

/// The part of a message that a trace holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The protocol's word for the message.
    pub kind: String,
    /// The height that it is about; the first, if it is about several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// The ballot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ballot: Option<String>,
    /// For a promise, the ballot of the block accepted before; for a nack, the ballot promised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// How many entries of a log or a block it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<usize>,
    /// How many blocks it asks for or carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u64>,
}

impl Brief {
    /// Takes the part of a message that a trace holds.
    pub fn of(message: &Message) -> Brief {
        let mut brief = Brief { kind: message.name().into(), ..Brief::default() };
        match message {
            Message::Heartbeat(standing) => brief.height = Some(standing.height),
            Message::Prepare { height, ballot, .. } => brief.about(*height, Some(ballot)),
            Message::Promise { height, ballot, vote, .. } => {
                brief.about(*height, Some(ballot));
                match vote {
                    Vote::Log { elements, .. } => {
                        let entries = elements.iter().map(|element| element.records().len());
                        brief.entries = Some(entries.sum());
                    }
                    Vote::Accepted { ballot, .. } => brief.before = Some(ballot.to_string()),
                }
            }
            Message::Accept { height, ballot, block } => {
                brief.about(*height, Some(ballot));
                brief.entries = Some(block.block().len());
            }
            Message::Accepted { height, ballot, .. } => brief.about(*height, Some(ballot)),
            Message::Commit { height, .. } => brief.about(*height, None),
            Message::Nack { height, ballot, promised, .. } => {
                brief.about(*height, Some(ballot));
                brief.before = Some(promised.to_string());
            }
            Message::ReconcileAck { height } => brief.about(*height, None),
            Message::BlocksRequest { from, to } => {
                brief.about(*from, None);
                brief.blocks = Some((to + 1).saturating_sub(*from));
            }
            Message::BlocksResponse { blocks } => {
                brief.height = blocks.first().map(|block| block.height());
                brief.blocks = Some(blocks.len() as u64);
            }
            Message::Hello(_)
            | Message::Reject { .. }
            | Message::Rejoin { .. }
            | Message::ReconcileRequest => {}
        }
        brief
    }

    fn about(&mut self, height: u64, ballot: Option<&Ballot>) {
        self.height = Some(height);
        self.ballot = ballot.map(Ballot::to_string);
    }

    /// True if the message concerns the block of this height.
    pub fn concerns(&self, height: u64) -> bool {
        let first = self.height.filter(|_| self.kind != "heartbeat");
        first.is_some_and(|first| (first..first + self.blocks.unwrap_or(1)).contains(&height))
    }

    /// True if the message belongs to a Paxos run or brings blocks: the kinds that change what servers hold.
    pub fn is_of_the_protocol(&self) -> bool {
        !matches!(
            &*self.kind,
            "heartbeat" | "hello" | "reject" | "reconcile_request" | "reconcile_ack"
        )
    }

    /// Describes the message in a few words, for an arrow.
    pub fn label(&self) -> String {
        let count = |count: u64, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {many}"),
        };
        let mut label = self.kind.replace('_', " ");
        if let Some(height) = self.height {
            label += &format!(" {height}");
        }
        if let Some(ballot) = self.ballot.as_ref().filter(|_| self.kind != "accepted") {
            label += &format!(" [{ballot}]");
        }
        let detail = match (&*self.kind, &self.before, self.entries, self.blocks) {
            ("promise", Some(before), ..) => format!("accepted in [{before}]"),
            ("nack", Some(before), ..) => format!("promised [{before}]"),
            (_, _, Some(entries), _) => count(entries as u64, "entry", "entries"),
            (_, _, _, Some(blocks)) => count(blocks, "block", "blocks"),
            _ => return label,
        };
        format!("{label} ({detail})")
    }
}
