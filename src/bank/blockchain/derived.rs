//! What follows from the chain, beside the balances.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::bank::address::Address;
use crate::bank::blockchain::block::{Block, Genesis, Origin};
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{InstanceId, ServerId, SessionId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Position};
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::wall_time::WallTime;

/// What follows from the blocks up to a height, equally at every server. A store keeps it beside its
/// chain, so that a starting server need not read the whole chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Derived {
    /// For each server, its last entry in the chain.
    pub included: BTreeMap<ServerId, Position>,
    /// For each server, the instance whose votes count for the next height.
    pub instances: BTreeMap<ServerId, InstanceId>,
    /// The instances that others replaced, and those that came too late to replace another.
    pub deposed: BTreeSet<InstanceId>,
    /// For each server that told its key, the key by which it is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<ServerId, Fingerprint>,
    /// The keys that were servers' and are so no more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub former: BTreeSet<Fingerprint>,
    /// What orders have changed about the members.
    #[serde(default, skip_serializing_if = "Membership::is_founding")]
    pub membership: Membership,
    /// For each server, the time of its last element in the chain that tells one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub times: BTreeMap<ServerId, WallTime>,
    /// For each home that issued money or took some back, what it issued beyond what it took back, in units.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub issued: BTreeMap<ServerId, i64>,
}

/// What orders have changed about the members since the founding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// How many orders have taken effect.
    pub changes: u64,
    /// The members without a vote.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub branches: BTreeSet<ServerId>,
    /// For each member of which the chain tells it, where it is found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<ServerId, Address>,
}

impl Membership {
    /// True if no order has changed anything.
    pub fn is_founding(&self) -> bool {
        self.changes == 0
    }
}

/// What a block changes about the servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deposed {
    /// The instances that it deposes.
    pub instances: BTreeSet<InstanceId>,
    /// The server that it dismisses, if it dismisses one.
    pub dismissed: Option<ServerId>,
}

/// The end of the elements of one server in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogEnd {
    /// The position of the last entry.
    pub last: Position,
    /// The time of the last element until then that tells one.
    pub time: Option<WallTime>,
    /// What the server has issued until then beyond what it took back, in units.
    pub issued: i64,
}

impl Derived {
    /// Returns what follows from block 0.
    pub fn at_founding(genesis: &Genesis) -> Derived {
        // Homes that don't found this bank are known from the former one, until they are admitted.
        let former = |origin: &Origin| origin.included.clone();
        let mut included = genesis.origin.as_deref().map(former).unwrap_or_default();
        for server in genesis.servers.keys() {
            included.entry(server.clone()).or_insert(Position::START);
        }
        let instances = genesis.servers.clone();
        let keys = genesis.keys.clone();
        Derived { included, instances, keys, ..Derived::default() }
    }

    /// Applies a block's entries about servers; returns whom they depose. Who is admitted begins in `first_epoch` at the
    /// earliest. `holds` tells whether any account of a server holds money after the block.
    pub fn follow(
        &mut self,
        block: &Block,
        first_epoch: u64,
        holds: impl Fn(&ServerId) -> bool,
    ) -> Deposed {
        let mut deposed = Deposed::default();
        let deposes = &mut deposed.instances;
        for (logged_by, log) in &block.logs {
            let elements = log.iter().filter(|element| element.concerns_servers());
            let last = log.last().and_then(|element| element.records().last());
            for record in elements.flat_map(Element::records) {
                match &record.action {
                    Action::Pin { server, instance, key }
                        if server == logged_by || planted!(PinsForAnother) =>
                    {
                        self.pin(server, *instance, **key);
                    }
                    Action::Rejoin { server, old, new, key } => {
                        deposes.extend(self.rejoin(server, *old, *new, key.as_deref().copied()));
                    }
                    Action::Member(change) if self.objection(change).is_none() => match &**change {
                        MemberChange::Dismiss { server } => {
                            let is_last = last.is_some_and(|last| std::ptr::eq(last, record))
                                || planted!(DismissedBeforeItsEnd);
                            let empty = !holds(server) || planted!(DismissedWithMoney);
                            let one = deposed.dismissed.is_none() || planted!(TwoDismissed);
                            if server == logged_by && is_last && empty && one {
                                deposes.extend(self.dismiss(server));
                                deposed.dismissed = Some(server.clone());
                            }
                        }
                        change => self.change(change, first_epoch),
                    },
                    _ => {}
                }
            }
        }
        deposed
    }

    /// Notes where a server's elements in a block end.
    pub(super) fn ends(&mut self, server: &ServerId, LogEnd { last, time, issued }: LogEnd) {
        self.included.insert(server.clone(), last);
        self.times.extend(time.map(|time| (server.clone(), time)));
        if (issued != 0 || self.issued.contains_key(server)) && !planted!(IssuedUncounted) {
            self.issued.insert(server.clone(), issued);
        }
    }

