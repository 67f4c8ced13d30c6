//! One server, called: the connection to it, made anew when it broke, and who answers there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::bank::ids::ServerId;
use crate::bank::request::{Order, Reply, Request};
use crate::client::Options;
use crate::client::connection::{Connection, NoReply, Question, Timed};
use crate::client::doors::Doors;
use crate::client::ending::{Failure, out_of_place};
use crate::client::interrupt::{Interrupt, Watched};
use crate::client::patience::after;
use crate::wire::Answer;

/// The least time to wait for an answer that comes only when a transfer is settled, or an order about the members is
/// carried out.
///
/// It is a server's own deadline for these, unless it was told another, and a second. A client that asked again
/// earlier would start the wait anew, and never hear that it was in vain.
const UNTIL_SETTLED: Duration = Duration::from_secs(6);

/// The most time for asking another server where the server is.
const GLANCE: Duration = Duration::from_millis(500);

/// The calls to one server.
#[derive(Debug)]
pub(super) struct Caller {
    server: ServerId,
    address: String,
    timeout: Duration,
    /// The bank's other servers, of which one may know where the server is now.
    others: BTreeMap<ServerId, String>,
    /// The way in; none for plain lines.
    doors: Option<Doors>,
    interrupt: Interrupt,
    connection: Option<Connection>,
    /// The number of connections so far.
    connections: u64,
    /// True if the other end of the connection has proved, or at least said, that it is the server.
    is_known: bool,
    last_id: u64,
}

impl Caller {
    /// Calls the server that the options name.
    pub fn new(options: &Options) -> Caller {
        let Options { id, address, others, timeout, doors, .. } = options;
        let caller = Caller::with(id.clone(), address.clone(), *timeout, doors.clone());
        Caller { others: others.clone(), ..caller }
    }

    fn with(server: ServerId, address: String, timeout: Duration, doors: Option<Doors>) -> Caller {
        Caller {
            server,
            address,
            timeout,
            others: BTreeMap::new(),
            doors,
            interrupt: Interrupt::default(),
            connection: None,
            connections: 0,
            is_known: false,
            last_id: 0,
        }
    }

    /// Makes calls to another server, which the same interrupt ends.
    pub fn at(&self, server: ServerId, address: String) -> Caller {
        let doors = self.doors.as_ref().map(Doors::elsewhere);
        let interrupt = self.interrupt.clone();
        Caller { interrupt, ..Caller::with(server, address, self.timeout, doors) }
    }

    /// Makes other calls to the same server, with an interrupt of their own.
    pub fn beside(&self, timeout: Duration) -> Caller {
        let (server, address) = (self.server.clone(), self.address.clone());
        let others = self.others.clone();
        Caller { others, ..Caller::with(server, address, timeout, self.doors.clone()) }
    }

    /// Has this interrupt end the waiting.
    pub fn ended_by(self, interrupt: Interrupt) -> Caller {
        Caller { interrupt, ..self }
    }

    /// Returns the server.
    pub fn server(&self) -> &ServerId {
        &self.server
    }

    /// Returns its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns how long one answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns the interrupt that ends the waiting.
    pub fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Returns the number of the present connection. What goes with a connection ends when it changes.
    pub fn connection(&self) -> u64 {
        self.connections
    }

    /// Tries a question once, on the present connection or a new one. Nothing is asked of any other server
    /// than the one that is meant.
    pub fn ask(&mut self, question: Question<'_>, until: Instant) -> Result<Answer, Failure> {
        self.connect(until)?;
        if !self.is_known && !says_who(question) {
            match self.exchange(Question::Request(&Request::Status), until)? {
                Answer::Reply(Reply::Status(_) | Reply::Short(_)) => {}
                _ => return Err(out_of_place()),
            }
        }
        self.exchange(question, until)
    }

    /// Makes sure of a connection that the server hasn't closed.
    pub fn connect(&mut self, until: Instant) -> Result<(), Failure> {
        // Seeing a closed connection before sending spares a try whose outcome would stay open.
        if !self.connection.as_ref().is_some_and(Connection::is_open) {
            self.hang_up();
            let until = until.min(after(self.timeout));
            let stream = Timed::dial(&self.address, until)
                .map_err(|error| Failure::NotSent(format!("{} ({error})", self.address)))?;
            self.connection = Some(match &self.doors {
                None => Connection::plain(stream),
                Some(doors) => {
                    let socket = stream.socket().try_clone();
                    let _watched = socket.as_ref().ok().map(|socket| self.interrupt.watch(socket));
                    let (server, address) = (Some(&self.server), self.address.as_str());
                    let secured = doors.enter(stream, until, server, address)?;
                    self.is_known = true;
                    Connection::sealed(secured)
                }
            });
            self.connections += 1;
        }
        Ok(())
    }

