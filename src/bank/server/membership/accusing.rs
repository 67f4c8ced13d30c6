//! Peers that reject this server's store (DESIGN.md, "One peer's word").

use super::super::Server;
use super::peers::Word;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;
use crate::bank::note::Warning;

impl Server {
    /// Returns how many peers have to reject the store before this server stops: two, where there are two. Whoever learns
    /// the chain does not know the members before it holds all of it: there may be two.
    fn accusers_needed(&self) -> usize {
        let needed = if planted!(OneAccuserIsEnough) { 1 } else { 2 };
        if self.rejoins() {
            return needed;
        }
        needed.min(self.peers.ids().filter(|id| self.is_member(id)).count().max(1))
    }

    /// True if one peer rejects this server's store, and no connected peer has welcomed it. Until one does,
    /// this server neither votes, serves nor logs.
    pub fn is_in_doubt(&self) -> bool {
        self.peers.put_in_doubt() && !planted!(DoubtIgnored)
    }

    /// Notes that a peer says that this server must not go on. A single peer may be mistaken.
    pub(in crate::bank::server) fn accused(&mut self, by: &ServerId, reason: String) {
        let word = Word::Bad(reason.clone());
        let Some(peer) = self.peers.get_mut(by) else { return };
        let is_new = std::mem::replace(&mut peer.word, word.clone()) != word;
        let accusers = self.peers.accusers();
        if accusers.len() >= self.accusers_needed() {
            let others = accusers.iter().filter(|id| *id != by).map(ServerId::as_str);
            let others: Vec<&str> = others.collect();
            let also = match others.is_empty() {
                true => String::new(),
                false => format!(" {} told it so too.", others.join(", ")),
            };
            return self.stop(reason + &also);
        }
        if is_new {
            let (by, in_doubt) = (by.clone(), self.is_in_doubt());
            self.warn(Warning::Accused { by, in_doubt, reason });
        }
    }

    /// Notes that by a peer's chain this server's store is over, which has yet to come into the chain. Who took part knows
    /// it by the instance that the peer names; this one can't get the block that says so from whoever refuses it.
    pub(super) fn hear_that_it_is_over(&mut self, by: &ServerId, proved: Option<Fingerprint>) {
        let counts = self.learns_chain() && self.check_key(by, proved).is_ok();
        if !counts || planted!(OverUnheard) {
            return;
        }
        let (id, instance) = (&self.config.id, self.store.instance);
        let reason = format!(
            "instance {instance} of {id} can't come into the chain any more, says {by}: it is not to be used any more. \
             {id} has to come with another empty store"
        );
        self.accused(by, reason);
    }

    /// Notes that a peer has nothing against this server.
    pub(in crate::bank::server) fn welcomed(&mut self, by: &ServerId) {
        let in_doubt = self.is_in_doubt();
        if let Some(peer) = self.peers.get_mut(by) {
            peer.word = Word::Good;
        }
        if in_doubt {
            self.warn(Warning::Cleared(by.clone()));
        }
    }

    /// True if a peer names a round so far beyond all rounds seen that it has to be ignored.
    pub(in crate::bank::server) fn is_a_leap(&mut self, by: &ServerId, round: u64) -> bool {
        let is_leap = self.proposer.is_leap(round) && *by != self.config.id;
        if !is_leap || planted!(AnyRoundBelieved) {
            return false;
        }
        let peer = self.peers.get_mut(by);
        if peer.is_some_and(|peer| !std::mem::replace(&mut peer.leaps, true)) {
            let seen = self.proposer.highest_round;
            self.warn(Warning::Leap { by: by.clone(), round, seen });
        }
        true
    }

    /// Says to a client why nothing is served.
    pub(in crate::bank::server) fn doubt(&self) -> String {
        let accusers = self.peers.accusers();
        let names: Vec<&str> = accusers.iter().map(ServerId::as_str).collect();
        format!(
            "{} says that the store of {} is not the one it should be: nothing is served until another \
             server has spoken",
            names.join(", "),
            self.config.id
        )
    }
}
