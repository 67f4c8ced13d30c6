//! Several servers' chains and logs, held against each other.

use std::collections::BTreeSet;

use crate::audit::examined::Examined;
use crate::audit::finding::{Finding, Trouble};
use crate::audit::kept;
use crate::audit::source::Source;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Entry};
use crate::bank::stored::Place;

/// What came of it.
#[derive(Debug, Default)]
pub struct Across {
    /// Which of those examined has the longest chain; none if nobody has any.
    pub longest: Option<usize>,
    /// What does not agree, in the order of those examined.
    pub findings: Vec<Finding>,
    /// What could not be compared, and why.
    pub unread: Vec<String>,
    /// Servers of the bank that were not examined.
    pub absent: Vec<ServerId>,
}

/// Holds all against the one with the longest chain.
pub fn compare(all: &mut [Examined]) -> Across {
    let mut across = Across::default();
    // Of equally long ones the first.
    let longest = (0..all.len()).rev().max_by_key(|index| all[*index].first.0);
    let Some(longest) = longest.filter(|index| all[*index].first.0 > 0) else { return across };
    across.longest = Some(longest);
    across.absent = absent(all, longest);
    // What is in another's chain was in the log of its home before. So the homes are looked at again,
    // now that the chains were read: whoever has it has it by now.
    for examined in all.iter_mut().filter(|examined| examined.standing.is_some()) {
        examined.trouble = examined.look_again().err();
    }
    for index in (0..all.len()).filter(|index| *index != longest) {
        note_deposed(all, index, longest);
        if let Err(trouble) = compare_one(all, index, longest) {
            match trouble {
                Trouble::Wrong(finding) => across.findings.push(finding),
                Trouble::Unread(why) => across.unread.push(why),
            }
        }
    }
    across
}

/// A store may not know yet that another one has taken its place.
fn note_deposed(all: &mut [Examined], index: usize, longest: usize) {
    let instance = all[index].standing.as_ref().and_then(|standing| standing.instance);
    let chain = all[longest].replay.chain();
    let (Some(instance), Some(chain)) = (instance, chain) else { return };
    let knows = all[index].replay.chain().is_some_and(|chain| chain.is_deposed(instance));
    if chain.is_deposed(instance) && !knows {
        let name = all[longest].source.name();
        all[index].notes.push(format!(
            "another store has taken its place by the chain of {name}: this one, of instance \
             {instance}, is not to be used any more, and what is in its log is lost"
        ));
    }
}

fn absent(all: &[Examined], longest: usize) -> Vec<ServerId> {
    let examined: BTreeSet<ServerId> =
        all.iter().filter_map(|examined| examined.source.server()).collect();
    let chain = all[longest].replay.chain();
    let servers = chain.into_iter().flat_map(|chain| chain.genesis().servers.keys());
    servers.filter(|id| !examined.contains(*id)).cloned().collect()
}

fn compare_one(all: &mut [Examined], index: usize, longest: usize) -> Result<(), Trouble> {
    let (blocks, head) = all[index].first;
    let Some(height) = blocks.checked_sub(1) else { return Ok(()) };
    let [one, other] = all.get_disjoint_mut([index, longest]).expect("two different ones");
    let (source, long) = (&mut *one.source, &mut *other.source);
    if hash_at(long, height)? != head {
        return Err(fork(source, long, height)?.into());
    }
    if one.is_sound() {
        check_log_is_theirs(one, other.first.0, &mut *other.source)?;
    }
    Ok(())
}

fn hash_at(source: &mut dyn Source, height: u64) -> Result<BlockHash, Trouble> {
    let found = source.blocks(height, height)?;
    found.first().map(|block| block.hash()).ok_or_else(|| {
        Finding::new(source.spot(&Place::Block(height)), "missing, though it was there").into()
    })
}

/// Where two chains part that differ at a height. Each block names the one before, so from there on
/// all differ.
fn fork(source: &mut dyn Source, long: &mut dyn Source, height: u64) -> Result<Finding, Trouble> {
    let (mut low, mut high) = (0, height);
    while low < high {
        let middle = low + (high - low) / 2;
        if hash_at(source, middle)? == hash_at(long, middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let (one, other) = (hash_at(source, low)?, hash_at(long, low)?);
    let spot = source.spot(&Place::Block(low));
    let elsewhere = long.spot(&Place::Block(low));
    let name = long.name();
    let what = match low {
        0 => format!("another bank: block 0 is {one} here and {other} in {name} ({elsewhere})"),
        _ => format!("a fork: block {low} is {one} here and {other} in {name} ({elsewhere})"),
    };
    Ok(Finding::new(spot, what))
}

/// What later blocks of the longest chain hold of a server's entries must be what its log begins with.
fn check_log_is_theirs(one: &Examined, blocks: u64, long: &mut dyn Source) -> Result<(), Trouble> {
    let (Some(server), Some(standing)) = (one.source.server(), &one.standing) else {
        return Ok(());
    };
    let takes_part = kept::takes_part(&one.replay, &*one.source, standing);
    let mut log = named(&standing.log, &server).peekable();
    let mut next = one.replay.blocks();
    while takes_part && next < blocks {
        let piece = long.blocks(next, blocks - 1)?;
        if piece.is_empty() {
            return Ok(());
        }
        for found in piece {
            let entries = found.entries();
            // Who has lost its store need not have what it had logged.
            if entries.iter().any(|entry| replaces(entry, &server)) {
                return Ok(());
            }
            for entry in entries.iter().filter(|entry| entry.server == server) {
                let own = log.next();
                if own.as_ref().is_some_and(|(_, own)| own == entry) {
                    continue;
                }
                let at = long.spot(&Place::Block(next));
                return Err(
                    contradiction(one, own, entry, &format!("{} ({at})", long.name())).into()
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

/// A log's entries, each with the index of its element.
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
            format!("{server}.{epoch}.{seq} is another one in {where_else}"),
        ),
    }
}
