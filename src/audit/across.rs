//! Several servers' chains and logs, compared with each other.

use std::collections::BTreeSet;

use crate::audit::examined::Examined;
use crate::audit::finding::{Finding, Trouble};
use crate::audit::kept;
use crate::audit::source::Source;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::blockchain::chain::Chain;
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Entry};
use crate::bank::stored::Place;

/// The result of the comparison.
#[derive(Debug, Default)]
pub struct Across {
    /// The examined source with which the others are compared: the one with the longest chain, among the
    /// sound ones if there are any. None if no source has a chain.
    pub reference: Option<usize>,
    /// What does not agree with it; each with the index of the source.
    pub findings: Vec<(usize, Finding)>,
    /// What could not be compared, and why.
    pub unread: Vec<String>,
    /// Servers of the bank that were not examined.
    pub absent: Vec<ServerId>,
}

/// Compares all sources with one of them.
pub fn compare(all: &mut [Examined]) -> Across {
    let mut across = Across::default();
    // Of equal ones the first.
    let standing = |index: &usize| (all[*index].is_sound(), all[*index].first);
    let with_chain = (0..all.len()).rev().filter(|index| all[*index].first > 0);
    let Some(reference) = with_chain.max_by_key(standing) else { return across };
    across.reference = Some(reference);
    across.absent = absent(all, reference);
    // An entry in another's chain was in its home's log before. So the homes are looked at again, now that
    // the chains were read: by now each home has the entries that it should have.
    let used = |examined: &&mut Examined| examined.is_sound() && examined.standing.is_some();
    for examined in all.iter_mut().filter(used) {
        examined.trouble = examined.look_again().err();
    }
    for index in (0..all.len()).filter(|index| *index != reference) {
        note_deposed(all, index, reference);
        if let Err(trouble) = compare_one(all, index, reference) {
            match trouble {
                Trouble::Wrong(finding) => across.findings.push((index, finding)),
                Trouble::Unread(why) => across.unread.push(why),
            }
        }
    }
    across
}

/// Notes that another store has taken a store's place, which it may not know yet.
fn note_deposed(all: &mut [Examined], index: usize, reference: usize) {
    let instance = all[index].standing.as_ref().and_then(|standing| standing.instance);
    let chain = all[reference].replay.chain();
    let (Some(instance), Some(chain)) = (instance, chain) else { return };
    let knows = all[index].replay.chain().is_some_and(|chain| chain.is_deposed(instance));
    if !chain.is_deposed(instance) || knows {
        return;
    }
    let name = all[reference].source.name();
    let server = all[index].source.server();
    let note = match server.filter(|server| chain.instance(server).is_none()) {
        Some(server) => format!("by the chain of {name} {server} was dismissed since"),
        None => format!(
            "by the chain of {name} another store has taken its place: never use this one, of \
             instance {instance}, again; the entries in its log are lost"
        ),
    };
    all[index].notes.push(note);
}

fn absent(all: &[Examined], reference: usize) -> Vec<ServerId> {
    let examined: BTreeSet<ServerId> =
        all.iter().filter_map(|examined| examined.source.server()).collect();
    let chain = all[reference].replay.chain();
    let servers = chain.into_iter().flat_map(Chain::members);
    servers.filter(|id| !examined.contains(*id)).cloned().collect()
}

fn compare_one(all: &mut [Examined], index: usize, reference: usize) -> Result<(), Trouble> {
    let blocks = all[index].first.min(all[reference].first);
    let Some(height) = blocks.checked_sub(1) else { return Ok(()) };
    let [one, other] = all.get_disjoint_mut([index, reference]).expect("two different ones");
    let (source, held_against) = (&mut *one.source, &mut *other.source);
    if hash_at(source, height)? != hash_at(held_against, height)? {
        return Err(fork(source, held_against, height)?.into());
    }
    if one.is_sound() {
        check_log_is_theirs(one, other.first, held_against)?;
    }
    Ok(())
}

/// Returns the hash of the block at a height.
pub fn hash_at(source: &mut dyn Source, height: u64) -> Result<BlockHash, Trouble> {
    let found = source.blocks(height, height)?;
    found.first().map(|block| block.hash()).ok_or_else(|| {
        Finding::new(source.spot(&Place::Block(height)), "missing, though it was there").into()
    })
}

/// Finds where two chains part that differ at a height. Each block names the previous one, so all blocks
/// from there on differ.
fn fork(source: &mut dyn Source, other: &mut dyn Source, height: u64) -> Result<Finding, Trouble> {
    let (mut low, mut high) = (0, height);
    while low < high {
        let middle = low + (high - low) / 2;
        if hash_at(source, middle)? == hash_at(other, middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let (here, there) = (hash_at(source, low)?, hash_at(other, low)?);
    let spot = source.spot(&Place::Block(low));
    let elsewhere = other.spot(&Place::Block(low));
    let name = other.name();
    let what = match low {
        0 => format!("another bank: block 0 is {here} here and {there} in {name} ({elsewhere})"),
        _ => format!("a fork: block {low} is {here} here and {there} in {name} ({elsewhere})"),
    };
    Ok(Finding::new(spot, what))
}

/// Checks that a server's entries in the reference's later blocks are the beginning of its log.
fn check_log_is_theirs(one: &Examined, blocks: u64, other: &mut dyn Source) -> Result<(), Trouble> {
    let (Some(server), Some(standing)) = (one.source.server(), &one.standing) else {
        return Ok(());
    };
    let takes_part = kept::takes_part(&one.replay, &*one.source, standing);
    let epoch = one.replay.chain().map(|chain| chain.included(&server).epoch);
    let mut log = named(&standing.log, &server).peekable();
    let mut next = one.replay.blocks();
    while takes_part && next < blocks {
        let piece = other.blocks(next, blocks - 1)?;
        if piece.is_empty() {
            return Ok(());
        }
        for found in piece {
            let entries = found.entries();
            // A server that lost its store need not have what it had logged.
            if entries.iter().any(|entry| replaces(entry, &server)) {
                return Ok(());
            }
            for entry in entries.iter().filter(|entry| entry.server == server) {
                // It was dismissed, and admitted again with another store.
                if Some(entry.epoch) > epoch {
                    return Ok(());
                }
                let own = log.next();
                if own.as_ref().is_some_and(|(_, own)| own == entry) {
                    continue;
                }
                let at = other.spot(&Place::Block(next));
                return Err(
                    contradiction(one, own, entry, &format!("{} ({at})", other.name())).into()
                );
            }
            next += 1;
        }
    }
    Ok(())
}

fn replaces(entry: &Entry, who: &ServerId) -> bool {
    matches!(&entry.record.action, Action::Rejoin { server, .. } if server == who)
}

/// Returns a log's entries, each with the index of its element.
fn named<'a>(
    log: &'a [Element],
    server: &'a ServerId,
) -> impl Iterator<Item = (usize, Entry)> + 'a {
    let entries = |(index, element): (usize, &'a Element)| {
        element.entries(server).map(move |entry| (index, entry))
    };
    log.iter().enumerate().flat_map(entries)
}

fn contradiction(
    one: &Examined,
    own: Option<(usize, Entry)>,
    entry: &Entry,
    where_else: &str,
) -> Finding {
    let Entry { server, epoch, seq, .. } = entry;
    match own {
        None => Finding::new(
            one.source.spot(&Place::Log),
            format!("{server}.{epoch}.{seq} is missing, and it is in {where_else}"),
        ),
        Some((index, _)) => Finding::new(
            one.source.spot(&Place::Element(index)),
            format!("{server}.{epoch}.{seq} is a different entry in {where_else}"),
        ),
    }
}
