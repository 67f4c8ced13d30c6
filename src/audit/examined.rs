//! One server's chain and log, examined by themselves.

use std::collections::BTreeSet;

use crate::audit::finding::{Finding, Trouble};
use crate::audit::kept;
use crate::audit::log::check_log;
use crate::audit::replay::Replay;
use crate::audit::source::{Derived, Of, Source, Standing};
use crate::bank::ids::AccountId;
use crate::bank::stored::Place;

/// So many accounts are asked for at once.
const MOST_AT_ONCE: usize = 10_000;

/// A source, and what was found in it.
pub struct Examined {
    /// Where it was read.
    pub source: Box<dyn Source>,
    /// Its chain, as far as it is sound.
    pub replay: Replay,
    /// What was there beside the chain when it was last looked at.
    pub standing: Option<Standing>,
    /// The number of sound blocks when the first examination ended.
    pub first: u64,
    /// The first thing that is wrong, or why it can't be read.
    pub trouble: Option<Trouble>,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
    /// Accounts that are listed, and that the chain didn't know when they were.
    unknown: Vec<AccountId>,
}

impl Examined {
    /// Examines a source, until something is wrong.
    pub fn of(source: Box<dyn Source>) -> Examined {
        let mut examined = Examined {
            source,
            replay: Replay::new(fastrand::u64(..)),
            standing: None,
            first: 0,
            trouble: None,
            notes: Vec::new(),
            unknown: Vec::new(),
        };
        examined.trouble = examined.examine().err();
        examined.first = examined.replay.blocks();
        examined
    }

    /// Whether nothing is wrong and all could be read.
    pub fn is_sound(&self) -> bool {
        self.trouble.is_none()
    }

    fn examine(&mut self) -> Result<(), Trouble> {
        let standing = match self.source.standing() {
            Ok(Some(standing)) => standing,
            Ok(None) => {
                self.notes.push("it was never used".into());
                return Ok(());
            }
            // All else follows from the chain: what is wrong there comes first.
            Err(trouble) => {
                let blocks = self.source.length()?;
                self.go_on(blocks)?;
                return Err(trouble);
            }
        };
        self.go_on(standing.blocks)?;
        // What follows from the chain comes in pieces, each of a moment of its own: so the chain is
        // followed to where it was at that moment.
        let (mut at_first, mut seen) = (None, 0);
        while let Some(piece) = self.source.derived()? {
            self.go_on(piece.blocks)?;
            at_first.get_or_insert_with(|| self.replay.counted().1);
            seen += piece.balances.len() as u64;
            self.compare(piece)?;
        }
        self.look_again()?;
        // Where nobody says how many there are; accounts may have come meanwhile, but none may go.
        match at_first.filter(|least| seen < *least) {
            None => Ok(()),
            Some(least) => {
                let what = format!("{seen} accounts are there, and the chain has {least}");
                Err(Finding::new(self.source.spot(&Place::Balances), what).into())
            }
        }
    }

    /// Goes on to where the chain is now, and checks what is beside it.
    pub fn look_again(&mut self) -> Result<(), Trouble> {
        let Some(standing) = self.source.standing()? else {
            let spot = self.source.spot(&Place::Chain);
            return Err(Finding::new(spot, "it vanished while it was read").into());
        };
        self.go_on(standing.blocks)?;
        self.check_total()?;
        let (replay, source) = (&self.replay, &*self.source);
        self.notes = kept::check(replay, source, &standing)?;
        if kept::takes_part(replay, source, &standing) {
            check_log(replay, source, &standing.log)?;
        }
        kept::check_accepted(replay, source, &standing)?;
        self.check_accounts(&standing)?;
        self.standing = Some(standing);
        Ok(())
    }

