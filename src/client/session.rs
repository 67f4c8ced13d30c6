//! A client's dealings with its server: whatever breaks on the way, a transfer is paid at most once.
//!
//! Each transfer gets a name, (session, number), before it is sent, and every retry carries that
//! very name, so the server knows it again. A client that gives up in between does not know what
//! became of it, and says so ([`Ending::Unknown`]) in place of guessing.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, RequestId, ServerId, SessionId};
use crate::bank::request::{ErrorCode, Outcome, Reply, Request, TransferRequest};
use crate::client::Options;
use crate::client::connection::{Connection, NoReply};
use crate::wire::{Answer, encode_request};

/// The pause before the first retry; doubled with each one…
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// …up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Why there is no answer of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server can't be reached; nothing was sent.
    NotSent(String),
    /// It was sent, and nothing came back.
    NoAnswer(String),
    /// The server answered with an error.
    Said(ErrorCode, String),
    /// Something came back that is no answer.
    NotUnderstood(String),
    /// The server at this address is another one.
    WrongServer(String),
}

impl Failure {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Failure::NotSent(_) | Failure::NoAnswer(_) => true,
            Failure::Said(code, _) => matches!(code, ErrorCode::Unavailable | ErrorCode::Store),
            Failure::NotUnderstood(_) | Failure::WrongServer(_) => false,
        }
    }

    /// Whether what was asked for may have happened all the same.
    fn leaves_open_what_happened(&self) -> bool {
        match self {
            Failure::NoAnswer(_) | Failure::NotUnderstood(_) => true,
            // A store that fails may have kept what it was given.
            Failure::Said(code, _) => *code == ErrorCode::Store,
            Failure::NotSent(_) | Failure::WrongServer(_) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotSent(why) => write!(f, "can't reach the server: {why}"),
            Failure::NoAnswer(why) => write!(f, "no answer from the server: {why}"),
            Failure::Said(_, message) => f.write_str(message),
            Failure::NotUnderstood(why) => write!(f, "the server's answer makes no sense: {why}"),
            Failure::WrongServer(why) => f.write_str(why),
        }
    }
}

/// How a transfer ended for its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The server says so. Never [`Outcome::Expired`].
    Decided(Outcome),
    /// It may or may not have happened.
    Unknown {
        /// Its name, by which it can be found in the log or the chain if it happened.
        request: RequestId,
        /// Why it isn't known.
        reason: String,
    },
    /// It was never taken in: it has not happened and will not.
    NotDone(Failure),
}

/// What a client has to spend on one command before it gives up.
struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    fn new(total: Duration) -> Self {
        Patience { until: after(total), pause: FIRST_PAUSE }
    }

    /// Waits before the next try; false if there is no time for one.
    ///
    /// The wait is random within its bound, so that clients who lost one server together don't
    /// come back to it together.
    fn wait(&mut self, because: &Failure) -> bool {
        let pause = self.pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if Instant::now() + pause >= self.until {
            return false;
        }
        log::info!("{because}; trying again");
        thread::sleep(pause);
        true
    }
}

/// The session that the server named, and the number of the next transfer in it.
#[derive(Debug)]
struct Opened {
    session: SessionId,
    number: u64,
}

/// A client of one server.
#[derive(Debug)]
pub struct Session {
    server: ServerId,
    address: String,
    timeout: Duration,
    give_up_after: Duration,
    connection: Option<Connection>,
    last_id: u64,
    opened: Option<Opened>,
}

impl Session {
    /// A client of the server that the options name. Connects when something is asked.
    pub fn new(options: &Options) -> Self {
        Session {
            server: options.id.clone(),
            address: options.address.clone(),
            timeout: options.timeout,
            give_up_after: options.give_up_after,
            connection: None,
            last_id: 0,
            opened: None,
        }
    }

