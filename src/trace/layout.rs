//! A place on paper for everything in a story: time goes down, a line for each server.
//!
//! Nothing is placed above its cause, and no text on another: what would collide moves down, together with
//! all its effects. Distances are not times; a long pause is written between.

use std::time::Duration;

use crate::trace::gaps;
use crate::trace::merge::{Deed, Delivery, Event, Story};
use crate::trace::record::What;
use crate::trace::sheet::{Arrow, Band, End, Ground, Line, Margin, Mark, Point, Sheet, Sign, Text};

/// The width of a letter, about.
const LETTER: f64 = 6.4;
/// The distance from one line of text to the next.
const LINE: f64 = 14.0;
/// The distance from a server's line to a text beside it.
const BESIDE: f64 = 12.0;
/// The distance between two events at one server.
const STEP: f64 = 10.0;
/// How far down an arrow goes on its way to the next server.
const SLOPE: f64 = 24.0;
/// How far apart in height events of about the same time may stand.
const SLACK: f64 = 70.0;
/// How far an event moves down in each try to be clear of others.
const NUDGE: f64 = 2.0;
const LONGEST_NUDGE: u8 = 32;
/// How many of the latest arrows, and of the latest texts, can be in the way.
const RECENT: usize = 60;
/// The shortest pause that is written down.
const PAUSE: Duration = Duration::from_millis(500);
/// Half the width of the box for a block.
const BOX: f64 = 30.0;
/// The room for the times on the left.
const LEFT: f64 = 96.0;
/// The height of the first event.
const TOP: f64 = 64.0;
/// The most letters of what a play tells, and of the words beside a server's line.
const BAND_LETTERS: usize = 120;
const LETTERS: usize = 48;

impl Ground {
    /// True if a line between these points goes through it.
    fn is_crossed(&self, from: Point, to: Point) -> bool {
        let (left, right) = if from.0 < to.0 { (from, to) } else { (to, from) };
        let (begin, end) = (self.left.max(left.0), self.right.min(right.0));
        if begin >= end {
            return false;
        }
        let y = |x: f64| left.1 + (x - left.0) / (right.0 - left.0) * (right.1 - left.1);
        let (one, other) = (y(begin), y(end));
        one.min(other) < self.bottom - 3.0 && one.max(other) > self.top + 1.0
    }
}

impl Text {
    fn ground(&self) -> Ground {
        let width = self.words.chars().count() as f64 * LETTER;
        let left = if self.is_left { self.x - width } else { self.x };
        Ground { left, right: left + width, top: self.y - LINE + 3.0, bottom: self.y + 3.0 }
    }
}

/// Finds a place for each event of a story.
pub fn lay_out(story: &Story) -> Sheet {
    let mut work = Work::new(story);
    story.events.iter().for_each(|event| work.place(event));
    work.finish()
}

struct Work<'a> {
    story: &'a Story,
    sheet: Sheet,
    /// The highest free place for each server's next event.
    free: Vec<f64>,
    /// The place from which on each server lives.
    since: Vec<Option<f64>>,
    /// The place of each event so far.
    places: Vec<f64>,
    taken: Vec<Ground>,
    /// The lowest place so far.
    bottom: f64,
    /// The time of the latest event so far.
    latest: Option<Duration>,
    /// The place where a time was last written.
    timed: f64,
    /// The time that was last written, in microseconds, as it was written.
    last_time: Option<u128>,
}

