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
    let voters = Voters::of(&story);
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
                let heard = hears(&mut runs, event.server, from, message, &voters);
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

/// Notes what a proposer hears. Returns what to say if that makes a majority, which the proposer is part of if it votes.
fn hears(
    runs: &mut BTreeMap<Run, Seen>,
    server: usize,
    from: usize,
    message: &Brief,
    voters: &Voters,
) -> Option<(String, u64)> {
    let run = run_of(server, message)?;
    let height = run.1;
    let voters = voters.in_run(&run);
    let seen = runs.get_mut(&run)?;
    let (who, what) = match &*message.kind {
        "promise" => (&mut seen.promised, "promise"),
        "accepted" => (&mut seen.accepted, "accepted"),
        _ => return None,
    };
    let is_new = voters.contains(&from) && who.insert(from);
    let (count, all) = (who.len() + usize::from(voters.contains(&server)), voters.len());
    (is_new && count == all / 2 + 1)
        .then(|| (format!("majority reached: {count} of {all} {what}"), height))
}

/// Who votes in each run. Members without a vote are asked for their logs, too, and are shown a block once it is
/// chosen; but before, only voters are asked to accept it.
struct Voters {
    all: BTreeSet<usize>,
    /// Whom the proposer of a run asked to accept before anybody had accepted, by the place of the first request.
    asked: BTreeMap<Run, (usize, BTreeSet<usize>)>,
}

impl Voters {
    fn of(story: &Story) -> Voters {
        let mut asked: BTreeMap<Run, (usize, BTreeSet<usize>)> = BTreeMap::new();
        let mut is_accepted: BTreeSet<Run> = BTreeSet::new();
        for (place, event) in story.events.iter().enumerate() {
            match &event.deed {
                Deed::Sent { to, message, .. } if message.kind == "accept" => {
                    let run = run_of(event.server, message);
                    if let Some(run) = run.filter(|run| !is_accepted.contains(run)) {
                        asked.entry(run).or_insert((place, BTreeSet::new())).1.insert(*to);
                    }
                }
                Deed::Received { message, .. } if message.kind == "accepted" => {
                    is_accepted.extend(run_of(event.server, message));
                }
                _ => {}
            }
        }
        Voters { all: (0..story.servers.len()).collect(), asked }
    }

    /// Returns who votes in a run; everybody if no run tells otherwise.
    fn in_run(&self, run: &Run) -> BTreeSet<usize> {
        let (proposer, height, _) = run;
        let Some((place, asked)) = self.asked.get(run) else {
            // A run that asked nobody to accept has the voters of the run that is next to it.
            let next = self.asked.keys().min_by_key(|(_, of, _)| of.abs_diff(*height));
            return next.map_or_else(|| self.all.clone(), |next| self.in_run(next));
        };
        // The proposer asks itself without a message. By the runs of others it votes, or not.
        let others = self.asked.iter().filter(|((other, ..), _)| other != proposer);
        let nearest = others.min_by_key(|(_, (at, _))| at.abs_diff(*place));
        let votes = nearest.is_none_or(|(_, (_, asked))| asked.contains(proposer));
        asked.iter().chain(votes.then_some(proposer)).copied().collect()
    }
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

    /// Five servers, of which D and E have no vote: D answers all, E proposes.
    #[test]
    fn members_without_a_vote_make_no_majority() {
        let mut events = Vec::new();
        let mut run = |proposer: usize, ballot: &str| {
            let others: Vec<usize> = (0..5).filter(|other| *other != proposer).collect();
            let voters = others.iter().filter(|other| **other < 3);
            others
                .iter()
                .for_each(|to| tell(&mut events, proposer, *to, &message("prepare", Some(ballot))));
            for from in [3, 1, 2].into_iter().filter(|from| *from != proposer) {
                tell(&mut events, from, proposer, &message("promise", Some(ballot)));
            }
            voters
                .clone()
                .for_each(|to| tell(&mut events, proposer, *to, &message("accept", Some(ballot))));
            tell(&mut events, 1, proposer, &message("accepted", Some(ballot)));
            // It is shown the block once it is chosen, and says so.
            tell(&mut events, proposer, 3, &message("accept", Some(ballot)));
            tell(&mut events, 3, proposer, &message("accepted", Some(ballot)));
            tell(&mut events, 2, proposer, &message("accepted", Some(ballot)));
        };
        run(0, "1.A");
        run(4, "2.E");
        let servers = ["A", "B", "C", "D", "E"].map(|id| id.parse().unwrap()).to_vec();
        let story = with_phases(Story { servers, events });
        let reached: Vec<(usize, &str, usize)> = (story.events.iter().enumerate())
            .filter_map(|(at, event)| match &event.deed {
                Deed::Phase { words, .. } if words.starts_with("majority") => {
                    let Deed::Received { sent: Some(sent), .. } = story.events[at - 1].deed else {
                        panic!()
                    };
                    Some((event.server, &**words, story.events[sent].server))
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            reached,
            [
                // A is one of them, E is not.
                (0, "majority reached: 2 of 3 promise", 1),
                (0, "majority reached: 2 of 3 accepted", 1),
                (4, "majority reached: 2 of 3 promise", 2),
                (4, "majority reached: 2 of 3 accepted", 2),
            ]
        );
    }
}
