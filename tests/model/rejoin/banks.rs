//! What is explored of a server that rejoins.

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ledger::entry::Action;

use super::state::Budget;
use super::{Bank, LOST, Step};
use crate::Exploration;

const THREE: &[&str] = &["A", "B", "C"];
const FIVE: &[&str] = &["A", "B", "C", "D", "E"];

fn pays(from: &str, to: &str, amount: u64) -> Action {
    let amount = Amount::new(amount).expect("an amount");
    let account = |name: &str| name.parse().expect("an account");
    Action::Transfer { from: account(from), to: account(to), amount }
}

/// One newer store, whose server asks to rejoin once, and hears once how far another is.
fn one(servers: &'static [&'static str], asks: Vec<(usize, Action)>) -> Bank {
    let cuts = servers.len() as u8 - 1;
    let budget = Budget { cuts, newer_beats: 1, beats: 1, ..Budget::default() };
    Bank {
        servers,
        newer: 1,
        asks,
        budget,
        begun: Vec::new(),
        chatter_at_once: true,
        one_way: false,
        rounds: 2,
    }
}

/// The bank, with more that may happen.
fn with(mut bank: Bank, change: impl FnOnce(&mut Budget)) -> Bank {
    change(&mut bank.budget);
    bank
}

/// Of what is asked of the old store, the one thing it can do by itself.
fn it_pays() -> (usize, Action) {
    (LOST, pays("C", "A", 3))
}

/// For the other it needs a run.
fn it_pays_much() -> (usize, Action) {
    (LOST, pays("C", "A", 12))
}

fn b_pays_much() -> (usize, Action) {
    (1, pays("B", "A", 12))
}

/// What is asked of the store in its place.
fn the_newer_pays() -> (usize, Action) {
    (3, pays("C", "B", 4))
}

fn exploration(name: &'static str, states: usize, bank: Bank) -> Exploration<Bank> {
    Exploration { name, states, bank }
}

pub fn quick() -> Vec<Exploration<Bank>> {
    let none = || one(THREE, vec![]);
    vec![
        exploration(
            "the old store pays, and comes back",
            132_630,
            with(one(THREE, vec![it_pays()]), |b| b.returns = true),
        ),
        exploration("the newer store pays", 25_235, one(THREE, vec![the_newer_pays()])),
        exploration(
            "the newer store needs a run",
            179_645,
            one(THREE, vec![(3, pays("C", "B", 12))]),
        ),
        exploration(
            "it asks two others",
            14_216,
            with(none(), |b| (b.beats, b.newer_beats) = (0, 2)),
        ),
        exploration(
            "another competes",
            71_877,
            in_one_round(with(one(THREE, vec![b_pays_much()]), |b| b.beats = 0)),
        ),
        exploration(
            "two newer stores in one round",
            122_865,
            in_one_round(with(two(), |b| b.beats = 0)),
        ),
    ]
}

pub fn deep() -> Vec<Exploration<Bank>> {
    let none = || one(THREE, vec![]);
    vec![
        exploration(
            "another competes, and reaches the old store again",
            767_985,
            Bank {
                one_way: true,
                ..in_one_round(with(one(THREE, vec![b_pays_much()]), |b| {
                    (b.beats, b.returns) = (0, true);
                }))
            },
        ),
        exploration(
            "another competes, and the old store pays",
            823_483,
            in_one_round(with(one(THREE, vec![it_pays(), b_pays_much()]), |b| b.beats = 0)),
        ),
        exploration(
            "another competes, and hears of it late",
            1_042_199,
            in_one_round(one(THREE, vec![b_pays_much()])),
        ),
        exploration(
            "the old store competes, and comes back",
            117_914,
            in_one_round(with(one(THREE, vec![it_pays_much()]), |b| {
                (b.beats, b.returns) = (0, true);
            })),
        ),
        exploration(
            "another crashes",
            701_994,
            with(none(), |b| (b.beats, b.crashes, b.newer_beats) = (0, 1, 2)),
        ),
        exploration(
            "what is said about the chain comes late",
            109_193,
            Bank { chatter_at_once: false, ..none() },
        ),
        exploration("two newer stores", 7_777_708, two()),
        exploration("of five servers", 39_680, of_five()),
        exploration("two newer stores, each heard by one", 331_358, each_heard_by_one()),
    ]
}

/// Two newer stores, which ask to rejoin twice between them.
fn two() -> Bank {
    Bank { newer: 2, ..with(one(THREE, vec![]), |b| b.newer_beats = 2) }
}

/// Two newer stores know the chain from both others; each of these takes another of the two for C, and is asked
/// by it to log that it rejoins. One comes too late, and hears so from both: from one by a block, from the other
/// when that one begins a new life.
fn each_heard_by_one() -> Bank {
    let (a, b, one, other) = (0, 1, 3, 4);
    let loses = |peer| [Step::CutOff(peer), Step::Notice(peer)];
    let mut begun: Vec<Step> = [a, b].into_iter().flat_map(loses).collect();
    begun.extend([one, other].map(Step::Start));
    begun.extend([
        Step::Dial(other, a),
        Step::Meet(one, a),
        Step::Dial(one, b),
        Step::Meet(other, b),
    ]);
    // Each learns from its one peer that the bank is open, and asks it.
    let asks =
        [b, other, a, one].into_iter().flat_map(|place| [Step::Beat(place), Step::Send(place)]);
    begun.extend(asks);
    Bank { begun, ..in_one_round(with(two(), |b| (b.beats, b.crashes) = (3, 1))) }
}

/// Of the others E alone still reaches the old store, and alone not yet the newer one.
fn of_five() -> Bank {
    let reached = [0, 1, 3];
    let loses = |other| [Step::CutOff(other), Step::Notice(other)];
    let mut begun: Vec<Step> = reached.into_iter().flat_map(loses).collect();
    begun.push(Step::Start(5));
    begun.extend(reached.map(|other| Step::Meet(5, other)));
    let bank = with(one(FIVE, Vec::new()), |b| (b.cuts, b.beats) = (3, 0));
    Bank { begun, ..in_one_round(bank) }
}

fn in_one_round(bank: Bank) -> Bank {
    Bank { rounds: 1, ..bank }
}
