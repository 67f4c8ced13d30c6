//! Looking at a store, and taking it over.

use redis::Value;

use crate::bank::blockchain::block::FORMAT;
use crate::bank::ids::{InstanceId, LifeId, TurnNumber};
use crate::bank::stored::{Stored, forget_oldest};
use crate::store::archive::record::Archived;
use crate::store::redis::keys::{FORMAT_FIELD, INSTANCE_FIELD, Keys};
use crate::store::redis::redis_connection::{RedisConnection, Transaction};
use crate::store::redis::reply::{command, exactly, from_text, text, unexpected};
use crate::store::redis::snapshot::{self, IfOlder, LifeRecord, Snapshot};
use crate::store::redis::turn::{Turn, json};
use crate::store::{ATTEMPTS, StoreError, too_busy};

/// What a process remembers of a store that it has loaded before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The instance.
    pub(super) instance: InstanceId,
    /// The last turn that the process knows to be durable.
    pub(super) turn: TurnNumber,
}

/// A life that is to begin.
#[derive(Clone, Debug)]
pub(super) struct Coming {
    /// The last turn that was seen; none if the store is empty.
    pub(super) seen: Option<TurnNumber>,
    /// The owner that the look saw.
    owner: Option<String>,
    /// The store's instance, or the instance that an empty store will get.
    pub(super) instance: InstanceId,
    life: LifeId,
    /// The turn in which the life begins.
    pub(super) turn: TurnNumber,
    /// The format that the store has until then, if it is an older one.
    pub(super) older: Option<u32>,
    /// What left the chain for segments.
    pub(super) archived: Archived,
}

/// The steps by which a process takes over a server's store.
///
/// First it only looks, in pieces if the store is large: a corrupt, foreign or unfit store keeps its
/// content and its owner. Then it takes the key `owner`, which stops an earlier process at its next
/// write; the turn counter shows whether that process wrote since the look. Between the two steps no
/// command may run on the link that ends the watch over the owner.
pub(super) struct Takeover<'a> {
    /// The keys.
    pub(super) keys: &'a Keys,
    /// The process's random number.
    pub(super) process: u64,
    /// What the process knows of the store.
    pub(super) known: Option<Known>,
    /// What to do with a store of an older format.
    pub(super) if_older: IfOlder<'a>,
}

