//! One connection to Redis, and the two ways of talking over it.

use std::time::Duration;

use redis::{Client, Cmd, Connection, ErrorKind, RedisError, ServerError, Value};

use crate::store::redis::reply::{command, exactly, text, unexpected};
use crate::store::redis::target::Target;
use crate::store::redis::words::{lost, refusal, span};
use crate::store::{ATTEMPTS, StoreError, too_busy};

/// What came of a guarded transaction.
pub(super) struct Transaction {
    /// The commands' replies, errors among them; none if the guarded key was touched before, in
    /// which case nothing was done.
    pub(super) replies: Option<Vec<Value>>,
    /// The guarded key's value, from which on the next transaction is guarded.
    pub(super) guard: Option<String>,
    /// Whether the disk has it, and everything before it; if not, why.
    pub(super) flushed: Result<(), StoreError>,
}

/// A connection. After an error it is of no further use: replies may still be under way.
pub(super) struct Link {
    connection: Connection,
    target: Target,
    /// It can be asked whether what was written is on the disk: it knows `WAITAOF`.
    knows_waitaof: bool,
    /// It is asked in each transaction.
    asks_each_time: bool,
    /// A turn that was written by it was on the disk.
    is_proven: bool,
}

impl Link {
    /// Connects, and logs in.
    pub(super) fn open(target: &Target) -> Result<Link, StoreError> {
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
        let mut link = Link {
            connection,
            target: target.clone(),
            knows_waitaof: false,
            asks_each_time: false,
            is_proven: false,
        };
        link.log_in()?;
        Ok(link)
    }

