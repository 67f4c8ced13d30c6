//! The list of all accounts' names: which names a write adds to it, and where a page of it begins.

use std::ops::Bound;

use crate::bank::effects::Write;
use crate::bank::ids::AccountId;
use crate::bank::ledger::entry::{Action, Record};

/// The accounts that come into being by a write: those opened in an element or in a block, and
/// those that block 0 begins with. A home's own come twice, with the element and with the block.
pub(super) fn opened(write: &Write) -> Vec<&AccountId> {
    match write {
        Write::Log(element) => element.records().iter().filter_map(opened_by).collect(),
        Write::Append { block, balances, .. } if block.height() == 0 => {
            balances.iter().map(|(account, _)| account).collect()
        }
        Write::Append { block, .. } => {
            block.block().records().filter_map(|(_, record)| opened_by(record)).collect()
        }
        Write::Promise(_) | Write::Accept { .. } | Write::Activate => Vec::new(),
    }
}

/// The account that a record opens, if it opens one.
pub(crate) fn opened_by(record: &Record) -> Option<&AccountId> {
    match &record.action {
        Action::Open { account } => Some(account),
        Action::Transfer { .. } | Action::Rejoin { .. } => None,
    }
}

/// Where the names that begin with `prefix` and come after `after` begin.
pub(super) fn begin<'a>(prefix: &'a str, after: Option<&'a AccountId>) -> Bound<&'a str> {
    match after {
        Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
        _ => Bound::Included(prefix),
    }
}
