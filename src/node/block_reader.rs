//! Reads the chain for peers and clients, in pieces, apart from the event loop.

use crossbeam_channel::{Receiver, Sender};

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::paxos::message::Message;
use crate::bank::request::{ErrorCode, Reply};
use crate::node::outlet::{Outgoing, Outlet};
use crate::store::BlockSource;
use crate::wire::encode_chain;

/// About how much of the chain goes to a peer at a time.
const PIECE_FOR_PEER: usize = 4 << 20;
/// About how much of the chain goes to a client at a time.
const PIECE_FOR_CLIENT: usize = 512 << 10;
/// A client that has so many replies unread gets no blocks on top.
const MAX_UNREAD: usize = 8;
/// Jobs that may wait.
pub(crate) const JOBS: usize = 64;

/// Blocks that somebody is to get.
#[derive(Debug)]
pub(crate) enum Job {
    /// A client.
    ForClient {
        /// Where the reply goes.
        outlet: Outlet,
        /// The number of its request.
        id: Option<u64>,
        /// The first height.
        from: u64,
        /// The last height.
        to: u64,
    },
    /// A peer.
    ForPeer {
        /// The queue of the link that was up when the job was given.
        queue: Sender<Message>,
        /// The first height.
        from: u64,
        /// The last height.
        up_to: u64,
    },
}

impl Job {
    /// There is no room for this job. A peer times out and asks again; a client is told.
    pub(crate) fn decline(self) {
        match self {
            Job::ForClient { outlet, id, .. } => decline(&outlet, id, "too much is being read"),
            Job::ForPeer { .. } => log::debug!("too many blocks are asked for: a peer has to wait"),
        }
    }
}

fn decline(outlet: &Outlet, id: Option<u64>, why: &str) {
    let message = format!("the blocks can't be read now ({why}); try again");
    outlet.send(Outgoing::Reply(id, Reply::Error { error: ErrorCode::Store, message }));
}

/// Does jobs until the event loop gives no more.
pub(crate) fn run(jobs: &Receiver<Job>, chain: &mut dyn BlockSource) {
    for job in jobs {
        match job {
            Job::ForClient { outlet, id, from, to } => for_client(chain, &outlet, id, from, to),
            Job::ForPeer { queue, from, up_to } => for_peer(chain, &queue, from, up_to),
        }
    }
}

fn for_client(chain: &mut dyn BlockSource, outlet: &Outlet, id: Option<u64>, from: u64, to: u64) {
    if outlet.queued() >= MAX_UNREAD {
        return decline(outlet, id, "read the earlier replies first");
    }
    match chain.blocks(from, to, PIECE_FOR_CLIENT) {
        Ok(blocks) => {
            let more = blocks.last().is_some_and(|last| last.height() < to);
            outlet.send(Outgoing::Text(encode_chain(id, &blocks, more)));
        }
        Err(error) => {
            log::warn!("blocks {from} to {to} can't be read for a client: {error}");
            decline(outlet, id, "the store gives no answer");
        }
    }
}

fn for_peer(chain: &mut dyn BlockSource, queue: &Sender<Message>, from: u64, up_to: u64) {
    let blocks: Vec<SealedBlock> = match chain.blocks(from, up_to, PIECE_FOR_PEER) {
        Ok(blocks) => blocks,
        Err(error) => {
            return log::warn!("blocks {from} to {up_to} can't be read for a peer: {error}");
        }
    };
    if queue.try_send(Message::BlocksResponse { blocks }).is_err() {
        log::debug!("a peer is too slow for the blocks it asked for");
    }
}
