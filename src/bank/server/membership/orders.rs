//! What operators have ordered about the members, until it has happened (DESIGN.md, "Members").

use std::collections::BTreeMap;

use crate::bank::address::Address;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, InstanceId, ServerId, WaitId};
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::member_change::MemberChange;

/// How many servers that ask to join are remembered. Whoever asks anew comes last, and the first one is forgotten.
const MOST_ASKERS: usize = 16;
/// How many admissions may be ordered and wait for the server to greet.
pub(super) const MOST_ORDERED: usize = 16;

/// A store that asks to become a member: its instance, and the key that speaks for it, if one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::bank::server) struct Joiner {
    pub instance: InstanceId,
    pub key: Option<Fingerprint>,
}

/// An admission that waits for its server to greet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Ordered {
    pub at: Address,
    pub key: Option<Fingerprint>,
    pub branch: bool,
}

/// An operator that waits to hear what became of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Asked {
    pub connection: ConnectionId,
    pub request: Option<u64>,
    /// The server that the order is about.
    pub server: ServerId,
    /// The change that was logged, and where in this server's log; none while the server has yet to greet.
    pub logged: Option<(MemberChange, Position)>,
}

/// The orders about members that this server was given in this life, and who asks to join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Orders {
    askers: Vec<(ServerId, Joiner)>,
    /// The admissions ordered here, by server.
    pub ordered: BTreeMap<ServerId, Ordered>,
    /// The operators that wait.
    pub asked: BTreeMap<WaitId, Asked>,
}

impl Orders {
    /// Notes that a store asks to join. True if it had not asked before.
    pub fn asks(&mut self, server: &ServerId, joiner: Joiner) -> bool {
        let asker = (server.clone(), joiner);
        let is_new = !self.askers.contains(&asker);
        self.askers.retain(|known| *known != asker);
        if self.askers.len() == MOST_ASKERS {
            self.askers.remove(0);
        }
        self.askers.push(asker);
        is_new
    }

    /// Returns who asks to join.
    pub fn askers(&self) -> impl Iterator<Item = &(ServerId, Joiner)> {
        self.askers.iter()
    }

    /// True if this store was ordered to be admitted.
    pub fn admits(&self, server: &ServerId, joiner: Joiner) -> bool {
        self.ordered.get(server).is_some_and(|ordered| ordered.key == joiner.key)
    }

    /// Forgets what was ordered and asked about a server, which is a member now.
    pub fn settle(&mut self, server: &ServerId) {
        self.askers.retain(|(asker, _)| asker != server);
        self.ordered.remove(server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ServerId {
        name.parse().unwrap()
    }

    fn joiner(number: u64) -> Joiner {
        Joiner { instance: InstanceId(number), key: None }
    }

    #[test]
    fn who_asks_is_remembered_within_a_bound_until_it_is_a_member() {
        let mut orders = Orders::default();
        assert!(orders.asks(&id("D"), joiner(1)) && !orders.asks(&id("D"), joiner(1)));
        for number in 2..40 {
            assert!(orders.asks(&id("D"), joiner(number)));
        }
        assert_eq!(orders.askers().count(), MOST_ASKERS);
        assert_eq!(orders.askers().last(), Some(&(id("D"), joiner(39))));
        orders.settle(&id("D"));
        assert_eq!(orders.askers().count(), 0);
    }

    #[test]
    fn only_the_key_that_was_ordered_is_admitted() {
        let mut orders = Orders::default();
        let at: Address = "h:1".parse().unwrap();
        let key = Some(Fingerprint([7; 32]));
        orders.ordered.insert(id("D"), Ordered { at, key, branch: false });
        assert!(!orders.admits(&id("D"), joiner(1)) && !orders.admits(&id("E"), joiner(1)));
        assert!(orders.admits(&id("D"), Joiner { key, ..joiner(1) }));
    }
}
