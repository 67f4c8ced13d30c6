//! The state machine's notes, on their way into the log.
//!
//! A Paxos run is told in a few lines. If runs come thick (a client may ask over and over for what nobody can
//! cover), those lines would fill the log. Then one line a second sums them up; the level `debug` shows them
//! all. A warning that comes again and again, such as of a peer that dials and is refused each time, is written
//! once a minute.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::bank::note::{Level, Note};
use crate::bank::status::Runs;

/// The most lines on runs that may come at once.
const BURST: u32 = 30;
/// The lines on runs that each second adds to that.
const A_SECOND: u32 = 1;
const SECOND: Duration = Duration::from_secs(1);
/// For how long a warning is not written again.
const A_WHILE: Duration = Duration::from_secs(60);
/// How many different warnings are known again.
const KNOWN: usize = 100;

/// Decides which notes are written.
///
/// Reads no clock: the present is always given.
#[derive(Debug)]
pub(crate) struct Notes {
    /// How many lines on runs may still be written.
    room: u32,
    /// When the present second began.
    since: Instant,
    /// True if runs come too thick: no line is written until a second has brought few.
    too_many: bool,
    /// The lines that came in the present second.
    lines: u32,
    runs: Runs,
    /// How many refusals there had been before the present second.
    refused: u64,
    /// When warnings were written last.
    warned: BTreeMap<String, Instant>,
}

impl Notes {
    pub(crate) fn new(now: Instant) -> Notes {
        Notes {
            room: BURST,
            since: now,
            too_many: false,
            lines: 0,
            runs: Runs::default(),
            refused: 0,
            warned: BTreeMap::new(),
        }
    }

    /// Returns the level at which a note is to be written.
    pub(crate) fn level(&mut self, note: &Note) -> log::Level {
        if let Note::Connected(_) = note {
            // What is complained about from now on is news.
            self.warned.clear();
        }
        match note.level() {
            Level::Warning if self.is_known(note.to_string()) => log::Level::Debug,
            Level::Warning => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
            Level::Step => {
                self.lines += 1;
                self.too_many |= self.room == 0;
                self.room = self.room.saturating_sub(1);
                if self.too_many { log::Level::Debug } else { log::Level::Info }
            }
        }
    }

    /// True if this very warning was written a while ago. Otherwise it counts as written now.
    fn is_known(&mut self, warning: String) -> bool {
        // As of the present second.
        let now = self.since;
        self.warned.retain(|_, written| now.saturating_duration_since(*written) < A_WHILE);
        if self.warned.contains_key(&warning) {
            return true;
        }
        if self.warned.len() < KNOWN {
            self.warned.insert(warning, now);
        }
        false
    }

    /// Notes what became of runs in a turn; `refused` counts all refusals so far. Returns a line that sums up
    /// a second, when one is over of which not all lines were written.
    pub(crate) fn turn(&mut self, runs: Runs, refused: u64, now: Instant) -> Option<String> {
        self.runs.started += runs.started;
        self.runs.won += runs.won;
        self.runs.lost += runs.lost;
        let passed = now.saturating_duration_since(self.since);
        if passed < SECOND {
            return None;
        }
        let seconds = u32::try_from(passed.as_secs()).unwrap_or(u32::MAX);
        let Runs { started, won, lost } = std::mem::take(&mut self.runs);
        let lines = std::mem::take(&mut self.lines);
        let before = std::mem::replace(&mut self.refused, refused);
        (self.since, self.room) =
            (now, self.room.saturating_add(seconds.saturating_mul(A_SECOND)).min(BURST));
        let was_too_many = self.too_many;
        self.too_many &= lines > A_SECOND;
        (was_too_many && lines > 0).then(|| {
            let refused = refused.saturating_sub(before);
            format!(
                "{lines} lines on Paxos runs within the last second, not all of them written: {started} runs \
                 begun here, {won} got through, {lost} lost; {refused} requests refused"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::note::{Nothing, Warning};

    fn step() -> Note {
        Note::FinishesRound
    }

    /// Returns how many of `lines` lines are written.
    fn written(notes: &mut Notes, lines: u32) -> u32 {
        (0..lines).map(|_| u32::from(notes.level(&step()) == log::Level::Info)).sum()
    }

    #[test]
    fn runs_that_come_thick_take_one_line_a_second() {
        let began = Instant::now();
        let mut notes = Notes::new(began);
        assert_eq!(written(&mut notes, 150), BURST);
        let runs = Runs { started: 25, won: 24, lost: 1 };
        assert_eq!(notes.turn(runs, 24, began + SECOND / 2), None);
        let line = notes.turn(Runs::default(), 30, began + SECOND).expect("a second is over");
        assert!(line.starts_with("150 lines on Paxos runs"), "{line}");
        assert!(line.contains("25 runs begun here, 24 got through, 1 lost; 30 requests"), "{line}");
        for second in 2..10 {
            assert_eq!(written(&mut notes, 125), 0, "they still come thick");
            let line = notes.turn(runs, 30 + 24 * (second - 1), began + SECOND * second as u32);
            assert!(line.is_some_and(|line| line.contains("24 requests refused")), "{second}");
        }
    }

    #[test]
    fn when_few_come_again_all_are_written() {
        let began = Instant::now();
        let mut notes = Notes::new(began);
        written(&mut notes, 150);
        let line =
            |notes: &mut Notes, second| notes.turn(Runs::default(), 0, began + SECOND * second);
        assert!(line(&mut notes, 1).is_some());
        assert_eq!(written(&mut notes, A_SECOND), 0);
        assert!(line(&mut notes, 2).is_some(), "those few");
        assert_eq!(line(&mut notes, 10), None);
        assert_eq!(written(&mut notes, 9), 9);
        assert_eq!(line(&mut notes, 11), None);
    }

    #[test]
    fn a_warning_that_comes_again_is_written_once_a_minute() {
        let began = Instant::now();
        let mut notes = Notes::new(began);
        let refuses = |why: &str| {
            let peer = "B".parse().unwrap();
            Note::Warning(Warning::Refuses(peer, why.to_owned()))
        };
        let turn = |notes: &mut Notes, second| {
            notes.turn(Runs::default(), 0, began + SECOND * second);
        };
        assert_eq!(notes.level(&refuses("x")), log::Level::Warn);
        for second in 1..60 {
            turn(&mut notes, second);
            assert_eq!(notes.level(&refuses("x")), log::Level::Debug, "{second}");
        }
        assert_eq!(notes.level(&refuses("y")), log::Level::Warn, "it is another one");
        turn(&mut notes, 60);
        assert_eq!(notes.level(&refuses("x")), log::Level::Warn, "it is so still");
        assert_eq!(notes.level(&refuses("x")), log::Level::Debug);
        notes.level(&Note::Connected("B".parse().unwrap()));
        assert_eq!(notes.level(&refuses("x")), log::Level::Warn, "it is so again");
        // However many different ones there are, few are kept.
        for number in 0..3 * KNOWN {
            assert_eq!(notes.level(&refuses(&number.to_string())), log::Level::Warn);
        }
        assert!(notes.warned.len() <= KNOWN);
    }

    #[test]
    fn nothing_else_is_thinned() {
        let mut notes = Notes::new(Instant::now());
        written(&mut notes, 1_000);
        for (note, written) in [
            (Note::Warning(Warning::OneKeyForTwo), log::Level::Warn),
            (Note::Opened, log::Level::Info),
            (Note::Nothing(Nothing::OlderConnection), log::Level::Debug),
        ] {
            assert_eq!(notes.level(&note), written);
        }
    }
}