impl<'a> Work<'a> {
    fn new(story: &'a Story) -> Work<'a> {
        let labels = story.events.iter().filter_map(words_of);
        let longest = labels.map(|words| words.chars().count()).max().unwrap_or(0) as f64 * LETTER;
        let gap = (longest + 2.0 * BESIDE + BOX).max(180.0);
        let servers = story.servers.len();
        let line = |(place, id): (usize, &crate::bank::ids::ServerId)| Line {
            name: id.to_string(),
            x: LEFT + 20.0 + gap * place as f64,
            lives: Vec::new(),
        };
        let lines: Vec<Line> = story.servers.iter().enumerate().map(line).collect();
        // Text beside the last line needs room, too; arrows never go there.
        let beside = story.events.iter().filter(|event| event.server + 1 == servers);
        let beside = beside.filter(|event| !matches!(event.deed, Deed::Sent { .. }));
        let beside = beside.filter_map(words_of).map(|words| words.chars().count()).max();
        let right = (beside.unwrap_or(0) as f64 * LETTER + BESIDE).max(BOX) + 16.0;
        let width = lines.last().map_or(LEFT, |last| last.x) + right;
        // A server that is first heard of in this part lives before it, unless it starts in it.
        let first = |server: usize| story.events.iter().find(|event| event.server == server);
        let lives = |server| first(server).is_none_or(|e| !matches!(e.deed, Deed::Started { .. }));
        let since = (0..servers).map(|server| lives(server).then_some(TOP - 16.0)).collect();
        Work {
            story,
            sheet: Sheet { width, lines, ..Sheet::default() },
            free: vec![TOP; servers],
            since,
            places: Vec::new(),
            taken: Vec::new(),
            bottom: TOP,
            latest: None,
            timed: f64::MIN,
            last_time: None,
        }
    }

    fn place(&mut self, event: &Event) {
        self.pause(event.time);
        if let Deed::Told(words) = &event.deed {
            return self.tell(words);
        }
        let mut y = self.free[event.server].max(self.bottom - SLACK);
        if let Deed::Received { sent: Some(sent), .. } = event.deed {
            let hops = self.story.events[sent].server.abs_diff(event.server);
            y = y.max(self.places[sent] + SLOPE * hops as f64);
        }
        while self.collides(event, y) {
            y += NUDGE;
        }
        // A line through a text is no disaster, so the room to avoid it is bounded.
        let tries = (0..LONGEST_NUDGE).map(|step| y + NUDGE * f64::from(step));
        let good = tries.into_iter().find(|&y| !self.collides(event, y) && !self.crosses(event, y));
        y = good.unwrap_or(y);
        let grounds = self.grounds(event, y);
        self.taken.extend(grounds);
        self.draw(event, y);
        self.places.push(y);
        let step = match event.deed {
            Deed::Noted(What::Promised { .. } | What::Accepted { .. }) => 0.0,
            Deed::Noted(What::Durable { .. }) => STEP / 2.0,
            Deed::Noted(What::Appended { .. }) => LINE + 4.0,
            Deed::Crashed => LINE + STEP,
            _ => STEP,
        };
        self.free[event.server] = y + step;
        self.bottom = self.bottom.max(y);
    }

    /// True if a text would stand on another.
    fn collides(&self, event: &Event, y: f64) -> bool {
        let grounds = self.grounds(event, y);
        self.taken.iter().any(|taken| grounds.iter().any(|ground| taken.touches(ground)))
    }

    /// True if an arrow would go through a text.
    fn crosses(&self, event: &Event, y: f64) -> bool {
        let texts: Vec<Ground> = self.text(event, y).iter().map(Text::ground).collect();
        let recent = self.sheet.arrows.iter().rev().take(RECENT);
        let mut recent = recent.map(|arrow| (arrow.from, arrow.to));
        let through = |(from, to)| texts.iter().any(|text| text.is_crossed(from, to));
        // An arrow that has arrived is steeper than it was drawn when it left.
        let arrived = match event.deed {
            Deed::Received { sent: Some(sent), .. } => {
                let from = (self.x(self.story.events[sent].server), self.places[sent]);
                Some((from, (self.x(event.server), y)))
            }
            _ => None,
        };
        recent.any(through)
            || arrived.is_some_and(|(from, to)| {
                self.taken.iter().rev().take(RECENT).any(|text| text.is_crossed(from, to))
            })
            || self.way(event, y).is_some_and(|(from, to, _)| {
                self.taken.iter().rev().take(RECENT).any(|text| text.is_crossed(from, to))
            })
    }

    /// Writes a pause between the events that it divides, and a time now and then.
    fn pause(&mut self, time: Duration) {
        let latest = self.latest.replace(self.latest.unwrap_or(time).max(time));
        let is_next = latest.is_none_or(|latest| time >= latest);
        if let Some(pause) = latest.and_then(|latest| time.checked_sub(latest))
            && pause >= PAUSE
        {
            let y = self.lowest() + 2.0 * LINE;
            let words = format!("{:.2} s later", pause.as_secs_f64());
            self.sheet.margins.push(Margin { words, y, is_pause: true });
            self.free.fill(y + 2.0 * LINE);
            self.bottom = y + LINE;
            self.timed = f64::MIN;
        }
        let y = self.bottom;
        if is_next && y - self.timed >= 4.0 * LINE {
            let words = self.time_in_words(time);
            let y = if latest.is_none() || self.timed == f64::MIN { y + LINE } else { y };
            self.sheet.margins.push(Margin { words, y, is_pause: false });
            self.timed = y;
        }
    }

    /// Writes a time as finely as it takes to differ from the one before it.
    fn time_in_words(&mut self, time: Duration) -> String {
        let us = time.as_micros();
        // Not rounded: what is later must not look earlier.
        let cut = |digits: u32| us - us % 10_u128.pow(6 - digits);
        let digits = (3..6).find(|digits| Some(cut(*digits)) > self.last_time).unwrap_or(6);
        self.last_time = Some(cut(digits));
        format!(
            "{}.{:0width$} s",
            us / 1_000_000,
            cut(digits) % 1_000_000 / 10_u128.pow(6 - digits),
            width = digits as usize
        )
    }

    /// Writes what a play tells below everything so far.
    fn tell(&mut self, words: &str) {
        let y = self.lowest() + 2.0 * LINE;
        let words: String = words.chars().take(BAND_LETTERS).collect();
        let width = words.chars().count() as f64 * LETTER + BESIDE;
        self.sheet.width = self.sheet.width.max(width);
        self.taken.push(Ground { left: 0.0, right: width, top: y - LINE + 3.0, bottom: y + 3.0 });
        self.sheet.bands.push(Band { words, y });
        self.free.fill(y + 2.0 * LINE);
        // A time is not to stand on its line.
        self.bottom = y + LINE + 6.0;
        self.places.push(y);
    }

    /// Returns the lowest point so far, hanging parts included.
    fn lowest(&self) -> f64 {
        let arrows = self.sheet.arrows.iter().map(|arrow| arrow.to.1);
        arrows.chain(self.free.iter().copied()).fold(self.bottom, f64::max)
    }

    fn x(&self, server: usize) -> f64 {
        self.sheet.lines[server].x
    }

    /// Returns the text of an event at this height.
    fn text(&self, event: &Event, y: f64) -> Option<Text> {
        let words = words_of(event)?;
        let (is_left, y) = match event.deed {
            Deed::Sent { to, .. } => (to < event.server, y - 3.0),
            _ => (false, y + 4.0),
        };
        let x = self.x(event.server) + if is_left { -BESIDE } else { BESIDE };
        Some(Text { words, x, y, is_left })
    }

    /// Returns the ground that an event covers.
    fn grounds(&self, event: &Event, y: f64) -> Vec<Ground> {
        let x = self.x(event.server);
        let half = match event.deed {
            Deed::Noted(What::Appended { .. }) => BOX,
            Deed::Crashed => 8.0,
            _ => return self.text(event, y).iter().map(Text::ground).collect(),
        };
        let sign = Ground { left: x - half, right: x + half, top: y - 10.0, bottom: y + 10.0 };
        self.text(event, y).iter().map(Text::ground).chain([sign]).collect()
    }

    fn draw(&mut self, event: &Event, y: f64) {
        let at = (self.x(event.server), y);
        let text = self.text(event, y);
        let (sign, detail) = match &event.deed {
            Deed::Sent { .. } => return self.depart(event, at, text),
            Deed::Received { sent, .. } => return self.arrive(*sent, at),
            Deed::Started { .. } => {
                self.since[event.server] = Some(y);
                (Sign::Start, "the store is loaded".into())
            }
            Deed::Crashed => {
                let since = self.since[event.server].take().unwrap_or(TOP);
                self.sheet.lines[event.server].lives.push((since, y));
                (Sign::Crash, "its trace breaks off".into())
            }
            Deed::Noted(What::Appended { height, hash, proposer, entries }) => {
                let by = proposer.as_ref().map_or("nobody", |proposer| proposer.as_str());
                (Sign::Block(*height), format!("block {height} {hash} by {by}: {entries} entries"))
            }
            Deed::Noted(What::Durable { turn, writes }) => {
                (Sign::Write, format!("turn {turn}: {writes} writes are durable"))
            }
            Deed::Noted(What::Asked { what } | What::Answered { what }) => {
                (Sign::Client, what.clone())
            }
            Deed::Phase { words, .. } => (Sign::Phase, words.clone()),
            Deed::Noted(_) | Deed::Told(_) => return,
        };
        let detail = format!("{detail} ({:.6} s, clock {})", event.time.as_secs_f64(), event.clock);
        self.sheet.marks.push(Mark { at, sign, text, detail });
    }

    /// Returns the ends of a message's arrow if it leaves at this height, as far as they are known then.
    fn way(&self, event: &Event, y: f64) -> Option<(Point, Point, End)> {
        let Deed::Sent { to, fate, .. } = &event.deed else { return None };
        let x = self.x(event.server);
        let hops = event.server.abs_diff(*to).max(1) as f64;
        let (share, end) = match fate {
            Delivery::Arrived(_) => (1.0, End::Head),
            // It ends before it passes a server.
            Delivery::Lost => (0.5 / hops, End::Cross),
            Delivery::Unknown => (0.5 / hops, End::Open),
        };
        let to = (x + share * (self.x(*to) - x), y + share * SLOPE * hops);
        Some(((x, y), to, end))
    }

    fn depart(&mut self, event: &Event, (_, y): Point, label: Option<Text>) {
        let (Some((from, to, end)), Some(label)) = (self.way(event, y), label) else { return };
        let Deed::Sent { message, .. } = &event.deed else { return };
        let kind = message.kind.clone();
        self.sheet.arrows.push(Arrow { kind, from, to, parts: Vec::new(), end, label });
    }

    fn arrive(&mut self, sent: Option<usize>, at: Point) {
        let Some(sent) = sent else { return };
        let (server, y) = (self.story.events[sent].server, self.places[sent]);
        let from = (self.x(server), y);
        let mut arrows = self.sheet.arrows.iter_mut();
        if let Some(arrow) = arrows.find(|arrow| arrow.from == from && arrow.to.0 == at.0) {
            arrow.to = at;
        }
    }

    fn finish(mut self) -> Sheet {
        let end = self.lowest() + LINE;
        for arrow in &mut self.sheet.arrows {
            arrow.parts = gaps::parts_of(arrow.from, arrow.to, &self.taken);
        }
        for (line, since) in self.sheet.lines.iter_mut().zip(self.since) {
            line.lives.extend(since.map(|since| (since, end)));
        }
        self.sheet.height = end;
        self.sheet
    }
}

/// Returns the words at an event.
fn words_of(event: &Event) -> Option<String> {
    match &event.deed {
        Deed::Sent { message, .. } => Some(message.label()),
        Deed::Started { again } => Some(if *again { "restart" } else { "start" }.into()),
        Deed::Crashed => Some("crash".into()),
        Deed::Noted(What::Asked { what }) => Some(cut(&format!("client: {what}"))),
        Deed::Noted(What::Answered { what }) => Some(cut(&format!("answer: {what}"))),
        Deed::Phase { words, .. } => Some(cut(words)),
        Deed::Received { .. } | Deed::Noted(_) | Deed::Told(_) => None,
    }
}

/// Cuts words that are too long to stand between two lines; all of them are in the detail.
fn cut(words: &str) -> String {
    match words.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
