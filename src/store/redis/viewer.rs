//! A view of servers' stores from outside: it owns nothing, writes nothing, and works with any of Redis's
//! settings.
//!
//! A server may be writing meanwhile. So each answer is of one moment, and says how long the chain was
//! then. The chain only grows, so what follows from it can be checked against the chain of that length.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use redis::Value;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::ids::ServerId;
use crate::bank::ledger::pages::Page;
use crate::bank::stored::{Place, Stored};
use crate::store::StoreError;
use crate::store::archive::folder::Folder;
use crate::store::archive::record::Archived;
use crate::store::redis::keys::{BASE_FIELD, FORMAT_FIELD, Keys};
use crate::store::redis::past::{self, Past};
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::{
    borrowed, command, corrupt, exactly, from_text, length, text, values,
};
use crate::store::redis::snapshot::IfOlder;
use crate::store::redis::target::Target;
use crate::store::redis::{Options, pages, snapshot};

/// The number of keys looked through at a time.
const PIECE: &str = "1000";
/// The number of pages read at a time.
const PAGES: u64 = 64;

/// A Redis that is only read.
#[derive(Clone, Debug)]
pub struct ReadOnlyRedis {
    target: Target,
    folders: BTreeMap<ServerId, Folder>,
}

impl ReadOnlyRedis {
    /// Names the Redis at `url`. Doesn't connect yet.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] if the URL is wrong.
    pub fn new(url: &str, options: &Options) -> Result<ReadOnlyRedis, StoreError> {
        let target = Target::parse(url, options.connect_timeout, options.timeout)?;
        Ok(ReadOnlyRedis { target, folders: BTreeMap::new() })
    }

    /// Reads old blocks in these folders, each of one server.
    #[must_use]
    pub fn with_folders(self, folders: BTreeMap<ServerId, Folder>) -> ReadOnlyRedis {
        ReadOnlyRedis { folders, ..self }
    }

    /// Names the place for people, without the URL's password.
    pub fn place(&self) -> String {
        self.target.place()
    }

