//! Requests as they are read from a connection.

use std::io::{self, Read};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::http::limits::Limits;

/// The most headers of a request.
const HEADERS: usize = 64;
/// How many bytes are read at a time.
const PIECE: usize = 2048;

/// A request, all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Its method, such as `GET`.
    pub method: String,
    /// The path of its target, without the question.
    pub path: String,
    /// What follows the path after a question mark; empty if there is none.
    pub query: String,
    /// Its headers, with their names in small letters.
    pub headers: Vec<(String, String)>,
    /// What follows the head.
    pub body: Vec<u8>,
}

/// Why there is no request.
#[derive(Debug)]
pub(super) enum Unread {
    /// The other end has gone, or was too slow: there is nobody to tell.
    Gone,
    /// It is no request that can be served: the status to answer, and why.
    Wrong(u16, &'static str),
}

impl From<io::Error> for Unread {
    fn from(_: io::Error) -> Unread {
        Unread::Gone
    }
}

impl Request {
    /// Returns the header of this name; the name in small letters. None if it is missing, or there twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(of, _)| of == name);
        let (_, value) = found.next()?;
        found.next().is_none().then_some(value)
    }

    /// Returns the parameter of this name in the query, with what was escaped in it.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(of, _)| *of == name).map(|(_, value)| unescaped(value))
    }

    /// Reads a request from a connection, within the limits.
    pub(super) fn read(stream: &TcpStream, limits: &Limits) -> Result<Request, Unread> {
        let until = Instant::now() + limits.time;
        let mut bytes = Vec::new();
        let (mut request, length) = loop {
            if let Some(head) = head_of(&bytes)? {
                break head;
            }
            if bytes.len() > limits.head {
                return Err(Unread::Wrong(431, "the head of the request is too long"));
            }
            read_more(stream, &mut bytes, until)?;
        };
        let body = request.header("content-length").map_or(Ok(0), str::parse::<usize>);
        if request.header("transfer-encoding").is_some() {
            return Err(Unread::Wrong(411, "the length of the body has to be told"));
        }
        let body = body.map_err(|_| Unread::Wrong(400, "the content-length is no number"))?;
        if body > limits.body {
            return Err(Unread::Wrong(413, "the body of the request is too long"));
        }
        while bytes.len() < length + body {
            read_more(stream, &mut bytes, until)?;
        }
        request.body = bytes[length..length + body].to_vec();
        Ok(request)
    }
}

/// Parses a head, if it is all there; returns its length, too.
fn head_of(bytes: &[u8]) -> Result<Option<(Request, usize)>, Unread> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Unread::Wrong(431, "the request has too many headers"));
        }
        Err(_) => return Err(Unread::Wrong(400, "this is no request of HTTP/1.1")),
    };
    let target = parsed.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let text = |header: &httparse::Header<'_>| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_ascii_lowercase(), value)
    };
    let request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: parsed.headers.iter().map(text).collect(),
        body: Vec::new(),
    };
    Ok(Some((request, length)))
}

/// Reads what is there, until the time is over: a byte now and then gains no time.
fn read_more(mut stream: &TcpStream, bytes: &mut Vec<u8>, until: Instant) -> Result<(), Unread> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Unread::Wrong(408, "the request took too long"));
    }
    stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
    let mut piece = [0; PIECE];
    match stream.read(&mut piece) {
        Ok(0) => Err(Unread::Gone),
        Ok(read) => {
            bytes.extend_from_slice(&piece[..read]);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
        {
            Err(Unread::Wrong(408, "the request took too long"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Lets the other end read the reply before the connection ends: what it still sends would reset it.
pub(super) fn close(stream: &TcpStream) {
    const PATIENCE: Duration = Duration::from_millis(200);
    let _ = stream.shutdown(Shutdown::Write);
    let until = Instant::now() + PATIENCE;
    let mut rest = Vec::new();
    while rest.len() < PIECE && read_more(stream, &mut rest, until).is_ok() {}
}

/// Returns what a part of a query means: `+` is a space, and `%41` an `A`.
fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        let escaped = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let escaped = escaped.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, escaped) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart_once_it_is_all_there() {
        let text =
            "GET /a/b?x=1&y=%3Cb%3E+c HTTP/1.1\r\nHost: here\r\nX-Two: 1\r\nx-two: 2\r\n\r\nrest";
        assert!(matches!(head_of(&text.as_bytes()[..40]), Ok(None)));
        let (request, length) = head_of(text.as_bytes()).ok().flatten().unwrap();
        assert_eq!(length, text.len() - "rest".len());
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/a/b"));
        assert_eq!(request.parameter("y").as_deref(), Some("<b> c"));
        assert_eq!(request.parameter("z"), None);
        assert_eq!(request.header("host"), Some("here"));
        assert_eq!(request.header("x-two"), None, "which of the two counts?");
    }

    #[test]
    fn what_is_no_request_is_told_apart() {
        let wrong = |text: &str| match head_of(text.as_bytes()) {
            Err(Unread::Wrong(status, _)) => Some(status),
            _ => None,
        };
        assert_eq!(wrong("{\"status\":{}}\n"), Some(400));
        let many: String = (0..=HEADERS).map(|n| format!("a{n}: b\r\n")).collect();
        assert_eq!(wrong(&format!("GET / HTTP/1.1\r\n{many}\r\n")), Some(431));
        assert_eq!(unescaped("%zz%4"), "%zz%4");
    }
}
