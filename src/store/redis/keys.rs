//! The names of a server's keys and of the fields of its state.
//!
//! A server uses these keys, and no others; all values are plain text or JSON:
//!
//! | key | type | value |
//! |---|---|---|
//! | `SERVER-BLOCKCHAIN-<id>` | list | committed blocks, from height `base` on |
//! | `SERVER-GENESIS-<id>` | text | block 0, once it is in a segment |
//! | `SERVER-LOG-<id>` | list | the local log, one element per write |
//! | `SERVER-ACCEPTED-<id>` | list | the accepted block, if there is one |
//! | `SERVER-BALANCES-<id>` | hash | page number → a page of balances: `height`, the last block counted in it, `balances`, pairs of account and balance, and, if any has an owner's key, `keys` |
//! | `SERVER-SESSIONS-<id>` | hash | session → its highest number in the chain |
//! | `SERVER-STATE-<id>` | hash | `format`, `instance`, `promised`, `accepted` (ballots), `active`, `included` (server → last entry in the chain), `base` (the height of the first block in `SERVER-BLOCKCHAIN-<id>`) and `segment:<first height>` (the last height, the size and the SHA-256 of a segment), both only if there are segments, `checkpoint` (all pages count at least the blocks up to this height), `instances` (server → instance whose votes count), `deposed` (instances that no longer count), `keys` (server → its key's fingerprint) and `former_keys` (fingerprints that no longer count), both only in a bank with keys, `membership` (members without a vote, and where members are found; only once an order has changed the members), `times` (server → the time of its last element in the chain, in milliseconds since 1970) and `issued` (server → what it issued beyond what it took back), both only if there are any, `horizon` (sessions opened before it and not in `SERVER-SESSIONS-<id>` have expired) |
//! | `SERVER-LIVES-<id>` | list | the latest lives, each with the turn in which it began |
//! | `SERVER-OWNER-<id>` | text | who loaded the store last: `PROCESS-LOAD` |
//! | `SERVER-TURN-<id>` | number | the turn counter |

use crate::bank::ids::ServerId;
use crate::bank::stored::Place;

/// The format of all stored values.
pub(super) const FORMAT_FIELD: &str = "format";
/// The store's instance id.
pub(super) const INSTANCE_FIELD: &str = "instance";
/// The ballot promised for the next height.
pub(super) const PROMISED_FIELD: &str = "promised";
/// The ballot in which the block in [`Keys::accepted`] was accepted.
pub(super) const ACCEPTED_FIELD: &str = "accepted";
/// For each server, the position of its last entry that is in the chain.
pub(super) const INCLUDED_FIELD: &str = "included";
/// For each server, the instance whose votes count for the next height.
pub(super) const INSTANCES_FIELD: &str = "instances";
/// The instances that can never be their servers' again.
pub(super) const DEPOSED_FIELD: &str = "deposed";
/// For each server that told its key, the key by which it is known; missing if none did.
pub(super) const KEYS_FIELD: &str = "keys";
/// The keys that were servers' and are so no more.
pub(super) const FORMER_KEYS_FIELD: &str = "former_keys";
/// What orders have changed about the members; missing if none did.
pub(super) const MEMBERSHIP_FIELD: &str = "membership";
/// For each server, the time of its last element in the chain that tells one; missing if none does.
pub(super) const TIMES_FIELD: &str = "times";
/// For each home, what it issued beyond what it took back; missing if none did.
pub(super) const ISSUED_FIELD: &str = "issued";
/// Sessions that were opened before this position and are not in [`Keys::sessions`] have expired.
pub(super) const HORIZON_FIELD: &str = "horizon";
/// The height up to which, at least, all pages in [`Keys::balances`] count the blocks.
pub(super) const CHECKPOINT_FIELD: &str = "checkpoint";
/// The height of the first block in [`Keys::chain`]; missing while no segment holds any.
pub(super) const BASE_FIELD: &str = "base";
/// 1 once every server has confirmed block 0.
pub(super) const ACTIVE_FIELD: &str = "active";

