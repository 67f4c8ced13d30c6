//! The newest notes, for those who look on: bounded in memory.

use std::collections::VecDeque;

use crate::wire::traces::{push_missed, push_note};

/// How many bytes of notes are kept. Whoever is behind them misses some.
const KEPT: usize = 1 << 20;

/// The newest notes, each with what was passed over before it.
#[derive(Debug, Default)]
pub(super) struct Reel {
    /// The number of the oldest one.
    first: u64,
    notes: VecDeque<(u64, Box<[u8]>)>,
    bytes: usize,
}

impl Reel {
    /// Takes a note, before which so many were passed over: a line of the trace, with its newline.
    pub(super) fn push(&mut self, passed_over: u64, line: &[u8]) {
        self.bytes += line.len();
        self.notes.push_back((passed_over, line.into()));
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
    fn what_was_passed_over_is_told_where_it_was() {
        let mut reel = Reel::default();
        reel.push(3, b"{\"n\":1}\n");
        reel.push(0, b"{\"n\":2}\n");
        let expected = "{\"id\":1,\"missed\":3}\n{\"id\":1,\"n\":1}\n{\"id\":1,\"n\":2}\n";
        assert_eq!(told(&reel, 0), (expected.into(), 2));
        assert_eq!(told(&reel, 1), ("{\"id\":1,\"n\":2}\n".into(), 2));
    }

    #[test]
    fn who_is_far_behind_hears_how_much_it_missed() {
        let mut reel = Reel::default();
        let line = format!("{{\"n\":\"{}\"}}\n", "x".repeat(KEPT / 10));
        (0..25).for_each(|_| reel.push(0, line.as_bytes()));
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
