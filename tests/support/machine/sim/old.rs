//! Stores that their operators have given up: one may be alive and cut off, and come back when another
//! has come in its place; one may be an earlier copy, which a peer notices that saw the later state.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::bank::amount::Amount;
use crate::bank::asker::{Asker, Role};
use crate::bank::effects::{Bound, Event, Write};
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, ConnectionId, InstanceId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::paxos::message::{Hello, Message};
use crate::bank::request::{Instruction, Outcome, Reply, Request};
use crate::bank::server::Server;

use super::doors::key_of;
use super::queue::Happening;
use super::tally::{Fault, Mark};
use super::world::World;
use crate::machine::disk::Disk;

/// One that lives beside the store in its place.
struct OldStore {
    id: ServerId,
    server: Server,
    disk: Disk,
    /// It is an earlier copy, of the store as it was in this turn; this peer saw it in a later one.
    copy_of: Option<(u64, ServerId)>,
    /// From then on it tries to come back.
    returns_at: u64,
    /// To whom it has said hello.
    dialled: Option<(ConnectionId, ServerId)>,
    /// Who has welcomed it, and who has told it of its end, by their last words.
    friends: BTreeSet<ServerId>,
    accusers: BTreeSet<ServerId>,
    stopped: bool,
}

/// How far a server was when one welcomed it that lives since: which life, which store, which turn.
type Welcome = (u64, InstanceId, u64);

#[derive(Default)]
pub struct OldStores {
    all: Vec<OldStore>,
    copies: BTreeMap<ServerId, Disk>,
    /// Who said hello on a connection, as which store, in which turn.
    greetings: BTreeMap<ConnectionId, (ServerId, InstanceId, u64)>,
    /// By who welcomed, and who was welcomed.
    welcomed: BTreeMap<(ServerId, ServerId), Welcome>,
}

impl OldStores {
    pub fn who_dialled(&self, connection: ConnectionId) -> Option<usize> {
        let is_it = |of: &Option<(ConnectionId, ServerId)>| {
            of.as_ref().is_some_and(|(dialled, _)| *dialled == connection)
        };
        self.all.iter().position(|old| is_it(&old.dialled))
    }

    pub fn greets(&mut self, connection: ConnectionId, hello: &Hello) {
        let greeting = (hello.id.clone(), hello.instance, hello.standing.turn.0);
        self.greetings.insert(connection, greeting);
    }

    /// At the end all that could have noticed their end have done so. In a bank with keys, a store that no
    /// operator ever let in was told nothing; and one that doesn't know the others' new keys may have heard of
    /// its end from one server only, and so is in doubt, if nobody had welcomed it before. So is one that knows one
    /// member only: the others whom it knew were dismissed.
    pub fn assert_all_stopped(&self, keyed: bool, members: &BTreeMap<ServerId, InstanceId>) {
        let noticed = |old: &&OldStore| {
            let told_nothing = keyed && old.disk.chain.is_empty();
            // With keys, whoever rejoined can't be known to an old store.
            let tells = |(id, instance): &(&ServerId, &InstanceId)| match members.get(*id) {
                Some(now) => **id != old.id && (!keyed || now == *instance),
                None => false,
            };
            let few = old.disk.stored.derived.instances.iter().filter(tells).count() < 2;
            let waits = (keyed || few) && old.server.is_in_doubt();
            let is_deaf = keyed && few;
            old.stopped || told_nothing || is_deaf || waits
        };
        let goes_on = self.all.iter().find(|old| old.copy_of.is_none() && !noticed(old));
        let of = |old: &OldStore| {
            let OldStore { id, server, disk, friends, accusers, .. } = old;
            let (blocks, in_doubt) = (disk.chain.len(), server.is_in_doubt());
            format!(
                "an old store of {id} goes on, with {blocks} blocks; {accusers:?} spoke against it, {friends:?} didn't; in \
                 doubt: {in_doubt}"
            )
        };
        assert!(goes_on.is_none(), "{}", of(goes_on.unwrap()));
    }
}

