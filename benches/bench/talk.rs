//! A client that asks one question after the other.

use std::io::{BufRead, BufReader, Write};

use paxos_banking::noise::SecretKey;
use serde_json::Value;

use super::Fallible;
use super::stream::Stream;

/// A connection for a few requests.
pub struct Talk {
    stream: BufReader<Stream>,
}

impl Talk {
    /// Connects.
    pub fn open(address: &str) -> Fallible<Talk> {
        Talk::open_with(address, None)
    }

    /// Connects, and proves a key if there is one.
    pub fn open_with(address: &str, key: Option<&SecretKey>) -> Fallible<Talk> {
        Ok(Talk { stream: BufReader::new(Stream::open(address, key)?) })
    }

    /// Sends something without waiting for what it is answered.
    pub fn say(&mut self, what: &Value) -> Fallible<()> {
        let sent = self.stream.get_mut().write_all(format!("{what}\n").as_bytes());
        sent.map_err(|error| error.to_string())
    }

    /// Sends a request and returns its reply.
    pub fn ask(&mut self, request: &Value) -> Fallible<Value> {
        self.say(request)?;
        let mut line = String::new();
        let read = self.stream.read_line(&mut line);
        match read.map_err(|error| format!("no reply to {request}: {error}"))? {
            0 => Err(format!("no reply to {request}: the server hung up")),
            _ => serde_json::from_str(&line).map_err(|error| format!("{line:?}: {error}")),
        }
    }
}
