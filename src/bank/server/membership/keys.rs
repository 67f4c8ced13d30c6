//! Keys: what a server has to prove before it is believed (DESIGN.md, "Keys").

use std::collections::{BTreeMap, BTreeSet};

use super::super::Server;
use super::asking::Newcomer;
use crate::bank::blockchain::block::Genesis;
use crate::bank::blockchain::chain::Chain;
use crate::bank::effects::Bound;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::ledger::entry::{Action, Record};
use crate::bank::note::Warning;
use crate::bank::paxos::message::Hello;
use crate::bank::request::{AsksToRejoin, ErrorCode, Reply};
use crate::bank::server::config::Config;

impl Config {
    /// Checks that this server may take part in a bank founded with these keys, or without any.
    ///
    /// # Errors
    /// Says what stands against it.
    pub(in crate::bank::server) fn check_keys(&self, genesis: &Genesis) -> Result<(), String> {
        let Genesis { keys, .. } = genesis;
        if (self.rejoin || self.join) && (keys.is_empty() || self.key.is_some()) {
            // Other servers may have rejoined with other keys.
            return Ok(());
        }
        let differs = |(id, key): &(&ServerId, &Fingerprint)| keys.get(*id) != Some(*key);
        match (self.keys && !self.rejoin && !self.join, keys.is_empty()) {
            (false, true) => Ok(()),
            (true, true) => {
                Err("it has no keys, and this server was told --access keys".to_owned())
            }
            (false, false) => Err("it has keys, and this server was started without \
                                   (--access keys --key FILE)"
                .to_owned()),
            (true, false) if keys.get(&self.id) != self.key.as_ref() => {
                Err(format!("it names another key of {} than this server's", self.id))
            }
            (true, false) => match self.expect.iter().find(differs) {
                None => Ok(()),
                Some((id, key)) => Err(format!("the key of {id} is not {key}, as --expect says")),
            },
        }
    }
}

impl Server {
    /// True if everybody has to prove a key here, servers and clients.
    pub fn is_keyed(&self) -> bool {
        self.chain.as_ref().map_or(self.config.keys, |chain| chain.is_keyed())
    }

    /// Returns the key that a server has to prove by the chain. While keys come to a bank, server by server, the
    /// chain asks nobody: those without one can't hear another's yet.
    fn named_key(&self, id: &ServerId) -> Option<Fingerprint> {
        self.chain.as_ref().filter(|chain| chain.is_keyed()).and_then(|chain| chain.key(id))
    }

    /// True if whoever proved this key, or none, may speak for a server now.
    fn may_speak_for(&self, id: &ServerId, proved: Option<Fingerprint>) -> bool {
        match self.named_key(id) {
            None => true,
            Some(named) if proved == Some(named) => true,
            // It may hold no more than the beginning of the chain, which names keys of long ago.
            Some(_) if self.learns_chain() && !planted!(LearnsByOldKeys) => {
                self.expects(id, proved)
            }
            Some(_) => self.is_known_by(id, proved) || self.is_foretold(id, proved),
        }
    }

    /// True if the chain names this key for a server, or an operator has told it here.
    pub(super) fn is_known_by(&self, id: &ServerId, proved: Option<Fingerprint>) -> bool {
        let confirmed = self.peers.asking.confirmed(id).map(|newcomer| newcomer.key);
        let told = || {
            let ordered = self.peers.orders.ordered.get(id).and_then(|ordered| ordered.key);
            ordered.or(self.config.expect.get(id).copied())
        };
        let named = self.named_key(id);
        proved.is_some()
            && (proved == named || proved == confirmed || (named.is_none() && proved == told()))
    }

    /// True if this server's operator expects the key of this server; if its operator expects no certain one, any
    /// will do.
    fn expects(&self, id: &ServerId, proved: Option<Fingerprint>) -> bool {
        match self.config.expect.get(id) {
            Some(expected) => proved == Some(*expected),
            None => proved.is_some(),
        }
    }

