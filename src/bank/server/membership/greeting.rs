//! Handshakes and heartbeats (DESIGN.md, "Founding and identity").

use super::super::Server;
use super::peers::LinkState;
use crate::bank::blockchain::block::FORMAT;
use crate::bank::blockchain::chain::Chain;
use crate::bank::effects::{Bound, Timer};
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, InstanceId, ServerId, TurnNumber};
use crate::bank::note::{Note, Nothing, Warning};
use crate::bank::paxos::message::{Configuration, Hello, Message, Standing};

/// What to do if the servers came to know different instances of each other while they founded.
const FOUND_AGAIN: &str = "If no server is active, the founding was cut short by a lost store, or the servers were told different \
     things of keys (--access): stop all servers, wipe all their stores and start them again.";

/// Cuts a peer's words to what a person wants to read.
fn short(text: &str) -> String {
    const LONGEST: usize = 500;
    text.chars().take(LONGEST).collect()
}

/// The number of its latest lives that a server names in a hello.
const LIVES_NAMED: usize = 64;

impl Server {
    /// Makes the hello to a peer. It is bound, like everything that speaks of durable state.
    fn hello(&self, to: &ServerId) -> Hello {
        let first = self.store.lives.len().saturating_sub(LIVES_NAMED);
        Hello {
            version: FORMAT,
            id: self.config.id.clone(),
            instance: self.store.instance,
            life: self.store.life,
            lives: self.store.lives[first..].to_vec(),
            configuration: self.founding_terms(),
            standing: self.standing(),
            knows_you_as: self.chain.as_ref().and_then(|chain| chain.instance(to)),
            rejoins: self.has_another_instance(),
            saw_you_at: self.peers.get(to).and_then(|peer| peer.seen),
            keys: self.config.keys,
            origin: self.config.opening.as_ref().map(|opening| opening.origin.hash()),
            joins: self.joins(),
            addresses: self.addresses_for(to),
        }
    }

