//! Who is dialled: one thread for each peer, which come and go with the bank's members.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crossbeam_channel::Sender;

use crate::bank::effects::Bound;
use crate::bank::ids::ServerId;
use crate::node::config::Timings;
use crate::node::doors::Doors;
use crate::node::faults::Faults;
use crate::node::incoming::Incoming;
use crate::node::life::{ExitReason, Life};
use crate::node::peer::Dialler;
use crate::node::trace::Trace;
use crate::node::transport::Transport;

/// The numbers of connections that each dialler has for itself.
const NUMBERS: u64 = 1 << 32;

/// The threads that dial peers.
#[derive(Debug)]
pub(crate) struct Diallers {
    id: ServerId,
    timings: Timings,
    life: Arc<Life>,
    events: Sender<Incoming>,
    doors: Arc<Doors>,
    faults: Option<Arc<Faults>>,
    trace: Trace,
    running: BTreeMap<ServerId, Running>,
    /// How many diallers there have been.
    begun: u64,
    /// The threads that dial nobody any more, and may not have ended yet.
    parted: Vec<JoinHandle<()>>,
}

/// A thread that dials a peer.
#[derive(Debug)]
pub(crate) struct Running {
    address: String,
    parted: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Diallers {
    /// Makes the diallers of a server, which dial nobody yet.
    pub(crate) fn of(
        id: &ServerId,
        life: &Arc<Life>,
        (timings, events, doors, faults): (
            Timings,
            Sender<Incoming>,
            Arc<Doors>,
            Option<Arc<Faults>>,
        ),
        trace: Trace,
    ) -> Diallers {
        let (id, life) = (id.clone(), Arc::clone(life));
        let (running, begun, parted) = (BTreeMap::new(), 0, Vec::new());
        Diallers { id, timings, life, events, doors, faults, trace, running, begun, parted }
    }

    /// Dials these peers from now on.
    ///
    /// # Errors
    /// If a thread can't be started.
    pub(crate) fn dial_each(&mut self, dials: &[(ServerId, String)]) -> io::Result<()> {
        dials.iter().try_for_each(|(peer, address)| self.dial(peer, address).map(drop))
    }

    /// Dials a peer from now on at this address. True if it was dialled at another one before.
    ///
    /// # Errors
    /// If the thread can't be started.
    fn dial(&mut self, peer: &ServerId, address: &str) -> io::Result<bool> {
        if self.running.get(peer).is_some_and(|running| running.address == address) {
            return Ok(false);
        }
        let moved = self.part(peer);
        let parted = Arc::new(AtomicBool::new(false));
        let dialler = Dialler {
            id: self.id.clone(),
            peer: peer.clone(),
            address: address.to_owned(),
            timings: self.timings.clone(),
            life: Arc::clone(&self.life),
            events: self.events.clone(),
            doors: Arc::clone(&self.doors),
            conditions: self.faults.as_ref().map(|faults| faults.of(peer)),
            trace: self.trace.clone(),
            first: self.begun * NUMBERS + 1,
            parted: Arc::clone(&parted),
        };
        self.begun += 1;
        let name = format!("{}:to-{peer}", self.id);
        let thread = self.life.spawn(name, move || dialler.run())?;
        let address = address.to_owned();
        self.running.insert(peer.clone(), Running { address, parted, thread });
        Ok(moved)
    }

    /// Dials a peer from now on where it is found, or a server no more; what connects it so far ends.
    ///
    /// # Errors
    /// If the thread can't be started: a server without a way to a peer would only seem to run.
    pub(crate) fn follow(
        &mut self,
        change: Bound,
        transport: &mut Transport,
    ) -> Result<(), ExitReason> {
        match change {
            Bound::Dial(peer, address) => {
                let cannot_start = |error| {
                    ExitReason::Panicked(format!("to-{peer} (it can't be started: {error})"))
                };
                if self.dial(&peer, &address).map_err(cannot_start)? {
                    transport.hang_up(&peer);
                }
            }
            Bound::Part(server) => {
                self.forget(&server);
                transport.part_from(&server);
            }
            _ => {}
        }
        Ok(())
    }

    /// Dials those who are dialled already, but for what a turn that is forgotten has changed.
    pub(crate) fn dial_all(&mut self, dials: &[(ServerId, String)]) {
        for (peer, address) in dials {
            if let Err(error) = self.dial(peer, address) {
                log::error!("{peer} can't be dialled: {error}");
            }
        }
    }

    /// Dials a server no more. True if it was dialled.
    fn part(&mut self, peer: &ServerId) -> bool {
        self.parted.retain(|thread| !thread.is_finished());
        let Some(Running { parted, thread, .. }) = self.running.remove(peer) else { return false };
        parted.store(true, Ordering::Relaxed);
        self.parted.push(thread);
        true
    }

    /// Dials a server no more, since it is no peer.
    fn forget(&mut self, peer: &ServerId) {
        self.part(peer);
        if let Some(faults) = &self.faults {
            faults.forget(peer);
        }
    }

    /// Waits for all threads, which end with the node.
    pub(crate) fn join(self) {
        for thread in self.running.into_values().map(|running| running.thread).chain(self.parted) {
            // A thread that panicked has made its panic the reason of the node's end.
            let _ = thread.join();
        }
    }
}
