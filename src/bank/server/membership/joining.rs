//! How a server comes to a bank that it was not founded with, and how all follow the chain's members (DESIGN.md,
//! "Members").

use std::collections::{BTreeMap, BTreeSet};

use super::super::Server;
use super::super::own::Leaving;
use super::orders::Joiner;
use super::peers::Peer;
use crate::bank::address::Address;
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::members::Objection;
use crate::bank::effects::Bound;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::{Action, Record};
use crate::bank::limits::MAX_MEMBERS;
use crate::bank::member_note::MemberNote;
use crate::bank::note::Warning;
use crate::bank::paxos::message::Hello;

impl Server {
    /// True if this server waits to be admitted.
    pub(in crate::bank::server) fn joins(&self) -> bool {
        self.config.join && self.rejoins() && self.store.leaving != Leaving::Dismissed
    }

    /// Refuses a store that asks to become a member, until an operator has ordered that it is admitted. Notes who
    /// asks.
    pub(super) fn check_joiner(
        &mut self,
        hello: &Hello,
        proved: Option<Fingerprint>,
    ) -> Result<(), String> {
        let Hello { id, instance, .. } = hello;
        // It may have been admitted and dismissed before it heard of either: no order brings it back.
        if self.chain().is_deposed(*instance) {
            return Err(self.refuse_admission(id, &Objection::Instance(*instance)));
        }
        let joiner = Joiner { instance: *instance, key: proved };
        let named = if self.is_keyed() { joiner } else { Joiner { key: None, ..joiner } };
        if self.peers.orders.admits(id, named) || planted!(JoinsUnordered) {
            return Ok(());
        }
        if self.peers.orders.asks(id, joiner) {
            self.warn(Warning::Members(MemberNote::Asks(id.clone(), proved)));
        }
        let key = proved.map(|key| format!(" {key}")).unwrap_or_default();
        Err(format!(
            "{id} is no member of this bank: an operator has to order it at a member (admit {id} \
             HOST:PORT{key})"
        ))
    }

    /// Takes note of a member that a joining or rejoining server had not heard of.
    pub(super) fn hear_of_member(&mut self, hello: &Hello, proved: Option<Fingerprint>) {
        let learns = self.joins() || (self.config.rejoin && self.rejoins());
        if learns && !hello.joins && self.is_trusted(&hello.id, proved) {
            self.peers.add(&hello.id);
        }
    }

    /// Takes a member's word on where those are found of whom neither the chain nor the operator tells it.
    pub(super) fn hear_of_addresses(&mut self, hello: &Hello) {
        for (id, at) in hello.addresses.iter().take(MAX_MEMBERS) {
            if *id == self.config.id || self.address(id).is_some() {
                continue;
            }
            self.peers.addresses.insert(id.clone(), at.clone());
            if self.peers.get(id).is_some() {
                self.dial(id, at.to_string());
            }
        }
        let is_dialled = |peer: &Peer| peer.dialled.is_some();
        if !self.peers.get(&hello.id).is_some_and(is_dialled)
            && let Some(at) = self.address(&hello.id).map(str::to_owned)
        {
            self.dial(&hello.id, at);
        }
    }

    /// Takes a peer's word on where it is found itself, if it is ahead: a block that this server lacks may have moved it,
    /// and there may be nobody else to ask. Its last word counts.
    pub(super) fn hear_of_move(&mut self, hello: &Hello) {
        let Hello { id, addresses, standing, .. } = hello;
        let before = self.peers.get_mut(id).and_then(|peer| peer.moved.take());
        let told = addresses.get(id).filter(|_| self.is_ahead(hello));
        let known = self.address(id);
        let moved = told.filter(|at| known != Some(at.as_str()) && !planted!(FormerAddressKept));
        if before.is_none() && moved.is_none() {
            return;
        }
        if let Some(peer) = self.peers.get_mut(id) {
            peer.moved = moved.map(|at| (standing.height, at.clone()));
        }
        let at = self.address(id).map(str::to_owned);
        let is_dialled = self.peers.get(id).is_some_and(|peer| peer.dialled == at);
        if let Some(at) = at.filter(|_| !is_dialled) {
            self.dial(id, at);
        }
    }

