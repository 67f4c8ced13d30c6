//! Following a server: each entry once and in order, over as many connections as that takes.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::bank::blockchain::block::BlockHash;
use crate::bank::ledger::entry::Position;
use crate::bank::request::{Follow, Place, Reply, Request};
use crate::client::caller::Caller;
use crate::client::connection::Question;
use crate::client::ending::{Failure, out_of_place};
use crate::client::patience::Patience;
use crate::wire::Answer;
use crate::wire::follow::{Told, parse_told};

/// The silence after which a server counts as gone. It says something every five seconds.
const SILENCE: Duration = Duration::from_secs(20);
/// For how long a client that has followed tries to go on.
const FOR_EVER: Duration = Duration::MAX;

/// What comes to a follower.
#[derive(Debug)]
pub enum News<'a> {
    /// The server follows the bank of this block 0. It comes once, before everything else.
    Bank(BlockHash),
    /// A line of the server's.
    Told(Told<'a>),
    /// The server is silent, or ended it; it is tried again until it goes on.
    Lost(&'a Failure),
}

/// Whether more is wanted.
pub type Wish = ControlFlow<()>;

/// A client that follows a server.
#[derive(Debug)]
pub struct Follower {
    caller: Caller,
    give_up_after: Duration,
    follow: Follow,
    /// The bank, once it is known.
    bank: Option<BlockHash>,
    /// The last entry of the local log that came.
    logged: Option<Position>,
}

impl Follower {
    /// Creates a follower, which connects when it runs. At first it gives up after some time; once it has followed,
    /// never.
    pub(super) fn new(caller: Caller, give_up_after: Duration, follow: Follow) -> Follower {
        Follower { caller, give_up_after, follow, bank: None, logged: None }
    }

    /// Has it never give up, not even at first.
    #[must_use]
    pub fn patient(self) -> Follower {
        Follower { give_up_after: FOR_EVER, ..self }
    }

    /// Follows until no more is wanted.
    ///
    /// # Errors
    /// If the server can't be followed, or by the user's interrupt.
    pub fn run(&mut self, take: &mut dyn FnMut(News<'_>) -> Wish) -> Result<(), Failure> {
        let interrupt = self.caller.interrupt();
        let mut patience = Patience::new(self.give_up_after, interrupt.clone());
        let mut is_silent = false;
        loop {
            let ended = self.follow_once(take);
            // Whatever may still come over this connection comes again over the next one.
            self.caller.hang_up();
            let failure = match ended {
                Ok(()) => return Ok(()),
                Err(_) if interrupt.is_set() => return Err(Failure::Interrupted),
                Err((failure, followed)) => {
                    if followed {
                        patience = Patience::new(FOR_EVER, interrupt.clone());
                        is_silent = false;
                    }
                    failure
                }
            };
            let follows = self.caller.follows(&failure, Instant::now() + SILENCE);
            if !(follows || failure.is_transient()) {
                return Err(failure);
            }
            if !std::mem::replace(&mut is_silent, true) && take(News::Lost(&failure)).is_break() {
                return Ok(());
            }
            if !patience.wait(&failure) {
                return Err(failure);
            }
        }
    }

    /// Follows over one connection. The error says, too, whether the server let it follow.
    fn follow_once(
        &mut self,
        take: &mut dyn FnMut(News<'_>) -> Wish,
    ) -> Result<(), (Failure, bool)> {
        if self.begin(take).map_err(|failure| (failure, false))?.is_break() {
            return Ok(());
        }
        let id = self.caller.last_id();
        let interrupt = self.caller.interrupt();
        let _watched = self.caller.watched(&interrupt);
        let lost = |failure| (failure, true);
        loop {
            let line = self.caller.next_line(Instant::now() + SILENCE).map_err(lost)?;
            let told = parse_told(line, id).map_err(|why| lost(Failure::NotUnderstood(why)))?;
            let (at, next) = match &told {
                None => continue,
                Some(Told::Entry { place, .. }) => (*place, place.next()),
                Some(Told::Mark(next)) => (*next, *next),
                Some(Told::Logged { fields }) => {
                    let position = position_of(fields).map_err(lost)?;
                    // After a reconnection the log is told from its beginning.
                    if self.logged.is_some_and(|last| position <= last) {
                        continue;
                    }
                    self.logged = Some(position);
                    let next = self.follow.from.unwrap_or(Place::first_of(0));
                    (next, next)
                }
                Some(Told::Ended(code, why)) => {
                    return Err(lost(again(Failure::Said(*code, why.clone()))));
                }
            };
            let before = self.follow.from.replace(next);
            if before.is_some_and(|before| at < before) {
                let what = format!("it tells of {at} again");
                return Err(lost(Failure::NotUnderstood(what)));
            }
            if let Some(told) = told
                && take(News::Told(told)).is_break()
            {
                return Ok(());
            }
        }
    }

    /// Asks, and checks who answers.
    fn begin(&mut self, take: &mut dyn FnMut(News<'_>) -> Wish) -> Result<Wish, Failure> {
        let request = Request::Follow(self.follow.clone());
        let until = Instant::now() + self.caller.timeout();
        let answer = self.caller.ask(Question::Request(&request), until)?;
        let Answer::Reply(Reply::Follows { server, bank, next }) = answer else {
            return Err(out_of_place());
        };
        if server != *self.caller.server() {
            let (here, wanted) = (self.caller.address(), self.caller.server());
            return Err(Failure::WrongServer(format!(
                "the server at {here} is {server}, not {wanted}"
            )));
        }
        self.follow.from.get_or_insert(next);
        match self.bank {
            None => {
                self.bank = Some(bank);
                Ok(take(News::Bank(bank)))
            }
            Some(known) if known != bank => {
                let (bank, known) = (bank.short(), known.short());
                let what = format!("{server} is in another bank now: {bank}, and it was {known}");
                Err(Failure::WrongServer(what))
            }
            Some(_) => Ok(Wish::Continue(())),
        }
    }
}

/// Makes an ending one after which it is asked again: whether it may go on is seen then.
fn again(failure: Failure) -> Failure {
    match failure.is_transient() {
        true => failure,
        false => Failure::NoAnswer(format!("it ended what is followed: {failure}")),
    }
}

fn position_of(fields: &str) -> Result<Position, Failure> {
    #[derive(Deserialize)]
    struct Named {
        epoch: u64,
        seq: u64,
    }
    let Named { epoch, seq } = serde_json::from_str(&format!("{{{fields}"))
        .map_err(|error| Failure::NotUnderstood(error.to_string()))?;
    Ok(Position { epoch, seq })
}
