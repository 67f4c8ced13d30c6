//! A bank that goes on where another one ended, compared with that one.

use std::collections::{BTreeMap, BTreeSet};

use crate::audit::across::{self, Across, hash_at};
use crate::audit::examined::Examined;
use crate::audit::finding::{Finding, Trouble};
use crate::audit::replay::{BlockFound, Replay};
use crate::bank::blockchain::block::{Accounts, Block, BlockHash, Origin};
use crate::bank::ids::{AccountId, ServerId, SessionId};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::element::Element;
use crate::bank::stored::Place;

/// Compares all sources with each other: those of a bank with one of them, and a bank that goes on from another
/// with that one. Sources of former banks come first then.
pub fn compare_all(all: &mut [Examined]) -> Across {
    let mut ranks: BTreeMap<BlockHash, usize> = BTreeMap::new();
    let links: Vec<(BlockHash, BlockHash)> =
        all.iter().filter_map(|one| bank_of(one).zip(former_bank_of(one))).collect();
    let is_here = |bank: &BlockHash| all.iter().any(|one| bank_of(one) == Some(*bank));
    let links: Vec<_> = links.into_iter().filter(|(_, former)| is_here(former)).collect();
    if links.is_empty() {
        return across::compare(all);
    }
    // A chain of banks is no longer than there are sources, and no bank goes on from itself.
    for _ in 0..all.len() {
        for (bank, former) in &links {
            let rank = ranks.get(former).map_or(1, |rank| rank + 1).min(all.len());
            ranks.insert(*bank, rank);
        }
    }
    let last = ranks.values().copied().max().unwrap_or_default();
    // A source without a chain may be of the last one.
    let rank = |one: &Examined| {
        bank_of(one).map_or(last, |bank| ranks.get(&bank).copied().unwrap_or_default())
    };
    all.sort_by_key(rank);
    let mut across = Across::default();
    let (mut from, mut before) = (0, 0..0);
    while from < all.len() {
        let to = from + all[from..].iter().take_while(|one| rank(one) == rank(&all[from])).count();
        let group = across::compare(&mut all[from..to]);
        let reference = group.reference.map(|reference| from + reference);
        let findings = group.findings.into_iter().map(|(index, finding)| (from + index, finding));
        across.findings.extend(findings);
        across.unread.extend(group.unread);
        (across.reference, across.absent) = (reference, group.absent);
        if let Some(reference) = reference.filter(|_| !before.is_empty()) {
            let (former, rest) = all.split_at_mut(from);
            match compare(&mut former[before], &mut rest[reference - from]) {
                Ok(notes) => rest[reference - from].notes.extend(notes),
                Err(Trouble::Wrong(finding)) => across.findings.push((reference, finding)),
                Err(Trouble::Unread(why)) => across.unread.push(why),
            }
        }
        (before, from) = (from..to, to);
    }
    across
}

/// Returns the bank of a source, if it has a chain.
pub fn bank_of(examined: &Examined) -> Option<BlockHash> {
    examined.replay.chain().map(|chain| chain.genesis_hash())
}

/// Returns the bank that a source's bank goes on from, if it goes on from one.
pub fn former_bank_of(examined: &Examined) -> Option<BlockHash> {
    Some(examined.replay.chain()?.origin()?.bank)
}

/// Compares a bank with the sources of the one that it goes on from: it has to begin exactly where that one ended.
/// Returns what is worth knowing.
///
/// # Errors
/// The first difference, or why it can't be compared.
pub fn compare(former: &mut [Examined], new: &mut Examined) -> Result<Vec<String>, Trouble> {
    let chain = new.replay.chain();
    let Some(origin) = chain.and_then(|chain| chain.origin().cloned()) else {
        return Ok(Vec::new());
    };
    check_end(former, new, &origin)?;
    let longest = former.iter_mut().max_by_key(|one| one.first).expect("one that is long enough");
    let replay = replay_to(longest, origin.height)?;
    let wrong = |what: String| Err(Finding::new(new.source.spot(&Place::Block(0)), what).into());
    let Some(ended) = replay.chain() else { return wrong("it goes on from no chain".into()) };
    if ended.derived().included != origin.included {
        return wrong(
            "it names other last entries than those of the chain that it goes on from".into(),
        );
    }
    let (total, accounts) = replay.counted();
    if (total, accounts) != (u128::from(origin.total.units()), origin.accounts) {
        return wrong(format!(
            "it goes on with {} in {} accounts, and the chain ended with {total} in {accounts}",
            origin.total, origin.accounts
        ));
    }
    let (carried, sessions) = check_opening(new, &origin, replay.balances())?;
    let right = replay.requests().carried(carried.values().flatten(), origin.epoch);
    let notes = check_carried(former, new, &origin, carried)?;
    match check_sessions(&origin, ended.knows_all_names(), &sessions, &right) {
        Ok(()) => Ok(notes),
        Err(what) => Err(Finding::new(new.source.spot(&Place::Block(0)), what).into()),
    }
}

