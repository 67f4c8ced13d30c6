//! Whoever looks on: a client that is told each note as it is taken.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never};

use super::Trace;
use crate::bank::request::ErrorCode;
use crate::node::streams::{HEARTBEAT, Pace, Stream};
use crate::wire::Tag;
use crate::wire::follow::{beginning, push_end};
use crate::wire::traces::{push_missed, push_note};

/// The most who look on at a server.
pub(super) const MAX_ONLOOKERS: usize = 8;
/// About how many bytes are told at a time.
const CHUNK: usize = 64 << 10;
/// After how long it is looked whether there is more. Nobody has to wake anybody for it.
const LOOK: Duration = Duration::from_millis(50);

/// A place among those who look on, which dropping this gives back.
#[derive(Debug)]
pub(super) struct Seat(pub(super) Trace);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Somebody who looks on, in the hands of the connection's writer.
#[derive(Debug)]
pub(crate) struct Onlooker {
    seat: Seat,
    /// The beginning of each line.
    begin: String,
    /// The note of the life's beginning, until it is told.
    start: Option<Vec<u8>>,
    /// The number of the note that comes next.
    next: u64,
    /// When it was last told anything.
    told: Instant,
    /// It looks by itself.
    woken: Receiver<()>,
}

impl Onlooker {
    pub(super) fn new(seat: Seat, start: Vec<u8>, next: u64, id: Option<&Tag>) -> Onlooker {
        let (begin, told) = (beginning(id), Instant::now());
        Onlooker { seat, begin, start: Some(start), next, told, woken: never() }
    }
}

impl Stream for Onlooker {
    fn woken(&self) -> &Receiver<()> {
        &self.woken
    }

    fn tell(&mut self, text: &mut Vec<u8>) -> Pace {
        let before = text.len();
        if let Some(start) = self.start.take() {
            push_note(text, &self.begin, &start);
        }
        self.next = self.seat.0.tell(text, &self.begin, self.next, before + CHUNK);
        let now = Instant::now();
        if text.len() == before && now.saturating_duration_since(self.told) >= HEARTBEAT {
            push_missed(text, &self.begin, 0);
        }
        if text.len() > before {
            self.told = now;
        }
        if text.len() >= before + CHUNK { Pace::More } else { Pace::Until(now + LOOK) }
    }

    /// The event loop waits for who reads the notes.
    fn gives_way(&self) -> bool {
        false
    }

    fn rest(&mut self) {}

    fn end(&self, text: &mut Vec<u8>, error: ErrorCode, why: &str) {
        push_end(text, &self.begin, error, why);
    }
}