    /// True if a peer's messages come over a connection on which it proved the key that the chain names for it.
    /// The chain may name another key than it did when the peer greeted.
    pub(in crate::bank::server) fn speaks_by_its_key(&self, from: &ServerId) -> bool {
        let Some(peer) = self.peers.get(from) else { return true };
        self.may_speak_for(from, peer.greeted_key) || planted!(VoteWithoutItsKey)
    }

    /// True if the connection to a peer leads to whoever holds the key that the chain names for the peer.
    pub(in crate::bank::server) fn is_heard_by_its_key(&self, to: &ServerId) -> bool {
        let Some(peer) = self.peers.get(to) else { return true };
        self.may_speak_for(to, peer.link_key)
    }

    /// Ends the connections to peers that a block has given other keys.
    pub(in crate::bank::server) fn hang_up_on_old_keys(&mut self) {
        for id in self.peer_ids() {
            if self.peers.is_linked(&id) && !self.is_heard_by_its_key(&id) {
                self.effects.bind(Bound::HangUp(id));
            }
        }
    }

    /// Checks that a server proved the key that it is known by: by the chain, or, before the chain names its
    /// key, by this server's configuration.
    pub(super) fn check_key(
        &self,
        id: &ServerId,
        proved: Option<Fingerprint>,
    ) -> Result<(), String> {
        if self.is_foretold(id, proved) {
            return Ok(());
        }
        if self.named_key(id).is_some() {
            return match (self.may_speak_for(id, proved), proved) {
                (true, _) => Ok(()),
                _ if planted!(GreetsWithoutItsKey) => Ok(()),
                (false, None) => Err(format!(
                    "{id} speaks without a key, and this bank has keys: start {id} with its key (--key)"
                )),
                (false, Some(key)) if self.learns_chain() => Err(format!(
                    "{id} proves the key {key}, and another is expected (--expect): if {id} has got this one since, \
                     start {} with it",
                    self.config.id
                )),
                (false, Some(key)) if self.was_a_key(key) => {
                    Err(format!("{id} proves the key {key}, which is no server's any more"))
                }
                (false, Some(key)) => {
                    Err(format!("{id} proves the key {key}, and the chain names another for it"))
                }
            };
        }
        // An operator's order is newer than what this server was told when it started, of a server that has been
        // dismissed since.
        let ordered = self.peers.orders.ordered.get(id).and_then(|ordered| ordered.key);
        if let Some(ordered) = ordered.filter(|_| !planted!(GreetsWithoutItsKey)) {
            return match proved == Some(ordered) {
                true => Ok(()),
                false => Err(format!("{id} doesn't prove the key by which it is to be admitted")),
            };
        }
        match (self.config.expect.get(id), proved) {
            (Some(expected), Some(proved)) if *expected != proved => {
                Err(format!("{id} proves the key {proved}, and another is expected (--expect)"))
            }
            (Some(_), None) => {
                Err(format!("{id} speaks without a key, and one is expected (--expect)"))
            }
            (None, _) if self.is_keyed() && !self.is_member(id) && !self.learns_chain() => Err(
                format!("{id} is no member by the chain, and no key of it is expected (--expect)"),
            ),
            (None, None) if self.chain.is_none() && self.config.keys => Err(format!(
                "{id} speaks without a key, and this bank is to be founded with keys: start {id} with \
                 --access keys"
            )),
            _ => Ok(()),
        }
    }