/// Compares the sessions in the opening blocks with those that clients had named.
fn check_sessions(
    origin: &Origin,
    knows_all: bool,
    told: &BTreeMap<SessionId, u64>,
    right: &BTreeMap<SessionId, u64>,
) -> Result<(), String> {
    // Banks were founded before sessions were told. They say that they don't know all.
    if told.is_empty() && !origin.sessions {
        return Ok(());
    }
    if origin.sessions && !knows_all {
        return Err("it says that it knows all sessions, and the former bank didn't".to_owned());
    }
    let differs = |session: &&SessionId| told.get(*session) != right.get(*session);
    match told.keys().chain(right.keys()).find(differs) {
        None => Ok(()),
        Some(session) => Err(match (told.get(session), right.get(session)) {
            (Some(here), Some(there)) => {
                format!("it says that {session} was used up to {here}, and it was up to {there}")
            }
            (Some(here), _) => {
                format!("it says that {session} was used up to {here}, and it never was")
            }
            (None, there) => {
                let there = there.copied().unwrap_or_default();
                format!("it leaves out {session}, which was used up to {there}")
            }
        }),
    }
}

/// Checks that the former chain ends where the new one says.
fn check_end(former: &mut [Examined], new: &Examined, origin: &Origin) -> Result<(), Trouble> {
    let Origin { height, head, .. } = *origin;
    for one in former.iter_mut() {
        let name = one.source.name();
        let wrong =
            |what: String| Err(Finding::new(new.source.spot(&Place::Block(0)), what).into());
        if one.first > height {
            let found = hash_at(&mut *one.source, height)?;
            if found != head {
                return wrong(format!(
                    "it goes on from block {height}, {head}, and that is {found} in {name}"
                ));
            }
        }
        if one.first > height + 1 {
            return wrong(format!(
                "it goes on from block {height}, and {name} has the blocks up to {}: a longer backup should have \
                 been taken for the founding",
                one.first - 1
            ));
        }
    }
    match former.iter().any(|one| one.first > height) {
        true => Ok(()),
        false => Err(Trouble::Unread(format!(
            "{} goes on from block {height}, and no copy of the former chain reaches so far",
            new.source.name()
        ))),
    }
}

/// Follows a chain up to a height, apart from what was followed before.
fn replay_to(one: &mut Examined, height: u64) -> Result<Replay, Trouble> {
    let mut replay = Replay::new(fastrand::u64(..));
    while replay.blocks() <= height {
        let next = replay.blocks();
        let piece = one.source.blocks(next, height)?;
        if piece.is_empty() {
            return Err(Finding::new(one.source.spot(&Place::Block(next)), "missing").into());
        }
        for found in piece {
            let spot = one.source.spot(&Place::Block(replay.blocks()));
            replay.append(&found).map_err(|what| Finding::new(spot, what))?;
        }
    }
    Ok(replay)
}

/// The elements that were carried over, and the sessions.
type Carried = (BTreeMap<ServerId, Vec<Element>>, BTreeMap<SessionId, u64>);

