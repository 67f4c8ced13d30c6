//! What goes back to whoever asked.

use std::fmt;
use std::time::Duration;

/// A reply.
#[derive(Debug)]
pub struct Reply {
    /// The status, such as 200.
    pub status: u16,
    /// Headers beside those that every reply has.
    pub headers: Vec<(&'static str, String)>,
    /// What follows the head.
    pub body: Body,
}

/// What follows the head of a reply.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// What comes, until there is no more.
    Stream(Box<dyn Events>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Whole(bytes) => write!(f, "{} bytes", bytes.len()),
            Body::Stream(_) => f.write_str("a stream"),
        }
    }
}

/// A source of what a stream says.
pub trait Events: Send {
    /// Waits for what comes next, at most for so long.
    fn next(&mut self, most: Duration) -> Next;
}

/// What comes next in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing yet.
    Nothing,
    /// The end.
    End,
}

impl Reply {
    /// Makes a reply of this status, and of this text, of this kind, such as `text/plain`.
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Reply {
        let headers = vec![("Content-Type", format!("{kind}; charset=utf-8"))];
        Reply { status, headers, body: Body::Whole(body.into()) }
    }

    /// Makes a reply of this status, with a line for people.
    pub fn line(status: u16, line: &str) -> Reply {
        Reply::new(status, "text/plain", format!("{line}\n"))
    }

    /// Makes a stream of events, as browsers take them.
    pub fn events(events: impl Events + 'static) -> Reply {
        let headers = vec![("Content-Type", "text/event-stream".to_owned())];
        Reply { status: 200, headers, body: Body::Stream(Box::new(events)) }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// Returns the head.
    pub(super) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        for (name, value) in &self.headers {
            // A value never ends its line: another line would be another header.
            let value: String = value.chars().filter(|c| !c.is_control()).collect();
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Body::Whole(body) = &self.body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str(
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        );
        head
    }
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_s_value_can_t_become_another_header() {
        let head = Reply::line(200, "x").with("Allow", "GET\r\nSet-Cookie: a=b").head();
        assert!(!head.contains("\r\nSet-Cookie"), "{head}");
        assert!(head.contains("Content-Length: 2\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }
}
