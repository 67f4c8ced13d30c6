//! What each account holds: by the chain alone, and by what this server knows beyond it.

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::changed::{Change, Changes, KeyChange};
use crate::bank::ledger::digest::Digest;
use crate::bank::ledger::directory::{AccountNumber, Directory};
use crate::bank::ledger::entry::{Action, Record};
use crate::bank::ledger::owners::Owners;
use crate::bank::ledger::pages::{Page, PageSlot, Pages};
use crate::bank::ledger::rule::{LedgerError, issued, moved};
use crate::bank::request::Listed;

mod keys;

/// The numbers of a transfer's payer and payee, if they were found.
pub type AccountNumbers = [Option<AccountNumber>; 2];

/// What the payer and the payee of a transfer would hold by the local balances.
#[derive(Clone, Copy, Debug)]
pub struct Weighed([(AccountNumber, Amount); 2]);

/// A view of an account's balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// By the chain alone: equal at every server that holds the same blocks.
    Committed,
    /// The committed balance plus the effects of this server's local log: the server decides by it.
    Local,
}

/// The accounts and their balances. No balance is ever below zero. Transfers leave the total as it is; only money that
/// is issued or taken back changes it.
///
/// An account of this server is known from the moment it is opened here; another server's account, only
/// from the chain.
///
/// The balances by the chain are stored in pages, of which each block writes only some.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Balances {
    accounts: Directory<Holding>,
    owners: Owners,
    pages: Pages,
}

/// The balances of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Holding {
    /// The balance by the chain; none for an account that is not in the chain yet.
    committed: Sparse,
    local: Amount,
    /// The account's place in the stored pages, once it is in the chain.
    place: PageSlot,
}

impl Holding {
    /// Takes over a new balance by the chain.
    fn follow(&mut self, Change { amount, own }: Change) {
        let units = |amount: Amount| amount.units() as i64;
        let by_all = units(amount) - units(self.committed.get().unwrap_or_default());
        let local = u64::try_from(units(self.local) + (by_all - own)).ok().and_then(Amount::new);
        self.local = local.expect("the local balance lacks nothing but its own account's entries");
        self.committed = amount.into();
    }
}

/// An `Option<Amount>` in eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Sparse(u64);

impl Sparse {
    const NONE: Sparse = Sparse(u64::MAX);

    fn get(self) -> Option<Amount> {
        Amount::new(self.0)
    }
}

impl Default for Sparse {
    fn default() -> Sparse {
        Sparse::NONE
    }
}

impl From<Amount> for Sparse {
    fn from(amount: Amount) -> Sparse {
        Sparse(amount.units())
    }
}

impl Balances {
    /// Starts without accounts. `salt` as for [`Directory::new`]; `page` is the number of accounts on a page.
    pub fn new(salt: u64, page: usize) -> Balances {
        Balances {
            accounts: Directory::new(salt),
            owners: Owners::default(),
            pages: Pages::new(page),
        }
    }

    /// Adds the accounts with which the chain begins.
    pub fn found(&mut self, accounts: impl IntoIterator<Item = (AccountId, Amount)>) {
        for (account, amount) in accounts {
            let number = self.enter(&account, amount);
            self.accounts.at_mut(number).local = amount;
            self.pages.touch(self.accounts.at(number).place, 0);
        }
    }

    /// Gives an account a place, and a balance by the chain.
    pub(super) fn enter(&mut self, account: &AccountId, amount: Amount) -> AccountNumber {
        let number = self.accounts.add(account);
        let place = self.pages.add(number);
        let holding = self.accounts.at_mut(number);
        (holding.committed, holding.place) = (amount.into(), place);
        number
    }

    /// Returns how many accounts are known.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// Returns how many accounts are in the chain.
    pub fn in_chain(&self) -> usize {
        self.pages.accounts()
    }

    /// Returns the number of an account's page, once the account is in the chain.
    pub fn page_of(&self, account: &AccountId) -> Option<u32> {
        self.on_page(account).map(|(_, page, _)| page)
    }

