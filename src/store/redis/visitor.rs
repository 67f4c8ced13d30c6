//! A visitor's view of servers' stores: without owning them, without writing, and whatever the Redis's
//! settings.
//!
//! A server may be writing meanwhile. So each answer is of one moment and says how long the chain was
//! then: what follows from the chain can be compared with that very chain, which only grows.

use std::collections::BTreeSet;

use redis::Value;

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{FORMAT, SealedBlock};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::stored::{Place, Stored};
use crate::store::StoreError;
use crate::store::redis::keys::{FORMAT_FIELD, Keys};
use crate::store::redis::link::{Link, Target};
use crate::store::redis::reply::{borrowed, command, corrupt, exactly, length, values};
use crate::store::redis::{Options, balances, chain, snapshot};

/// Keys that are looked through at a time.
const PIECE: &str = "1000";

/// A Redis that is only read.
#[derive(Clone, Debug)]
pub struct Premises {
    target: Target,
}

impl Premises {
    /// The Redis at `url`. Nothing is connected to yet.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] if the URL is none.
    pub fn new(url: &str, options: &Options) -> Result<Premises, StoreError> {
        let target = Target::parse(url, options.connect_timeout, options.timeout)?;
        Ok(Premises { target })
    }

    /// Where it is, without what the URL may hold of passwords.
    pub fn place(&self) -> String {
        self.target.place()
    }

    /// The servers of which there is any key.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn servers(&self) -> Result<BTreeSet<ServerId>, StoreError> {
        let mut link = Link::open(&self.target)?;
        let mut found = BTreeSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let scan = command("SCAN", &[&cursor, "MATCH", "SERVER-*", "COUNT", PIECE]);
            let [reply] = exactly(link.request(&[scan])?)?;
            let [next, keys] = exactly(values("SCAN", reply)?)?;
            // A key that is no text is none of a server's.
            for key in values("SCAN", keys)? {
                let key = borrowed(&key, String::new).unwrap_or_default();
                found.extend(Keys::owner_of(key));
            }
            borrowed(&next, || "SCAN".into())?.clone_into(&mut cursor);
            if cursor == "0" {
                return Ok(found);
            }
        }
    }

    /// The store of the server `id` there.
    pub fn visit(&self, id: &ServerId) -> Visitor {
        Visitor { target: self.target.clone(), keys: Keys::of(id), link: None }
    }
}

/// What a store holds beside the chain and the balances, all at one moment.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The state, the local log, votes; none if the store was never used.
    pub stored: Option<Stored>,
    /// How many accounts' names are listed.
    pub listed: u64,
}

/// Accounts, each with a number, in a piece of what follows from the chain.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// How many blocks there were at that moment.
    pub blocks: u64,
    /// The accounts; one may come more than once.
    pub accounts: Vec<(AccountId, Amount)>,
    /// Where the next piece begins; 0 if this was the last one.
    pub next: u64,
}

/// Reads one server's store.
pub struct Visitor {
    target: Target,
    keys: Keys,
    link: Option<Link>,
}

impl Visitor {
    fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut Link, &Keys) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => Link::open(&self.target)?,
        };
        let answer = question(&mut link, &self.keys);
        // After a failure replies may still be under way.
        if !answer.as_ref().is_err_and(StoreError::is_transient) {
            self.link = Some(link);
        }
        answer
    }

    /// How people who look at the store itself find a place in it.
    pub fn name_of(&self, place: &Place) -> String {
        self.keys.name_of(place)
    }

    /// The list of all accounts' names, as [`Visitor::name_of`] names other places.
    pub fn name_of_list(&self, account: Option<&AccountId>) -> String {
        let key = &self.keys.accounts;
        account.map_or_else(|| key.clone(), |account| format!("{key}[{account}]"))
    }

    /// Everything but the chain, the balances and the accounts' names.
    ///
    /// # Errors
    /// If it can't be read, or holds what can't be understood: also where it is of another format.
    pub fn contents(&mut self) -> Result<Contents, StoreError> {
        let found = self.ask(|link, keys| {
            let replies = link.at_once(snapshot::commands(keys).into())?;
            snapshot::parse_unlisted(keys, replies)
        });
        match found {
            Ok(found) => Ok(Contents { stored: found.stored, listed: found.listed }),
            Err(StoreError::Unfit(what)) => {
                let key = format!("{}[{FORMAT_FIELD}]", self.keys.state);
                let what = what.strip_prefix(&key).map_or(what.as_str(), str::trim_start);
                Err(corrupt(&key, what))
            }
            Err(error) => Err(error),
        }
    }

    /// How many blocks there are, whatever is wrong with all else; 0 if it is of another format.
    ///
    /// # Errors
    /// If there is no chain, or it can't be read.
    pub fn length(&mut self) -> Result<u64, StoreError> {
        self.ask(|link, keys| {
            let ask =
                [command("HGET", &[&keys.state, FORMAT_FIELD]), command("LLEN", &[&keys.chain])];
            let [format, blocks] = exactly(link.request(&ask)?)?;
            match format {
                Value::BulkString(format) if format != FORMAT.to_string().as_bytes() => Ok(0),
                _ => length(&keys.chain, blocks),
            }
        })
    }

    /// Reads blocks as [`Store::blocks`](crate::store::Store::blocks) does.
    ///
    /// # Errors
    /// If they can't be read or understood.
    pub fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError> {
        self.ask(|link, keys| chain::read(link, &keys.chain, from, to, max_bytes))
    }

    /// A piece of the balances, from 0 on.
    ///
    /// # Errors
    /// If it can't be read or understood.
    pub fn balances(&mut self, from: u64) -> Result<Accounts, StoreError> {
        self.ask(|link, keys| scan(link, "HSCAN", &keys.chain, &keys.balances, from))
    }

    /// A piece of the list of all accounts, each with its score, from 0 on.
    ///
    /// # Errors
    /// If it can't be read or understood.
    pub fn listed(&mut self, from: u64) -> Result<Accounts, StoreError> {
        self.ask(|link, keys| scan(link, "ZSCAN", &keys.chain, &keys.accounts, from))
    }

    /// The first of these accounts of which there is no balance, or no name in the list.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn first_missing(
        &mut self,
        accounts: &[AccountId],
        of_list: bool,
    ) -> Result<Option<AccountId>, StoreError> {
        self.ask(|link, keys| {
            let (name, key) = match of_list {
                true => ("ZMSCORE", &keys.accounts),
                false => ("HMGET", &keys.balances),
            };
            if accounts.is_empty() {
                return Ok(None);
            }
            let mut ask = command(name, &[key]);
            ask.arg(accounts.iter().map(AccountId::as_str).collect::<Vec<_>>());
            let [reply] = exactly(link.request(&[ask])?)?;
            let found = values(key, reply)?;
            let missing = accounts.iter().zip(found).find(|(_, found)| *found == Value::Nil);
            Ok(missing.map(|(account, _)| account.clone()))
        })
    }
}

fn scan(
    link: &mut Link,
    how: &str,
    chain: &str,
    key: &str,
    from: u64,
) -> Result<Accounts, StoreError> {
    let ask = vec![command("LLEN", &[chain]), balances::scan(how, key, from)];
    let [blocks, piece] = exactly(link.at_once(ask)?)?;
    let (accounts, next) = balances::scanned(key, piece)?;
    Ok(Accounts { blocks: length(chain, blocks)?, accounts, next })
}
