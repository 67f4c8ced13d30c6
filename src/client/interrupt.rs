//! The interrupt: how a person who has waited long enough ends a session's waiting from another thread.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The switch that ends a wait, shared by the waiting thread and whoever may end it. The wait's connection
/// is shut, so the wait ends at once and isn't tried again.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_set: bool,
    /// The connection on which the answer comes.
    socket: Option<TcpStream>,
}

impl Interrupt {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the wait.
    pub(super) fn set(&self) {
        let mut state = self.state();
        state.is_set = true;
        if let Some(socket) = state.socket.take() {
            // A connection that is closed already is just as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.0.changed.notify_all();
    }

    /// Allows the next wait.
    pub(super) fn clear(&self) {
        *self.state() = State::default();
    }

    /// True if the interrupt was set.
    pub(super) fn is_set(&self) -> bool {
        self.state().is_set
    }

    /// Watches a connection on which an answer is to come, while the returned value is held. If the
    /// interrupt is set, the connection is shut at once.
    pub(super) fn watch(&self, socket: &TcpStream) -> Watched<'_> {
        let mut state = self.state();
        if state.is_set {
            let _ = socket.shutdown(Shutdown::Both);
        } else {
            // A wait on a connection that can't be watched ends with its time-out.
            state.socket = socket.try_clone().ok();
        }
        Watched(self)
    }

    /// Pauses. False if the interrupt is set by then.
    pub(super) fn sleep(&self, pause: Duration) -> bool {
        let waits = |state: &mut State| !state.is_set;
        let waited = self.0.changed.wait_timeout_while(self.state(), pause, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_set
    }
}

/// A wait on a connection.
pub(super) struct Watched<'a>(&'a Interrupt);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.state().socket = None;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Instant;

    use super::*;

    #[test]
    fn reads_and_pauses_end_when_it_is_set() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (interrupt, begun) = (Interrupt::default(), Instant::now());
        let _watched = interrupt.watch(&socket);
        let setter = interrupt.clone();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            setter.set();
        });
        assert_eq!(socket.read(&mut [0]).unwrap(), 0, "it is shut");
        assert!(!interrupt.sleep(Duration::from_secs(600)));
        assert!(begun.elapsed() < Duration::from_secs(300));
        thread.join().unwrap();
        let mut late = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _watched = interrupt.watch(&late);
        assert_eq!(late.read(&mut [0]).unwrap(), 0);
        interrupt.clear();
        assert!(interrupt.sleep(Duration::from_millis(1)) && !interrupt.is_set());
    }
}
