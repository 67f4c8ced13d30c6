//! The life that a node's threads share: how they learn that it is over, and why.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Scope, ScopedJoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

use crate::bank::effects::Stop;
use crate::bank::server::recovery::RecoveryError;
use crate::store::StoreError;

/// Why a node ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExitReason {
    /// The node was dropped.
    Killed,
    /// The node was asked to end, and has taken its leave.
    Asked(Leave),
    /// The state machine must not go on.
    Stopped(Stop),
    /// The store can't be used, and trying again does not help.
    Store(Arc<StoreError>),
    /// The store holds no bank that this server can serve.
    Recovery(RecoveryError),
    /// The thread of this name panicked, which is a bug.
    Panicked(String),
}

/// How a node stood when it was asked to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// Who or what asked it, such as `SIGTERM`.
    pub by: String,
    /// The height of its chain, and how many entries its local log holds. None before the founding, and while the
    /// store was away, so that nobody knew what is durable.
    pub stand: Option<(u64, usize)>,
}

impl fmt::Display for Leave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stand {
            Some((height, entries)) => {
                let entries =
                    if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") };
                write!(f, "{}: ended at height {height}, with {entries} in the local log", self.by)
            }
            None => write!(f, "{}: ended with no bank loaded", self.by),
        }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitReason::Killed => f.write_str("the node was dropped"),
            ExitReason::Asked(leave) => write!(f, "{leave}"),
            ExitReason::Stopped(stop) => write!(f, "{stop}"),
            ExitReason::Store(error) => write!(f, "{error}"),
            ExitReason::Recovery(error) => write!(f, "{error}"),
            ExitReason::Panicked(thread) => write!(f, "the thread {thread} panicked"),
        }
    }
}

/// Shared by all threads of one node.
///
/// A thread may block only on a socket adopted here, on a channel whose other end goes with the event
/// loop, or in a select with [`Life::over`]. So the end reaches all threads.
#[derive(Debug)]
pub(crate) struct Life {
    state: Mutex<State>,
    ended: Condvar,
    asked: Receiver<Infallible>,
    over: Receiver<Infallible>,
}

#[derive(Debug)]
struct State {
    reason: Option<ExitReason>,
    /// The sender of a channel on which nothing is sent. Dropping it is the message.
    running: Option<Sender<Infallible>>,
    /// The same for the event loop alone, which is asked to end before all others are told.
    staying: Option<Sender<Infallible>>,
    /// Who asked the node to end, if somebody has.
    asked_by: Option<String>,
    sockets: BTreeMap<u64, Arc<TcpStream>>,
    next_socket: u64,
}

