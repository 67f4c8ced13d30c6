//! One connection to a server. Everything it does ends at a given time.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::bank::request::Request;
use crate::client::interrupt::{Interrupt, Watched};
use crate::noise::{self, Opener, Sealer, Secured};
use crate::wire::link::LinkOrder;
use crate::wire::traces::{encode_trace, parse_first};
use crate::wire::{
    Answer, LineRead, LineReader, MAX_PEER_LINE, encode_order, encode_request, parse_faults,
    parse_reply,
};

/// A stream whose reads and writes together end at a given time: a server that sends a byte now and then
/// must not keep anyone waiting for ever.
#[derive(Debug)]
pub(super) struct Timed {
    stream: TcpStream,
    until: Cell<Instant>,
}

impl Timed {
    /// Connects to the first of the address's hosts that answers.
    pub(super) fn dial(address: &str, until: Instant) -> io::Result<Timed> {
        let stream = dial(address, until)?;
        Ok(Timed { stream, until: Cell::new(until) })
    }

    /// Returns the socket.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    fn remaining(&self) -> io::Result<Duration> {
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

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Its reads have a time of their own, which no other makes longer.
impl noise::Timed for Timed {
    fn read_time(&self) -> io::Result<Option<Duration>> {
        Ok(None)
    }

    fn set_read_time(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
}

/// Connects to the first of the address's hosts that answers, by this instant.
///
/// # Errors
/// Why the last one could not be reached, or that there is no such host.
pub fn dial(address: &str, until: Instant) -> io::Result<TcpStream> {
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
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A question to a server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question<'a> {
    /// A request to the bank.
    Request(&'a Request),
    /// An order about the server's links.
    Link(&'a LinkOrder),
    /// The order to be told the server's trace.
    Trace,
}

impl Question<'_> {
    fn line(self, id: u64) -> String {
        match self {
            Question::Request(request) => encode_request(id, request),
            Question::Link(order) => encode_order(id, order),
            Question::Trace => encode_trace(id),
        }
    }

    fn answer(self, line: &[u8], id: u64) -> Result<Option<Answer>, String> {
        match self {
            Question::Request(request) => parse_reply(line, id, request),
            Question::Link(_) => parse_faults(line, id),
            Question::Trace => parse_first(line, id),
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

/// What a server says: in the clear, or opened after a handshake.
#[derive(Debug)]
enum Heard {
    Plain(Timed),
    Sealed(Opener<Timed>),
}

impl Heard {
    fn timed(&self) -> &Timed {
        match self {
            Heard::Plain(timed) => timed,
            Heard::Sealed(opener) => opener.get_ref(),
        }
    }
}

impl Read for Heard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Heard::Plain(timed) => timed.read(buffer),
            Heard::Sealed(opener) => opener.read(buffer),
        }
    }
}

/// A connection to a server; dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
    reader: LineReader<Heard>,
    /// Seals what is said, after a handshake.
    sealer: Option<Sealer>,
}

impl Connection {
    /// Makes a connection of plain lines.
    pub(super) fn plain(stream: Timed) -> Connection {
        Connection { reader: LineReader::new(Heard::Plain(stream)), sealer: None }
    }

    /// Makes a connection of sealed lines.
    pub(super) fn sealed(secured: Secured<Timed>) -> Connection {
        let Secured { sealer, opener, .. } = secured;
        Connection { reader: LineReader::new(Heard::Sealed(opener)), sealer: Some(sealer) }
    }

    /// True unless the server has closed the connection, as far as is known here.
    pub(super) fn is_open(&self) -> bool {
        let stream = &self.reader.get_ref().timed().stream;
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
        let mut bytes = question.line(id).into_bytes();
        if let Some(sealer) = &mut self.sealer {
            let mut sealed = Vec::new();
            sealer.seal(&bytes, &mut sealed);
            bytes = sealed;
        }
        let mut stream = self.reader.get_ref().timed();
        let _watched = interrupt.watch(&stream.stream);
        stream.until.set(until);
        stream.write_all(&bytes).map_err(|error| lost(&error))?;
        loop {
            let line = self.next_line(until)?;
            if let Some(answer) = question.answer(line, id).map_err(NoReply::NotUnderstood)? {
                return Ok(answer);
            }
        }
    }
}

impl Connection {
    /// Waits for the next line, whatever it answers.
    pub(super) fn next_line(&mut self, until: Instant) -> Result<&[u8], NoReply> {
        self.reader.get_ref().timed().until.set(until);
        match self.reader.read_line(MAX_PEER_LINE) {
            Ok(LineRead::Line(line)) => Ok(line),
            Ok(LineRead::End | LineRead::Cut(_)) => {
                Err(NoReply::Lost("the connection was closed".into()))
            }
            Ok(LineRead::TooLong) => Err(NoReply::NotUnderstood("a line without end".into())),
            Err(error) => Err(lost(&error)),
        }
    }

    /// Has the interrupt end what is waited for on this connection.
    pub(super) fn watched<'a>(&self, interrupt: &'a Interrupt) -> Watched<'a> {
        interrupt.watch(&self.reader.get_ref().timed().stream)
    }
}

fn lost(error: &io::Error) -> NoReply {
    NoReply::Lost(match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "no reply in time".into(),
        _ => format!("the connection broke ({error})"),
    })
}
