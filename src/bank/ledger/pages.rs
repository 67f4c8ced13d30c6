//! Balances in pages, and the pages that a store is behind with: a fuzzy checkpoint.
//!
//! A block may change a hundred thousand balances. A store that has the block needn't have each of them
//! at once: with every block it gets a few pages, the one that it lacks for longest first, and each says
//! of which height it is. The blocks after a page are what is missing from it
//! ([`Restoration`](super::restoration::Restoration)), and how many those are is bounded.
//!
//! Source: R. B. Hagmann, "A Crash Recovery Scheme for a Memory-Resident Database System", IEEE
//! Transactions on Computers C-35(9), 1986 (fuzzy dumps); `since` is the `RecLSN` of a dirty page in
//! C. Mohan et al., "ARIES", ACM TODS 17(1), 1992, section 5.

use std::collections::VecDeque;

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::bank::ledger::directory::AccountNumber;

/// A page as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    /// Counted from 0.
    pub number: u32,
    /// The last block of which the effects are in it.
    pub height: u64,
    /// Its accounts, in the order in which the chain opened them, and what they held then.
    pub balances: Vec<(AccountId, Amount)>,
}

/// Where an account stands: 0, 1, 2… in the order in which the chain opened the accounts (those of one
/// block by their names). The same at every server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place(u32);

/// A page of which the store has not the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Late {
    page: u32,
    /// The first block that the stored one lacks.
    since: u64,
}

/// Which accounts are on which page, and what the store lacks.
///
/// A page is late no later than the one after it begins, and what is late for longest is written first:
/// so all stored pages but the last are full.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pages {
    /// How many accounts a page has.
    size: usize,
    /// By place.
    accounts: Vec<AccountNumber>,
    /// The longest late comes first.
    late: VecDeque<Late>,
    /// By page.
    is_late: Vec<bool>,
}

impl Pages {
    /// No accounts; so many are to be on a page.
    pub(super) fn new(size: usize) -> Pages {
        assert!(size > 0, "a page has room for an account");
        Pages { size, accounts: Vec::new(), late: VecDeque::new(), is_late: Vec::new() }
    }

    /// How many accounts a page has, but for the last.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.is_late.len()
    }

    /// How many accounts there are.
    pub(super) fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// Where the next account will be.
    pub(super) fn next(&self) -> Place {
        Place(u32::try_from(self.accounts.len()).expect("fewer accounts than numbers"))
    }

    /// The number of the page on which a place is.
    pub(super) fn page_of(&self, place: Place) -> u32 {
        place.0 / self.size as u32
    }

    /// Gives an account the next place.
    pub(super) fn add(&mut self, account: AccountNumber) -> Place {
        let place = self.next();
        self.accounts.push(account);
        if self.page_of(place) as usize == self.is_late.len() {
            self.is_late.push(false);
        }
        place
    }

    /// The block at this height changes what is at that place.
    pub(super) fn touch(&mut self, place: Place, height: u64) {
        let page = self.page_of(place);
        if !std::mem::replace(&mut self.is_late[page as usize], true) {
            self.late.push_back(Late { page, since: height });
        }
    }

    /// The height up to which all blocks are in the stored pages, where `head` is that of the chain.
    pub(super) fn checkpoint(&self, head: u64) -> u64 {
        match self.late.front() {
            Some(late) if !planted!(CheckpointAtHead) => late.since.saturating_sub(1),
            _ => head,
        }
    }

    /// The page that is late for longest, which is to be written now, and the accounts on it.
    pub(super) fn write_next(&mut self) -> Option<(u32, &[AccountNumber])> {
        let Late { page, .. } = self.late.pop_front()?;
        self.is_late[page as usize] = false;
        let first = page as usize * self.size;
        let end = (first + self.size).min(self.accounts.len());
        Some((page, &self.accounts[first..end]))
    }
}
