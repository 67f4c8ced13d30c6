//! The connected peers and clients: turns what comes in into events, and hands out the machine's effects.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::bank::asker::Asker;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::{Batch, Bound, Event, Write};
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::paxos::message::Message;
use crate::bank::request::{ErrorCode, Reply, Status};
use crate::node::archivist::Told;
use crate::node::block_reader::{IndexTold, Job, Jobs};
use crate::node::doors::Doors;
use crate::node::figures::Seen;
use crate::node::following::Following;
use crate::node::gauges::{Asked, Gauges};
use crate::node::incoming::Incoming;
use crate::node::link::Link;
use crate::node::message_log;
use crate::node::reply_sender::{Outgoing, ReplySender};
use crate::node::trace::{Counts, Trace};
use crate::store::StoreError;
use crate::wire::NOTHING_DONE;

mod rights;

/// The event loop's connections and links. Nothing here blocks.
#[derive(Debug)]
pub(crate) struct Transport {
    connections: BTreeMap<ConnectionId, Connection>,
    links: BTreeMap<ServerId, Link>,
    /// Connections that ended in this turn. The turn can still say something to them.
    leaving: Vec<ConnectionId>,
    /// The newest connection so far.
    newest: ConnectionId,
    /// The newest connection from before everything was forgotten. An older connection that opens late, its
    /// reader having been slow, may bring a retry of what was refused on a newer one.
    outdated: ConnectionId,
    /// The requests that came in this turn.
    asked_now: Vec<(ConnectionId, Option<u64>)>,
    jobs: Jobs,
    appended: Sender<SealedBlock>,
    following: Following,
    pub(crate) gauges: Gauges,
    pub(crate) trace: Trace,
    pub(crate) doors: Arc<Doors>,
    /// What is known of the archive.
    archive: Told,
    /// How the index behind statements stands.
    index: IndexTold,
}

#[derive(Debug)]
struct Connection {
    reply_sender: ReplySender,
    /// The peer that dialled it, if a peer did.
    peer: Option<ServerId>,
    /// What its other end has proved, and the state machine has heard.
    proved: Option<Asker>,
    asked: Asked,
    /// The messages that came over it.
    arrived: Counts,
}

impl Transport {
    /// Creates the tables, with nobody connected.
    pub(crate) fn new(
        (jobs, appended, following): (Jobs, Sender<SealedBlock>, Following),
        gauges: Gauges,
        (doors, trace): (Arc<Doors>, Trace),
    ) -> Transport {
        Transport {
            connections: BTreeMap::new(),
            links: BTreeMap::new(),
            leaving: Vec::new(),
            newest: ConnectionId(0),
            outdated: ConnectionId(0),
            asked_now: Vec::new(),
            jobs,
            appended,
            following,
            gauges,
            trace,
            doors,
            archive: Told::default(),
            index: Arc::default(),
        }
    }

    /// Tells clients what the archivist tells of the archive, and the block reader of its index.
    pub(crate) fn telling(self, archive: Told, index: IndexTold) -> Transport {
        Transport { archive, index, ..self }
    }

    /// Hands the block reader the blocks that are durable now, if it has room: so it needn't read them from
    /// the store.
    pub(crate) fn durable(&self, batch: &Batch) {
        for write in &batch.writes {
            if let Write::Append { block, .. } = write {
                let _ = self.appended.try_send(block.clone());
            }
        }
        self.following.durable(batch);
    }

    /// Takes note of what comes in, and returns the event for the state machine, if any. Whatever comes from
    /// a forgotten connection is dropped.
    pub(crate) fn admit(&mut self, incoming: Incoming) -> Option<Event> {
        match incoming {
            Incoming::Opened(id, reply_sender) => {
                self.newest = self.newest.max(id);
                if id > self.outdated {
                    let connection = Connection {
                        reply_sender,
                        peer: None,
                        proved: None,
                        asked: Asked::default(),
                        arrived: Counts::default(),
                    };
                    self.connections.insert(id, connection);
                } else {
                    reply_sender.disconnect();
                }
                None
            }
            Incoming::Request(id, event, came) => self.admit_request(id, event, came),
            Incoming::Connection(id, event) => {
                let connection = self.connections.get_mut(&id)?;
                match &event {
                    Event::Greeted(_, hello) => {
                        log::debug!("from {}: hello", hello.id);
                        connection.peer = Some(hello.id.clone());
                    }
                    Event::Closed(_) => self.leaving.push(id),
                    Event::Received(_, message) => {
                        if let Some(peer) = &connection.peer {
                            message_log::received(peer, message);
                            self.gauges.heard(peer, message);
                        }
                    }
                    _ => {}
                }
                let Connection { peer, reply_sender, arrived, .. } = connection;
                self.trace.came(peer.as_ref(), reply_sender.socket(), &event, arrived);
                Some(event)
            }
            Incoming::Proved(id, key) => {
                let asker = self.doors.asker(key);
                self.connections.get_mut(&id)?.proved = Some(asker);
                Some(Event::Proved(id, asker))
            }
            // The request waits for its turn first; roles concern many connections at once.
            Incoming::Asked(..) | Incoming::Roles | Incoming::Wanted(..) | Incoming::Look(_) => {
                None
            }
            Incoming::Silent(id) => {
                // The way to the peer is likely as dead as the way from it, and the system would go on
                // trying for minutes.
                let peer = self.connections.get(&id)?.peer.as_ref()?;
                self.links.get(peer)?.hang_up();
                None
            }
            Incoming::Dialled(peer, link, _) => {
                self.links.insert(peer.clone(), link);
                Some(Event::LinkUp(peer))
            }
            Incoming::Link(number, peer, event) => {
                let link = self.links.get(&peer).filter(|link| link.number() == number)?;
                link.sender().trace_answer(&event);
                match &event {
                    Event::LinkAnswered(_, answer) => message_log::received(&peer, answer),
                    Event::LinkDown(_) => drop(self.links.remove(&peer)),
                    _ => {}
                }
                Some(event)
            }
        }
    }