    /// Returns every account in the chain, with its balance there.
    pub fn all_committed(&self) -> impl Iterator<Item = (AccountId, Amount)> + '_ {
        let all = self.accounts.iter();
        all.filter_map(|(account, holding)| Some((account.clone(), holding.committed.get()?)))
    }

    pub(super) fn find(&self, account: &AccountId) -> Option<AccountNumber> {
        self.accounts.find(account)
    }

    pub(super) fn at(&self, view: View, number: AccountNumber) -> Option<Amount> {
        match view {
            View::Committed => self.accounts.at(number).committed.get(),
            View::Local => Some(self.accounts.at(number).local),
        }
    }

    /// Returns an account's balance in a view, if the view has the account.
    pub fn of(&self, view: View, account: &AccountId) -> Option<Amount> {
        self.at(view, self.find(account)?)
    }

    /// Returns an account's balance by the chain.
    pub fn committed(&self, account: &AccountId) -> Option<Amount> {
        self.of(View::Committed, account)
    }

    /// Returns an account's balance by the chain and the local log.
    pub fn local(&self, account: &AccountId) -> Option<Amount> {
        self.of(View::Local, account)
    }

    /// Returns the accounts of one home, each with its local balance. Looks at all accounts.
    pub fn of_home<'a>(
        &'a self,
        home: &'a ServerId,
    ) -> impl Iterator<Item = (&'a AccountId, Amount)> + 'a {
        let all = self.accounts.iter().map(|(account, holding)| (account, holding.local));
        all.filter(move |(account, _)| account.is_of(home))
    }

    /// Returns what the local log by itself brings to an account that it pays or opens and that this server
    /// may not debit. For an account that it may debit, returns zero or the rest. None if the log neither pays
    /// nor opens it.
    pub fn brought(&self, account: &AccountId) -> Option<Amount> {
        let Holding { committed, local, .. } = self.accounts.at(self.find(account)?);
        match committed.get() {
            None => Some(*local),
            Some(committed) => local.minus(committed).filter(|amount| *amount > Amount::ZERO),
        }
    }

    /// Returns the payers' and payees' numbers, as far as the accounts are known. It looks for all at once:
    /// with many accounts nearly each has to be fetched from memory, and a processor then fetches several at
    /// a time.
    pub fn find_all<'a>(
        &self,
        actions: impl Iterator<Item = &'a Action> + Clone,
    ) -> Vec<AccountNumbers> {
        let guess = |action: &Action| match action {
            Action::Transfer { from, to, .. } => {
                [self.accounts.guess(from), self.accounts.guess(to)]
            }
            _ => [None; 2],
        };
        let mut all: Vec<AccountNumbers> = actions.clone().map(guess).collect();
        for (action, [payer, payee]) in actions.zip(&mut all) {
            if let Action::Transfer { from, to, .. } = action {
                *payer = payer.and_then(|guess| self.accounts.confirm(from, guess));
                *payee = payee.and_then(|guess| self.accounts.confirm(to, guess));
            }
        }
        all
    }

    /// Returns what a transfer would make of the local balances. Accounts may have been opened since `found`.
    ///
    /// # Errors
    /// Those of [`Trial::apply`](crate::bank::ledger::trial::Trial::apply).
    pub fn weigh(
        &self,
        from: &AccountId,
        to: &AccountId,
        amount: Amount,
        found: AccountNumbers,
    ) -> Result<Weighed, LedgerError> {
        let known = |account: &AccountId, number: Option<AccountNumber>| {
            let number = number.or_else(|| self.find(account))?;
            Some((number, self.accounts.at(number).local))
        };
        moved(from, to, amount, [known(from, found[0]), known(to, found[1])]).map(Weighed)
    }

    /// Applies a transfer that was just weighed; returns the payer's new balance.
    pub fn take(&mut self, Weighed(holdings): Weighed) -> Amount {
        for (number, amount) in holdings {
            self.accounts.at_mut(number).local = amount;
        }
        holdings[0].1
    }

    /// Applies an action to the local balances: all of it, or nothing and the reason.
    ///
    /// # Errors
    /// Those of [`Trial::apply`](crate::bank::ledger::trial::Trial::apply).
    pub fn apply(&mut self, action: &Action) -> Result<(), LedgerError> {
        match action {
            Action::Transfer { from, to, amount } => {
                let weighed = self.weigh(from, to, *amount, [None; 2])?;
                self.take(weighed);
            }
            Action::Mint { account, amount } | Action::Burn { account, amount } => {
                let known =
                    self.find(account).map(|number| (number, self.accounts.at(number).local));
                let (number, after) = issued(action, account, *amount, known)?;
                self.accounts.at_mut(number).local = after;
            }
            Action::Open { account, .. } if self.find(account).is_some() => {
                return Err(LedgerError::Exists(account.clone()));
            }
            Action::Open { account, .. } => drop(self.accounts.add(account)),
            Action::Rekey { account, .. } if self.find(account).is_none() => {
                return Err(LedgerError::UnknownAccount(account.clone()));
            }
            Action::Rekey { .. }
            | Action::Pin { .. }
            | Action::Rejoin { .. }
            | Action::Member(_) => {}
        }
        if let Some((account, key)) = action.gives_key()
            && let Some(number) = self.find(account)
        {
            self.owners.log(number, key);
        }
        Ok(())
    }

    /// Applies records to the local balances.
    ///
    /// # Errors
    /// The error of the first record that can't take effect.
    pub fn apply_all(&mut self, records: &[Record]) -> Result<(), LedgerError> {
        let found = self.find_all(records.iter().map(|record| &record.action));
        for (record, found) in records.iter().zip(found) {
            match &record.action {
                Action::Transfer { from, to, amount } => {
                    let weighed = self.weigh(from, to, *amount, found)?;
                    self.take(weighed);
                }
                action => self.apply(action)?,
            }
        }
        Ok(())
    }

    /// Takes over the result of a trial by the committed balances, since the block at this height was
    /// appended. The local balances follow, as far as the changes are not the own log's.
    pub fn commit(&mut self, changes: Changes, height: u64) {
        for (number, change) in changes.changed {
            let holding = self.accounts.at_mut(number);
            holding.follow(change);
            self.pages.touch(holding.place, height);
        }
        for (account, change) in changes.opened {
            let number = self.enter(&account, Amount::ZERO);
            let holding = self.accounts.at_mut(number);
            holding.follow(change);
            self.pages.touch(holding.place, height);
        }
        for (account, KeyChange { key, own }) in changes.keys {
            let (number, ..) =
                self.on_page(&account).expect("an account with a key is in the chain");
            self.set_committed_key(number, key, own, height);
        }
    }

    /// Returns how many pages there are.
    pub fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Returns the pages to be stored with the head's block, at this height: those that the store lacks for
    /// longest, at most `most` of them.
    pub fn late_pages(&mut self, most: usize, height: u64) -> Vec<Page> {
        let mut pages = Vec::new();
        while pages.len() < most
            && let Some((number, accounts)) = self.pages.write_next()
        {
            let balance = |account: &AccountNumber| {
                let committed = self.accounts.at(*account).committed.get();
                (self.accounts.name(*account).clone(), committed.expect("it is in the chain"))
            };
            let balances = accounts.iter().map(balance).collect();
            let key = |account: &AccountNumber| {
                let key = self.owners.committed(*account)?;
                Some((self.accounts.name(*account).clone(), key))
            };
            let keys = accounts.iter().filter_map(key).collect();
            pages.push(Page { number, height, balances, keys });
        }
        pages
    }

    /// Returns the height up to which the stored pages count all blocks; `head` is the chain's height.
    pub fn checkpoint(&self, head: u64) -> u64 {
        self.pages.checkpoint(head)
    }

    /// Returns a part of the list of all accounts, for
    /// [`Request::Accounts`](crate::bank::request::Request::Accounts); and whether the list goes on.
    pub fn list(
        &self,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> (Vec<Listed>, bool) {
        let mut found = self.accounts.names_from(prefix, after);
        let listed = |account: &AccountId| Listed {
            account: account.clone(),
            committed: self.committed(account),
        };
        let page = found.by_ref().take(limit).map(listed).collect();
        (page, found.next().is_some())
    }

    /// Returns how many accounts the chain knows, and the digest of their balances.
    pub fn digest(&self) -> (usize, Digest) {
        let mut digest = Digest::default();
        for (account, amount) in self.all_committed() {
            digest.add(account.as_str(), amount);
        }
        (self.pages.accounts(), digest)
    }

    /// Forgets what the local log had added.
    pub fn forget_log(&mut self) {
        for Holding { committed, local, .. } in self.accounts.values_mut() {
            *local = committed.get().unwrap_or_default();
        }
        self.owners.forget_log();
    }
}

