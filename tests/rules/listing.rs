//! The list of all accounts: by the beginning of their names, in pages, with what they hold.

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ledger::balances::{Balances, View};
use paxos_banking::bank::ledger::trial::Trial;
use paxos_banking::bank::limits::{MAX_PAGE, PAGE};

use crate::stage::*;

/// A and B, founded with 100 each, and these accounts opened here, in this order.
fn balances(opened: &[&str]) -> Balances {
    let mut balances = Balances::new(7, PAGE);
    balances.found(["A", "B"].map(|name| (account(name), units(100))));
    opened.iter().for_each(|name| balances.apply(&opens(name)).expect("it is new"));
    balances
}

/// The names alone, of a list that doesn't go on.
fn names(balances: &Balances, prefix: &str, after: Option<&str>) -> Vec<String> {
    let after = after.map(account);
    let (listed, more) = balances.list(prefix, after.as_ref(), usize::MAX);
    assert!(!more);
    listed.into_iter().map(|listed| listed.account.to_string()).collect()
}

#[test]
fn where_no_bank_was_founded_nothing_is_listed() {
    assert_eq!(Balances::new(7, PAGE).list("", None, 9), (vec![], false));
}

#[test]
fn an_account_is_listed_without_a_balance_until_a_block_opens_it() {
    let mut balances = balances(&["A/bob", "A/alice"]);
    let committed = |balances: &Balances| -> Vec<(String, Option<u64>)> {
        let (listed, more) = balances.list("A", None, 9);
        assert!(!more);
        let plain = |units: Option<Amount>| units.map(Amount::units);
        listed.iter().map(|one| (one.account.to_string(), plain(one.committed))).collect()
    };
    let named = |[a, alice, bob]: [Option<u64>; 3]| {
        vec![("A".to_owned(), a), ("A/alice".to_owned(), alice), ("A/bob".to_owned(), bob)]
    };
    balances.apply(&pays("A", "A/alice", 30)).unwrap();
    assert_eq!(committed(&balances), named([Some(100), None, None]));
    let mut trial = Trial::new(&balances, View::Committed);
    for action in [opens("A/alice"), opens("A/bob"), pays("A", "A/alice", 30)] {
        trial.apply(&action).unwrap();
    }
    let changes = trial.into_changes();
    balances.commit(changes, 1);
    // Once each, though it was known before.
    assert_eq!(committed(&balances), named([Some(70), Some(30), Some(0)]));
}

#[test]
fn an_account_of_another_server_comes_with_its_block() {
    let mut balances = balances(&["A/x"]);
    let mut trial = Trial::new(&balances, View::Committed);
    ["B/y", "B/z", "A/x"].iter().for_each(|name| trial.apply(&opens(name)).unwrap());
    let changes = trial.into_changes();
    assert_eq!(names(&balances, "", None), ["A", "A/x", "B"]);
    balances.commit(changes, 1);
    assert_eq!(names(&balances, "", None), ["A", "A/x", "B", "B/y", "B/z"]);
    assert_eq!(names(&balances, "B/", None), ["B/y", "B/z"]);
}

#[test]
fn accounts_are_listed_by_the_beginning_of_their_names() {
    let balances = balances(&["A/a", "A/a-1", "A/a.1", "A/aa", "A/ab", "A/b", "A/A", "AB", "A1/a"]);
    let all = ["A", "A/A", "A/a", "A/a-1", "A/a.1", "A/aa", "A/ab", "A/b", "A1/a", "AB", "B"];
    let names = |prefix, after| names(&balances, prefix, after);
    assert_eq!(names("", None), all);
    assert_eq!(names("A", None), all[..10]);
    assert_eq!(names("A/a", None), all[2..7]);
    assert_eq!(names("A/a", Some("A/a")), all[3..7]);
    assert_eq!(names("A/a", Some("A/a0")), all[5..7], "after a name that there isn't");
    assert_eq!(names("A/a", Some("A")), all[2..7], "after one that comes before them all");
    assert_eq!(names("", Some("A/a-1")), all[4..]);
    assert_eq!(names("A/b", None), ["A/b"]);
    // Beyond the end, and what no name begins with.
    assert!(names("A/a", Some("A/b")).is_empty());
    for none in ["A/c", "a", "é", "\u{10ffff}", "+", "-", "[", "(A", "\0", "A\n"] {
        assert!(names(none, None).is_empty(), "{none:?}");
        assert!(names(none, Some("A")).is_empty(), "{none:?}");
    }
}

#[test]
fn a_list_comes_in_pages() {
    let all: Vec<String> = (0..MAX_PAGE + 5).map(|number| format!("A/{number:05}")).collect();
    // Opened in another order than that of their names.
    let backwards: Vec<&str> = all.iter().rev().map(String::as_str).collect();
    let balances = balances(&backwards);
    for limit in [1, 1 + MAX_PAGE / 3, MAX_PAGE - 1, MAX_PAGE, all.len(), usize::MAX] {
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().map(|last| account(last));
            let (page, more) = balances.list("A/", after.as_ref(), limit);
            assert!(page.len() <= limit);
            found.extend(page.into_iter().map(|listed| listed.account.to_string()));
            assert_eq!(more, found.len() < all.len());
            if !more {
                break;
            }
        }
        assert_eq!(found, all);
    }
    assert_eq!(balances.list("A/", None, 0), (vec![], true));
    assert_eq!(balances.list("A/x", None, 0), (vec![], false));
}
