//! Looks into the bank: logs, balances, and those of all servers together.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::{Action, Entry, Position};
use crate::bank::limits::MAX_PAGE;
use crate::bank::request::{ErrorCode, Listed, Order, Reply, Request, Status};
use crate::client::commands::{AccountBalance, AllBalances, List, Page, Response, Sum};
use crate::client::ending::{Failure, no_further, out_of_place, whole_status};
use crate::client::session::{Session, ask};

/// How often the servers are asked anew because a block came in between.
const ATTEMPTS: usize = 5;

/// Returns a page of balances. Each account is asked for by itself, so heights may differ.
pub(super) fn balances(session: &mut Session, list: &List) -> Result<Response, Failure> {
    let Reply::Accounts { accounts, more } = ask(session, &list.request())? else {
        return Err(out_of_place());
    };
    let next = list.next(&accounts, more).map(Page::Balances);
    let balance = |listed: Listed| {
        let request = Request::Balance(Some(listed.account));
        match ask(session, &request)? {
            Reply::Balance { account, balance, committed, height } => {
                Ok(AccountBalance { account, balance, committed, height })
            }
            _ => Err(out_of_place()),
        }
    };
    let accounts = accounts.into_iter().map(balance).collect::<Result<_, _>>()?;
    Ok(Response::Balances { accounts, next })
}

/// Returns a server's log after a position, read page by page. Entries that a block takes meanwhile are
/// missing from the later pages.
pub(super) fn log_after(
    session: &mut Session,
    mut after: Option<Position>,
) -> Result<(ServerId, Vec<Entry>), Failure> {
    let mut all = Vec::new();
    loop {
        let Reply::Log { server, entries, more } = ask(session, &Request::Log { after })? else {
            return Err(out_of_place());
        };
        let last = entries.last().map(Entry::position);
        all.extend(entries);
        if !more {
            return Ok((server, all));
        }
        if last <= after {
            return Err(no_further());
        }
        after = last;
    }
}

/// Asks every server of the bank, and adds up the longest chain and all logs, without consensus.
pub(super) fn all_balances(session: &mut Session, prefix: &str) -> Result<Response, Failure> {
    let mut attempt = 1;
    loop {
        let sums = add_up(session, prefix)?;
        if !sums.moved || attempt == ATTEMPTS {
            return Ok(Response::AllBalances(sums));
        }
        attempt += 1;
    }
}

fn status_of(session: &mut Session) -> Result<Box<Status>, Failure> {
    ask(session, &Request::Status).and_then(whole_status)
}

fn add_up(session: &mut Session, prefix: &str) -> Result<AllBalances, Failure> {
    let own = status_of(session)?;
    let servers = || own.peers.iter().map(|peer| &peer.id).chain([&own.server]);
    let (mut heights, mut silent) = (BTreeMap::new(), BTreeMap::new());
    let mut longest: Option<(u64, ServerId, BTreeMap<ServerId, Position>)> = None;
    for server in servers() {
        let status = session.glance_at(&own, server).and_then(|mut there| status_of(&mut there));
        match status.map(|status| (status.height, status)) {
            Ok((Some(height), status)) => {
                heights.insert(server.clone(), height);
                if longest.as_ref().is_none_or(|(most, ..)| *most < height) {
                    longest = Some((height, server.clone(), status.included));
                }
            }
            Ok((None, _)) => drop(silent.insert(server.clone(), "it has no chain yet".into())),
            Err(failure) => drop(silent.insert(server.clone(), failure.to_string())),
        }
    }
    let Some((height, chain_of, included)) = longest else {
        let message = "no server has a chain yet".into();
        return Err(Failure::Said(ErrorCode::Unavailable, message));
    };
    let mut there = session.glance_at(&own, &chain_of)?;
    let mut accounts: BTreeMap<AccountId, (Option<Amount>, i64)> =
        all_accounts(&mut there, prefix)?;
    let members = members(&mut there)?;
    // If the height is unchanged, this was the chain all the time.
    let mut moved = status_of(&mut there)?.height != Some(height);
    let mut logs = BTreeMap::new();
    for server in heights.keys() {
        let after = included.get(server).copied().unwrap_or(Position::START);
        let mut there = session.glance_at(&own, server)?;
        let known = log_after(&mut there, Some(after));
        let known = known.and_then(|(_, log)| Ok((log, status_of(&mut there)?)));
        match known {
            Ok((log, status)) => {
                // Entries that a newer block took are in neither sum.
                moved |= status.height > Some(height);
                logs.insert(server.clone(), log.len());
                log.iter().for_each(|entry| add(&mut accounts, &entry.record.action, prefix));
            }
            Err(failure) => drop(silent.insert(server.clone(), failure.to_string())),
        }
    }
    let sum = |(account, (committed, logs)): (AccountId, (Option<Amount>, i64))| {
        let balance = committed.map_or(0, signed) + logs;
        let home_is_no_member = !members.iter().any(|member| account.is_of(member));
        Sum { account, committed, logs, balance, home_is_no_member }
    };
    let balances = accounts.into_iter().map(sum).collect();
    Ok(AllBalances { balances, height, chain_of, logs, silent, moved })
}

/// Returns the bank's members, as a server knows them.
fn members(session: &mut Session) -> Result<BTreeSet<ServerId>, Failure> {
    match ask(session, &Request::Members(Order::Show))? {
        Reply::Members { members, .. } => Ok(members.into_iter().map(|one| one.server).collect()),
        _ => Err(out_of_place()),
    }
}

/// Returns all accounts with this prefix, each with its balance by the chain.
fn all_accounts(
    session: &mut Session,
    prefix: &str,
) -> Result<BTreeMap<AccountId, (Option<Amount>, i64)>, Failure> {
    let mut list = List { prefix: prefix.to_owned(), limit: MAX_PAGE, after: None };
    let mut all = BTreeMap::new();
    loop {
        let Reply::Accounts { accounts, more } = ask(session, &list.request())? else {
            return Err(out_of_place());
        };
        let next = list.next(&accounts, more);
        // An account that is only in this server's log comes with the log.
        let in_chain = accounts.into_iter().filter(|listed| listed.committed.is_some());
        all.extend(in_chain.map(|listed| (listed.account, (listed.committed, 0))));
        match next {
            Some(next) if next.after > list.after => list = next,
            Some(_) => return Err(no_further()),
            None => return Ok(all),
        }
    }
}

/// Adds what an entry brings and takes.
fn add(accounts: &mut BTreeMap<AccountId, (Option<Amount>, i64)>, action: &Action, prefix: &str) {
    let mut change = |account: &AccountId, units: i64| {
        if account.as_str().starts_with(prefix) {
            accounts.entry(account.clone()).or_insert((None, 0)).1 += units;
        }
    };
    match action {
        Action::Transfer { from, to, amount } => {
            change(from, -signed(*amount));
            change(to, signed(*amount));
        }
        Action::Mint { account, .. } | Action::Burn { account, .. } => {
            change(account, action.issues());
        }
        Action::Open { account, .. } => change(account, 0),
        Action::Rekey { .. } | Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => {}
    }
}

/// Converts an amount, which is at most 2^53 - 1.
fn signed(amount: Amount) -> i64 {
    amount.units() as i64
}
