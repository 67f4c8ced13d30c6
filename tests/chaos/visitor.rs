//! A member that comes and goes while faults come over the bank: admitted with a vote or without one, promoted,
//! demoted, found elsewhere, killed, and dismissed once it has paid all out.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::bank::ledger::entry::Action;
use paxos_banking::bank::ledger::member_change::MemberChange;
use paxos_banking::bank::request::{ErrorCode, Instruction, Order, Reply, Request};

use crate::proxy::Proxy;
use crate::stage::Stage;
use crate::teller::Teller;

/// Who the visitor is.
pub const VISITOR: &str = "V";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Away,
    Joining,
    Member,
    Leaving,
}

/// What somebody else does meanwhile.
type Errand = JoinHandle<()>;

/// The visitor.
pub struct Visitor {
    state: State,
    errand: Option<Errand>,
    next: Instant,
    /// Where the others find it, and where they did before in this visit: whether an order to move is carried out,
    /// nobody knows for sure.
    gates: Vec<Proxy>,
    members: Vec<String>,
    over: Arc<AtomicBool>,
    /// True once it is to stay where it is.
    hurry: Arc<AtomicBool>,
    /// What has happened to it, and how often.
    pub tally: BTreeMap<&'static str, usize>,
}

fn visitor() -> ServerId {
    VISITOR.parse().expect("a server's name")
}

/// Tells a server something about the members. None if it doesn't answer.
fn order(teller: &mut Teller, order: Order) -> Option<Reply> {
    teller.ask(&Request::Members(order))
}

/// True if this very store of the visitor is a member's, by a server's chain. (The server may lag, and know an earlier
/// visit only.)
fn is_member(teller: &mut Teller, own: &mut Teller) -> bool {
    let Some(Reply::Status(status)) = own.ask(&Request::Status) else { return false };
    let Some(Reply::Members { members, .. }) = order(teller, Order::Show) else { return false };
    members.iter().any(|member| member.server == visitor() && member.instance == status.instance)
}

impl Visitor {
    /// One that comes soon, to a bank of these members.
    pub fn of(stage: &Stage) -> Visitor {
        let members = stage.founders.iter().map(|id| stage.bank.address(id).to_owned()).collect();
        let (gates, over, hurry) = (Vec::new(), Arc::default(), Arc::default());
        let (state, errand, tally) = (State::Away, None, BTreeMap::new());
        Visitor { state, errand, next: Instant::now(), gates, members, over, hurry, tally }
    }

    fn count(&mut self, what: &'static str) {
        *self.tally.entry(what).or_default() += 1;
    }

