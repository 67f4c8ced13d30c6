//! Checks what a scenario file expects; if it is not so, says what is there instead.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::request::{Outcome, Reply, Request, Start};
use crate::client::commands::{Command, Response};
use crate::client::execute::execute;
use crate::client::session::Ending;
use crate::play::cast::list;
use crate::play::expect::{Expect, Expected};
use crate::play::stage::Stage;
use crate::play::why::{is_unavailable, via_in_words};
use crate::wire::Answer;
use crate::wire::link::LinkOrder;
use crate::wire::reply::HashedBlock;

/// How long to wait before the next look.
const PAUSE: Duration = Duration::from_millis(30);

/// How the last transfer ended, and how long it took.
#[derive(Clone, Debug)]
pub(super) struct Last {
    /// The endings; several if one request had several transfers.
    pub endings: Vec<Ending>,
    /// The time from asking to the answer.
    pub took: Duration,
}

/// Looks until it is so, or patience ends. An expectation about the transfer just before is decided at once.
///
/// # Errors
/// What is there instead.
pub(super) fn check(
    expect: &Expect,
    last: Option<&Last>,
    stage: &mut Stage,
    patience: Duration,
) -> Result<(), String> {
    if let Expect::Outcome(expected) = expect {
        return outcome(expected, last);
    }
    let until = Instant::now() + patience;
    loop {
        match look(expect, stage) {
            Ok(()) => return Ok(()),
            Err(found) if Instant::now() >= until => return Err(found),
            Err(_) => thread::sleep(PAUSE),
        }
    }
}

/// Checks what is so now.
fn look(expect: &Expect, stage: &mut Stage) -> Result<(), String> {
    match expect {
        Expect::Outcome(_) => Ok(()),
        Expect::Balance(account, wanted, at) => {
            let (balance, _) = balance(stage, at, account)?;
            same(*wanted, balance)
        }
        Expect::Committed(account, wanted, at) => match balance(stage, at, account)?.1 {
            Some(committed) => same(*wanted, committed),
            None => Err(format!("{account} is not in the chain")),
        },
        Expect::Log(id, wanted) => same(*wanted, stage.status(id)?.log_length),
        Expect::Height(id, wanted) => match stage.status(id)?.height {
            Some(height) => same(*wanted, height),
            None => Err(format!("{id} holds no block")),
        },
        Expect::Blocks(id, wanted) => {
            let lengths: Vec<usize> =
                chain(stage, id, 0)?.iter().map(|block| block.entries.len()).collect();
            let words = |lengths: &[usize]| {
                lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
            };
            same(words(wanted), words(&lengths))
        }
        Expect::Linked(id) => linked(&chain(stage, id, 0)?),
        Expect::ChainsEqual(servers) => chains_equal(stage, servers),
        Expect::Total(wanted) => total(stage, *wanted),
        Expect::Members { servers, voters } => members(stage, servers, *voters),
        Expect::Connected(None, _) => match stage.is_connected() {
            true => Ok(()),
            false => Err("not all that run hear each other".into()),
        },
        Expect::Connected(Some((who, whom)), wanted) => {
            let peers = stage.status(who)?.peers;
            let connected = peers.iter().any(|peer| peer.id == *whom && peer.connected);
            let not = if connected { "" } else { " not" };
            if connected == *wanted { Ok(()) } else { Err(format!("{who} does{not} hear {whom}")) }
        }
        Expect::Known(height) => known(stage, *height),
        Expect::Started(id, wanted) => match (stage.status(id)?.start, wanted) {
            (found, wanted) if found == *wanted => Ok(()),
            (Start::Baby, _) => Err("it is a baby".into()),
            (Start::Zombie, _) => Err("it is a zombie".into()),
        },
        Expect::Run(id, wanted) => same(wanted.clone(), stage.status(id)?.run),
        Expect::Waiting(id, wanted) => same(*wanted, stage.status(id)?.waiting),
        Expect::Lost(message, from, to) => {
            let lost = stage.order(from, &LinkOrder::Show)?.lost;
            let names = lost.get(to).into_iter().flat_map(|lost| lost.keys());
            match names.into_iter().any(|name| message.contains(name)) {
                true => Ok(()),
                false => Err(format!("no {message} from {from} to {to} was lost")),
            }
        }
    }
}

fn same<T: PartialEq + std::fmt::Display>(wanted: T, found: T) -> Result<(), String> {
    if wanted == found { Ok(()) } else { Err(format!("it is {found}")) }
}

// ── Of the transfer just before ──────────────────────────────────────────────────────────────────

fn outcome(expected: &Expected, last: Option<&Last>) -> Result<(), String> {
    let Some(Last { endings, took }) = last else {
        return Err("there was no transfer before this".into());
    };
    endings.iter().try_for_each(|ending| one_outcome(expected, ending, *took))
}

