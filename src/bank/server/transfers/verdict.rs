//! A verdict: what a run allows to refuse.

use std::collections::BTreeSet;

use crate::bank::ids::{AccountId, WaitId};
use crate::bank::paxos::rest::Consulted;

/// What a run allows to refuse. This server prepared the run, and the run built its own block or found all
/// logs empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Verdict {
    /// The groups that had come in before it prepared, and whose accounts have not been debited since.
    pub eligible: BTreeSet<WaitId>,
    /// The accounts for which it asked what whole logs bring.
    pub asks: BTreeSet<AccountId>,
    /// The servers whose logs were consulted, and what is left of the logs.
    pub consulted: Consulted,
}
