//! What the block reader finds out of accounts: their list and what is stored of one; each test runs
//! against every kind of store.

mod support;

use std::collections::BTreeMap;

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::block::SealedBlock;
use paxos_banking::bank::effects::Write;
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::bank::limits::MAX_PAGE;
use paxos_banking::store::{AccountState, BlockSource, Store};
use support::disk::{Disk, commit};
use support::samples::*;

contract! {
    a_store_without_a_bank_has_no_accounts,
    block_0_lists_what_it_opens,
    an_account_opened_in_the_log_has_no_committed_balance_until_its_block,
    the_accounts_of_others_come_with_their_block,
    accounts_are_listed_by_prefix,
    a_list_comes_in_pages,
    a_block_may_open_more_accounts_than_one_command_takes,
    what_is_stored_of_an_account_comes_with_the_log_if_asked_for,
    nothing_comes_between_an_account_and_the_log,
}

/// The listed names with their balances, and whether there are more.
fn list(
    reader: &mut dyn BlockSource,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> (Vec<(String, Option<u64>)>, bool) {
    let after = after.map(account);
    let (listed, more) = reader.accounts(prefix, after.as_ref(), limit).unwrap();
    let plain = listed
        .into_iter()
        .map(|found| (found.account.to_string(), found.committed.map(Amount::units)));
    (plain.collect(), more)
}

/// The names alone.
fn names(reader: &mut dyn BlockSource, prefix: &str, after: Option<&str>) -> Vec<String> {
    let (listed, more) = list(reader, prefix, after, MAX_PAGE);
    assert!(!more);
    listed.into_iter().map(|(name, _)| name).collect()
}

/// An element that opens these accounts.
fn opens(names: &[&str]) -> Element {
    element_of(1, names.iter().map(|name| opening(name)).collect())
}

fn a_store_without_a_bank_has_no_accounts<D: Disk>() {
    let disk = D::new();
    let mut reader = disk.open().reader();
    assert_eq!(list(&mut *reader, "", None, 9), (vec![], false));
    let nothing = AccountState { blocks: 0, committed: None, log: Vec::new() };
    assert_eq!(reader.account(&account("A"), true).unwrap(), nothing);
}

fn block_0_lists_what_it_opens<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    commit(&mut store, &mut last, vec![append(&genesis())]);
    let both = vec![("A".to_owned(), Some(100)), ("B".to_owned(), Some(100))];
    assert_eq!(list(&mut *store.reader(), "", None, 9), (both, false));
}

fn an_account_opened_in_the_log_has_no_committed_balance_until_its_block<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let element = element_of(1, vec![opening("A/alice"), record(2), opening("A/bob")]);
    let block = block_after(&genesis(), vec![element.clone()]);
    commit(&mut store, &mut last, vec![append(&genesis()), Write::Log(element)]);
    let mut reader = store.reader();
    let alice = ("A/alice".to_owned(), None);
    assert_eq!(list(&mut *reader, "A/", None, 1), (vec![alice], true));
    assert_eq!(reader.account(&account("A/alice"), false).unwrap().committed, None);

    // It is there after a restart too, before its block and after it, once.
    let mut last = store.load().unwrap().turn.0;
    let balances = [("A", 70), ("A/alice", 30), ("A/bob", 0)];
    commit(&mut store, &mut last, vec![append_with(&block, false, 1, &balances)]);
    let expected = balances.map(|(name, units)| (name.to_owned(), Some(units)));
    assert_eq!(list(&mut *reader, "A", None, 9), (expected.into(), false));
    assert_eq!(reader.account(&account("A/alice"), false).unwrap().committed, Some(amount(30)));
    disk.open().load().unwrap();
}

fn the_accounts_of_others_come_with_their_block<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let logs = [("A", opens(&["A/x"])), ("B", opens(&["B/y", "B/z"]))];
    let logs = logs.map(|(id, element)| (server(id), vec![element]));
    let block = block_of(&genesis(), BTreeMap::from(logs));
    commit(&mut store, &mut last, vec![append(&genesis()), accept(1, &block)]);
    assert_eq!(names(&mut *store.reader(), "", None), ["A", "B"]);
    let balances = [("A/x", 0), ("B/y", 0), ("B/z", 0)];
    commit(&mut store, &mut last, vec![append_with(&block, true, 0, &balances)]);
    assert_eq!(names(&mut *store.reader(), "", None), ["A", "A/x", "B", "B/y", "B/z"]);
    assert_eq!(names(&mut *store.reader(), "B/", None), ["B/y", "B/z"]);
    disk.open().load().unwrap();
}