/// These serve a [`Restoration`](super::restoration::Restoration).
impl Balances {
    /// Returns how many accounts a page has.
    pub(super) fn page_size(&self) -> usize {
        self.pages.size()
    }

    /// True if the next account is the first of this page.
    pub(super) fn is_at_page(&self, page: u32) -> bool {
        self.pages.accounts() == page as usize * self.pages.size()
    }

    /// Returns the page of the next account.
    pub(super) fn next_page(&self) -> u32 {
        self.pages.page_of(self.pages.next())
    }

    /// Adds an account that the block at this height opens.
    pub(super) fn open_committed(&mut self, account: &AccountId, height: u64) {
        let number = self.enter(account, Amount::ZERO);
        self.pages.touch(self.accounts.at(number).place, height);
    }

    /// Returns the number of an account in the chain, its page, and its balance by the chain.
    pub(super) fn on_page(&self, account: &AccountId) -> Option<(AccountNumber, u32, Amount)> {
        let number = self.find(account)?;
        let holding = self.accounts.at(number);
        Some((number, self.pages.page_of(holding.place), holding.committed.get()?))
    }

    /// Sets the balance of an account in the chain after the block at this height.
    pub(super) fn set_committed(&mut self, number: AccountNumber, amount: Amount, height: u64) {
        let holding = self.accounts.at_mut(number);
        holding.committed = amount.into();
        self.pages.touch(holding.place, height);
    }
}