/// Compares the accounts in the opening blocks with those at the end of the former chain. Returns what else is in
/// them.
fn check_opening(
    new: &mut Examined,
    origin: &Origin,
    ended: &Balances,
) -> Result<Carried, Trouble> {
    let mut carried: BTreeMap<ServerId, Vec<Element>> = BTreeMap::new();
    let mut sessions = BTreeMap::new();
    let mut seen: BTreeSet<AccountId> = BTreeSet::new();
    let mut next = 1;
    while origin.opens(next) && next < new.first {
        let piece = new.source.blocks(next, origin.blocks.len() as u64)?;
        if piece.is_empty() {
            return Err(Finding::new(new.source.spot(&Place::Block(next)), "missing").into());
        }
        for found in &piece {
            let spot = new.source.spot(&Place::Block(next));
            let block = opening_of(found).map_err(Trouble::Unread)?;
            if let Some(accounts) = &block.opening {
                check_accounts(accounts, ended).map_err(|what| Finding::new(spot, what))?;
                seen.extend(accounts.balances.iter().map(|(account, _)| account.clone()));
                sessions.extend(accounts.sessions.clone());
            }
            for (server, log) in block.logs {
                carried.entry(server).or_default().extend(log);
            }
            next += 1;
        }
    }
    match ended.all_committed().find(|(account, _)| !seen.contains(account)) {
        None => Ok((carried, sessions)),
        Some((account, amount)) => {
            let what = format!(
                "it leaves out {account}, which held {amount} where the former chain ended"
            );
            Err(Finding::new(new.source.spot(&Place::Block(0)), what).into())
        }
    }
}

fn opening_of(found: &BlockFound) -> Result<Block, String> {
    match found {
        BlockFound::Text(block) => Ok(block.block().clone()),
        BlockFound::Told(_) => {
            Err("a running server doesn't tell its blocks' texts: name its store".to_owned())
        }
    }
}

fn check_accounts(accounts: &Accounts, ended: &Balances) -> Result<(), String> {
    for (account, amount) in &accounts.balances {
        match ended.committed(account) {
            Some(right) if right == *amount => {}
            Some(right) => {
                return Err(format!(
                    "{account} begins with {amount}, and held {right} where the former chain ended"
                ));
            }
            None => {
                return Err(format!(
                    "{account} begins with {amount}, and the former chain has no such account"
                ));
            }
        }
        if ended.committed_key(account) != accounts.keys.get(account).copied() {
            return Err(format!(
                "{account} begins with another owner's key than where the former chain ended"
            ));
        }
    }
    Ok(())
}

/// Compares the entries that were carried over with the logs of the former bank's servers.
fn check_carried(
    former: &[Examined],
    new: &Examined,
    origin: &Origin,
    mut carried: BTreeMap<ServerId, Vec<Element>>,
) -> Result<Vec<String>, Trouble> {
    let spot = new.source.spot(&Place::Block(0));
    let Origin { height, bank, .. } = origin;
    let mut notes = vec![format!(
        "it goes on exactly where the bank {} ended, at block {height}",
        bank.short()
    )];
    for (server, included) in &origin.included {
        let here = carried.remove(server).unwrap_or_default();
        let log_of = |one: &&Examined| {
            let names = one.replay.chain().and_then(|chain| chain.instance(server));
            let instance = one.standing.as_ref().and_then(|standing| standing.instance);
            one.source.server().as_ref() == Some(server)
                && (instance.is_none() || instance == names)
        };
        let Some(one) = former.iter().find(log_of) else {
            let entries: usize = here.iter().map(|element| element.records().len()).sum();
            notes.push(format!("the former log of {server} was not looked at; {entries} of its entries were carried over"));
            continue;
        };
        let log = one.standing.iter().flat_map(|standing| &standing.log);
        let there: Vec<&Element> = log.filter(|element| element.last() > *included).collect();
        let differs = here.iter().zip(&there).position(|(one, other)| one != *other);
        let place = differs.unwrap_or(here.len().min(there.len()));
        let name = one.source.name();
        let what = match (here.get(place), there.get(place)) {
            (None, None) => continue,
            (Some(more), None) => format!(
                "{} was carried over, and is not in the log of {name}",
                more.first().name(server)
            ),
            (None, Some(less)) => format!(
                "{} is in the log of {name}, and was not carried over",
                less.first().name(server)
            ),
            (Some(_), Some(other)) => {
                format!(
                    "{} was carried over as another entry than in {name}",
                    other.first().name(server)
                )
            }
        };
        return Err(Finding::new(spot, what).into());
    }
    Ok(notes)
}