    fn admit_request(&mut self, id: ConnectionId, event: Event, came: Instant) -> Option<Event> {
        let connection = self.connections.get_mut(&id)?;
        let number = match &event {
            Event::Request(_, number, _) => Some(*number),
            Event::Part(_, number, part) if part.before == 0 => Some(*number),
            _ => None,
        };
        if let Some(number) = number {
            connection.asked.came(number, came);
            self.asked_now.push((id, number));
        }
        self.trace.asked(&event);
        Some(event)
    }

    /// True if a link to this peer is up.
    pub(crate) fn is_linked(&self, peer: &ServerId) -> bool {
        self.links.contains_key(peer)
    }

    /// Sends a message to a peer, if a link to it is up.
    pub(crate) fn send(&self, to: &ServerId, message: Message) {
        match self.links.get(to) {
            Some(link) => {
                message_log::sent(to, &message);
                link.sender().send(message);
            }
            None => {
                self.trace.lost(to, &message);
                log::debug!("no link to {to} for a message: {}", message.name());
            }
        }
    }

    /// Hands out clients' replies and questions, and returns the rest. A client waits for its reply, and it takes long
    /// to wake the threads that write to many peers.
    pub(crate) fn reply_first(&mut self, bound: Vec<Bound>) -> Vec<Bound> {
        let mut rest = Vec::new();
        for bound in bound {
            match bound {
                Bound::Reply(..) | Bound::Tell(..) | Bound::Read { .. } | Bound::Follow(..) => {
                    drop(self.hand_out(bound));
                }
                other => rest.push(other),
            }
        }
        rest
    }

    /// Hands out a durable turn's bound effects. A message to the server itself is returned.
    pub(crate) fn hand_out(&mut self, bound: Bound) -> Option<Message> {
        match bound {
            Bound::Own(message) => return Some(message),
            Bound::Peer(to, message) => self.send(&to, message),
            Bound::Answer(id, message) => self.answer(id, message),
            Bound::Reply(id, number, mut reply) => {
                self.trace.replied(&reply);
                if let Some(connection) = self.connections.get_mut(&id) {
                    self.gauges.answered(&reply, connection.asked.answered(number));
                    if let Reply::Status(status) = &mut reply {
                        complete(
                            status,
                            (&mut self.gauges, &self.doors),
                            &self.archive,
                            &self.index,
                        );
                    }
                    connection.reply_sender.reply(number, reply);
                }
            }
            Bound::Tell(id, word) => {
                if let Some(connection) = self.connections.get(&id) {
                    connection.reply_sender.send(Outgoing::Word(word));
                }
            }
            Bound::Read { connection, id, query } => {
                if let Some(Connection { reply_sender, asked, .. }) =
                    self.connections.get_mut(&connection)
                {
                    asked.answered(id);
                    let reply_sender = reply_sender.clone();
                    self.jobs.order(Job::ForClient { reply_sender, id, query });
                }
            }
            Bound::Follow(id, number, following) => {
                if let Some(Connection { reply_sender, asked, .. }) = self.connections.get_mut(&id)
                {
                    asked.answered(number);
                    reply_sender.follow(number, self.following.admit(*following));
                }
            }
            // The event loop has the diallers.
            Bound::Dial(..) | Bound::Part(_) => {}
            Bound::HangUp(peer) => {
                if let Some(link) = self.links.get(&peer) {
                    link.give_up();
                }
            }
            Bound::SendBlocks { to, from, up_to } => {
                if let Some(link) = self.links.get(&to) {
                    log::debug!(
                        "to {to}: blocks_response blocks {from} to {up_to}, or as many as fit"
                    );
                    self.jobs.order(Job::ForPeer { sender: link.sender().clone(), from, up_to });
                }
            }
        }
        None
    }

