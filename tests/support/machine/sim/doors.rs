//! A bank with keys: each store has its own, and everybody proves one where it connects. An operator confirms
//! whoever rejoins, and an impostor says what members say, without a member's key.

use std::collections::BTreeSet;

use crate::bank::asker::{Asker, Role};
use crate::bank::effects::Event;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, ServerId};
use crate::bank::paxos::message::Message;
use crate::bank::request::Request;

use super::queue::Happening;
use super::tally::{Fault, Mark};
use super::world::{Host, World};
use crate::machine::disk::Disk;

#[derive(Default)]
pub struct Doors {
    pub keyed: bool,
    /// The connections of impostors. Nobody may welcome them.
    impostors: BTreeSet<ConnectionId>,
    /// From now on an operator reads what servers log of keys.
    pub rest: bool,
}

impl Doors {
    pub fn new(keyed: bool) -> Doors {
        Doors { keyed, ..Doors::default() }
    }
}

/// The key that was made with a store.
pub fn key_of(disk: &Disk) -> Fingerprint {
    Fingerprint::of(&disk.stored.instance.0.to_be_bytes())
}

impl World {
    /// A server is started with its store's key, and is told the others' keys.
    pub fn hand_key(&mut self, id: &ServerId) {
        let key = self.doors.keyed.then(|| key_of(&self.disks[id]));
        let comes_later = self.hosts[id].config.join || self.hosts[id].config.rejoin;
        let is_known = |other: &ServerId| comes_later || self.judge.books.is_founder(other);
        let others = self.disks.iter().filter(|(other, _)| self.doors.keyed && *other != id);
        let others = others.filter(|(other, _)| is_known(other));
        let expect = others.map(|(other, disk)| (other.clone(), key_of(disk))).collect();
        let config = &mut self.hosts.get_mut(id).unwrap().config;
        (config.key, config.keys, config.expect) = (key, key.is_some(), expect);
    }

    /// A connection proves a key, before anything else comes on it.
    pub fn prove(&mut self, to: &ServerId, delay: u64, connection: ConnectionId, key: Fingerprint) {
        if self.doors.keyed {
            let asker = Asker { key, role: None };
            self.deliver(to, delay, Event::Proved(connection, asker));
        }
    }

    /// All clients of the bank are operators' here: who may do what is not what chance finds out.
    pub fn prove_operator(&mut self, to: &ServerId, connection: ConnectionId) {
        let (key, role) = (Fingerprint::of(b"a person"), Some(Role::Operator));
        if self.doors.keyed {
            self.deliver(to, 0, Event::Proved(connection, Asker { key, role }));
        }
    }

    /// The other end of a link proves its key.
    pub fn prove_link(&mut self, from: &ServerId, to: &ServerId) {
        if self.doors.keyed {
            let key = key_of(&self.disks[to]);
            self.deliver(from, 0, Event::LinkProved(to.clone(), key));
        }
    }

    /// Operators look after those that rejoin, and impostors try.
    pub fn look_at_doors(&mut self) {
        if !self.doors.keyed {
            return;
        }
        if self.doors.rest {
            self.tell_new_keys();
        }
        let ids: Vec<ServerId> = self.hosts.keys().cloned().collect();
        let roll = self.roll();
        for id in &ids {
            if self.is_rejoining(id, &roll) {
                let others: Vec<&ServerId> = roll.members.keys().filter(|m| *m != id).collect();
                let at = others[self.rng.usize(..others.len())].clone();
                let connection = self.new_connection();
                self.prove_operator(&at, connection);
                let confirmed = Some((id.clone(), key_of(&self.disks[id])));
                let nobody = Some((1 << 32) + self.count());
                self.deliver(
                    &at,
                    1,
                    Event::Request(connection, nobody, Request::Rejoin(confirmed)),
                );
                self.tally.mark(Mark::Confirmed);
            }
        }
        let [from, to] = [(); 2].map(|()| ids[self.rng.usize(..ids.len())].clone());
        // Who learns the chain, and was told no key of a server that came later, can't tell who speaks for it.
        let told = self.hosts[&to].config.expect.contains_key(&from);
        let can_tell = told || !self.judge.books.is_learning(&to);
        if from != to && self.is_up(&to) && can_tell {
            self.impersonate(&from, &to);
        }
    }

    /// Who learns the chain, and was told a key that its owner has lost since, says so in its log; its operator starts it
    /// again, with the keys of now.
    fn tell_new_keys(&mut self) {
        let roll = self.roll();
        let was_told_old = |(id, host): &(&ServerId, &Host)| {
            let old = |(of, key): (&ServerId, &Fingerprint)| {
                roll.members.contains_key(of) && *key != key_of(&self.disks[of])
            };
            host.server.is_some()
                && self.judge.books.is_learning(id)
                && host.config.expect.iter().any(old)
        };
        let told_old = self.hosts.iter().filter(was_told_old);
        let told_old: Vec<ServerId> = told_old.map(|(id, _)| id.clone()).collect();
        for id in told_old {
            self.tell(|| format!("{id} ── IS TOLD THE KEYS OF NOW"));
            self.cut_off(&id);
            self.schedule(10, Happening::Start(id));
        }
    }

    /// Somebody repeats a server's last hello, with a key of its own or none, and then what it once said.
    fn impersonate(&mut self, from: &ServerId, to: &ServerId) {
        let Some(hello) = self.hellos.get(&(from.clone(), to.clone())).cloned() else { return };
        self.suffer(Fault::Impostor, from);
        let connection = self.new_connection();
        self.doors.impostors.insert(connection);
        if self.rng.bool() {
            self.prove(to, 1, connection, Fingerprint::of(b"an impostor"));
        }
        let standing = hello.standing.clone();
        self.deliver(to, 1, Event::Greeted(connection, hello));
        self.deliver(to, 1, Event::Received(connection, Message::Heartbeat(standing)));
        self.deliver(to, 2_000, Event::Closed(connection));
    }

    /// Notes an answer to a hello. True if an impostor said it.
    pub fn is_impostor_answered(&mut self, connection: ConnectionId, answer: &Message) -> bool {
        let is_impostor = self.doors.impostors.contains(&connection);
        let founded = |answer: &Message| matches!(answer, Message::Reject { hello: None, .. });
        assert!(!is_impostor || founded(answer), "an impostor is told {answer:?}");
        is_impostor
    }
}
