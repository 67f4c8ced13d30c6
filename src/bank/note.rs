//! What a server notes for people: each note is a line of its log. Nothing depends on a note. Code that tells
//! notes apart does so by the variant, not by the words.

use std::fmt;

use crate::bank::blockchain::block::BlockHash;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, InstanceId, ServerId};
use crate::bank::member_note::MemberNote;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::block_of;
use crate::bank::paxos::proposer::Ignored;
use crate::bank::paxos::rest::Rest;
use crate::bank::paxos::run::How;

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Something is wrong, and a person should look at it.
    Warning,
    /// A step of founding or of reconciling.
    Info,
    /// A step of a Paxos run; there may be very many.
    Step,
    /// A reason why something was ignored.
    Debug,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// A step of this server's run for a height, in a ballot.
    Run(u64, Ballot, Step),
    /// A block that was accepted here was not committed in time.
    FinishesRound,
    /// The chain has grown.
    Appended {
        /// The block's height.
        height: u64,
        /// The server that proposed it.
        by: Option<ServerId>,
        /// The block's content, in words.
        content: String,
        /// The ballot of this server's run, if one ends with this block.
        beaten: Option<Ballot>,
    },
    /// This server's run only settles, and lets the named server's run go first.
    Yields(ServerId),
    /// A life begins; the words say how.
    Begins(String),
    /// The connection dialled to this peer is up, and was greeted.
    Connected(ServerId),
    /// The connection dialled to this peer is gone.
    Disconnected(ServerId),
    /// This server has its bank's block 0.
    Founded(BlockHash),
    /// Every server has confirmed block 0.
    Opened,
    /// Blocks up to this height are asked for from this peer.
    Reconciles(ServerId, u64),
    /// A peer that was asked for blocks has sent none.
    SendsNothing(ServerId),
    /// This server holds the blocks up to the height for which it reconciled.
    Reconciled(u64),
    /// This peer is asked to log that one instance replaces another.
    AsksToRejoin {
        /// The peer.
        to: ServerId,
        /// The instance that comes.
        new: InstanceId,
        /// The instance in whose place it comes.
        old: InstanceId,
    },
    /// Something came that changes nothing.
    Nothing(Nothing),
    /// Something that a person should look at.
    Warning(Warning),
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The run begins; the words say what for.
    Prepares(String),
    /// A server has promised; the words say with what.
    Promised(ServerId, String),
    /// A server has promised a higher ballot.
    Nacked {
        /// The server.
        by: ServerId,
        /// The higher ballot.
        promised: Ballot,
        /// True if transfers wait at the other server too.
        waiting: bool,
    },
    /// The proposer proposes a block.
    Proposes {
        /// How it came by the block.
        how: How,
        /// The block's content, in words.
        content: String,
    },
    /// There is nothing to propose.
    AllEmpty,
    /// More is logged than a block takes: the rest that the block leaves.
    Leaves(Rest),
    /// These servers accepted the block, a majority.
    Chosen(Vec<ServerId>),
}