    /// True if the chain names a key for each server.
    pub fn is_keyed(&self) -> bool {
        !self.keys.is_empty() && self.keys.len() == self.instances.len()
    }

    /// Notes a server's key. It is void for another instance, if a key is known already, or if the key is or
    /// was a server's.
    fn pin(&mut self, server: &ServerId, instance: InstanceId, key: Fingerprint) {
        let is_named = self.instances.get(server) == Some(&instance);
        let is_taken = self.former.contains(&key) || self.keys.values().any(|taken| *taken == key);
        if is_named && !is_taken {
            self.keys.entry(server.clone()).or_insert(key);
        }
    }

    /// Applies a rejoin; returns the instance that it deposes. A server that rejoins counts its
    /// entries anew, in the next epoch; the block's entries of its log are still of the epoch before. A void
    /// rejoin deposes the instance that it names as new. The operator gave the word for it before another
    /// store took the place, and that store must never be replaced on this word.
    ///
    /// In a bank with keys, a rejoin without a key is of no use: nobody could speak for the new instance. No
    /// operator has confirmed it, so it deposes nothing.
    fn rejoin(
        &mut self,
        server: &ServerId,
        old: InstanceId,
        new: InstanceId,
        key: Option<Fingerprint>,
    ) -> Option<InstanceId> {
        // The rejoin came twice, or is of no use to anybody.
        let is_named = self.instances.values().any(|instance| *instance == new);
        let is_unconfirmed = self.is_keyed() && key.is_none() && !planted!(RejoinsUnconfirmed);
        let present = *self.instances.get(server)?;
        if is_named || is_unconfirmed {
            return None;
        }
        let late = self.deposed.contains(&new);
        let deposed = if !late && (present == old || planted!(RejoinDeposesAnybody)) {
            let last = self.included.get_mut(server)?;
            let epoch = if planted!(OldEpochGoesOn) { last.epoch } else { last.epoch + 1 };
            let seq = if planted!(OldEpochGoesOn) { last.seq } else { 0 };
            *last = Position { epoch, seq };
            self.instances.insert(server.clone(), new);
            self.take_key(server, key);
            present
        } else {
            self.former.extend(key.filter(|key| !self.keys.values().any(|named| named == key)));
            new
        };
        self.deposed.insert(deposed);
        Some(deposed)
    }

    /// Gives a server that rejoins its new key, if it has one. The key before it never counts again.
    fn take_key(&mut self, server: &ServerId, key: Option<Fingerprint>) {
        let before = match key {
            Some(_) if planted!(OldKeyGoesOn) => None,
            Some(key) => self.keys.insert(server.clone(), key),
            None => self.keys.remove(server),
        };
        self.former.extend(before.filter(|before| Some(*before) != key));
    }
}