    /// Finds the servers that have any key there.
    ///
    /// # Errors
    /// If Redis can't be read.
    pub fn servers(&self) -> Result<BTreeSet<ServerId>, StoreError> {
        let mut link = RedisConnection::open(&self.target)?;
        let mut found = BTreeSet::new();
        let mut cursor = "0".to_owned();
        loop {
            let scan = command("SCAN", &[&cursor, "MATCH", "SERVER-*", "COUNT", PIECE]);
            let [reply] = exactly(link.request(&[scan])?)?;
            let [next, keys] = exactly(values("SCAN", reply)?)?;
            // A key that is no text belongs to no server.
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

    /// Returns a viewer of the server `id`'s store.
    pub fn visit(&self, id: &ServerId) -> StoreViewer {
        let (target, keys) = (self.target.clone(), Keys::of(id));
        let past = Past::new(self.folders.get(id));
        StoreViewer { target, keys, link: None, older: None, past }
    }
}

/// A few pages of balances, read at one moment.
#[derive(Clone, Debug)]
pub struct Pages {
    /// The length of the chain at that moment.
    pub blocks: u64,
    /// The pages.
    pub pages: Vec<Page>,
    /// True if there are more pages.
    pub more: bool,
}

/// Reads one server's store.
pub struct StoreViewer {
    target: Target,
    keys: Keys,
    link: Option<RedisConnection>,
    older: Option<u32>,
    past: Past,
}

impl StoreViewer {
    fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut RedisConnection, &Keys, &mut Past) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => RedisConnection::open(&self.target)?,
        };
        let answer = question(&mut link, &self.keys, &mut self.past);
        // After a failure, replies may still be under way.
        if !answer.as_ref().is_err_and(StoreError::is_transient) {
            self.link = Some(link);
        }
        answer
    }

    /// Names a place as people find it who look at the store itself.
    pub fn name_of(&self, place: &Place) -> String {
        match place {
            Place::Block(height) => {
                let index = height.saturating_sub(self.past.archived().base());
                self.keys.name_of(&Place::Block(index))
            }
            place => self.keys.name_of(place),
        }
    }

    /// Returns what left Redis for segments, as of the last look.
    pub fn archived(&self) -> &Archived {
        self.past.archived()
    }

    /// Returns the folder of segments, if one was given.
    pub fn folder(&self) -> Option<&Folder> {
        self.past.segments().0
    }

    /// Returns the file, and the line from 1, in which a block is, if it is in a segment.
    pub fn line_of(&self, height: u64) -> Option<(PathBuf, u64)> {
        let segment = self.past.archived().segment_of(height)?;
        let folder = self.past.segments().0?;
        Some((segment.path(folder.path()), height - segment.first + 1))
    }

    /// Compares all segments that the store names with what it says of them.
    ///
    /// # Errors
    /// [`StoreError::Past`] names the first file that is not the one that was written.
    pub fn check_segments(&self) -> Result<(), StoreError> {
        let (Some(folder), segments) = self.past.segments() else { return Ok(()) };
        for segment in segments {
            folder.verify(segment, &mut |_| true)?;
        }
        Ok(())
    }

    /// Reads everything but the chain and the pages of balances; none if the store was never used.
    ///
    /// # Errors
    /// If the store can't be read or understood, or is of another format.
    pub fn contents(&mut self) -> Result<Option<Stored>, StoreError> {
        let found = self.ask(|link, keys, past| {
            let replies = link.at_once(&keys.turn, snapshot::commands(keys).into())?;
            let found = snapshot::parse(keys, replies, IfOlder::Read)?;
            past.learn(found.archived.clone());
            Ok(found)
        });
        match found {
            Ok(found) => {
                self.older = found.older;
                Ok(found.stored)
            }
            Err(StoreError::Unfit(what)) => {
                let key = format!("{}[{FORMAT_FIELD}]", self.keys.state);
                let what = what.strip_prefix(&key).map_or(what.as_str(), str::trim_start);
                Err(corrupt(&key, what))
            }
            Err(error) => Err(error),
        }
    }

    /// Says what to type so that the store comes along, if what [`StoreViewer::contents`] has read is of an
    /// older format.
    pub fn outdated(&self) -> Option<String> {
        let how = snapshot::how_to_upgrade(&self.target.url(), &self.keys.id);
        self.older.map(|older| format!("it is of format {older}: {how}"))
    }

    /// Returns the length of the chain, whatever else is wrong; 0 if the store is of another format.
    ///
    /// # Errors
    /// If the chain is missing or can't be read.
    pub fn length(&mut self) -> Result<u64, StoreError> {
        self.ask(|link, keys, past| {
            let ask =
                [command("HGET", &[&keys.state, FORMAT_FIELD]), command("LLEN", &[&keys.chain])];
            let [format, blocks] = exactly(link.request(&ask)?)?;
            match format {
                Value::BulkString(format)
                    if !str::from_utf8(&format).is_ok_and(snapshot::is_read) =>
                {
                    Ok(0)
                }
                _ => {
                    // What is wrong with the state is found elsewhere.
                    past.learn(past::look(link, keys).unwrap_or_default());
                    Ok(past.archived().base() + length(&keys.chain, blocks)?)
                }
            }
        })
    }

    /// Reads blocks as [`BlockSource::blocks`](crate::store::BlockSource::blocks) does.
    ///
    /// # Errors
    /// If the blocks can't be read or understood.
    pub fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError> {
        self.ask(|link, keys, past| past.blocks(link, keys, (from, to), max_bytes))
    }

    /// Reads a few pages of balances, from page `from` on.
    ///
    /// # Errors
    /// If the pages can't be read or understood.
    pub fn pages(&mut self, from: u64) -> Result<Pages, StoreError> {
        self.ask(|link, keys, _| {
            let key = &keys.balances;
            let ask = vec![
                command("HGET", &[&keys.state, BASE_FIELD]),
                command("LLEN", &[&keys.chain]),
                command("HLEN", &[key]),
                pages::ask(key, from, PAGES),
            ];
            let [base, held, there, found] = exactly(link.at_once(&keys.turn, ask)?)?;
            let base = text(BASE_FIELD, base)?;
            let base = base.map_or(Ok(0), |base| from_text(&base, || BASE_FIELD.into()))?;
            let there = length(key, there)?.saturating_sub(from);
            let mut found = values(key, found)?;
            found.truncate(there.min(PAGES) as usize);
            Ok(Pages {
                blocks: base + length(&keys.chain, held)?,
                pages: pages::parse(key, from, Value::Array(found))?,
                more: there > PAGES,
            })
        })
    }
}