    /// Says who it is, and chooses the database. Each refusal has a name of its own.
    fn log_in(&mut self) -> Result<(), StoreError> {
        let mut commands = Vec::new();
        if let Some(login) = &self.target.login {
            let user = login.user.as_deref();
            let words: Vec<&str> = user.into_iter().chain([login.password.as_str()]).collect();
            commands.push(command("AUTH", &words));
        }
        // Also where it is 0: what asks for a password says so here.
        commands.push(command("SELECT", &[&self.target.database.to_string()]));
        let replies = self.exchange(&commands).map_err(|error| {
            let why = lost(&error, self.target.timeout);
            match error.kind() {
                ErrorKind::Parse => self.target.failed(why),
                // What says nothing to this has said nothing at all.
                _ => StoreError::Unreachable(format!("{}: {why}", self.place())),
            }
        })?;
        for reply in replies {
            match reply {
                // A user who may not choose is there already.
                Value::ServerError(error)
                    if error.code() == "NOPERM" && self.target.database == 0 => {}
                Value::ServerError(error) => return Err(self.target.failed(refusal(&error))),
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends all commands at once and returns as many replies, errors among them.
    pub(super) fn request(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, StoreError> {
        self.exchange(commands)
            .map_err(|error| self.target.failed(lost(&error, self.target.timeout)))
    }

    fn exchange(&mut self, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
        let mut bytes = Vec::new();
        commands.iter().for_each(|command| command.write_packed_command(&mut bytes));
        self.connection.send_packed_command(&bytes)?;
        // Not `req_packed_commands`: it goes on to wait for the other replies after a time-out.
        let reply = |_| self.connection.recv_response();
        commands.iter().map(reply).collect()
    }

    /// The replies to commands that only read, errors among them, all of one moment: no turn that counts
    /// `turn` comes between them.
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
        // Nothing is watched.
        replies.ok_or_else(|| unexpected("EXEC", &Value::Nil))
    }

    /// The same without `MULTI`, in which a Redis before 7.4 that is over its `maxmemory` refuses all
    /// commands. It takes no turns then; should it, the replies are of one moment if the count is the same
    /// before and after them.
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

    /// Reads as [`Link::at_once`], and then guards the key `guard` for the next transaction, as
    /// [`Link::transaction`] does.
    pub(super) fn look(
        &mut self,
        turn: &str,
        guard: &str,
        commands: Vec<Cmd>,
    ) -> Result<Transaction, StoreError> {
        match self.transaction(guard, commands.clone()) {
            // The guard is watched all the same, from before what is read now.
            Err(StoreError::Refused(_)) => {}
            looked => return looked,
        }
        let replies = self.of_one_turn(turn, commands)?;
        let [value] = exactly(self.request(&[command("GET", &[guard])])?)?;
        Ok(Transaction { replies: Some(replies), guard: text(guard, value)?, flushed: Ok(()) })
    }

    /// From here on asks whether what was written is on the disk: in each transaction if its answers may
    /// come before that; and else until one was, since it may be that nothing is kept at all.
    pub(super) fn ask_for_flushes(&mut self, each_time: bool) {
        (self.knows_waitaof, self.asks_each_time) = (true, each_time);
    }

    /// A turn was written by it, and is on the disk.
    pub(super) fn prove(&mut self) {
        self.is_proven = true;
    }

    /// `MULTI`, the commands, `EXEC`; and then, for the next transaction, `WATCH` and `GET` of the
    /// key `guard`; and then, where its answers may come too early, `WAITAOF`. All in one round trip.
    ///
    /// `WAITAOF` is about what this connection has written before, so it may stand anywhere behind
    /// `EXEC`. (Within the transaction it wouldn't wait.) It is the last, so that the guard is in
    /// force while Redis waits for its disk.
    pub(super) fn transaction(
        &mut self,
        guard: &str,
        commands: Vec<Cmd>,
    ) -> Result<Transaction, StoreError> {
        let count = commands.len();
        let mut all = wrapped(commands);
        all.extend([command("WATCH", &[guard]), command("GET", &[guard])]);
        let asks = self.knows_waitaof && (self.asks_each_time || !self.is_proven);
        all.extend(asks.then(|| wait_for_flush(self.flush_millis())));
        let mut replies = self.request(&all)?;
        let flushed = match asks {
            true => self.flushed(&replies.pop().unwrap_or_default()),
            false => Ok(()),
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

    /// Asks again about what was not on the disk in time.
    pub(super) fn is_flushed(&mut self) -> Result<(), StoreError> {
        let replies = self.request(&[wait_for_flush(self.flush_millis())])?;
        self.flushed(&replies.into_iter().next().unwrap_or_default())
    }

    /// Redis gives up before we do: then it can still say that it has.
    fn flush_millis(&self) -> u64 {
        (self.target.timeout.as_millis() as u64 * 3 / 4).max(1)
    }

    /// What `WAITAOF` says: on how many disks it is, this Redis's and its replicas'.
    fn flushed(&self, reply: &Value) -> Result<(), StoreError> {
        match reply {
            Value::Array(disks) => match disks.first() {
                Some(Value::Int(1..)) => Ok(()),
                _ => Err(StoreError::Unflushed(format!(
                    "Redis at {}: it has confirmed a write and not flushed it to its disk within {}; \
                     either the disk is slow, or appendonly was switched on and the first rewrite of \
                     its append-only file isn't done, before which it keeps nothing",
                    self.target.place(),
                    span(Duration::from_millis(self.flush_millis())),
                ))),
            },
            Value::ServerError(error) => Err(self.failed(error)),
            other => Err(unexpected("WAITAOF", other)),
        }
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        format!("Redis at {}", self.target.place())
    }

    /// What Redis refused.
    pub(super) fn failed(&self, error: &ServerError) -> StoreError {
        self.target.failed(refusal(error))
    }

    /// A command that it doesn't have, or not for this user on these keys.
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

    /// What `EXEC` replied, given the replies to what came `beside` it; none if a guarded key was
    /// touched.
    fn executed(
        &self,
        beside: &[Value],
        executed: Value,
        count: usize,
    ) -> Result<Option<Vec<Value>>, StoreError> {
        // What Redis refused to queue makes EXEC fail as well; the first refusal says why.
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

/// Asks whether this Redis's own disk has what the connection has written, and waits for it so long at
/// the most; 0 would be for ever.
pub(super) fn wait_for_flush(millis: u64) -> Cmd {
    command("WAITAOF", &["1", "0", &millis.to_string()])
}

/// The commands between `MULTI` and `EXEC`.
fn wrapped(commands: Vec<Cmd>) -> Vec<Cmd> {
    let mut all = vec![command("MULTI", &[])];
    all.extend(commands);
    all.push(command("EXEC", &[]));
    all
}
