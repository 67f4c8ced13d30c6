//! Operators' orders about the members: who is admitted, dismissed, moved, gets or loses a vote (DESIGN.md,
//! "Members").

use super::super::Server;
use super::super::own::Leaving;
use super::orders::{Asked, Joiner, MOST_ORDERED, Ordered};
use crate::bank::address::Address;
use crate::bank::amount::Amount;
use crate::bank::blockchain::members::Objection;
use crate::bank::blockchain::quorum::majority;
use crate::bank::effects::{Bound, Timer};
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, InstanceId, ServerId, WaitId};
use crate::bank::ledger::entry::{Action, Position, Record};
use crate::bank::ledger::member_change::{Admission, MemberChange};
use crate::bank::member_note::MemberNote;
use crate::bank::note::Warning;
use crate::bank::request::{AsksToJoin, ErrorCode, MemberStatus, Order, Reply};

/// How many accounts that still hold money are named in an answer.
const NAMED: usize = 10;

impl Server {
    /// Takes in an operator's order about the members. The answer comes when a block has carried it out, or when it
    /// is clear that none will.
    pub(in crate::bank::server) fn on_order(
        &mut self,
        connection: ConnectionId,
        request: Option<u64>,
        order: Order,
    ) {
        let asked =
            |server: &ServerId| Asked { connection, request, server: server.clone(), logged: None };
        let taken = match order {
            Order::Show => {
                let reply = self.members_reply();
                return self.effects.bind(Bound::Reply(connection, request, reply));
            }
            Order::Admit { server, at, key, branch } => {
                self.order_admission(&server, at, key, branch).map(|()| asked(&server))
            }
            Order::Change(change) => {
                self.order_change(&change).map(|logged| Asked { logged, ..asked(change.server()) })
            }
        };
        match taken {
            Err((error, message)) => self.reply_error(connection, request, error, message),
            Ok(asked) => {
                let id = self.waiting.name();
                self.peers.orders.asked.insert(id, asked);
                self.set(Timer::Deadline(id));
                self.carry_out_orders();
            }
        }
    }

    /// Logs a change, and has it settled. Returns where it is in the log.
    fn order_change(
        &mut self,
        change: &MemberChange,
    ) -> Result<Option<(MemberChange, Position)>, (ErrorCode, String)> {
        if let Some(objection) = self.chain().derived().objection(change) {
            return Err((ErrorCode::BadRequest, objection.to_string()));
        }
        if let MemberChange::Dismiss { server } = change {
            self.may_leave(server)?;
        }
        let stuck = || self.check_stays().and_then(|()| self.check_votes(change));
        stuck().map_err(|message| (ErrorCode::Unavailable, message))?;
        let position = self.log_change(change.clone());
        if matches!(change, MemberChange::Dismiss { .. }) && !planted!(LogsThoughLeaving) {
            self.store.leaving = Leaving::Asked;
        }
        Ok(Some((change.clone(), position)))
    }

    /// Checks that the members who vote after a change could decide: this server hears a majority of them, and who
    /// gets a vote is among them. A vote that is given to a lost store, or left to one, would be missed for ever.
    ///
    /// # Errors
    /// Says who isn't heard.
    fn check_votes(&self, change: &MemberChange) -> Result<(), String> {
        let derived = self.chain().derived();
        let (gets, loses) = match change {
            MemberChange::Promote { server } => (Some(server), None),
            MemberChange::Demote { server } | MemberChange::Dismiss { server } => {
                (None, Some(server).filter(|server| derived.is_voter(server)))
            }
            MemberChange::Admit(_) | MemberChange::Move { .. } => return Ok(()),
        };
        if planted!(VoteForTheLost) || (gets, loses) == (None, None) {
            return Ok(());
        }
        let votes = |id: &&ServerId| derived.is_voter(id) || gets == Some(*id);
        let (heard, silent): (Vec<&ServerId>, Vec<&ServerId>) = self
            .members()
            .filter(votes)
            .filter(|id| loses != Some(*id))
            .partition(|id| self.hears_member(id));
        if let Some(lost) = gets.filter(|id| silent.contains(id)) {
            return Err(format!(
                "{lost} is not connected here, with the store that the chain names: bring it back first"
            ));
        }
        if heard.len() < majority(heard.len() + silent.len()) {
            let names: Vec<&str> = silent.into_iter().map(ServerId::as_str).collect();
            return Err(format!(
                "not connected here are {}, so those who would vote then could decide nothing: bring them back first",
                names.join(", ")
            ));
        }
        Ok(())
    }

    /// True if a member is connected with the store that the chain names, or is this server.
    fn hears_member(&self, id: &ServerId) -> bool {
        *id == self.config.id || self.hears_its_store(id)
    }