    /// Follows the chain until it has so many blocks.
    fn go_on(&mut self, blocks: u64) -> Result<(), Trouble> {
        if blocks < self.replay.blocks() {
            let what = format!("{blocks} blocks, and there were {} before", self.replay.blocks());
            return Err(Finding::new(self.source.spot(&Place::Chain), what).into());
        }
        while self.replay.blocks() < blocks {
            let next = self.replay.blocks();
            let piece = self.source.blocks(next, blocks - 1)?;
            if piece.is_empty() {
                let what = format!("missing: there should be {blocks} blocks");
                return Err(Finding::new(self.source.spot(&Place::Block(next)), what).into());
            }
            for found in piece {
                // Where it stands, which need not be where it says that it belongs.
                let height = self.replay.blocks();
                self.replay
                    .append(&found)
                    .map_err(|what| Finding::new(self.source.spot(&Place::Block(height)), what))?;
            }
        }
        Ok(())
    }

    /// Compares what is stored of accounts with what follows from the chain.
    fn compare(&mut self, piece: Derived) -> Result<(), Trouble> {
        let balances = self.replay.balances();
        for (account, amount) in piece.balances {
            let what = match balances.committed(&account) {
                Some(right) if right == amount => continue,
                Some(right) => format!("{amount} is there, and {right} follows from the chain"),
                None => format!("{amount} is there, and the chain knows no such account"),
            };
            let spot = self.source.spot(&Place::Balance(account));
            return Err(Finding::new(spot, what).into());
        }
        let unknown = piece.names.into_iter().filter(|name| balances.committed(name).is_none());
        self.unknown.extend(unknown);
        Ok(())
    }

    /// Money is neither made nor lost: counted anew, since the total is what nothing else adds up.
    fn check_total(&self) -> Result<(), Trouble> {
        let ((total, _), opened_with) = (self.replay.counted(), self.replay.opened_with());
        if total == opened_with {
            return Ok(());
        }
        let what = format!("all accounts hold {total}, and the bank was opened with {opened_with}");
        Err(Finding::new(self.source.spot(&Place::Chain), what).into())
    }

    /// Nobody is missing among the balances and the names, and nobody is there who isn't known.
    fn check_accounts(&mut self, standing: &Standing) -> Result<(), Trouble> {
        let opened: BTreeSet<&AccountId> = kept::opened_in(&standing.log).collect();
        let known = |account: &AccountId| {
            self.replay.balances().committed(account).is_some() || opened.contains(account)
        };
        if let Some(stranger) = self.unknown.iter().find(|name| !known(name)) {
            let spot = self.source.spot_of_list(Some(stranger));
            let what = "it is listed, and neither the chain nor the log opens it";
            return Err(Finding::new(spot, what).into());
        }
        let Some(kept) = &standing.kept else { return Ok(()) };
        let (_, accounts) = self.replay.counted();
        let named = accounts + opened.len() as u64;
        let (stored, listed) = (kept.accounts, kept.listed);
        if stored != accounts {
            self.name_missing(Of::Balances)?;
            let what = format!("{stored} accounts are there, and the chain has {accounts}");
            return Err(Finding::new(self.source.spot(&Place::Balances), what).into());
        }
        if listed != named {
            self.name_missing(Of::Names)?;
            let what = format!("it lists {listed} accounts where {named} are known");
            return Err(Finding::new(self.source.spot_of_list(None), what).into());
        }
        Ok(())
    }

    /// Finds the account of the chain's that is missing.
    fn name_missing(&mut self, of: Of) -> Result<(), Trouble> {
        let mut accounts = self.replay.balances().all_committed();
        loop {
            let some: Vec<_> = accounts.by_ref().take(MOST_AT_ONCE).collect();
            let names: Vec<AccountId> = some.iter().map(|(account, _)| account.clone()).collect();
            if names.is_empty() {
                return Ok(());
            }
            let Some(missing) = self.source.first_missing(&names, of)? else { continue };
            let holds = some.iter().find(|(account, _)| *account == missing);
            let holds = holds.map_or_else(String::new, |(_, amount)| amount.to_string());
            return Err(match of {
                Of::Balances => Finding::new(
                    self.source.spot(&Place::Balance(missing)),
                    format!("missing, and {holds} follows from the chain"),
                ),
                Of::Names => Finding::new(
                    self.source.spot_of_list(Some(&missing)),
                    "missing, though the account is in the chain",
                ),
            }
            .into());
        }
    }
}
