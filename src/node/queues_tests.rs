//! Which client is served when.

use super::*;
use crate::bank::amount::Amount;
use crate::bank::ledger::entry::Action;

const GREEDY: u64 = 8;
const MODEST: u64 = 9;

fn ask(weight: usize, linked: bool) -> Ask {
    let (from, to) = ("A".parse().unwrap(), "B".parse().unwrap());
    let action = Action::Transfer { from, to, amount: Amount::new(1).unwrap() };
    let instruction = Instruction { linked, ..Instruction::plain(action) };
    let request = match weight {
        1 => Request::One(instruction),
        _ => Request::Batch(vec![instruction; weight]),
    };
    let (number, came) = (Some(7), Instant::now());
    Ask { number, request, came, weight, is_little: weight <= 16, _untaken: None }
}

fn asks(queues: &mut Queues, connection: u64, weight: usize) {
    queues.push(Incoming::Asked(ConnectionId(connection), ask(weight, false)));
}

/// Returns what a turn takes in: of which connection, and how many items.
fn turn(queues: &mut Queues, now: Instant) -> Vec<(u64, usize)> {
    let mut allowance = queues.begin(now);
    let next = || queues.next(&mut allowance);
    let taken = std::iter::from_fn(next).map(|incoming| match incoming {
        Incoming::Request(id, Event::Request(_, _, request), _) => (id.0, weight(&request)),
        Incoming::Request(id, Event::Part(_, _, part), _) => (id.0, part.instructions.len()),
        other => panic!("{other:?}"),
    });
    taken.collect()
}

#[test]
fn a_turn_takes_in_a_bounded_number_of_items_and_connections_are_served_in_turn() {
    let (mut queues, now) = (Queues::default(), Instant::now());
    for _ in 0..100 {
        (0..GREEDY).for_each(|connection| asks(&mut queues, connection, 5_000));
    }
    asks(&mut queues, MODEST, 100);
    let first = turn(&mut queues, now);
    assert_eq!(first.iter().map(|(_, items)| items).sum::<usize>(), TURN, "no more than a turn's");
    assert_eq!(first[..GREEDY as usize], [0, 1, 2, 3, 4, 5, 6, 7].map(|id| (id, SHARE)));
    assert_eq!(
        first[GREEDY as usize],
        (MODEST, 100),
        "it waits for one share of each, not for all"
    );
    for round in 0..8 {
        let second = turn(&mut queues, now);
        assert!(second.iter().all(|(_, items)| *items <= SHARE), "{round}: {second:?}");
    }
}

#[test]
fn who_asks_for_little_goes_first_but_others_are_served_too() {
    let (mut queues, now) = (Queues::default(), Instant::now());
    (0..GREEDY).for_each(|connection| asks(&mut queues, connection, 5_000));
    let mut served = 0;
    for number in 0..10 {
        asks(&mut queues, MODEST, 1);
        let taken = turn(&mut queues, now);
        assert_eq!(taken[0], (MODEST, 1), "first, however much waits");
        let items: usize = taken.iter().map(|(_, items)| items).sum();
        assert!(items <= SHORT_TURN, "its turn is short");
        assert_eq!(taken.len() == 1, number % 2 == 0, "and every other one is its own");
        served += items - 1;
    }
    assert_eq!(served, 5 * (SHORT_TURN - 1));
    assert!(turn(&mut queues, now).iter().map(|(_, items)| items).sum::<usize>() <= SHORT_TURN);
    let later = now + SHORT_FOR;
    let items: usize = turn(&mut queues, later).iter().map(|(_, items)| items).sum();
    assert_eq!(items, TURN, "nobody waits for the end of this one");
}

#[test]
fn a_batch_comes_in_parts_that_are_whole_again() {
    let (mut queues, now) = (Queues::default(), Instant::now());
    asks(&mut queues, 1, 2_500);
    asks(&mut queues, 2, 1_000);
    queues.push(Incoming::Connection(ConnectionId(1), Event::Closed(ConnectionId(1))));
    let mut allowance = queues.begin(now);
    let all: Vec<Incoming> = std::iter::from_fn(|| queues.next(&mut allowance)).collect();
    let [first, _, second, third, end] = &all[..] else { panic!("{all:?}") };
    let part = |incoming: &Incoming| match incoming {
        Incoming::Request(ConnectionId(1), Event::Part(_, Some(7), part), _) => {
            (part.before, part.instructions.len(), part.after)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        [first, second, third].map(part),
        [(0, 1_000, 1_500), (1_000, 1_000, 500), (2_000, 500, 0)]
    );
    assert!(matches!(end, Incoming::Connection(..)), "the end comes after all of it");
    assert!(queues.is_empty());
}

#[test]
fn linked_instructions_are_not_parted() {
    let (mut queues, now) = (Queues::default(), Instant::now());
    let id = ConnectionId(1);
    let mut linked = ask(3_000, true);
    if let Request::Batch(instructions) = &mut linked.request {
        instructions[1_499].linked = false;
    }
    queues.push(Incoming::Asked(id, linked));
    assert_eq!(turn(&mut queues, now), [(1, 1_500), (1, 1_500)]);
}