    /// Refuses a store that asks for a server's place in a bank with keys, until an operator has confirmed it
    /// here, or until the chain names it. Notes who asks.
    pub(super) fn check_newcomer(
        &mut self,
        hello: &Hello,
        proved: Option<Fingerprint>,
    ) -> Result<(), String> {
        let Hello { id, instance, rejoins, .. } = hello;
        let lets_in = !self.rejoins();
        let Some(chain) = self.chain.as_ref().filter(|chain| chain.is_keyed() && lets_in) else {
            return Ok(());
        };
        // Who is no member asks for no member's place.
        let named = chain.instance(id);
        let is_named = named.is_none_or(|named| named == *instance) || chain.is_deposed(*instance);
        let Some(key) = proved.filter(|_| *rejoins && !is_named) else { return Ok(()) };
        let newcomer = Newcomer { instance: *instance, key };
        if self.peers.asking.confirmed(id) == Some(newcomer) || planted!(RejoinsUnconfirmed) {
            return Ok(());
        }
        if self.is_key_of_another(id, key) {
            return Err(format!("{id} proves the key {key}, which is or was another server's"));
        }
        if self.peers.asking.asks(id, newcomer) {
            self.warn(Warning::AsksToRejoin { server: id.clone(), new: *instance, key });
        }
        Err(format!(
            "{id} asks to rejoin with the key {key}: an operator has to confirm this key at one of the \
             other servers (rejoin {id} {key})"
        ))
    }

    /// True if a key is, or was, a server's other than `id`.
    fn is_key_of_another(&self, id: &ServerId, key: Fingerprint) -> bool {
        let Some(chain) = &self.chain else { return false };
        let derived = chain.derived();
        let named = derived.keys.iter().any(|(of, named)| of != id && *named == key);
        named || derived.former.contains(&key)
    }

    fn was_a_key(&self, key: Fingerprint) -> bool {
        self.chain.as_ref().is_some_and(|chain| chain.derived().former.contains(&key))
    }

    /// True if whoever proved this key, or none, may know of this server's state: in a bank with keys, servers
    /// and those who were servers. So a store that was replaced is told so.
    pub(super) fn may_know(&self, proved: Option<Fingerprint>) -> bool {
        let Some(chain) = self.chain.as_ref().filter(|chain| chain.is_keyed()) else {
            let expect = &self.config.expect;
            let is_expected =
                |proved| expect.is_empty() || expect.values().any(|expected| *expected == proved);
            return !self.config.keys || proved.is_some_and(is_expected);
        };
        let Some(proved) = proved else { return false };
        chain.derived().keys.values().any(|named| *named == proved) || self.was_a_key(proved)
    }

    /// Returns the keys to found a bank with: none for a bank without keys. None until all are known.
    pub(super) fn founding_keys(&mut self) -> Option<BTreeMap<ServerId, Fingerprint>> {
        if !self.config.keys {
            return Some(BTreeMap::new());
        }
        let mut keys = BTreeMap::from([(self.config.id.clone(), self.config.key?)]);
        for (id, peer) in self.peers.iter() {
            keys.insert(id.clone(), peer.key?);
        }
        let different: BTreeSet<_> = keys.values().collect();
        if different.len() < keys.len() {
            self.warn(Warning::OneKeyForTwo);
            return None;
        }
        Some(keys)
    }

    /// Checks that a server with which this one may found a bank was told the same of keys. Otherwise each of
    /// them would found a bank of its own.
    pub(super) fn check_access(&self, hello: &Hello) -> Result<(), String> {
        let founds = self.chain.is_none() && hello.standing.genesis.is_none();
        if !founds || hello.keys == self.config.keys {
            return Ok(());
        }
        let access = |keys| if keys { "--access keys" } else { "--access open" };
        let (theirs, ours) = (access(hello.keys), access(self.config.keys));
        Err(format!(
            "{} is about to found a bank with {theirs}, this server with {ours}: start both alike",
            hello.id
        ))
    }