impl Life {
    pub(crate) fn new() -> Arc<Life> {
        let (running, over) = crossbeam_channel::bounded(0);
        let (staying, asked) = crossbeam_channel::bounded(0);
        let state = State {
            reason: None,
            running: Some(running),
            staying: Some(staying),
            asked_by: None,
            sockets: BTreeMap::new(),
            next_socket: 0,
        };
        Arc::new(Life { state: Mutex::new(state), ended: Condvar::new(), asked, over })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panics must not keep the others from ending.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the node, unless it has ended: tells all threads and shuts all sockets, at once.
    pub(crate) fn end(&self, reason: ExitReason) {
        let mut state = self.state();
        state.reason.get_or_insert(reason);
        (state.running, state.staying) = (None, None);
        state.shut_sockets();
        self.ended.notify_all();
    }

    /// Asks the event loop to end the node when its turn is over. The first who asks counts.
    pub(crate) fn ask_to_end(&self, by: &str) {
        let mut state = self.state();
        state.asked_by.get_or_insert_with(|| by.to_owned());
        state.staying = None;
    }

    /// Returns the reason for an end that comes from outside, where the node stands so.
    pub(crate) fn leave(&self, stand: Option<(u64, usize)>) -> ExitReason {
        match self.state().asked_by.clone() {
            Some(by) => ExitReason::Asked(Leave { by, stand }),
            None => ExitReason::Killed,
        }
    }

    /// Shuts the sockets that are open now.
    pub(crate) fn shut_sockets(&self) {
        self.state().shut_sockets();
    }

    /// Returns why the node ended, if it has.
    pub(crate) fn reason(&self) -> Option<ExitReason> {
        self.state().reason.clone()
    }

    /// Blocks until the node ends, and returns why.
    pub(crate) fn wait(&self) -> ExitReason {
        let mut state = self.state();
        loop {
            match &state.reason {
                Some(reason) => return reason.clone(),
                None => {
                    state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Returns a channel on which nothing is sent; it is disconnected when the node has ended.
    pub(crate) fn over(&self) -> &Receiver<Infallible> {
        &self.over
    }

    /// Returns a channel like that of [`Life::over`]; it is disconnected when the node is asked to end, too.
    pub(crate) fn asked(&self) -> &Receiver<Infallible> {
        &self.asked
    }

    /// True if the node has ended, or is asked to.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.try_recv() == Err(TryRecvError::Disconnected)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Pauses. False if the node ended meanwhile.
    pub(crate) fn sleep(&self, pause: Duration) -> bool {
        self.over.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
    }

    /// Pauses. False if the node ended meanwhile, or was asked to.
    pub(crate) fn sleep_unless_asked(&self, pause: Duration) -> bool {
        self.asked.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
    }

    /// Adopts a socket, which is shut when the node ends. None if the node has ended already.
    pub(crate) fn adopt(self: &Arc<Life>, socket: &Arc<TcpStream>) -> Option<Adopted> {
        let mut state = self.state();
        if state.reason.is_some() {
            return None;
        }
        let key = state.next_socket;
        state.next_socket += 1;
        state.sockets.insert(key, Arc::clone(socket));
        Some(Adopted { life: Arc::clone(self), key })
    }

    /// Starts a thread whose panic ends the node.
    pub(crate) fn spawn(
        self: &Arc<Life>,
        name: String,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let watch = self.watch(&name);
        thread::Builder::new().name(name).spawn(move || watch.over(work))
    }

    /// Does the same within a scope.
    pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
        self: &Arc<Life>,
        scope: &'scope Scope<'scope, '_>,
        name: String,
        work: impl FnOnce() -> T + Send + 'scope,
    ) -> io::Result<ScopedJoinHandle<'scope, T>> {
        let watch = self.watch(&name);
        thread::Builder::new().name(name).spawn_scoped(scope, move || watch.over(work))
    }

    /// Does the same with a stack of `stack` bytes, for threads of which there are many.
    pub(crate) fn spawn_small<'scope>(
        self: &Arc<Life>,
        scope: &'scope Scope<'scope, '_>,
        (name, stack): (String, usize),
        work: impl FnOnce() + Send + 'scope,
    ) -> io::Result<()> {
        let watch = self.watch(&name);
        let builder = thread::Builder::new().name(name).stack_size(stack);
        builder.spawn_scoped(scope, move || watch.over(work)).map(drop)
    }

    /// Opens a scope of threads. If the thread that opens it panics, the others are told before it waits
    /// for them.
    pub(crate) fn scope<'env, T>(
        self: &Arc<Life>,
        work: impl for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
    ) -> T {
        let watch = self.watch(thread::current().name().unwrap_or("?"));
        thread::scope(|scope| watch.over(|| work(scope)))
    }

    fn watch(self: &Arc<Life>, thread: &str) -> Watch {
        Watch { life: Arc::clone(self), thread: thread.to_owned() }
    }
}

impl State {
    fn shut_sockets(&self) {
        for socket in self.sockets.values() {
            // A socket that is no longer connected is just as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Keeps a socket adopted as long as this is held.
#[derive(Debug)]
pub(crate) struct Adopted {
    life: Arc<Life>,
    key: u64,
}

impl Drop for Adopted {
    fn drop(&mut self) {
        self.life.state().sockets.remove(&self.key);
    }
}

/// Ends the node if its thread panics.
struct Watch {
    life: Arc<Life>,
    thread: String,
}

impl Watch {
    fn over<T>(self, work: impl FnOnce() -> T) -> T {
        work()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            self.life.end(ExitReason::Panicked(std::mem::take(&mut self.thread)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_thread_is_the_reason_why_the_node_ends() {
        let life = Life::new();
        let thread = life.spawn("A:test".into(), || panic!("as the test wants it")).unwrap();
        assert!(thread.join().is_err());
        assert!(matches!(life.wait(), ExitReason::Panicked(name) if name == "A:test"));
        assert!(life.is_over());
    }

    #[test]
    fn a_panic_in_a_scope_reaches_the_threads_that_the_scope_waits_for() {
        let life = Life::new();
        let in_scope = Arc::clone(&life);
        let work = move || {
            in_scope.scope(|scope| {
                let wait = || drop(in_scope.wait());
                in_scope.spawn_scoped(scope, "A:inner".into(), wait).unwrap();
                panic!("as the test wants it")
            })
        };
        assert!(life.spawn("A:outer".into(), work).unwrap().join().is_err());
        assert!(matches!(life.reason(), Some(ExitReason::Panicked(name)) if name == "A:outer"));
    }

    #[test]
    fn the_first_reason_stands() {
        let life = Life::new();
        assert!(!life.is_over());
        assert!(life.sleep(Duration::from_millis(1)));
        life.end(ExitReason::Killed);
        life.end(ExitReason::Panicked("late".into()));
        assert!(matches!(life.reason(), Some(ExitReason::Killed)));
        assert!(!life.sleep(Duration::from_secs(60)));
    }

    #[test]
    fn who_is_asked_to_end_hears_of_it_before_the_others() {
        let life = Life::new();
        assert!(!life.is_asked() && life.sleep_unless_asked(Duration::from_millis(1)));
        life.ask_to_end("SIGTERM");
        life.ask_to_end("SIGINT");
        assert!(life.is_asked() && !life.sleep_unless_asked(Duration::from_secs(60)));
        assert!(!life.is_over() && life.leave(None).to_string().starts_with("SIGTERM"));
        life.end(ExitReason::Killed);
        assert!(life.is_asked() && life.is_over());
    }
}