fn one_outcome(expected: &Expected, ending: &Ending, took: Duration) -> Result<(), String> {
    match (expected, ending) {
        (
            Expected::Accepted { via: wanted, balance: wanted_balance },
            Ending::Decided(Outcome::Accepted { via, balance, .. }),
        ) => {
            if wanted.is_some_and(|wanted| wanted != *via) {
                return Err(format!("it was accepted {}", via_in_words(*via)));
            }
            match wanted_balance {
                Some(wanted) if wanted != balance => {
                    Err(format!("it was accepted, with balance {balance}"))
                }
                _ => Ok(()),
            }
        }
        (
            Expected::Refused { consulted: wanted },
            Ending::Decided(Outcome::Refused { consulted, .. }),
        ) => {
            let found: BTreeSet<&ServerId> = consulted.iter().collect();
            if wanted.is_empty() || found.iter().copied().eq(wanted) {
                return Ok(());
            }
            Err(format!("it was refused, with {} consulted", list(found)))
        }
        (Expected::Unavailable { within }, ending) if is_unavailable(ending) => match within {
            Some(most) if took > *most => {
                Err(format!("it was unavailable, but only after {:.1} s", took.as_secs_f64()))
            }
            _ => Ok(()),
        },
        (Expected::Invalid, Ending::Decided(Outcome::Invalid { .. })) => Ok(()),
        (Expected::Unknown, Ending::Unknown { .. }) => Ok(()),
        (_, ending) => {
            let words = crate::client::words::to_words(&Response::One(ending.clone()));
            Err(format!("it was {}", words.trim_end()))
        }
    }
}

// ── Of servers ───────────────────────────────────────────────────────────────────────────────────

/// Returns what an account holds as a server knows it, and by its chain alone.
pub(super) fn balance(
    stage: &mut Stage,
    at: &ServerId,
    account: &AccountId,
) -> Result<(Amount, Option<Amount>), String> {
    match stage.ask(at, &Request::Balance(Some(account.clone())))? {
        Answer::Reply(Reply::Balance { balance, committed, .. }) => Ok((balance, committed)),
        _ => Err(format!("{at} answers another question")),
    }
}

/// Returns a server's chain from a height on.
pub(super) fn chain(
    stage: &mut Stage,
    id: &ServerId,
    from: u64,
) -> Result<Vec<HashedBlock>, String> {
    let command = Command::Chain { from, to: None };
    match execute(command, stage.glance(id)?, None) {
        Some(Response::Chain(blocks)) => Ok(blocks),
        _ => Err(format!("{id} doesn't show its chain")),
    }
}

fn linked(chain: &[HashedBlock]) -> Result<(), String> {
    let breaks = chain.windows(2).find(|pair| pair[1].previous != pair[0].hash);
    match breaks {
        None if chain.is_empty() => Err("there is no block".into()),
        None => Ok(()),
        Some(pair) => Err(format!("block {} does not name the one before", pair[1].height)),
    }
}

fn chains_equal(stage: &mut Stage, servers: &[ServerId]) -> Result<(), String> {
    let servers = if servers.is_empty() { stage.live() } else { servers.iter().cloned().collect() };
    let mut first: Option<(ServerId, Vec<BlockHash>)> = None;
    for id in servers {
        let hashes: Vec<BlockHash> = chain(stage, &id, 0)?.iter().map(|block| block.hash).collect();
        match &first {
            None => first = Some((id, hashes)),
            Some((other, others)) if *others != hashes => {
                let heights = (others.len() - 1, hashes.len().saturating_sub(1));
                let differs = others.iter().zip(&hashes).position(|(one, other)| one != other);
                return Err(match differs {
                    Some(height) => format!("{other} and {id} hold different blocks at {height}"),
                    None => format!("{other} is at height {}, {id} at {}", heights.0, heights.1),
                });
            }
            Some(_) => {}
        }
    }
    first.map(drop).ok_or_else(|| "no server runs".into())
}

/// Returns all accounts with their balances by a server's chain.
pub(super) fn accounts(
    stage: &mut Stage,
    id: &ServerId,
) -> Result<Vec<(AccountId, Amount)>, String> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let request = Request::Accounts { prefix: String::new(), after, limit: 1_000 };
        let Answer::Reply(Reply::Accounts { accounts, more }) = stage.ask(id, &request)? else {
            return Err(format!("{id} answers another question"));
        };
        after = accounts.last().map(|last| last.account.clone());
        let listed = accounts.into_iter();
        all.extend(listed.map(|one| (one.account, one.committed.unwrap_or(Amount::ZERO))));
        if !more || after.is_none() {
            return Ok(all);
        }
    }
}

/// Checks that all accounts add up to `wanted`, by the chain of each server that runs.
pub(super) fn total(stage: &mut Stage, wanted: Amount) -> Result<(), String> {
    let live = stage.live();
    if live.is_empty() {
        return Err("no server runs".into());
    }
    for id in live {
        let sum: u64 = accounts(stage, &id)?.iter().map(|(_, amount)| amount.units()).sum();
        if sum != wanted.units() {
            return Err(format!("by the chain of {id} it is {sum}"));
        }
    }
    Ok(())
}

fn members(stage: &mut Stage, wanted: &BTreeSet<ServerId>, voters: bool) -> Result<(), String> {
    for id in stage.live() {
        let found = stage.members_by(&id, voters)?;
        if found != *wanted {
            return Err(format!("by the chain of {id} they are {}", list(&found)));
        }
    }
    Ok(())
}

fn known(stage: &mut Stage, height: u64) -> Result<(), String> {
    let live = stage.live();
    for id in &live {
        let status = stage.status(id)?;
        if status.height != Some(height) {
            let found = status.height.map_or("none".into(), |height| height.to_string());
            return Err(format!("{id} is at height {found}"));
        }
        let peers = status.peers.iter().filter(|peer| live.contains(&peer.id));
        if let Some(peer) = peers.into_iter().find(|peer| peer.height != Some(height)) {
            let found = peer.height.map_or("none".into(), |height| height.to_string());
            return Err(format!("{id} knows {} at height {found}", peer.id));
        }
    }
    Ok(())
}
