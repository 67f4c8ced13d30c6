//! Merges several servers' records into one story, in which a message is sent before it is received
//! (Lamport, *Time, Clocks, and the Ordering of Events in a Distributed System*).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use crate::bank::ids::ServerId;
use crate::trace::Choice;
use crate::trace::record::{Brief, Place, Record, Told, What};

/// The least time, in microseconds, by which the trace of a killed server ends before the others.
const LEAST_SILENCE: u64 = 1_000_000;
/// How many times the longest pause in the trace this time must be, at the least.
const SILENCES: u64 = 3;

/// Everything that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// All servers that are mentioned, in the order of their ids.
    pub servers: Vec<ServerId>,
    /// The events, causes before their effects.
    pub events: Vec<Event>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The index of its server in [`Story::servers`]; their number, if it is of no server.
    pub server: usize,
    /// The time since the beginning of the traces.
    pub time: Duration,
    /// The value of Lamport's clock.
    pub clock: u64,
    /// What happened.
    pub deed: Deed,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A life begins, perhaps not the first.
    Started {
        /// True if there was a life before.
        again: bool,
    },
    /// A life ends without a word.
    Crashed,
    /// A message leaves, or is lost before it does.
    Sent {
        /// The receiver.
        to: usize,
        /// The message.
        message: Brief,
        /// What becomes of it.
        fate: Delivery,
    },
    /// A message arrives.
    Received {
        /// The event of its sending, if any trace has it.
        sent: Option<usize>,
        /// The message.
        message: Brief,
    },
    /// Something happens at one server alone.
    Noted(What),
    /// A phase of a run begins, or a majority is reached in it.
    Phase {
        /// The height that the run is for.
        height: u64,
        /// What it is.
        words: String,
    },
    /// A play does something to the bank, or says something.
    Told(String),
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was received, in this event.
    Arrived(usize),
    /// It was not received, though its receiver's trace goes on.
    Lost,
    /// No trace tells.
    Unknown,
}

/// Merges records, each server's in their order, into one story.
pub fn merge(records: Vec<Record>) -> Story {
    merge_told(records, Vec::new())
}

/// Does the same with what a play told meanwhile.
pub fn merge_told(records: Vec<Record>, told: Vec<Told>) -> Story {
    let all = records.iter().map(|record| record.us).chain(told.iter().map(|told| told.us));
    let first = all.min().unwrap_or(0);
    let last = records.iter().map(|record| record.us).max().unwrap_or(0);
    let mut names: BTreeSet<ServerId> = BTreeSet::new();
    for record in &records {
        names.insert(record.server.clone());
        match &record.what {
            What::Sent { to: peer, .. }
            | What::Lost { to: peer, .. }
            | What::Received { from: peer, .. } => drop(names.insert(peer.clone())),
            _ => {}
        }
    }
    let servers: Vec<ServerId> = names.into_iter().collect();
    let mut lines: Vec<Vec<Record>> = vec![Vec::new(); servers.len()];
    for record in records {
        let line = servers.binary_search(&record.server).expect("it is one of them");
        lines[line].push(record);
    }
    let mut events = Vec::new();
    let mut ends = Vec::new();
    let mut places = Places::default();
    for (server, line) in lines.into_iter().enumerate() {
        let line = in_order(line);
        ends.push(line.last().map(|record| record.us));
        let crashed = is_cut_short(&line, last);
        let (mut again, mut latest) = (false, first);
        for record in line {
            let time = |us: u64| Duration::from_micros(us - first);
            if again && matches!(record.what, What::Start { .. }) {
                events.push(Event { server, time: time(latest), clock: 0, deed: Deed::Crashed });
            }
            latest = record.us;
            let deed = places.deed(&servers, server, events.len(), record, again);
            again = true;
            events.push(Event { server, time: time(latest), clock: 0, deed });
        }
        if crashed {
            let time = Duration::from_micros(latest - first);
            events.push(Event { server, time, clock: 0, deed: Deed::Crashed });
        }
    }
    places.join(&mut events, &ends, first);
    let nobody = servers.len();
    events.extend(told.into_iter().map(|Told { us, told }| {
        let time = Duration::from_micros(us - first);
        Event { server: nobody, time, clock: 0, deed: Deed::Told(told) }
    }));
    Story { servers, events: causal(events) }
}

/// Puts a server's lives in order, in whatever order their files came.
fn in_order(line: Vec<Record>) -> Vec<Record> {
    let mut lives: Vec<Vec<Record>> = Vec::new();
    for record in line {
        match lives.last_mut() {
            Some(life) if !matches!(record.what, What::Start { .. }) => life.push(record),
            _ => lives.push(vec![record]),
        }
    }
    lives.sort_by_key(|life| life[0].us);
    lives.into_iter().flatten().collect()
}

