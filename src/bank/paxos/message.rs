//! What servers say to each other.
//!
//! Each message says who sends it, when, and whether it is *free* (true whatever is durable, may
//! leave at once) or *bound* (leaves only when the turn it belongs to is durable).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{BlockHash, Genesis, SealedBlock};
use crate::bank::ids::{AccountId, InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::limits::MAX_ASKED;
use crate::bank::paxos::ballot::Ballot;

/// What servers of one bank must agree on before it is founded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// All servers, in the order of their ids.
    pub servers: Vec<ServerId>,
    /// What every server's account holds at the start.
    pub opening_balance: Amount,
}

impl Configuration {
    /// Whether a bank founded so is the one configured here.
    pub fn matches(&self, genesis: &Genesis) -> bool {
        self.opening_balance == genesis.opening_balance
            && self.servers.iter().eq(genesis.servers.keys())
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<&str> = self.servers.iter().map(ServerId::as_str).collect();
        write!(f, "servers {} with opening balance {}", servers.join(", "), self.opening_balance)
    }
}

/// The first message on every connection between servers, in both directions. Bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// The format that the sender speaks.
    pub version: u32,
    /// Who the sender is.
    pub id: ServerId,
    /// The sender's store.
    pub instance: InstanceId,
    /// The sender's present life.
    pub life: LifeId,
    /// Its latest lives, oldest first, each with the turn in which it began.
    pub lives: Vec<(LifeId, TurnNumber)>,
    /// What it is configured to be part of.
    pub configuration: Configuration,
    /// Where it stands.
    pub standing: Standing,
    /// The instance under which it knows the receiver, if it is founded.
    pub knows_you_as: Option<InstanceId>,
    /// The sender's instance is not the one that the bank was founded with: it rejoins, or has.
    pub rejoins: bool,
    /// The furthest that the sender saw the receiver's server, whatever its instance.
    pub saw_you_at: Option<Sighting>,
}

/// How far a server has seen another: what that one said was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    /// Its store.
    pub instance: InstanceId,
    /// Its life at the time.
    pub life: LifeId,
    /// Its last durable turn.
    pub turn: TurnNumber,
    /// Its last durable entry.
    pub position: Position,
}

/// Where a server stands, as it says in every hello and heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The hash of its block 0, if it is founded.
    pub genesis: Option<BlockHash>,
    /// It knows that every server has confirmed this block 0.
    pub active: bool,
    /// The last block it holds.
    pub height: u64,
    /// Its last durable turn.
    pub turn: TurnNumber,
    /// Its last durable entry.
    pub position: Position,
}

/// What an acceptor has to say for one height.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Vote {
    /// It has accepted this block, in this ballot.
    Accepted {
        /// The ballot in which it was accepted.
        ballot: Ballot,
        /// The block.
        block: SealedBlock,
    },
    /// It has accepted nothing; here is its local log from where the proposer's knowledge ends.
    Log {
        /// In seq order, without a gap.
        elements: Vec<Element>,
        /// There was more, but the log was cut at a bound.
        cut: bool,
        /// If it was cut, what the whole of it comes to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whole: Option<Whole>,
    },
}

/// What a whole log comes to, of which a promise holds only a beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whole {
    /// Its last entry.
    pub last: Position,
    /// What all of it brings to the accounts that the prepare asked for. Those that are left out it
    /// neither pays nor opens.
    pub brings: BTreeMap<AccountId, Amount>,
}

impl Vote {
    /// For people: how much there is to it.
    pub fn in_words(&self) -> String {
        match self {
            Vote::Accepted { ballot, block } => {
                format!("what it accepted in ballot {ballot}: {}", content(block))
            }
            Vote::Log { elements, cut, .. } => {
                let entries = elements.iter().map(|element| element.records().len()).sum();
                format!("{}{}", entries_in_words(entries), if *cut { ", cut" } else { "" })
            }
        }
    }
}

/// For people: what a block holds, and its hash.
pub fn content(block: &SealedBlock) -> String {
    format!("{}, hash {}", entries_in_words(block.block().len()), block.hash().short())
}

fn entries_in_words(entries: usize) -> String {
    match entries {
        0 => "no entries".into(),
        1 => "1 entry".into(),
        many => format!("{many} entries"),
    }
}

