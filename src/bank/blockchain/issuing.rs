//! Money that homes issue and take back, in a bank that was founded for it (DESIGN.md, "Issuing").
//!
//! A home issues without asking anybody, so it has a bound of its own. The bounds of all homes together are so low
//! that the sum of all balances is an amount, whatever they issue at the same time.

use crate::bank::amount::Amount;
use crate::bank::blockchain::chain::Chain;
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::rule::LedgerError;
use crate::bank::limits::MAX_ISSUED;

impl Chain {
    /// Returns the sum of all balances by the chain, at any height from the last opening block on: what the bank began
    /// with, and what was issued since beyond what was taken back.
    pub fn money(&self) -> u128 {
        let founded = i128::try_from(self.founded_with()).unwrap_or(i128::MAX);
        u128::try_from(founded.saturating_add(self.issued().into())).unwrap_or_default()
    }

    /// Returns what all homes have issued beyond what they took back, by the chain.
    pub fn issued(&self) -> i64 {
        self.derived.issued.values().fold(0, |sum, issued| sum.saturating_add(*issued))
    }

    /// Returns what a home has issued beyond what it took back, by the chain; below zero if it took back more.
    pub fn issued_by(&self, home: &ServerId) -> i64 {
        self.derived.issued.get(home).copied().unwrap_or_default()
    }

    /// Returns what a home will have issued after an action, if it has issued `issued` before it.
    ///
    /// # Errors
    /// If the bank issues no money, or this would be more than a home may issue.
    pub fn may_issue(&self, issued: i64, action: &Action) -> Result<i64, LedgerError> {
        if !matches!(action, Action::Mint { .. } | Action::Burn { .. }) {
            return Ok(issued);
        }
        if !self.genesis.issuing && !planted!(IssuesUnasked) {
            return Err(LedgerError::NotIssuing);
        }
        self.within_bound(issued, action)
    }

    fn within_bound(&self, issued: i64, action: &Action) -> Result<i64, LedgerError> {
        let after = issued.saturating_add(action.issues());
        if after > MAX_ISSUED && after > issued && !planted!(IssuesWithoutBound) {
            let left = Amount::new(left_to_issue(issued)).unwrap_or_default();
            return Err(LedgerError::IssuedTooMuch { left });
        }
        Ok(after)
    }

    /// Returns what a home will have issued after an element of its log, if it has issued `issued` before it. Elements
    /// in opening blocks are of a former bank, which may have issued money though this one doesn't.
    ///
    /// # Errors
    /// The place of the first entry that may not be, and why.
    pub(super) fn issued_after(
        &self,
        issued: i64,
        element: &Element,
    ) -> Result<i64, (usize, LedgerError)> {
        if element.issues().is_none() {
            return Ok(issued);
        }
        let of_former_bank = !self.is_complete();
        let mut all = element.records().iter().enumerate();
        all.try_fold(issued, |issued, (place, record)| {
            let after = match of_former_bank {
                true => self.within_bound(issued, &record.action),
                false => self.may_issue(issued, &record.action),
            };
            after.map_err(|error| (place, error))
        })
    }
}

/// Returns how much more a home may issue that has issued `issued` beyond what it took back.
pub fn left_to_issue(issued: i64) -> u64 {
    u64::try_from(MAX_ISSUED.saturating_sub(issued)).unwrap_or_default()
}
