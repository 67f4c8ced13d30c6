//! The replies that a client is owed, and how much it may ask for before they are written.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::node::room::Taken;
use crate::node::unread::Share;

/// The most replies a client may be owed before nothing more is read from it.
pub(crate) const MAX_BACKLOG: usize = 256;
/// The most items of its requests that may wait for their turn before nothing more is read. A single
/// request may always wait.
pub(crate) const MAX_UNTAKEN: usize = 32_768;
/// The most bytes of replies that may wait to be written to a client before nothing more is read from it:
/// some 20,000 outcomes.
pub(crate) const MAX_UNWRITTEN: usize = 2 << 20;

/// The most replies, the next one included, that a client may be owed and still asks for little…
const FEW_REPLIES: usize = 8;
/// …if the request has at most this many items…
const FEW_ITEMS: usize = 16;
/// …and it has asked for no more for this long: between two bursts a client is owed nothing, too.
const LITTLE_AFTER: Duration = Duration::from_secs(1);

/// Counts the replies that a client is owed.
///
/// It holds back a client that asks faster than it reads, and nobody else. It also tells when a client
/// that has said its last word has been answered, and how long a client has been idle.
#[derive(Debug)]
pub(crate) struct Backlog {
    outstanding: Mutex<Outstanding>,
    changed: Condvar,
    /// The client's share of all unread replies.
    share: Arc<Share>,
}

#[derive(Debug)]
struct Outstanding {
    replies: usize,
    /// Items of requests that wait for their turn, except those of a client that asks for little.
    untaken: usize,
    /// The bytes of replies that wait to be written.
    unwritten: usize,
    /// True once the writer has ended: nothing more will be written.
    closed: bool,
    /// How many threads wait for a change.
    waiting: usize,
    /// True while the client follows. It is told more without asking, so it is not idle.
    follows: bool,
    /// When the client last asked.
    asked: Instant,
    /// When the client last asked for much.
    asked_much: Option<Instant>,
}

/// Items of a request that waits for its turn. It is dropped when the request is taken in.
#[derive(Debug)]
pub(crate) struct Untaken {
    owed: Arc<Backlog>,
    items: usize,
    _of_all: Taken,
}

impl Drop for Untaken {
    fn drop(&mut self) {
        let mut outstanding = self.owed.outstanding();
        outstanding.untaken -= self.items;
        self.owed.tell(&outstanding);
    }
}

impl Outstanding {
    fn is_idle(&self) -> bool {
        self.replies == 0 && !self.closed && !self.follows
    }

    fn is_too_much(&self, weight: usize) -> bool {
        let untaken = self.untaken > 0 && self.untaken + weight > MAX_UNTAKEN;
        !self.closed && (self.replies >= MAX_BACKLOG || untaken || self.unwritten > MAX_UNWRITTEN)
    }
}

impl Backlog {
    /// Starts with nothing owed.
    pub(crate) fn new(share: Arc<Share>) -> Backlog {
        let outstanding = Outstanding {
            replies: 0,
            untaken: 0,
            unwritten: 0,
            closed: false,
            waiting: 0,
            follows: false,
            asked: Instant::now(),
            asked_much: None,
        };
        Backlog { outstanding: Mutex::new(outstanding), changed: Condvar::new(), share }
    }

    fn outstanding(&self) -> MutexGuard<'_, Outstanding> {
        self.outstanding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes threads that wait for a change. If none does, it makes no system call.
    fn tell(&self, outstanding: &Outstanding) {
        if outstanding.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Waits while `is_so`, but at most for `most`; says whether it still is.
    fn wait_while<'a>(
        &'a self,
        mut outstanding: MutexGuard<'a, Outstanding>,
        most: Duration,
        is_so: impl Fn(&Outstanding) -> bool,
    ) -> (MutexGuard<'a, Outstanding>, bool) {
        if !is_so(&outstanding) {
            return (outstanding, false);
        }
        outstanding.waiting += 1;
        let (mut outstanding, waited) = self
            .changed
            .wait_timeout_while(outstanding, most, |outstanding| is_so(outstanding))
            .unwrap_or_else(PoisonError::into_inner);
        outstanding.waiting -= 1;
        (outstanding, waited.timed_out())
    }

