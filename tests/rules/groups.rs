//! Several accounts at one home: openings, linked groups, payees that only others know.

use paxos_banking::bank::effects::{Timer, TimerCommand, Write};
use paxos_banking::bank::ids::WaitId;
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::limits::Limits;
use paxos_banking::bank::reason::{Code, Reason};
use paxos_banking::bank::request::{Instruction, Outcome, Request};
use paxos_banking::bank::server::Config;

use crate::stage::*;

const FIRST: Timer = Timer::Deadline(WaitId(1));
const SECOND: Timer = Timer::Deadline(WaitId(2));

fn ask(stage: &mut Stage, action: Action) -> Said {
    stage.request(Request::One(Instruction::plain(action)))
}

/// All but the last linked to the one after it; numbered from here on.
fn group(actions: &[Action], first: u64) -> Vec<Instruction> {
    let numbers = first..first + actions.len() as u64;
    let numbered = actions.iter().cloned().zip(numbers).map(|(action, n)| numbered(action, n));
    let mut group: Vec<Instruction> =
        numbered.map(|instruction| Instruction { linked: true, ..instruction }).collect();
    group.last_mut().unwrap().linked = false;
    group
}

fn ask_linked(stage: &mut Stage, actions: &[Action], first: u64) -> Said {
    stage.request(Request::Batch(group(actions, first)))
}

fn limited(limits: Limits) -> Stage {
    Stage::open_as(Config { limits, ..config() })
}

/// Each outcome in a word, with what is said or the seq.
fn words(said: &Said) -> Vec<String> {
    let word = |outcome| match outcome {
        Outcome::Accepted { seq, balance, via, .. } => format!("{seq} leaves {balance} ({via:?})"),
        Outcome::Refused { reason, .. } => format!("refused: {reason}"),
        Outcome::Unavailable { reason } => format!("unavailable: {reason}"),
        Outcome::Invalid { reason } => format!("invalid: {reason}"),
        Outcome::LinkedFailed { reason } => format!("linked: {reason}"),
        other => format!("{other:?}"),
    };
    said.outcomes().into_iter().map(word).collect()
}

/// A/x is open, with so much.
fn open_x(stage: &mut Stage, amount: u64) {
    ask(stage, opens("A/x"));
    ask(stage, pays("A", "A/x", amount));
}

