//! The way back for a server whose store is lost for good (DESIGN.md, "Rejoin").

use super::super::Server;
use super::super::own::Leaving;
use super::peers::Peer;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::quorum::majority;
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::ledger::entry::{Action, Position, Record};
use crate::bank::note::{Note, Nothing, Warning};
use crate::bank::paxos::message::{Hello, Message, Sighting, Standing};

impl Server {
    /// True if the chain, as far as it is held, does not name this server's instance.
    pub(in crate::bank::server) fn rejoins(&self) -> bool {
        match &self.chain {
            None => self.config.rejoin || self.config.join,
            Some(chain) => chain.instance(&self.config.id) != Some(self.store.instance),
        }
    }

    /// True if this server has yet to read in the chain that it takes part. Until then it knows few keys.
    pub(super) fn learns_chain(&self) -> bool {
        self.rejoins() && self.store.leaving != Leaving::Dismissed
    }

    /// True if this server votes, serves and logs.
    pub(in crate::bank::server) fn takes_part(&self) -> bool {
        let named = match &self.chain {
            _ if planted!(VotesAtOnce) => true,
            _ if planted!(CountedAtOnce) => true,
            Some(chain) if planted!(DeposedGoesOn) && chain.is_deposed(self.store.instance) => true,
            _ => !self.rejoins(),
        };
        self.store.active && named && !self.is_in_doubt()
    }

    /// True if this server's instance is not the founding one.
    pub(in crate::bank::server) fn has_another_instance(&self) -> bool {
        match &self.chain {
            None => self.config.rejoin || self.config.join,
            Some(chain) => {
                chain.genesis().servers.get(&self.config.id) != Some(&self.store.instance)
            }
        }
    }

    /// True if a peer knows this server under another instance only because it lacks the block by which this
    /// one rejoined, or because there is no such block yet.
    pub(in crate::bank::server) fn is_ahead_by_rejoining(&self, standing: &Standing) -> bool {
        let ahead = self.height() > Some(standing.height);
        self.has_another_instance() && (self.rejoins() || ahead)
    }

    /// Asks one of the others to log that this server rejoins, in place of the instance that the chain named
    /// when it first asked. The operator's word is for no other instance.
    pub(in crate::bank::server) fn ask_to_rejoin(&mut self) {
        if !self.store.active || !self.rejoins() || !self.knows_the_chain() {
            return;
        }
        let Some(named) = self.chain.as_ref().and_then(|chain| chain.instance(&self.config.id))
        else {
            return;
        };
        let first = *self.store.replaces.get_or_insert(named);
        let old = if planted!(ReplacesWhoeverIsNamed) { named } else { first };
        if named != old {
            return self.stop(self.came_too_late(named));
        }
        // A server that itself waits to rejoin logs nothing.
        let logs = |(id, peer): &(&ServerId, &Peer)| peer.is_linked() && self.hears_its_store(id);
        let Some(to) = self.peers.iter().find(logs).map(|(id, _)| id.clone()) else { return };
        let new = self.store.instance;
        self.note(Note::AsksToRejoin { to: to.clone(), new, old });
        self.send(&to, Message::Rejoin { old, new });
    }

    /// True if this server holds everything that a majority of the others holds, by their word, and none is
    /// known to hold more. Then it knows the chain, except for what is being chosen, and whose place it takes.
    fn knows_the_chain(&self) -> bool {
        let mut heights = self.peers.values().filter_map(|peer| peer.height);
        let told =
            self.peers.iter().filter(|(id, peer)| peer.height.is_some() && self.is_member(id));
        self.reconcile.is_idle()
            && heights.all(|height| Some(height) <= self.height())
            && self.quorum().is_reached_by(told.map(|(id, _)| id))
    }

    /// Refuses a rejoin while the instance that it would replace is still connected. That instance may be about
    /// to stop, so the caller may try again.
    pub(in crate::bank::server) fn check_in_nobodys_place(
        &self,
        hello: &Hello,
    ) -> Result<(), String> {
        let Hello { id, instance, .. } = hello;
        let named = self.chain.as_ref().and_then(|chain| chain.instance(id));
        let connected = self.peers.get(id).filter(|peer| peer.is_connected());
        let lives = connected.and_then(|peer| peer.greeted_as).map(|(of, _)| of) == named;
        match named {
            Some(named) if named != *instance && lives => Err(format!(
                "{id} is connected, as instance {named}, which {instance} can't replace"
            )),
            _ => Ok(()),
        }
    }

    /// True if a peer knows that another store has taken the place that this store was to take.
    pub(in crate::bank::server) fn is_late(&self, named: InstanceId, standing: &Standing) -> bool {
        let expected = |old: InstanceId| named == old || named == self.store.instance;
        let newer = self.height() <= Some(standing.height);
        self.rejoins() && newer && !self.store.replaces.is_none_or(expected)
    }

