//! One connection to a server. Everything it does ends at a given time.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;

use crate::bank::request::Request;
use crate::client::interrupt::Interrupt;
use crate::wire::link::LinkOrder;
use crate::wire::{
    Answer, LineRead, LineReader, MAX_PEER_LINE, encode_order, encode_request, parse_faults,
    parse_reply,
};

/// A stream whose reads and writes together end at a given time: a server that sends a byte now and then
/// must not keep anyone waiting for ever.
#[derive(Debug)]
struct Timed {
    stream: TcpStream,
    until: Cell<Instant>,
}

impl Timed {
    fn remaining(&self) -> io::Result<std::time::Duration> {
        let remaining = self.until.get().saturating_duration_since(Instant::now());
        // Zero would mean "for ever" to the socket.
        if remaining.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(remaining) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.remaining()?))?;
        self.stream.read(buffer)
    }
}

impl Write for &Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.remaining()?))?;
        (&self.stream).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A question to a server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question<'a> {
    /// A request to the bank.
    Request(&'a Request),
    /// An order about the server's links.
    Link(&'a LinkOrder),
}

impl Question<'_> {
    fn line(self, id: u64) -> String {
        match self {
            Question::Request(request) => encode_request(id, request),
            Question::Link(order) => encode_order(id, order),
        }
    }

    fn answer(self, line: &[u8], id: u64) -> Result<Option<Answer>, String> {
        match self {
            Question::Request(request) => parse_reply(line, id, request),
            Question::Link(_) => parse_faults(line, id),
        }
    }
}

/// Why a reply did not come.
#[derive(Debug)]
pub(super) enum NoReply {
    /// The connection broke, or time ran out.
    Lost(String),
    /// A line came that is no reply.
    NotUnderstood(String),
}

/// A connection to a server; dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
    reader: LineReader<Timed>,
}

impl Connection {
    /// Connects to the first of the address's hosts that answers.
    pub(super) fn open(address: &str, until: Instant) -> io::Result<Connection> {
        let mut last = io::Error::new(ErrorKind::NotFound, "no such host");
        for host in address.to_socket_addrs()? {
            let remaining = until.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            match TcpStream::connect_timeout(&host, remaining) {
                Ok(stream) => {
                    // A request is one small write, and the client waits for its reply.
                    stream.set_nodelay(true)?;
                    let until = Cell::new(until);
                    return Ok(Connection { reader: LineReader::new(Timed { stream, until }) });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// True unless the server has closed the connection, as far as is known here.
    pub(super) fn is_open(&self) -> bool {
        let stream = &self.reader.get_ref().stream;
        let peek = || {
            stream.set_nonblocking(true)?;
            let peeked = stream.peek(&mut [0]);
            stream.set_nonblocking(false)?;
            peeked
        };
        match peek() {
            Ok(bytes) => bytes > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    /// Asks, and waits for this question's own answer or the interrupt. Answers to older questions are
    /// dropped.
    pub(super) fn ask(
        &mut self,
        question: Question<'_>,
        id: u64,
        until: Instant,
        interrupt: &Interrupt,
    ) -> Result<Answer, NoReply> {
        let timed = self.reader.get_ref();
        let _watched = interrupt.watch(&timed.stream);
        timed.until.set(until);
        let mut stream = timed;
        stream.write_all(question.line(id).as_bytes()).map_err(|error| lost(&error))?;
        loop {
            let line = match self.reader.read_line(MAX_PEER_LINE) {
                Ok(LineRead::Line(line)) => line,
                Ok(LineRead::End | LineRead::Cut) => {
                    return Err(NoReply::Lost("the connection was closed".into()));
                }
                Ok(LineRead::TooLong) => {
                    return Err(NoReply::NotUnderstood("a line without end".into()));
                }
                Err(error) => return Err(lost(&error)),
            };
            if let Some(answer) = question.answer(line, id).map_err(NoReply::NotUnderstood)? {
                return Ok(answer);
            }
        }
    }
}

fn lost(error: &io::Error) -> NoReply {
    NoReply::Lost(match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "no reply in time".into(),
        _ => format!("the connection broke ({error})"),
    })
}
