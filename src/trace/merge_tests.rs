//! Tests of [`super`].

use super::*;
use crate::trace::record::Queue;

fn server(id: &str) -> ServerId {
    id.parse().unwrap()
}

fn record(id: &str, us: u64, what: What) -> Record {
    Record { server: server(id), clock: 1, us, what }
}

fn start(id: &str, us: u64) -> Record {
    record(id, us, What::Start { life: "00000000000000ff".parse().unwrap() })
}

fn prepare(height: u64) -> Brief {
    Brief { kind: "prepare".into(), height: Some(height), ..Brief::default() }
}

fn place(number: u64) -> Place {
    Place { connection: "5-6".into(), queue: Queue::Small, number }
}

fn sent(from: &str, to: &str, us: u64, number: u64) -> Record {
    let (to, place, message) = (server(to), place(number), prepare(number));
    record(from, us, What::Sent { to, place, message })
}

fn received(by: &str, from: &str, us: u64, number: u64) -> Record {
    let (from, place, message) = (server(from), place(number), prepare(number));
    record(by, us, What::Received { from, place, message })
}

fn appended(id: &str, us: u64, height: u64) -> Record {
    let (hash, proposer) = ("00ff00ff".into(), Some(server("A")));
    record(id, us, What::Appended { height, hash, proposer, entries: 1 })
}

/// Tells the story in short: which server did what.
fn told(story: &Story) -> Vec<String> {
    let tell = |event: &Event| {
        let who = &story.servers[event.server];
        let what = match &event.deed {
            Deed::Started { again: false } => "starts".into(),
            Deed::Started { again: true } => "starts again".into(),
            Deed::Crashed => "crashes".into(),
            Deed::Sent { message, fate, .. } => match fate {
                Delivery::Arrived(_) => format!("sends {}", message.height.unwrap()),
                Delivery::Lost => format!("loses {}", message.height.unwrap()),
                Delivery::Unknown => format!("sends {} to who knows", message.height.unwrap()),
            },
            Deed::Received { message, sent } => {
                let from =
                    sent.map_or("nobody", |sent| story.servers[story.events[sent].server].as_str());
                format!("hears {} from {from}", message.height.unwrap())
            }
            Deed::Noted(What::Appended { height, .. }) => format!("appends {height}"),
            Deed::Noted(_) => "does something".into(),
            Deed::Phase { words, .. } | Deed::Told(words) => words.clone(),
        };
        format!("{who} {what}")
    };
    story.events.iter().map(tell).collect()
}

#[test]
fn what_is_sent_comes_before_what_is_received_whatever_the_clocks_say() {
    let story = merge(vec![
        start("A", 1_000),
        sent("A", "B", 1_100, 1),
        // B's clock is slow.
        start("B", 10),
        received("B", "A", 20, 1),
        sent("B", "A", 30, 1),
        received("A", "B", 1_200, 1),
    ]);
    let expected =
        ["B starts", "A starts", "A sends 1", "B hears 1 from A", "B sends 1", "A hears 1 from B"];
    assert_eq!(told(&story), expected);
    let clocks: Vec<u64> = story.events.iter().map(|event| event.clock).collect();
    assert_eq!(clocks, [1, 1, 2, 3, 4, 5]);
}

#[test]
fn who_starts_again_had_crashed_and_what_was_on_its_way_is_lost() {
    let story = merge(vec![
        start("A", 0),
        sent("A", "B", 30, 1),
        sent("A", "B", 40, 2),
        start("B", 1),
        received("B", "A", 50, 1),
        start("B", 90),
    ]);
    let expected = [
        "A starts",
        "B starts",
        "A sends 1",
        "A loses 2",
        "B hears 1 from A",
        "B crashes",
        "B starts again",
    ];
    assert_eq!(told(&story), expected);
}

#[test]
fn a_trace_that_ends_long_before_the_others_is_that_of_a_server_that_was_killed() {
    let until = |last: u64| {
        let records =
            vec![start("A", 0), start("B", 1), sent("B", "A", 400_000, 1), appended("A", last, 1)];
        told(&merge(records))
    };
    // B's longest pause is 0.4 s.
    assert!(!until(1_590_000).contains(&"B crashes".to_owned()));
    assert!(until(1_610_000).contains(&"B crashes".to_owned()));
}

#[test]
fn nobody_can_tell_what_became_of_the_last_messages_or_of_those_to_who_was_not_traced() {
    let story =
        merge(vec![start("A", 0), start("B", 1), sent("A", "C", 2, 1), sent("A", "B", 3, 2)]);
    let expected = ["A starts", "B starts", "A sends 1 to who knows", "A sends 2 to who knows"];
    assert_eq!(told(&story), expected);
    assert_eq!(story.servers, ["A", "B", "C"].map(server));
}

#[test]
fn ports_that_are_used_again_make_no_confusion() {
    let story = merge(vec![
        start("A", 0),
        sent("A", "B", 10, 1),
        sent("A", "B", 50, 1),
        sent("A", "B", 90, 1),
        start("B", 1),
        received("B", "A", 60, 1),
        received("B", "A", 99, 1),
        appended("B", 120, 1),
    ]);
    let sends: Vec<String> =
        told(&story).into_iter().filter(|line| line.starts_with("A ")).collect();
    assert_eq!(sends, ["A starts", "A loses 1", "A sends 1", "A sends 1"]);
}

#[test]
fn lives_are_put_in_their_order_in_whatever_order_their_files_come() {
    let later = [start("A", 100), appended("A", 110, 2)];
    let earlier = [start("A", 0), appended("A", 10, 1)];
    let story = merge(later.into_iter().chain(earlier).collect());
    let expected = ["A starts", "A appends 1", "A crashes", "A starts again", "A appends 2"];
    assert_eq!(told(&story), expected);
}

#[test]
fn a_part_is_chosen_by_height_or_time_and_messages_stay_whole() {
    let asked = |us| record("A", us, What::Asked { what: "transfer".into() });
    let story = merge(vec![
        start("A", 0),
        asked(5),
        sent("A", "B", 10, 1),
        appended("A", 20, 1),
        sent("A", "B", 30, 2),
        appended("A", 45, 2),
        record("A", 50, What::Answered { what: "accepted".into() }),
        start("B", 1),
        received("B", "A", 15, 1),
        received("B", "A", 40, 2),
    ]);
    let part = |choice| told(&story.chosen(&choice));
    let second = part(Choice { height: Some(2), ..Choice::default() });
    let expected =
        ["A does something", "A sends 2", "B hears 2 from A", "A appends 2", "A does something"];
    assert_eq!(second, expected, "what its client asked, and heard, is there too");
    let micros = |us| Some(Duration::from_micros(us));
    let early = part(Choice { to: micros(12), ..Choice::default() });
    assert_eq!(
        early,
        ["A starts", "B starts", "A does something", "A sends 1", "B hears 1 from A"]
    );
    let late = part(Choice { from: micros(41), ..Choice::default() });
    assert_eq!(late, ["A appends 2", "A does something"]);
}
