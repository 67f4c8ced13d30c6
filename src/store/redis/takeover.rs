//! Looking at a store, and taking it over.

use redis::Value;

use crate::bank::blockchain::block::FORMAT;
use crate::bank::ids::{InstanceId, LifeId, TurnNumber};
use crate::bank::stored::{Stored, forget_oldest};
use crate::store::redis::keys::{FORMAT_FIELD, INSTANCE_FIELD, Keys};
use crate::store::redis::link::{Link, Transaction};
use crate::store::redis::reply::{command, exactly, from_text, text, unexpected};
use crate::store::redis::snapshot::{self, LifeRecord, Snapshot};
use crate::store::redis::turn::{Turn, json};
use crate::store::{ATTEMPTS, StoreError, too_busy};

/// What a process remembers of a store that it has loaded before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The instance.
    pub(super) instance: InstanceId,
    /// The last turn that it knows to be durable.
    pub(super) turn: TurnNumber,
}

/// A life that is to begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    /// The last turn that was seen; none if the store is empty.
    seen: Option<TurnNumber>,
    /// The store's instance, or that which an empty store is to have.
    pub(super) instance: InstanceId,
    life: LifeId,
    /// The turn in which it is to begin.
    pub(super) turn: TurnNumber,
}

/// Who takes which store over.
///
/// First it is only looked at, in pieces if it is large: a store that is corrupt, foreign or unfit
/// stays untouched, and so does its owner. Then the key `owner` is taken, which stops an earlier
/// process at its next write; what that one has written since the look, if anything, shows in the turn
/// counter. Between the two nothing may be executed on the link that ends the watch over the owner.
pub(super) struct Takeover<'a> {
    /// The keys.
    pub(super) keys: &'a Keys,
    /// A random number of the process's.
    pub(super) process: u64,
    /// What it knows of the store.
    pub(super) known: Option<Known>,
}

impl Takeover<'_> {
    /// What is there, as if the life that comes had begun.
    pub(super) fn look(&self, link: &mut Link) -> Result<(Stored, Coming), StoreError> {
        for _ in 0..ATTEMPTS {
            let Keys { owner, turn, .. } = self.keys;
            let look = link.look(turn, owner, snapshot::commands(self.keys).into())?;
            let guard = look.guard.clone();
            let Some(found) = self.parse(look)? else { continue };
            // From here on the owner is watched; it must be the one that was seen.
            if guard == found.owner {
                self.check(&found)?;
                return Ok(with_life(found.stored));
            }
        }
        Err(too_busy())
    }

    /// Whether the last turn is still the one that was seen.
    pub(super) fn is_as_seen(&self, link: &mut Link, coming: &Coming) -> Result<bool, StoreError> {
        let turn = &self.keys.turn;
        let found = link.request(&[command("GET", &[turn])])?.pop().unwrap_or_default();
        Ok(text(turn, found)? == coming.seen.map(|seen| seen.to_string()))
    }

    /// Makes `token` the owner and begins a life, unless somebody came between.
    pub(super) fn begin(
        &self,
        link: &mut Link,
        token: &str,
        coming: &Coming,
    ) -> Result<bool, StoreError> {
        if self.set_owner(link, token)? != Some(coming.seen) {
            return Ok(false);
        }
        let mut turn = Turn::new(self.keys, coming.turn);
        if coming.seen.is_none() {
            let (format, instance) = (FORMAT.to_string(), coming.instance.to_string());
            turn.set(&[(FORMAT_FIELD, &format), (INSTANCE_FIELD, &instance)]);
        }
        turn.live(&json(&LifeRecord { life: coming.life, turn: coming.turn }));
        run_turn(link, self.keys, token, turn)?;
        Ok(true)
    }

    /// Whether `token` still owns the store, and it is at this turn. From then on the owner is watched,
    /// also where the link is a new one.
    pub(super) fn look_in(
        &self,
        link: &mut Link,
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

    /// Makes `token` the owner, if the owner is still the one that was seen, and returns the turn at
    /// which it took over. None if it is another one.
    fn set_owner(
        &self,
        link: &mut Link,
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
        // With the owner guarded, SET can't have failed unless this shows it.
        Ok((taken.guard.as_deref() == Some(token)).then_some(found.map(TurnNumber)))
    }

    fn parse(&self, transaction: Transaction) -> Result<Option<Snapshot>, StoreError> {
        transaction.replies.map(|replies| snapshot::parse(self.keys, replies)).transpose()
    }

    /// Whether a process that loaded this store before may load it again.
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

    /// Whether the store is still this process's, and guards that.
    pub(super) fn check_owner(&self, link: &mut Link) -> Result<(), StoreError> {
        let owner = &self.keys.owner;
        let ask = [command("WATCH", &[owner]), command("GET", &[owner])];
        let [watched, found] = exactly(link.request(&ask)?)?;
        match watched {
            Value::Okay => self.check_process(text(owner, found)?.as_deref()),
            other => Err(unexpected(owner, &other)),
        }
    }

    /// Two processes that take one store from each other for ever would serve nobody.
    fn check_process(&self, owner: Option<&str>) -> Result<(), StoreError> {
        match owner {
            Some(owner) if owner.starts_with(&format!("{:016x}-", self.process)) => Ok(()),
            owner => Err(taken_over(self.keys, owner)),
        }
    }

    /// Whether the store is the one that this process knows, if it knows one.
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

/// What was found, with a life that is to begin.
fn with_life(found: Option<Stored>) -> (Stored, Coming) {
    let seen = found.as_ref().map(|stored| stored.turn);
    let mut stored = found.unwrap_or_else(|| Stored::empty(InstanceId(fastrand::u64(..))));
    stored.turn.0 += 1;
    let (instance, life, turn) = (stored.instance, LifeId(fastrand::u64(..)), stored.turn);
    stored.lives.push((life, turn));
    forget_oldest(&mut stored.lives);
    (stored, Coming { seen, instance, life, turn })
}

/// Makes a turn durable if `token` still owns the store, and guards the next one.
pub(super) fn run_turn(
    link: &mut Link,
    keys: &Keys,
    token: &str,
    turn: Turn<'_>,
) -> Result<(), StoreError> {
    let (commands, expected) = turn.split();
    let done = link.transaction(&keys.owner, commands)?;
    if let Some(replies) = &done.replies {
        expected.check(replies)?;
    }
    match done.guard.as_deref() {
        // Only now: who was fenced off has to hear that first.
        Some(owner) if owner == token && done.replies.is_some() => {
            done.flushed?;
            link.prove();
            Ok(())
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
