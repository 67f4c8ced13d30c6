//! The threads of a server: they carry events to the state machine and its effects to the world.
//!
//! ```text
//! listener ───── accepts; for each connection a reader and a writer thread
//! doors ──────── the server's key, and the handshakes by which others prove theirs (handshakes: counts)
//! roles ──────── which keys are operators' and auditors', by a file (control: when it is read again)
//! inlet ──────── what a reader reads from: plain lines, or sealed ones
//! connection ─── bytes → lines → parsed and hashed → channels, peers' apart from clients'
//! event_loop ─── owns the state machine and the store: a turn, one durable write, then bound effects
//! transport ──── the event loop's tables: who is connected, and the way out to each
//! queues ─────── the clients' requests, connection by connection, and who is served next
//! room ───────── what all connections together may hold (backlog: what each may; unread: of replies)
//! guests ─────── the clients' places; an idle client gives way (files: how many the process can have)
//! gate ───────── holds clients back while there is too much to put into the next block
//! send_queue ─── what leaves at once, and what waits for its writer (socket)
//! reply_sender ─ the way out to a connection: one send queue and its writer (backlog)
//! writer ─────── writes what is queued for a connection, and tells a follower what comes
//! following ──── who is told each entry as it comes: the newest blocks, and a thread that spreads the news
//! peer ───────── dials one peer, and keeps the link (diallers: whom)
//! link ───────── the way out to a peer: two send queues and their writer
//! idle ───────── how the event loop waits
//! gauges ─────── what the event loop measures and counts beside its work, for status (figures: since the start)
//! watching ───── how other threads see how the server stands (outside: by HTTP; metrics, exposition: figures)
//! starting ───── waits for a store that isn't there, or takes no writes (read_only: how long to leave it alone)
//! loading ────── what clients are told while the store is being loaded again
//! block_reader ─ serves pieces of the chain and statements; hears of each durable block from transport
//! message_log ── messages as lines of the log
//! checking ───── the check of the chain that a start left for later
//! statements ─── which blocks touch an account
//! faults ─────── the links' faults, made on order
//! trace ──────── notes down what happens, for a picture of it
//! control ────── orders from the process around the node: end, read the roles again
//! life ───────── how all threads learn that the node ends
//! ```
//!
//! All channels are bounded. The event loop never blocks in sending. A thread that blocks in sending to the
//! event loop holds back only its own connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::{AccountId, ServerId};
use crate::node::archivist::{Archiving, Fetching};
use crate::node::block_reader::{BlockReader, IndexTold, Jobs};
use crate::node::checking::ToCheck;
use crate::node::connection::Admission;
use crate::node::diallers::Diallers;
use crate::node::event_loop::{EventLoop, Waiting};
use crate::node::faults::Faults;
use crate::node::following::Following;
use crate::node::gauges::Gauges;
use crate::node::guests::Guests;
use crate::node::incoming::Incoming;
use crate::node::life::Life;
use crate::node::load::Loaded;
use crate::node::loading::Loading;
use crate::node::outside::Outside;
use crate::node::queues::Queues;
use crate::node::read_only::Pauses;
use crate::node::room::Room;
use crate::node::starting::load_patiently;
use crate::node::statements::Statements;
use crate::node::trace::Trace;
use crate::node::transport::Transport;
use crate::node::unread::{UNREAD, Unread};
use crate::node::watching::Watch;
use crate::store::{BlockSource, Store};

mod archivist;
mod backlog;
mod block_reader;
mod checking;
pub mod config;
mod connection;
mod control;
mod diallers;
mod doors;
mod event_loop;
#[cfg(feature = "http")]
mod exposition;
mod faults;
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nobody looks from outside"))]
mod figures;
mod files;
mod following;
mod gate;
mod gauges;
mod guests;
mod handshakes;
mod histogram;
mod idle;
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nobody looks from outside"))]
mod incoming;
mod inlet;
mod life;
mod link;
mod listener;
mod load;
mod loading;
mod looking_in;
mod message_log;
#[cfg(feature = "http")]
mod metrics;
mod notes;
#[cfg(feature = "http")]
mod outside;
#[cfg(not(feature = "http"))]
#[path = "outside_absent.rs"]
mod outside;
mod peer;
mod queues;
mod read_only;
mod reply_sender;
mod roles;
mod room;
mod send_queue;
mod socket;
mod start_error;
mod starting;
mod statements;
mod streams;
mod tags;
mod timers;
mod touched;
mod trace;
mod transport;
mod unread;
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "nobody looks from outside"))]
mod watching;
mod writer;

