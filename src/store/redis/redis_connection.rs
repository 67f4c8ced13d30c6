//! One connection to Redis, for plain requests and for guarded transactions.

use std::time::Duration;

use redis::{Client, Cmd, Connection, ErrorKind, RedisError, ServerError, Value};

use crate::store::redis::reply::{command, exactly, text, unexpected};
use crate::store::redis::target::Target;
use crate::store::redis::words::{lost, refusal, span, unconfirmed};
use crate::store::{ATTEMPTS, StoreError, too_busy};

/// The outcome of a guarded transaction.
pub(super) struct Transaction {
    /// The commands' replies, errors among them. None if the guarded key was touched before: then nothing
    /// was done.
    pub(super) replies: Option<Vec<Value>>,
    /// The guarded key's value, which guards the next transaction.
    pub(super) guard: Option<String>,
    /// `Ok` if this and everything before it is on the disk; else why not.
    pub(super) flushed: Result<(), StoreError>,
}

/// A connection. It is useless after an error, because replies may still be under way.
pub(super) struct RedisConnection {
    connection: Connection,
    target: Target,
    /// True if Redis knows `WAITAOF`, which tells whether a write is on the disk.
    knows_waitaof: bool,
    /// True if each transaction asks `WAITAOF`.
    asks_each_time: bool,
    /// On how many replicas' disks a write has to be, too.
    copies: u8,
    /// True if a turn written over this link has been on the disk.
    is_proven: bool,
    /// True if an answer didn't come: the link broke, or Redis hangs.
    is_lost: bool,
    /// The bytes of all commands that were sent.
    sent: u64,
}

impl RedisConnection {
    /// Connects and logs in.
    pub(super) fn open(target: &Target) -> Result<RedisConnection, StoreError> {
        let open = || {
            let connection = Client::open(target.info.clone())?
                .get_connection_with_timeout(target.connect_timeout)?;
            connection.set_read_timeout(Some(target.timeout))?;
            connection.set_write_timeout(Some(target.timeout))?;
            Ok(connection)
        };
        let nobody = |error: RedisError| {
            let why = lost(&error, target.connect_timeout);
            StoreError::Unreachable(format!("Redis at {}: {why}", target.place()))
        };
        let connection = open().map_err(nobody)?;
        let mut link = RedisConnection {
            connection,
            target: target.clone(),
            knows_waitaof: false,
            asks_each_time: false,
            copies: 0,
            is_proven: false,
            is_lost: false,
            sent: 0,
        };
        link.log_in()?;
        Ok(link)
    }

