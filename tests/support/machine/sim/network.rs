//! The network: links that break, messages that are lost, repeated and late, sides that can't reach
//! each other, servers that crash.

use crate::bank::effects::Event;
use crate::bank::ids::{ConnectionId, InstanceId, ServerId};
use crate::bank::paxos::message::Message;

use super::doors::key_of;
use super::queue::Happening;
use super::tally::Fault;
use super::world::World;
use crate::machine::disk::Disk;

impl World {
    /// Ends a server, and all its connections.
    pub fn cut_off(&mut self, id: &ServerId) {
        let peers: Vec<ServerId> = self.hosts.keys().filter(|peer| *peer != id).cloned().collect();
        for peer in &peers {
            self.hang_up(peer, id);
            self.hang_up(id, peer);
        }
        let host = self.hosts.get_mut(id).unwrap();
        host.server = None;
        host.life = 0;
        host.dialled_by.clear();
        self.archivist_dies(id);
    }

    pub fn crash(&mut self, id: &ServerId, fault: Fault) {
        self.suffer(fault, id);
        self.cut_off(id);
        let lost = self.may_be_lost(id) && self.happens(self.faults.lose, Fault::StoreLost);
        if lost {
            self.lose(id);
        }
        let away = if self.rng.bool() && !lost { 50 } else { 2_000 };
        let delay = self.rng.u64(10..away);
        self.schedule(delay, Happening::Start(id.clone()));
    }

    /// There is a way back for a server of an open bank, as long as the others are a majority.
    fn may_be_lost(&self, id: &ServerId) -> bool {
        let learns = self.judge.books.is_learning(id);
        let may_be = self.disks[id].stored.active && !learns && self.others_decide(id);
        may_be && !self.is_last_with_a_segment(id)
    }

    /// A server's store is lost, or so its operator believes, who gives it another.
    pub fn lose(&mut self, id: &ServerId) {
        self.leave_behind(id);
        let instance = self.rng.u64(..);
        self.tell(|| format!("{id} ── LOSES ITS STORE"));
        let Disk { tail, shelf, .. } = &self.disks[id];
        let shelf = shelf.as_ref().map(|shelf| shelf.anew(instance.is_multiple_of(2)));
        let disk = Disk { tail: *tail, shelf, ..Disk::empty(instance) };
        self.disks.insert(id.clone(), disk);
        // Its operator names a member at least: those of the founding may be gone.
        let members: Vec<ServerId> = self.roll().members.into_keys().filter(|m| m != id).collect();
        let member = members[self.rng.usize(..members.len())].clone();
        let config = &mut self.hosts.get_mut(id).unwrap().config;
        (config.rejoin, config.join) = (true, false);
        config.addresses.entry(member).or_insert_with(|| "host:7000".to_owned());
        self.judge.books.lose(id, InstanceId(instance));
    }

    /// Breaks the link that one has dialled to another. They learn of it, each in its time.
    pub fn hang_up(&mut self, dialler: &ServerId, to: &ServerId) {
        let Some(host) = self.hosts.get_mut(dialler) else { return };
        let (Some((connection, _)), life) = (host.links.remove(to), host.life) else { return };
        host.ends.insert(to.clone(), self.now + 2);
        self.deliver(dialler, 1, Event::LinkDown(to.clone()));
        let (from, to) = (dialler.clone(), to.clone());
        let delay = self.rng.u64(2..60);
        self.schedule(delay, Happening::Dial { from, to: to.clone(), life });
        let half_open = if self.rng.u8(0..4) == 0 { 2_000 } else { 3 };
        let delay = self.rng.u64(1..half_open);
        let greets = self.hosts[&to].dialled_by.get(&connection).map(|(_, _, greets)| *greets);
        if let Some(greets) = greets {
            // A connection's end comes after its beginning.
            let delay = delay.max((greets + 1).saturating_sub(self.now));
            self.deliver(&to, delay, Event::Closed(connection));
        }
    }

