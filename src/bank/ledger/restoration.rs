//! Balances at the chain's head, restored from pages that were stored earlier and the blocks since.

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Accounts, SealedBlock};
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::AccountId;
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::pages::Page;
use crate::bank::stored::Place;

/// What doesn't fit, and where.
pub type Misfit = (Place, String);

/// Restores balances: takes all pages, from page 0 on, then the blocks after the checkpoint, one after the
/// other. A block changes an account only if the account's page is from before the block.
#[derive(Clone, Debug)]
pub struct Restoration {
    balances: Balances,
    /// The pages' heights, by their numbers.
    heights: Vec<u64>,
    /// The height of the last block taken; before the first one, the checkpoint.
    height: u64,
}

impl Restoration {
    /// Starts before page 0. The pages count at least the blocks up to `checkpoint`. `salt` and `size` as for
    /// [`Balances::new`].
    pub fn new(salt: u64, size: usize, checkpoint: u64) -> Restoration {
        Restoration { balances: Balances::new(salt, size), heights: Vec::new(), height: checkpoint }
    }

    /// Returns the height of the last block taken; before the first one, the checkpoint.
    pub fn height(&self) -> u64 {
        self.height
    }

    /// Returns the balances so far.
    pub fn balances(&self) -> &Balances {
        &self.balances
    }

    /// Compares the balances so far with those that follow from the chain.
    ///
    /// # Errors
    /// The first account that differs.
    pub fn compare(&self, right: &Balances) -> Result<(), Misfit> {
        let place = |account| self.balances.page_of(account).map_or(Place::Balances, Place::Page);
        for (account, amount) in right.all_committed() {
            let what = match self.balances.committed(&account) {
                Some(found) if found == amount => match self.key_differs(right, &account) {
                    None => continue,
                    Some(what) => what,
                },
                Some(found) => {
                    format!("{account} comes to {found} by it, and to {amount} by the chain")
                }
                None => format!("{account} is missing, which comes to {amount} by the chain"),
            };
            return Err((place(&account), what));
        }
        let mut all = self.balances.all_committed();
        match all.find(|(account, _)| right.committed(account).is_none()) {
            None => Ok(()),
            Some((account, amount)) => {
                let what = format!("{account} holds {amount}, and the chain knows no such account");
                Err((place(&account), what))
            }
        }
    }

    /// Says how an account's key differs from the key that follows from the chain.
    fn key_differs(&self, right: &Balances, account: &AccountId) -> Option<String> {
        let (found, right) = (self.balances.committed_key(account), right.committed_key(account));
        let named = |key: Option<Fingerprint>| key.map_or("no key".into(), |key| key.to_string());
        (found != right).then(|| {
            format!("{account} has {} by it, and {} by the chain", named(found), named(right))
        })
    }

    /// Returns the restored balances.
    pub fn into_balances(self) -> Balances {
        self.balances
    }

    /// Takes the next page.
    ///
    /// # Errors
    /// If it can't be the next page.
    pub fn page(&mut self, page: &Page) -> Result<(), Misfit> {
        let wrong = |what: String| Err((Place::Page(page.number), what));
        let number = self.heights.len();
        if page.number as usize != number {
            return wrong(format!("page {number} was to come"));
        }
        if !self.balances.is_at_page(page.number) {
            // A page that isn't full must be the last one.
            let before = page.number.saturating_sub(1);
            let what = format!("it is not full, and page {number} is there");
            return Err((Place::Page(before), what));
        }
        let (held, room) = (page.balances.len(), self.balances.page_size());
        if held == 0 || held > room {
            return wrong(format!("it holds {held} accounts, and has room for {room}"));
        }
        for (account, amount) in &page.balances {
            if self.balances.committed(account).is_some() {
                return wrong(format!("{account} was there before"));
            }
            self.balances.enter(account, *amount);
        }
        for (account, key) in &page.keys {
            match self.balances.on_page(account) {
                Some((account, on, _)) if on == page.number => {
                    self.balances.restore_key(account, *key);
                }
                _ => return wrong(format!("it names a key of {account}, which isn't on it")),
            }
        }
        self.heights.push(page.height);
        Ok(())
    }

