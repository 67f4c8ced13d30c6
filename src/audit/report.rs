//! An audit's report: for people, and as one line of JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::audit::across::Across;
use crate::audit::examined::Examined;
use crate::audit::finding::{Finding, Trouble};
use crate::audit::stretch::Stretch;
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ids::ServerId;

/// All that an audit found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// True if nothing is wrong, everything could be read, and each source holds a bank.
    pub sound: bool,
    /// The first thing that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Finding>,
    /// The stores, servers and files, each by itself.
    pub stores: Vec<One>,
    /// Stretches of chains whose beginning is not there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stretches: Vec<Stretch>,
    /// The comparison of several with each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub across: Option<Together>,
    /// What could not be read at all, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// One store, server or file.
#[derive(Debug, Serialize)]
pub struct One {
    /// The name of the source.
    pub name: String,
    /// The server it belongs to, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerId>,
    /// The height of the chain, as far as it is sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u64>,
    /// The hash of the block at that height.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<BlockHash>,
    /// The number of entries in the chain.
    pub entries: u64,
    /// The number of entries in the local log; none if the audit did not get so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<usize>,
    /// The number of accounts in the chain.
    pub accounts: u64,
    /// The sum of their balances by the chain.
    pub total: u128,
    /// The sum with which the bank was opened.
    pub opened_with: u128,
    /// What it has issued since, beyond what it took back; absent in a bank that issues no money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued: Option<i128>,
    /// The first thing that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<Finding>,
    /// Why the source can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// True if the source can be read and holds no block 0: there is no bank in it.
    #[serde(skip_serializing_if = "is_false")]
    pub no_bank: bool,
    /// What is worth knowing though nothing is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The result of comparing several.
#[derive(Debug, Serialize)]
pub struct Together {
    /// The source with which the others are compared: the one with the longest chain, among the sound ones
    /// if there are any.
    pub against: String,
    /// The height of its chain.
    pub height: u64,
    /// True if all other chains are the beginning of this chain, and all logs fit it.
    pub agree: bool,
    /// What does not agree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrong: Vec<Finding>,
    /// What could not be compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// Servers of the bank that were not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<ServerId>,
}

impl Report {
    /// Sums up an audit.
    pub fn new(
        all: &[Examined],
        across: Across,
        stretches: Vec<Stretch>,
        unread: Vec<String>,
    ) -> Report {
        let stores: Vec<One> = all.iter().map(One::of).collect();
        let of_stretch = || stretches.iter().find_map(|stretch| stretch.wrong.clone());
        let first = first_of(&stores, &across.findings).or_else(of_stretch);
        let together = across.reference.map(|index| Together {
            against: stores[index].name.clone(),
            height: all[index].first - 1,
            agree: across.findings.is_empty() && across.unread.is_empty(),
            wrong: across.findings.into_iter().map(|(_, finding)| finding).collect(),
            unread: across.unread,
            absent: across.absent,
        });
        let across = together;
        let mut report = Report { sound: false, first, stores, stretches, across, unread };
        report.sound = report.first.is_none() && !report.is_incomplete() && !report.lacks_a_bank();
        report
    }

    /// True if something could not be read.
    pub fn is_incomplete(&self) -> bool {
        let of_one = self.stores.iter().any(|one| one.unread.is_some())
            || self.stretches.iter().any(|stretch| stretch.unread.is_some());
        let across = self.across.as_ref().is_some_and(|across| !across.unread.is_empty());
        !self.unread.is_empty() || of_one || across
    }

    /// True if a store holds no bank: it was never used, is not the one that was meant, or lost its content.
    pub fn lacks_a_bank(&self) -> bool {
        self.stores.iter().any(|one| one.no_bank)
    }

    fn without_a_bank(&self) -> Vec<&str> {
        self.stores.iter().filter(|one| one.no_bank).map(|one| one.name.as_str()).collect()
    }

