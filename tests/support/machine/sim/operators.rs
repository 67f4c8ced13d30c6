//! Operators change the members while all else happens: servers are admitted, dismissed, moved, get a vote and
//! lose it.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::address::Address;
use crate::bank::amount::Amount;
use crate::bank::effects::Event;
use crate::bank::ids::{ConnectionId, InstanceId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::paxos::message::Configuration;
use crate::bank::request::{Order, Request};
use crate::bank::server::{Config, Server};

use super::clients::Client;
use super::doors::key_of;
use super::orders::Habits;
use super::queue::Happening;
use super::register::{MOST_VOTERS, Roll};
use super::tally::Mark;
use super::world::{Host, World};
use crate::machine::disk::Disk;

/// An order that was given is in a log after so long, if it ever is.
const SOON: u64 = 4_000;

/// How members are changed in one world.
#[derive(Clone, Copy)]
pub struct Changes {
    /// So many servers may come to those that founded the bank.
    pub more: usize,
    /// Fewer members there never are.
    pub least: usize,
}

/// An admission that was ordered.
struct Joining {
    at: Address,
    branch: bool,
}

#[derive(Default)]
pub struct Operators {
    changes: Option<Changes>,
    /// The servers that were never started yet.
    reserve: Vec<ServerId>,
    joining: BTreeMap<ServerId, Joining>,
    /// How often each that is to leave has tried.
    pub leaving: BTreeMap<ServerId, u8>,
    /// The servers that were dismissed and stopped.
    pub gone: BTreeSet<ServerId>,
    /// When a voter was last ordered to vote no more.
    pub reduced_at: Option<u64>,
    ports: u16,
    opening: u64,
    habits: Option<Habits>,
    pub founders: Vec<ServerId>,
}

impl Operators {
    pub fn new(
        changes: Option<Changes>,
        founders: &[ServerId],
        opening: u64,
        habits: Habits,
    ) -> Operators {
        let more = changes.map_or(0, |changes| changes.more);
        let id = |place: usize| char::from(b'A' + place as u8).to_string().parse().unwrap();
        Operators {
            changes,
            reserve: (founders.len()..founders.len() + more).rev().map(id).collect(),
            ports: 7_100,
            opening,
            habits: Some(habits),
            founders: founders.to_vec(),
            ..Operators::default()
        }
    }

    fn address(&mut self) -> Address {
        self.ports += 1;
        format!("host:{}", self.ports).parse().unwrap()
    }
}

/// Whether a server's log says that it is to be dismissed.
pub fn asks_to_leave(disk: &Disk) -> bool {
    let records = disk.stored.log.iter().flat_map(|element| element.records());
    records.into_iter().any(|record| match &record.action {
        Action::Member(change) => matches!(**change, MemberChange::Dismiss { .. }),
        _ => false,
    })
}

impl World {
    /// Who takes part by the chain that anybody has.
    pub fn roll(&self) -> Roll {
        self.judge.books.register.latest()
    }

    /// Whether a member may be dismissed soon.
    pub fn may_leave(&self, id: &ServerId) -> bool {
        self.operators.leaving.contains_key(id) || self.judge.books.leaving.contains_key(id)
    }

    /// Whether a member waits for the chain to name its store, by the chain that it has itself.
    fn is_new(&self, id: &ServerId) -> bool {
        self.judge.books.is_learning(id)
    }

    /// Whether a member's store is lost and the chain names the new one in no block yet.
    pub fn is_rejoining(&self, id: &ServerId, roll: &Roll) -> bool {
        let new = self.judge.books.learning.get(id);
        new.is_some_and(|new| roll.members.get(id).is_some_and(|named| named != new))
    }

    /// Whether a server waits for the chain to name its store.
    pub fn somebody_rejoins(&self) -> bool {
        let waits = |server: &Server| {
            server.status().not_serving.is_some_and(|why| why.contains("rejoins: it serves when"))
        };
        self.hosts.values().filter_map(|host| host.server.as_ref()).any(waits)
    }

    /// Whether a member's store may be lost: the others can let another one in, whatever was ordered. They decide on
    /// the block after the last one that one of them holds, and nobody else may hold the latest.
    pub fn others_decide(&self, id: &ServerId) -> bool {
        let others = self.disks.iter().filter(|(other, _)| *other != id);
        let top = others.filter_map(|(_, disk)| (disk.chain.len() as u64).checked_sub(1)).max();
        let known = top.and_then(|top| self.judge.books.register.after(top));
        let decide = |roll: &Roll| {
            let voters: Vec<&ServerId> = roll.voters().collect();
            let there = |voter: &&&ServerId| **voter != id && !self.is_new(voter);
            2 * voters.iter().filter(there).count() > voters.len()
        };
        let roll = self.roll();
        let soon = self.operators.reduced_at.is_some_and(|at| self.now < at + SOON);
        let pending = soon || !self.judge.books.changes.is_empty();
        let decided = decide(&roll) && known.is_none_or(decide);
        roll.members.contains_key(id) && decided && !pending
    }

    /// From now on nothing more is changed; who was to be admitted still is.
    pub fn rest_operators(&mut self) {
        self.doors.rest = true;
        for id in std::mem::take(&mut self.operators.leaving).into_keys() {
            self.tell(|| format!("{id} ── STAYS"));
        }
        if let Some(changes) = &mut self.operators.changes {
            changes.more = 0;
            changes.least = usize::MAX;
        }
    }

    /// Operators look after what was ordered, and order something else.
    pub fn look_at_members(&mut self) {
        let Some(changes) = self.operators.changes else { return };
        let roll = self.roll();
        let (done, open): (Vec<ServerId>, Vec<ServerId>) =
            self.operators.joining.keys().cloned().partition(|id| roll.members.contains_key(id));
        for id in done {
            self.operators.joining.remove(&id);
            if changes.least < usize::MAX {
                self.revive_clients(&id);
            }
        }
        for id in open {
            self.order_admission(&id);
        }
        if roll.members.is_empty() {
            return;
        }
        if changes.least == usize::MAX {
            // Nobody waits for a server that is no member any more, and perhaps hasn't heard so from enough others.
            let gone = |client: &&mut Client| !roll.members.contains_key(client.home());
            self.clients.iter_mut().filter(gone).for_each(Client::retire);
            return self.start_the_lost(&roll);
        }
        match self.rng.u8(0..12) {
            0..4 => self.begin_to_join(changes, &roll),
            4..7 => self.begin_to_leave(changes, &roll),
            7..10 => self.change_a_vote(&roll),
            10 => self.move_one(&roll),
            _ => {}
        }
    }

    /// Who knows no member any more, and isn't known to be ahead, is started again, and told of one.
    fn start_the_lost(&mut self, roll: &Roll) {
        let height = self.judge.books.register.height();
        let knows_a_member = |id: &ServerId, host: &Host| {
            host.links.keys().any(|peer| peer != id && roll.members.contains_key(peer))
        };
        let is_lost = |(id, host): &(&ServerId, &Host)| {
            let behind = self.disks[*id].chain.len() as u64 <= height;
            host.server.is_some()
                && roll.members.contains_key(*id)
                && behind
                && roll.members.len() > 1
                && !knows_a_member(id, host)
        };
        let lost: Vec<ServerId> =
            self.hosts.iter().filter(is_lost).map(|(id, _)| id.clone()).collect();
        for id in lost {
            self.tell(|| format!("{id} ── KNOWS NOBODY"));
            self.cut_off(&id);
            self.schedule(10, Happening::Start(id));
        }
    }

    pub fn any<'a>(&mut self, from: impl Iterator<Item = &'a ServerId>) -> Option<ServerId> {
        let all: Vec<&ServerId> = from.collect();
        (!all.is_empty()).then(|| all[self.rng.usize(..all.len())].clone())
    }

    /// Whether a voter may go: no majority depends on a store that has to be let in first.
    pub fn may_reduce(&self, roll: &Roll) -> bool {
        !roll.voters().any(|voter| self.is_new(voter))
    }

    /// Gives a member an order, at once, if it listens.
    pub fn order(&mut self, at: &ServerId, order: Order) {
        let host = &self.hosts[at];
        if host.life == 0 || host.paused_until > self.now {
            return;
        }
        let (life, connection) = (host.life, self.new_connection());
        self.tell(|| format!("{at} ── IS ORDERED {order:?}"));
        self.judge.books.ordered.push(order.clone());
        self.operator_says(at, life, connection, Request::Members(order));
    }

    pub fn operator_says(
        &mut self,
        at: &ServerId,
        life: u64,
        connection: ConnectionId,
        said: Request,
    ) {
        self.prove_operator(at, connection);
        let number = Some((1 << 32) + self.count());
        // After the key, which comes as an event of its own.
        let event = Event::Request(connection, number, said);
        match self.doors.keyed {
            true => self.deliver(at, 0, event),
            false => self.event(at, life, event),
        }
    }

    fn order_admission(&mut self, id: &ServerId) {
        let roll = self.roll();
        let Some(by) = self.any(roll.members.keys()) else { return };
        if let Some(joining) = self.operators.joining.get_mut(id) {
            joining.branch |= roll.voters().count() >= MOST_VOTERS;
        }
        let Joining { at, branch } = &self.operators.joining[id];
        let key = self.doors.keyed.then(|| key_of(&self.disks[id]));
        let order = Order::Admit { server: id.clone(), at: at.clone(), key, branch: *branch };
        self.order(&by, order);
    }

    fn begin_to_join(&mut self, changes: Changes, roll: &Roll) {
        let most = self.operators.founders.len() + changes.more;
        if roll.members.len() + self.operators.joining.len() >= most {
            return;
        }
        let again = self.rng.bool();
        let gone = self.operators.gone.iter().next().cloned().filter(|_| again);
        let id = match gone {
            Some(id) => id,
            None => match self.operators.reserve.pop().or_else(|| {
                let back = self.operators.gone.iter().next();
                back.cloned()
            }) {
                Some(id) => id,
                None => return,
            },
        };
        let Some(by) = self.any(roll.members.keys()) else { return };
        let back = self.operators.gone.remove(&id);
        if self.hosts.contains_key(&id) {
            self.cut_off(&id);
        }
        self.tally.mark_if(back, Mark::ComesBack);
        let joining = Joining { at: self.operators.address(), branch: self.rng.u8(0..3) == 0 };
        self.tell(|| format!("{id} ── IS TO JOIN, BY {by}"));
        self.make_joiner(&id, &by, &joining.at);
        self.operators.joining.insert(id.clone(), joining);
        self.schedule(1, Happening::Start(id.clone()));
        self.order_admission(&id);
    }

    /// Whoever starts a server that was not of the founding, or came back, names a member that is one still.
    pub fn name_a_member(&mut self, id: &ServerId) {
        if self.operators.changes.is_none() {
            return;
        }
        let roll = self.roll();
        let Some(by) = self.any(roll.members.keys().filter(|member| *member != id)) else { return };
        let config = &mut self.hosts.get_mut(id).unwrap().config;
        if config.join {
            config.addresses.retain(|known, _| known == id);
        }
        config.addresses.entry(by).or_insert_with(|| "host:7000".to_owned());
    }

    /// Gives a server an empty store, and tells it one member.
    fn make_joiner(&mut self, id: &ServerId, by: &ServerId, at: &Address) {
        let model = &self.hosts[by].config;
        let opening = Amount::new(self.operators.opening).expect("an amount");
        let servers = Vec::new();
        let addresses = [by, id].map(|id| (id.clone(), at.to_string()));
        let config = Config {
            id: id.clone(),
            configuration: Configuration { servers, opening_balance: opening, issuing: false },
            addresses: addresses.into_iter().collect(),
            rejoin: false,
            join: true,
            ..model.clone()
        };
        let instance = self.rng.u64(..);
        let Disk { tail, shelf, .. } = &self.disks[by];
        let shelf = shelf.as_ref().map(|shelf| shelf.anew(false));
        let disk = Disk { tail: *tail, shelf, ..Disk::empty(instance) };
        self.disks.insert(id.clone(), disk);
        self.hosts.insert(id.clone(), Host::new(config));
        self.judge.books.lose(id, InstanceId(instance));
    }

    fn revive_clients(&mut self, id: &ServerId) {
        let Some(habits) = self.operators.habits else { return };
        let all: Vec<ServerId> = self.hosts.keys().cloned().collect();
        for client in &mut self.clients {
            client.hear_of(&all);
        }
        let known = self.clients.iter().position(|client| client.is_at(id));
        let client = match known {
            Some(client) => client,
            None => {
                let number = self.clients.len();
                self.clients.push(Client::new(number, id.clone(), all, habits));
                number
            }
        };
        self.clients[client].revive(16);
        self.wake_client(client, 1);
    }

    fn change_a_vote(&mut self, roll: &Roll) {
        let Some(id) = self.any(roll.members.keys()) else { return };
        let Some(by) = self.any(roll.members.keys()) else { return };
        // Nobody gives a vote to a server that has just died with its store: it would be missed for ever. The server that is
        // asked may not have heard of it yet.
        let is_lost =
            self.disks.get(&id).map(|disk| disk.stored.instance) != roll.members.get(&id).copied();
        let change = match roll.votes(&id) {
            false if is_lost => return,
            false => MemberChange::Promote { server: id },
            true if !self.may_reduce(roll) => return,
            true => {
                self.operators.reduced_at = Some(self.now);
                MemberChange::Demote { server: id }
            }
        };
        self.order(&by, Order::Change(change));
    }

    fn move_one(&mut self, roll: &Roll) {
        let Some(server) = self.any(roll.members.keys()) else { return };
        let Some(by) = self.any(roll.members.keys()) else { return };
        let new = self.rng.u8(0..4) > 0;
        let known = roll.addresses.values().next().cloned().filter(|_| !new);
        let at = known.unwrap_or_else(|| self.operators.address());
        self.order(&by, Order::Change(MemberChange::Move { server, at }));
    }
}