    /// Asks one question on the present connection.
    pub fn exchange(&mut self, question: Question<'_>, until: Instant) -> Result<Answer, Failure> {
        let Some(connection) = &mut self.connection else {
            return Err(Failure::NotSent("there is no connection".into()));
        };
        let until = until.min(after(time_for(question, self.timeout)));
        self.last_id += 1;
        match connection.ask(question, self.last_id, until, &self.interrupt) {
            Ok(Answer::Reply(Reply::Error { error, message })) => {
                Err(Failure::Said(error, message))
            }
            Ok(answer) => self.check_who(&answer).map(|()| answer),
            Err(no_reply) => {
                // Before the next connection is used: the server drops what may still be on its way on the
                // old one.
                self.hang_up();
                Err(failure_of(no_reply))
            }
        }
    }

    /// Waits for the next line of the present connection.
    pub fn next_line(&mut self, until: Instant) -> Result<&[u8], Failure> {
        let Some(connection) = &mut self.connection else {
            return Err(Failure::NotSent("there is no connection".into()));
        };
        connection.next_line(until).map_err(failure_of)
    }

    /// Has the interrupt end what is waited for on the present connection.
    pub fn watched<'a>(&self, interrupt: &'a Interrupt) -> Option<Watched<'a>> {
        self.connection.as_ref().map(|connection| connection.watched(interrupt))
    }

    /// Returns the id of the last question.
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Checks who answered, if the answer says it.
    fn check_who(&mut self, answer: &Answer) -> Result<(), Failure> {
        let found = match answer {
            Answer::Reply(Reply::Status(status)) => &status.server,
            Answer::Reply(Reply::Short(status)) => &status.server,
            Answer::Reply(Reply::Session { session, .. }) => &session.server,
            _ => return Ok(()),
        };
        if *found != self.server {
            let Caller { server, address, .. } = self;
            let what = format!("the server at {address} is {found}, not {server}");
            self.hang_up();
            return Err(Failure::WrongServer(what));
        }
        self.is_known = true;
        Ok(())
    }

    /// Asks the other servers where the server is found, if it isn't at its address. True if it has moved: it is
    /// called there from now on. Only the server itself, by its id and its key, is spoken to there.
    pub fn follows(&mut self, failure: &Failure, until: Instant) -> bool {
        if !matches!(failure, Failure::NotSent(_) | Failure::WrongServer(_)) {
            return false;
        }
        let others = self.others.clone();
        let found = others.into_iter().find_map(|(id, at)| {
            let mut other = self.at(id, at);
            other.timeout = other.timeout.min(GLANCE);
            other.knows_elsewhere(&self.server, &self.address, until)
        });
        let Some(address) = found else { return false };
        log::info!(
            "{} is at {address} now, by the others, and not at {}",
            self.server,
            self.address
        );
        if let Some(doors) = &mut self.doors {
            doors.follow(&self.address);
        }
        self.address = address;
        true
    }

    /// Returns where a server is found, by this one, unless that is where it was looked for.
    fn knows_elsewhere(&mut self, id: &ServerId, at: &str, until: Instant) -> Option<String> {
        let answer = self.ask(Question::Request(&Request::Status), until).ok()?;
        let Answer::Reply(Reply::Status(status)) = answer else { return None };
        let peer = status.peers.into_iter().find(|peer| peer.id == *id)?;
        (!peer.address.is_empty() && peer.address != at).then_some(peer.address)
    }

    /// Ends the connection, and the session with it.
    pub fn hang_up(&mut self) {
        self.connection = None;
        self.is_known = false;
    }
}

fn failure_of(no_reply: NoReply) -> Failure {
    match no_reply {
        NoReply::Lost(why) => Failure::NoAnswer(why),
        NoReply::NotUnderstood(why) => Failure::NotUnderstood(why),
    }
}

/// True if the answer to a question says by itself which server gives it.
fn says_who(question: Question<'_>) -> bool {
    matches!(question, Question::Request(Request::Status | Request::Session(_)))
}

/// Returns how long one answer may take.
fn time_for(question: Question<'_>, timeout: Duration) -> Duration {
    let until_settled = match question {
        Question::Request(Request::Settle) => true,
        Question::Request(Request::Members(order)) => *order != Order::Show,
        Question::Request(Request::One(instruction)) => instruction.settled,
        Question::Request(Request::Batch(instructions)) => {
            instructions.iter().any(|one| one.settled)
        }
        _ => false,
    };
    if until_settled { timeout.max(UNTIL_SETTLED) } else { timeout }
}
