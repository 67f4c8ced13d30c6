//! The clients' places. An idle client gives way to one that asks for something.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bank::ids::ConnectionId;
use crate::bank::request::{ErrorCode, Reply};
use crate::node::reply_sender::ReplySender;

/// The clients that have a place.
#[derive(Debug)]
pub(crate) struct Guests {
    places: usize,
    seated: Mutex<BTreeMap<ConnectionId, ReplySender>>,
}

impl Guests {
    /// Starts with all places free.
    pub(crate) fn new(places: usize) -> Arc<Guests> {
        Arc::new(Guests { places, seated: Mutex::default() })
    }

    /// Returns how many places there are.
    pub(crate) fn places(&self) -> usize {
        self.places
    }

    fn seated(&self) -> MutexGuard<'_, BTreeMap<ConnectionId, ReplySender>> {
        self.seated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a connection a place, if one is free.
    pub(crate) fn seat(
        self: &Arc<Guests>,
        id: ConnectionId,
        reply_sender: &ReplySender,
    ) -> Option<Seat> {
        let mut seated = self.seated();
        if seated.len() >= self.places {
            return None;
        }
        seated.insert(id, reply_sender.clone());
        Some(Seat { guests: Arc::clone(self), id })
    }

    /// Gives a connection a place. If none is free, it gets the place of the client that has been idle the
    /// longest, and at least for `least`.
    pub(crate) fn seat_or_replace(
        self: &Arc<Guests>,
        id: ConnectionId,
        reply_sender: &ReplySender,
        least: Duration,
    ) -> Option<Seat> {
        // Another newcomer may be as quick, and take the place.
        self.seat(id, reply_sender).or_else(|| {
            self.dismiss_idlest(least);
            self.seat(id, reply_sender)
        })
    }

    /// Dismisses the client that has been idle the longest, if it was for at least `least`.
    pub(crate) fn dismiss_idlest(&self, least: Duration) {
        let mut seated = self.seated();
        let idle = seated
            .iter()
            .filter_map(|(id, reply_sender)| Some((reply_sender.owed().idle_since()?, *id)))
            .filter(|(since, _)| since.elapsed() >= least);
        let Some((_, id)) = idle.min() else { return };
        // It may be asking just now. Then nobody leaves, and the next newcomer looks again.
        if seated.get(&id).is_some_and(|reply_sender| reply_sender.owed().close_if_idle())
            && let Some(reply_sender) = seated.remove(&id)
        {
            log::info!("connection {} gives way: it has been idle the longest", id.0);
            let message = "others need this place, and this connection has been idle the longest; \
                connect again"
                .to_owned();
            reply_sender.dismiss(Reply::Error { error: ErrorCode::Unavailable, message });
        }
    }
}

/// A client's place, which dropping this gives back.
#[derive(Debug)]
pub(crate) struct Seat {
    guests: Arc<Guests>,
    id: ConnectionId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.guests.seated().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::node::writer::write_out;

    /// Makes a reply sender with its writer, and the client's end.
    fn connection() -> (ReplySender, BufReader<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (reply_sender, outgoing) = ReplySender::new(Arc::new(listener.accept().unwrap().0));
        let (socket, owed) = reply_sender.for_writer();
        thread::spawn(move || {
            let (_running, over) = crossbeam_channel::bounded(0);
            write_out(&outgoing, &socket, &owed, &over);
        });
        (reply_sender, BufReader::new(client))
    }

    #[test]
    fn who_has_been_idle_the_longest_gives_way_and_is_told_why() {
        let guests = Guests::new(2);
        let (busy, _theirs) = connection();
        let (idle, mut idles) = connection();
        let (newcomer, _newcomers) = connection();
        let now = std::time::Instant::now();
        busy.owed().owe(1, now, Duration::ZERO);
        let [_busy, _idle] = [(1, &busy), (2, &idle)]
            .map(|(id, reply_sender)| guests.seat(ConnectionId(id), reply_sender).unwrap());
        let id = ConnectionId(3);
        assert!(guests.seat(id, &newcomer).is_none(), "all are taken");
        let hour = Duration::from_secs(3600);
        assert!(guests.seat_or_replace(id, &newcomer, hour).is_none(), "nobody is that idle");
        let seat = guests.seat_or_replace(id, &newcomer, Duration::ZERO).unwrap();
        let mut line = String::new();
        idles.read_line(&mut line).unwrap();
        assert!(line.contains("idle the longest"), "{line}");
        assert_eq!(idles.read_line(&mut line).unwrap(), 0, "and that is the end");
        assert!(idle.owed().owe(1, now, Duration::ZERO).is_none(), "nothing is done for it now");
        assert!(busy.owed().owe(1, now, Duration::ZERO).is_some());
        drop(seat);
        assert!(guests.seat(ConnectionId(4), &newcomer).is_some(), "a place that is left is free");
    }
}
