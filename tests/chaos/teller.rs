//! A client's connection to a bank on which things go wrong: it retries under the same names, and
//! keeps apart what has not happened from what it doesn't know.

use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use paxos_banking::bank::ids::{RequestId, SessionId};
use paxos_banking::bank::request::{ErrorCode, Instruction, Outcome, Reply, Request};
use paxos_banking::wire::{
    Answer, LineRead, LineReader, MAX_PEER_LINE, encode_request, parse_reply,
};

use crate::support::checker::history::{Asked, Fate};

/// Why a try brought no answer.
enum Failure {
    /// Nothing was done by this try.
    NothingDone,
    /// What was sent may have been heard.
    Open,
}

/// Speaks to one server.
pub struct Teller {
    address: String,
    connection: Option<LineReader<TcpStream>>,
    last_id: u64,
    session: Option<SessionId>,
    number: u64,
    pub dice: fastrand::Rng,
}

impl Teller {
    /// One that connects when it has something to say.
    pub fn new(address: &str, dice: fastrand::Rng) -> Teller {
        let address = address.to_owned();
        Teller { address, connection: None, last_id: 0, session: None, number: 0, dice }
    }

    /// Asks something that may be asked twice, once; the answer may never come.
    pub fn ask(&mut self, request: &Request) -> Option<Reply> {
        self.connect().ok()?;
        self.exchange(request, Duration::from_secs(2)).ok()
    }

    /// Has something done, however often it has to be sent. Returns what became of it.
    pub fn order(&mut self, mut instructions: Vec<Instruction>) -> Vec<Asked> {
        let patience = Duration::from_millis(self.dice.u64(1_000..8_000));
        let until = Instant::now() + patience;
        if !self.name(&mut instructions, until) {
            return Vec::new();
        }
        let request = match &instructions[..] {
            [one] => Request::One(one.clone()),
            _ => Request::Batch(instructions.clone()),
        };
        let mut heard = false;
        while Instant::now() < until {
            match self.attempt(&request) {
                Ok(outcomes) if outcomes.len() == instructions.len() => {
                    let fates = outcomes.into_iter().map(|outcome| fate(outcome, heard));
                    return instructions.into_iter().zip(fates).map(asked).collect();
                }
                Ok(outcomes) => panic!("{} outcomes for {request:?}", outcomes.len()),
                Err(Failure::Open) => heard = true,
                Err(Failure::NothingDone) => {}
            }
            thread::sleep(Duration::from_millis(self.dice.u64(5..200)));
        }
        let fate = if heard { Fate::Unknown } else { Fate::NotDone("not sent") };
        instructions.into_iter().map(|one| asked((one, fate.clone()))).collect()
    }

    /// Gives names to what is to be done; false if there is no session to be had.
    fn name(&mut self, instructions: &mut [Instruction], until: Instant) -> bool {
        if self.session.is_none() || self.dice.u8(..20) == 0 {
            self.session = None;
            while self.session.is_none() {
                if Instant::now() > until {
                    return false;
                }
                match self.ask(&Request::Session(None)) {
                    Some(Reply::Session { session, .. }) => self.session = Some(session),
                    _ => thread::sleep(Duration::from_millis(self.dice.u64(5..200))),
                }
            }
            self.number = 0;
        }
        for instruction in instructions {
            self.number += 1;
            let session = self.session.clone().expect("it was just opened");
            instruction.request = Some(RequestId { session, number: self.number });
        }
        true
    }

    fn attempt(&mut self, request: &Request) -> Result<Vec<Outcome>, Failure> {
        self.connect()?;
        let patience = Duration::from_millis(self.dice.u64(300..4_000));
        match self.exchange(request, patience)? {
            Reply::One(outcome) => Ok(vec![outcome]),
            Reply::Batch { outcomes } => Ok(outcomes),
            // A store that fails may have kept what it was given.
            Reply::Error { error: ErrorCode::Store, .. } => Err(Failure::Open),
            Reply::Error { error: ErrorCode::Unavailable | ErrorCode::Full, .. } => {
                Err(Failure::NothingDone)
            }
            other => panic!("{request:?} is answered by {other:?}"),
        }
    }

    fn connect(&mut self) -> Result<(), Failure> {
        if self.connection.is_some() {
            return Ok(());
        }
        let connect = || {
            let address = self.address.to_socket_addrs().ok()?.next()?;
            let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
            stream.set_nodelay(true).ok()?;
            stream.set_write_timeout(Some(Duration::from_secs(1))).ok()?;
            Some(stream)
        };
        self.connection = Some(LineReader::new(connect().ok_or(Failure::NothingDone)?));
        Ok(())
    }

    /// One try on the present connection.
    fn exchange(&mut self, request: &Request, patience: Duration) -> Result<Reply, Failure> {
        self.last_id += 1;
        let id = self.last_id;
        let connection = self.connection.as_mut().expect("it is connected");
        let sent = connection.get_ref().write_all(encode_request(id, request).as_bytes());
        let reply = sent.ok().map(|()| read_reply(connection, id, request, patience));
        match reply {
            Some(Read::Reply(reply)) => return Ok(reply),
            // Sent once more on the same connection, it comes after what is late there.
            Some(Read::Late) if self.dice.bool() => {}
            _ => self.connection = None,
        }
        Err(Failure::Open)
    }
}

enum Read {
    Reply(Reply),
    Late,
    Lost,
}

fn read_reply(
    connection: &mut LineReader<TcpStream>,
    id: u64,
    request: &Request,
    patience: Duration,
) -> Read {
    let until = Instant::now() + patience;
    loop {
        let rest = until.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Read::Late;
        }
        let _ = connection.get_ref().set_read_timeout(Some(rest));
        let line = match connection.read_line(MAX_PEER_LINE) {
            Ok(LineRead::Line(line)) => line,
            Ok(LineRead::TooLong) => panic!("a server sends a line without end"),
            Ok(LineRead::End | LineRead::Cut(_)) => return Read::Lost,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Read::Late,
            Err(_) => return Read::Lost,
        };
        match parse_reply(line, id, request) {
            Ok(Some(Answer::Reply(reply))) => return Read::Reply(reply),
            Ok(Some(other)) => panic!("nobody asked for {other:?}"),
            Ok(None) => {}
            Err(why) => panic!("a server's answer makes no sense: {why}"),
        }
    }
}

fn fate(outcome: Outcome, heard: bool) -> Fate {
    match outcome {
        Outcome::Accepted { epoch, seq, balance, repeated, settled, .. } => {
            // What is told later may be of later.
            let says_so = !repeated && settled.is_none();
            Fate::Accepted { epoch, seq, balance: says_so.then_some(balance.units()) }
        }
        Outcome::Refused { .. } => Fate::NotDone("refused"),
        Outcome::Unavailable { .. } => Fate::NotDone("unavailable"),
        Outcome::Invalid { .. } => Fate::NotDone("invalid"),
        Outcome::LinkedFailed { .. } => Fate::NotDone("linked failed"),
        Outcome::WrongServer { reason, .. } => panic!("everything goes to its home: {reason}"),
        Outcome::Expired { .. } if heard => Fate::Unknown,
        Outcome::Expired { .. } => Fate::NotDone("expired"),
    }
}

fn asked((instruction, fate): (Instruction, Fate)) -> Asked {
    let Instruction { action, request, linked, .. } = instruction;
    Asked { request: request.expect("it has a name"), action, linked, fate }
}
