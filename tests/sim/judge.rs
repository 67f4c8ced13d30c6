//! Plain bookkeeping of what was promised to whom, outside the state machine.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::blockchain::block::BlockHash;
use crate::bank::effects::{Batch, Write};
use crate::bank::ids::{AccountId, ConnectionId, RequestId, ServerId, SessionId};
use crate::bank::ledger::entry::Entry;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::paxos::message::Message;
use crate::bank::request::{Outcome, Reply, Request, TransferRequest};

use crate::disk::Disk;

/// (server, epoch, seq)
type Name = (ServerId, u64, u64);

fn name(entry: &Entry) -> Name {
    (entry.server.clone(), entry.epoch, entry.seq)
}

/// What the outside has seen.
#[derive(Default)]
pub struct Judge {
    heights: BTreeMap<u64, BlockHash>,
    in_block: BTreeMap<Name, u64>,
    /// Every entry that was ever durable, as it was.
    logged: BTreeMap<Name, Entry>,
    pub accepted: BTreeMap<RequestId, Name>,
    rejected: BTreeSet<RequestId>,
    opening: u64,
    servers: BTreeSet<ServerId>,
    /// Every entry that was ever durable, in the order in which it came to be: who logged and paid
    /// it, who got how much.
    moves: Vec<(ServerId, AccountId, u64)>,
    /// What came to each life.
    came: BTreeMap<(u64, RequestId), Arrival>,
    /// The newest connection on which a life heard of a session.
    newest: BTreeMap<(u64, SessionId), ConnectionId>,
    /// How often something came that counts.
    orders: usize,
    /// The last of those that came to a life that it paid, and in which life a request was paid.
    paid: BTreeMap<u64, usize>,
    paid_in: BTreeMap<RequestId, u64>,
    asked: BTreeMap<(ConnectionId, u64), (u64, Vec<TransferRequest>)>,
    /// In which life each ballot was prepared.
    prepared: BTreeMap<(u64, Ballot), u64>,
    /// Nothing has gone wrong for a while.
    pub calm: bool,
}

/// How a transfer first came to a life of its server.
struct Arrival {
    /// How many entries there were.
    moves: usize,
    /// Counts those that came, but for what came on an older connection of its session.
    order: Option<usize>,
    answered: bool,
}

impl Judge {
    pub fn new(opening: u64, servers: &[ServerId]) -> Judge {
        Judge { opening, servers: servers.iter().cloned().collect(), ..Judge::default() }
    }

    /// A request reaches a server. Says whether it joins a transfer of it that waits there.
    pub fn request(&mut self, life: u64, call: (ConnectionId, u64), request: &Request) -> bool {
        let mut joins = false;
        let connection = call.0;
        let transfers = match request {
            Request::Transfer(transfer) => vec![transfer.clone()],
            Request::Transfers(transfers) => transfers.clone(),
            _ => return false,
        };
        for request in transfers.iter().filter_map(|transfer| transfer.request.clone()) {
            let newest = self.newest.entry((life, request.session.clone())).or_insert(connection);
            *newest = connection.max(*newest);
            let counts = *newest == connection;
            let moves = self.moves.len();
            let arrival = self.came.entry((life, request)).or_insert(Arrival {
                moves,
                order: None,
                answered: false,
            });
            joins |= counts && arrival.order.is_some() && !arrival.answered;
            if counts && arrival.order.is_none() {
                self.orders += 1;
                arrival.order = Some(self.orders);
            }
        }
        self.asked.insert(call, (life, transfers));
        joins
    }

    /// A server replies. What it refuses must be true by what it names.
    /// Says whether it repeats what an earlier life has done.
    pub fn reply(&mut self, call: (ConnectionId, u64), reply: &Reply) -> bool {
        let outcomes = match reply {
            Reply::Transfer(outcome) => std::slice::from_ref(outcome),
            Reply::Transfers { outcomes } => outcomes.as_slice(),
            _ => return false,
        };
        let (life, transfers) = &self.asked[&call];
        let mut repeats = false;
        for (transfer, outcome) in transfers.iter().zip(outcomes) {
            if let Some(request) = transfer.request.clone()
                && let Some(arrival) = self.came.get_mut(&(*life, request))
            {
                arrival.answered = true;
            }
            if let (Outcome::Accepted { repeated: true, .. }, Some(request)) =
                (outcome, &transfer.request)
            {
                repeats |= self.paid_in[request] != *life;
            }
            if let Outcome::Refused { balance, consulted, not_consulted, .. } = outcome {
                assert!(*balance < transfer.amount, "{transfer:?} was covered, but {outcome:?}");
                self.refusal(*life, transfer, consulted, not_consulted);
            }
        }
        repeats
    }

    fn refusal(
        &self,
        life: u64,
        transfer: &TransferRequest,
        consulted: &[ServerId],
        not_consulted: &[ServerId],
    ) {
        let named: BTreeSet<ServerId> = consulted.iter().chain(not_consulted).cloned().collect();
        assert_eq!(named, self.servers, "a refusal names every server");
        assert_eq!(named.len(), consulted.len() + not_consulted.len(), "and each once");
        let request = transfer.request.clone().expect("all have one");
        assert!(!self.calm || not_consulted.is_empty(), "{request}: {not_consulted:?} not asked");
        let payer = &request.session.server;
        let came = self.came[&(life, request.clone())].moves;
        // Money of others than the consulted may have come and gone by way of blocks.
        let mut balance = i128::from(self.opening);
        let mut least = i128::MAX;
        for (place, (server, to, units)) in self.moves.iter().enumerate() {
            if place >= came {
                least = least.min(balance);
            }
            if server == payer {
                balance -= i128::from(*units);
            } else if to.as_str() == payer.as_str() && consulted.contains(server) {
                balance += i128::from(*units);
            }
        }
        let lacked = least.min(balance) < i128::from(transfer.amount.units());
        assert!(lacked, "{request} was refused, though {consulted:?} had the money all the while");
    }