pub use config::{Doors, NodeConfig, Timings};
pub use control::Control;
pub use life::{ExitReason, Leave};
pub use listener::{MAX_CLIENTS, ROOM_FOR_PEERS};
pub use load::{LoadError, load};
pub use start_error::StartError;
pub use starting::absent;
pub use trace::check_trace;

/// The most events from peers that the event loop hasn't taken in.
const PEER_CHANNEL: usize = 256;
/// The most events from clients that the event loop hasn't taken in.
const CLIENT_CHANNEL: usize = 1024;

/// A running server.
///
/// Dropping it kills it.
#[derive(Debug)]
pub struct Node {
    address: SocketAddr,
    life: Arc<Life>,
    control: Control,
    listener: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    outside: Option<Outside>,
}

impl Node {
    /// Takes the port, loads the store and starts the threads.
    ///
    /// A store where nothing answers is waited for without end. A store that fails otherwise is an error here, and
    /// loaded again later. A store that takes no writes is read from, if it holds an open bank; otherwise it is
    /// waited for.
    ///
    /// # Errors
    /// If the server is not in the cluster, the port is taken, the store is not usable, or a thread can't
    /// be started. Then nothing is left running.
    pub fn start(config: NodeConfig, mut store: Box<dyn Store>) -> Result<Node, StartError> {
        if !config.cluster.contains_key(&config.id) {
            return Err(StartError::NotInCluster(config.id));
        }
        let doors = doors::Doors::open(&config.id, &config.doors).map_err(StartError::Roles)?;
        // The port comes before the store: a second process on the same port must not take the first one's
        // store over.
        let cant_listen = |error| StartError::Listen { address: config.listen.clone(), error };
        let listener = TcpListener::bind(&config.listen).map_err(cant_listen)?;
        let address = listener.local_addr().map_err(cant_listen)?;
        // Before the store: who looks from outside learns what is waited for.
        let watch = Arc::<Watch>::default();
        let outside = config.http.as_deref().map(|at| {
            let error = |error| StartError::Listen { address: at.to_owned(), error };
            Outside::open(at, Arc::clone(&watch)).map_err(error)
        });
        let outside = outside.transpose()?;
        let loaded = load_patiently(&config, &mut *store, &listener)?;
        let founds = loaded.server.bank().is_none() && config.bank.is_none();
        match config.doors.unexpected(&config.id, config.cluster.keys()) {
            Some(words) if founds => return Err(StartError::Unexpected(words)),
            _ => {}
        }
        if loaded.server.is_keyed() {
            doors.warn_without_operator();
        }
        let life = Life::new();
        let control = Control::of(&life);
        let mut node = Node { address, life, control, listener: None, others: Vec::new(), outside };
        // On an error the node is dropped, and so killed.
        node.spawn_all(&config, listener, store, (loaded, doors), &watch)
            .map_err(StartError::Thread)?;
        Ok(node)
    }

    fn spawn_all(
        &mut self,
        config: &NodeConfig,
        listener: TcpListener,
        store: Box<dyn Store>,
        (Loaded { server, check, read_only }, doors): (Loaded, Arc<doors::Doors>),
        watch: &Watch,
    ) -> io::Result<()> {
        doors.learn(server.bank(), server.is_keyed());
        let loading = Arc::new(Loading::default());
        let (to_peers, peers) = crossbeam_channel::bounded(PEER_CHANNEL);
        let (to_clients, clients) = crossbeam_channel::bounded(CLIENT_CHANNEL);
        let (id, timings) = (config.id.clone(), config.timings.clone());
        self.others.push(self.control.spawn_role_reader(&id, &doors, &to_peers)?);
        let to_check = Arc::new(ToCheck::default());
        to_check.leave(check);
        let (to_appended, appended) = crossbeam_channel::bounded(block_reader::APPENDED);
        let (jobs, index) = self.spawn_reader(config, store.reader(), appended, &to_check)?;
        let following = self.spawn_spreader(&id, store.reader())?;
        let archivist = store.archivist();
        let fetching = Archiving::spawn(config, archivist, (&self.life, &to_peers))?;
        let (thread, fetching) = fetching.unzip();
        self.others.extend(thread);
        let dials = server.dials();
        let faults = config.allow_fault_injection.then(|| {
            let peers = dials.iter().map(|(peer, _)| peer);
            Arc::new(Faults::new(&id, peers))
        });
        let trace = Trace::open(&id, config.trace.as_deref());
        trace.begin(server.life());
        let line = (timings.clone(), to_peers.clone(), Arc::clone(&doors), faults.clone());
        let mut diallers = Diallers::of(&id, &self.life, line, trace.clone());
        diallers.dial_each(&dials)?;
        watch.begin(&to_peers, &loading);
        let admission =
            self.admission(config, (to_peers, to_clients), &loading, (faults, &doors, &trace));
        let gauges = Gauges::new(id.clone());
        let told = fetching.as_ref().map(Fetching::told).unwrap_or_default();
        let transport = Transport::new((jobs, to_appended, following), gauges, (doors, trace))
            .telling(told, index);
        let mut event_loop = EventLoop {
            config: config.for_server(),
            life: Arc::clone(&self.life),
            loading,
            store,
            server,
            to_check,
            peers,
            clients,
            queues: Queues::default(),
            transport,
            diallers,
            waiting: Waiting::new(timings.clone()),
            pauses: Pauses::default(),
            timings,
            fetching,
            watchers: Vec::new(),
        };
        if let Some(read_only) = read_only {
            event_loop.only_read(read_only);
        }
        self.others.push(self.life.spawn(format!("{id}:events"), || event_loop.run())?);
        let listen = move || listener::listen(listener, &admission);
        self.listener = Some(self.life.spawn(format!("{id}:listener"), listen)?);
        Ok(())
    }