    /// Has something done over and over, at one member or another, until it is so.
    fn send(
        &mut self,
        dice: &mut fastrand::Rng,
        errand: impl Fn(&mut Teller) -> bool + Send + 'static,
    ) {
        let (members, mut dice) = (self.members.clone(), dice.fork());
        let over = Arc::clone(&self.over);
        self.errand = Some(thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let at = dice.choice(&members).expect("a member");
                if errand(&mut Teller::new(at, dice.fork())) {
                    return;
                }
                thread::sleep(Duration::from_millis(dice.u64(20..200)));
            }
        }));
    }

    /// Goes on with its life.
    pub fn live(&mut self, stage: &mut Stage, dice: &mut fastrand::Rng, goes_on: bool) {
        self.hurry.store(!goes_on, Ordering::Relaxed);
        if self.state != State::Away && self.look_after(stage) {
            return self.go(stage, dice);
        }
        if self.errand.as_ref().is_some_and(|errand| !errand.is_finished()) {
            return;
        }
        if let Some(errand) = self.errand.take() {
            errand.join().expect("an errand that understands all answers");
        }
        match self.state {
            State::Away if goes_on && Instant::now() >= self.next => self.come(stage, dice),
            State::Away => {}
            State::Joining => self.state = State::Member,
            State::Member if goes_on && Instant::now() >= self.next => self.act(stage, dice),
            State::Member => {}
            // It was told that it holds money, and there is no time to pay it out again.
            State::Leaving => self.state = State::Member,
        }
    }

    /// It is dismissed, and has ended.
    fn go(&mut self, stage: &mut Stage, dice: &mut fastrand::Rng) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(errand) = self.errand.take() {
            errand.join().expect("an errand that understands all answers");
        }
        self.over = Arc::default();
        stage.bank.kill(VISITOR);
        stage.bank.forget(VISITOR);
        self.state = State::Away;
        self.next = Instant::now() + Duration::from_millis(dice.u64(100..2_000));
        self.count("went");
    }

    /// True if nothing is under way with it.
    pub fn rests(&self) -> bool {
        self.errand.is_none() && matches!(self.state, State::Away | State::Member)
    }

    /// Starts it again if its store did not let it start. Otherwise it ends by itself only when it is dismissed: then
    /// this is true.
    fn look_after(&self, stage: &mut Stage) -> bool {
        let ended = stage.bank.process(VISITOR).and_then(|process| process.ended());
        if ended.is_none() {
            return false;
        }
        let log = stage.bank.log_file(VISITOR).map(fs::read_to_string);
        let log = log.expect("it has a log").expect("a log in UTF-8");
        let no_store = ["stopped: the store failed: ", "stopped: the store can't be reached: "];
        let is_dismissed = log.contains("is no member of this bank any more");
        if no_store.iter().any(|words| log.contains(words)) && !is_dismissed {
            stage.bank.kill(VISITOR);
            stage.bank.start_server(VISITOR);
            return false;
        }
        let leaves = self.state == State::Leaving && is_dismissed;
        assert!(leaves, "{VISITOR} ended by itself, {:?}: {log}", self.state);
        true
    }

    fn come(&mut self, stage: &mut Stage, dice: &mut fastrand::Rng) {
        stage.bank.add(VISITOR);
        if clean(stage).is_err() {
            // Its Redis is broken.
            return stage.bank.forget(VISITOR);
        }
        if let Some(archive) = stage.bank.archive(VISITOR) {
            let _ = fs::remove_dir_all(archive);
        }
        stage.bank.start_server(VISITOR);
        self.gates.clear();
        let branch = dice.bool();
        let at = self.open_gate(stage);
        let server = visitor();
        let (own, seed) = (stage.bank.address(VISITOR).to_owned(), dice.u64(..));
        self.send(dice, move |teller| {
            let (server, at) = (server.clone(), at.parse().expect("an address"));
            order(teller, Order::Admit { server, at, key: None, branch });
            is_member(teller, &mut Teller::new(&own, fastrand::Rng::with_seed(seed)))
        });
        self.state = State::Joining;
        self.count(if branch { "came as a branch" } else { "came with a vote" });
    }

    fn open_gate(&mut self, stage: &Stage) -> String {
        let gate = Proxy::start(stage.bank.address(VISITOR));
        let at = gate.address().to_owned();
        self.gates.push(gate);
        at
    }

    fn act(&mut self, stage: &mut Stage, dice: &mut fastrand::Rng) {
        self.next = Instant::now() + Duration::from_millis(dice.u64(200..2_000));
        match dice.u8(..6) {
            0 => self.change(dice, MemberChange::Promote { server: visitor() }, "got a vote"),
            1 => self.change(dice, MemberChange::Demote { server: visitor() }, "lost its vote"),
            2 => {
                let at = self.open_gate(stage).parse().expect("an address");
                self.change(dice, MemberChange::Move { server: visitor(), at }, "moved");
            }
            3 => {
                stage.bank.kill(VISITOR);
                stage.bank.start_server(VISITOR);
                self.count("was killed");
            }
            _ => self.leave(stage, dice),
        }
    }

    /// Whether it happens is the bank's business: the visitor may have a vote already.
    fn change(&mut self, dice: &mut fastrand::Rng, change: MemberChange, what: &'static str) {
        let order_of = move || Order::Change(change.clone());
        self.send(dice, move |teller| order(teller, order_of()).is_some());
        self.count(what);
    }

    /// Pays all out, and has it dismissed, however often it takes.
    fn leave(&mut self, stage: &Stage, dice: &mut fastrand::Rng) {
        let (own, payee) = (stage.bank.address(VISITOR).to_owned(), stage.founders[0].clone());
        let (seed, hurry) = (dice.u64(..), Arc::clone(&self.hurry));
        self.send(dice, move |_| {
            let dice = fastrand::Rng::with_seed(seed);
            let mut teller = Teller::new(&own, dice);
            let held = match teller.ask(&Request::Balance(None)) {
                Some(Reply::Balance { balance, .. }) => balance,
                _ => Amount::ZERO,
            };
            if held > Amount::ZERO {
                let from = VISITOR.parse().expect("an account");
                let to = payee.parse().expect("an account");
                let pays = Action::Transfer { from, to, amount: held };
                teller.ask(&Request::One(Instruction::plain(pays)));
            }
            let dismiss = Order::Change(MemberChange::Dismiss { server: visitor() });
            let answer = order(&mut teller, dismiss);
            let stays = matches!(answer, Some(Reply::Error { error: ErrorCode::BadRequest, .. }));
            stays && hurry.load(Ordering::Relaxed)
        });
        self.state = State::Leaving;
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Empties its store. It has been dismissed, if it has been there.
fn clean(stage: &mut Stage) -> Result<(), redis::RedisError> {
    let client = redis::Client::open(stage.bank.redis(VISITOR).url())?;
    let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(1)))?;
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("SERVER-*-{VISITOR}")).query(&mut connection)?;
    if !keys.is_empty() {
        redis::cmd("DEL").arg(&keys).query::<usize>(&mut connection)?;
    }
    Ok(())
}
