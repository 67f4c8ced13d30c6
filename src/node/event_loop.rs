//! The central thread: owns the state machine and the store, and waits for no other thread.
//!
//! A turn takes in what is waiting: peers and timers first, then clients in turn up to a bound. It makes all
//! that follows durable in one write. Then it hands out what was bound to the write.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Select, Sender};

use crate::bank::effects::{Bound, Event, Turn};
use crate::bank::ids::ServerId;
use crate::bank::note::Note;
use crate::bank::paxos::message::Message;
use crate::bank::server::recovery::replay::Check;
use crate::bank::server::{Config, Server};
use crate::clock;
use crate::node::archivist::Fetching;
use crate::node::checking::ToCheck;
use crate::node::config::Timings;
use crate::node::diallers::Diallers;
use crate::node::figures::Seen;
use crate::node::gate::Gate;
use crate::node::idle::Idle;
use crate::node::incoming::Incoming;
use crate::node::life::{ExitReason, Life};
use crate::node::load::{LoadError, Loaded, ReadOnly, load_read_only, load_to_serve};
use crate::node::loading::Loading;
use crate::node::notes::Notes;
use crate::node::queues::Queues;
use crate::node::read_only::{Nap, Pauses};
use crate::node::timers::{Timers, jittered_pause};
use crate::node::transport::Transport;
use crate::store::{Store, StoreError};

/// The most messages from peers taken in within one turn.
const PEERS_PER_TURN: usize = 256;
/// The most events from clients sorted into their queues within one turn.
const SORTED_PER_TURN: usize = 4_096;

/// All that the central thread owns.
pub(crate) struct EventLoop {
    pub(crate) config: Config,
    pub(crate) timings: Timings,
    pub(crate) life: Arc<Life>,
    pub(crate) loading: Arc<Loading>,
    pub(crate) store: Box<dyn Store>,
    pub(crate) server: Server,
    pub(crate) to_check: Arc<ToCheck>,
    pub(crate) peers: Receiver<Incoming>,
    pub(crate) clients: Receiver<Incoming>,
    pub(crate) queues: Queues,
    pub(crate) transport: Transport,
    pub(crate) diallers: Diallers,
    pub(crate) waiting: Waiting,
    pub(crate) pauses: Pauses,
    /// What is fetched from peers for segments, if there are any.
    pub(crate) fetching: Option<Fetching>,
    /// Who waits to see how the server stands.
    pub(crate) watchers: Vec<Sender<Seen>>,
}

/// What the last turn left for the next ones.
#[derive(Debug)]
pub(crate) struct Waiting {
    timers: Timers,
    own: VecDeque<Message>,
    gate: Gate,
    idle: Idle,
    notes: Notes,
    /// A link that came up. It opens a turn: messages said earlier in a turn are meant for the link
    /// before it, and over a new link the hello has to be first.
    dialled: Option<Incoming>,
    /// When the present turn began.
    turn_began: Instant,
    /// When the store was last checked.
    pub(super) looked_in: Instant,
    /// When to try the store again, if it takes no writes.
    pub(super) nap: Option<Nap>,
}

impl Waiting {
    pub(crate) fn new(timings: Timings) -> Waiting {
        Waiting {
            timers: Timers::new(timings),
            own: VecDeque::new(),
            gate: Gate::default(),
            idle: Idle::default(),
            notes: Notes::new(Instant::now()),
            dialled: None,
            turn_began: Instant::now(),
            looked_in: Instant::now(),
            nap: None,
        }
    }
}

/// Why turns can't go on.
pub(super) enum Broken {
    Store(StoreError),
    /// The store, which took no writes, now lets this life begin.
    Awake(Box<(Server, Option<Check>)>),
    Node(ExitReason),
}

impl EventLoop {
    /// Runs until the node ends, and makes the reason known.
    pub(crate) fn run(mut self) {
        let reason = loop {
            let reason = match self.take_turns() {
                Broken::Store(error) => self.start_over(error).err(),
                Broken::Awake(loaded) => {
                    self.awake(*loaded);
                    None
                }
                Broken::Node(reason) => Some(reason),
            };
            if let Some(reason) = reason {
                break reason;
            }
        };
        match &reason {
            ExitReason::Killed => {}
            ExitReason::Asked(_) => self.transport.take_leave(),
            reason => log::error!("this server ends: {reason}"),
        }
        self.life.end(reason);
        self.diallers.join();
    }

    fn take_turns(&mut self) -> Broken {
        loop {
            // Before anything is taken in: recovery leaves the first timers to be set.
            if let Err(broken) = self.finish_turn() {
                return broken;
            }
            self.wait();
            if self.life.is_asked() {
                return Broken::Node(self.life.leave(self.server.stand()));
            }
            self.take_in();
        }
    }