/// A message from one server to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Message {
    /// Opens a connection, and answers that.
    Hello(Hello),
    /// Answers a hello that can't be welcomed; the connection ends.
    Reject {
        /// Why, for people.
        reason: String,
        /// Who refuses.
        hello: Hello,
    },
    /// Sent by each server to all at an even pace. Bound.
    Heartbeat(Standing),
    /// From a server that rejoins, to one that is to log it. Free.
    Rejoin {
        /// The instance in whose place the sender's is to come.
        old: InstanceId,
        /// The sender's.
        new: InstanceId,
    },
    /// Phase 1a (*Paxos Made Simple*, 2.2), from a proposer to all. Free.
    Prepare {
        /// The height that is to be agreed on: the proposer's own height plus one.
        height: u64,
        /// The run's ballot.
        ballot: Ballot,
        /// The hash of the block before.
        previous: BlockHash,
        /// For each server, the last seq of its log that the proposer holds.
        known: BTreeMap<ServerId, u64>,
        /// The accounts of which the proposer has to know what whole logs would bring, should they be
        /// too long for a promise.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        asks: BTreeSet<AccountId>,
    },
    /// Phase 1b, from an acceptor to the proposer. Bound.
    Promise {
        /// Answers the prepare of this height…
        height: u64,
        /// …and this ballot.
        ballot: Ballot,
        /// The acceptor's store.
        instance: InstanceId,
        /// The acceptor has waiting transfers of its own.
        waiting: bool,
        /// What it accepted before, or else its log.
        vote: Vote,
    },
    /// Phase 2a, from the proposer to all. Free.
    Accept {
        /// The height.
        height: u64,
        /// The run's ballot.
        ballot: Ballot,
        /// The block, fixed once for a ballot.
        block: SealedBlock,
    },
    /// Phase 2b, from an acceptor to the proposer. Bound.
    Accepted {
        /// The height.
        height: u64,
        /// The ballot in which it was accepted.
        ballot: Ballot,
        /// The hash of the block accepted.
        hash: BlockHash,
        /// The acceptor's store.
        instance: InstanceId,
    },
    /// From the proposer to all once a majority accepted: the block by name, not by content. Bound.
    Commit {
        /// The height.
        height: u64,
        /// The hash of the block that was chosen.
        hash: BlockHash,
    },
    /// From an acceptor to a proposer whose ballot is too low. Bound.
    Nack {
        /// The height.
        height: u64,
        /// The ballot that it answers.
        ballot: Ballot,
        /// The ballot that the acceptor has promised.
        promised: Ballot,
        /// The acceptor has waiting transfers of its own.
        waiting: bool,
    },
    /// `<RECONCILE_REQUEST>`: which heights do you hold? To all. Free.
    ReconcileRequest,
    /// `<R_ACK,[1,2,3]>`: heights 0 to `height`. Bound.
    ReconcileAck {
        /// The last block held.
        height: u64,
    },
    /// `<R_BLOCKS_REQ,[2,3]>`: send me these. Free.
    BlocksRequest {
        /// The first height wanted.
        from: u64,
        /// The last height wanted.
        to: u64,
    },
    /// `<R_BLOCKS_RESP,[Ba,Bb]>`: as many of them, from the first on, as fit in one piece. Bound.
    BlocksResponse {
        /// In height order, without a gap. Empty if none is held.
        blocks: Vec<SealedBlock>,
    },
}

impl Message {
    /// True if it may leave before its turn is durable: it only asks, or passes on what others have made
    /// durable. Every other message says what this server has promised, accepted, logged or appended; one
    /// that left before that was durable could be a lie after a crash.
    pub fn is_free(&self) -> bool {
        match self {
            Message::Prepare { .. }
            | Message::Accept { .. }
            | Message::Rejoin { .. }
            | Message::ReconcileRequest
            | Message::BlocksRequest { .. } => true,
            Message::Promise { .. } => planted!(PromiseBeforeDurable),
            Message::Accepted { .. } => planted!(AcceptedBeforeDurable),
            _ => false,
        }
    }

    /// Whether it carries blocks and so belongs behind the protocol's small messages.
    pub fn is_bulky(&self) -> bool {
        matches!(self, Message::Accept { .. } | Message::BlocksResponse { .. })
    }

    /// Whether its ballots can be: of rounds that there are, proposed in only by their own server,
    /// and nothing accepted before in one above the present one. And no more is asked for than anybody
    /// answers.
    pub fn is_possible(&self, from: &ServerId) -> bool {
        match self {
            Message::Prepare { asks, .. } if asks.len() > MAX_ASKED => false,
            Message::Prepare { ballot, .. } | Message::Accept { ballot, .. } => {
                ballot.is_possible() && ballot.server == *from
            }
            Message::Promise { ballot, vote: Vote::Accepted { ballot: accepted, .. }, .. } => {
                ballot.is_possible() && accepted <= ballot
            }
            Message::Promise { ballot, .. } | Message::Accepted { ballot, .. } => {
                ballot.is_possible()
            }
            Message::Nack { ballot, promised, .. } => promised.is_possible() && ballot < promised,
            _ => true,
        }
    }

    /// The highest round of the ballots that it names, if it names any.
    pub fn highest_round(&self) -> Option<u64> {
        match self {
            Message::Promise { ballot, vote: Vote::Accepted { ballot: accepted, .. }, .. } => {
                Some(ballot.round.max(accepted.round))
            }
            Message::Prepare { ballot, .. }
            | Message::Promise { ballot, .. }
            | Message::Accept { ballot, .. }
            | Message::Accepted { ballot, .. } => Some(ballot.round),
            Message::Nack { ballot, promised, .. } => Some(ballot.round.max(promised.round)),
            _ => None,
        }
    }

    /// The last block that its sender holds, as far as a message of a run tells: who takes part in
    /// one holds the block before.
    pub fn tells_height(&self) -> Option<u64> {
        match self {
            Message::Prepare { height, .. }
            | Message::Promise { height, .. }
            | Message::Accept { height, .. }
            | Message::Accepted { height, .. }
            | Message::Nack { height, .. } => height.checked_sub(1),
            Message::Commit { height, .. } => Some(*height),
            _ => None,
        }
    }

    /// The protocol's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Hello(_) => "hello",
            Message::Reject { .. } => "reject",
            Message::Heartbeat(_) => "heartbeat",
            Message::Rejoin { .. } => "rejoin",
            Message::Prepare { .. } => "prepare",
            Message::Promise { .. } => "promise",
            Message::Accept { .. } => "accept",
            Message::Accepted { .. } => "accepted",
            Message::Commit { .. } => "commit",
            Message::Nack { .. } => "nack",
            Message::ReconcileRequest => "reconcile_request",
            Message::ReconcileAck { .. } => "reconcile_ack",
            Message::BlocksRequest { .. } => "blocks_request",
            Message::BlocksResponse { .. } => "blocks_response",
        }
    }
}
