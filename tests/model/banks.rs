//! What is explored. Each bank has three servers, and all bounds on what happens to it are here.

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::server::Habit;

use crate::Exploration;
use crate::delivery::place;
use crate::state::{Budget, Wish};
use crate::steps::Bank;

/// An exploration, as it stands in a list.
fn exploration(name: &'static str, states: usize, bank: Bank) -> Exploration<Bank> {
    Exploration { name, states, bank }
}

fn action_pays(from: &str, to: &str, amount: u64) -> Action {
    let amount = Amount::new(amount).expect("an amount");
    let account = |name: &str| name.parse().expect("an account");
    Action::Transfer { from: account(from), to: account(to), amount }
}

/// Of which all happens, or nothing.
fn linked<const N: usize>(group: [Action; N]) -> Wish {
    let subject = group[0].subject().expect("a client's instruction");
    let home = subject.home().parse().expect("a server");
    Wish { home: place(&home), group: group.into(), settled: false, patient: false }
}

fn pays(from: &str, to: &str, amount: u64) -> Wish {
    linked([action_pays(from, to, amount)])
}

fn opens(account: &str) -> Wish {
    linked([Action::open(account.parse().expect("an account"))])
}

fn settled(wish: Wish) -> Wish {
    Wish { settled: true, ..wish }
}

fn patient(wish: Wish) -> Wish {
    Wish { patient: true, ..wish }
}

/// Nothing goes wrong, and messages overtake each other.
fn fair(wishes: Vec<Wish>) -> Bank {
    Bank {
        wishes,
        granted: 0,
        budget: Budget::default(),
        habit: Habit::default(),
        limits: Limits::default(),
        in_order: false,
        rounds: 1,
    }
}

/// B pays A, out of which A can pay C more than it had at the start: by a run, if B's entry is in
/// time, or else it is refused.
fn one_needs_a_run() -> Vec<Wish> {
    vec![pays("B", "A", 5), pays("A", "C", 12)]
}

/// The same, but what A pays C is linked to a payment to B.
fn a_pair_needs_a_run() -> Vec<Wish> {
    let pair = linked([action_pays("A", "B", 1), action_pays("A", "C", 12)]);
    vec![pays("B", "A", 5), pair]
}

/// One transfer that needs a run, then another of the same account, which needs the next.
fn one_needs_two_runs() -> Vec<Wish> {
    vec![pays("B", "A", 5), pays("A", "C", 12), pays("A", "B", 9)]
}

/// Two servers need runs, and compete.
fn two_need_runs() -> Vec<Wish> {
    vec![pays("B", "A", 5), pays("A", "C", 12), pays("C", "B", 12)]
}

/// B pays to an account that is opened at A meanwhile.
fn a_payee_is_new() -> Vec<Wish> {
    vec![opens("A/x"), pays("A", "A/x", 3), pays("B", "A/x", 4)]
}

/// The same, and B pays to another account that nobody has opened.
fn payees_are_asked_for_twice() -> Vec<Wish> {
    vec![opens("A/x"), pays("B", "A/x", 4), pays("B", "A/y", 4)]
}

/// B pays A more than one block takes of it; A can pay C some of that, but not all that it wants.
fn logs_are_cut(amount: u64) -> Vec<Wish> {
    vec![pays("B", "A", 1), pays("B", "A", 2), pays("A", "C", amount)]
}

/// One entry of each server's fits into a block.
fn narrow(bank: Bank) -> Bank {
    Bank { limits: Limits { element: 1, block: 3, ..Limits::default() }, ..bank }
}

/// Nobody needs anything.
fn two_pay() -> Vec<Wish> {
    vec![pays("B", "A", 5), pays("B", "C", 1), pays("A", "C", 1)]
}

/// A waits for money that B pays.
fn one_is_patient_alone() -> Vec<Wish> {
    vec![patient(pays("A", "C", 12)), pays("B", "A", 5)]
}

/// A new account waits for money, and comes to twice what it waits for.
fn twice_comes_what_is_waited_for() -> Vec<Wish> {
    let waits = patient(pays("A/x", "C", 2));
    vec![opens("A/x"), waits, pays("A", "A/x", 2), pays("A", "A/x", 2)]
}

/// A waits for money of B's, who settles what it pays.
fn one_is_patient() -> Vec<Wish> {
    vec![patient(pays("A", "C", 12)), settled(pays("B", "A", 5))]
}

/// A would wait no longer for what C is to get, just when B pays more and A spends something else.
fn patience_ends() -> Vec<Wish> {
    vec![pays("B", "A", 4), patient(pays("A", "C", 12)), pays("A", "B", 5), pays("B", "A", 5)]
}