    /// Logs in, and chooses the database. Each refusal gets words of its own.
    fn log_in(&mut self) -> Result<(), StoreError> {
        let mut commands = Vec::new();
        if let Some(login) = &self.target.login {
            let user = login.user.as_deref();
            let words: Vec<&str> = user.into_iter().chain([login.password.as_str()]).collect();
            commands.push(command("AUTH", &words));
        }
        // Database 0 is chosen too: a Redis that asks for a password says so here.
        commands.push(command("SELECT", &[&self.target.database.to_string()]));
        let replies = self.exchange(&commands).map_err(|error| {
            let why = lost(&error, self.target.timeout);
            match error.kind() {
                ErrorKind::Parse => self.target.failed(why),
                // No answer to the first commands is as good as no Redis.
                _ => StoreError::Unreachable(format!("{}: {why}", self.place())),
            }
        })?;
        for reply in replies {
            match reply {
                // A user who may not use SELECT is in database 0 already.
                Value::ServerError(error)
                    if error.code() == "NOPERM" && self.target.database == 0 => {}
                Value::ServerError(error) => return Err(self.target.failed(refusal(&error))),
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the bytes of all commands that were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends all commands at once and returns their replies, errors among them.
    pub(super) fn request(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, StoreError> {
        self.exchange(commands).map_err(|error| {
            self.is_lost = error.kind() != ErrorKind::Parse;
            self.target.failed(lost(&error, self.target.timeout))
        })
    }

    /// True if an answer over this link didn't come.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    fn exchange(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
        let mut bytes = Vec::new();
        commands.iter().for_each(|command| command.write_packed_command(&mut bytes));
        self.connection.send_packed_command(&bytes)?;
        self.sent += bytes.len() as u64;
        // Not `req_packed_commands`: it goes on to wait for the other replies after a time-out.
        let reply = |_| self.connection.recv_response();
        commands.iter().map(reply).collect()
    }

    /// Returns the replies to commands that only read, errors among them, all of one moment: no turn, which
    /// would count `turn`, comes between them.
    pub(super) fn at_once(
        &mut self,
        turn: &str,
        commands: Vec<Cmd>,
    ) -> Result<Vec<Value>, StoreError> {
        let count = commands.len();
        let mut replies = self.request(&wrapped(commands.clone()))?;
        let executed = replies.pop().unwrap_or_default();
        let replies = match self.executed(&replies, executed, count) {
            Err(StoreError::Refused(_)) => return self.of_one_turn(turn, commands),
            replies => replies?,
        };
        // EXEC answers nil only if a watched key was touched, and none is watched.
        replies.ok_or_else(|| unexpected("EXEC", &Value::Nil))
    }

    /// Does the same without `MULTI`, in which a Redis before 7.4 that exceeds its `maxmemory` refuses all
    /// commands. It takes no turns then. If it does, the replies are still of one moment if the count is
    /// equal before and after them.
    fn of_one_turn(&mut self, turn: &str, commands: Vec<Cmd>) -> Result<Vec<Value>, StoreError> {
        let mut all = vec![command("GET", &[turn])];
        all.extend(commands);
        all.push(command("GET", &[turn]));
        for _ in 0..ATTEMPTS {
            let mut replies = self.request(&all)?;
            let after = replies.pop();
            if after.as_ref() == replies.first() {
                replies.remove(0);
                return Ok(replies);
            }
        }
        Err(too_busy())
    }

    /// Reads like [`RedisConnection::at_once`], and guards the key `guard` for the next transaction, like
    /// [`RedisConnection::transaction`].
    pub(super) fn look(
        &mut self,
        turn: &str,
        guard: &str,
        commands: Vec<Cmd>,
    ) -> Result<Transaction, StoreError> {
        match self.guarded(guard, commands.clone(), false) {
            // The guard is watched all the same, from before this read.
            Err(StoreError::Refused(_)) => {}
            looked => return looked,
        }
        let replies = self.of_one_turn(turn, commands)?;
        let [value] = exactly(self.request(&[command("GET", &[guard])])?)?;
        Ok(Transaction { replies: Some(replies), guard: text(guard, value)?, flushed: Ok(()) })
    }

    /// Asks from here on whether writes are on the disk. With `each_time`, for a Redis that may answer
    /// before it flushes, each transaction asks. Otherwise they ask until one turn was on the disk: maybe
    /// nothing is kept at all. A write has to be on the disks of so many replicas (`copies`), too.
    pub(super) fn ask_for_flushes(&mut self, each_time: bool, copies: u8) {
        self.knows_waitaof = true;
        (self.asks_each_time, self.copies) = (each_time || copies > 0, copies);
    }

    /// Notes that a turn written over this link is on the disk.
    pub(super) fn prove(&mut self) {
        self.is_proven = true;
    }

    /// Sends `MULTI`, the commands and `EXEC`; then, for the next transaction, `WATCH` and `GET` of the key
    /// `guard`; then, where answers may come too early, `WAITAOF`. All of it is one round trip.
    ///
    /// `WAITAOF` covers what this connection has written before, so it may stand anywhere after `EXEC`.
    /// (Within the transaction it wouldn't wait.) It comes last, so that the guard is in force while Redis
    /// waits for its disk.
    pub(super) fn transaction(
        &mut self,
        guard: &str,
        commands: Vec<Cmd>,
    ) -> Result<Transaction, StoreError> {
        let asks = self.knows_waitaof && (self.asks_each_time || !self.is_proven);
        self.guarded(guard, commands, asks)
    }

    /// Does the same; whether it `asks` `WAITAOF` was decided.
    fn guarded(
        &mut self,
        guard: &str,
        commands: Vec<Cmd>,
        asks: bool,
    ) -> Result<Transaction, StoreError> {
        let count = commands.len();
        let mut all = wrapped(commands);
        all.extend([command("WATCH", &[guard]), command("GET", &[guard])]);
        let before = all.len();
        if asks {
            all.extend(self.wait_for_flush());
        }
        let mut replies = self.request(&all)?;
        let flushed = match replies.split_off(before.min(replies.len())).pop() {
            Some(reply) => self.flushed(&reply),
            None => Ok(()),
        };
        let (Some(value), Some(watched), Some(executed)) =
            (replies.pop(), replies.pop(), replies.pop())
        else {
            return Err(self.target.failed("replies are missing"));
        };
        replies.push(watched);
        let replies = self.executed(&replies, executed, count)?;
        Ok(Transaction { replies, guard: text(guard, value)?, flushed })
    }

    /// Asks, where Redis can tell, whether all writes are on the disk.
    pub(super) fn is_flushed(&mut self) -> Result<(), StoreError> {
        if !self.knows_waitaof {
            return Ok(());
        }
        let mut replies = self.request(&self.wait_for_flush())?;
        self.flushed(&replies.pop().unwrap_or_default())
    }

    /// Returns the commands that wait until all writes are on the disks; the last one's reply tells.
    ///
    /// A replica that is asked by `WAITAOF` alone answers before it has flushed, and again a second later.
    /// `WAIT` has it answer once that it has a write. When this answer is there, the replica has flushed the
    /// write, and it says so as soon as `WAITAOF` asks.
    fn wait_for_flush(&self) -> Vec<Cmd> {
        let (copies, millis) = (self.copies.to_string(), self.flush_millis());
        match self.copies {
            0 => vec![wait_for_flush("0", millis)],
            _ => {
                let half = (millis / 2).max(1);
                vec![command("WAIT", &[&copies, &half.to_string()]), wait_for_flush(&copies, half)]
            }
        }
    }

    /// On how many replicas' disks a write has to be.
    pub(super) fn copies(&self) -> u8 {
        self.copies
    }

    /// Returns Redis's time to flush, in milliseconds. It is shorter than ours, so that Redis can say that
    /// it gave up.
    fn flush_millis(&self) -> u64 {
        (self.target.timeout.as_millis() as u64 * 3 / 4).max(1)
    }

    /// Takes the reply to `WAITAOF`: on how many disks the writes are, Redis's own and its replicas'.
    fn flushed(&self, reply: &Value) -> Result<(), StoreError> {
        let within = Duration::from_millis(self.flush_millis());
        match reply {
            Value::Array(disks) => match disks[..] {
                [Value::Int(1..), Value::Int(there)] if there >= self.copies.into() => Ok(()),
                [Value::Int(1..), Value::Int(there)] => {
                    let why = unconfirmed(there, self.copies, within);
                    Err(StoreError::Unflushed(format!("{}: {why}", self.place())))
                }
                _ => Err(StoreError::Unflushed(format!(
                    "Redis at {}: it has confirmed a write and not flushed it to its disk within {}; \
                     either the disk is slow, or appendonly was switched on and the first rewrite of \
                     its append-only file isn't done, before which it keeps nothing",
                    self.target.place(),
                    span(within),
                ))),
            },
            Value::ServerError(error) => Err(self.failed(error)),
            other => Err(unexpected("WAITAOF", other)),
        }
    }

    /// Names the place for people.
    pub(super) fn place(&self) -> String {
        format!("Redis at {}", self.target.place())
    }

    /// Makes the error for a refusal by Redis.
    pub(super) fn failed(&self, error: &ServerError) -> StoreError {
        self.target.failed(refusal(error))
    }

    /// Makes the error for a command that Redis lacks, or that this user may not use on these keys.
    pub(super) fn missing(&self, name: &str, keys: &str, error: &ServerError) -> StoreError {
        let on = if keys.is_empty() { String::new() } else { format!(" on {keys}") };
        let said = refusal(error);
        if said.contains("NOPERM") {
            return self.target.failed(format!(
                "this user may not use {name}{on} ({said}); doc/OPERATING.md has the line for ACL SETUSER \
                 that gives a server's user what it needs"
            ));
        }
        StoreError::Unfit(format!(
            "{}: it lacks the command {name}; a server needs Redis 6.2 or later, or Valkey, with its \
             commands under their own names",
            self.place()
        ))
    }

    /// Takes the reply to `EXEC`, given the replies `beside` it. None if a guarded key was touched.
    fn executed(
        &self,
        beside: &[Value],
        executed: Value,
        count: usize,
    ) -> Result<Option<Vec<Value>>, StoreError> {
        // A command that Redis refused to queue makes EXEC fail as well; the first refusal says why.
        let refused = beside.iter().find_map(|reply| match reply {
            Value::ServerError(error) => Some(refusal(error)),
            _ => None,
        });
        match (refused, &executed) {
            (why, Value::ServerError(error)) if error.code() == "EXECABORT" => {
                let why = why.unwrap_or_else(|| refusal(error));
                return Err(StoreError::Refused(format!("{}: {why}", self.place())));
            }
            (Some(why), _) => return Err(self.target.failed(why)),
            _ => {}
        }
        match executed {
            Value::Nil => Ok(None),
            Value::Array(replies) if replies.len() == count => Ok(Some(replies)),
            other => Err(unexpected("EXEC", &other)),
        }
    }
}

/// Asks whether Redis's own disk, and those of so many replicas, have what this connection has written, and
/// waits for it at most `millis` milliseconds. 0 would wait for ever.
pub(super) fn wait_for_flush(copies: &str, millis: u64) -> Cmd {
    command("WAITAOF", &["1", copies, &millis.to_string()])
}

/// Wraps the commands in `MULTI` and `EXEC`.
fn wrapped(commands: Vec<Cmd>) -> Vec<Cmd> {
    let mut all = vec![command("MULTI", &[])];
    all.extend(commands);
    all.push(command("EXEC", &[]));
    all
}
