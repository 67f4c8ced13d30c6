//! A client's dealings with its server: whatever breaks on the way, a transfer is paid at most once.
//!
//! Each transfer gets a name, (session, number), before it is sent. Every retry carries the same name, so
//! the server knows it again. A client that gives up in between does not know what became of the transfer.
//! It says so ([`Ending::Unknown`]) instead of guessing. A session lasts as long as its connection: later
//! transfers go under names of a new session, while a retry keeps its own name. A session that has a name of
//! the client's own is opened again on each connection, and its numbers go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, RequestId, ServerId, SessionId};
use crate::bank::ledger::entry::Action;
use crate::bank::request::{ErrorCode, Follow, Instruction, Outcome, Reply, Request, Status};
use crate::client::Options;
use crate::client::caller::Caller;
use crate::client::connection::Question;
pub use crate::client::ending::{Ending, Failure};
use crate::client::ending::{last_said, last_word, out_of_place, whole_status};
use crate::client::follow::Follower;
use crate::client::interrupt::Interrupt;
use crate::client::order::Order;
use crate::client::own_name::OwnName;
use crate::client::patience::Patience;
use crate::client::traces::Onlooker;
use crate::wire::Answer;
use crate::wire::link::{LinkFaults, LinkOrder};

/// The session that the server named on a connection, and the number of the next transfer in it.
#[derive(Debug)]
struct Opened {
    session: SessionId,
    connection: u64,
    number: u64,
}

/// A client of one server.
#[derive(Debug)]
pub struct Session {
    caller: Caller,
    give_up_after: Duration,
    /// The session, which goes with its connection.
    opened: Option<Opened>,
    /// The name of its own that the session has, if it has one.
    own_name: Option<OwnName>,
    /// Sessions with other servers that this server has named as the right ones.
    others: BTreeMap<(ServerId, String), Session>,
    /// The order that last ended as unknown; and its server, if it was another one.
    unknown: Option<(Option<(ServerId, String)>, Order)>,
    interrupt: Interrupt,
}

impl Session {
    /// Creates a client of the server that the options name. It connects at the first question.
    pub fn new(options: &Options) -> Self {
        let own_name = options.session.clone().map(OwnName::new);
        Session { own_name, ..Session::with(Caller::new(options), options.give_up_after) }
    }

    fn with(caller: Caller, give_up_after: Duration) -> Session {
        let (others, interrupt) = (BTreeMap::new(), caller.interrupt());
        let (opened, own_name, unknown) = (None, None, None);
        Session { caller, give_up_after, opened, own_name, others, unknown, interrupt }
    }

    /// Returns the interrupt that ends this session's waiting, and its waiting at other servers.
    pub(super) fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Returns how long one command may take in all.
    #[cfg(feature = "line-editing")]
    pub(super) fn patience(&self) -> Duration {
        self.give_up_after
    }

    /// Creates a follower of the same server, over a connection of its own. This session's interrupt ends it.
    pub fn follower(&self, follow: Follow) -> Follower {
        let caller = self.caller.beside(self.caller.timeout()).ended_by(self.interrupt());
        Follower::new(caller, self.give_up_after, follow)
    }

    /// Creates a client that is told the same server's trace, over a connection of its own. This session's interrupt
    /// ends it.
    pub fn onlooker(&self) -> Onlooker {
        Onlooker::new(self.caller.beside(self.caller.timeout()).ended_by(self.interrupt()))
    }

    /// Creates another client of the same server, which waits no longer than `patience`.
    pub(super) fn beside(&self, patience: Duration) -> Session {
        Session::with(self.caller.beside(patience), patience)
    }

    /// Creates a client of another server of this bank, with little patience. This session's server knows
    /// where the others are.
    ///
    /// # Errors
    /// If this session's server can't be asked, or there is no such server.
    pub(super) fn at(&mut self, server: &ServerId) -> Result<Session, Failure> {
        let status = ask(self, &Request::Status).and_then(whole_status)?;
        self.glance_at(&status, server)
    }

    /// Does the same with the status of this session's server at hand.
    ///
    /// # Errors
    /// If there is no such server.
    pub(super) fn glance_at(&self, own: &Status, server: &ServerId) -> Result<Session, Failure> {
        let peer = own.peers.iter().find(|peer| peer.id == *server && !peer.address.is_empty());
        let address = match peer {
            Some(peer) => peer.address.clone(),
            None if *server == own.server => self.caller.address().to_owned(),
            None => {
                let peers = own.peers.iter().map(|peer| peer.id.as_str());
                let all = peers.chain([own.server.as_str()]).collect::<BTreeSet<_>>();
                let all = all.into_iter().collect::<Vec<_>>().join(", ");
                let what = format!("there is no server {server}; the bank's servers are {all}");
                return Err(Failure::NoServer(what));
            }
        };
        let there = self.caller.at(server.clone(), address);
        let patience = there.timeout();
        Ok(Session::with(there, patience))
    }

