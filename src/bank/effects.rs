//! What goes into the state machine and what comes out: events, effects, turns and receipts.
//!
//! Effects have two outboxes. *Free* effects may leave at once: they are true whatever is durable.
//! *Bound* effects speak of the turn's writes, and come out of [`Turn`] only for the [`Receipt`] of exactly
//! that turn, which only the turn's [`Batch`] gives when it is written. A shell that forgets to make a turn
//! durable has nothing to send: it doesn't compile.

use std::fmt;

use crate::bank::asker::Asker;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::derived::Derived;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, ServerId, TurnNumber};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::pages::Page;
use crate::bank::ledger::sessions::SessionChanges;
use crate::bank::note::Note;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Hello, Message};
use crate::bank::request::{Following, Part, Query, Reply, Request};
use crate::bank::status::Runs;
pub use crate::bank::timer::Timer;

/// Something that happened to a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The other end of a connection that a peer or a client dialled proved that it holds a key. The event
    /// comes before everything that is said there, and again when the key's role changes.
    Proved(ConnectionId, Asker),
    /// The other end of the connection that this server dials to a peer proved that it holds a key. The event
    /// comes before [`Event::LinkUp`].
    LinkProved(ServerId, Fingerprint),
    /// The connection that this server dials to a peer is up. The machine answers with a hello.
    LinkUp(ServerId),
    /// The peer answered the hello over such a link, by a hello or a rejection.
    LinkAnswered(ServerId, Message),
    /// The connection that this server dials is down.
    LinkDown(ServerId),
    /// A connection that a peer dialled opened with this hello.
    Greeted(ConnectionId, Hello),
    /// A message came on such a connection, after its hello.
    Received(ConnectionId, Message),
    /// A message that this server sent to itself.
    Own(Message),
    /// A connection of a peer or a client is gone.
    Closed(ConnectionId),
    /// A client asks. The number is the client's, and comes back in the reply.
    Request(ConnectionId, Option<u64>, Request),
    /// A client asks for a batch that is too long for one turn; this is a part of it. The parts come in
    /// their order, with nothing else of the same connection between them.
    Part(ConnectionId, Option<u64>, Part),
    /// A timer that was set has run out.
    Timer(Timer),
}

/// What to do about a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimerCommand {
    /// Start it, or start it anew.
    Set(Timer),
    /// Forget it. The timer need not be set, and may run out all the same.
    Cancel(Timer),
}

/// One change of the durable state. The writes of a turn become durable in their order, all or none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// Adds an element to the end of the local log.
    Log(Element),
    /// Promises a ballot for the next height and those after it.
    Promise(Ballot),
    /// Accepts a block in a ballot, which it also promises. Replaces a block accepted before.
    Accept {
        /// The ballot.
        ballot: Ballot,
        /// The block.
        block: SealedBlock,
    },
    /// Appends a block to the chain, takes the included elements off the front of the local log,
    /// replaces pages of balances, and clears the accepted block, in this order. The promise stands, or is cleared too.
    Append {
        /// The block.
        block: SealedBlock,
        /// True if it is the accepted block, which the store holds already and only has to move.
        from_accepted: bool,
        /// How many elements leave the local log.
        trim: usize,
        /// Pages of the balances by the chain up to this block. They need not be all that it changes.
        pages: Vec<Page>,
        /// The height up to which, at least, the stored pages then count the blocks.
        checkpoint: u64,
        /// What then follows from the chain.
        derived: Box<Derived>,
        /// The changes to the sessions in the chain.
        sessions: SessionChanges,
        /// True if a promised ballot stays promised for the heights to come.
        promise_stands: bool,
    },
    /// Notes that every server has confirmed block 0.
    Activate,
}

/// Something that leaves only once its turn is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// A message over the connection that this server dials to a peer.
    Peer(ServerId, Message),
    /// A message to the server itself, which comes back as [`Event::Own`].
    Own(Message),
    /// The answer to a hello, over the connection that the peer dialled.
    Answer(ConnectionId, Message),
    /// A reply to a client.
    Reply(ConnectionId, Option<u64>, Reply),
    /// A word to a client that answers none of its requests.
    Tell(ConnectionId, Reply),
    /// A question that the block reader answers from the store.
    Read {
        /// The client.
        connection: ConnectionId,
        /// The number of its request.
        id: Option<u64>,
        /// The question.
        query: Query,
    },
    /// What a client follows from now on. The shell tells it, until the connection ends.
    Follow(ConnectionId, Option<u64>, Box<Following>),
    /// Blocks for a peer, which the block reader sends from the store as a [`Message::BlocksResponse`].
    SendBlocks {
        /// The peer.
        to: ServerId,
        /// The first height.
        from: u64,
        /// The last height.
        up_to: u64,
    },
    /// Ends the connection that this server dials to a peer, which can't be spoken to over it. It is dialled
    /// again after a while.
    HangUp(ServerId),
    /// Dials a peer from now on, at this address, and at no other.
    Dial(ServerId, String),
    /// Dials a server no more: it is no peer. What connects it to this server ends.
    Part(ServerId),
}