fn accounts_are_listed_by_prefix<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let some = ["A/a", "A/a-1", "A/a.1", "A/aa", "A/ab", "A/b", "A/A", "AB", "A1/a"];
    commit(&mut store, &mut last, vec![append(&genesis()), Write::Log(opens(&some))]);
    let reader = &mut *store.reader();
    let all = ["A", "A/A", "A/a", "A/a-1", "A/a.1", "A/aa", "A/ab", "A/b", "A1/a", "AB", "B"];
    assert_eq!(names(reader, "", None), all);
    assert_eq!(names(reader, "A", None), all[..10]);
    assert_eq!(names(reader, "A/a", None), all[2..7]);
    assert_eq!(names(reader, "A/a", Some("A/a")), all[3..7]);
    assert_eq!(names(reader, "A/a", Some("A/a0")), all[5..7]);
    assert_eq!(names(reader, "A/a", Some("A")), all[2..7]);
    assert_eq!(names(reader, "", Some("A/a-1")), all[4..]);
    assert_eq!(names(reader, "A/b", None), ["A/b"]);
    // Beyond the end, and what no name begins with, whatever it may mean to Redis.
    assert!(names(reader, "A/a", Some("A/b")).is_empty());
    for none in ["A/c", "a", "é", "\u{10ffff}", "+", "-", "[", "(A", "\0", "A\n"] {
        assert!(names(reader, none, None).is_empty(), "{none:?}");
    }
}

fn a_list_comes_in_pages<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let all: Vec<String> = (0..MAX_PAGE + 5).map(|number| format!("A/{number:05}")).collect();
    let openings = all.iter().map(|name| opening(name)).collect();
    let writes = vec![append(&genesis()), Write::Log(element_of(1, openings))];
    commit(&mut store, &mut last, writes);
    let reader = &mut *store.reader();
    for limit in [1 + MAX_PAGE / 3, MAX_PAGE - 1, MAX_PAGE, usize::MAX] {
        let mut found: Vec<String> = Vec::new();
        loop {
            let (page, more) = list(reader, "A/", found.last().map(String::as_str), limit);
            assert!(page.len() <= limit && page.len() <= MAX_PAGE);
            found.extend(page.into_iter().map(|(name, _)| name));
            assert_eq!(more, found.len() < all.len());
            if !more {
                break;
            }
        }
        assert_eq!(found, all);
    }
    assert_eq!(list(reader, "A/", None, 0), (vec![], true));
    assert_eq!(list(reader, "A/x", None, 0), (vec![], false));
}

fn a_block_may_open_more_accounts_than_one_command_takes<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let all: Vec<String> = (0..25_000).map(|number| format!("A/{number:05}")).collect();
    let openings = all.iter().map(|name| opening(name)).collect();
    let block = block_after(&genesis(), vec![element_of(1, openings)]);
    let balances: Vec<_> =
        all.iter().zip(0..).map(|(name, units)| (name.as_str(), units)).collect();
    let writes = vec![append(&genesis()), append_with(&block, false, 0, &balances)];
    commit(&mut store, &mut last, writes);
    let reader = &mut *store.reader();
    for number in [0, 9_999, 10_000, 19_999, 20_000, 24_999] {
        let name = format!("A/{number:05}");
        assert_eq!(list(reader, &name, None, 9), (vec![(name, Some(number))], false));
    }
    let mut again = disk.open();
    assert_eq!(again.load().unwrap().accounts, all.len() as u64 + 2);
    let (mut balances, mut from) = (BTreeMap::new(), 0);
    loop {
        let (piece, next) = again.balances(from).unwrap();
        balances.extend(piece);
        if next == 0 {
            break;
        }
        from = next;
    }
    assert_eq!(balances.len(), all.len() + 2);
    assert_eq!(balances[&account("A/24999")].units(), 24_999);
}

fn what_is_stored_of_an_account_comes_with_the_log_if_asked_for<D: Disk>() {
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let log = vec![element(1..=2), element_of(3, vec![opening("A/alice")])];
    let writes = log.iter().cloned().map(Write::Log);
    commit(&mut store, &mut last, [append(&genesis())].into_iter().chain(writes).collect());
    let mut reader = store.reader();
    let mut state = |name, with_log| reader.account(&account(name), with_log).unwrap();
    let some = AccountState { blocks: 1, committed: Some(amount(100)), log: Vec::new() };
    assert_eq!(state("B", false), some);
    assert_eq!(state("B", true), AccountState { log: log.clone(), ..some });
    let none = AccountState { blocks: 1, committed: None, log };
    assert_eq!(state("A/alice", true), none);
    assert_eq!(state("A/nobody", true), none);
}

/// In each turn one element goes from the log into a block, which sets the balance to its height,
/// and another one comes.
fn nothing_comes_between_an_account_and_the_log<D: Disk>() {
    const TURNS: u64 = 200;
    let disk = D::new();
    let mut store = disk.open();
    let mut last = store.load().unwrap().turn.0;
    let mut reader = store.reader();
    let first = append_with(&genesis(), false, 0, &[("A", 0)]);
    commit(&mut store, &mut last, vec![first, Write::Log(element(1..=1))]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut head: SealedBlock = genesis();
            for seq in 1..=TURNS {
                head = block_after(&head, vec![element(seq..=seq)]);
                let moved = append_with(&head, false, 1, &[("A", seq)]);
                let next = Write::Log(element(seq + 1..=seq + 1));
                commit(&mut store, &mut last, vec![moved, next]);
            }
        });
        loop {
            let finished = writer.is_finished();
            let state = reader.account(&account("A"), true).unwrap();
            assert_eq!(state.committed.map(Amount::units), Some(state.blocks - 1));
            assert_eq!(state.log, [element(state.blocks..=state.blocks)]);
            if finished {
                writer.join().unwrap();
                break assert_eq!(state.blocks, TURNS + 1);
            }
        }
    });
}
