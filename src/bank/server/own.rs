//! What a server holds: its knowledge of the store that it runs on, and its ledger.

use crate::bank::ids::{InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::local_log::LocalLog;
use crate::bank::ledger::sessions::Sessions;
use crate::bank::request::Start;

/// A server's knowledge of the store that it runs on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct OwnStore {
    pub instance: InstanceId,
    pub life: LifeId,
    /// The latest lives, oldest first, each with the turn in which it began.
    pub lives: Vec<(LifeId, TurnNumber)>,
    pub start: Start,
    /// The last turn.
    pub turn: TurnNumber,
    /// True if every server has confirmed block 0.
    pub active: bool,
    /// Why the store takes no writes, if it takes none.
    pub no_writes: Option<String>,
    /// The instance that this server asked to replace.
    pub replaces: Option<InstanceId>,
    /// The last entry of that instance that a peer has seen, and the peer.
    pub seen_of_it: Option<(Position, ServerId)>,
}

/// The ledger of this server: its log, the accounts' balances, and the requests answered before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    pub log: LocalLog,
    pub balances: Balances,
    pub sessions: Sessions,
}