    /// Writes the report for people.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        self.stores.iter().try_for_each(|one| one.write(to))?;
        self.stretches.iter().try_for_each(|stretch| stretch.write(to))?;
        if let Some(together) = &self.across {
            together.write(self.stores.len(), to)?;
        }
        self.unread.iter().try_for_each(|why| writeln!(to, "can't be read: {why}"))?;
        match &self.first {
            Some(finding) => writeln!(to, "WRONG. The first thing: {finding}"),
            None if self.sound && self.stretches.iter().any(|stretch| stretch.fits.is_none()) => {
                writeln!(to, "sound, as far as can be known without the blocks before")
            }
            None if self.sound => writeln!(to, "sound"),
            None if !self.is_incomplete() => {
                writeln!(to, "NO BANK in {}", self.without_a_bank().join(", "))
            }
            None => writeln!(to, "nothing wrong was found, but not all could be read"),
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// Finds the first thing that is wrong, in the order of the stores. A contradiction to the other stores comes
/// before a store's own error, unless the error is at an earlier place: it may follow from the contradiction.
fn first_of(stores: &[One], across: &[(usize, Finding)]) -> Option<Finding> {
    let of_one = |(index, one): (usize, &One)| {
        let own = one.wrong.as_ref();
        let theirs = across.iter().find(|(other, _)| *other == index).map(|(_, finding)| finding);
        match (own, theirs) {
            (Some(own), Some(theirs)) if own.spot.is_before(&theirs.spot) => Some(own),
            (own, theirs) => theirs.or(own),
        }
        .cloned()
    };
    stores.iter().enumerate().find_map(of_one)
}

impl One {
    fn of(examined: &Examined) -> One {
        let replay = &examined.replay;
        let blocks = replay.blocks();
        let (total, accounts) = replay.counted();
        let log = examined
            .standing
            .as_ref()
            .map(|standing| standing.log.iter().map(|element| element.records().len()).sum());
        let (wrong, unread) = match examined.trouble.clone() {
            None => (None, None),
            Some(Trouble::Wrong(finding)) => (Some(finding), None),
            Some(Trouble::Unread(why)) => (None, Some(why)),
        };
        One {
            name: examined.source.name(),
            server: examined.source.server(),
            height: blocks.checked_sub(1),
            head: replay.chain().map(|_| replay.head()),
            entries: replay.entries(),
            log,
            accounts,
            total,
            opened_with: replay.opened_with(),
            issued: replay.issued(),
            no_bank: blocks == 0 && examined.is_sound(),
            wrong,
            unread,
            notes: examined.notes.clone(),
        }
    }

    fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        writeln!(to, "{}", self.name)?;
        let is_sound = self.wrong.is_none() && self.unread.is_none();
        let as_far = if is_sound { "" } else { ", as far as it is sound" };
        if let (Some(height), Some(head)) = (self.height, self.head) {
            let entries = count(self.entries, "entry", "entries");
            writeln!(to, "  chain    height {height}, head {}, {entries}{as_far}", head.short())?;
            let accounts = count(self.accounts, "account", "accounts");
            let opened_with = self.opened_with;
            let issued = match self.issued {
                None => String::new(),
                Some(issued @ 0..) => format!(", issued {issued} since"),
                Some(taken) => format!(", took back {} since", -taken),
            };
            writeln!(
                to,
                "  total    {} in {accounts}; opened with {opened_with}{issued}",
                self.total
            )?;
        }
        if let Some(log) = self.log {
            writeln!(to, "  log      {}", count(log as u64, "entry", "entries"))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(to, "  note     {note}"))?;
        match (&self.wrong, &self.unread) {
            (Some(finding), _) => writeln!(to, "  WRONG    {finding}"),
            (None, Some(why)) => writeln!(to, "  UNREAD   {why}"),
            (None, None) if self.no_bank => writeln!(
                to,
                "  NO BANK  it holds no block 0: if a bank was here, the store was lost, or is another one"
            ),
            (None, None) => writeln!(to, "  sound"),
        }
    }
}

impl Together {
    fn write(&self, all: usize, to: &mut dyn Write) -> io::Result<()> {
        let Together { against, height, .. } = self;
        if all > 1 {
            writeln!(to, "together")?;
            writeln!(to, "  against  {against}, height {height}")?;
            self.wrong.iter().try_for_each(|finding| writeln!(to, "  WRONG    {finding}"))?;
            self.unread.iter().try_for_each(|why| writeln!(to, "  UNREAD   {why}"))?;
            if self.agree {
                writeln!(
                    to,
                    "  sound    each chain is what this one begins with, and each log fits to it"
                )?;
            }
        }
        if !self.absent.is_empty() {
            let absent: Vec<&str> = self.absent.iter().map(ServerId::as_str).collect();
            writeln!(to, "not looked at: {} of this bank", absent.join(", "))?;
        }
        Ok(())
    }
}

fn count(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}