impl Takeover<'_> {
    /// Reads the content, as if the coming life had begun.
    pub(super) fn look(&self, link: &mut RedisConnection) -> Result<(Stored, Coming), StoreError> {
        for _ in 0..ATTEMPTS {
            let Keys { owner, turn, .. } = self.keys;
            let look = link.look(turn, owner, snapshot::commands(self.keys).into())?;
            let guard = look.guard.clone();
            let Some(found) = self.parse(look)? else { continue };
            // From here on the owner is watched; it must be the owner that the look saw.
            if guard == found.owner {
                self.check(&found)?;
                return Ok(with_life(found));
            }
        }
        Err(too_busy())
    }

    /// True if the last turn is the one that this process knows to be durable.
    pub(super) fn is_as_known(&self, link: &mut RedisConnection) -> Result<bool, StoreError> {
        let known = self.known.map(|known| known.turn);
        Ok(known.is_some() && self.is_last(link, known)?)
    }

    /// True if this turn, or none, is the last one.
    fn is_last(
        &self,
        link: &mut RedisConnection,
        last: Option<TurnNumber>,
    ) -> Result<bool, StoreError> {
        let turn = &self.keys.turn;
        let found = link.request(&[command("GET", &[turn])])?.pop().unwrap_or_default();
        Ok(text(turn, found)? == last.map(|last| last.to_string()))
    }

    /// True if the last turn is still the one that the look saw.
    pub(super) fn is_as_seen(
        &self,
        link: &mut RedisConnection,
        coming: &Coming,
    ) -> Result<bool, StoreError> {
        self.is_last(link, coming.seen)
    }

    /// Makes `token` the owner and begins a life. False if somebody came between.
    pub(super) fn begin(
        &self,
        link: &mut RedisConnection,
        token: &str,
        coming: &Coming,
    ) -> Result<bool, StoreError> {
        if self.set_owner(link, token)? != Some(coming.seen) {
            return Ok(false);
        }
        let mut turn = Turn::new(self.keys, coming.turn, coming.archived.base());
        if coming.seen.is_none() {
            let (format, instance) = (FORMAT.to_string(), coming.instance.to_string());
            turn.set(&[(FORMAT_FIELD, &format), (INSTANCE_FIELD, &instance)]);
        } else if coming.older.is_some() {
            turn.set(&[(FORMAT_FIELD, &FORMAT.to_string())]);
        }
        turn.live(&json(&LifeRecord { life: coming.life, turn: coming.turn }));
        run_turn(link, self.keys, token, turn)?;
        Ok(true)
    }

    /// Checks that `token` still owns the store, and that the store is at this turn. From then on the owner
    /// is watched, also over a new link.
    pub(super) fn look_in(
        &self,
        link: &mut RedisConnection,
        token: &str,
        turn: TurnNumber,
    ) -> Result<(), StoreError> {
        let Keys { owner, turn: counter, state, .. } = self.keys;
        let ask = [
            command("WATCH", &[owner]),
            command("GET", &[owner]),
            command("GET", &[counter]),
            command("HGET", &[state, INSTANCE_FIELD]),
        ];
        let [watched, found_owner, found_turn, instance] = exactly(link.request(&ask)?)?;
        if watched != Value::Okay {
            return Err(unexpected(owner, &watched));
        }
        let instance = text(state, instance)?;
        let instance = instance.map(|found| from_text(&found, || state.clone())).transpose()?;
        self.check_instance(instance)?;
        match text(owner, found_owner)?.as_deref() {
            Some(found) if found == token => {}
            Some(other) => return Err(taken_over(self.keys, Some(other))),
            None => return Err(gone(self.keys)),
        }
        match text(counter, found_turn)? {
            Some(found) if found == turn.to_string() => Ok(()),
            found => {
                let found = found.unwrap_or_else(|| "none".into());
                Err(self.strange(&format!("it is at turn {found} and was at {turn}")))
            }
        }
    }

    /// Makes `token` the owner, and returns the turn at which it took over. None if the owner is no longer
    /// the one that the look saw.
    fn set_owner(
        &self,
        link: &mut RedisConnection,
        token: &str,
    ) -> Result<Option<Option<TurnNumber>>, StoreError> {
        let Keys { owner, turn, .. } = self.keys;
        let commands = vec![command("SET", &[owner, token]), command("GET", &[turn])];
        let taken = link.transaction(owner, commands)?;
        let Some(mut replies) = taken.replies else {
            return Ok(None);
        };
        let found = text(turn, replies.pop().unwrap_or_default())?;
        let found = found.map(|found| from_text(&found, || turn.clone())).transpose()?;
        // The owner was guarded: if SET failed, the guard's value shows it.
        let taken_over = taken.guard.as_deref() == Some(token);
        match taken.flushed {
            // A store that waits for its replicas is not to collect lives meanwhile.
            Err(StoreError::Unflushed(why)) if taken_over && link.copies() > 0 => {
                Err(StoreError::Refused(why))
            }
            _ => Ok(taken_over.then_some(found.map(TurnNumber))),
        }
    }

    fn parse(&self, transaction: Transaction) -> Result<Option<Snapshot>, StoreError> {
        let parse = |replies| snapshot::parse(self.keys, replies, self.if_older);
        transaction.replies.map(parse).transpose()
    }

    /// Checks that a process that loaded this store before may load it again.
    fn check(&self, found: &Snapshot) -> Result<(), StoreError> {
        let Some(Known { turn, .. }) = self.known else {
            return Ok(());
        };
        self.check_instance(found.stored.as_ref().map(|stored| stored.instance))?;
        if let Some(stored) = found.stored.as_ref().filter(|stored| stored.turn < turn) {
            return Err(self.strange(&format!("it is at turn {} and was at {turn}", stored.turn)));
        }
        self.check_process(found.owner.as_deref())
    }

    /// True if the owner is still the owner that the look saw, or this process; guards the owner.
    ///
    /// # Errors
    /// If this process has owned the store before, and another process owns it now.
    pub(super) fn is_owner_as_seen(
        &self,
        link: &mut RedisConnection,
        coming: &Coming,
    ) -> Result<bool, StoreError> {
        let owner = &self.keys.owner;
        let ask = [command("WATCH", &[owner]), command("GET", &[owner])];
        let [watched, found] = exactly(link.request(&ask)?)?;
        if watched != Value::Okay {
            return Err(unexpected(owner, &watched));
        }
        let found = text(owner, found)?;
        if self.known.is_some() {
            self.check_process(found.as_deref())?;
        }
        Ok(found == coming.owner || self.is_own(found.as_deref()))
    }

    /// Refuses an owner of another process: two processes that kept taking one store from each other would
    /// serve nobody.
    fn check_process(&self, owner: Option<&str>) -> Result<(), StoreError> {
        match self.is_own(owner) {
            true => Ok(()),
            false => Err(taken_over(self.keys, owner)),
        }
    }

    /// True if this process took the store over.
    fn is_own(&self, owner: Option<&str>) -> bool {
        owner.is_some_and(|owner| owner.starts_with(&format!("{:016x}-", self.process)))
    }

    /// Checks that the store is the one this process knows, if it knows one.
    fn check_instance(&self, found: Option<InstanceId>) -> Result<(), StoreError> {
        match (self.known, found) {
            (Some(Known { instance, .. }), None) => {
                Err(self.strange(&format!("instance {instance} is gone")))
            }
            (Some(Known { instance, .. }), Some(other)) if other != instance => {
                Err(self.strange(&format!("instance {other} is in the place of {instance}")))
            }
            _ => Ok(()),
        }
    }

    fn strange(&self, what: &str) -> StoreError {
        StoreError::Strange(format!(
            "{}: {what}: it was lost, swapped or rolled back",
            self.keys.state
        ))
    }
}