    /// Waits until there is something to take in, a timer runs out, or the node ends.
    fn wait(&self) {
        if !self.waiting.own.is_empty() || self.waiting.dialled.is_some() {
            return;
        }
        let is_open = self.waiting.gate.shut_until().is_none();
        if is_open && !self.queues.is_empty() {
            return;
        }
        let has_come = || !self.peers.is_empty() || (is_open && !self.clients.is_empty());
        if self.waiting.idle.wait_awake(has_come) {
            return;
        }
        let mut select = Select::new();
        select.recv(&self.peers);
        if is_open {
            select.recv(&self.clients);
        }
        select.recv(self.life.asked());
        let Waiting { timers, gate, looked_in, nap, .. } = &self.waiting;
        let look_in = nap.as_ref().map_or(*looked_in + Self::LOOK_IN, |nap| nap.until);
        let deadlines = [timers.next_deadline(), gate.shut_until()];
        let _ = select.ready_deadline(deadlines.into_iter().flatten().fold(look_in, Instant::min));
    }

    fn take_in(&mut self) {
        self.waiting.turn_began = Instant::now();
        self.server.tell_time(clock::now());
        let dialled = self.waiting.dialled.take();
        if let Some(Incoming::Dialled(peer, _, Some(key))) = &dialled {
            self.server.handle(Event::LinkProved(peer.clone(), *key));
        }
        if let Some(event) = dialled.and_then(|dialled| self.transport.admit(dialled)) {
            self.server.handle(event);
        }
        for message in std::mem::take(&mut self.waiting.own) {
            self.server.handle(Event::Own(message));
        }
        for _ in 0..PEERS_PER_TURN {
            match self.peers.try_recv() {
                Ok(dialled @ Incoming::Dialled(..)) => {
                    self.waiting.dialled = Some(dialled);
                    break;
                }
                Ok(incoming) => self.admit(incoming),
                Err(_) => break,
            }
        }
        let now = Instant::now();
        while let Some(timer) = self.waiting.timers.due(now) {
            self.server.handle(Event::Timer(timer));
        }
        self.take_in_clients(now);
    }

    fn take_in_clients(&mut self, now: Instant) {
        let mut sorted = self.sort(SORTED_PER_TURN);
        let mut allowance = self.queues.begin(now);
        while !self.queues.is_empty()
            && self.waiting.gate.lets_in(self.server.is_crowded(), now)
            && let Some(incoming) = self.queues.next(&mut allowance)
        {
            self.admit(incoming);
            // Events that came meanwhile share the turn.
            sorted += self.sort(SORTED_PER_TURN - sorted);
        }
    }

    /// Puts at most `most` events from clients into their queues, and returns how many.
    fn sort(&mut self, most: usize) -> usize {
        let come = self.clients.try_iter().take(most);
        come.map(|incoming| self.queues.push(incoming)).count()
    }

    fn admit(&mut self, incoming: Incoming) {
        let incoming = match incoming {
            Incoming::Roles => {
                let events = self.transport.new_roles();
                return events.into_iter().for_each(|event| self.server.handle(event));
            }
            Incoming::Look(watcher) => return self.watchers.push(watcher),
            incoming => incoming,
        };
        if let (Incoming::Wanted(from, to), Some(fetching)) = (&incoming, &mut self.fetching) {
            let is_linked = |peer: &ServerId| self.transport.is_linked(peer);
            if let Some((peer, question)) = fetching.ask((*from, *to), is_linked) {
                self.transport.send(&peer, question);
            }
            return;
        }
        let event = self.transport.admit(incoming);
        let event = match &mut self.fetching {
            Some(fetching) => event.and_then(|event| fetching.divert(event)),
            None => event,
        };
        if let Some(event) = event {
            self.server.handle(event);
        }
    }

    fn finish_turn(&mut self) -> Result<(), Broken> {
        let Turn { batch, free, timers, notes, runs, stop, bound } = self.server.end_turn();
        if let Some(stop) = stop {
            self.write_down(&notes);
            return Err(Broken::Node(ExitReason::Stopped(stop)));
        }
        for (to, message) in free {
            self.transport.send(&to, message);
        }
        let begun = Instant::now();
        self.look_in(begun)?;
        let receipt = match batch.nothing_to_write() {
            Ok(receipt) => receipt,
            Err(batch) => self.store.commit(batch).map_err(Broken::Store)?,
        };
        let batch = receipt.batch();
        // What is said to be done has to be durable, and a client that gets a reply may look at once for what led to it.
        self.write_down(&notes);
        self.transport.trace.durable(batch);
        let now = Instant::now();
        self.transport.gauges.turn(batch, runs, begun, now);
        let refused = self.transport.gauges.refused();
        if let Some(sum) = self.waiting.notes.turn(runs, refused, now) {
            log::info!("{sum}");
        }
        self.waiting.idle.turn(batch, now);
        for command in timers {
            self.waiting.timers.apply(command, now);
        }
        self.transport.trace.flush();
        for bound in self.transport.reply_first(bound.release(&receipt)) {
            match bound {
                Bound::Dial(..) | Bound::Part(_) => {
                    self.diallers.follow(bound, &mut self.transport).map_err(Broken::Node)?;
                }
                bound => self.waiting.own.extend(self.transport.hand_out(bound)),
            }
        }
        // Last: waking the block reader takes its time too.
        self.transport.durable(batch);
        self.transport.learn(&self.server);
        self.transport.end_turn();
        self.transport.trace.flush();
        self.transport.gauges.took(self.waiting.turn_began.elapsed());
        self.show();
        Ok(())
    }

