//! One connection to Redis, and the two ways of talking over it.

use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{Client, Cmd, Connection, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, Value};

use crate::store::StoreError;
use crate::store::redis::reply::{command, text, unexpected, words};

/// Where a Redis is, and how long to wait for it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    info: ConnectionInfo,
    connect_timeout: Duration,
    timeout: Duration,
}

impl Target {
    /// Understands a URL.
    pub(super) fn parse(
        url: &str,
        connect_timeout: Duration,
        timeout: Duration,
    ) -> Result<Target, StoreError> {
        let info = url
            .into_connection_info()
            .map_err(|error| StoreError::Unfit(format!("not the URL of a Redis: {error}")))?;
        // The replies are taken apart by hand, so the protocol is not left to the URL. A turn is
        // one write, whose last packet must not wait for the first one's acknowledgement.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP2);
        let info = info
            .set_redis_settings(settings)
            .set_tcp_settings(TcpSettings::default().set_nodelay(true));
        Ok(Target { info, connect_timeout, timeout })
    }

    /// Where it is, for people. The URL itself may hold a password.
    pub(super) fn place(&self) -> String {
        match self.info.redis_settings().db() {
            0 => self.info.addr().to_string(),
            database => format!("{}/{database}", self.info.addr()),
        }
    }

    /// An error of this Redis's, or on the way to it.
    fn failed(&self, error: impl std::fmt::Display) -> StoreError {
        StoreError::Failed(format!("Redis at {}: {error}", self.info.addr()))
    }
}

/// What came of a guarded transaction.
pub(super) struct Transaction {
    /// The commands' replies, errors among them; none if the guarded key was touched before, in
    /// which case nothing was done.
    pub(super) replies: Option<Vec<Value>>,
    /// The guarded key's value, from which on the next transaction is guarded.
    pub(super) guard: Option<String>,
}

/// A connection. After an error it is of no further use: replies may still be under way.
pub(super) struct Link {
    connection: Connection,
    target: Target,
}

impl Link {
    /// Connects.
    pub(super) fn open(target: &Target) -> Result<Link, StoreError> {
        let open = || {
            let connection = Client::open(target.info.clone())?
                .get_connection_with_timeout(target.connect_timeout)?;
            connection.set_read_timeout(Some(target.timeout))?;
            connection.set_write_timeout(Some(target.timeout))?;
            Ok(connection)
        };
        let connection = open().map_err(|error: redis::RedisError| target.failed(error))?;
        Ok(Link { connection, target: target.clone() })
    }

    /// Sends all commands at once and returns as many replies, errors among them.
    pub(super) fn request(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, StoreError> {
        let mut bytes = Vec::new();
        commands.iter().for_each(|command| command.write_packed_command(&mut bytes));
        let target = &self.target;
        let connection = &mut self.connection;
        connection.send_packed_command(&bytes).map_err(|error| target.failed(error))?;
        // Not `req_packed_commands`: it goes on to wait for the other replies after a time-out.
        let reply = |_| connection.recv_response().map_err(|error| target.failed(error));
        commands.iter().map(reply).collect()
    }

    /// The commands' replies, errors among them, with nothing of anybody else's between them.
    pub(super) fn at_once(&mut self, commands: Vec<Cmd>) -> Result<Vec<Value>, StoreError> {
        let count = commands.len();
        let mut replies = self.request(&wrapped(commands))?;
        let executed = replies.pop().unwrap_or_default();
        let replies = self.executed(&replies, executed, count)?;
        // Nothing is watched.
        replies.ok_or_else(|| unexpected("EXEC", &Value::Nil))
    }

    /// `MULTI`, the commands, `EXEC`; and then, for the next transaction, `WATCH` and `GET` of the
    /// key `guard`. All in one round trip.
    pub(super) fn transaction(
        &mut self,
        guard: &str,
        commands: Vec<Cmd>,
    ) -> Result<Transaction, StoreError> {
        let count = commands.len();
        let mut all = wrapped(commands);
        all.extend([command("WATCH", &[guard]), command("GET", &[guard])]);
        let mut replies = self.request(&all)?;
        let (Some(value), Some(watched), Some(executed)) =
            (replies.pop(), replies.pop(), replies.pop())
        else {
            return Err(self.target.failed("replies are missing"));
        };
        replies.push(watched);
        let replies = self.executed(&replies, executed, count)?;
        Ok(Transaction { replies, guard: text(guard, value)? })
    }

    /// What `EXEC` replied, given the replies to what came `beside` it; none if a guarded key was
    /// touched.
    fn executed(
        &self,
        beside: &[Value],
        executed: Value,
        count: usize,
    ) -> Result<Option<Vec<Value>>, StoreError> {
        // What Redis refused to queue makes EXEC fail as well; the first refusal says why.
        for reply in beside {
            if let Value::ServerError(error) = reply {
                return Err(self.target.failed(words(error)));
            }
        }
        match executed {
            Value::Nil => Ok(None),
            Value::Array(replies) if replies.len() == count => Ok(Some(replies)),
            other => Err(unexpected("EXEC", &other)),
        }
    }
}

/// The commands between `MULTI` and `EXEC`.
fn wrapped(commands: Vec<Cmd>) -> Vec<Cmd> {
    let mut all = vec![command("MULTI", &[])];
    all.extend(commands);
    all.push(command("EXEC", &[]));
    all
}
