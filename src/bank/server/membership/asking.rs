//! Who asks to rejoin a bank with keys, and whom an operator has confirmed (DESIGN.md, "Keys").

use std::collections::BTreeMap;

use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{InstanceId, ServerId};

/// How many askers are remembered for each server. Whoever asks anew comes last, and the first one is forgotten.
const MOST: usize = 8;

/// A store that asks to take a server's place: its instance, and the key that speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::bank::server) struct Newcomer {
    pub instance: InstanceId,
    pub key: Fingerprint,
}

/// The stores that ask to rejoin, and those that an operator has confirmed here in this life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Asking {
    asking: BTreeMap<ServerId, Vec<Newcomer>>,
    /// The store that was confirmed for each server, and the instance that it is to replace.
    confirmed: BTreeMap<ServerId, (Newcomer, InstanceId)>,
}

impl Asking {
    /// Notes that a store asks for a server's place. True if it had not asked before.
    pub(super) fn asks(&mut self, server: &ServerId, newcomer: Newcomer) -> bool {
        let all = self.asking.entry(server.clone()).or_default();
        if all.contains(&newcomer) {
            return false;
        }
        if all.len() == MOST {
            all.remove(0);
        }
        all.push(newcomer);
        true
    }

    /// Returns who asks.
    pub(in crate::bank::server) fn all(&self) -> impl Iterator<Item = (&ServerId, Newcomer)> {
        self.asking.iter().flat_map(|(server, all)| all.iter().map(move |one| (server, *one)))
    }

    /// Confirms that the store for which this key speaks is to replace an instance, if it asks.
    pub(super) fn confirm(
        &mut self,
        server: &ServerId,
        old: InstanceId,
        key: Fingerprint,
    ) -> Option<Newcomer> {
        let asks = self.asking.get(server)?;
        let newcomer = *asks.iter().rev().find(|newcomer| newcomer.key == key)?;
        self.confirmed.insert(server.clone(), (newcomer, old));
        Some(newcomer)
    }

    /// Returns the store that was confirmed for a server.
    pub(super) fn confirmed(&self, server: &ServerId) -> Option<Newcomer> {
        self.confirmed.get(server).map(|(newcomer, _)| *newcomer)
    }

    /// Returns all stores that were confirmed, with their servers and the instances that they are to replace.
    pub(super) fn all_confirmed(&self) -> Vec<(ServerId, Newcomer, InstanceId)> {
        let all = self.confirmed.iter();
        all.map(|(server, (newcomer, old))| (server.clone(), *newcomer, *old)).collect()
    }

    /// Forgets a server's askers: the chain names its new store.
    pub(super) fn settled(&mut self, server: &ServerId) {
        self.asking.remove(server);
        self.confirmed.remove(server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newcomer(number: u64) -> Newcomer {
        Newcomer { instance: InstanceId(number), key: Fingerprint::of(&number.to_be_bytes()) }
    }

    #[test]
    fn only_who_asks_is_confirmed() {
        let (mut asking, c): (_, ServerId) = (Asking::default(), "C".parse().unwrap());
        assert_eq!(asking.confirm(&c, InstanceId(9), newcomer(1).key), None);
        assert!(asking.asks(&c, newcomer(1)) && !asking.asks(&c, newcomer(1)));
        assert_eq!(asking.confirm(&c, InstanceId(9), newcomer(2).key), None);
        assert_eq!(asking.confirm(&c, InstanceId(9), newcomer(1).key), Some(newcomer(1)));
        assert_eq!(asking.confirmed(&c), Some(newcomer(1)));
        asking.settled(&c);
        assert_eq!((asking.confirmed(&c), asking.all().count()), (None, 0));
    }

    #[test]
    fn who_asks_is_remembered_within_a_bound() {
        let (mut asking, c): (_, ServerId) = (Asking::default(), "C".parse().unwrap());
        for number in 0..20 {
            assert!(asking.asks(&c, newcomer(number)));
        }
        let all: Vec<_> = asking.all().map(|(_, one)| one).collect();
        assert_eq!(all, (12..20).map(newcomer).collect::<Vec<_>>());
    }
}