    /// Returns the server.
    pub fn server(&self) -> &ServerId {
        self.caller.server()
    }

    /// Returns the server's own account.
    pub fn home(&self) -> AccountId {
        AccountId::of(self.caller.server())
    }

    /// Asks a question that may be asked twice: anything but a transfer.
    ///
    /// # Errors
    /// If there is no answer in time, or the answer is an error that doesn't pass.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        self.insist(Question::Request(request))
    }

    /// Has the server break or mend its links, and returns their faults after it.
    ///
    /// # Errors
    /// If there is no answer in time, or the server does not obey.
    pub fn order(&mut self, order: &LinkOrder) -> Result<LinkFaults, Failure> {
        match self.insist(Question::Link(order))? {
            Answer::Links(faults) => Ok(faults),
            _ => Err(out_of_place()),
        }
    }

    /// Asks until there is an answer or patience ends.
    fn insist(&mut self, question: Question<'_>) -> Result<Answer, Failure> {
        let mut patience = Patience::new(self.give_up_after, self.interrupt.clone());
        let mut said = None;
        loop {
            let failure = match self.caller.ask(question, patience.until) {
                Ok(answer) => return Ok(answer),
                Err(_) if self.interrupt.is_set() => return Err(Failure::Interrupted),
                Err(failure) => failure,
            };
            let follows = self.caller.follows(&failure, patience.until);
            if !(follows || failure.is_transient()) || !patience.wait(&failure) {
                return Err(last_word(said, failure));
            }
            said = last_said(said, failure);
        }
    }

    /// Transfers money. If `from` is none, the server's own account pays.
    pub fn transfer(&mut self, from: Option<AccountId>, to: AccountId, amount: Amount) -> Ending {
        let from = from.unwrap_or_else(|| self.home());
        self.instruct(Instruction::plain(Action::Transfer { from, to, amount }))
    }

    /// Has one transfer or opening done, under a name that this gives it. If the server names another as
    /// the right one, does it there; but goes no further.
    ///
    /// # Panics
    /// If the instruction is linked, since there is nothing to link it to, or is an opening with a wait.
    pub fn instruct(&mut self, instruction: Instruction) -> Ending {
        let mut endings = self.follow(Order::one(instruction));
        // One instruction has one ending.
        endings.remove(0)
    }

    /// Has several instructions done by one request, under names that this gives them; linked ones happen
    /// together or not at all. Each has its own ending, in their order. If all of them belong to one other
    /// server, does them there.
    ///
    /// # Panics
    /// If only some are to be settled, which one request can't say; or if an opening is to wait for
    /// money.
    pub fn instruct_all(&mut self, instructions: Vec<Instruction>) -> Vec<Ending> {
        if instructions.is_empty() {
            return Vec::new();
        }
        self.follow(Order::batch(instructions))
    }

    /// Carries out an order here or, if this server names another one, once there.
    fn follow(&mut self, mut order: Order) -> Vec<Ending> {
        let endings = self.carry_out(&mut order);
        let Some(right) = right_server(&endings) else {
            return self.note_unknown(None, order, endings);
        };
        let (caller, give_up_after) = (&self.caller, self.give_up_after);
        let (own_name, number) = (&self.own_name, order.number());
        let other = self.others.entry(right.clone()).or_insert_with_key(|(server, address)| {
            let there = caller.at(server.clone(), address.clone());
            Session { own_name: own_name.clone(), ..Session::with(there, give_up_after) }
        });
        other.begin_at(number);
        let mut order = order.anew();
        let endings = other.carry_out(&mut order);
        self.note_unknown(Some(right), order, endings)
    }

    /// Asks once more for what last ended as unknown, under its old names: what has happened doesn't happen
    /// again. None if nothing did.
    pub fn again(&mut self) -> Option<Vec<Ending>> {
        let (place, mut order) = self.unknown.take()?;
        let endings = match &place {
            None => self.carry_out(&mut order),
            Some(place) => self.others.get_mut(place)?.carry_out(&mut order),
        };
        Some(self.note_unknown(place, order, endings))
    }

    /// Keeps an order if any of it ended as unknown.
    fn note_unknown(
        &mut self,
        place: Option<(ServerId, String)>,
        order: Order,
        endings: Vec<Ending>,
    ) -> Vec<Ending> {
        if endings.iter().any(|ending| matches!(ending, Ending::Unknown { .. })) {
            self.unknown = Some((place, order));
        }
        endings
    }

    /// Tries an order until there is an answer or patience ends.
    fn carry_out(&mut self, order: &mut Order) -> Vec<Ending> {
        let total = self.give_up_after.saturating_add(order.longest_wait());
        let mut patience = Patience::new(total, self.interrupt.clone());
        let mut said = None;
        loop {
            let failure = match self.attempt_order(order, patience.until) {
                // Under a name of the client's own an earlier process may have asked for the same.
                Ok(outcomes) if self.own_name.is_some() => return order.answered(outcomes),
                Ok(outcomes) => match order.take_back_names(&outcomes) {
                    Some(reason) => {
                        self.opened = None;
                        Failure::Said(ErrorCode::Unavailable, reason)
                    }
                    None => return order.answered(outcomes),
                },
                Err(_) if self.interrupt.is_set() => Failure::Interrupted,
                Err(failure) => failure,
            };
            let follows = self.caller.follows(&failure, patience.until);
            if !(follows || failure.is_transient()) || !patience.wait(&failure) {
                return order.given_up(&last_word(said, failure));
            }
            said = last_said(said, failure);
        }
    }

    /// Tries an order once, under the names that it has or now gets.
    fn attempt_order(
        &mut self,
        order: &mut Order,
        until: Instant,
    ) -> Result<Vec<Outcome>, Failure> {
        // The connection comes first: with a new one, the session is over.
        self.caller.connect(until)?;
        if !order.is_named() {
            let name = self.next_name(order.instructions().len(), until)?;
            order.name(&name);
        }
        let wanted = order.instructions().len();
        let result = match self.caller.exchange(Question::Request(order.request()), until) {
            Ok(Answer::Reply(Reply::One(outcome))) => Ok(vec![outcome]),
            Ok(Answer::Reply(Reply::Batch { outcomes })) if outcomes.len() == wanted => {
                Ok(outcomes)
            }
            Ok(_) => Err(out_of_place()),
            Err(failure) => Err(failure),
        };
        order.heard |= result.as_ref().is_err_and(Failure::leaves_open_what_happened);
        result
    }

    /// Returns the first of `names` names in the present session. None of them ever stands for anything
    /// else, however this ends.
    fn next_name(&mut self, names: usize, until: Instant) -> Result<RequestId, Failure> {
        let mut opened = match self.opened.take() {
            Some(opened) if opened.connection == self.caller.connection() => opened,
            _ => self.open_session(until)?,
        };
        let name = RequestId { session: opened.session.clone(), number: opened.number };
        opened.number += names as u64;
        if let Some(own) = &mut self.own_name {
            own.use_up_to(opened.number - 1);
        }
        self.opened = Some(opened);
        Ok(name)
    }

    /// Has an order keep its number at the server that it is led to, if the session has a name: so the number alone
    /// tells the payment.
    fn begin_at(&mut self, number: u64) {
        if let Some(own) = &mut self.own_name {
            own.use_up_to(number.saturating_sub(1));
            let number = own.next(0);
            self.opened.iter_mut().for_each(|opened| opened.number = opened.number.max(number));
        }
    }

    /// Tries to open a session once. An error here leaves nothing open about a transfer.
    fn open_session(&mut self, until: Instant) -> Result<Opened, Failure> {
        let wanted = Request::Session(self.own_name.as_ref().map(OwnName::wanted));
        match self.caller.ask(Question::Request(&wanted), until)? {
            Answer::Reply(Reply::Session { session, highest }) => {
                let own = self.own_name.as_ref();
                let number = own.map_or(1, |own| own.next(highest.unwrap_or_default()));
                Ok(Opened { session, connection: self.caller.connection(), number })
            }
            _ => Err(out_of_place()),
        }
    }
}

/// Returns the one server that an entire order belongs to, with its address. None unless this server
/// says so and has done nothing of the order.
fn right_server(endings: &[Ending]) -> Option<(ServerId, String)> {
    let mut right = None;
    for ending in endings {
        match ending {
            Ending::Decided(Outcome::WrongServer { server, address, .. }) => {
                let named = right.get_or_insert((server, address));
                if *named != (server, address) {
                    return None;
                }
            }
            // It failed with a linked one, which is at the wrong server too, as all are.
            Ending::Decided(Outcome::LinkedFailed { .. }) => {}
            _ => return None,
        }
    }
    right.map(|(server, address)| (server.clone(), address.clone()))
}

/// Asks a question that a reply answers.
pub(super) fn ask(session: &mut Session, request: &Request) -> Result<Reply, Failure> {
    match session.ask(request)? {
        Answer::Reply(reply) => Ok(reply),
        _ => Err(out_of_place()),
    }
}
