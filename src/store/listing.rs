//! The list of all accounts' names: which names a write adds to it, and where a page of it begins.

use std::ops::Bound;

use crate::bank::effects::Write;
use crate::bank::ids::AccountId;
use crate::bank::ledger::element::Element;

/// The accounts that come into being by a write: those opened in an element or in a block, and
/// those that block 0 begins with. A home's own come twice, with the element and with the block.
pub(super) fn opened(write: &Write) -> Vec<&AccountId> {
    match write {
        Write::Log(element) => element.opened().iter().collect(),
        Write::Append { block, balances, .. } if block.height() == 0 => {
            balances.iter().map(|(account, _)| account).collect()
        }
        Write::Append { block, .. } => {
            block.block().logs.values().flatten().flat_map(Element::opened).collect()
        }
        Write::Promise(_) | Write::Accept { .. } | Write::Activate => Vec::new(),
    }
}

/// Where the names that begin with `prefix` and come after `after` begin.
pub(super) fn begin<'a>(prefix: &'a str, after: Option<&'a AccountId>) -> Bound<&'a str> {
    match after {
        Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
        _ => Bound::Included(prefix),
    }
}
