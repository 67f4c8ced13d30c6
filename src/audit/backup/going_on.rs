//! What a new bank begins with that goes on where a backup ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::audit::across;
use crate::audit::backup::in_words;
use crate::audit::backup::manifest::Manifest;
use crate::audit::backup::verify::{Verified, verify};
use crate::audit::examined::Examined;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Origin, SealedBlock};
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::origin::{Opening, first_epoch};
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Position;

/// What a new bank begins with.
pub struct GoingOn {
    /// The balances and entries.
    pub opening: Opening,
    /// The servers whose votes decided in the former bank.
    pub voters: BTreeSet<ServerId>,
    /// For each other server that the former bank has had, what its accounts hold together.
    pub homes: BTreeMap<ServerId, u64>,
    /// True if the former bank issues money.
    pub issuing: bool,
    /// What is carried over, in words.
    pub carried: Vec<String>,
    /// What is lost, as exactly as can be known, in words.
    pub lost: Vec<String>,
}

/// The backups of one bank, verified. The first is the one with the longest chain.
struct Backups {
    manifests: Vec<Manifest>,
    examined: Vec<Examined>,
    accepted: Vec<Option<SealedBlock>>,
}

/// The elements of each server that follow the chain.
type Logs = BTreeMap<ServerId, Vec<Element>>;

/// Reads the backups in these folders, each of another server of one bank.
///
/// # Errors
/// If a backup is wrong, or they don't fit together.
pub fn going_on(folders: &[PathBuf]) -> Result<GoingOn, String> {
    let mut backups = Backups::read(folders)?;
    backups.check()?;
    let mut logs = backups.logs()?;
    let accepted = backups.accepted_logs(&mut logs)?;
    logs.retain(|_, log| !log.is_empty());
    let longest = &backups.examined[0].replay;
    let chain = backups.chain();
    for (server, log) in &logs {
        chain
            .verify_log(longest.balances(), server, log)
            .map_err(|error| format!("the log of {server} can't be carried over: {error}"))?;
    }
    let (carried, lost) = backups.tell(&logs, &accepted);
    let (voters, homes) = backups.homes();
    let issuing = backups.chain().genesis().issuing;
    let opening = backups.opening(logs)?;
    Ok(GoingOn { opening, voters, homes, issuing, carried, lost })
}

impl Backups {
    fn read(folders: &[PathBuf]) -> Result<Backups, String> {
        let mut all: Vec<Verified> = Vec::new();
        for folder in folders {
            let verified = verify(folder).map_err(|troubles| {
                let words: Vec<String> = troubles.iter().map(in_words).collect();
                format!("the backup in {} can't be used: {}", folder.display(), words.join("; "))
            })?;
            let Manifest { server, bank, .. } = &verified.manifest;
            if let Some(other) = all.iter().find(|other| other.manifest.server == *server) {
                let (one, two) = (&other.manifest.time, &verified.manifest.time);
                return Err(format!(
                    "two backups of server {server}, of {one} and {two}: name only the later one"
                ));
            }
            if let Some(other) = all.iter().find(|other| other.manifest.bank != *bank) {
                return Err(format!(
                    "the backups of {} and {server} are of different banks: block 0 is {} in one and {bank} in the \
                     other",
                    other.manifest.server, other.manifest.bank
                ));
            }
            all.push(verified);
        }
        // Of equal ones the first, whatever the order of the flags.
        all.sort_by_key(|one| {
            (std::cmp::Reverse(one.manifest.height), one.manifest.server.clone())
        });
        let mut backups =
            Backups { manifests: Vec::new(), examined: Vec::new(), accepted: Vec::new() };
        for Verified { manifest, examined, accepted } in all {
            backups.manifests.push(manifest);
            backups.examined.push(examined);
            backups.accepted.push(accepted);
        }
        Ok(backups)
    }

    fn chain(&self) -> &Chain {
        self.examined[0].replay.chain().expect("it was verified")
    }

    /// Checks that the shorter chains are what the longest begins with, and that all logs fit to it.
    fn check(&mut self) -> Result<(), String> {
        let across = across::compare(&mut self.examined);
        if let Some((_, finding)) = across.findings.first() {
            return Err(format!("the backups contradict each other: {finding}"));
        }
        match across.unread.first() {
            Some(why) => Err(why.clone()),
            None => Ok(()),
        }
    }

    /// Returns what each server's log holds beyond the chain. The log of a store that another one replaced
    /// doesn't count: its clients were told that what is in no block has not happened.
    fn logs(&self) -> Result<Logs, String> {
        let chain = self.chain();
        let mut logs = Logs::new();
        for (manifest, examined) in self.manifests.iter().zip(&self.examined) {
            let Manifest { server, instance, .. } = manifest;
            if chain.instance(server) != Some(*instance) {
                continue;
            }
            let included = chain.included(server);
            let log = examined.standing.iter().flat_map(|standing| &standing.log);
            let rest: Vec<Element> =
                log.filter(|element| element.last() > included).cloned().collect();
            if rest.first().is_some_and(|first| first.first() != included.next()) {
                return Err(format!(
                    "the log of {server} does not go on where its entries in the chain end"
                ));
            }
            logs.insert(server.clone(), rest);
        }
        Ok(logs)
    }