    /// Counts one more reply, to a request of this weight that came at `at`, once the client is not owed
    /// too much. Returns whether the client asks for little; none if the connection ended meanwhile.
    ///
    /// Some requests are never answered, such as a retry that comes after a later request. So replies that
    /// were not written in `most`, the longest that any request may take, are written off.
    pub(crate) fn owe(&self, weight: usize, at: Instant, most: Duration) -> Option<bool> {
        let mut outstanding = self.outstanding();
        loop {
            let timed_out;
            (outstanding, timed_out) =
                self.wait_while(outstanding, most, |outstanding| outstanding.is_too_much(weight));
            if !timed_out {
                break;
            }
            outstanding.replies = 0;
        }
        outstanding.replies += 1;
        outstanding.asked = at;
        if outstanding.replies > FEW_REPLIES || weight > FEW_ITEMS {
            outstanding.asked_much = Some(at);
        }
        let is_over = |much: Instant| at.saturating_duration_since(much) >= LITTLE_AFTER;
        let is_little = outstanding.asked_much.is_none_or(is_over);
        (!outstanding.closed).then_some(is_little)
    }

    /// Returns how many replies are owed.
    #[cfg(test)]
    pub(crate) fn replies(&self) -> usize {
        self.outstanding().replies
    }

    /// Counts items that wait for their turn, and hold some of the room for all.
    pub(crate) fn hand_in(self: &Arc<Backlog>, items: usize, of_all: Taken) -> Untaken {
        self.outstanding().untaken += items;
        Untaken { owed: Arc::clone(self), items, _of_all: of_all }
    }

    /// Counts bytes that wait to be written.
    pub(crate) fn queue(&self, bytes: usize) {
        if bytes > 0 {
            self.outstanding().unwritten += bytes;
            self.share.add(bytes);
        }
    }

    /// Notes that replies were written, and with them bytes that had waited to be written.
    pub(crate) fn pay(&self, replies: usize, bytes: usize) {
        if replies == 0 && bytes == 0 {
            // What a follower is told is owed to nobody.
            return;
        }
        if bytes > 0 {
            self.share.subtract(bytes);
        }
        let mut outstanding = self.outstanding();
        outstanding.replies = outstanding.replies.saturating_sub(replies);
        outstanding.unwritten -= bytes;
        self.tell(&outstanding);
    }

    /// Notes that nothing more will be written.
    pub(crate) fn close(&self) {
        self.share.end();
        let mut outstanding = self.outstanding();
        outstanding.closed = true;
        self.tell(&outstanding);
    }

    /// Notes that the client follows. False if it does already.
    pub(crate) fn follow(&self) -> bool {
        !std::mem::replace(&mut self.outstanding().follows, true)
    }

    /// Notes that the client follows no more.
    pub(crate) fn follow_no_more(&self) {
        self.outstanding().follows = false;
    }

    /// True if the client follows.
    pub(crate) fn follows(&self) -> bool {
        self.outstanding().follows
    }