    /// Checks that this server is to be dismissed, and has nothing left.
    fn may_leave(&self, server: &ServerId) -> Result<(), (ErrorCode, String)> {
        if *server != self.config.id {
            let at = self.address(server).unwrap_or("an unknown address");
            let message = format!(
                "only {server} itself, at {at}, can say that nothing is left of it: give it this order. If its \
                 store is lost, let it rejoin first"
            );
            return Err((ErrorCode::BadRequest, message));
        }
        match self.what_is_left() {
            None => Ok(()),
            Some(left) => Err((ErrorCode::BadRequest, left)),
        }
    }

    /// Says what keeps this server from being dismissed: money in its accounts, or transfers that wait.
    fn what_is_left(&self) -> Option<String> {
        let id = &self.config.id;
        let waiting = self.waiting.transfers();
        if waiting > 0 {
            let wait = if waiting == 1 {
                "1 transfer waits"
            } else {
                &format!("{waiting} transfers wait")
            };
            return Some(format!("{wait} at {id}: dismiss it when none does"));
        }
        let mut rich: Vec<String> = Vec::new();
        let mut more = 0;
        for (account, amount) in self.ledger.balances.of_home(id) {
            match rich.len() {
                _ if amount == Amount::ZERO => {}
                NAMED => more += 1,
                _ => rich.push(format!("{account} {amount}")),
            }
        }
        rich.sort_unstable();
        let more = if more > 0 { format!(" and {more} more accounts") } else { String::new() };
        (!rich.is_empty())
            .then(|| format!("{id} still holds money: {}{more}. Pay it out first", rich.join(", ")))
    }

    /// Remembers that a server is to be admitted as soon as it greets, and dials it.
    fn order_admission(
        &mut self,
        server: &ServerId,
        at: Address,
        key: Option<Fingerprint>,
        branch: bool,
    ) -> Result<(), (ErrorCode, String)> {
        let wrong = |objection: Objection| (ErrorCode::BadRequest, objection.to_string());
        if *server == self.config.id {
            return Err(wrong(Objection::Member(server.clone())));
        }
        if key.is_some() && !self.is_keyed() {
            let message = format!("this bank has no keys: admit {server} without one");
            return Err((ErrorCode::BadRequest, message));
        }
        // Its instance is known once it greets.
        let derived = self.chain().derived();
        let unknown = InstanceId(u64::MAX);
        let admission =
            Admission { server: server.clone(), instance: unknown, at: at.clone(), key, branch };
        if let Some(objection) = derived.objection(&MemberChange::Admit(admission)) {
            return Err(wrong(objection));
        }
        let orders = &mut self.peers.orders;
        if orders.ordered.len() >= MOST_ORDERED && !orders.ordered.contains_key(server) {
            let message =
                format!("{MOST_ORDERED} servers are to be admitted already, and have not come yet");
            return Err((ErrorCode::Unavailable, message));
        }
        orders.ordered.insert(server.clone(), Ordered { at: at.clone(), key, branch });
        self.warn(Warning::Members(MemberNote::Ordered(server.clone(), at.clone(), key)));
        self.peers.add(server);
        self.peers.addresses.insert(server.clone(), at.clone());
        self.effects.bind(Bound::Dial(server.clone(), at.into_string()));
        Ok(())
    }

    /// Logs the admissions whose servers have greeted, each once, and settles them.
    pub(in crate::bank::server) fn carry_out_orders(&mut self) {
        if !self.may_log() {
            return;
        }
        let ordered: Vec<(ServerId, Ordered)> =
            self.peers.orders.ordered.clone().into_iter().collect();
        for (server, Ordered { at, key, branch }) in ordered {
            let greeted = self.peers.get(&server).filter(|peer| peer.joins);
            let instance = greeted.and_then(|peer| peer.instance);
            // What the last store said, which is over, is not what the one says that comes in its place.
            let is_its_own = |instance: &InstanceId| !self.chain().is_deposed(*instance);
            let Some(instance) = instance.filter(is_its_own) else { continue };
            let change = MemberChange::Admit(Admission {
                server: server.clone(),
                instance,
                at,
                key,
                branch,
            });
            if let Some(objection) = self.chain().derived().objection(&change) {
                self.refuse_admission(&server, &objection);
                continue;
            }
            let action = Action::Member(Box::new(change.clone()));
            if self.ledger.log.holds(&action) {
                self.pace.settle_up_to(self.ledger.log.last().seq);
                continue;
            }
            let position = self.log_change(change.clone());
            for asked in self.peers.orders.asked.values_mut().filter(|one| one.server == server) {
                asked.logged = Some((change.clone(), position));
            }
        }
    }

    /// Ends the orders to admit a server, and returns why, in words.
    pub(super) fn refuse_admission(&mut self, server: &ServerId, objection: &Objection) -> String {
        let why = objection.to_string();
        if self.peers.orders.ordered.remove(server).is_some() {
            self.answer_orders_about(server, Err(why.clone()));
            self.follow_members();
        }
        why
    }

