//! What a server holds: what it knows of the store that it runs on, and its ledger.

use crate::bank::ids::{InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::local_log::LocalLog;
use crate::bank::ledger::sessions::Sessions;
use crate::bank::request::Start;

/// What a server knows of the store that it runs on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OwnStore {
    pub instance: InstanceId,
    pub life: LifeId,
    /// The latest lives, oldest first, with the turn in which each began.
    pub lives: Vec<(LifeId, TurnNumber)>,
    pub start: Start,
    /// The last turn.
    pub turn: TurnNumber,
    /// Every server has confirmed block 0.
    pub active: bool,
    /// Why it takes no writes, if it takes none.
    pub no_writes: Option<String>,
    /// The instance in whose place this server asked to come.
    pub replaces: Option<InstanceId>,
    /// The last entry of that instance's that a peer has seen, and which peer.
    pub seen_of_it: Option<(Position, ServerId)>,
}

/// The money by this server: its log, and what the accounts hold; and what was asked of it before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    pub log: LocalLog,
    pub balances: Balances,
    pub sessions: Sessions,
}
