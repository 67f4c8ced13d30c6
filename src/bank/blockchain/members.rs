//! The bank's members by the chain: who takes part, who votes, and what an operator's order changes
//! (DESIGN.md, "Members").

use std::fmt;

use crate::bank::address::Address;
use crate::bank::blockchain::derived::Derived;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::member_change::{Admission, MemberChange};
use crate::bank::limits::{MAX_HOMES, MAX_MEMBERS, MAX_SERVERS};

/// Why a change of the members can't take effect, as far as the accounts don't matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The server is a member already.
    Member(ServerId),
    /// The server is no member.
    NoMember(ServerId),
    /// The bank has as many members as it can have.
    Full,
    /// The bank has had as many servers as it may ever have.
    HomesFull,
    /// As many members have a vote as can have one.
    VotersFull,
    /// The server is the last one with a vote.
    LastVoter(ServerId),
    /// The server has a vote already.
    Votes(ServerId),
    /// The server has no vote.
    VotesNot(ServerId),
    /// The instance is, or was, a server's.
    Instance(InstanceId),
    /// The bank has keys, and the server would have none.
    NoKey(ServerId),
    /// The key is, or was, a server's.
    Key(Fingerprint),
    /// The address is another member's.
    Address(Address, ServerId),
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Objection::Member(id) => write!(f, "{id} is a member of this bank already"),
            Objection::NoMember(id) => write!(f, "{id} is no member of this bank"),
            Objection::Full => {
                write!(f, "this bank has {MAX_MEMBERS} members, the most there can be")
            }
            Objection::HomesFull => {
                write!(f, "this bank has had {MAX_HOMES} servers, the most that it may ever have")
            }
            Objection::VotersFull => write!(
                f,
                "{MAX_SERVERS} members of this bank vote, the most there can be: admit a branch, which has no \
                 vote, or take another's vote first (demote)"
            ),
            Objection::LastVoter(id) => {
                write!(f, "{id} is the last member with a vote: without it nobody could decide")
            }
            Objection::Votes(id) => write!(f, "{id} has a vote already"),
            Objection::VotesNot(id) => write!(f, "{id} has no vote"),
            Objection::Instance(instance) => {
                write!(
                    f,
                    "the store of instance {instance} is or was a server's: start with an empty one"
                )
            }
            Objection::NoKey(id) => {
                write!(f, "this bank has keys: name the key by which {id} is to be known")
            }
            Objection::Key(key) => write!(f, "the key {key} is or was a server's: make another"),
            Objection::Address(at, id) => write!(f, "{at} is the address of {id}"),
        }
    }
}

impl Derived {
    /// True if a server takes part.
    pub fn is_member(&self, server: &ServerId) -> bool {
        self.instances.contains_key(server)
    }

    /// True if a server takes part, and its vote counts.
    pub fn is_voter(&self, server: &ServerId) -> bool {
        self.is_member(server) && !self.membership.branches.contains(server)
    }

    /// Returns how many members vote.
    pub fn voters(&self) -> usize {
        self.instances.len() - self.membership.branches.len()
    }

    /// Returns why a change is void, as far as the accounts don't matter.
    pub fn objection(&self, change: &MemberChange) -> Option<Objection> {
        let server = change.server();
        let is_admitted = matches!(change, MemberChange::Admit(_));
        if self.is_member(server) == is_admitted {
            let of = server.clone();
            return Some(if is_admitted { Objection::Member(of) } else { Objection::NoMember(of) });
        }
        let is_branch = self.membership.branches.contains(server);
        match change {
            MemberChange::Admit(admission) => self.objects_to(admission),
            MemberChange::Move { at, .. } => self.holds_address(at, server),
            MemberChange::Promote { .. } if !is_branch => Some(Objection::Votes(server.clone())),
            MemberChange::Promote { .. } => self.is_full_of_voters(),
            MemberChange::Demote { .. } if is_branch => Some(Objection::VotesNot(server.clone())),
            MemberChange::Demote { .. } | MemberChange::Dismiss { .. } => {
                let is_last = !is_branch && self.voters() == 1 && !planted!(LastVoterGoes);
                is_last.then(|| Objection::LastVoter(server.clone()))
            }
        }
    }

    fn is_full_of_voters(&self) -> Option<Objection> {
        (self.voters() >= MAX_SERVERS).then_some(Objection::VotersFull)
    }

    fn holds_address(&self, at: &Address, server: &ServerId) -> Option<Objection> {
        let other =
            self.membership.addresses.iter().find(|(id, known)| *known == at && *id != server);
        other.map(|(id, at)| Objection::Address(at.clone(), id.clone()))
    }

    fn objects_to(&self, admission: &Admission) -> Option<Objection> {
        let Admission { server, instance, at, key, branch } = admission;
        let is_named = self.instances.values().any(|named| named == instance);
        if is_named || (self.deposed.contains(instance) && !planted!(DismissedComesBack)) {
            return Some(Objection::Instance(*instance));
        }
        if self.included.len() >= MAX_HOMES && !self.included.contains_key(server) {
            return Some(Objection::HomesFull);
        }
        let is_taken = |key: &Fingerprint| {
            self.former.contains(key) || self.keys.values().any(|taken| taken == key)
        };
        match key {
            None if self.is_keyed() => return Some(Objection::NoKey(server.clone())),
            Some(key) if is_taken(key) => return Some(Objection::Key(*key)),
            _ => {}
        }
        if self.instances.len() >= MAX_MEMBERS {
            return Some(Objection::Full);
        }
        let full = if *branch { None } else { self.is_full_of_voters() };
        full.or_else(|| self.holds_address(at, server))
    }

    /// Makes a change to which there is no objection. A dismissal has conditions of its own.
    pub(super) fn change(&mut self, change: &MemberChange, first_epoch: u64) {
        self.membership.changes += 1;
        match change {
            MemberChange::Admit(admission) => self.admit(admission, first_epoch),
            MemberChange::Move { server, at } => {
                self.membership.addresses.insert(server.clone(), at.clone());
            }
            MemberChange::Promote { server } => {
                self.membership.branches.remove(server);
            }
            MemberChange::Demote { server } => {
                self.membership.branches.insert(server.clone());
            }
            MemberChange::Dismiss { .. } => {}
        }
    }

    /// Makes a server a member. A server that was a member before counts its entries anew, in the next epoch; any other
    /// begins in the bank's first one.
    fn admit(&mut self, admission: &Admission, first_epoch: u64) {
        let Admission { server, instance, at, key, branch } = admission;
        let last = self.included.entry(server.clone()).or_insert(Position { epoch: 0, seq: 0 });
        if !planted!(OldEpochGoesOn) || last.epoch == 0 {
            *last = Position { epoch: (last.epoch + 1).max(first_epoch), seq: 0 };
        }
        self.instances.insert(server.clone(), *instance);
        self.membership.addresses.insert(server.clone(), at.clone());
        self.keys.extend(key.map(|key| (server.clone(), key)));
        if *branch {
            self.membership.branches.insert(server.clone());
        }
    }

    /// Makes a server a member no more; returns the instance that this deposes. Neither its store nor its key ever
    /// counts again.
    pub(super) fn dismiss(&mut self, server: &ServerId) -> Option<InstanceId> {
        self.membership.changes += 1;
        self.former.extend(self.keys.remove(server));
        self.membership.addresses.remove(server);
        self.membership.branches.remove(server);
        let instance = self.instances.remove(server)?;
        self.deposed.insert(instance);
        Some(instance)
    }
}
