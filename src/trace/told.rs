//! A story as data for a page that steps through it: one event after the other, each with its words.

use serde::Serialize;

use crate::trace::merge::{Deed, Delivery, Event, Story};
use crate::trace::record::What;

/// A story, as a page takes it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoryData {
    /// The servers' names.
    pub servers: Vec<String>,
    /// The events, causes before their effects.
    pub events: Vec<EventData>,
}

/// An event, as a page takes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EventData {
    /// The time since the beginning of the traces, in seconds.
    pub time: f64,
    /// The place of its server among the servers; none if it is of no server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<usize>,
    /// What kind of event it is: `start`, `crash`, `sent`, `received`, `phase`, `told`, `asked`, `answered`,
    /// `durable`, `promised`, `accepted` or `appended`.
    pub kind: &'static str,
    /// The words for people.
    pub text: String,
    /// The kind of a message: `prepare`, `promise`, `accept`, `commit` and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The receiver of a message, by its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<usize>,
    /// The event of a message's arrival, or of its sending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<usize>,
    /// True if a message was lost.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

impl StoryData {
    /// Takes what a page shows of a story.
    pub fn of(story: &Story) -> StoryData {
        let servers: Vec<String> = story.servers.iter().map(ToString::to_string).collect();
        let events = story.events.iter().map(|event| data_of(&servers, story, event)).collect();
        StoryData { servers, events }
    }

    /// Keeps the last events only, at most so many.
    #[must_use]
    pub fn last(mut self, most: usize) -> StoryData {
        let left_out = self.events.len().saturating_sub(most);
        self.events.drain(..left_out);
        for event in &mut self.events {
            event.other = event.other.and_then(|other| other.checked_sub(left_out));
        }
        self
    }
}

fn data_of(servers: &[String], story: &Story, event: &Event) -> EventData {
    let name = |place: usize| servers.get(place).map_or("?", String::as_str);
    let own = name(event.server);
    let server = (event.server < servers.len()).then_some(event.server);
    let data = EventData { time: event.time.as_secs_f64(), server, ..EventData::default() };
    let says = |kind: &'static str, text: String| EventData { kind, text, ..data.clone() };
    match &event.deed {
        Deed::Started { again: false } => says("start", format!("{own} starts")),
        Deed::Started { again: true } => says("start", format!("{own} is back")),
        Deed::Crashed => says("crash", format!("{own} is killed")),
        Deed::Sent { to, message, fate } => EventData {
            message: Some(message.kind.clone()),
            to: Some(*to),
            other: if let Delivery::Arrived(other) = fate { Some(*other) } else { None },
            lost: *fate == Delivery::Lost,
            ..says("sent", format!("{own} to {}: {}", name(*to), message.label()))
        },
        Deed::Received { sent, message } => {
            let from = sent.map_or("?", |sent| name(story.events[sent].server));
            EventData {
                message: Some(message.kind.clone()),
                other: *sent,
                ..says("received", format!("{own} hears {from}: {}", message.label()))
            }
        }
        Deed::Phase { words, .. } => says("phase", format!("{own}: {words}")),
        Deed::Told(words) => says("told", words.clone()),
        Deed::Noted(what) => {
            let (kind, text) = noted(own, what);
            says(kind, text)
        }
    }
}

fn noted(own: &str, what: &What) -> (&'static str, String) {
    match what {
        What::Durable { turn, writes } => {
            ("durable", format!("{own}: turn {turn} is on the disk, {writes} writes"))
        }
        What::Promised { ballot } => ("promised", format!("{own} has promised [{ballot}]")),
        What::Accepted { height, ballot, hash } => {
            ("accepted", format!("{own} has accepted block {height} {hash} in [{ballot}]"))
        }
        What::Appended { height, hash, proposer, entries } => {
            let by = proposer.as_ref().map_or("the founding".into(), |by| format!("{by}"));
            let entries =
                if *entries == 1 { "1 entry".into() } else { format!("{entries} entries") };
            ("appended", format!("{own} appends block {height} {hash} by {by}: {entries}"))
        }
        What::Asked { what } => ("asked", format!("{own}'s client: {what}")),
        What::Answered { what } => ("answered", format!("{own} answers: {what}")),
        What::Start { .. } | What::Sent { .. } | What::Lost { .. } | What::Received { .. } => {
            ("told", String::new())
        }
    }
}