    /// Returns where the members and this server are found, for a server that the bank was not founded with, or that
    /// may have been dismissed since and come back.
    pub(super) fn addresses_for(&self, id: &ServerId) -> BTreeMap<ServerId, Address> {
        let knows_them = |chain: &Chain| {
            let is_founding = chain.derived().membership.is_founding();
            chain.genesis().servers.contains_key(id) && is_founding
        };
        if self.chain.as_ref().is_none_or(knows_them) {
            return BTreeMap::new();
        }
        let at = |id: &ServerId| Some((id.clone(), self.address(id)?.parse().ok()?));
        // Whoever is dismissed may still be the only one to say so, and has to be asked.
        self.members().chain([&self.config.id]).filter_map(at).collect()
    }

    /// Makes the peers those whom the chain names, and dials each where it is found. A server that has yet to take
    /// part drops nobody: it may be fetching from a member of whose admission it hasn't read yet.
    pub(in crate::bank::server) fn follow_members(&mut self) {
        let me = self.config.id.clone();
        let members: BTreeSet<ServerId> = self.members().cloned().collect();
        for id in &members {
            if *id != me {
                self.peers.add(id);
            }
            self.peers.orders.settle(id);
        }
        let is_found_there = |id: &ServerId, at: &str| {
            self.peers.get(id).is_none_or(|peer| peer.dialled.as_deref() == Some(at))
        };
        let moved = self.dials().into_iter().filter(|(id, at)| !is_found_there(id, at));
        for (id, at) in moved.collect::<Vec<_>>() {
            self.dial(&id, at);
        }
        if self.rejoins() {
            return;
        }
        let stays = |id: &ServerId| {
            members.contains(id)
                || self.peers.orders.ordered.contains_key(id)
                || self.may_become_member(id)
                || self.peers.get(id).is_some_and(|peer| peer.height > self.height())
        };
        let gone: Vec<ServerId> = self.peers.ids().filter(|id| !stays(id)).cloned().collect();
        for id in gone {
            self.peers.remove(&id);
            self.effects.bind(Bound::Part(id));
        }
    }

    /// True if the operator names a server that may be a member by a block that this server lacks: the chain, as far
    /// as it is held, says nothing of it, or this server joined by it, and it is a member again.
    fn may_become_member(&self, id: &ServerId) -> bool {
        let is_known = |chain: &Chain| chain.derived().included.contains_key(id);
        let was_one = self.chain.as_ref().is_some_and(is_known);
        self.config.addresses.contains_key(id) && (self.config.join || !was_one)
    }

    /// True if a server that is no member by this server's chain may be one by a longer chain, in which this server is
    /// one, too. Whoever was away while members came and went may know nobody else any more. Such a server's blocks
    /// are taken, and its votes don't count. In a bank with keys the operator has to expect its key.
    pub(super) fn may_be_ahead(&self, hello: &Hello, proved: Option<Fingerprint>) -> bool {
        self.is_ahead(hello) && self.is_trusted(&hello.id, proved) && !planted!(OnlyMembersAreAhead)
    }

    /// True if a server of this bank holds more of the chain, and knows this server's store.
    pub(super) fn is_ahead(&self, hello: &Hello) -> bool {
        hello.standing.genesis == self.bank()
            && self.chain.is_some()
            && Some(hello.standing.height) > self.height()
            && hello.knows_you_as == Some(self.store.instance)
    }

    /// True if this server may take the word of another, of which the chain names no key: in a bank with keys the
    /// operator has to expect its key.
    fn is_trusted(&self, id: &ServerId, proved: Option<Fingerprint>) -> bool {
        let expected = self.config.expect.get(id);
        !(self.is_keyed() || self.config.keys)
            || (expected.is_some() && expected == proved.as_ref())
    }

    /// Notes where each peer is dialled as this server starts.
    pub(in crate::bank::server) fn begin_to_dial(&mut self) {
        for (id, at) in self.dials() {
            if let Some(peer) = self.peers.get_mut(&id) {
                peer.dialled = Some(at);
            }
        }
    }

    fn dial(&mut self, id: &ServerId, at: String) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.dialled = Some(at.clone());
        }
        self.effects.bind(Bound::Dial(id.clone(), at));
    }

    /// Opens this server's own account, once, since no block 0 has opened it.
    pub(super) fn open_own_account(&mut self) {
        let account = AccountId::of(&self.config.id);
        if !self.may_log() || self.ledger.balances.local(&account).is_some() {
            return;
        }
        let action = Action::open(account);
        self.ledger.balances.apply(&action).expect("it was looked for");
        self.log_records([Record::plain(action)]);
        self.pace.settle_up_to(self.ledger.log.last().seq);
    }
}
