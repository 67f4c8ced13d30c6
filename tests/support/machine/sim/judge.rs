//! Plain bookkeeping of what was asked, answered and done, outside the state machine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::bank::effects::{Batch, Write};
use crate::bank::ids::{
    AccountId, ClientName, ConnectionId, Naming, RequestId, ServerId, SessionId,
};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Entry, Via};
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::Message;
use crate::bank::request::{Instruction, Outcome, Request};

use super::arrival::Arrival;
use super::books::{Books, Name};
use super::former::Carried;
use super::tally::Mark;
use crate::machine::disk::Disk;

/// A connection, and a number of the client's.
pub type Call = (ConnectionId, u64);

/// What the outside has seen.
#[derive(Default)]
pub struct Judge {
    pub books: Books,
    /// What clients saw.
    accepted: HashMap<RequestId, Name>,
    rejected: BTreeSet<RequestId>,
    /// What came, and where to find a request that came to a life.
    pub arrivals: Vec<Arrival>,
    pub came: HashMap<(u64, RequestId), usize>,
    /// How often something came that counts.
    orders: usize,
    /// The newest connection on which a life heard of a session.
    newest: HashMap<(u64, Naming), ConnectionId>,
    /// What came and was not answered yet, by life.
    pub waiting: BTreeMap<u64, BTreeSet<usize>>,
    pub asked: HashMap<Call, Asked>,
    /// How much there was when a client asked to settle.
    pub settles: HashMap<Call, Vec<Name>>,
    /// How often something was asked without a session, less how often it was done.
    careless: HashMap<Action, usize>,
    /// The last that came of those that a life has paid from an account.
    last_paid: HashMap<(u64, AccountId), usize>,
    pub paid_in: HashMap<RequestId, u64>,
    /// In which life each ballot was prepared.
    prepared: HashMap<(u64, Ballot), u64>,
    /// How many runs that needed no block have brought an answer.
    pub blockless: usize,
    /// The servers forget much.
    pub forgetful: bool,
    pub resumed: BTreeSet<u64>,
    /// The lives in which a server has asked to be dismissed.
    pub has_left: BTreeSet<u64>,
    /// In which life each session was named.
    pub opened_in: HashMap<SessionId, u64>,
    /// Since when nothing goes wrong, nor shows that it did.
    pub calm: Option<u64>,
    /// The time.
    pub now: u64,
    /// Rare paths that the books show.
    pub marks: Vec<Mark>,
}

/// A request, as it came.
pub struct Asked {
    pub life: u64,
    /// Where the linked ones begin and end, and when each came first.
    pub groups: Vec<(Rc<Vec<Instruction>>, Vec<usize>)>,
    /// Those whose order is that of this request.
    pub ordered: Vec<usize>,
    /// On which connection each of its sessions was newest before.
    pub newest: Vec<((u64, Naming), Option<ConnectionId>)>,
}

/// What is linked, in the order of the request.
fn groups(instructions: &[Instruction]) -> impl Iterator<Item = &[Instruction]> {
    instructions.split_inclusive(|instruction| !instruction.linked)
}

impl Judge {
    pub fn new(
        opening: u64,
        servers: &[ServerId],
        carried: Option<&Carried>,
        forgetful: bool,
    ) -> Judge {
        let books = Books::new(opening, servers, carried);
        Judge { books, forgetful, ..Judge::default() }
    }

    /// A request reaches a server. Returns one that is covered and that nothing goes before.
    pub fn request(
        &mut self,
        server: &ServerId,
        life: u64,
        call: Call,
        request: &Request,
    ) -> Option<RequestId> {
        let instructions = match request {
            Request::One(instruction) => std::slice::from_ref(instruction),
            Request::Batch(instructions) => instructions.as_slice(),
            Request::Settle => {
                let held = self.books.in_no_block();
                self.settles.insert(call, held);
                return None;
            }
            _ => return None,
        };
        let sessions = instructions.iter().filter_map(|one| one.request.as_ref());
        let sessions = sessions.map(|request| (life, request.session.naming.clone()));
        let newest = sessions.map(|of| (of.clone(), self.newest.get(&of).copied())).collect();
        let mut asked = Vec::new();
        let mut at_once = None;
        let before = self.orders;
        for group in groups(instructions) {
            let group = Rc::new(group.to_vec());
            if instructions.len() == 1 && self.is_covered(server, life, &group[0]) {
                at_once = group[0].request.clone();
            }
            let arrivals: Vec<usize> =
                (0..group.len()).map(|place| self.arrive(life, call.0, &group, place)).collect();
            if arrivals.iter().any(|arrival| self.arrivals[*arrival].order.is_none()) {
                at_once = None;
            }
            asked.push((group, arrivals));
        }
        let is_new = |index: &usize| self.arrivals[*index].order > Some(before);
        let all = asked.iter().flat_map(|(_, arrivals)| arrivals.iter().copied());
        let ordered = all.filter(is_new).collect();
        self.asked.insert(call, Asked { life, groups: asked, ordered, newest });
        at_once
    }

