//! What a run allows to refuse.

use std::collections::BTreeSet;

use crate::bank::ids::{AccountId, WaitId};
use crate::bank::paxos::rest::Consulted;

/// What a run allows to refuse: one that this server prepared, and that built its own block or found all
/// logs empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Verdict {
    /// What had come in before it prepared, and whose accounts have not been debited since.
    pub eligible: BTreeSet<WaitId>,
    /// The accounts of which it asked what whole logs would bring.
    pub asks: BTreeSet<AccountId>,
    /// The servers whose logs were looked at, and what is left of those logs.
    pub consulted: Consulted,
}