/// True if a trace ends so early that its server must have been killed.
fn is_cut_short(line: &[Record], last: u64) -> bool {
    let pauses = line.windows(2).map(|pair| match pair[1].what {
        What::Start { .. } => 0,
        _ => pair[1].us.saturating_sub(pair[0].us),
    });
    let silence = LEAST_SILENCE.max(SILENCES * pauses.max().unwrap_or(0));
    line.last().is_some_and(|end| end.us.saturating_add(silence) < last)
}

/// The sendings and receivings of messages.
#[derive(Default)]
struct Places {
    sent: BTreeMap<(usize, usize, Place), Vec<usize>>,
    received: Vec<((usize, usize, Place), usize)>,
}

impl Places {
    /// Turns a record into the event of this number; messages are joined later.
    fn deed(
        &mut self,
        servers: &[ServerId],
        server: usize,
        number: usize,
        record: Record,
        again: bool,
    ) -> Deed {
        let find = |id: &ServerId| servers.binary_search(id).expect("it is one of them");
        match record.what {
            What::Start { .. } => Deed::Started { again },
            What::Sent { to, place, message } => {
                let to = find(&to);
                self.sent.entry((server, to, place)).or_default().push(number);
                Deed::Sent { to, message, fate: Delivery::Unknown }
            }
            What::Lost { to, message, .. } => {
                Deed::Sent { to: find(&to), message, fate: Delivery::Lost }
            }
            What::Received { from, place, message } => {
                self.received.push(((find(&from), server, place), number));
                Deed::Received { sent: None, message }
            }
            other => Deed::Noted(other),
        }
    }

    /// Joins each receiving with its sending, and finds what was lost. `ends` tells when each server's trace
    /// ends.
    fn join(mut self, events: &mut [Event], ends: &[Option<u64>], first: u64) {
        for (place, arrival) in self.received {
            let Some(candidates) = self.sent.get_mut(&place) else { continue };
            // A pair of ports may be used again: the latest possible sending is meant.
            let (then, kind) = (events[arrival].time, kind_of(&events[arrival]).to_owned());
            let fits = |sent: &usize| kind_of(&events[*sent]) == kind;
            let before = |sent: &usize| fits(sent) && events[*sent].time <= then;
            let meant = candidates.iter().rposition(before);
            let Some(meant) = meant.or_else(|| candidates.iter().position(fits)) else { continue };
            let departure = candidates.remove(meant);
            if let Deed::Received { sent, .. } = &mut events[arrival].deed {
                *sent = Some(departure);
            }
            if let Deed::Sent { fate, .. } = &mut events[departure].deed {
                *fate = Delivery::Arrived(arrival);
            }
        }
        for ((_, to, _), unmatched) in self.sent {
            for number in unmatched {
                let Event { time, deed, .. } = &mut events[number];
                let until = ends[to].map(|end| Duration::from_micros(end - first));
                if let Deed::Sent { fate, .. } = deed
                    && until.is_some_and(|until| *time < until)
                {
                    *fate = Delivery::Lost;
                }
            }
        }
        // A message to a server that was killed meanwhile is lost, too.
        let last_crash: BTreeMap<usize, Duration> = events
            .iter()
            .filter(|event| event.deed == Deed::Crashed)
            .map(|event| (event.server, event.time))
            .collect();
        for event in events {
            if let Deed::Sent { to, fate: fate @ Delivery::Unknown, .. } = &mut event.deed
                && last_crash.contains_key(to)
            {
                *fate = Delivery::Lost;
            }
        }
    }
}

fn kind_of(event: &Event) -> &str {
    match &event.deed {
        Deed::Sent { message, .. } | Deed::Received { message, .. } => &message.kind,
        _ => "",
    }
}

/// Puts events, which stand server by server, into an order with causes first, and earlier times first
/// among independent events; and sets Lamport's clock for each.
fn causal(mut events: Vec<Event>) -> Vec<Event> {
    let follows = |number: usize| {
        let next = events.get(number + 1).filter(|next| next.server == events[number].server);
        let arrival = match events[number].deed {
            Deed::Sent { fate: Delivery::Arrived(arrival), .. } => Some(arrival),
            _ => None,
        };
        next.map(|_| number + 1).into_iter().chain(arrival)
    };
    let successors: Vec<Vec<usize>> = (0..events.len()).map(|n| follows(n).collect()).collect();
    let mut causes = vec![0; events.len()];
    successors.iter().flatten().for_each(|&next| causes[next] += 1);
    let key = |number: usize| Reverse((events[number].time, events[number].server, number));
    let mut ready: BinaryHeap<_> = (0..events.len()).filter(|&n| causes[n] == 0).map(key).collect();
    let mut clocks = vec![1; events.len()];
    let mut order = Vec::with_capacity(events.len());
    while let Some(Reverse((_, _, number))) = ready.pop() {
        order.push(number);
        for &next in &successors[number] {
            clocks[next] = clocks[next].max(clocks[number] + 1);
            causes[next] -= 1;
            if causes[next] == 0 {
                ready.push(key(next));
            }
        }
    }
    // Traces that contradict each other, which no run makes, have no such order: the rest stays as it is.
    order.extend((0..events.len()).filter(|&number| causes[number] > 0));
    for (event, clock) in events.iter_mut().zip(clocks) {
        event.clock = clock;
    }
    pick(&events, &order)
}