    /// A session is opened by its name: what comes on an older connection from now on doesn't count.
    pub fn opens(&mut self, life: u64, connection: ConnectionId, name: &ClientName) {
        let session = (life, Naming::ByClient(name.clone()));
        let newest = self.newest.entry(session).or_insert(connection);
        *newest = connection.max(*newest);
    }

    /// A whole request was forbidden, such as on a connection whose end was told already, and with it the key
    /// that it had proved; or the server took no part: it is as if it had not come.
    pub fn unheard(&mut self, call: Call) {
        let Some(asked) = self.asked.remove(&call) else { return };
        for index in asked.ordered {
            self.settle_arrival(index);
            let arrival = &mut self.arrivals[index];
            (arrival.order, arrival.done) = (None, false);
        }
        for (session, before) in asked.newest {
            match before {
                _ if self.newest.get(&session) != Some(&call.0) => {}
                Some(before) => drop(self.newest.insert(session, before)),
                None => drop(self.newest.remove(&session)),
            }
        }
    }

    /// Whether this did not come on an older connection of its session.
    fn counts(&mut self, life: u64, connection: ConnectionId, asked: &Instruction) -> bool {
        let Some(request) = &asked.request else {
            *self.careless.entry(asked.action.clone()).or_default() += 1;
            return true;
        };
        let session = (life, request.session.naming.clone());
        let newest = self.newest.entry(session).or_insert(connection);
        *newest = connection.max(*newest);
        *newest == connection
    }

    fn arrive(
        &mut self,
        life: u64,
        connection: ConnectionId,
        group: &Rc<Vec<Instruction>>,
        place: usize,
    ) -> usize {
        let counts = self.counts(life, connection, &group[place]);
        let request = group[place].request.as_ref();
        let known = request.and_then(|r| self.came.get(&(life, r.clone())).copied());
        let index = known.unwrap_or(self.arrivals.len());
        if known.is_none() {
            self.arrivals.push(Arrival {
                life,
                at: self.now,
                moves: self.books.moves.len(),
                runs: self.runs(),
                clock: self.books.clock,
                height: self.books.register.height().saturating_sub(1),
                order: None,
                group: group.clone(),
                place,
                answer: None,
                done: false,
            });
            if let Some(request) = request {
                self.came.insert((life, request.clone()), index);
            }
        }
        let arrival = &mut self.arrivals[index];
        if counts && arrival.order.is_some() && arrival.answer.is_none() && !arrival.done {
            self.marks.push(Mark::Joined);
        }
        if counts && arrival.order.is_none() {
            // What came before, perhaps in other company, was dropped.
            (arrival.group, arrival.place) = (group.clone(), place);
            self.orders += 1;
            arrival.order = Some(self.orders);
            self.waiting.entry(life).or_default().insert(index);
        }
        index
    }

    /// An instruction has its outcome.
    pub fn settle_arrival(&mut self, index: usize) {
        let arrival = &mut self.arrivals[index];
        arrival.done = true;
        if let Some(waiting) = self.waiting.get_mut(&arrival.life) {
            waiting.remove(&index);
        }
    }

    /// Looks at a batch that became durable.
    pub fn durable(
        &mut self,
        server: &ServerId,
        life: u64,
        batch: &Batch,
        disks: &BTreeMap<ServerId, Disk>,
    ) {
        self.books.clock += 1;
        let by_block = batch.writes.iter().any(|write| matches!(write, Write::Append { .. }));
        for write in &batch.writes {
            let votes = matches!(write, Write::Promise(_) | Write::Accept { .. });
            let learns = votes && self.books.is_learning(server);
            assert!(!learns, "{server} votes before the chain names its store");
            if votes {
                self.books.assert_takes_part(server, disks[server].stored.instance);
            }
            match write {
                Write::Log(element) => {
                    self.books.assert_takes_part(server, disks[server].stored.instance);
                    self.logged(server, life, element, by_block);
                }
                Write::Append { block, .. } => self.books.append(server, block),
                Write::Accept { ballot, block } => self.books.accept(server, ballot, block),
                Write::Activate => {
                    let has = |(id, disk): (_, &Disk)| {
                        !disk.chain.is_empty() || self.books.is_learning(id)
                    };
                    assert!(disks.iter().all(has), "open, though not every server has block 0");
                    let height = self.books.tops.get(server).copied().unwrap_or_default();
                    let is_complete = height >= self.books.openings;
                    assert!(is_complete, "{server} is open, and lacks opening blocks");
                }
                Write::Promise(_) => {}
            }
        }
    }