/// What came and changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Nothing {
    /// An answer to a run: its name, its sender, and why it doesn't count.
    Answer(&'static str, ServerId, Ignored),
    /// A message of this name, on a connection without a hello.
    Stranger(&'static str),
    /// A message of this name, over a connection that did not prove the sender's present key.
    WithoutKey(&'static str, ServerId),
    /// A message of this name, while the store takes no writes.
    Resting(&'static str, ServerId),
    /// A hello in the middle of a connection.
    GreetsAgain(ServerId),
    /// A hello on a connection that the peer has left.
    GreetsLate(ServerId),
    /// A message to a server that doesn't take part yet.
    NoPartYet(ServerId),
    /// Blocks that were not asked for.
    UnaskedBlocks(ServerId),
    /// A rejoin in the place of an instance that the chain doesn't name.
    OtherInstance(ServerId),
    /// A rejoin of an instance that can't come any more.
    LateInstance(ServerId, InstanceId),
    /// A rejoin that this server can't log now.
    MayNotLog,
    /// A request on an older connection of its session.
    OlderConnection,
}

/// What a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Warning {
    /// A message of this name that no correct server sends.
    Impossible(&'static str, ServerId),
    /// A promise that is wrong, and why.
    BadPromise(ServerId, String),
    /// A proposed block that is wrong or contradicts this server's log, and why.
    BadProposal(ServerId, String),
    /// Logs that are good by themselves make no block together.
    BadTogether(String),
    /// A server proposes two blocks in this ballot.
    TwoBlocks(ServerId, Ballot),
    /// The block of this height was chosen and could not be appended, and why.
    NotAppended(u64, String),
    /// A block of this height, from this peer, can't be right, and why.
    BadBlock(u64, ServerId, String),
    /// A peer's chain does not link to this block of this server's.
    Fork {
        /// The peer.
        peer: ServerId,
        /// The block's height.
        height: u64,
        /// The beginning of the head's hash.
        head: String,
    },
    /// One peer alone says that this server's store is the wrong store.
    Accused {
        /// The peer.
        by: ServerId,
        /// True if nothing is served until another peer has spoken.
        in_doubt: bool,
        /// The peer's words.
        reason: String,
    },
    /// A peer has nothing against this server's store, which was in doubt.
    Cleared(ServerId),
    /// A peer names a round of a ballot that is too far ahead of the highest seen.
    Leap {
        /// The peer.
        by: ServerId,
        /// The round.
        round: u64,
        /// The highest round that was seen.
        seen: u64,
    },
    /// Where the first server should be, the second answers.
    Elsewhere(ServerId, ServerId),
    /// A peer can't be spoken to, for this reason.
    CannotSpeak(ServerId, String),
    /// A store asks for a server's place, in a bank with keys.
    AsksToRejoin {
        /// The server.
        server: ServerId,
        /// The store's instance.
        new: InstanceId,
        /// The key that speaks for the store.
        key: Fingerprint,
    },
    /// An operator has confirmed that a store rejoins.
    Confirmed {
        /// The server.
        server: ServerId,
        /// The store's instance.
        new: InstanceId,
        /// The instance that it replaces.
        old: InstanceId,
        /// The operator's connection.
        connection: ConnectionId,
    },
    /// What concerns the members.
    Members(MemberNote),
    /// Two servers prove the same key, so no bank is founded.
    OneKeyForTwo,
    /// A peer refuses this server, for this reason.
    RefusedBy(ServerId, String),
    /// A connection of a peer's is refused, for this reason.
    Refuses(ServerId, String),
    /// A peer answers a hello with a message of this name.
    OddAnswer(ServerId, &'static str),
    /// A peer has founded another bank; the words say what to do.
    OtherBank(ServerId, &'static str),
    /// A block 0 that is wrong, or another bank's; whose it is, and why it is not taken.
    BadGenesis(String),
    /// This server has founded a bank of which it was not told.
    NewBank(BlockHash),
    /// This server founds no bank; the words say why.
    WaitsForItsBank(String),
    /// A server rejoins on its operator's word.
    Rejoins {
        /// The server.
        server: ServerId,
        /// The instance that comes.
        new: InstanceId,
        /// The instance in whose place it comes.
        old: InstanceId,
    },
    /// This server has rejoined; the words say more.
    Rejoined(String),
}

impl Note {
    /// Says how much the note matters.
    pub fn level(&self) -> Level {
        match self {
            Note::Run(..) | Note::FinishesRound | Note::Appended { .. } | Note::Yields(_) => {
                Level::Step
            }
            Note::Nothing(_) => Level::Debug,
            Note::Warning(_) => Level::Warning,
            _ => Level::Info,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Run(height, ballot, step) => write!(f, "block {height}, ballot {ballot}{step}"),
            Note::FinishesRound => {
                f.write_str("an accepted block was not committed: finishing its round")
            }
            Note::Appended { height, by, content, beaten } => {
                let block = block_of(*height, by.as_ref());
                write!(f, "{block} appended: {content}")?;
                match beaten {
                    Some(ballot) => write!(f, "; the run with ballot {ballot} ends"),
                    None => Ok(()),
                }
            }
            Note::Yields(to) => write!(f, "settling: the run of {to} may go first"),
            Note::Begins(words) => f.write_str(words),
            Note::Connected(peer) => write!(f, "connected to {peer}"),
            Note::Disconnected(peer) => write!(f, "lost the connection to {peer}"),
            Note::Founded(hash) => write!(f, "block 0, genesis: {hash}"),
            Note::Opened => f.write_str("every server has confirmed block 0: the bank is open"),
            Note::Reconciles(peer, up_to) => {
                write!(f, "reconciling: asking {peer} for blocks up to {up_to}")
            }
            Note::SendsNothing(peer) => write!(f, "reconciling: {peer} sends nothing"),
            Note::Reconciled(up_to) => write!(f, "reconciled up to block {up_to}"),
            Note::AsksToRejoin { to, new, old } => {
                write!(f, "asking {to} to log that instance {new} replaces {old}")
            }
            Note::Nothing(nothing) => nothing.fmt(f),
            Note::Warning(warning) => warning.fmt(f),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Prepares(why) => write!(f, ", for {why}: prepare"),
            Step::Promised(by, what) => write!(f, ": {by} promised, with {what}"),
            Step::Nacked { by, promised, waiting } => {
                let first = &promised.server;
                write!(f, ": nack of {by}, which promised {promised}: {first} goes first")?;
                if *waiting { write!(f, "; {by} waits too") } else { Ok(()) }
            }
            Step::Proposes { how, content } => write!(f, ": accept {how}, of {content}"),
            Step::AllEmpty => f.write_str(": all logs are empty, so no block"),
            Step::Leaves(rest) => write!(f, ": {}", rest.in_words().unwrap_or_default()),
            Step::Chosen(by) => {
                let by: Vec<&str> = by.iter().map(ServerId::as_str).collect();
                write!(f, ": chosen, accepted by {}: commit", by.join(", "))
            }
        }
    }
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nothing::Answer(name, from, why) => write!(f, "{name} of {from} {why}"),
            Nothing::Stranger(name) => write!(f, "a {name} from a stranger"),
            Nothing::WithoutKey(name, from) => {
                write!(f, "a {name} from {from}, without its present key")
            }
            Nothing::Resting(name, from) => {
                write!(f, "a {name} of {from}, while the store takes no writes")
            }
            Nothing::GreetsAgain(from) => write!(f, "{from} greets in the middle of a connection"),
            Nothing::GreetsLate(from) => write!(f, "{from} greets on a connection that it left"),
            Nothing::NoPartYet(from) => write!(f, "no part yet: {from} has to wait"),
            Nothing::UnaskedBlocks(from) => {
                write!(f, "{from} sends blocks that it was not asked for")
            }
            Nothing::OtherInstance(from) => {
                write!(f, "{from} asks to replace another instance than it has")
            }
            Nothing::LateInstance(from, new) => write!(f, "instance {new} of {from} came too late"),
            Nothing::MayNotLog => f.write_str("this server logs nothing now"),
            Nothing::OlderConnection => f.write_str("it is on its session's older connection"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::Impossible(name, from) => write!(f, "a {name} of {from} can't be: ignored"),
            Warning::BadPromise(from, why) => write!(f, "a promise of {from} is wrong: {why}"),
            Warning::BadProposal(from, why) => {
                write!(f, "the block that {from} proposes is not accepted: {why}")
            }
            Warning::BadTogether(why) => {
                write!(f, "no block can be made of logs that are good each: {why}")
            }
            Warning::TwoBlocks(from, ballot) => {
                write!(f, "{from} proposes two blocks in one ballot, {ballot}")
            }
            Warning::NotAppended(height, why) => {
                write!(f, "the chosen block {height} was not appended: {why}")
            }
            Warning::BadBlock(height, from, why) => {
                write!(f, "block {height} of {from} can't be right: {why}")
            }
            Warning::Fork { peer, height, head } => write!(
                f,
                "FORK: the chain of {peer} does not link to block {height} ({head}) of this server"
            ),
            Warning::Accused { by, in_doubt, reason } => {
                let what = match in_doubt {
                    true => "nothing is served here until another peer has spoken",
                    false => "others have welcomed this server, so it goes on",
                };
                write!(f, "{by} alone says so, and {what}: {reason}")
            }
            Warning::Cleared(by) => {
                write!(f, "{by} has nothing against this server's store, so it goes on")
            }
            Warning::Leap { by, round, seen } => write!(
                f,
                "{by} names round {round} of a ballot, and {seen} is the highest that was seen: ignored, as \
                 are others of its more than {} ahead",
                Ballot::MAX_LEAP
            ),
            Warning::Elsewhere(peer, other) => write!(f, "where {peer} should be, {other} answers"),
            Warning::AsksToRejoin { server, new, key } => write!(
                f,
                "{server} asks to rejoin, as instance {new}, with the key {key}: if that is the key of \
                 the new {server}, confirm it (rejoin {server} {key})"
            ),
            Warning::Confirmed { server, new, old, connection } => write!(
                f,
                "an operator (connection {}) confirms that {server} rejoins: instance {new} in the \
                 place of {old}",
                connection.0
            ),
            Warning::OneKeyForTwo => {
                f.write_str("two servers prove the same key: each needs a key of its own")
            }
            Warning::CannotSpeak(peer, why) => write!(f, "{peer} can't be spoken to: {why}"),
            Warning::RefusedBy(peer, why) => write!(f, "{peer} refuses this server: {why}"),
            Warning::Refuses(peer, why) => write!(f, "a connection of {peer}'s is refused: {why}"),
            Warning::OddAnswer(peer, name) => write!(f, "{peer} answers a hello by {name}"),
            Warning::OtherBank(peer, to_do) => {
                write!(f, "{peer} has founded another bank. {to_do}")
            }
            Warning::BadGenesis(why) => write!(f, "a block 0 is not taken: {why}"),
            Warning::NewBank(hash) => write!(
                f,
                "founded a NEW bank: its block 0 is {hash}. If there was one before, its stores are not \
                 these. Start each server with --bank {hash} from now on: then it founds no other"
            ),
            Warning::Members(note) => write!(f, "{note}"),
            Warning::WaitsForItsBank(words) | Warning::Rejoined(words) => f.write_str(words),
            Warning::Rejoins { server, new, old } => write!(
                f,
                "on its operator's word {server} rejoins: instance {new} is to replace {old}"
            ),
        }
    }
}

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;