    /// Looks at a batch that became durable.
    pub fn durable(&mut self, life: u64, batch: &Batch, disks: &BTreeMap<ServerId, Disk>) {
        for write in &batch.writes {
            match write {
                Write::Log(entries) => {
                    for entry in entries {
                        let before = self.logged.insert(name(entry), entry.clone());
                        assert_eq!(before, None, "an entry's name is used once");
                        let units = entry.amount.units();
                        self.moves.push((entry.server.clone(), entry.to.clone(), units));
                        self.in_order(life, entry);
                    }
                }
                Write::Append { block, .. } => {
                    let known = self.heights.insert(block.height(), block.hash());
                    let known = known.inspect(|known| {
                        assert_eq!(*known, block.hash(), "two blocks at height {}", block.height());
                    });
                    if known.is_some() {
                        continue;
                    }
                    for entry in &block.block().entries {
                        let height = *self.in_block.entry(name(entry)).or_insert(block.height());
                        assert_eq!(height, block.height(), "{entry:?} is in two blocks");
                        assert_eq!(self.logged.get(&name(entry)), Some(entry), "never logged");
                    }
                }
                Write::Activate => {
                    let founded = disks.values().all(|disk| !disk.chain.is_empty());
                    assert!(founded, "open, though not every server has block 0");
                }
                Write::Promise(_) | Write::Accept { .. } => {}
            }
        }
    }

    /// Looks at a message that leaves before its turn is durable.
    pub fn free(&mut self, life: u64, message: &Message) {
        if let Message::Prepare { height, ballot, .. } = message {
            let first = *self.prepared.entry((*height, ballot.clone())).or_insert(life);
            assert_eq!(first, life, "{ballot} was used before");
        }
    }

    /// An account's transfers take effect in the order in which they came.
    fn in_order(&mut self, life: u64, entry: &Entry) {
        let Some(request) = &entry.request else { return };
        let order = self.came.get(&(life, request.clone())).and_then(|arrival| arrival.order);
        let order = order.unwrap_or_else(|| panic!("{request} came only on an older connection"));
        self.paid_in.insert(request.clone(), life);
        let before = self.paid.insert(life, order);
        assert!(before < Some(order), "{request} overtook what had come before it");
    }

    /// Looks at an outcome that a client saw.
    pub fn outcome(&mut self, request: &RequestId, outcome: &Outcome) {
        match outcome {
            Outcome::Accepted { server, epoch, seq, .. } => {
                let name = (server.clone(), *epoch, *seq);
                let entry = self.logged.get(&name).expect("accepted is durable");
                assert_eq!(entry.request.as_ref(), Some(request), "the entry is of the request");
                let first = self.accepted.entry(request.clone()).or_insert_with(|| name.clone());
                assert_eq!(*first, name, "a retry has the first outcome");
                assert!(!self.rejected.contains(request), "{request} was rejected before");
            }
            Outcome::Expired { .. } => {}
            _ => {
                assert!(!self.accepted.contains_key(request), "{request} was accepted before");
                self.rejected.insert(request.clone());
            }
        }
    }

    /// At the end, everything healed and settled: judges the chain that all have.
    pub fn finish(&self, disks: &BTreeMap<ServerId, Disk>) {
        let opening = self.opening;
        let chains: Vec<Vec<BlockHash>> =
            disks.values().map(|disk| disk.chain.iter().map(|b| b.hash()).collect()).collect();
        assert!(chains.windows(2).all(|pair| pair[0] == pair[1]), "all chains are equal");
        let Some(chain) = disks.values().next().map(|disk| &disk.chain) else { return };
        let mut balances: BTreeMap<&str, i128> =
            disks.keys().map(|id| (id.as_str(), opening as i128)).collect();
        let mut requests = BTreeSet::new();
        let mut names = BTreeSet::new();
        for entry in chain.iter().flat_map(|block| &block.block().entries) {
            assert!(names.insert(name(entry)), "{entry:?} is in the chain twice");
            *balances.get_mut(entry.from.as_str()).expect("a known payer") -=
                entry.amount.units() as i128;
            assert!(balances[entry.from.as_str()] >= 0, "below zero after {entry:?}");
            *balances.get_mut(entry.to.as_str()).expect("a known payee") +=
                entry.amount.units() as i128;
            if let Some(request) = &entry.request {
                assert!(requests.insert(request.clone()), "{request} was paid twice");
                assert!(!self.rejected.contains(request), "{request} was rejected, and paid");
            }
        }
        for (request, name) in &self.accepted {
            assert!(names.contains(name), "{request} was accepted as {name:?} and is lost");
        }
        let total: i128 = balances.values().sum();
        assert_eq!(total, opening as i128 * disks.len() as i128, "the total changes never");
        for disk in disks.values() {
            assert!(disk.stored.log.is_empty(), "settled logs are empty");
        }
    }
}