    pub fn dial(&mut self, from: ServerId, to: ServerId, life: u64) {
        let host = &self.hosts[&from];
        if host.life != life || host.links.contains_key(&to) || !host.dials.contains_key(&to) {
            return;
        }
        if host.ends.get(&to).is_some_and(|end| self.now < *end) {
            // Two diallers of one server never overtake each other.
            return self.schedule(2, Happening::Dial { from, to, life });
        }
        let peer_life = self.hosts[&to].life;
        let apart = self.are_apart(&from, &to);
        if peer_life == 0 || apart || self.happens(self.faults.unreachable, Fault::Unreachable) {
            return self.schedule(100, Happening::Dial { from, to, life });
        }
        let connection = self.new_connection();
        let wedged = self.faults.cut > 0 && self.rng.u8(0..10) == 0;
        let greets = self.now + self.rng.u64(1..if wedged { 500 } else { 20 });
        self.hosts.get_mut(&from).unwrap().links.insert(to.clone(), (connection, peer_life));
        let dialled_by = &mut self.hosts.get_mut(&to).unwrap().dialled_by;
        dialled_by.insert(connection, (from.clone(), life, greets));
        self.prove_link(&from, &to);
        self.deliver(&from, 0, Event::LinkUp(to.clone()));
        if wedged {
            // The dialler gives up before, or soon after, its hello comes.
            let delay = self.rng.u64(1..200);
            self.schedule(delay, Happening::GiveUp { dialler: from, to, connection });
        }
    }

    fn are_apart(&self, from: &ServerId, to: &ServerId) -> bool {
        self.apart.contains(&(from.clone(), to.clone()))
    }

    /// Now and then some servers can't reach some others; one may still reach both.
    pub fn weather(&mut self) {
        self.apart.clear();
        let ids: Vec<ServerId> = self.hosts.keys().cloned().collect();
        let bad = self.rng.u8(0..100) < self.faults.partition;
        for (place, from) in ids.iter().enumerate() {
            for to in &ids[..place] {
                if bad && self.rng.u8(0..3) == 0 {
                    let ways = self.rng.u8(0..8);
                    if ways != 1 {
                        self.apart.insert((from.clone(), to.clone()));
                    }
                    if ways != 2 {
                        self.apart.insert((to.clone(), from.clone()));
                    }
                }
            }
        }
        if !self.apart.is_empty() {
            self.suffer(Fault::Partition, format!("{:?}", self.apart));
        }
        self.copy_stores();
        self.harm_a_segment();
        self.lie();
        self.look_at_doors();
        self.look_at_members();
        // All at once, as when the power fails.
        if self.rng.u16(0..1_000) < self.faults.crash {
            for id in &ids {
                if self.is_up(id) {
                    self.crash(id, Fault::Crash);
                }
            }
        }
        let delay = self.rng.u64(200..self.faults.spell);
        self.schedule(delay, Happening::Weather);
    }

    pub fn answer(&mut self, id: &ServerId, connection: ConnectionId, message: Message) {
        if self.is_impostor_answered(connection, &message) {
            return;
        }
        if let Some(index) = self.old.who_dialled(connection) {
            return self.old_store_is_answered(index, message);
        }
        self.notice_welcome(id, connection, &message);
        let Some((dialler, life, _)) = self.hosts[id].dialled_by.get(&connection).cloned() else {
            return;
        };
        let delay = self.rng.u64(1..20);
        if matches!(message, Message::Reject { .. }) {
            let (dialler, to) = (dialler.clone(), id.clone());
            self.schedule(delay + 1, Happening::GiveUp { dialler, to, connection });
        }
        let event = Event::LinkAnswered(id.clone(), message);
        self.schedule(delay, Happening::Answer { dialler, life, connection, event });
    }

    pub fn send(&mut self, from: &ServerId, to: &ServerId, message: Message) {
        let Some((connection, peer_life)) = self.hosts[from].links.get(to).copied() else { return };
        if let Message::Hello(hello) = message {
            let known = self.hosts[to].dialled_by.get(&connection);
            let Some(greets) = known.map(|(_, _, greets)| *greets) else { return };
            let delay = greets.saturating_sub(self.now);
            self.old.greets(connection, &hello);
            self.hellos.insert((from.clone(), to.clone()), hello.clone());
            let key = key_of(&self.disks[from]);
            self.prove(to, delay, connection, key);
            let event = Event::Greeted(connection, hello);
            let server = to.clone();
            return self.schedule(delay, Happening::Event { server, life: peer_life, event });
        }
        if self.are_apart(from, to) {
            return;
        }
        if self.rng.u16(0..1_000) < self.faults.cut {
            self.suffer(Fault::Cut, format!("{from}-{to}"));
            return self.hang_up(from, to);
        }
        if self.happens(self.faults.loss, Fault::Lost) {
            return;
        }
        let repeated = self.happens(self.faults.duplication, Fault::Repeated);
        for _ in 0..1 + u8::from(repeated) {
            let slow = self.happens(self.faults.slow, Fault::Late);
            let delay = if slow { self.rng.u64(20..1_500) } else { self.rng.u64(1..20) };
            let event = Event::Received(connection, message.clone());
            let server = to.clone();
            self.schedule(delay, Happening::Event { server, life: peer_life, event });
        }
    }
}