/// What follows from the chain for one server: its sessions with entries there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SessionsInChain {
    /// Each session, with its highest number in the chain.
    pub highest: BTreeMap<SessionId, u64>,
    /// The position before which sessions were opened that have expired, unless they are listed here.
    pub horizon: Option<Position>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::amount::Amount;
    use crate::bank::blockchain::block::{BlockHash, FORMAT};
    use crate::bank::ledger::entry::Record;

    const FOUNDED: [(&str, u64); 3] = [("A", 1), ("B", 2), ("C", 3)];
    const NOBODY: [u64; 0] = [];

    fn id(name: &str) -> ServerId {
        name.parse().unwrap()
    }

    fn derived() -> Derived {
        let servers = FOUNDED.map(|(name, of)| (id(name), InstanceId(of))).into();
        let (opening_balance, keys) = (Amount::ZERO, BTreeMap::new());
        let (origin, issuing) = (None, false);
        let genesis = Genesis { format: FORMAT, opening_balance, servers, keys, origin, issuing };
        let mut derived = Derived::at_founding(&genesis);
        derived.included.insert(id("C"), Position { epoch: 1, seq: 7 });
        derived
    }

    /// Has a server log something about servers, and returns whom this deposes.
    fn logs(derived: &mut Derived, logged_by: &str, action: Action) -> Vec<u64> {
        let record = Record::plain(action);
        let element = Element::seal(Position::START.next(), vec![record]);
        let logs = [(id(logged_by), vec![element])].into();
        let (previous, proposer) = (BlockHash::NONE, Some(id("A")));
        let (genesis, opening) = (None, None);
        let block = Block { height: 1, previous, proposer, genesis, opening, logs };
        let deposes = derived.follow(&block, 1, |_| false).instances;
        deposes.into_iter().map(|instance| instance.0).collect()
    }

    fn rejoin(derived: &mut Derived, server: &str, old: u64, new: u64) -> Vec<u64> {
        let (old, new) = (InstanceId(old), InstanceId(new));
        logs(derived, "A", Action::Rejoin { server: id(server), old, new, key: None })
    }

    fn rejoin_with(derived: &mut Derived, old: u64, new: u64, key: u8) -> Vec<u64> {
        let (old, new, key) =
            (InstanceId(old), InstanceId(new), Some(Box::new(Fingerprint([key; 32]))));
        logs(derived, "A", Action::Rejoin { server: id("C"), old, new, key })
    }

    fn pin(derived: &mut Derived, logged_by: &str, (server, instance): (&str, u64), key: u8) {
        let (instance, key) = (InstanceId(instance), Box::new(Fingerprint([key; 32])));
        assert_eq!(
            logs(derived, logged_by, Action::Pin { server: id(server), instance, key }),
            NOBODY
        );
    }

    fn keys(derived: &Derived) -> Vec<(&str, u8)> {
        derived.keys.iter().map(|(server, key)| (server.as_str(), key.0[0])).collect()
    }

    fn of_c(derived: &Derived) -> (u64, Position) {
        (derived.instances[&id("C")].0, derived.included[&id("C")])
    }

    #[test]
    fn who_rejoins_replaces_the_instance_that_was_named_and_counts_anew() {
        let mut derived = derived();
        assert_eq!(of_c(&derived), (3, Position { epoch: 1, seq: 7 }));
        assert_eq!(rejoin(&mut derived, "C", 3, 30), [3]);
        assert_eq!(of_c(&derived), (30, Position { epoch: 2, seq: 0 }));
        assert_eq!(
            (derived.instances[&id("B")].0, derived.included[&id("B")]),
            (2, Position::START)
        );
        // It came twice.
        assert_eq!(rejoin(&mut derived, "C", 3, 30), NOBODY);
        assert_eq!(of_c(&derived), (30, Position { epoch: 2, seq: 0 }));
    }

    #[test]
    fn who_comes_too_late_replaces_nobody_and_never_will() {
        let mut derived = derived();
        rejoin(&mut derived, "C", 3, 30);
        assert_eq!(rejoin(&mut derived, "C", 3, 31), [31], "30 is not whom the operator meant");
        assert_eq!(rejoin(&mut derived, "C", 30, 31), [31], "31 is over");
        assert_eq!(rejoin(&mut derived, "C", 30, 3), [3], "and so is 3");
        assert_eq!(derived.deposed, [3, 31].map(InstanceId).into());
        assert_eq!(of_c(&derived), (30, Position { epoch: 2, seq: 0 }));
        assert_eq!(rejoin(&mut derived, "C", 30, 2), NOBODY, "2 is B's");
        assert_eq!(rejoin(&mut derived, "D", 3, 40), NOBODY, "there is no D");
        assert_eq!(rejoin(&mut derived, "C", 30, 40), [30]);
        assert_eq!(of_c(&derived), (40, Position { epoch: 3, seq: 0 }));
    }

    #[test]
    fn a_server_tells_its_own_key_once_and_nobody_elses() {
        let mut derived = derived();
        pin(&mut derived, "A", ("B", 2), 9);
        pin(&mut derived, "B", ("B", 20), 9);
        assert_eq!(keys(&derived), [], "by another, of another instance");
        pin(&mut derived, "B", ("B", 2), 9);
        pin(&mut derived, "B", ("B", 2), 8);
        pin(&mut derived, "A", ("A", 1), 9);
        assert_eq!(keys(&derived), [("B", 9)], "it has one; and 9 is B's");
    }

    #[test]
    fn in_a_bank_with_keys_who_rejoins_brings_one_and_the_one_before_is_over() {
        let mut derived = derived();
        for (server, instance) in FOUNDED {
            pin(&mut derived, server, (server, instance), instance as u8);
        }
        assert_eq!(rejoin(&mut derived, "C", 3, 30), NOBODY, "nobody could speak for 30");
        assert_eq!(rejoin_with(&mut derived, 3, 30, 7), [3]);
        assert_eq!(keys(&derived), [("A", 1), ("B", 2), ("C", 7)]);
        assert_eq!(derived.former, [Fingerprint([3; 32])].into());
        assert_eq!(of_c(&derived), (30, Position { epoch: 2, seq: 0 }));
        assert_eq!(rejoin_with(&mut derived, 3, 31, 6), [31], "it comes too late");
        assert_eq!(keys(&derived), [("A", 1), ("B", 2), ("C", 7)]);
        assert_eq!(
            derived.former,
            [3, 6].map(|key| Fingerprint([key; 32])).into(),
            "6 is over, too"
        );
    }
}