impl World {
    /// A server welcomes another.
    pub fn notice_welcome(&mut self, by: &ServerId, connection: ConnectionId, answer: &Message) {
        let Some((id, instance, turn)) = self.old.greetings.remove(&connection) else { return };
        if matches!(answer, Message::Hello(_)) {
            let life = self.life(by);
            self.old.welcomed.insert((by.clone(), id), (life, instance, turn));
        }
    }

    /// Now and then somebody copies stores.
    pub fn copy_stores(&mut self) {
        if self.faults.lose > 0 && self.rng.u8(0..4) == 0 {
            // One that has yet to be named is refused without --rejoin, however old it is.
            let books = &self.judge.books;
            let of_use =
                |(id, disk): &(&ServerId, &Disk)| disk.stored.active && !books.is_learning(id);
            let copied = self.disks.iter().filter(of_use);
            self.old.copies = copied.map(|(id, disk)| (id.clone(), disk.clone())).collect();
        }
    }

    /// A store is given up. It may be none any more; or alive; or an earlier copy was put in its place.
    pub fn leave_behind(&mut self, id: &ServerId) {
        let copy = self.old.copies.remove(id);
        let lived = self.disks[id].clone();
        let (disk, copy_of) = match self.rng.u8(0..3) {
            0 => return,
            1 => (lived, None),
            _ => {
                let of_it = |copy: &Disk| copy.stored.instance == lived.stored.instance;
                let Some(copy) = copy.filter(of_it) else { return };
                let turn = copy.stored.turn.0;
                let Some(witness) = self.witness(id, &copy, turn) else { return };
                (copy, Some((turn, witness)))
            }
        };
        self.suffer(if copy_of.is_some() { Fault::StoreBack } else { Fault::StoreLeft }, id);
        let (life, mut disk) = (self.rng.u64(1..), disk);
        let server = disk.load(self.hosts[id].config.clone(), life);
        let away = if copy_of.is_some() { 0 } else { self.rng.u64(0..8_000) };
        let returns_at = self.now + away;
        let index = self.old.all.len();
        let (id, dialled) = (id.clone(), None);
        let (friends, accusers) = (BTreeSet::new(), BTreeSet::new());
        let stopped = false;
        let old =
            OldStore { id, server, disk, copy_of, returns_at, dialled, friends, accusers, stopped };
        self.old.all.push(old);
        self.schedule(1, Happening::Old(index));
    }

    /// One that lives since it saw the store in a later turn than the copy's.
    fn witness(&self, id: &ServerId, copy: &Disk, turn: u64) -> Option<ServerId> {
        let peers = self.hosts.keys().filter(|peer| *peer != id && self.is_up(peer));
        peers.into_iter().find(|peer| self.has_seen(peer, id, copy, turn)).cloned()
    }

    fn has_seen(&self, peer: &ServerId, id: &ServerId, copy: &Disk, turn: u64) -> bool {
        let welcome = self.old.welcomed.get(&(peer.clone(), id.clone()));
        welcome.is_some_and(|(life, instance, seen)| {
            *life == self.life(peer) && *instance == copy.stored.instance && *seen > turn
        })
    }

    pub fn old_store_acts(&mut self, index: usize) {
        let old = &self.old.all[index];
        if old.stopped {
            return;
        }
        let again = self.rng.u64(100..1_000);
        match old.copy_of.clone() {
            // If that one dies now, nobody has seen anything.
            Some((_, witness)) => return self.old_store_dials(index, witness),
            None if self.now < old.returns_at => self.old_store_pays(index),
            None => {
                let id = old.id.clone();
                let roll = self.roll();
                let peers = roll.members.keys().filter(|peer| **peer != id && self.is_up(peer));
                let peers: Vec<ServerId> = peers.cloned().collect();
                let peer =
                    (!peers.is_empty()).then(|| peers[self.rng.usize(..peers.len())].clone());
                if let Some(peer) = peer.filter(|peer| self.may_dial(index, peer)) {
                    self.old_store_dials(index, peer);
                }
            }
        }
        self.schedule(again, Happening::Old(index));
    }

