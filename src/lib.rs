//! PAXOS-Banking: a bank replicated over a few servers.
//!
//! Three worlds that stay apart:
//!
//! - [`bank`], the pure state machine of one server: events in, effects out. No sockets, threads,
//!   clocks, files or randomness; the same machine runs under the threads and in simulation.
//! - [`node`], the threads around it, and [`store`], where its state is durable.
//! - [`client`], which talks to a server in the lines of [`wire`]; [`play`] runs several of them through
//!   a scenario file.
//!
//! Beside them:
//!
//! - [`noise`] is the doors: keys, and connections on which nobody listens in;
//! - [`trace`] draws the protocol from the notes that servers took;
//! - [`audit`] reads the servers' stores and takes nothing on trust;
//! - [`relay`] carries each entry to where others read: a Redis Stream, lines, a table;
//! - [`keys`] makes keys, and [`tunnel`] carries plain lines to a server that wants keys;
//! - [`mend`] examines what a power cut left of Redis's file.
//!
//! # One transfer, followed through
//!
//! A client's line `{"id":1,"transfer":{"to":"B","amount":30}}` arrives at server A.
//!
//! 1. The connection's reader thread parses it ([`wire::parse_request`]) and puts it, as
//!    [`Event::Request`], on the clients' channel.
//! 2. The event loop takes it, with whatever else is there, and hands each event to
//!    [`Server::handle`]. The machine checks that it is no retry
//!    ([`sessions`](bank::ledger::sessions)), that it makes sense, and that A's local balance covers
//!    it ([`balances`](bank::ledger::balances)). Then an [`Entry`] joins the
//!    [`local_log`](bank::ledger::local_log), a [`Write::Log`] the turn's writes, and the reply the
//!    turn's *bound* outbox.
//! 3. [`Server::end_turn`] gives the loop a [`Turn`]. [`Store::commit`] makes its writes durable, all
//!    in one `MULTI … EXEC`, and returns a [`Receipt`]. In exchange for the receipt the [`Outbox`]
//!    hands out the reply, to the connection's writer thread.
//!
//! If the balance does not cover it, the transfer waits, and the server starts a
//! [`Run`](bank::paxos::run::Run). *Prepare* leaves at once: it is true whatever is durable.
//! Promises come back from a majority, A's own through its own outbox, when durable. Their logs
//! become a [`Block`]; *accept*, *accepted*; the block is appended to the
//! [`Chain`](bank::blockchain::chain::Chain). In that same turn the waiting transfer is reconsidered.
//!
//! A crash at any instruction is an ordinary way to stop. What is durable comes back through
//! [`Recovery`], which takes nothing on trust.
//!
//! [`Event::Request`]: bank::effects::Event::Request
//! [`Server::handle`]: bank::server::Server::handle
//! [`Server::end_turn`]: bank::server::Server::end_turn
//! [`Entry`]: bank::ledger::entry::Entry
//! [`Write::Log`]: bank::effects::Write::Log
//! [`Turn`]: bank::effects::Turn
//! [`Receipt`]: bank::effects::Receipt
//! [`Outbox`]: bank::effects::Outbox
//! [`Store::commit`]: store::Store::commit
//! [`Block`]: bank::blockchain::block::Block
//! [`Recovery`]: bank::server::recovery::Recovery

#![forbid(unsafe_code)]
#![warn(missing_docs)]

/// False: the named mistake is never made here. `tests/planted` compiles `src/bank` once more, with a
/// macro of this name that can say true, to show that the simulator finds each mistake.
macro_rules! planted {
    ($mistake:ident) => {
        false
    };
}

pub mod audit;
pub mod bank;
pub mod client;
mod clock;
mod courtesy;
mod explain;
#[cfg(feature = "http")]
pub mod http;
mod keepalive;
pub mod keys;
pub mod mend;
pub mod node;
pub mod noise;
pub mod play;
pub mod relay;
pub mod store;
pub mod trace;
pub mod tunnel;
pub mod upgrade;
#[cfg(feature = "http")]
pub mod web;
pub mod wire;