    pub(in crate::bank::server) fn came_too_late(&self, named: InstanceId) -> String {
        format!(
            "another store, of instance {named}, has come in the place in which this one, of instance \
             {}, was to come: this one is not to be used any more",
            self.store.instance
        )
    }

    /// Logs, once, that a server rejoins, and settles it.
    pub(in crate::bank::server) fn on_rejoin(
        &mut self,
        from: &ServerId,
        old: InstanceId,
        new: InstanceId,
    ) {
        let action = Action::Rejoin { server: from.clone(), old, new, key: None };
        let greeted_as = self.peers.get(from).and_then(|peer| peer.greeted_as);
        let greeted_so = greeted_as.is_some_and(|(instance, _)| instance == new);
        if self.is_keyed() && !planted!(RejoinsUnconfirmed) {
            // An operator's word brings it in, not its own.
            return self.ignore(Nothing::OtherInstance(from.clone()));
        }
        if self.chain().instance(from) != Some(old) || !greeted_so {
            return self.ignore(Nothing::OtherInstance(from.clone()));
        }
        if self.chain().is_deposed(new) {
            return self.ignore(Nothing::LateInstance(from.clone(), new));
        }
        if !self.may_log() {
            // It asks again, another one in the end.
            return self.ignore(Nothing::MayNotLog);
        }
        // It may have been logged in an earlier life, which did not get to settle it.
        self.pace.settle_up_to(self.ledger.log.last().seq);
        if self.ledger.log.holds(&action) {
            return;
        }
        self.warn(Warning::Rejoins { server: from.clone(), new, old });
        self.log_records(vec![Record::plain(action)]);
        self.pace.settle_up_to(self.ledger.log.last().seq);
    }

    /// Says why a server that a block deposes stops. It doesn't append this block.
    pub(in crate::bank::server) fn deposed_by(&self, block: &SealedBlock) -> String {
        let (id, instance, height) = (&self.config.id, self.store.instance, block.height());
        match self.rejoins() {
            true => format!(
                "instance {instance} of {id} comes too late, says block {height}: another store has come \
                 in place of the lost one. This one is not to be used any more."
            ),
            false => format!(
                "{id} has rejoined with another store by block {height}: this one, of instance \
                 {instance}, is not to be used any more. What it accepted and what is not in the \
                 chain by now is lost."
            ),
        }
    }

    /// Notes how far a peer has seen the store that this one replaces.
    pub(in crate::bank::server) fn hear_of_predecessor(
        &mut self,
        peer: &ServerId,
        seen: Option<Sighting>,
    ) {
        let Some(seen) = seen.filter(|seen| self.rejoins() && seen.instance != self.store.instance)
        else {
            return;
        };
        if self.store.seen_of_it.as_ref().is_none_or(|(position, _)| *position < seen.position) {
            self.store.seen_of_it = Some((seen.position, peer.clone()));
        }
    }

    /// Checks whether the block that this rejoining server just appended is the one it waits for. `last` is the
    /// last entry of the epoch before in the chain.
    pub(in crate::bank::server) fn look_whether_rejoined(&mut self, last: Position) {
        if self.rejoins() {
            return;
        }
        let id = &self.config.id;
        if self.config.join {
            let height = self.height().unwrap_or_default();
            return self.warn(Warning::Rejoined(format!(
                "done: {id} is a member now, as instance {}, by block {height}; its entries count from 1, in epoch {}",
                self.store.instance,
                self.ledger.log.last().epoch,
            )));
        }
        let lost = match self.store.seen_of_it.take() {
            Some((seen, peer)) if seen > last => {
                format!("are lost: at least up to {}, which {peer} has seen", seen.name(id))
            }
            _ => "are lost, if there were any: no server that was asked has seen one".into(),
        };
        let held = match last.seq {
            0 => "none".into(),
            _ => format!("those up to {}", last.name(id)),
        };
        self.warn(Warning::Rejoined(format!(
            "done: {id} has rejoined as instance {}, with block {}; its entries count from 1 again, in \
             epoch {}. Of epoch {} the chain holds {held}; later ones {lost}.",
            self.store.instance,
            self.height().unwrap_or_default(),
            self.ledger.log.last().epoch,
            last.epoch,
        )));
    }
}

/// Returns why a server of a bank of `servers` servers has no way back, if it has none.
pub fn cannot_rejoin(servers: usize) -> Option<String> {
    let others = servers.saturating_sub(1);
    (others < majority(servers)).then(|| {
        format!(
            "in a bank of {servers} the others are {others}, and {} have to agree: what the lost \
             store has promised can't be known, so there is no safe way to go on without it",
            majority(servers)
        )
    })
}
