//! The replies that all clients together leave unread. Each client is held back at a bound of its own; many
//! clients that never read would still take more memory than there is.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::node::socket::Socket;

/// The most bytes of replies that all clients together may leave unread.
pub(crate) const UNREAD: usize = 160 << 20;
/// A client that leaves fewer bytes unread takes no room worth having.
const LITTLE: usize = 16 << 10;

/// Counts the bytes of replies that wait to be written, of all connections together.
#[derive(Debug)]
pub(crate) struct Unread {
    most: usize,
    bytes: AtomicUsize,
    shares: Mutex<Shares>,
}

#[derive(Debug, Default)]
struct Shares {
    joined: u64,
    open: BTreeMap<u64, Weak<Share>>,
}

/// A connection's part of it.
#[derive(Debug)]
pub(crate) struct Share {
    all: Arc<Unread>,
    number: u64,
    socket: Weak<Socket>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    bytes: usize,
    /// When any were written last, or began to wait.
    since: Instant,
    /// The connection has ended: it takes nothing more, and gives up what it has.
    is_over: bool,
}

impl Unread {
    /// Allows so many bytes.
    pub(crate) fn of(most: usize) -> Arc<Unread> {
        let (bytes, shares) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Unread { most, bytes, shares })
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection in.
    pub(crate) fn join(self: &Arc<Unread>, socket: &Arc<Socket>) -> Arc<Share> {
        let mut shares = self.shares();
        shares.joined += 1;
        let number = shares.joined;
        let held = Held { bytes: 0, since: Instant::now(), is_over: false };
        let (all, socket) = (Arc::clone(self), Arc::downgrade(socket));
        let share = Arc::new(Share { all, number, socket, held: Mutex::new(held) });
        shares.open.insert(number, Arc::downgrade(&share));
        share
    }

    fn is_too_much(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.most
    }

    /// Disconnects the clients that have read nothing for the longest time, until the others leave not too
    /// much unread.
    fn relieve(&self) {
        // The last holder of a share locks them all: so not while they are locked here.
        let open: Vec<Weak<Share>> = self.shares().open.values().cloned().collect();
        let open: Vec<Arc<Share>> = open.iter().filter_map(Weak::upgrade).collect();
        let mut slow: Vec<_> =
            open.iter().filter_map(|share| Some((share.slow()?, share))).collect();
        slow.sort_by_key(|((since, _), _)| *since);
        let (mut count, mut freed) = (0, 0);
        for ((_, bytes), share) in slow {
            if !self.is_too_much() {
                break;
            }
            share.end();
            if let Some(socket) = share.socket.upgrade() {
                // Its reader and its writer notice.
                socket.shutdown(Shutdown::Both);
            }
            (count, freed) = (count + 1, freed + bytes);
        }
        if count > 0 {
            log::warn!(
                "disconnecting {count} of the clients that have read nothing for the longest: they left {} KiB \
                 of replies unread, and all clients together more than {} KiB",
                freed >> 10,
                self.most >> 10
            );
        }
    }
}

impl Share {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes that wait to be written. If all are too many then, the slowest readers are disconnected.
    pub(crate) fn add(&self, bytes: usize) {
        let mut held = self.held();
        if held.is_over {
            return;
        }
        if held.bytes == 0 {
            held.since = Instant::now();
        }
        held.bytes += bytes;
        self.all.bytes.fetch_add(bytes, Ordering::Relaxed);
        drop(held);
        if self.all.is_too_much() {
            self.all.relieve();
        }
    }

    /// Notes that so many were written.
    pub(crate) fn subtract(&self, bytes: usize) {
        let mut held = self.held();
        let written = bytes.min(held.bytes);
        held.bytes -= written;
        held.since = Instant::now();
        self.all.bytes.fetch_sub(written, Ordering::Relaxed);
    }

    /// Notes that the connection has ended.
    pub(crate) fn end(&self) {
        let mut held = self.held();
        held.is_over = true;
        self.all.bytes.fetch_sub(std::mem::take(&mut held.bytes), Ordering::Relaxed);
    }

    /// Returns since when it has read nothing, and how much it leaves unread, if that is much.
    fn slow(&self) -> Option<(Instant, usize)> {
        let Held { bytes, since, .. } = *self.held();
        (bytes >= LITTLE).then_some((since, bytes))
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.end();
        self.all.shares().open.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_has_read_nothing_for_the_longest_is_disconnected_first() {
        const MANY: usize = 4 * LITTLE;
        let unread = Unread::of(3 * MANY);
        let counted = |unread: &Unread| unread.bytes.load(Ordering::Relaxed);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = || {
            let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            theirs.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let socket = Arc::new(Socket::new(Arc::new(listener.accept().unwrap().0)));
            let share = unread.join(&socket);
            (theirs, share, socket)
        };
        let mut all = [client(), client(), client(), client(), client()];
        let add = |of: usize, bytes: usize, all: &[(TcpStream, Arc<Share>, Arc<Socket>)]| {
            all[of].1.add(bytes);
            // So that no two are equally slow.
            thread::sleep(Duration::from_millis(2));
        };
        // The first has hardly anything, and the second reads.
        add(0, 1, &all);
        add(1, MANY, &all);
        add(2, MANY, &all);
        add(3, MANY - 1, &all);
        all[1].1.subtract(1);
        let is_open = |theirs: &mut TcpStream| theirs.read(&mut [0]).is_err();
        assert!(all.iter_mut().all(|(theirs, ..)| is_open(theirs)));
        add(4, MANY, &all);
        let open = all.each_mut().map(|(theirs, ..)| is_open(theirs));
        assert_eq!(open, [true, true, false, true, true]);
        assert_eq!(counted(&unread), 3 * MANY - 1);
        all[2].1.add(MANY);
        all[2].1.subtract(MANY);
        assert_eq!(counted(&unread), 3 * MANY - 1, "it doesn't count any more");
        drop(all);
        assert_eq!(counted(&unread), 0);
        assert!(unread.shares().open.is_empty());
    }
}
