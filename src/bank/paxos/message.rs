//! The messages between servers.
//!
//! Each message says who sends it, when, and whether it is *free* (true whatever is durable, so it may
//! leave at once) or *bound* (leaves only when its turn is durable).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bank::address::Address;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{BlockHash, Genesis, SealedBlock};
use crate::bank::ids::{AccountId, InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;
use crate::bank::limits::MAX_ASKED;
use crate::bank::paxos::ballot::Ballot;

/// The configuration that all servers of a bank must share before its founding.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// All servers, in the order of their ids.
    pub servers: Vec<ServerId>,
    /// The balance of every server's account at the start.
    pub opening_balance: Amount,
    /// True if the bank issues money, and takes some back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub issuing: bool,
}

impl Configuration {
    /// Returns the configuration with which a bank was founded.
    pub fn of(genesis: &Genesis) -> Configuration {
        let servers = genesis.servers.keys().cloned().collect();
        let Genesis { opening_balance, issuing, .. } = *genesis;
        Configuration { servers, opening_balance, issuing }
    }

    /// True if a bank with these founding terms is the configured one.
    pub fn matches(&self, genesis: &Genesis) -> bool {
        // A bank that goes on from another has that one's balances.
        (self.opening_balance == genesis.opening_balance || genesis.origin.is_some())
            && self.issuing == genesis.issuing
            && self.servers.iter().eq(genesis.servers.keys())
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<&str> = self.servers.iter().map(ServerId::as_str).collect();
        write!(f, "servers {} with opening balance {}", servers.join(", "), self.opening_balance)?;
        if self.issuing { f.write_str(" and --issuing") } else { Ok(()) }
    }
}

/// The first message on every connection between servers, in both directions. Bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Hello {
    /// The format that the sender speaks.
    pub version: u32,
    /// The sender's id.
    pub id: ServerId,
    /// The instance of the sender's store.
    pub instance: InstanceId,
    /// The sender's present life.
    pub life: LifeId,
    /// The sender's latest lives, oldest first, each with the turn in which it began.
    pub lives: Vec<(LifeId, TurnNumber)>,
    /// The sender's configuration.
    pub configuration: Configuration,
    /// The sender's standing.
    pub standing: Standing,
    /// The instance under which the sender knows the receiver, if the sender is founded.
    pub knows_you_as: Option<InstanceId>,
    /// True if the sender's instance is not the one that the bank was founded with: it rejoins, or has.
    pub rejoins: bool,
    /// The furthest point at which the sender saw the receiver's server, whatever its instance.
    pub saw_you_at: Option<Sighting>,
    /// True if the sender, where it founds a bank, founds one with keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keys: bool,
    /// The hash of the origin from which the sender, where it founds a bank, goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<BlockHash>,
    /// True if the sender is no member yet, and waits to be admitted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joins: bool,
    /// Where the members are found, told to a server that the bank was not founded with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<ServerId, Address>,
}

/// The furthest point at which a server has seen another: what the other one said was durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sighting {
    /// The other server's instance.
    pub instance: InstanceId,
    /// The other server's life at the time.
    pub life: LifeId,
    /// The other server's last durable turn.
    pub turn: TurnNumber,
    /// The other server's last durable entry.
    pub position: Position,
}

/// A server's standing, in every hello and heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The hash of its block 0, if it is founded.
    pub genesis: Option<BlockHash>,
    /// True if the server knows that every server has confirmed this block 0.
    pub active: bool,
    /// The height of the last block it holds.
    pub height: u64,
    /// Its last durable turn.
    pub turn: TurnNumber,
    /// Its last durable entry.
    pub position: Position,
}

/// An acceptor's vote for one height.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Vote {
    /// It has accepted this block, in this ballot.
    Accepted {
        /// The ballot in which the block was accepted.
        ballot: Ballot,
        /// The block.
        block: SealedBlock,
    },
    /// It has accepted nothing, and sends its local log from where the proposer's knowledge ends.
    Log {
        /// The elements in seq order, without a gap.
        elements: Vec<Element>,
        /// True if there was more, but the log was cut at a bound.
        cut: bool,
        /// The sum of the whole log, if it was cut.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whole: Option<Whole>,
    },
}

/// The sum of a whole log, of which a promise holds only the beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whole {
    /// The log's last entry.
    pub last: Position,
    /// What the whole log brings to the accounts that the prepare asked for. It neither pays nor opens the
    /// accounts that are left out.
    pub brings: BTreeMap<AccountId, Amount>,
}