    /// Forgets everything after a store failure, and comes back from what is durable.
    ///
    /// Nobody knows whether the last turn is durable. So nothing that followed from it may be said, and no
    /// connection may go on as if nothing had happened. Meanwhile clients that connect are told so (by
    /// their readers), and peers wait.
    fn start_over(&mut self, error: StoreError) -> Result<(), ExitReason> {
        if !error.is_transient() {
            return Err(ExitReason::Store(Arc::new(error)));
        }
        self.transport.gauges.failed(&error.to_string());
        // Logged before clients are told.
        match &error {
            StoreError::Refused(_) => {
                log::warn!("{error}; nothing of the last turn was done, and clients are told so");
            }
            _ => log::error!("{error}; forgetting everything and loading it again"),
        }
        self.loading.begin(error.to_string());
        match &error {
            StoreError::Refused(_) => self.part(&error),
            _ => {
                self.life.shut_sockets();
                self.transport.forget();
            }
        }
        self.waiting = Waiting::new(self.timings.clone());
        // What is still in the channels needs no care: it comes from connections that the transport has
        // forgotten, or it begins with an opening and its end will follow.
        let Loaded { server, check, read_only } = self.load_after(error)?;
        if let Some(read_only) = read_only {
            self.only_read(read_only);
        }
        self.go_on_with(server, check);
        Ok(())
    }

    /// Has the server only read, and look from time to time whether the store takes writes.
    pub(crate) fn only_read(&mut self, read_only: ReadOnly) {
        log::warn!(
            "until the store takes writes ({}) this server only reads, and votes for nothing; it tries again \
             by itself",
            read_only.why
        );
        let until = Instant::now() + self.pauses.pause(&self.timings);
        self.waiting.nap = Some(Nap { read_only, until });
    }

    /// Loads the store. If it refused a turn, it is there and can be read at once; otherwise pauses first.
    fn load_after(&mut self, error: StoreError) -> Result<Loaded, ExitReason> {
        if let StoreError::Refused(why) = error {
            match load_read_only(&self.config, &mut *self.store, why) {
                Err(LoadError::Store(error)) if error.is_transient() => {
                    log::warn!("{error}; trying again");
                    self.loading.begin(error.to_string());
                }
                loaded => return Ok(loaded?),
            }
        }
        self.load_again()
    }

    /// Tells clients that nothing happened of a turn that the store refused, nor of what came after it.
    fn part(&mut self, why: &StoreError) {
        self.sort(usize::MAX);
        while !self.queues.is_empty() {
            let mut allowance = self.queues.begin(Instant::now());
            while let Some(incoming) = self.queues.next(&mut allowance) {
                self.transport.admit(incoming);
            }
        }
        self.transport.part(why);
    }

    /// Begins a life, since the store takes writes again. The last life is forgotten: clients whose requests
    /// still wait are told that nothing was done.
    fn awake(&mut self, (server, check): (Server, Option<Check>)) {
        if let Some(nap) = self.waiting.nap.take() {
            self.part(&StoreError::Refused(nap.read_only.why));
        }
        self.waiting = Waiting::new(self.timings.clone());
        self.go_on_with(server, check);
    }

    fn go_on_with(&mut self, server: Server, check: Option<Check>) {
        self.to_check.leave(check);
        self.diallers.dial_all(&server.dials());
        self.server = server;
        self.transport.trace.begin(self.server.life());
        self.loading.end();
        self.transport.gauges.loaded();
        if self.waiting.nap.is_none() {
            self.pauses.end();
            log::info!("the store is loaded again");
        }
    }

    fn load_again(&mut self) -> Result<Loaded, ExitReason> {
        for failures in 1.. {
            let pause = jittered_pause(self.timings.redial_after(failures));
            if !self.life.sleep_unless_asked(pause) {
                break;
            }
            match load_to_serve(&self.config, &mut *self.store) {
                Err(LoadError::Store(error)) if error.is_transient() => {
                    log::warn!("{error}; trying again");
                    self.loading.begin(error.to_string());
                }
                loaded => return Ok(loaded?),
            }
        }
        Err(self.life.leave(None))
    }

    fn write_down(&mut self, notes: &[Note]) {
        notes.iter().for_each(|note| log::log!(self.waiting.notes.level(note), "{note}"));
    }
}
