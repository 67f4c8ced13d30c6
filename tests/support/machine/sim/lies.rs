//! One server lies, always the same one: with what it says a process cannot be ended that is alone with
//! nobody else against it.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::asker::Asker;
use crate::bank::effects::Event;
use crate::bank::ids::{InstanceId, LifeId, ServerId, TurnNumber};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::{Hello, Message, Sighting};

use super::doors::key_of;
use super::tally::{Fault, Mark};
use super::world::World;

impl World {
    /// Now and then the last of the founders lies to another, as long as it is a member.
    pub fn lie(&mut self) {
        if self.rng.u8(0..100) >= self.faults.lie {
            return;
        }
        let liar = self.operators.founders.last().expect("there are servers").clone();
        let mut members = self.roll().members;
        let others: Vec<ServerId> = match members.remove(&liar) {
            Some(_) if members.len() > 1 => members.into_keys().collect(),
            _ => return,
        };
        let to = others[self.rng.usize(..others.len())].clone();
        if !self.is_up(&to) {
            return;
        }
        match self.rng.bool() {
            true => self.lie_of_store(&liar, &to),
            false => self.lie_of_round(&liar, &to),
        }
    }

    /// It greets as one that has seen the other's store further than it ever was; perhaps as another's.
    fn lie_of_store(&mut self, liar: &ServerId, to: &ServerId) {
        let Some(hello) = self.hellos.get(&(liar.clone(), to.clone())).cloned() else { return };
        self.suffer(Fault::LieOfStore, to);
        let instance = self.disks[to].stored.instance;
        let seen = Sighting {
            instance,
            life: LifeId(self.rng.u64(1..)),
            turn: TurnNumber(u64::MAX),
            position: Position { epoch: 1 << 20, seq: 1 },
        };
        let another = self.rng.bool().then(|| InstanceId(self.rng.u64(..)));
        let knows_you_as = another.or(hello.knows_you_as);
        let lie = Hello { saw_you_at: Some(seen), knows_you_as, ..hello };
        let (connection, life) = (self.new_connection(), self.life(to));
        let was_in_doubt = self.is_in_doubt(to);
        if self.doors.keyed {
            let asker = Asker { key: key_of(&self.disks[liar]), role: None };
            self.event(to, life, Event::Proved(connection, asker));
        }
        self.event(to, life, Event::Greeted(connection, lie));
        if self.life(to) == life {
            let in_doubt = self.is_in_doubt(to);
            self.tally.mark_if(in_doubt && !was_in_doubt, Mark::Doubted);
            self.tally.mark_if(!in_doubt, Mark::Slandered);
        }
    }

    /// It asks for a promise after which there would be no round left for anybody else.
    fn lie_of_round(&mut self, liar: &ServerId, to: &ServerId) {
        let Some((connection, life)) = self.hosts[liar].links.get(to).copied() else { return };
        let Some(head) = self.disks[to].chain.last() else { return };
        let (height, previous) = (head.height() + 1, head.hash());
        let (server, of_liar) = (liar.clone(), LifeId(self.life(liar)));
        let ballot = Ballot { round: Ballot::MAX_ROUND, server, life: of_liar };
        self.suffer(Fault::LieOfRound, to);
        let (known, asks) = (BTreeMap::new(), BTreeSet::new());
        let prepare = Message::Prepare { height, ballot, previous, known, asks };
        self.event(to, life, Event::Received(connection, prepare));
    }

    fn is_in_doubt(&self, id: &ServerId) -> bool {
        self.hosts[id].server.as_ref().is_some_and(|server| server.is_in_doubt())
    }
}
