//! When the phases of a Paxos run begin, and when a majority is reached in them, by what its proposer sent and heard.

use std::collections::{BTreeMap, BTreeSet};

use crate::trace::merge::{Deed, Delivery, Event, Story};
use crate::trace::record::Brief;

/// A run: its proposer, and the height and the ballot of its messages.
type Run = (usize, u64, String);

/// What is seen of a run so far.
#[derive(Default)]
struct Seen {
    /// The kinds of message that its proposer has sent.
    sent: BTreeSet<String>,
    promised: BTreeSet<usize>,
    accepted: BTreeSet<usize>,
}

/// Adds the phases of all runs to a story.
pub fn with_phases(story: Story) -> Story {
    let servers = story.servers.len();
    let mut runs: BTreeMap<Run, Seen> = BTreeMap::new();
    let mut chosen: BTreeSet<(usize, u64)> = BTreeSet::new();
    let mut events: Vec<Event> = Vec::new();
    let mut places: Vec<usize> = Vec::new();
    for event in &story.events {
        let beside = |words: String, height: u64| {
            let deed = Deed::Phase { height, words };
            Event { deed, ..event.clone() }
        };
        let (before, after) = match &event.deed {
            Deed::Sent { message, .. } if message.kind == "commit" => {
                let height = message.height.unwrap_or_default();
                let is_new = chosen.insert((event.server, height));
                // Who only brings others up to date has led no run for it.
                let led = runs.iter().any(|((proposer, of, _), seen)| {
                    *proposer == event.server && *of == height && seen.sent.contains("accept")
                });
                let words = format!("phase 3: block {height} is chosen");
                ((is_new && led).then(|| beside(words, height)), None)
            }
            Deed::Sent { message, .. } => (
                sends(&mut runs, event.server, message)
                    .map(|(words, height)| beside(words, height)),
                None,
            ),
            Deed::Received { message, sent: Some(sent) } => {
                let from = story.events[*sent].server;
                let heard = hears(&mut runs, event.server, from, message, servers);
                (None, heard.map(|(words, height)| beside(words, height)))
            }
            _ => (None, None),
        };
        events.extend(before);
        places.push(events.len());
        events.push(event.clone());
        events.extend(after);
    }
    for event in &mut events {
        match &mut event.deed {
            Deed::Sent { fate: Delivery::Arrived(arrival), .. } => *arrival = places[*arrival],
            Deed::Received { sent: Some(sent), .. } => *sent = places[*sent],
            _ => {}
        }
    }
    Story { servers: story.servers, events }
}

fn run_of(proposer: usize, message: &Brief) -> Option<Run> {
    Some((proposer, message.height?, message.ballot.clone()?))
}

/// Notes what a proposer sends. Returns the phase that begins with it.
fn sends(runs: &mut BTreeMap<Run, Seen>, server: usize, message: &Brief) -> Option<(String, u64)> {
    let phase = match &*message.kind {
        "prepare" => "phase 1: who promises?",
        "accept" => "phase 2: who accepts?",
        _ => return None,
    };
    let run = run_of(server, message)?;
    let (height, ballot) = (run.1, run.2.clone());
    let is_new = runs.entry(run).or_default().sent.insert(message.kind.clone());
    is_new.then(|| (format!("{phase} [{ballot}]"), height))
}

/// Notes what a proposer hears. Returns what to say if that makes a majority, which the proposer is part of.
fn hears(
    runs: &mut BTreeMap<Run, Seen>,
    server: usize,
    from: usize,
    message: &Brief,
    servers: usize,
) -> Option<(String, u64)> {
    let run = run_of(server, message)?;
    let height = run.1;
    let seen = runs.get_mut(&run)?;
    let (who, what) = match &*message.kind {
        "promise" => (&mut seen.promised, "promise"),
        "accepted" => (&mut seen.accepted, "accepted"),
        _ => return None,
    };
    let is_new = who.insert(from);
    let count = who.len() + 1;
    let majority = servers / 2 + 1;
    (is_new && count == majority)
        .then(|| (format!("majority reached: {count} of {servers} {what}"), height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn message(kind: &str, ballot: Option<&str>) -> Brief {
        let ballot = ballot.map(str::to_owned);
        Brief { kind: kind.into(), height: Some(4), ballot, ..Brief::default() }
    }

    /// A message from a server to another, which arrives at once.
    fn tell(events: &mut Vec<Event>, from: usize, to: usize, message: &Brief) {
        let number = events.len();
        let fate = Delivery::Arrived(number + 1);
        let at = |server, deed| Event { server, time: Duration::ZERO, clock: 1, deed };
        events.push(at(from, Deed::Sent { to, message: message.clone(), fate }));
        events.push(at(to, Deed::Received { sent: Some(number), message: message.clone() }));
    }

    #[test]
    fn a_run_of_five_has_three_phases_and_two_majorities() {
        let mut events = Vec::new();
        for (kind, answer) in [("prepare", "promise"), ("accept", "accepted")] {
            (1..5).for_each(|to| tell(&mut events, 0, to, &message(kind, Some("1.A"))));
            for from in [1, 1, 2, 3, 4] {
                tell(&mut events, from, 0, &message(answer, Some("1.A")));
            }
            // What is of another ballot counts for nothing.
            tell(&mut events, 2, 0, &message(answer, Some("2.B")));
        }
        (1..5).for_each(|to| tell(&mut events, 0, to, &message("commit", None)));
        // A commit by who led no run for it begins no phase.
        tell(&mut events, 3, 4, &message("commit", None));
        let servers = ["A", "B", "C", "D", "E"].map(|id| id.parse().unwrap()).to_vec();
        let story = with_phases(Story { servers, events });
        let phases: Vec<(usize, &str)> = story
            .events
            .iter()
            .enumerate()
            .filter_map(|(at, event)| match &event.deed {
                Deed::Phase { height: 4, words } => {
                    assert_eq!(event.server, 0);
                    Some((at, &**words))
                }
                _ => None,
            })
            .collect();
        let words: Vec<&str> = phases.iter().map(|(_, words)| *words).collect();
        assert_eq!(
            words,
            [
                "phase 1: who promises? [1.A]",
                "majority reached: 3 of 5 promise",
                "phase 2: who accepts? [1.A]",
                "majority reached: 3 of 5 accepted",
                "phase 3: block 4 is chosen",
            ]
        );
        // It is said right after the second server's answer, and messages still find their other ends.
        let Deed::Received { sent: Some(sent), .. } = story.events[phases[1].0 - 1].deed else {
            panic!()
        };
        assert_eq!(story.events[sent].server, 2);
        for (number, event) in story.events.iter().enumerate() {
            if let Deed::Received { sent: Some(sent), .. } = event.deed {
                let Deed::Sent { fate, .. } = &story.events[sent].deed else { panic!() };
                assert_eq!(*fate, Delivery::Arrived(number));
            }
        }
    }
}