    /// Asks something that may be asked twice: anything but a transfer.
    ///
    /// # Errors
    /// If there is no answer in time, or the answer is an error that doesn't pass.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        let mut patience = Patience::new(self.give_up_after);
        let mut said = None;
        loop {
            let failure = match self.attempt(request, patience.until) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if !failure.is_transient() || !patience.wait(&failure) {
                return Err(last_word(said, failure));
            }
            said = last_said(said, failure);
        }
    }

    /// Pays. `from` none is the server's own account.
    pub fn transfer(&mut self, from: Option<AccountId>, to: AccountId, amount: Amount) -> Ending {
        let order = TransferRequest { from, to, amount, request: None };
        let mut patience = Patience::new(self.give_up_after);
        let mut said = None;
        // The name under which a try was sent that may have been heard.
        let mut open = None;
        loop {
            let failure = match self.attempt_transfer(&order, &mut open, patience.until) {
                Ok(Outcome::Expired { reason }) => {
                    self.opened = None;
                    if let Some(request) = open {
                        return Ending::Unknown { request, reason };
                    }
                    // Never sent before, so it has not happened: it may be sent under a new name.
                    Failure::Said(ErrorCode::Unavailable, reason)
                }
                Ok(outcome) => {
                    self.use_up_number();
                    return Ending::Decided(outcome);
                }
                Err(failure) => failure,
            };
            if !failure.is_transient() || !patience.wait(&failure) {
                self.use_up_number();
                let failure = last_word(said, failure);
                return match open {
                    Some(request) => Ending::Unknown { request, reason: failure.to_string() },
                    None => Ending::NotDone(failure),
                };
            }
            said = last_said(said, failure);
        }
    }

    /// One try at a transfer, under the session's present number.
    fn attempt_transfer(
        &mut self,
        order: &TransferRequest,
        open: &mut Option<RequestId>,
        until: Instant,
    ) -> Result<Outcome, Failure> {
        let name = self.name(until)?;
        let order = TransferRequest { request: Some(name.clone()), ..order.clone() };
        let result = match self.attempt(&Request::Transfer(order), until) {
            Ok(Answer::Reply(Reply::Transfer(outcome))) => Ok(outcome),
            Ok(_) => Err(out_of_place()),
            Err(failure) => Err(failure),
        };
        if result.as_ref().is_err_and(Failure::leaves_open_what_happened) {
            *open = Some(name);
        }
        result
    }

    /// The name of the transfer at hand. Stays the same until its number is used up.
    fn name(&mut self, until: Instant) -> Result<RequestId, Failure> {
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => Opened { session: self.open_session(until)?, number: 1 },
        };
        let name = RequestId { session: opened.session.clone(), number: opened.number };
        self.opened = Some(opened);
        Ok(name)
    }

    /// One try at opening a session. What goes wrong here leaves nothing open about a transfer.
    fn open_session(&mut self, until: Instant) -> Result<SessionId, Failure> {
        let session = match self.attempt(&Request::Session, until)? {
            Answer::Reply(Reply::Session { session }) => session,
            _ => return Err(out_of_place()),
        };
        if session.server != self.server {
            let Session { server, address, .. } = self;
            let found = session.server;
            let what = format!("the server at {address} is {found}, not {server}");
            return Err(Failure::WrongServer(what));
        }
        Ok(session)
    }

    /// However a transfer ended, its number never stands for another one.
    fn use_up_number(&mut self) {
        if let Some(opened) = &mut self.opened {
            opened.number += 1;
        }
    }

    /// One try, on the present connection or else a new one.
    fn attempt(&mut self, request: &Request, until: Instant) -> Result<Answer, Failure> {
        let until = until.min(after(self.timeout));
        let mut connection = self.connect(until)?;
        self.last_id += 1;
        let id = self.last_id;
        match connection.ask(&encode_request(id, request), id, request, until) {
            Ok(answer) => {
                self.connection = Some(connection);
                match answer {
                    Answer::Reply(Reply::Error { error, message }) => {
                        Err(Failure::Said(error, message))
                    }
                    answer => Ok(answer),
                }
            }
            // The connection is closed here, before the next one is used: the server drops what
            // may still be on its way on the old one.
            Err(NoReply::Lost(why)) => Err(Failure::NoAnswer(why)),
            Err(NoReply::NotUnderstood(why)) => Err(Failure::NotUnderstood(why)),
        }
    }

    /// Takes the connection, or makes one if there is none or the server has closed it.
    fn connect(&mut self, until: Instant) -> Result<Connection, Failure> {
        // To see a closed connection before sending spares a try whose fate would be open.
        if let Some(connection) = self.connection.take().filter(Connection::is_open) {
            return Ok(connection);
        }
        Connection::open(&self.address, until)
            .map_err(|error| Failure::NotSent(format!("{} ({error})", self.address)))
    }
}

/// So much later, but for times that no clock can hold.
fn after(time: Duration) -> Instant {
    const A_DAY: Duration = Duration::from_secs(86_400);
    Instant::now() + time.min(A_DAY)
}

/// What is said of a reply of another kind than the request calls for.
pub(super) fn out_of_place() -> Failure {
    Failure::NotUnderstood("it answers another question".into())
}

/// Keeps what the server said last: it tells more than that there was no answer.
fn last_said(said: Option<Failure>, failure: Failure) -> Option<Failure> {
    if matches!(failure, Failure::Said(..)) { Some(failure) } else { said }
}

/// What to report at the end: the last failure, and before it what the server said, if it did.
fn last_word(said: Option<Failure>, last: Failure) -> Failure {
    match (said, last) {
        (
            Some(Failure::Said(code, message)),
            last @ (Failure::NotSent(_) | Failure::NoAnswer(_)),
        ) => Failure::Said(code, format!("{message}; then: {last}")),
        (_, last) => last,
    }
}