    /// Returns a status with all that the shell measured, and the figures beside it.
    pub(crate) fn seen(&mut self, mut status: Status, written: u64) -> Seen {
        complete(&mut status, (&mut self.gauges, &self.doors), &self.archive, &self.index);
        let from_peers = self.connections.values().filter(|of| of.peer.is_some()).count();
        let clients = self.connections.len() - from_peers;
        let figures = self.gauges.figures.clone();
        Seen { status, figures, written, clients, from_peers, links: self.links.len() }
    }

    /// Ends the link to a peer, which is dialled anew.
    pub(crate) fn hang_up(&self, peer: &ServerId) {
        if let Some(link) = self.links.get(peer) {
            link.hang_up();
        }
    }

    /// Ends what connects a server that is no peer any more.
    pub(crate) fn part_from(&mut self, server: &ServerId) {
        self.hang_up(server);
        let theirs = self.connections.values().filter(|of| of.peer.as_ref() == Some(server));
        theirs.for_each(|connection| connection.reply_sender.disconnect());
    }

    fn answer(&self, id: ConnectionId, message: Message) {
        let Some(connection) = self.connections.get(&id) else { return };
        self.trace.answered(connection.peer.as_ref(), connection.reply_sender.socket(), &message);
        let is_reject = matches!(message, Message::Reject { .. });
        connection.reply_sender.send(Outgoing::Answer(message));
        if is_reject {
            connection.reply_sender.send(Outgoing::End);
            return;
        }
        // An older connection of this peer is no longer listened to. At its other end may be another
        // store of the same server, which is to notice and greet again.
        let older = self.connections.range(..id).filter(|(_, older)| older.peer == connection.peer);
        older.for_each(|(_, older)| older.reply_sender.disconnect());
    }

    /// Forgets the connections that ended. Their writers end when all is written.
    pub(crate) fn end_turn(&mut self) {
        for id in self.leaving.drain(..) {
            self.connections.remove(&id);
        }
        self.asked_now.clear();
    }

    /// Tells clients that the store took nothing of this turn: requests of this turn have not happened.
    /// Earlier requests that still waited may be in the log. Then hangs up on everybody.
    pub(crate) fn part(&mut self, why: &StoreError) {
        let now = format!("{NOTHING_DONE}{why}; try again later");
        let before = format!(
            "{why}, and this request, which waited, was given up; ask again under the same name to learn \
             whether it was done"
        );
        for (id, number) in std::mem::take(&mut self.asked_now) {
            if let Some(connection) = self.connections.get_mut(&id)
                && connection.asked.answered(number).is_some()
            {
                let (error, message) = (ErrorCode::Full, now.clone());
                connection.reply_sender.reply(number, Reply::Error { error, message });
            }
        }
        for connection in self.connections.values_mut().filter(|of| of.peer.is_none()) {
            while let Some(number) = connection.asked.oldest() {
                connection.asked.answered(number);
                let (error, message) = (ErrorCode::Store, before.clone());
                connection.reply_sender.reply(number, Reply::Error { error, message });
            }
            connection.reply_sender.send(Outgoing::End);
        }
        self.connections.retain(|_, connection| connection.peer.is_some());
        self.links.values().for_each(Link::hang_up);
        self.forget();
    }

    /// Ends the clients' connections when what they are owed is written, and waits a moment for that: whoever doesn't
    /// read holds nobody up. Requests that still wait aren't answered: their clients ask again under the same
    /// names, and hear of it from the next process.
    pub(crate) fn take_leave(&mut self) {
        const MOMENT: Duration = Duration::from_millis(500);
        let until = Instant::now() + MOMENT;
        let clients = || self.connections.values().filter(|of| of.peer.is_none());
        clients().for_each(|client| client.reply_sender.send(Outgoing::End));
        for client in clients() {
            let left = until.saturating_duration_since(Instant::now());
            client.reply_sender.owed().wait_until_closed(left);
        }
    }

    /// Hangs up on everybody.
    pub(crate) fn forget(&mut self) {
        self.connections.values().for_each(|connection| connection.reply_sender.disconnect());
        self.connections.clear();
        self.links.clear();
        self.leaving.clear();
        self.asked_now.clear();
        self.outdated = self.newest;
    }
}

/// Adds to a status what the shell's threads measured and counted.
fn complete(
    status: &mut Status,
    (gauges, doors): (&mut Gauges, &Doors),
    archive: &Told,
    index: &IndexTold,
) {
    let mut measured = gauges.measured(status);
    measured.handshakes = doors.counts.so_far();
    measured.archive.clone_from(&archive.lock().unwrap_or_else(PoisonError::into_inner));
    measured.index.clone_from(&index.lock().unwrap_or_else(PoisonError::into_inner));
    status.measured = Some(measured);
}

#[cfg(test)]
#[path = "transport_tests.rs"]
mod tests;
