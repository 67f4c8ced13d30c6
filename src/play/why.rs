//! Why a transfer ended as it did, in words: by its home's own log, by a Paxos run, or not at all.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::Via;
use crate::bank::request::Outcome;
use crate::client::session::Ending;
use crate::play::cast::list;
use crate::wire::reply::HashedBlock;

/// What was seen at a transfer's home meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    /// The blocks that the home appended meanwhile.
    pub blocks: Vec<HashedBlock>,
    /// The other servers whose promises it got.
    pub promised: BTreeSet<ServerId>,
}

/// Says how a transfer was accepted.
pub(super) fn via_in_words(via: Via) -> &'static str {
    match via {
        Via::Local => "locally",
        Via::Paxos => "after a Paxos run",
    }
}

/// Says why a transfer ended so.
pub(super) fn why(home: &ServerId, ending: &Ending, seen: &Observed) -> String {
    match ending {
        Ending::Decided(Outcome::Accepted { via: Via::Local, .. }) => {
            format!("local: what {home} knows covers it")
        }
        Ending::Decided(Outcome::Accepted { via: Via::Paxos, .. }) => {
            let run = match list(&seen.promised) {
                with if !with.is_empty() => format!("a Paxos run of {home} with {with}"),
                _ if seen.blocks.iter().any(|block| block.proposer.as_ref() != Some(home)) => {
                    "another server's Paxos run".into()
                }
                _ => format!("a Paxos run of {home}"),
            };
            let blocks: Vec<String> = seen.blocks.iter().map(block_in_words).collect();
            if blocks.is_empty() { run } else { format!("{run}: {}", blocks.join("; ")) }
        }
        Ending::Decided(Outcome::Refused { consulted, not_consulted, .. }) => {
            let not = match not_consulted.is_empty() {
                true => String::new(),
                false => format!(", not {}", list(not_consulted)),
            };
            format!("a Paxos run of {home} consulted {}{not}", list(consulted))
        }
        Ending::Decided(Outcome::LinkedFailed { .. }) => "all or none".into(),
        Ending::Decided(Outcome::Unavailable { .. }) => {
            format!("no Paxos run of {home} got through")
        }
        ending if is_unavailable(ending) => "its server did not hear it".into(),
        Ending::Unknown { .. } => "no answer: it may or may not have happened".into(),
        _ => format!("{home} would not take it"),
    }
}

/// Writes `block 1 by A, 4 entries: 2 of A, 1 of B, 1 of C`.
fn block_in_words(block: &HashedBlock) -> String {
    let mut of: BTreeMap<&ServerId, usize> = BTreeMap::new();
    for entry in &block.entries {
        *of.entry(&entry.server).or_default() += 1;
    }
    let of: Vec<String> = of.into_iter().map(|(id, count)| format!("{count} of {id}")).collect();
    let by = block.proposer.as_ref().map_or("nobody", ServerId::as_str);
    let entries = if block.entries.len() == 1 { "entry" } else { "entries" };
    format!("block {} by {by}, {} {entries}: {}", block.height, block.entries.len(), of.join(", "))
}

/// True if the transfer has not happened for want of servers.
pub(super) fn is_unavailable(ending: &Ending) -> bool {
    match ending {
        Ending::Decided(Outcome::Unavailable { .. }) => true,
        Ending::NotDone(failure) => !crate::client::exit::is_invalid(failure),
        _ => false,
    }
}
