//! The block reader's view of what is in Redis, over a connection of its own.

use std::ops::Bound;

use redis::Value;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::AccountId;
use crate::bank::limits::MAX_PAGE;
use crate::bank::request::Listed;
use crate::bank::stored::Place;
use crate::store::redis::chain;
use crate::store::redis::keys::Keys;
use crate::store::redis::link::{Link, Target};
use crate::store::redis::reply::{
    borrowed, command, exactly, from_text, length, local_log, unexpected, values,
};
use crate::store::{AccountState, BlockSource, StoreError, listing};

/// Reads what the owner of the store writes; connects when it is first asked.
pub(super) struct Reader {
    target: Target,
    keys: Keys,
    link: Option<Link>,
}

impl Reader {
    /// A reader of these keys, wherever they are.
    pub(super) fn new(target: Target, keys: Keys) -> Reader {
        Reader { target, keys, link: None }
    }

    /// Asks over the connection that there is, or over a new one.
    fn ask<T>(
        &mut self,
        question: impl Fn(&mut Link, &Keys) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(mut link) = self.link.take() {
            match question(&mut link, &self.keys) {
                // The connection may only have died of old age: a new one will tell.
                Err(StoreError::Failed(_)) => {}
                outcome => {
                    self.link = Some(link);
                    return outcome;
                }
            }
        }
        let mut link = Link::open(&self.target)?;
        let outcome = question(&mut link, &self.keys)?;
        self.link = Some(link);
        Ok(outcome)
    }
}

impl BlockSource for Reader {
    fn name_of(&self, place: &Place) -> String {
        self.keys.name_of(place)
    }

    fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError> {
        self.ask(|link, keys| chain::read(link, &keys.chain, from, to, max_bytes))
    }

    fn account(&mut self, account: &AccountId, with_log: bool) -> Result<AccountState, StoreError> {
        self.ask(|link, keys| read_account(link, keys, account, with_log))
    }

    fn accounts(
        &mut self,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<(Vec<Listed>, bool), StoreError> {
        let limit = limit.min(MAX_PAGE);
        self.ask(|link, keys| {
            let mut names = read_names(link, keys, prefix, after, limit + 1)?;
            let more = names.len() > limit;
            names.truncate(limit);
            Ok((with_balances(link, keys, names)?, more))
        })
    }
}

fn read_account(
    link: &mut Link,
    keys: &Keys,
    account: &AccountId,
    with_log: bool,
) -> Result<AccountState, StoreError> {
    let mut ask =
        vec![command("LLEN", &[&keys.chain]), command("HGET", &[&keys.balances, account.as_str()])];
    if with_log {
        ask.push(command("LRANGE", &[&keys.log, "0", "-1"]));
    }
    let mut replies = link.at_once(ask)?;
    let log = match replies.pop_if(|_| with_log) {
        Some(log) => local_log(&keys.log, log)?,
        None => Vec::new(),
    };
    let [blocks, balance] = exactly(replies)?;
    Ok(AccountState {
        blocks: length(&keys.chain, blocks)?,
        committed: amount(&keys.balances, account, &balance)?,
        log,
    })
}

/// The first names in a part of the list.
fn read_names(
    link: &mut Link,
    keys: &Keys,
    prefix: &str,
    after: Option<&AccountId>,
    most: usize,
) -> Result<Vec<AccountId>, StoreError> {
    let key = &keys.accounts;
    let begin = match listing::begin(prefix, after) {
        Bound::Excluded(name) => format!("({name}"),
        Bound::Included(name) => format!("[{name}"),
        Bound::Unbounded => "-".to_owned(),
    };
    // Names are ASCII, so those with the prefix all come before the prefix with this byte.
    let end = [b"(", prefix.as_bytes(), b"\xff"].concat();
    let mut range = command("ZRANGEBYLEX", &[key, &begin]);
    range.arg(end).arg("LIMIT").arg(0).arg(most);
    let [names] = exactly(link.request(&[range])?)?;
    let name = |name: &Value| {
        let name = borrowed(name, || key.clone())?;
        from_text(name, || format!("{key}[{name}]"))
    };
    values(key, names)?.iter().map(name).collect()
}

/// The accounts with what they hold by the chain. A block may have come since their names were read:
/// then what it made of them is what they hold.
fn with_balances(
    link: &mut Link,
    keys: &Keys,
    names: Vec<AccountId>,
) -> Result<Vec<Listed>, StoreError> {
    // There is no HMGET of nothing.
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let key = &keys.balances;
    let mut ask = command("HMGET", &[key]);
    ask.arg(names.iter().map(AccountId::as_str).collect::<Vec<_>>());
    let [balances] = exactly(link.request(&[ask])?)?;
    let balances = values(key, balances)?;
    if balances.len() != names.len() {
        return Err(StoreError::Failed("replies are missing".into()));
    }
    let listed = |(account, balance): (AccountId, Value)| {
        let committed = amount(key, &account, &balance)?;
        Ok(Listed { account, committed })
    };
    names.into_iter().zip(balances).map(listed).collect()
}

/// An account's balance, if it has one.
fn amount(key: &str, account: &AccountId, balance: &Value) -> Result<Option<Amount>, StoreError> {
    let place = || format!("{key}[{account}]");
    match balance {
        Value::Nil => Ok(None),
        Value::BulkString(_) => from_text(borrowed(balance, place)?, place).map(Some),
        // Of the whole hash.
        other => Err(unexpected(key, other)),
    }
}