    /// It is told of its end; or, as long as much goes wrong, is in the way of the store in its place.
    fn may_dial(&self, index: usize, peer: &ServerId) -> bool {
        let id = &self.old.all[index].id;
        let links = &self.hosts[id].links;
        self.knows_its_end(index, peer) || (self.faults.lose > 0 && !links.contains_key(peer))
    }

    fn knows_its_end(&self, index: usize, peer: &ServerId) -> bool {
        let OldStore { id, disk, .. } = &self.old.all[index];
        let blocks = self.disks[peer].chain.len();
        self.judge.books.knows_of_another(id, disk.stored.instance, blocks)
    }

    /// Whether the answerer knew it when it answered. In the same turn it may have learnt it since.
    fn knew_its_end(&self, index: usize, peer: &ServerId, answer: &Message) -> bool {
        let hello = match answer {
            Message::Hello(hello) => hello,
            Message::Reject { hello: Some(hello), .. } => hello,
            // A bank with keys tells a stranger nothing, and so does who hasn't heard of its admission, or of its rejoin.
            Message::Reject { hello: None, .. }
                if self.knew_no_member(peer, index) || self.knew_no_such_store(peer, index) =>
            {
                return false;
            }
            _ => panic!("{answer:?} tells a store that is not a server's any more too little"),
        };
        let OldStore { id, disk, .. } = &self.old.all[index];
        let blocks = hello.standing.height as usize + 1;
        self.judge.books.knows_of_another(id, disk.stored.instance, blocks)
    }

    /// Whether the blocks that the answerer had name no such store: to it, it is one that asks to rejoin, and in a bank
    /// with keys is told nothing before an operator has confirmed it. It may have appended one since, in the same turn.
    fn knew_no_such_store(&self, answerer: &ServerId, index: usize) -> bool {
        let instance = self.old.all[index].disk.stored.instance;
        let blocks = self.disks[answerer].chain.len() as u64;
        let named = self.judge.books.named.get(&instance);
        self.doors.keyed && named.is_some_and(|(_, height)| height + 1 >= blocks)
    }

    /// Whether the id was no member's, by the blocks that the answerer had. It may have appended one since, in
    /// the same turn.
    fn knew_no_member(&self, answerer: &ServerId, index: usize) -> bool {
        let below = (self.disks[answerer].chain.len() as u64).checked_sub(2);
        let roll = below.and_then(|below| self.judge.books.register.after(below));
        roll.is_none_or(|roll| !roll.members.contains_key(&self.old.all[index].id))
    }

    /// A client asks it for what it has, and knows no better.
    fn old_store_pays(&mut self, index: usize) {
        let id = &self.old.all[index].id;
        let to = self.hosts.keys().find(|other| *other != id).expect("there are others");
        let amount = Amount::new(1).expect("an amount");
        let action = Action::Transfer { from: AccountId::of(id), to: AccountId::of(to), amount };
        let request = Request::One(Instruction::plain(action));
        let connection = self.new_connection();
        if self.doors.keyed {
            let (key, role) = (Fingerprint::of(b"a person"), Some(Role::Operator));
            self.old_store_takes(index, Event::Proved(connection, Asker { key, role }));
        }
        self.old_store_takes(index, Event::Request(connection, None, request));
    }

