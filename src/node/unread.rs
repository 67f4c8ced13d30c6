//! A bound on the replies that all clients together leave unread. Each client is held back at its own bound,
//! but many clients that never read would still take more memory than there is.

use std::collections::BTreeMap;
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::node::socket::Socket;

/// The most bytes of replies that all clients together may leave unread.
pub(crate) const UNREAD: usize = 160 << 20;
/// The fewest unread bytes for which a client is disconnected: less would free too little.
const LITTLE: usize = 16 << 10;

/// The count of the bytes of replies that wait to be written, over all connections.
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

/// A connection's part of the count.
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
    /// When bytes were last written, or began to wait.
    since: Instant,
    /// True if the connection has ended: its share is given up, and no bytes are added.
    is_over: bool,
}

impl Unread {
    /// Makes the count, which allows at most `most` bytes.
    pub(crate) fn of(most: usize) -> Arc<Unread> {
        let (bytes, shares) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Unread { most, bytes, shares })
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the share of a connection.
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

    /// Disconnects the clients that have read nothing for the longest time, until the others leave no more
    /// unread than is allowed.
    fn relieve(&self) {
        // Dropping a share locks the shares, so none may be dropped while they are locked here.
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
                // The connection's reader and writer notice.
                socket.shutdown(Shutdown::Both);
            }
            (count, freed) = (count + 1, freed + bytes);
        }
        if count > 0 {
            log::warn!(
                "disconnecting {count} of the clients: they have read nothing for the longest time, and left \
                 {} KiB of replies unread; all clients together left more than {} KiB unread",
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

    /// Counts bytes that wait to be written. Disconnects the slowest readers if all bytes are now too many.
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

    /// Notes that bytes were written.
    pub(crate) fn subtract(&self, bytes: usize) {
        let mut held = self.held();
        let written = bytes.min(held.bytes);
        held.bytes -= written;
        held.since = Instant::now();
        self.all.bytes.fetch_sub(written, Ordering::Relaxed);
    }

    /// Gives the share up, since the connection has ended.
    pub(crate) fn end(&self) {
        let mut held = self.held();
        held.is_over = true;
        self.all.bytes.fetch_sub(std::mem::take(&mut held.bytes), Ordering::Relaxed);
    }

    /// Returns since when the client has read nothing, and how many bytes it leaves unread, if it leaves many.
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
            // No two clients are equally slow.
            thread::sleep(Duration::from_millis(2));
        };
        // The first client leaves hardly anything unread, and the second reads.
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
        assert_eq!(counted(&unread), 3 * MANY - 1, "who was disconnected is not counted");
        drop(all);
        assert_eq!(counted(&unread), 0);
        assert!(unread.shares().open.is_empty());
    }
}
