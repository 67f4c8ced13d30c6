//! Balances in pages, and the pages that a store is behind with: a fuzzy checkpoint.
//!
//! A block may change a hundred thousand balances. A store that has the block needn't have all of them
//! at once. With every block it gets a few pages, first the one that it lacks for longest, and each page names
//! its height. What a page lacks is in the blocks after its height
//! ([`Restoration`](super::restoration::Restoration)), and the number of these blocks is bounded.
//!
//! Source: R. B. Hagmann, "A Crash Recovery Scheme for a Memory-Resident Database System", IEEE
//! Transactions on Computers C-35(9), 1986 (fuzzy dumps); `since` is the `RecLSN` of a dirty page in
//! C. Mohan et al., "ARIES", ACM TODS 17(1), 1992, section 5.

use std::collections::{BTreeMap, VecDeque};

use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::AccountId;
use crate::bank::ledger::directory::AccountNumber;

/// A page as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    /// The page's number, from 0.
    pub number: u32,
    /// The last block whose effects are in the page.
    pub height: u64,
    /// The page's accounts, in the order in which the chain opened them, with their balances at that height.
    pub balances: Vec<(AccountId, Amount)>,
    /// The keys of those of its accounts that have one, at that height.
    pub keys: BTreeMap<AccountId, Fingerprint>,
}

/// An account's place: 0, 1, 2… in the order in which the chain opened the accounts (those of one block by
/// their names). It is the same at every server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PageSlot(u32);

/// A page whose newest version the store lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Late {
    page: u32,
    /// The first block that the stored version lacks.
    since: u64,
}

/// The accounts on each page, and what the store lacks.
///
/// A page is late no later than the next page begins, and the page that is late for longest is written first.
/// So all stored pages but the last are full.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pages {
    /// The number of accounts on a page.
    size: usize,
    /// The accounts by place.
    accounts: Vec<AccountNumber>,
    /// The late pages; the one that is late for longest comes first.
    late: VecDeque<Late>,
    /// Which pages are late, by number.
    is_late: Vec<bool>,
}

impl Pages {
    /// Starts without accounts; `size` accounts go on a page.
    pub(super) fn new(size: usize) -> Pages {
        assert!(size > 0, "a page has room for an account");
        Pages { size, accounts: Vec::new(), late: VecDeque::new(), is_late: Vec::new() }
    }

    /// Returns how many accounts a page has, except the last.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Returns how many pages there are.
    pub(super) fn len(&self) -> usize {
        self.is_late.len()
    }

    /// Returns how many accounts there are.
    pub(super) fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// Returns the place of the next account.
    pub(super) fn next(&self) -> PageSlot {
        PageSlot(u32::try_from(self.accounts.len()).expect("fewer accounts than numbers"))
    }

    /// Returns the number of the page that holds a place.
    pub(super) fn page_of(&self, place: PageSlot) -> u32 {
        place.0 / self.size as u32
    }

    /// Gives an account the next place.
    pub(super) fn add(&mut self, account: AccountNumber) -> PageSlot {
        let place = self.next();
        self.accounts.push(account);
        if self.page_of(place) as usize == self.is_late.len() {
            self.is_late.push(false);
        }
        place
    }

    /// Notes that the block at this height changes the account at this place.
    pub(super) fn touch(&mut self, place: PageSlot, height: u64) {
        let page = self.page_of(place);
        if !std::mem::replace(&mut self.is_late[page as usize], true) {
            self.late.push_back(Late { page, since: height });
        }
    }

    /// Returns the height up to which the stored pages count all blocks; `head` is the chain's height.
    pub(super) fn checkpoint(&self, head: u64) -> u64 {
        match self.late.front() {
            Some(late) if !planted!(CheckpointAtHead) => late.since.saturating_sub(1),
            _ => head,
        }
    }

    /// Returns the page that is late for longest, which has to be written now, and its accounts.
    pub(super) fn write_next(&mut self) -> Option<(u32, &[AccountNumber])> {
        let Late { page, .. } = self.late.pop_front()?;
        self.is_late[page as usize] = false;
        let first = page as usize * self.size;
        let end = (first + self.size).min(self.accounts.len());
        Some((page, &self.accounts[first..end]))
    }
}
