//! The newest notes, for those who look on: bounded in memory, and in what it costs a second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::wire::traces::{push_missed, push_note};

/// How many bytes of notes are kept. Whoever is behind them misses some.
const KEPT: usize = 1 << 20;
/// In each span of this length…
const SPAN: Duration = Duration::from_millis(100);
/// …so many notes of each sort are taken. Under heavy load more would be of no use to anybody who looks, and would cost
/// the bank dear.
const MOST: [u32; 2] = [300, 30];

/// The sorts of notes, of which none takes the place of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// What passes between servers, and what becomes durable.
    Protocol,
    /// What passes between the server and its clients.
    Clients,
}

/// The newest notes, each with what was passed over before it.
#[derive(Debug)]
pub(super) struct Reel {
    /// The number of the oldest one.
    first: u64,
    notes: VecDeque<(u64, Box<[u8]>)>,
    bytes: usize,
    /// How many were passed over since the last one.
    passed_over: u64,
    /// When the present span began, and what was taken in it.
    span: Instant,
    taken: [u32; 2],
}

impl Reel {
    pub(super) fn new() -> Reel {
        Reel {
            first: 0,
            notes: VecDeque::new(),
            bytes: 0,
            passed_over: 0,
            span: Instant::now(),
            taken: [0; 2],
        }
    }

    /// True if one more note of a sort is taken now; otherwise it is counted as passed over.
    pub(super) fn takes(&mut self, sort: Sort, now: Instant) -> bool {
        if now.saturating_duration_since(self.span) >= SPAN {
            (self.span, self.taken) = (now, [0; 2]);
        }
        let taken = &mut self.taken[sort as usize];
        if *taken >= MOST[sort as usize] {
            self.passed_over += 1;
            return false;
        }
        *taken += 1;
        true
    }

    /// Takes a note: a line of the trace, with its newline.
    pub(super) fn push(&mut self, line: &[u8]) {
        self.bytes += line.len();
        self.notes.push_back((std::mem::take(&mut self.passed_over), line.into()));
        while self.bytes > KEPT && self.notes.len() > 1 {
            let oldest = self.notes.pop_front();
            self.bytes -= oldest.map_or(0, |(_, line)| line.len());
            self.first += 1;
        }
    }

    /// Returns the number of the note that comes next.
    pub(super) fn next(&self) -> u64 {
        self.first + self.notes.len() as u64
    }

    /// Appends notes from the one of a number on, about `most` bytes. Returns the number of the one that comes next.
    pub(super) fn tell(&self, text: &mut Vec<u8>, begin: &str, from: u64, most: usize) -> u64 {
        let mut missed = self.first.saturating_sub(from);
        let start = from.max(self.first);
        let skipped = usize::try_from(start - self.first).unwrap_or(usize::MAX);
        let mut next = start;
        for (passed_over, line) in self.notes.iter().skip(skipped) {
            if text.len() >= most {
                break;
            }
            missed += passed_over;
            if missed > 0 {
                push_missed(text, begin, missed);
            }
            missed = 0;
            push_note(text, begin, line);
            next += 1;
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reel: &Reel, from: u64) -> (String, u64) {
        let mut text = Vec::new();
        let next = reel.tell(&mut text, "{\"id\":1,", from, usize::MAX);
        (String::from_utf8(text).unwrap(), next)
    }

    #[test]
    fn what_is_too_much_at_once_is_counted_and_each_sort_by_itself() {
        let (mut reel, begun) = (Reel::new(), Instant::now());
        let take = |reel: &mut Reel, sort, at, many| {
            (0..many).filter(|_| reel.takes(sort, begun + at)).count()
        };
        let first = Duration::from_millis(1);
        assert_eq!(take(&mut reel, Sort::Clients, first, 1_000), MOST[1] as usize);
        assert_eq!(take(&mut reel, Sort::Protocol, first, 10), 10);
        reel.push(b"{\"n\":1}\n");
        let (text, next) = told(&reel, 0);
        assert_eq!(
            text,
            format!("{{\"id\":1,\"missed\":{}}}\n{{\"id\":1,\"n\":1}}\n", 1_000 - MOST[1])
        );
        assert_eq!(next, 1);
        assert_eq!(take(&mut reel, Sort::Clients, first + SPAN, 1), 1, "a new span");
        reel.push(b"{\"n\":2}\n");
        assert_eq!(told(&reel, 1), ("{\"id\":1,\"n\":2}\n".into(), 2));
    }

    #[test]
    fn who_is_far_behind_hears_how_much_it_missed() {
        let mut reel = Reel::new();
        let line = format!("{{\"n\":\"{}\"}}\n", "x".repeat(KEPT / 10));
        (0..25).for_each(|_| reel.push(line.as_bytes()));
        assert!(reel.bytes <= KEPT && reel.next() == 25);
        let (text, next) = told(&reel, 3);
        let kept = reel.notes.len() as u64;
        assert!(
            text.starts_with(&format!("{{\"id\":1,\"missed\":{}}}\n", 25 - kept - 3)),
            "{kept}"
        );
        assert_eq!((text.lines().count() as u64, next), (kept + 1, 25));
        // In pieces.
        let mut text = Vec::new();
        assert_eq!(reel.tell(&mut text, "{", 25 - kept, 1), 25 - kept + 1);
    }
}
