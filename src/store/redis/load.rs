//! Taking a store over, and reading what is in it.

use crate::bank::blockchain::block::FORMAT;
use crate::bank::ids::{InstanceId, LifeId, TurnNumber};
use crate::bank::stored::Stored;
use crate::store::StoreError;
use crate::store::redis::keys::{FORMAT_FIELD, INSTANCE_FIELD, Keys};
use crate::store::redis::link::{Link, Transaction};
use crate::store::redis::reply::{command, from_text, text};
use crate::store::redis::snapshot::{self, LifeRecord, Snapshot};
use crate::store::redis::turn::{Turn, json};

/// How often a load starts over because another one came between.
const ATTEMPTS: usize = 10;

/// What a process remembers of a store that it has loaded before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// The instance.
    pub(super) instance: InstanceId,
    /// The last turn that it knows to be durable.
    pub(super) turn: TurnNumber,
}

/// One load: whose it is, and of what.
pub(super) struct Load<'a> {
    /// The keys.
    pub(super) keys: &'a Keys,
    /// A random number of the process's.
    pub(super) process: u64,
    /// What it knows of the store.
    pub(super) known: Option<Known>,
}

impl Load<'_> {
    /// Takes the store over and begins a life. Returns what is there, and the owner's token.
    ///
    /// First it only looks: a store that is corrupt, foreign or unfit stays untouched, and so does
    /// its owner. Then it takes the key `owner`, which stops an earlier process at its next
    /// write; what that one has written since the look, if anything, shows in the turn counter.
    pub(super) fn run(&self, link: &mut Link) -> Result<(Stored, String), StoreError> {
        for _ in 0..ATTEMPTS {
            // A new token for each load: a turn of an earlier one that is still on its way, after
            // a time-out, must find that it is too late.
            let token = format!("{:016x}-{:016x}", self.process, fastrand::u64(..));
            let Some(stored) = self.take(link, &token)? else {
                continue;
            };
            let stored = self.begin_life(link, &token, stored)?;
            return Ok((stored, token));
        }
        Err(StoreError::Failed(format!("others keep loading the store of {}", self.keys.owner)))
    }

    /// Makes `token` the owner, and reads. None if the owner changed meanwhile.
    fn take(&self, link: &mut Link, token: &str) -> Result<Option<Option<Stored>>, StoreError> {
        let look = link.transaction(&self.keys.owner, snapshot::commands(self.keys).into())?;
        let guard = look.guard.clone();
        let Some(before) = self.parse(look)? else {
            return Ok(None);
        };
        if guard != before.owner {
            return Ok(None);
        }
        self.check(&before)?;
        let Some(taken) = self.set_owner(link, token)? else {
            return Ok(None);
        };
        // A bank may be large: it is read once, unless somebody wrote in between.
        if taken == before.stored.as_ref().map(|stored| stored.turn) {
            return Ok(Some(before.stored));
        }
        drop(before);
        let again = link.transaction(&self.keys.owner, snapshot::commands(self.keys).into())?;
        if again.guard.as_deref() != Some(token) {
            return Ok(None);
        }
        Ok(self.parse(again)?.map(|after| after.stored))
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
        let Some(Known { instance, turn }) = self.known else {
            return Ok(());
        };
        let strange = |what: String| {
            Err(StoreError::Strange(format!(
                "{}: {what}: it was lost, swapped or rolled back",
                self.keys.state
            )))
        };
        match &found.stored {
            None => strange(format!("instance {instance} is gone")),
            Some(stored) if stored.instance != instance => {
                strange(format!("instance {} is in the place of {instance}", stored.instance))
            }
            Some(stored) if stored.turn < turn => {
                strange(format!("it is at turn {} and was at {turn}", stored.turn))
            }
            // Two processes that take one store from each other for ever would serve nobody.
            Some(_) => match &found.owner {
                Some(owner) if owner.starts_with(&format!("{:016x}-", self.process)) => Ok(()),
                owner => Err(taken_over(self.keys, owner.as_deref())),
            },
        }
    }

    /// Appends a life, in a turn; and in an empty store makes the instance in the same turn.
    fn begin_life(
        &self,
        link: &mut Link,
        token: &str,
        stored: Option<Stored>,
    ) -> Result<Stored, StoreError> {
        let fresh = stored.is_none();
        let mut stored = stored.unwrap_or_else(|| Stored::empty(InstanceId(fastrand::u64(..))));
        stored.turn.0 += 1;
        let life = LifeId(fastrand::u64(..));
        stored.lives.push((life, stored.turn));
        let mut turn = Turn::new(self.keys, stored.turn);
        if fresh {
            let (format, instance) = (FORMAT.to_string(), stored.instance.to_string());
            turn.set(&[(FORMAT_FIELD, &format), (INSTANCE_FIELD, &instance)]);
        }
        turn.push(&self.keys.lives, &json(&LifeRecord { life, turn: stored.turn }));
        run_turn(link, self.keys, token, turn)?;
        Ok(stored)
    }
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
        Some(owner) if owner == token && done.replies.is_some() => Ok(()),
        None => Err(StoreError::Strange(format!("{} is gone: the store was lost", keys.owner))),
        owner => Err(taken_over(keys, owner)),
    }
}

fn taken_over(keys: &Keys, owner: Option<&str>) -> StoreError {
    let owner = owner.unwrap_or("nobody");
    StoreError::Fenced(format!("{} is now {owner}, another process's", keys.owner))
}