    fn log_change(&mut self, change: MemberChange) -> Position {
        let action = Action::Member(Box::new(change));
        self.log_records([Record::plain(action)]);
        self.pace.settle_up_to(self.ledger.log.last().seq);
        self.ledger.log.last()
    }

    /// Answers the orders that the block just appended has carried out, or made void.
    pub(in crate::bank::server) fn answer_orders(&mut self, dismissed: bool) {
        let included = self.chain().included(&self.config.id);
        let is_over = |asked: &Asked| {
            asked.logged.as_ref().is_some_and(|(_, position)| *position <= included)
        };
        let asked = &self.peers.orders.asked;
        let over: Vec<WaitId> =
            asked.iter().filter(|(_, asked)| is_over(asked)).map(|(id, _)| *id).collect();
        for id in over {
            let Some(asked) = self.peers.orders.asked.remove(&id) else { continue };
            let Some((change, _)) = asked.logged else { continue };
            let answer = match self.has_happened(&change, dismissed) {
                true => Ok(()),
                false => Err(self.why_void(&change)),
            };
            self.cancel(Timer::Deadline(id));
            self.answer_order(asked.connection, asked.request, answer);
        }
    }

    fn answer_orders_about(&mut self, server: &ServerId, answer: Result<(), String>) {
        let asked = &self.peers.orders.asked;
        let about: Vec<WaitId> = asked
            .iter()
            .filter(|(_, asked)| asked.server == *server && asked.logged.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in about {
            self.cancel(Timer::Deadline(id));
            if let Some(asked) = self.peers.orders.asked.remove(&id) {
                self.answer_order(asked.connection, asked.request, answer.clone());
            }
        }
    }

    fn answer_order(
        &mut self,
        connection: ConnectionId,
        request: Option<u64>,
        answer: Result<(), String>,
    ) {
        let reply = match answer {
            Ok(()) => self.members_reply(),
            Err(message) => Reply::Error { error: ErrorCode::BadRequest, message },
        };
        self.effects.bind(Bound::Reply(connection, request, reply));
    }

    /// True if a change is so by the chain.
    fn has_happened(&self, change: &MemberChange, dismissed: bool) -> bool {
        let derived = self.chain().derived();
        let id = change.server();
        match change {
            MemberChange::Admit(admission) => {
                derived.instances.get(id) == Some(&admission.instance)
            }
            MemberChange::Dismiss { .. } => dismissed,
            MemberChange::Move { at, .. } => derived.membership.addresses.get(id) == Some(at),
            MemberChange::Promote { .. } => derived.is_voter(id),
            MemberChange::Demote { .. } => derived.is_member(id) && !derived.is_voter(id),
        }
    }

    /// Says why a change whose entry is in the chain is void.
    fn why_void(&self, change: &MemberChange) -> String {
        let why = match change {
            MemberChange::Dismiss { .. } => self.what_is_left(),
            change => self.chain().derived().objection(change).map(|why| why.to_string()),
        };
        let another = || "another change of the members came into the chain before it".to_owned();
        format!("nothing has changed: {}", why.unwrap_or_else(another))
    }

    /// Tells an operator that an order is not carried out yet. True if the wait was an operator's.
    pub(in crate::bank::server) fn order_took_too_long(&mut self, id: WaitId) -> bool {
        let Some(asked) = self.peers.orders.asked.remove(&id) else { return false };
        let Asked { connection, request, server, logged } = asked;
        let message = match logged {
            Some(_) => format!(
                "the order about {server} is in the log, and in no block yet; it stands (members shows what became \
                 of it)"
            ),
            None => format!(
                "{server} has not come yet: start it with --join; it is admitted when it greets, as long as this \
                 server runs (members shows what became of it)"
            ),
        };
        self.reply_error(connection, request, ErrorCode::Unavailable, message);
        true
    }

    fn members_reply(&self) -> Reply {
        let chain = self.chain();
        let derived = chain.derived();
        let member = |id: &ServerId| MemberStatus {
            server: id.clone(),
            instance: derived.instances[id],
            address: self.address(id).map(str::to_owned),
            votes: derived.is_voter(id),
            key: derived.keys.get(id).copied(),
            connected: *id == self.config.id
                || self.peers.get(id).is_some_and(|peer| peer.is_connected()),
        };
        let asks = |(server, joiner): &(ServerId, Joiner)| AsksToJoin {
            server: server.clone(),
            instance: joiner.instance,
            key: joiner.key,
        };
        Reply::Members {
            height: chain.height(),
            members: derived.instances.keys().map(member).collect(),
            asks: self.peers.orders.askers().map(asks).collect(),
            ordered: self.peers.orders.ordered.keys().cloned().collect(),
        }
    }
}