/// The first of them granted before, a second round allowed, and messages in order.
fn later(wishes: Vec<Wish>) -> Bank {
    Bank { granted: 1, rounds: 2, in_order: true, ..fair(wishes) }
}

/// One message after the other, on each way.
fn in_order(bank: Bank) -> Bank {
    Bank { in_order: true, ..bank }
}

fn by_length(most: usize) -> Habit {
    Habit { by_length: Some(most), ..Habit::default() }
}

fn by_age() -> Habit {
    Habit { by_age: true, ..Habit::default() }
}

pub fn quick() -> Vec<Exploration<Bank>> {
    let late_entry = vec![pays("B", "A", 5), pays("B", "C", 1), pays("A", "C", 12)];
    vec![
        exploration(
            "an entry comes late for a run",
            68_064,
            Bank { rounds: 2, ..fair(late_entry) },
        ),
        exploration("a message twice", 17_483, with(fair(one_needs_a_run()), |b| b.duplicates = 1)),
        exploration(
            "a pair, a crash and a retry",
            106_089,
            in_order(with(fair(a_pair_needs_a_run()), |b| (b.crashes, b.retries) = (1, 1))),
        ),
        exploration(
            "a settled transfer, a crash and a retry",
            281_795,
            with(fair(vec![settled(pays("B", "A", 5))]), |b| (b.crashes, b.retries) = (1, 1)),
        ),
        exploration(
            "a retry, and a turn of two events",
            21_999,
            with(fair(one_needs_a_run()), |b| (b.retries, b.shared_turns) = (1, 1)),
        ),
        exploration(
            "a round finished by another",
            28_771,
            with(later(one_needs_a_run()), |b| b.impatience = 1),
        ),
        exploration("a run after a run", 16_369, later(one_needs_two_runs())),
        exploration(
            "what two blocks bring",
            12_923,
            narrow(Bank { rounds: 2, ..in_order(fair(logs_are_cut(13))) }),
        ),
        exploration(
            "what no block brings, and a crash",
            561_317,
            in_order(narrow(with(fair(logs_are_cut(14)), |b| b.crashes = 1))),
        ),
        exploration(
            "a new account is paid, and a turn of two events",
            38_161,
            with(fair(a_payee_is_new()), |b| b.shared_turns = 1),
        ),
        exploration(
            "a new account is asked for again",
            7_106,
            with(later(payees_are_asked_for_twice()), |b| b.passing = 1),
        ),
        exploration(
            "one waits for what is settled",
            59_090,
            in_order(with(fair(one_is_patient()), |b| b.passing = 1)),
        ),
        exploration(
            "one waits, and a crash",
            41_926,
            in_order(with(fair(one_is_patient_alone()), |b| (b.passing, b.crashes) = (1, 1))),
        ),
        exploration(
            "one waits, and twice the money comes",
            8_965,
            with(Bank { rounds: 1, ..later(twice_comes_what_is_waited_for()) }, |b| b.retries = 1),
        ),
        exploration(
            "patience ends in the middle of a run",
            207_189,
            with(later(patience_ends()), |b| b.passing = 1),
        ),
        exploration(
            "a log is settled when it is long",
            8_794,
            Bank { habit: by_length(2), ..fair(two_pay()) },
        ),
        exploration(
            "a log is settled when it is old",
            10_412,
            in_order(Bank { habit: by_age(), ..with(fair(two_pay()), |b| b.passing = 1) }),
        ),
    ]
}

pub fn deep() -> Vec<Exploration<Bank>> {
    vec![
        exploration(
            "impatience, and everything overtakes",
            1_945_973,
            with(Bank { rounds: 2, ..fair(one_needs_a_run()) }, |b| b.impatience = 1),
        ),
        exploration("two compete", 2_367_656, later(two_need_runs())),
        exploration(
            "a pair, a crash, impatience and a retry, and everything overtakes",
            4_308_057,
            with(fair(a_pair_needs_a_run()), |b| (b.crashes, b.impatience, b.retries) = (1, 1, 1)),
        ),
        exploration(
            "one waits, a crash and a retry, and everything overtakes",
            618_271,
            with(fair(one_is_patient_alone()), |b| (b.passing, b.crashes, b.retries) = (1, 1, 1)),
        ),
        exploration(
            "a new account is paid, a crash and a retry",
            1_144_901,
            in_order(with(fair(a_payee_is_new()), |b| (b.crashes, b.retries) = (1, 1))),
        ),
    ]
}

/// The bank, with more that may go wrong.
fn with(mut bank: Bank, change: impl FnOnce(&mut Budget)) -> Bank {
    change(&mut bank.budget);
    bank
}