/// Adds the coming life to what the look found.
fn with_life(found: Snapshot) -> (Stored, Coming) {
    let Snapshot { older, owner, stored, archived } = found;
    let seen = stored.as_ref().map(|stored| stored.turn);
    let mut stored = stored.unwrap_or_else(|| Stored::empty(InstanceId(fastrand::u64(..))));
    stored.turn.0 += 1;
    let (instance, life, turn) = (stored.instance, LifeId(fastrand::u64(..)), stored.turn);
    stored.lives.push((life, turn));
    forget_oldest(&mut stored.lives);
    (stored, Coming { seen, owner, instance, life, turn, older, archived })
}

/// Makes a turn durable if `token` still owns the store, and guards the next turn. Returns the bytes that it took.
pub(super) fn run_turn(
    link: &mut RedisConnection,
    keys: &Keys,
    token: &str,
    turn: Turn<'_>,
) -> Result<u64, StoreError> {
    let (commands, expected) = turn.split();
    let before = link.sent();
    let done = link.transaction(&keys.owner, commands)?;
    if let Some(replies) = &done.replies {
        expected.check(replies)?;
    }
    match done.guard.as_deref() {
        // Only now: a process that was fenced off has to hear that first.
        Some(owner) if owner == token && done.replies.is_some() => {
            done.flushed?;
            link.prove();
            Ok(link.sent() - before)
        }
        None => Err(gone(keys)),
        owner => Err(taken_over(keys, owner)),
    }
}

fn gone(keys: &Keys) -> StoreError {
    StoreError::Strange(format!("{} is gone: the store was lost", keys.owner))
}

fn taken_over(keys: &Keys, owner: Option<&str>) -> StoreError {
    let owner = owner.unwrap_or("nobody");
    StoreError::Fenced(format!("{} is now {owner}, another process's", keys.owner))
}