    fn logged(&mut self, server: &ServerId, life: u64, element: &Element, by_block: bool) {
        let entries = self.books.log(server, element);
        let mut rest = entries.as_slice();
        while let Some(first) = rest.first() {
            if self.books.is_of_its_own(first) {
                if self.books.leaving.contains_key(server) {
                    self.has_left.insert(life);
                }
                rest = &rest[1..];
                continue;
            }
            let Some(request) = &first.record.request else {
                let asked = self.careless.get_mut(&first.record.action);
                let asked = asked.filter(|count| **count > 0);
                *asked.unwrap_or_else(|| panic!("nobody asked for {first:?}")) -= 1;
                rest = &rest[1..];
                continue;
            };
            let index = self.came.get(&(life, request.clone())).copied();
            let index = index.unwrap_or_else(|| panic!("{request} never came"));
            let (group, place) = (self.arrivals[index].group.clone(), self.arrivals[index].place);
            assert_eq!(place, 0, "{request} happens without what it is linked to");
            assert!(group.len() <= rest.len(), "{request} happens without what is linked to it");
            for (instruction, entry) in group.iter().zip(rest) {
                self.as_asked(server, life, instruction, entry);
            }
            self.mark_logged(index, &rest[..group.len()], by_block);
            rest = &rest[group.len()..];
        }
    }

    /// An entry is what was asked for, and an account's transfers take effect in the order in which
    /// they came, but for those that may wait for money.
    fn as_asked(&mut self, server: &ServerId, life: u64, asked: &Instruction, entry: &Entry) {
        let (request, record) = (asked.request.as_ref().expect("a session's"), &entry.record);
        assert_eq!(record.request.as_ref(), Some(request), "what is linked stands together");
        assert_eq!((&record.action, record.linked), (&asked.action, asked.linked), "as asked");
        assert!(!self.rejected.contains(request), "{request} was rejected, and happens");
        let index = self.came[&(life, request.clone())];
        self.settle_arrival(index);
        let arrival = &self.arrivals[index];
        if let Some(answer) = &arrival.answer {
            let may = matches!(answer, Outcome::Accepted { .. } | Outcome::Expired { .. });
            assert!(may, "{request} was answered by {answer:?}, and happens");
        }
        self.paid_in.insert(request.clone(), life);
        assert_eq!(entry.server, *server);
        if self.has_left.contains(&life) {
            // What came while it was to be dismissed was refused, and comes again.
            return;
        }
        let order = arrival.order;
        let order = order.unwrap_or_else(|| panic!("{request} came only on an older connection"));
        if let Some(payer) = asked.action.payer().filter(|_| arrival.patient_until().is_none()) {
            let before = self.last_paid.insert((life, payer.clone()), order);
            assert!(before < Some(order), "{request} overtook what had come before it");
        }
    }

    fn mark_logged(&mut self, index: usize, entries: &[Entry], by_block: bool) {
        let waited = entries[0].record.via == Via::Paxos;
        let patient = self.arrivals[index].patient_until().is_some();
        let mut mark_if = |condition: bool, mark| {
            if condition {
                self.marks.push(mark);
            }
        };
        mark_if(waited && entries.len() > 1, Mark::LinkedWaited);
        mark_if(waited && patient && by_block, Mark::PatientByBlock);
        mark_if(waited && patient && !by_block, Mark::PatientByCredit);
        let arrived = self.arrivals[index].clock;
        for entry in entries {
            let to = entry.record.action.payee().filter(|to| to.home() != entry.server.as_str());
            let found = to.is_some_and(|to| {
                let known = self.books.in_chain_of.get(&(to.clone(), entry.server.clone()));
                known.is_some_and(|known| *known > arrived)
            });
            mark_if(found, Mark::PayeeFound);
        }
    }

    /// Looks at a message that leaves before its turn is durable.
    pub fn free(&mut self, life: u64, message: &Message) {
        if let Message::Prepare { height, ballot, .. } = message {
            let first = *self.prepared.entry((*height, ballot.clone())).or_insert(life);
            assert_eq!(first, life, "{ballot} was used before");
        }
    }

    /// Looks at an outcome that a client saw.
    pub fn outcome(&mut self, request: &RequestId, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted { server, epoch, seq, .. } => {
                let name = (server.clone(), *epoch, *seq);
                let first = self.accepted.entry(request.clone()).or_insert_with(|| name.clone());
                if request.session.is_named() && self.books.lost.contains(first) {
                    *first = name.clone();
                }
                assert_eq!(*first, name, "a retry has the first outcome");
                assert!(!self.rejected.contains(request), "{request} was rejected before");
            }
            Outcome::Expired { .. } => {}
            _ => {
                let before = self.accepted.get(request);
                let lost = before.is_none_or(|name| self.books.lost.contains(name));
                assert!(lost, "{request} was accepted before, then {outcome:?}");
                self.rejected.insert(request.clone());
            }
        }
    }

    /// At the end, everything healed and settled: judges the chain that all have.
    pub fn finish(&self, disks: &BTreeMap<ServerId, Disk>) {
        let roll = self.books.register.latest();
        let members = || disks.iter().filter(|(id, _)| roll.members.contains_key(*id));
        let heights: BTreeSet<usize> = members().map(|(_, disk)| disk.chain.len()).collect();
        assert_eq!(heights.len(), 1, "all chains are equally long");
        for (_, disk) in members() {
            assert!(disk.stored.log.is_empty(), "settled logs are empty");
        }
        self.books.assert_all_in_chain();
        for (request, name) in &self.accepted {
            let lost = !self.books.in_block.contains_key(name);
            let with_store = self.books.lost.contains(name);
            assert!(!lost || with_store, "{request} was accepted as {name:?} and is lost");
        }
    }
}