impl Vote {
    /// Describes for people how much the vote holds.
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

/// Describes for people what a block holds, with its hash.
pub fn content(block: &SealedBlock) -> String {
    let inside = match &block.block().opening {
        Some(opening) => format!("accounts: {}", opening.balances.len()),
        None => entries_in_words(block.block().len()),
    };
    format!("{inside}, hash {}", block.hash().short())
}

/// Names a block. Only an opening block is of no proposer.
pub fn block_of(height: u64, proposer: Option<&ServerId>) -> String {
    match proposer {
        Some(by) => format!("block {height} of {by}"),
        None => format!("opening block {height}"),
    }
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
    /// Opens a connection, and answers the hello that opened one.
    Hello(Hello),
    /// Answers a hello that can't be welcomed. The connection ends.
    Reject {
        /// Why, for people.
        reason: String,
        /// The refusing server's hello. A stranger to a bank with keys gets none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hello: Option<Box<Hello>>,
        /// True if by the refusing server's chain the store that greeted is over: it never is, or is no more, a member's.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        over: bool,
    },
    /// Sent by each server to all, at an even pace. Bound.
    Heartbeat(Standing),
    /// From a server that rejoins, to the server that is to log it. Free.
    Rejoin {
        /// The instance that the sender's is to replace.
        old: InstanceId,
        /// The sender's instance.
        new: InstanceId,
    },
    /// Phase 1a (*Paxos Made Simple*, 2.2), from a proposer to all. Free.
    Prepare {
        /// The height to be agreed on: the proposer's own height plus one.
        height: u64,
        /// The run's ballot.
        ballot: Ballot,
        /// The hash of the previous block.
        previous: BlockHash,
        /// For each server, the last seq of its log that the proposer holds.
        known: BTreeMap<ServerId, u64>,
        /// The accounts for which the proposer has to know what whole logs bring, if they are too long for a
        /// promise.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        asks: BTreeSet<AccountId>,
    },
    /// Phase 1b, from an acceptor to the proposer. Bound.
    Promise {
        /// The height of the prepare that it answers…
        height: u64,
        /// …and the ballot.
        ballot: Ballot,
        /// The acceptor's instance.
        instance: InstanceId,
        /// True if the acceptor has waiting transfers of its own.
        waiting: bool,
        /// What the acceptor accepted before, or else its log.
        vote: Vote,
    },
    /// Phase 2a, from the proposer to all. Free.
    Accept {
        /// The height.
        height: u64,
        /// The run's ballot.
        ballot: Ballot,
        /// The block, which is fixed once for a ballot.
        block: SealedBlock,
    },
    /// Phase 2b, from an acceptor to the proposer. Bound.
    Accepted {
        /// The height.
        height: u64,
        /// The ballot in which the block was accepted.
        ballot: Ballot,
        /// The hash of the block accepted.
        hash: BlockHash,
        /// The acceptor's instance.
        instance: InstanceId,
        /// True if the acceptor has waiting transfers of its own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        waiting: bool,
        /// The elements of its log after those in the block, without a gap. None if they are too long to be told here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beyond: Option<Vec<Element>>,
    },
    /// From the proposer to all once a majority accepted: names the block by its hash. Bound.
    Commit {
        /// The height.
        height: u64,
        /// The hash of the chosen block.
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
        /// True if the acceptor has waiting transfers of its own.
        waiting: bool,
    },
    /// `<RECONCILE_REQUEST>`, to all: asks which heights they hold. Free.
    ReconcileRequest,
    /// `<R_ACK,[1,2,3]>`: says that the sender holds heights 0 to `height`. Bound.
    ReconcileAck {
        /// The height of the last block held.
        height: u64,
    },
    /// `<R_BLOCKS_REQ,[2,3]>`: asks for blocks. Free.
    BlocksRequest {
        /// The first height wanted.
        from: u64,
        /// The last height wanted.
        to: u64,
    },
    /// `<R_BLOCKS_RESP,[Ba,Bb]>`: as many of these blocks, from the first on, as fit in one piece. Bound.
    BlocksResponse {
        /// The blocks in height order, without a gap. Empty if none is held.
        blocks: Vec<SealedBlock>,
    },
}

impl Message {
    /// True if it may leave before its turn is durable: it only asks, or passes on what others have made
    /// durable. Every other message says what this server has promised, accepted, logged or appended. If it
    /// left before that was durable, it could be a lie after a crash.
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

    /// True if it carries blocks, and so goes after the protocol's small messages.
    pub fn is_bulky(&self) -> bool {
        matches!(self, Message::Accept { .. } | Message::BlocksResponse { .. })
    }

    /// True if its ballots are possible: their rounds exist, only their own server proposes in them, and
    /// nothing was accepted before in a ballot above the present one. It must also ask for no more accounts
    /// than servers answer.
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

    /// Returns the highest round of the ballots that it names, if it names any.
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

    /// Returns the last block that its sender holds, if it tells: a server that takes part in a run holds the
    /// block before. It may be about to make it durable, if the message [is free](Message::is_free).
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

    /// Returns the protocol's word for the message.
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