/// The keys of one server.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The server.
    pub(super) id: ServerId,
    /// List: committed blocks; index = height - base.
    pub(super) chain: String,
    /// Text: block 0, once it has left the chain for a segment.
    pub(super) genesis: String,
    /// List: the local log, one element per write, each with the entries of a turn.
    pub(super) log: String,
    /// List of at most one element: the accepted block. As a list it can be moved to the chain.
    pub(super) accepted: String,
    /// Hash: each page of the chain's balances.
    pub(super) balances: String,
    /// Hash: each session with entries in the chain, with its highest number there.
    pub(super) sessions: String,
    /// Hash: the fields above.
    pub(super) state: String,
    /// List: each life with the turn in which it began.
    pub(super) lives: String,
    /// Text: who loaded the store last.
    pub(super) owner: String,
    /// Number: the turn counter.
    pub(super) turn: String,
}

impl Keys {
    /// Makes the keys of the server `id`.
    pub(super) fn of(id: &ServerId) -> Keys {
        let key = |what: &str| format!("SERVER-{what}-{id}");
        Keys {
            id: id.clone(),
            chain: key("BLOCKCHAIN"),
            genesis: key("GENESIS"),
            log: key("LOG"),
            accepted: key("ACCEPTED"),
            balances: key("BALANCES"),
            sessions: key("SESSIONS"),
            state: key("STATE"),
            lives: key("LIVES"),
            owner: key("OWNER"),
            turn: key("TURN"),
        }
    }

    /// Returns all keys.
    pub(super) fn all(&self) -> [&str; 10] {
        let Keys { chain, log, accepted, balances, sessions, state, lives, owner, turn, .. } = self;
        [chain, &self.genesis, log, accepted, balances, sessions, state, lives, owner, turn]
    }

    /// Returns the server that a key belongs to, if it is a server's key.
    pub(super) fn owner_of(key: &str) -> Option<ServerId> {
        let (_, id) = key.strip_prefix("SERVER-")?.split_once('-')?;
        let id: ServerId = id.parse().ok()?;
        Keys::of(&id).all().contains(&key).then_some(id)
    }

    /// Returns the key, with index or field, of what the state machine calls `place`.
    pub(super) fn name_of(&self, place: &Place) -> String {
        match place {
            Place::Chain => self.chain.clone(),
            Place::Block(height) => format!("{}[{height}]", self.chain),
            Place::Balances => self.balances.clone(),
            Place::Page(number) => format!("{}[{number}]", self.balances),
            Place::Balance(_) => self.balances.clone(),
            Place::Checkpoint => format!("{}[{CHECKPOINT_FIELD}]", self.state),
            Place::Included => format!("{}[{INCLUDED_FIELD}]", self.state),
            Place::Instances => format!("{}[{INSTANCES_FIELD}]", self.state),
            Place::Deposed => format!("{}[{DEPOSED_FIELD}]", self.state),
            Place::Keys => format!("{}[{KEYS_FIELD}]", self.state),
            Place::FormerKeys => format!("{}[{FORMER_KEYS_FIELD}]", self.state),
            Place::Membership => format!("{}[{MEMBERSHIP_FIELD}]", self.state),
            Place::Times => format!("{}[{TIMES_FIELD}]", self.state),
            Place::Issued => format!("{}[{ISSUED_FIELD}]", self.state),
            Place::Sessions => self.sessions.clone(),
            Place::Session(session) => format!("{}[{session}]", self.sessions),
            Place::Horizon => format!("{}[{HORIZON_FIELD}]", self.state),
            Place::Log => self.log.clone(),
            Place::Element(index) => format!("{}[{index}]", self.log),
            Place::Accepted => format!("{}[0]", self.accepted),
            Place::Promised => format!("{}[{PROMISED_FIELD}]", self.state),
            Place::Lives => self.lives.clone(),
        }
    }
}