#[test]
fn a_group_happens_together_and_in_one_element() {
    let mut stage = limited(Limits { element: 3, ..Limits::default() });
    let all = [opens("A/x"), pays("A", "A/x", 60), pays("A/x", "B", 20)];
    let said = ask_linked(&mut stage, &all, 1);
    let expected = ["1 leaves 0 (Local)", "2 leaves 9940 (Local)", "3 leaves 40 (Local)"];
    assert_eq!(words(&said), expected);
    let [Write::Log(element)] = &said.writes[..] else { panic!("{said:?}") };
    assert_eq!(element.records().iter().map(|r| r.linked).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(words(&ask_linked(&mut stage, &all, 1))[2], "3 leaves 40 (Local)", "a retry");
    assert_eq!((stage.status().log_length, stage.status().accounts), (3, 4));
    let pays = pays("A", "B", 1);
    let four = ask_linked(&mut stage, &[pays.clone(), pays.clone(), pays.clone(), pays], 4);
    assert_eq!(words(&four)[3], "invalid: at most 3 can be linked, not 4");
    assert_eq!(words(&four)[0], "linked: number 4 of its linked group has not happened");
}

#[test]
fn two_groups_of_one_request_are_apart() {
    let mut stage = Stage::open();
    let mut both = group(&[pays("A", "B", 1), pays("A", "B", 0)], 1);
    both.extend(group(&[pays("A", "B", 2), pays("A", "B", 3)], 3));
    let expected = [
        "linked: number 2 of its linked group has not happened",
        "invalid: the amount must be at least 1",
        "1 leaves 9998 (Local)",
        "2 leaves 9995 (Local)",
    ];
    assert_eq!(words(&stage.request(Request::Batch(both))), expected);
    let mut torn = group(&[pays("A", "B", 1)], 5);
    torn[0].linked = true;
    let words = words(&stage.request(Request::Batch(torn)));
    assert_eq!(words, ["invalid: the last of a request can't be linked to one after it"]);
}

#[test]
fn what_joins_those_that_were_decided_does_not_happen() {
    let mut stage = Stage::open();
    stage.pay(1, 1);
    let mixed = [pays("A", "B", 1), pays("A", "B", 2)];
    let said = ask_linked(&mut stage, &mixed, 1);
    let invalid = ["invalid: ", ": others of its linked group were decided before, without it"];
    assert!(words(&said)[0].contains("was something else"), "it was not linked");
    assert_eq!(words(&said)[1], format!("invalid{}", invalid[1]));
    assert_eq!(words(&stage.pay(2, 2)), [format!("invalid{}", invalid[1])], "nor later");
}

#[test]
fn the_log_and_the_accounts_have_bounds() {
    let mut stage = limited(Limits { log: 3, accounts: 4, ..Limits::default() });
    assert_eq!(words(&ask(&mut stage, opens("A/x"))), ["1 leaves 0 (Local)"]);
    let full = "unavailable: there are 4 accounts, the most there can be";
    assert_eq!(words(&ask(&mut stage, opens("A/y"))), [full]);
    let pair = [pays("A", "B", 1), pays("A", "B", 1)];
    assert_eq!(words(&ask_linked(&mut stage, &pair, 1)).len(), 2, "which opens nothing");
    assert_eq!(stage.status().log_length, 3);
    let full = "unavailable: the local log holds 3 entries: settle first";
    assert_eq!(words(&stage.pay(1, 3)), [full]);
}

#[test]
fn accounts_of_one_group_count_together() {
    let mut stage = limited(Limits { accounts: 5, ..Limits::default() });
    let three = [opens("A/x"), opens("A/y"), opens("A/z")];
    let said = ask_linked(&mut stage, &three, 1);
    assert!(words(&said)[2].starts_with("unavailable: there are 5"), "{said:?}");
    assert_eq!(words(&ask_linked(&mut stage, &three[..1], 4)).len(), 1);
    assert_eq!(stage.status().accounts, 4);
}

#[test]
fn an_account_that_is_open_is_refused_with_what_it_holds() {
    let mut stage = Stage::open();
    open_x(&mut stage, 25);
    let refused = Outcome::Refused {
        reason: Reason::new(Code::AccountExists, "A/x is open already"),
        balance: units(25),
        consulted: vec![id("A")],
        not_consulted: vec![],
    };
    assert_eq!(ask(&mut stage, opens("A/x")).outcomes(), [refused]);
}

#[test]
fn other_accounts_of_a_home_are_not_held_up() {
    let mut stage = Stage::open();
    open_x(&mut stage, 25);
    assert!(stage.pay(TOO_MUCH, 1).outcomes().is_empty());
    assert_eq!(words(&ask(&mut stage, pays("A/x", "B", 5))), ["3 leaves 20 (Local)"]);
    assert_eq!(words(&ask(&mut stage, pays("A/x", "A", 5))), ["4 leaves 15 (Local)"]);
    assert!(stage.pay(1, 2).outcomes().is_empty(), "A itself is");
    assert_eq!(stage.status().waiting, 2);
}

#[test]
fn a_group_waits_in_the_queues_of_all_that_it_debits() {
    let mut stage = Stage::open();
    open_x(&mut stage, 25);
    let both = [pays("A/x", "B", 5), pays("A", "B", OPENING)];
    assert!(ask_linked(&mut stage, &both, 1).sets(FIRST));
    assert!(ask(&mut stage, pays("A/x", "C", 1)).sets(SECOND), "behind it");
    assert_eq!(stage.status().waiting, 3);
    let expected = [
        "unavailable: no Paxos run got through in time, though all servers are connected",
        "linked: number 1 of its linked group has not happened",
        "3 leaves 24 (Paxos)",
    ];
    assert_eq!(words(&stage.time_out(FIRST)), expected);
}

#[test]
fn a_credit_serves_what_waits_for_it() {
    let mut stage = Stage::open();
    open_x(&mut stage, 25);
    assert!(ask(&mut stage, pays("A/x", "B", 30)).sets(FIRST));
    let said = ask(&mut stage, pays("A", "A/x", 5));
    assert_eq!(words(&said), ["3 leaves 9970 (Local)", "4 leaves 0 (Paxos)"]);
    assert!(said.cancels(FIRST));
    assert_eq!(stage.status().run, "idle", "nothing needs it any more");
}

#[test]
fn a_group_that_can_never_happen_does_not_wait_for_its_run() {
    let mut stage = Stage::open();
    let both = [pays("A", "B", TOO_MUCH), opens("A/x")];
    assert!(ask_linked(&mut stage, &both, 1).outcomes().is_empty());
    assert!(ask(&mut stage, opens("A/x")).outcomes().len() == 1);
    let said = stage.win(1, vec![element("B", OPENING)], vec![]);
    // The money is there, but the account is open by now.
    let expected =
        ["linked: number 2 of its linked group has not happened", "refused: A/x is open already"];
    assert_eq!(words(&said), expected);
    assert!(said.cancels(FIRST));
}

#[test]
fn a_group_of_which_one_is_not_covered_names_it() {
    let mut stage = Stage::open();
    let both = [pays("A", "B", 1), pays("A", "B", OPENING)];
    let said = ask_linked(&mut stage, &both, 1);
    assert!(said.outcomes().is_empty() && said.asked().len() == 2);
    let expected = [
        "linked: number 2 of its linked group has not happened",
        "refused: insufficient funds: A has 10000 (9999 after the earlier parts of its linked group), 10000 asked",
    ];
    let said = stage.win(1, vec![], vec![]);
    assert_eq!(words(&said), expected);
    let balance = match &said.outcomes()[1] {
        Outcome::Refused { balance, .. } => *balance,
        other => panic!("{other:?}"),
    };
    assert_eq!(balance, units(OPENING), "of which nothing has been paid");
    assert_eq!(words(&ask_linked(&mut stage, &both, 1)), expected, "a retry hears the same");
}

#[test]
fn a_payee_that_only_others_know_is_looked_for() {
    let mut stage = Stage::open();
    let said = ask(&mut stage, pays("A", "B/bob", 7));
    assert!(said.sets(FIRST) && said.sets(Timer::LookUp) && said.asked().len() == 2);
    let said = stage.win(1, vec![element_of(1, [opens("B/bob")])], vec![]);
    assert_eq!(words(&said), ["1 leaves 9993 (Paxos)"]);
    assert!(said.cancels(FIRST));
}

#[test]
fn a_payee_that_nobody_knows_is_refused_and_the_next_waits_a_while() {
    let mut stage = Stage::open();
    ask(&mut stage, pays("A", "B/bob", 7));
    let said = stage.win(1, vec![], vec![]);
    let refused = Outcome::Refused {
        reason: Reason::new(Code::UnknownAccount, "there is no account B/bob"),
        balance: units(OPENING),
        consulted: ["A", "B", "C"].map(id).to_vec(),
        not_consulted: vec![],
    };
    assert_eq!(said.outcomes(), [refused]);
    let said = ask(&mut stage, pays("A", "C/carl", 7));
    assert!(said.asked().is_empty() && said.sets(SECOND));
    let said = stage.time_out(Timer::LookUp);
    assert!(said.asked().len() == 2 && said.sets(Timer::LookUp));
}

#[test]
fn who_waits_for_money_is_not_held_up_by_the_rest_of_lookups() {
    let mut stage = Stage::open();
    open_x(&mut stage, 25);
    ask(&mut stage, pays("A", "B/bob", 7));
    stage.win(1, vec![], vec![]);
    assert!(ask(&mut stage, pays("A", "C/carl", 7)).asked().is_empty());
    let said = ask(&mut stage, pays("A/x", "B", 30));
    assert_eq!(said.asked().len(), 2);
    let set = said.timers.contains(&TimerCommand::Set(Timer::LookUp));
    assert!(!set, "which rest already");
}

#[test]
fn a_group_waits_even_if_it_is_longer_than_all_that_may_wait() {
    let mut stage = limited(Limits { waiting: 2, waiting_anyway: 1, ..Limits::default() });
    let three = [pays("A", "B", OPENING), pays("A", "C", 1), pays("A", "C", 1)];
    assert!(ask_linked(&mut stage, &three, 1).outcomes().is_empty());
    assert_eq!(stage.status().waiting, 3);
    let full = "unavailable: already 2 transfers wait at this server";
    assert_eq!(words(&stage.pay(1, 4)), [full]);
    assert_eq!(words(&stage.pay(1, 4)), [full], "for a retry as well");
}

#[test]
fn a_payee_in_a_block_of_another_server_is_known_from_then_on() {
    let mut stage = Stage::open();
    let one = block_of(&genesis(), [("B", element_of(1, [opens("B/bob"), pays("B", "B/bob", 3)]))]);
    stage.hear(OF_B, accept("B", 1, &one));
    let said = stage.hear(OF_B, commit(&one));
    let [.., Write::Append { pages, derived, trim: 0, .. }] = &said.writes[..] else {
        panic!("{said:?}")
    };
    let [page] = &pages[..] else { panic!("{pages:?}") };
    let named = page.balances.iter().map(|(name, held)| (name.as_str(), held.units()));
    let expected = [("A", OPENING), ("B", OPENING - 3), ("C", OPENING), ("B/bob", 3)];
    assert_eq!((page.number, page.height), (0, 1));
    assert_eq!(named.collect::<Vec<_>>(), expected);
    assert_eq!(derived.included[&id("B")].seq, 2);
    assert_eq!(words(&ask(&mut stage, pays("A", "B/bob", 7))), ["1 leaves 9993 (Local)"]);
    assert_eq!(stage.status().accounts, 4);
}

#[test]
fn a_group_overtakes_nothing_of_any_account_that_it_debits() {
    let mut stage = Stage::open();
    open_x(&mut stage, 25);
    ask(&mut stage, opens("A/y"));
    ask(&mut stage, pays("A", "A/y", 9));
    stage.pay(TOO_MUCH, 1);
    let both = [pays("A/x", "B", 5), pays("A", "B", 1)];
    assert!(ask_linked(&mut stage, &both, 2).sets(SECOND), "A's transfer goes first");
    // Now A/x is looked at, where the group is the first.
    let said = ask(&mut stage, pays("A/y", "A/x", 9));
    assert_eq!(words(&said), ["5 leaves 0 (Local)"]);
    assert_eq!(stage.status().waiting, 3);
    let said = stage.time_out(FIRST);
    assert_eq!(words(&said)[1..], ["6 leaves 29 (Paxos)", "7 leaves 9965 (Paxos)"]);
}