    /// Returns when the client last asked, if it is owed nothing.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let outstanding = self.outstanding();
        outstanding.is_idle().then_some(outstanding.asked)
    }

    /// Closes the count if nothing is owed, so that nothing more is done for the client. True if it did.
    pub(crate) fn close_if_idle(&self) -> bool {
        let mut outstanding = self.outstanding();
        let is_idle = outstanding.is_idle();
        outstanding.closed |= is_idle;
        is_idle
    }

    /// Waits until nothing more will be written, but at most for `most`.
    pub(crate) fn wait_until_closed(&self, most: Duration) {
        drop(self.wait_while(self.outstanding(), most, |outstanding| !outstanding.closed));
    }

    /// Waits until nothing is owed or nothing more will be written, but at most for `most`.
    pub(crate) fn wait_until_paid(&self, most: Duration) {
        drop(self.wait_while(self.outstanding(), most, |outstanding| {
            outstanding.replies > 0 && !outstanding.closed
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::node::room::Room;
    use crate::node::socket::Socket;
    use crate::node::unread::Unread;

    const LONG: Duration = Duration::from_secs(60);

    fn owe(owed: &Backlog, weight: usize, most: Duration) -> Option<bool> {
        owed.owe(weight, Instant::now(), most)
    }

    fn new() -> Backlog {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        Backlog::new(Unread::of(usize::MAX).join(&Arc::new(Socket::new(Arc::new(socket)))))
    }

    fn with_all_owed() -> Backlog {
        let owed = new();
        assert!((0..MAX_BACKLOG).all(|_| owe(&owed, 1, LONG).is_some()));
        owed
    }

    #[test]
    fn a_client_that_is_owed_much_is_held_back_until_some_is_paid() {
        let owed = with_all_owed();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| owe(&owed, 1, LONG));
            owed.pay(1, 0);
            assert_eq!(reader.join().unwrap(), Some(false));
        });
        assert_eq!(owed.outstanding().replies, MAX_BACKLOG);
    }

    #[test]
    fn what_waits_for_its_turn_holds_its_client_back_until_it_is_taken_in() {
        let (owed, room) = (Arc::new(new()), Room::of(MAX_UNTAKEN));
        assert_eq!(owe(&owed, MAX_UNTAKEN, LONG), Some(false));
        let untaken = owed.hand_in(MAX_UNTAKEN, room.take(MAX_UNTAKEN, || true).unwrap());
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| owe(&owed, 1, LONG));
            drop(untaken);
            assert!(reader.join().unwrap().is_some());
        });
        assert!(room.take(MAX_UNTAKEN, || true).is_some(), "there is room for others again");
    }

    #[test]
    fn replies_that_are_not_read_hold_their_client_back() {
        let owed = new();
        owed.queue(MAX_UNWRITTEN + 1);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| owe(&owed, 1, LONG));
            owed.pay(1, MAX_UNWRITTEN + 1);
            assert_eq!(reader.join().unwrap(), Some(true));
        });
    }

    #[test]
    fn who_has_much_under_way_does_not_ask_for_little() {
        let (owed, now) = (new(), Instant::now());
        let owe = |weight, at| owed.owe(weight, at, LONG);
        for _ in 0..FEW_REPLIES {
            assert_eq!(owe(FEW_ITEMS, now), Some(true));
        }
        assert_eq!(owe(1, now), Some(false), "too many");
        owed.pay(FEW_REPLIES + 1, 0);
        assert_eq!(owe(1, now), Some(false), "it was just now");
        let later = now + LITTLE_AFTER;
        assert_eq!(owe(1, later), Some(true));
        assert_eq!(owe(FEW_ITEMS + 1, later), Some(false), "too heavy");
    }

    #[test]
    fn only_who_is_owed_nothing_is_idle() {
        let owed = new();
        assert!(owed.idle_since().is_some());
        owe(&owed, 1, LONG);
        assert!(owed.idle_since().is_none() && !owed.close_if_idle());
        owed.pay(1, 0);
        owed.follow();
        assert!(owed.idle_since().is_none() && !owed.close_if_idle(), "it waits for what comes");
        owed.follow_no_more();
        assert!(owed.close_if_idle());
        assert_eq!(owe(&owed, 1, LONG), None, "nothing more is done for it");
    }

    #[test]
    fn what_is_never_answered_does_not_hold_it_back_for_ever() {
        let owed = with_all_owed();
        assert!(owe(&owed, 1, Duration::from_millis(1)).is_some());
        assert_eq!(owed.outstanding().replies, 1);
    }

    #[test]
    fn nobody_waits_for_a_connection_that_has_ended() {
        let owed = with_all_owed();
        owed.close();
        assert_eq!(owe(&owed, 1, LONG), None);
        owed.wait_until_paid(LONG);
    }
}
