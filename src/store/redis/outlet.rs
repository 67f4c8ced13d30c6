//! A Redis Stream into which entries are put for others to read, under ids that only grow.
//!
//! The id of an entry is its place in the chain, so the stream itself remembers how far it has come: Redis takes no
//! id that isn't higher than all before, and keeps the last one even when the entries are trimmed. Several entries go in one
//! transaction, all or none: were each for itself, one could be refused by a Redis that is full, and the
//! next one taken.

use std::time::Duration;

use redis::{Cmd, Value};

use crate::bank::follow::Place;
use crate::store::StoreError;
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::{borrowed, command, exactly, values};
use crate::store::redis::target::Target;
use crate::store::redis::words::refusal;

/// The field that names the bank, and the field with the entry.
const BANK: &str = "bank";
const ENTRY: &str = "entry";

/// Why entries can't be put into the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutletError {
    /// Trying again may help.
    Away(String),
    /// Trying again doesn't help.
    Wrong(String),
}

impl From<StoreError> for OutletError {
    fn from(error: StoreError) -> OutletError {
        match error.is_transient() {
            true => OutletError::Away(error.to_string()),
            false => OutletError::Wrong(error.to_string()),
        }
    }
}

/// How far a stream has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The last place that was ever put there.
    pub last: Option<Place>,
    /// The bank that the newest entry names, if there is an entry.
    pub bank: Option<String>,
}

/// A stream, with a connection of its own.
pub struct Outlet {
    link: RedisConnection,
    key: String,
    place: String,
}

impl Outlet {
    /// Connects to the Redis at `url`, for the stream of this key.
    ///
    /// # Errors
    /// If the URL is wrong, or Redis is not there.
    pub fn open(url: &str, key: &str, timeout: Duration) -> Result<Outlet, OutletError> {
        let target = Target::parse(url, timeout, timeout)?;
        let place = format!("the stream {key} in Redis at {}", target.place());
        Ok(Outlet { link: RedisConnection::open(&target)?, key: key.to_owned(), place })
    }

    /// Looks how far the stream has come.
    ///
    /// # Errors
    /// If the key holds something else than a relay's stream, or Redis gives no answer.
    pub fn standing(&mut self) -> Result<Standing, OutletError> {
        let none = Standing { last: None, bank: None };
        let [kind] = exactly(self.link.request(&[command("TYPE", &[&self.key])])?)?;
        match self.said(&kind)? {
            "none" => return Ok(none),
            "stream" => {}
            other => {
                return Err(
                    self.wrong(format!("the key holds a {other}, and no stream; name another key"))
                );
            }
        }
        let about = command("XINFO", &["STREAM", &self.key]);
        let newest = command("XREVRANGE", &[&self.key, "+", "-", "COUNT", "1"]);
        let [about, newest] = exactly(self.link.request(&[about, newest])?)?;
        let about = values(&self.key, self.answered(about)?)?;
        let mut fields = about.chunks(2);
        let last = fields.find_map(|field| match field {
            [name, value] if borrowed(name, String::new).ok() == Some("last-generated-id") => {
                borrowed(value, String::new).ok()
            }
            _ => None,
        });
        let place =
            |id: &str| id.parse::<Place>().map_err(|_| self.wrong(format!("its last id is {id}")));
        let last = last.map(place).transpose()?.filter(|last| *last > Place::first_of(0));
        let bank = match values(&self.key, self.answered(newest)?)?.pop() {
            None => None,
            Some(entry) => Some(self.bank_of(entry)?),
        };
        Ok(Standing { last, bank })
    }

    /// Returns the bank that an entry names.
    fn bank_of(&self, entry: Value) -> Result<String, OutletError> {
        let [id, fields] = exactly(values(&self.key, entry)?)?;
        let fields = values(&self.key, fields)?;
        let mut named = fields.chunks(2).filter_map(|field| match field {
            [name, value] => {
                Some((borrowed(name, String::new).ok()?, borrowed(value, String::new).ok()?))
            }
            _ => None,
        });
        let bank = named.find(|(name, _)| *name == BANK).map(|(_, value)| value.to_owned());
        bank.ok_or_else(|| {
            let id = borrowed(&id, String::new).unwrap_or("?").to_owned();
            self.wrong(format!("its newest entry, {id}, is not a relay's; name another key"))
        })
    }

    /// Puts entries of a bank into the stream, all or none. False if some were there already: then it has come further
    /// than was known.
    ///
    /// # Errors
    /// If nothing, as far as is known, was put there.
    pub fn add(&mut self, bank: &str, entries: &[(Place, String)]) -> Result<bool, OutletError> {
        let add = |(place, entry): &(Place, String)| {
            command("XADD", &[&self.key, &place.to_string(), BANK, bank, ENTRY, entry])
        };
        let mut commands: Vec<Cmd> = vec![command("MULTI", &[])];
        commands.extend(entries.iter().map(add));
        commands.push(command("EXEC", &[]));
        let mut replies = self.link.request(&commands)?;
        let executed = replies.pop().unwrap_or(Value::Nil);
        // Why nothing was executed is said where it was queued.
        for reply in replies.into_iter().chain([executed.clone()]) {
            if let Value::ServerError(_) = &reply
                && !is_aborted(&reply)
            {
                self.answered(reply)?;
            }
        }
        let done = values(&self.key, self.answered(executed)?)?;
        let mut all_new = true;
        for reply in done {
            match reply {
                Value::ServerError(error)
                    if error.details().is_some_and(|why| why.contains("equal or smaller")) =>
                {
                    all_new = false;
                }
                reply => drop(self.answered(reply)?),
            }
        }
        Ok(all_new)
    }

    /// Takes an error of Redis's from among the replies.
    fn answered(&self, reply: Value) -> Result<Value, OutletError> {
        match reply {
            Value::ServerError(error) if error.code() == "WRONGTYPE" => {
                Err(self.wrong("the key holds no stream; name another key".into()))
            }
            Value::ServerError(error) => {
                Err(OutletError::Away(format!("{}: {}", self.place, refusal(&error))))
            }
            reply => Ok(reply),
        }
    }

    fn said<'a>(&self, reply: &'a Value) -> Result<&'a str, OutletError> {
        match reply {
            Value::SimpleString(text) => Ok(text),
            Value::ServerError(error) => {
                Err(OutletError::Away(format!("{}: {}", self.place, refusal(error))))
            }
            _ => Err(self.wrong("Redis answers something else than its kind".into())),
        }
    }

    fn wrong(&self, why: String) -> OutletError {
        OutletError::Wrong(format!("{}: {why}", self.place))
    }
}

/// True if a transaction was given up because of what one of its commands was answered.
fn is_aborted(reply: &Value) -> bool {
    matches!(reply, Value::ServerError(error) if error.code() == "EXECABORT")
}