/// Why a server must not go on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stop {
    /// What happened and what to do, for people.
    pub reason: String,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// The word that the writes of one turn are durable, with what was written.
///
/// Only giving away the turn's batch ([`Batch::write`]) makes a receipt, so a shell that forgets to write has
/// none.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    batch: Batch,
}

impl Receipt {
    /// Returns the batch that is durable.
    pub fn batch(&self) -> &Batch {
        &self.batch
    }
}

/// The effects of the events since the last turn.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Effects {
    /// The writes to be made durable, in order.
    pub writes: Vec<Write>,
    /// The messages that may leave at once.
    pub free: Vec<(ServerId, Message)>,
    /// The timers to set and to cancel, in order.
    pub timers: Vec<TimerCommand>,
    /// The lines for the log.
    pub notes: Vec<Note>,
    /// The outcomes of own runs, to be counted.
    pub runs: Runs,
    /// Why the server must stop, if it must. Bound effects must then not leave.
    pub stop: Option<Stop>,
    bound: Vec<Bound>,
}

impl Effects {
    /// Adds an effect to the bound outbox.
    pub(crate) fn bind(&mut self, bound: Bound) {
        self.bound.push(bound);
    }

    /// Ends the turn.
    pub(crate) fn into_turn(self, number: TurnNumber) -> Turn {
        let Effects { writes, free, timers, notes, runs, stop, bound } = self;
        let bound = Outbox { turn: number, bound };
        Turn { batch: Batch { number, writes }, free, timers, notes, runs, stop, bound }
    }
}

/// The writes of one turn, as a store takes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Batch {
    /// The number that the turn counter must have afterwards.
    pub number: TurnNumber,
    /// The writes, in order. If there are none, nothing has to be made durable, and the number is the last
    /// turn's.
    pub writes: Vec<Write>,
}

impl Batch {
    /// Has `write` make the writes durable, all or none, and gives the receipt if it says that they are.
    ///
    /// # Errors
    /// The error of `write`. The batch is then gone: nobody knows whether it became durable.
    pub fn write<E>(self, write: impl FnOnce(&Batch) -> Result<(), E>) -> Result<Receipt, E> {
        write(&self).map(|()| Receipt { batch: self })
    }

    /// Gives the receipt of a turn without writes: all turns before it are durable, so nothing is missing.
    ///
    /// # Errors
    /// The batch, if it holds writes.
    pub fn nothing_to_write(self) -> Result<Receipt, Batch> {
        match self.writes.is_empty() || planted!(ReplyBeforeDurable) {
            true => Ok(Receipt { batch: self }),
            false => Err(self),
        }
    }
}

/// A finished turn: what to write, what may leave now, and what may leave after the write.
#[derive(Debug, PartialEq, Eq)]
pub struct Turn {
    /// The writes to be made durable.
    pub batch: Batch,
    /// The messages that may leave at once.
    pub free: Vec<(ServerId, Message)>,
    /// The timers to set and to cancel, in order.
    pub timers: Vec<TimerCommand>,
    /// The lines for the log.
    pub notes: Vec<Note>,
    /// The outcomes of own runs, to be counted.
    pub runs: Runs,
    /// Why the server must stop, if it must.
    pub stop: Option<Stop>,
    /// The effects that may leave in exchange for the receipt.
    pub bound: Outbox,
}

/// The effects bound to a turn's writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outbox {
    turn: TurnNumber,
    bound: Vec<Bound>,
}

impl Outbox {
    /// True if nothing is bound.
    pub fn is_empty(&self) -> bool {
        self.bound.is_empty()
    }

    /// Hands out what was bound, for the receipt of its turn.
    ///
    /// # Panics
    /// If the receipt is another turn's, which is a bug in the shell.
    pub fn release(self, receipt: &Receipt) -> Vec<Bound> {
        assert_eq!(receipt.batch.number, self.turn, "the receipt of another turn");
        self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(number: u64, writes: Vec<Write>) -> Turn {
        let mut effects = Effects { writes, ..Effects::default() };
        effects.bind(Bound::Own(Message::ReconcileRequest));
        effects.into_turn(TurnNumber(number))
    }

    fn written(batch: Batch) -> Receipt {
        batch.write(|_| Ok::<(), ()>(())).unwrap()
    }

    #[test]
    fn what_is_bound_leaves_for_its_receipt() {
        let Turn { batch, bound, .. } = turn(7, vec![Write::Activate]);
        let batch = batch.nothing_to_write().expect_err("it has to be written");
        assert!(batch.clone().write(|_| Err("no")).is_err());
        assert_eq!(bound.release(&written(batch)), [Bound::Own(Message::ReconcileRequest)]);
    }

    #[test]
    #[should_panic(expected = "another turn")]
    fn but_not_for_that_of_another_turn() {
        let [first, second] = [6, 7].map(|number| turn(number, vec![Write::Activate]));
        second.bound.release(&written(first.batch));
    }

    #[test]
    fn a_turn_without_writes_has_its_receipt_for_the_asking() {
        let Turn { batch, bound, .. } = turn(7, Vec::new());
        assert!(!bound.is_empty());
        assert_eq!(bound.release(&batch.nothing_to_write().unwrap()).len(), 1);
    }
}