    /// Adds what an accepted block holds of logs that end before it: it was in the server's log when that
    /// promised. Returns for which servers something was added. A block that replaces a server's store is left
    /// out: whether it was chosen isn't known.
    fn accepted_logs(&self, logs: &mut Logs) -> Result<Vec<ServerId>, String> {
        let (chain, mut added) = (self.chain(), Vec::new());
        for block in self.accepted.iter().flatten() {
            let goes_on = block.block().previous == chain.head();
            let replaces = block.block().logs.values().flatten().any(Element::concerns_servers);
            if !goes_on || replaces {
                continue;
            }
            for (server, log) in &block.block().logs {
                let known = logs.entry(server.clone()).or_default();
                let common = known.len().min(log.len());
                if known[..common] != log[..common] {
                    return Err(format!(
                        "a block that was accepted holds other entries of {server} than its log"
                    ));
                }
                if log.len() > known.len() {
                    known.clone_from(log);
                    added.push(server.clone());
                }
            }
        }
        Ok(added)
    }

    /// Says what is carried over, and what is lost.
    fn tell(&self, logs: &Logs, accepted: &[ServerId]) -> (Vec<String>, Vec<String>) {
        let (mut carried, mut lost) = (Vec::new(), Vec::new());
        let chain = self.chain();
        let Manifest { server, time, height, head, .. } = &self.manifests[0];
        carried.push(format!(
            "the chain up to block {height}, {head}, by the backup of {server} of {time}"
        ));
        for shorter in self.manifests.iter().filter(|other| other.height < *height) {
            carried.push(format!(
                "the backup of {} ends with block {}",
                shorter.server, shorter.height
            ));
        }
        for (server, log) in logs {
            let entries: usize = log.iter().map(|element| element.records().len()).sum();
            let (first, last) = (log[0].first(), log[log.len() - 1].last());
            let whence = if accepted.contains(server) { "an accepted block" } else { "its log" };
            carried.push(format!(
                "entries of {server} from {whence}: {entries}, {} to {}",
                first.name(server),
                last.name(server)
            ));
        }
        for server in chain.members() {
            let last = logs.get(server).and_then(|log| Some(log.last()?.last()));
            lost.push(self.lost_of(server, last.unwrap_or_else(|| chain.included(server))));
        }
        (carried, lost)
    }

    fn lost_of(&self, server: &ServerId, last: Position) -> String {
        let chain = self.chain();
        let known = match last.seq {
            0 => format!("all that {server} accepted in epoch {}", last.epoch),
            _ => format!("what {server} accepted after {}", last.name(server)),
        };
        let of_it = self.manifests.iter().find(|manifest| manifest.server == *server);
        match of_it {
            Some(Manifest { instance, .. }) if chain.instance(server) != Some(*instance) => {
                format!(
                    "{known}: its backup is of a store that another one replaced, and counts no more"
                )
            }
            Some(Manifest { time, turn, .. }) => {
                format!("{known}: anything that came after its backup of {time}, of turn {turn}")
            }
            None => format!(
                "{known}: there is no backup of its log here, and how much that is isn't known"
            ),
        }
    }

    /// Returns who voted, and what the accounts of all others hold by the chain.
    fn homes(&self) -> (BTreeSet<ServerId>, BTreeMap<ServerId, u64>) {
        let derived = self.chain().derived();
        let (voters, others): (BTreeSet<_>, BTreeSet<_>) =
            derived.included.keys().cloned().partition(|id| derived.is_voter(id));
        let balances = self.examined[0].replay.balances();
        let held = |home: &ServerId| {
            let of_home = balances.all_committed().filter(|(account, _)| account.is_of(home));
            of_home.map(|(_, amount)| amount.units()).sum()
        };
        let homes = others.into_iter().map(|home| (home.clone(), held(&home))).collect();
        (voters, homes)
    }

    fn opening(self, logs: Logs) -> Result<Opening, String> {
        let (chain, replay) = (self.chain(), &self.examined[0].replay);
        let included = chain.derived().included.clone();
        let epoch = first_epoch(included.values().map(|last| last.epoch));
        let (total, accounts) = replay.counted();
        let total = u64::try_from(total).ok().and_then(Amount::new);
        let origin = Origin {
            bank: chain.genesis_hash(),
            height: chain.height(),
            head: chain.head(),
            included,
            epoch,
            accounts,
            total: total.ok_or("all accounts hold more than a bank can hold")?,
            sessions: chain.knows_all_names(),
            blocks: Vec::new(),
        };
        let balances = replay.balances();
        let mut all: Vec<_> = balances.all_committed().collect();
        all.sort_unstable();
        let with_keys = all.into_iter().map(|(account, amount)| {
            let key = balances.committed_key(&account);
            (account, amount, key)
        });
        let sessions = replay.requests().carried(logs.values().flatten(), epoch);
        Opening::new(origin, with_keys, sessions, logs)
    }
}