/// Picks these events, in this order, and corrects their references to each other.
fn pick(events: &[Event], order: &[usize]) -> Vec<Event> {
    let places: BTreeMap<usize, usize> = order.iter().copied().zip(0..).collect();
    let moved = |number: usize| {
        let mut event = events[number].clone();
        match &mut event.deed {
            Deed::Sent { fate: Delivery::Arrived(arrival), .. } => *arrival = places[arrival],
            Deed::Received { sent: Some(sent), .. } => *sent = places[sent],
            _ => {}
        }
        event
    };
    order.iter().map(|&number| moved(number)).collect()
}

impl Story {
    /// Returns the questions that clients had asked before, and that were not answered yet.
    fn waiting_at(&self, time: Duration) -> Vec<usize> {
        let mut asked = vec![None; self.servers.len()];
        let before = self.events.iter().enumerate().take_while(|(_, event)| event.time < time);
        for (number, event) in before {
            match event.deed {
                Deed::Noted(What::Asked { .. }) => asked[event.server] = Some(number),
                Deed::Noted(What::Answered { .. }) | Deed::Crashed => asked[event.server] = None,
                _ => {}
            }
        }
        asked.into_iter().flatten().collect()
    }

    /// Returns the event that answers the question of a client here.
    fn answer_to(&self, asked: usize) -> Option<usize> {
        let server = self.events[asked].server;
        let is_answer = |event: &Event| {
            event.server == server && matches!(event.deed, Deed::Noted(What::Answered { .. }))
        };
        self.events[asked..].iter().position(is_answer).map(|after| asked + after)
    }

    /// Returns the chosen part of the story. Of a message it holds both ends or none.
    pub fn chosen(&self, choice: &Choice) -> Story {
        let in_time = |event: &Event| {
            choice.from.is_none_or(|from| event.time >= from)
                && choice.to.is_none_or(|to| event.time <= to)
        };
        let is_about = |event: &Event| match (&event.deed, choice.height) {
            (Deed::Sent { message, .. } | Deed::Received { message, .. }, height) => {
                (choice.heartbeats || message.is_of_the_protocol())
                    && height.is_none_or(|height| message.concerns(height))
            }
            (Deed::Noted(What::Appended { height: of, .. }), Some(height))
            | (Deed::Phase { height: of, .. }, Some(height)) => *of == height,
            _ => choice.height.is_none(),
        };
        let chosen: Vec<&Event> =
            self.events.iter().filter(|e| in_time(e) && is_about(e)).collect();
        let span = chosen.first().map(|first| first.time).zip(chosen.last().map(|last| last.time));
        let waiting = span.map_or(Vec::new(), |(first, last)| {
            let mut waiting = self.waiting_at(first);
            waiting.extend(
                self.waiting_at(last).into_iter().filter_map(|asked| self.answer_to(asked)),
            );
            waiting
        });
        // What else happens while a block comes about belongs to its story, and so do clients' waits.
        let is_beside = |number: usize| {
            let event = &self.events[number];
            let is_about_something_else = matches!(
                event.deed,
                Deed::Sent { .. }
                    | Deed::Received { .. }
                    | Deed::Phase { .. }
                    | Deed::Noted(What::Appended { .. })
            );
            let is_in = span.is_some_and(|(first, last)| (first..=last).contains(&event.time));
            !is_about_something_else && (is_in || waiting.contains(&number))
        };
        let is_chosen = |number: usize| {
            let event = &self.events[number];
            in_time(event) && (is_about(event) || is_beside(number))
        };
        let order: Vec<usize> = (0..self.events.len())
            .filter(|&number| {
                let other = match self.events[number].deed {
                    Deed::Sent { fate: Delivery::Arrived(other), .. } => Some(other),
                    Deed::Received { sent, .. } => sent,
                    _ => None,
                };
                is_chosen(number) || other.is_some_and(is_chosen)
            })
            .collect();
        Story { servers: self.servers.clone(), events: pick(&self.events, &order) }
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
