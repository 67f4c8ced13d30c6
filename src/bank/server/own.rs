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
    /// How far the server is in ceasing to be a member.
    pub leaving: Leaving,
    /// The last entry of that instance that a peer has seen, and the peer.
    pub seen_of_it: Option<(Position, ServerId)>,
}

/// How far a server is in ceasing to be a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Leaving {
    /// It stays.
    #[default]
    No,
    /// Its dismissal is the last entry of its log, and in no block yet. It logs nothing more.
    Asked,
    /// A block has dismissed it. It stays until enough voters hold this block.
    Dismissed,
}

/// The ledger of this server: its log, the accounts' balances, and the requests answered before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    pub log: LocalLog,
    pub balances: Balances,
    pub sessions: Sessions,
}