    /// Returns what all connections that are accepted share.
    fn admission(
        &self,
        config: &NodeConfig,
        (peers, clients): (Sender<Incoming>, Sender<Incoming>),
        loading: &Arc<Loading>,
        (faults, doors, trace): (Option<Arc<Faults>>, &Arc<doors::Doors>, &Trace),
    ) -> Admission {
        let places = files::look(config.cluster.len() - 1, config.http.is_some());
        Admission {
            id: config.id.clone(),
            home: AccountId::of(&config.id),
            life: Arc::clone(&self.life),
            timings: config.timings.clone(),
            peers,
            clients,
            loading: Arc::clone(loading),
            guests: Guests::new(places.clients),
            to_look_at: places.to_look_at,
            long_lines: Room::of(connection::LONG_LINES),
            untaken: Room::of(connection::UNTAKEN),
            unread: Unread::of(UNREAD),
            faults,
            doors: Arc::clone(doors),
            trace: trace.clone(),
        }
    }

    fn spawn_reader(
        &mut self,
        config: &NodeConfig,
        source: Box<dyn BlockSource>,
        appended: Receiver<SealedBlock>,
        to_check: &Arc<ToCheck>,
    ) -> io::Result<(Jobs, IndexTold)> {
        let (jobs, to_do) = Jobs::new();
        let (life, to_check) = (Arc::clone(&self.life), Arc::clone(to_check));
        let statements = Statements::new(config.id.clone(), config.index_memory);
        let mut reader = BlockReader::new(statements, source, appended, life, to_check);
        let (name, index) = (format!("{}:blocks", config.id), reader.told());
        self.others.push(self.life.spawn(name, move || reader.run(&to_do))?);
        Ok((jobs, index))
    }

    fn spawn_spreader(
        &mut self,
        id: &ServerId,
        source: Box<dyn BlockSource>,
    ) -> io::Result<Following> {
        let (following, mut spreader) = Following::new(id.clone(), source);
        let life = Arc::clone(&self.life);
        self.others.push(self.life.spawn(format!("{id}:news"), move || spreader.run(&life))?);
        Ok(following)
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address where it serves HTTP, if it does.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.outside.as_ref().map(Outside::address)
    }

    /// Returns why the node ended, if it has.
    pub fn ended(&self) -> Option<ExitReason> {
        self.life.reason()
    }

    /// Ends the node at once, without a word to anybody, as a crash would. Returns when all its threads
    /// are gone; its port and its store can be used again then.
    pub fn kill(self) {
        drop(self);
    }

    /// Returns the way to give it orders from another thread.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Blocks until the node ends by itself or is asked to, and returns why. All its threads are gone then.
    pub fn wait(self) -> ExitReason {
        self.life.wait()
    }

    /// Connects to the own port: the accepting thread is in a system call that only a connection ends.
    fn wake_listener(&self, listener: &JoinHandle<()>) {
        const PATIENCE: Duration = Duration::from_millis(100);
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        while !listener.is_finished() {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                // The thread has closed the port, and only waits for its own threads.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => break,
                // Again: there may have been no file free for the connection.
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.life.end(ExitReason::Killed);
        if let Some(listener) = self.listener.take() {
            self.wake_listener(&listener);
            // A thread that panicked has made its panic the reason of the node's end.
            let _ = listener.join();
        }
        for thread in self.others.drain(..) {
            let _ = thread.join();
        }
    }
}