    /// Takes the next block, after all pages. Blocks up to the checkpoint may come, too.
    ///
    /// # Errors
    /// If the pages can't be from before it.
    ///
    /// # Panics
    /// If a block was left out.
    pub fn block(&mut self, block: &SealedBlock) -> Result<(), Misfit> {
        let height = block.height();
        if height <= self.height {
            return Ok(());
        }
        assert_eq!(height, self.height + 1, "one block after the other");
        if let Some(accounts) = &block.block().opening {
            self.begin(accounts, height)?;
        }
        let elements = || block.block().logs.values().flatten();
        let mut opened: Vec<&AccountId> = elements().flat_map(Element::opened).collect();
        opened.sort_unstable();
        opened.into_iter().try_for_each(|account| self.open(account, height))?;
        for record in elements().flat_map(Element::records) {
            match &record.action {
                Action::Transfer { from, to, amount } => {
                    self.change(from, height, |balance| balance.minus(*amount))?;
                    self.change(to, height, |balance| balance.plus(*amount))?;
                }
                Action::Mint { account, amount } => {
                    self.change(account, height, |balance| balance.plus(*amount))?;
                }
                Action::Burn { account, amount } => {
                    self.change(account, height, |balance| balance.minus(*amount))?;
                }
                _ => {}
            }
            if let Some((account, key)) = record.action.gives_key() {
                self.rekey(account, key, height)?;
            }
        }
        self.height = height;
        Ok(())
    }

    /// Gives accounts the balances with which they begin. Those of the servers are there since block 0.
    fn begin(&mut self, accounts: &Accounts, height: u64) -> Result<(), Misfit> {
        for (account, amount) in &accounts.balances {
            if account.as_str() != account.home() {
                self.open(account, height)?;
            }
            self.change(account, height, |balance| balance.plus(*amount))?;
        }
        accounts.keys.iter().try_for_each(|(account, key)| self.rekey(account, *key, height))
    }

    fn open(&mut self, account: &AccountId, height: u64) -> Result<(), Misfit> {
        match self.balances.page_of(account) {
            Some(page) if self.has(page, height) => return Ok(()),
            Some(page) => {
                let what = format!("{account} is there, and only block {height} opens it");
                return Err((Place::Page(page), what));
            }
            None => {}
        }
        let next = self.balances.next_page();
        if self.has(next, height) {
            let what = format!("{account} is missing, which block {height} opens");
            return Err((Place::Page(next), what));
        }
        self.balances.open_committed(account, height);
        Ok(())
    }

    /// Applies a block to an account's balance, if the account's page is from before the block.
    fn change(
        &mut self,
        account: &AccountId,
        height: u64,
        change: impl FnOnce(Amount) -> Option<Amount>,
    ) -> Result<(), Misfit> {
        let Some((number, page, before)) = self.balances.on_page(account) else {
            let what = format!("{account} is missing, and block {height} knows it");
            return Err((Place::Balances, what));
        };
        if self.has(page, height) && !planted!(PageHeightIgnored) {
            return Ok(());
        }
        match change(before) {
            Some(after) => self.balances.set_committed(number, after, height),
            None => {
                let what = format!("{account} can't have held {before} before block {height}");
                return Err((Place::Page(page), what));
            }
        }
        Ok(())
    }

    /// Gives an account a key by a block, if the account's page is from before the block.
    fn rekey(&mut self, account: &AccountId, key: Fingerprint, height: u64) -> Result<(), Misfit> {
        match self.balances.on_page(account) {
            None => {
                let what = format!("{account} is missing, and block {height} gives it a key");
                Err((Place::Balances, what))
            }
            Some((_, page, _)) if self.has(page, height) => Ok(()),
            Some((number, ..)) => {
                self.balances.set_committed_key(number, key, 0, height);
                Ok(())
            }
        }
    }

    /// True if a page was stored with or after the block at this height.
    fn has(&self, page: u32, height: u64) -> bool {
        self.heights.get(page as usize).is_some_and(|stored| height <= *stored)
    }
}