    fn old_store_dials(&mut self, index: usize, peer: ServerId) {
        if self.doors.keyed {
            let key = key_of(&self.disks[&peer]);
            self.old_store_takes(index, Event::LinkProved(peer.clone(), key));
        }
        let hello = self.old_store_takes(index, Event::LinkUp(peer.clone()));
        let Some(hello) = hello else { return };
        let connection = self.new_connection();
        self.old.greets(connection, &hello);
        self.old.all[index].dialled = Some((connection, peer.clone()));
        let key = key_of(&self.old.all[index].disk);
        self.prove(&peer, 1, connection, key);
        self.deliver(&peer, 1, Event::Greeted(connection, hello));
    }

    /// Whoever knows better says so. Of one it may take that to be a mistake, if another has welcomed it;
    /// if none has, it does nothing before another has spoken. Of two it stops.
    pub fn old_store_is_answered(&mut self, index: usize, answer: Message) {
        let Some((connection, peer)) = self.old.all[index].dialled.take() else { return };
        let welcomed = matches!(answer, Message::Hello(_));
        let replaced = self.knew_its_end(index, &peer, &answer);
        let OldStore { id, disk, copy_of, .. } = &self.old.all[index];
        // Once that one has met the store in its place, it has forgotten the one before.
        let remembers = self.life(id) == 0;
        let seen_later = |(turn, _): &(u64, _)| self.has_seen(&peer, id, disk, *turn);
        let went_back = remembers && copy_of.as_ref().is_some_and(seen_later);
        self.notice_welcome(&peer, connection, &answer);
        let id = self.old.all[index].id.clone();
        self.old_store_takes(index, Event::LinkAnswered(peer.clone(), answer));
        let old = &mut self.old.all[index];
        if welcomed {
            old.accusers.remove(&peer);
            old.friends.insert(peer.clone());
        } else if replaced || went_back {
            old.friends.remove(&peer);
            old.accusers.insert(peer.clone());
        }
        let (stopped, in_doubt) = (old.stopped, old.server.is_in_doubt());
        let alone = !old.accusers.is_empty() && old.friends.is_empty();
        assert!(stopped || old.accusers.len() < 2, "two have told {id} of its end, and it goes on");
        assert!(
            stopped || in_doubt || !alone,
            "all that {id} has heard is its end, and it goes on"
        );
        if welcomed {
            self.deliver(&peer, 1, Event::Closed(connection));
            self.old_store_takes(index, Event::LinkDown(peer));
        } else if went_back {
            self.tally.mark_if(stopped || in_doubt, Mark::BackNoticed);
        } else {
            self.tally.mark_if(stopped, Mark::OldStopped);
        }
        if in_doubt && !stopped {
            self.old_store_pays(index);
        }
    }

    /// It takes in something, and what it tells itself. Nobody else hears it, but for its hello.
    fn old_store_takes(&mut self, index: usize, event: Event) -> Option<Hello> {
        let mut greets = None;
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let OldStore { id, server, disk, stopped, .. } = &mut self.old.all[index];
            let in_doubt = server.is_in_doubt();
            server.handle(event);
            let turn = server.end_turn();
            if let Some(stop) = turn.stop {
                *stopped = true;
                self.tell(|| format!("OLD STORE: {}", stop.reason));
                return None;
            }
            let receipt = disk.commit(turn.batch);
            for write in &receipt.batch().writes {
                match write {
                    Write::Log(_) if in_doubt => {
                        panic!("{id} pays, and one has told it of its end")
                    }
                    Write::Log(element) => self.judge.books.log_in_vain(id, element),
                    Write::Append { .. } => panic!("{id} is alone, and a block is chosen"),
                    Write::Promise(_) | Write::Accept { .. } | Write::Activate => {}
                }
            }
            for bound in turn.bound.release(&receipt) {
                match bound {
                    Bound::Own(message) => events.push_back(Event::Own(message)),
                    Bound::Peer(_, Message::Hello(hello)) => greets = Some(hello),
                    Bound::Reply(_, _, Reply::One(Outcome::Accepted { .. })) => {
                        self.tally.mark(Mark::OldPaid);
                    }
                    _ => {}
                }
            }
        }
        greets
    }
}
