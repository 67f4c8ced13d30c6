//! One server's chain and log, examined by themselves.

use std::collections::BTreeSet;

use crate::audit::finding::{Finding, Trouble};
use crate::audit::kept;
use crate::audit::log::check_log;
use crate::audit::replay::Replay;
use crate::audit::source::{AccountsPiece, Source, Standing};
use crate::bank::blockchain::chain::Chain;
use crate::bank::ids::AccountId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::restoration::{Misfit, Restoration};
use crate::bank::limits::PAGE;
use crate::bank::stored::Place;

/// A source, and what was found in it.
pub struct Examined {
    /// The source.
    pub source: Box<dyn Source>,
    /// The chain, as far as it is sound.
    pub replay: Replay,
    /// The rest of the content when it was last read.
    pub standing: Option<Standing>,
    /// The number of sound blocks when the first examination ended.
    pub first: u64,
    /// The first thing that is wrong, or why the source can't be read.
    pub trouble: Option<Trouble>,
    /// What is worth knowing though nothing is wrong.
    pub notes: Vec<String>,
    /// Listed accounts that the chain didn't know when they were listed.
    unknown: Vec<AccountId>,
    /// The balances by a start from the stored pages, where there are pages.
    restored: Option<Restoration>,
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
            restored: None,
        };
        examined.trouble = examined.examine().err();
        examined.first = examined.replay.blocks();
        examined
    }

    /// True if nothing is wrong and everything could be read.
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
            // All else follows from the chain, so what is wrong there comes first.
            Err(trouble) => {
                let blocks = self.source.length()?;
                self.go_on(blocks)?;
                return Err(trouble);
            }
        };
        match standing.kept.as_ref().filter(|_| standing.blocks > 0) {
            Some(kept) => self.restore(&standing, kept.checkpoint)?,
            None => {
                self.go_on(standing.blocks)?;
                self.compare_told()?;
            }
        }
        self.look_again()?;
        self.compare_restored()
    }

    /// Reads the pages of balances. They are of different heights, and newer ones may come all the time. So
    /// the blocks since the checkpoint are applied to them, as at a start.
    fn restore(&mut self, standing: &Standing, checkpoint: u64) -> Result<(), Trouble> {
        if checkpoint >= standing.blocks {
            let spot = self.source.spot(&Place::Checkpoint);
            let what = format!("{checkpoint} lies beyond the chain of {} blocks", standing.blocks);
            return Err(Finding::new(spot, what).into());
        }
        self.go_on(checkpoint + 1)?;
        let mut restored = Restoration::new(fastrand::u64(..), PAGE, checkpoint);
        while let Some(piece) = self.source.accounts_piece()? {
            for page in piece.pages {
                if page.height >= piece.blocks {
                    let spot = self.source.spot(&Place::Page(page.number));
                    let what = format!("it is of height {}, which isn't there", page.height);
                    return Err(Finding::new(spot, what).into());
                }
                restored.page(&page).map_err(|misfit| self.misfit(misfit))?;
            }
        }
        self.restored = Some(restored);
        Ok(())
    }

    fn misfit(&self, (place, what): Misfit) -> Trouble {
        Finding::new(self.source.spot(&place), what).into()
    }

    /// Compares the balances by the stored pages with those by the chain.
    fn compare_restored(&self) -> Result<(), Trouble> {
        let Some(restored) = &self.restored else { return Ok(()) };
        restored.compare(self.replay.balances()).map_err(|misfit| self.misfit(misfit))
    }

    /// Compares the balances that a server tells, page by page. Each page is of a moment of its own, so the
    /// chain is followed to where it was at that moment.
    fn compare_told(&mut self) -> Result<(), Trouble> {
        let (mut at_first, mut seen) = (None, 0);
        while let Some(piece) = self.source.accounts_piece()? {
            self.go_on(piece.blocks)?;
            at_first.get_or_insert_with(|| self.replay.counted().1);
            seen += piece.balances.len() as u64;
            self.compare(piece)?;
        }
        // Nobody says how many accounts there are. Some may have come meanwhile, but none may go.
        match at_first.filter(|least| seen < *least) {
            None => Ok(()),
            Some(least) => {
                let what = format!("{seen} accounts are there, and the chain has {least}");
                Err(Finding::new(self.source.spot(&Place::Balances), what).into())
            }
        }
    }

    /// Follows the chain to its present end, and checks what is beside it.
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

    /// Follows the chain until it has `blocks` blocks.
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
                // The place where the block stands, which need not be where it says that it belongs.
                let place = Place::Block(self.replay.blocks());
                let block =
                    self.replay.append(&found).map_err(|what| self.misfit((place, what)))?;
                if let Some(restored) = &mut self.restored {
                    restored.block(&block).map_err(|misfit| self.misfit(misfit))?;
                }
            }
        }
        Ok(())
    }

    /// Compares told accounts with what follows from the chain.
    fn compare(&mut self, piece: AccountsPiece) -> Result<(), Trouble> {
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

    /// Checks that money is neither made nor lost. It is counted anew, since nothing else adds up the total.
    fn check_total(&self) -> Result<(), Trouble> {
        let ((total, _), money) = (self.replay.counted(), self.replay.money());
        let is_complete = self.replay.chain().is_none_or(Chain::is_complete);
        if total == money || !is_complete {
            return Ok(());
        }
        let opened_with = self.replay.opened_with();
        let what = match opened_with == money {
            true => {
                format!("all accounts hold {total}, and the bank was opened with {opened_with}")
            }
            false => format!(
                "all accounts hold {total}, and the bank was opened with {opened_with} and has {money} by what it \
                 issued since"
            ),
        };
        Err(Finding::new(self.source.spot(&Place::Chain), what).into())
    }

    /// Checks that no account is listed which neither the chain nor the log opens.
    fn check_accounts(&self, standing: &Standing) -> Result<(), Trouble> {
        let opened: BTreeSet<&AccountId> = standing.log.iter().flat_map(Element::opened).collect();
        let known = |account: &AccountId| {
            self.replay.balances().committed(account).is_some() || opened.contains(account)
        };
        match self.unknown.iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(stranger) => {
                let what = "it is listed, and neither the chain nor the log opens it".into();
                Err(self.misfit((Place::Balance(stranger.clone()), what)))
            }
        }
    }
}