    /// Returns the terms of the founding: the chain's, or, before it, those of the configuration.
    fn founding_terms(&self) -> Configuration {
        match &self.chain {
            None => self.config.configuration.clone(),
            Some(chain) => Configuration::of(chain.genesis()),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing {
            genesis: self.chain.as_ref().map(Chain::genesis_hash),
            active: self.store.active,
            height: self.height().unwrap_or(0),
            turn: self.turn_spoken_of(),
            position: self.ledger.log.last(),
        }
    }

    /// Returns the turn with which everything said now is durable: this turn, if it has begun to write.
    fn turn_spoken_of(&self) -> TurnNumber {
        let writes = !self.effects.writes.is_empty() || !self.ledger.log.is_sealed();
        TurnNumber(self.store.turn.0 + u64::from(writes))
    }

    /// Greets a peer, since the connection dialled to it is up.
    pub(in crate::bank::server) fn on_link_up(&mut self, peer: ServerId) {
        let link_key = self.peers.get(&peer).and_then(|known| known.link_key);
        if let Err(reason) = self.check_key(&peer, link_key) {
            // The hello would tell a stranger of this bank.
            self.effects.bind(Bound::HangUp(peer.clone()));
            return self.warn(Warning::CannotSpeak(peer, reason));
        }
        let hello = Message::Hello(self.hello(&peer));
        let Some(known) = self.peers.get_mut(&peer) else { return };
        known.link = LinkState::Greeting;
        self.effects.bind(Bound::Peer(peer, hello));
    }

    /// Takes in a peer's answer to the hello.
    pub(in crate::bank::server) fn on_link_answered(&mut self, peer: ServerId, answer: Message) {
        let Some(known) = self.peers.get(&peer) else { return };
        if known.link != LinkState::Greeting {
            return;
        }
        let proved = known.link_key;
        match answer {
            Message::Hello(hello) if hello.id != peer => {
                self.warn(Warning::Elsewhere(peer, hello.id));
            }
            Message::Hello(hello) => match self.check(&hello, proved) {
                Err(reason) => {
                    self.effects.bind(Bound::HangUp(peer.clone()));
                    self.warn(Warning::CannotSpeak(peer, short(&reason)));
                }
                Ok(()) => {
                    if let Some(known) = self.peers.get_mut(&peer) {
                        known.link = LinkState::Up;
                    }
                    self.note(Note::Connected(peer.clone()));
                    self.meet(&peer, hello, proved);
                    self.repeat_to(&peer);
                    self.ask_heights_of(&peer);
                }
            },
            Message::Reject { reason, hello, over } => {
                self.warn(Warning::RefusedBy(peer.clone(), short(&reason)));
                // It may know that this server's store was lost. It speaks for no other peer.
                if let Some(hello) = hello.filter(|hello| hello.id == peer) {
                    let _ = self.check(&hello, proved);
                    self.hear_of_the_others(&peer, &hello, proved);
                    if over {
                        self.hear_that_it_is_over(&peer, proved);
                    }
                }
            }
            other => self.warn(Warning::OddAnswer(peer, other.name())),
        }
    }

    /// Notes that the connection dialled to a peer is gone.
    pub(in crate::bank::server) fn on_link_down(&mut self, peer: &ServerId) {
        if let Some(known) = self.peers.get_mut(peer) {
            let was_up = known.link == LinkState::Up;
            (known.link, known.link_key) = (LinkState::Down, None);
            if was_up {
                self.note(Note::Disconnected(peer.clone()));
            }
        }
    }

    /// Takes in the hello of a peer that dialled this server.
    pub(in crate::bank::server) fn on_greeted(&mut self, connection: ConnectionId, hello: Hello) {
        let peer = hello.id.clone();
        if self.peers.get(&peer).is_some_and(|known| known.incoming > Some(connection)) {
            // The hello was overtaken by the hello on the connection that replaced this one.
            return self.ignore(Nothing::GreetsLate(peer));
        }
        let proved = self.clients.asker(connection).map(|asker| asker.key);
        let checked = self.check(&hello, proved);
        if let Err(reason) = checked.and_then(|()| self.check_in_nobodys_place(&hello)) {
            let reason = short(&reason);
            self.warn(Warning::Refuses(peer.clone(), reason.clone()));
            let over = self.chain.as_ref().is_some_and(|chain| chain.is_deposed(hello.instance));
            let hello = self.may_know(proved).then(|| Box::new(self.hello(&peer)));
            let reject = Message::Reject { reason, over: over && hello.is_some(), hello };
            self.effects.bind(Bound::Answer(connection, reject));
            return;
        }
        let answer = Message::Hello(self.hello(&peer));
        self.effects.bind(Bound::Answer(connection, answer));
        self.peers.on_greeted(&peer, connection, (hello.instance, hello.life), proved);
        self.meet(&peer, hello, proved);
    }

    /// Notes that a connection is gone.
    pub(in crate::bank::server) fn on_closed(&mut self, connection: ConnectionId) {
        self.clients.closed(connection);
        self.ledger.sessions.closed(connection);
        if self.peers.on_closed(connection) {
            let timer = self.pace.hurry();
            self.cancel_all(timer);
        }
    }

    /// Checks that a server that greets so can be spoken to. Its hello may show that this server's store was
    /// lost, swapped or rolled back.
    ///
    /// The key comes first: whoever doesn't prove it accuses nobody.
    fn check(&mut self, hello: &Hello, proved: Option<Fingerprint>) -> Result<(), String> {
        if hello.version != FORMAT {
            return Err(format!("it speaks format {}, this server {FORMAT}", hello.version));
        }
        if hello.id == self.config.id {
            return Err(format!("it calls itself {}, as this server does", hello.id));
        }
        self.hear_of_member(hello, proved);
        let asks_to_join = hello.joins && !self.is_member(&hello.id);
        if asks_to_join && self.chain.is_some() && !self.rejoins() {
            self.check_joiner(hello, proved)?;
        }
        if self.may_be_ahead(hello, proved) {
            self.peers.add(&hello.id);
        }
        self.hear_of_foretold(hello, proved);
        if self.peers.get(&hello.id).is_none() {
            return Err(self.why_no_member(&hello.id));
        }
        if self.is_only_foretold(&hello.id, proved) {
            self.check_key(&hello.id, proved)?;
            return self.check_foretold(hello);
        }
        if !asks_to_join {
            self.check_newcomer(hello, proved)?;
        }
        self.check_key(&hello.id, proved)?;
        self.hear_of_addresses(hello);
        self.check_terms(hello)?;
        self.check_access(hello)?;
        self.check_origin(hello)?;
        self.check_told(hello)?;
        self.check_bank(hello)?;
        self.check_instances(hello)?;
        self.check_sightings(hello)
    }

    /// Checks that a server was told the terms of this bank's founding, as far as it still has to found it. Who comes
    /// to a founded bank need not know them.
    fn check_terms(&self, hello: &Hello) -> Result<(), String> {
        let (ours, theirs) = (self.founding_terms(), &hello.configuration);
        let fits = match &self.chain {
            Some(chain) => theirs.matches(chain.genesis()),
            // If the other one holds block 0, that says more than these terms.
            None => ours == *theirs || hello.standing.genesis.is_some(),
        };
        match fits || hello.joins || self.joins() || self.comes_later(hello) {
            true => Ok(()),
            false => {
                Err(format!("{} is configured for {theirs}, this server for {ours}", hello.id))
            }
        }
    }

    /// True if one of the two holds no block 0 yet, and takes the place of a server that is lost.
    fn comes_later(&self, hello: &Hello) -> bool {
        let (without, with) = (self.chain.is_none(), hello.standing.genesis.is_none());
        without != with && (if without { self.config.rejoin } else { hello.rejoins })
    }

    pub(super) fn why_no_member(&self, id: &ServerId) -> String {
        let chain = self.chain.as_ref();
        match chain.is_some_and(|chain| chain.derived().included.contains_key(id)) {
            true => format!("{id} is no member of this bank any more: it was dismissed"),
            false => format!("{id} is not a server of this bank"),
        }
    }

    /// Checks that a server is of the same bank, as far as both know their bank. If they differ, either may be
    /// the stranger; if most servers are of one other bank, it is this server.
    fn check_bank(&mut self, hello: &Hello) -> Result<(), String> {
        let ours = self.chain.as_ref().map(Chain::genesis_hash);
        let theirs =
            hello.standing.genesis.filter(|theirs| ours.is_some_and(|ours| ours != *theirs));
        if let Some(known) = self.peers.get_mut(&hello.id) {
            known.elsewhere = theirs;
        }
        let (Some(ours), Some(theirs)) = (ours, theirs) else { return Ok(()) };
        let with_it = self.peers.values().filter(|peer| peer.elsewhere == Some(theirs)).count();
        if with_it >= self.quorum().needed {
            self.stop(format!(
                "the store of {} was swapped: it is of another bank, with block 0 {}, than those of \
                 most servers, with {}. Start it on its own.",
                self.config.id,
                ours.short(),
                theirs.short()
            ));
        }
        Err(format!(
            "{} belongs to another bank: its block 0 is {}, here it is {}. {FOUND_AGAIN}",
            hello.id,
            theirs.short(),
            ours.short()
        ))
    }

    fn check_instances(&mut self, hello: &Hello) -> Result<(), String> {
        let Hello { id, instance, standing, .. } = hello;
        self.check_dismissal(hello)?;
        if let Some(named) = hello.knows_you_as.filter(|named| self.is_late(*named, standing)) {
            let reason = self.came_too_late(named);
            self.accused(id, reason.clone());
            return Err(reason);
        }
        if let Some(known_as) = hello.knows_you_as
            && known_as != self.store.instance
            && !self.is_ahead_by_rejoining(standing)
        {
            if self.height().is_none_or(|height| standing.height >= height) {
                self.accused(id, self.store_lost(id, known_as, standing));
            }
            return Err(format!(
                "{id} knows this server as instance {known_as}, not {}",
                self.store.instance
            ));
        }
        let known_as = self.chain.as_ref().and_then(|chain| chain.instance(id));
        match known_as {
            // Its votes don't count unless the chain names it. It may be ahead of this server.
            Some(known_as) if known_as != *instance && hello.rejoins => {
                match self.chain.as_ref().is_some_and(|chain| chain.is_deposed(*instance)) {
                    true => Err(format!("{id}'s instance {instance} was replaced by {known_as}")),
                    false => Ok(()),
                }
            }
            Some(known_as) if known_as != *instance => Err(format!(
                "{id} is known as instance {known_as}, but this is {instance}: its store was lost or swapped"
            )),
            _ => Ok(()),
        }
    }

    fn store_lost(&self, peer: &ServerId, known_as: InstanceId, standing: &Standing) -> String {
        let what_to_do = if standing.active {
            "Start it on the store it had last, or, if that is lost for good, let it rejoin with an \
             empty one (--rejoin)."
        } else {
            "As far as that peer knows the bank is not open yet: if no server is active, stop all \
             servers, wipe all their stores and start them again."
        };
        format!(
            "the store of {} was lost or swapped: {peer} knows this server as instance {known_as}, \
             but the store says {}. {what_to_do}",
            self.config.id, self.store.instance
        )
    }

    /// Takes in the content of a good hello.
    fn meet(&mut self, peer: &ServerId, hello: Hello, proved: Option<Fingerprint>) {
        if !self.is_only_foretold(peer, proved) {
            self.welcomed(peer);
        }
        self.hear_of_move(&hello);
        if let Some(known) = self.peers.get_mut(peer) {
            known.key = proved;
            known.instance = Some(hello.instance);
            known.joins = hello.joins;
            known.leaps = false;
            if hello.standing.genesis.is_none() && !planted!(HeightOutlivesStore) {
                // Whatever it held before, it no longer does: it has to be founded with, not asked.
                known.height = None;
            }
        }
        self.sight(peer, (hello.instance, hello.life), &hello.standing);
        self.hear_of_predecessor(peer, hello.saw_you_at);
        self.learn_standing(peer, hello.standing);
        self.found();
        self.carry_out_orders();
    }

    /// Takes in a peer's standing.
    pub(in crate::bank::server) fn learn_standing(&mut self, peer: &ServerId, standing: Standing) {
        let own = self.height();
        let Some(genesis) = standing.genesis else { return };
        let is_of_our_bank = self.is_of_our_bank(&genesis);
        let Some(known) = self.peers.get_mut(peer) else { return };
        let forked = known.forked;
        known.strange = known.strange.filter(|strange| *strange == genesis);
        let is_strange = known.strange.is_some();
        if !is_of_our_bank {
            if !std::mem::replace(&mut known.forked, true) {
                self.warn(Warning::OtherBank(peer.clone(), FOUND_AGAIN));
            }
            return;
        }
        match &self.chain {
            Some(_) => {
                known.confirmed = true;
                known.holds(standing.height, own);
                self.activate(standing.active);
            }
            None => known.holds(standing.height, own),
        }
        let lacks_blocks = self.height() < Some(standing.height) || self.chain.is_none();
        if lacks_blocks && !forked && !is_strange {
            self.start_reconciling();
        }
    }

    /// Tells the others that this server is there.
    pub(in crate::bank::server) fn on_heartbeat(&mut self) {
        for peer in self.peers.values_mut() {
            peer.missed = peer.missed.saturating_add(1);
        }
        // Who asked that long ago may have found nothing, and said so to nobody.
        if !planted!(AskedForEver) {
            self.voter.asked = None;
        }
        self.send_all(&Message::Heartbeat(self.standing()));
        self.ask_to_rejoin();
        self.append_opening();
        self.pin_own_key();
        self.bring_in_confirmed();
        self.open_own_account();
        self.carry_out_orders();
        self.bring_in_dismissal();
        self.look_whether_gone();
        self.set(Timer::Heartbeat);
    }
}