    /// Logs this server's key, once, if the chain names none for it and it is to have one.
    pub(super) fn pin_own_key(&mut self) {
        let (id, instance) = (self.config.id.clone(), self.store.instance);
        let Some(key) = self.config.key.filter(|_| self.config.keys) else { return };
        if !self.may_log() || self.chain().key(&id).is_some() {
            return;
        }
        // It may have been logged in an earlier life, which did not get to settle it.
        self.pace.settle_up_to(self.ledger.log.last().seq);
        let action = Action::Pin { server: id, instance, key: Box::new(key) };
        if !self.ledger.log.holds(&action) {
            self.log_records([Record::plain(action)]);
            self.pace.settle_up_to(self.ledger.log.last().seq);
        }
    }

    /// Takes an operator's word that a store rejoins in a server's place: logs it, and settles it. Without a
    /// key, tells who asks.
    pub(in crate::bank::server) fn confirm_rejoin(
        &mut self,
        connection: ConnectionId,
        confirmed: Option<(ServerId, Fingerprint)>,
    ) -> Reply {
        let Some((server, key)) = confirmed else { return self.who_asks() };
        let wrong = |message: String| Reply::Error { error: ErrorCode::BadRequest, message };
        if !self.is_keyed() {
            return wrong(
                "this bank has no keys: a server rejoins by its own word (--rejoin)".into(),
            );
        }
        if let Err(message) = self.check_stays() {
            return Reply::Error { error: ErrorCode::Unavailable, message };
        }
        let Some(chain) = &self.chain else { return wrong(self.not_open()) };
        let Some(old) = chain.instance(&server) else {
            return wrong(format!("{server} is not a server of this bank"));
        };
        let Some(Newcomer { instance: new, .. }) = self.peers.asking.confirm(&server, old, key)
        else {
            return wrong(format!(
                "{server} doesn't ask to rejoin with the key {key}: start it with --rejoin, and look \
                 here who asks (rejoin)"
            ));
        };
        self.warn(Warning::Confirmed { server, new, old, connection });
        self.bring_in_confirmed();
        self.who_asks()
    }

    /// Logs the rejoins that operators have confirmed here, each once, and settles them. A bank that is not open
    /// yet opens when the confirmed store has confirmed block 0.
    pub(super) fn bring_in_confirmed(&mut self) {
        if !self.may_log() {
            return;
        }
        for (server, Newcomer { instance: new, key }, old) in self.peers.asking.all_confirmed() {
            if self.chain().instance(&server) != Some(old) {
                self.peers.asking.settled(&server);
                continue;
            }
            let key = Some(Box::new(key));
            let action = Action::Rejoin { server, old, new, key };
            if !self.ledger.log.holds(&action) {
                self.log_records([Record::plain(action)]);
            }
            self.pace.settle_up_to(self.ledger.log.last().seq);
        }
    }

    fn who_asks(&self) -> Reply {
        let asks = self.peers.asking.all();
        let told = |(server, newcomer): (&ServerId, Newcomer)| AsksToRejoin {
            server: server.clone(),
            instance: newcomer.instance,
            key: newcomer.key,
            confirmed: self.peers.asking.confirmed(server) == Some(newcomer),
        };
        let rejoins = asks.map(told).collect();
        Reply::Rejoins { rejoins }
    }
}

/// Says why a server can't start with this key on the store of this chain, if it can't. `is_named` is true if
/// the chain names the store's instance.
pub(in crate::bank::server) fn cannot_speak(
    config: &Config,
    chain: &Chain,
    is_named: bool,
) -> Option<String> {
    let Config { id, key, .. } = config;
    match (chain.key(id), key) {
        (Some(named), Some(key)) if is_named && named != *key => Some(format!(
            "{id} is known by the key {named}, and was started with {key}: start it with the key file \
             that belongs to this store. If that is lost, {id} can only rejoin, with an empty store"
        )),
        (_, None) if chain.is_keyed() => Some(format!(
            "this bank has keys, and {id} was started without one: start it with its key file \
             (--key FILE)"
        )),
        (Some(_), None) if is_named => {
            Some(format!("the chain names a key for {id}: start it with its key file (--key FILE)"))
        }
        _ => None,
    }
}
