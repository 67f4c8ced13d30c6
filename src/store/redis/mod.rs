//! The store in Redis.
//!
//! The module `keys` lists the keys that a server uses.
//!
//! A turn is one round trip: `MULTI`, `INCR` of the turn counter, the writes, `EXEC`, then `WATCH` and
//! `GET` of the owner, which guard the next turn. With `appendfsync always` Redis answers when the turn
//! is on the disk. Where it may answer earlier, the turn ends with `WAITAOF`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bank::blockchain::block::{FORMAT, SealedBlock};
use crate::bank::effects::{Batch, Receipt};
use crate::bank::ids::ServerId;
use crate::bank::ledger::pages::Page;
use crate::bank::stored::{Place, Stored};
use crate::store::redis::archivist::{Archive, RedisArchivist};
use crate::store::redis::keys::Keys;
use crate::store::redis::memory_watch::MemoryWatch;
use crate::store::redis::past::Past;
use crate::store::redis::patience::patiently;
use crate::store::redis::probe::Probed;
use crate::store::redis::reader::Reader;
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::exactly;
use crate::store::redis::settings::Durability;
use crate::store::redis::snapshot::IfOlder;
use crate::store::redis::takeover::{Coming, Known, Takeover, run_turn};
use crate::store::redis::target::Target;
use crate::store::redis::turn::Turn;
use crate::store::shape::Shape;
use crate::store::{Archivist, BlockSource, Store, StoreError};

mod archivist;
mod chain;
mod copies;
mod keys;
pub mod leftovers;
mod memory_watch;
mod options;
pub mod outlet;
mod pages;
mod past;
mod patience;
mod probe;
mod reader;
mod redis_connection;
mod reply;
mod segments;
mod settings;
mod snapshot;
mod takeover;
pub mod target;
mod turn;
pub mod viewer;
mod words;

pub use archivist::ArchiveOptions;
pub use copies::MAX_COPIES;
pub use options::Options;

/// A server's state in Redis, over one connection.
pub struct RedisStore {
    target: Target,
    keys: Keys,
    allow_weak: bool,
    upgrade: bool,
    copies: u8,
    url: String,
    timeout: Duration,
    process: u64,
    known: Option<Known>,
    hold: Option<Hold>,
    archive: Option<Archive>,
    past: Past,
    /// The bytes of all durable turns.
    written: u64,
}

/// The silence after which the connection is checked before the next write. Redis may have closed it
/// meanwhile (its setting `timeout` does so after a second at the least), or have been restarted. A turn
/// written to a closed connection can't be told from a turn that was done and not answered.
pub const IDLE: Duration = Duration::from_millis(100);

/// What a process holds from a look to the first error.
struct Hold {
    link: RedisConnection,
    token: String,
    shape: Shape,
    /// When Redis was last heard.
    heard: Instant,
    /// The life to begin; none once it has begun.
    coming: Option<Coming>,
    /// True if Redis refused to let the life begin, which ended the guard over the owner.
    refused: bool,
}

impl RedisStore {
    /// Names the store of the server `id` in the Redis at `url` (`redis://HOST:PORT/DB`). It is connected
    /// to when it is loaded.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] if the URL is wrong.
    pub fn new(url: &str, id: &ServerId, options: Options) -> Result<RedisStore, StoreError> {
        let Options { allow_weak, upgrade, copies, connect_timeout, timeout } = options;
        let target = Target::parse(url, connect_timeout, timeout)?;
        Ok(RedisStore {
            url: target.url(),
            target,
            keys: Keys::of(id),
            allow_weak,
            upgrade,
            copies,
            timeout,
            process: fastrand::u64(..),
            known: None,
            hold: None,
            archive: None,
            past: Past::new(None),
            written: 0,
        })
    }

    /// Lets the oldest blocks leave Redis for segments, and reads them there.
    #[must_use]
    pub fn archived(self, options: ArchiveOptions) -> RedisStore {
        let archive = Archive { options, shared: Arc::default() };
        RedisStore { past: archive.past(), archive: Some(archive), ..self }
    }

    /// Takes what a load left. Callers put it back only after success: after an error, replies may still
    /// be under way on the connection, and nobody knows what is durable.
    fn take_hold(&mut self) -> Result<Hold, StoreError> {
        self.hold
            .take()
            .ok_or_else(|| StoreError::Failed("it was not loaded since it failed".into()))
    }

    /// Connects to a Redis that is fit. A process that starts waits until Redis is ready; in a running
    /// process an unready Redis is a failure, after which it tries again.
    fn connect(&self) -> Result<RedisConnection, StoreError> {
        let mut link = RedisConnection::open(&self.target)?;
        let mut is_fit = || self.is_fit(&mut link);
        let fit = match is_fit() {
            Ok(Err(why)) if self.known.is_some() => Err(self.target.failed(why)),
            Ok(Err(why)) => patiently(why, is_fit),
            fit => fit.map(|_| ()),
        };
        match fit {
            // Redis is only just starting, or starts again. A start waits for it as if nothing had answered.
            Err(StoreError::Failed(why)) if self.known.is_none() && link.is_lost() => {
                Err(StoreError::Unreachable(why))
            }
            fit => fit.map(|()| link),
        }
    }

    /// Checks that Redis can be used; the inner error says what has to end first.
    fn is_fit(&self, link: &mut RedisConnection) -> Result<Result<(), String>, StoreError> {
        let waitaof = match probe::check(link, &self.keys, self.copies > 0)? {
            Probed::Everything { waitaof } => waitaof,
            Probed::Loading => {
                return Ok(Err("it is still reading its file".to_owned()));
            }
        };
        copies::check_version(link, self.copies, waitaof)?;
        let durability = match settings::check(link, waitaof, self.allow_weak) {
            // A server that has served from it goes on when the settings are right again.
            Err(StoreError::Unfit(why)) if self.known.is_some() => {
                return Err(StoreError::Failed(why));
            }
            durability => durability?,
        };
        Ok(match durability {
            Durability::Sound => {
                if waitaof {
                    let each_time = !settings::has_one_io_thread(link)?;
                    link.ask_for_flushes(each_time, self.copies);
                }
                Ok(())
            }
            Durability::Weak => Ok(()),
            Durability::NotYet(why) => Err(why),
        })
    }

    /// Checks that the store is there and as this process left it, and guards the next turn. A closed
    /// connection is replaced: everything sent on it was answered, so nothing of this process is under way.
    fn look_in_on(&self, mut hold: Hold) -> Result<Hold, StoreError> {
        let (turn, begun) = (hold.shape.turn, Instant::now());
        match self.takeover().look_in(&mut hold.link, &hold.token, turn) {
            // A Redis that hangs wouldn't answer on another connection either.
            Err(StoreError::Failed(why)) if begun.elapsed() < self.timeout => {
                log::debug!("{why}; connecting again");
                hold.link = self.connect()?;
                self.takeover().look_in(&mut hold.link, &hold.token, turn)?;
            }
            looked => looked?,
        }
        hold.heard = Instant::now();
        Ok(hold)
    }

    /// Refuses a store that lacks replicas, before anything is written there that they couldn't confirm.
    fn check_copies(&self, link: &mut RedisConnection) -> Result<(), StoreError> {
        copies::check(link, self.copies, self.timeout)
    }

    /// Takes what a load left, if a life has begun.
    fn take_begun(&mut self) -> Result<Hold, StoreError> {
        match self.take_hold()? {
            hold @ Hold { coming: None, .. } => Ok(hold),
            _ => Err(StoreError::Failed("it was looked at, and no life has begun".into())),
        }
    }

    fn takeover(&self) -> Takeover<'_> {
        let RedisStore { ref keys, process, known, .. } = *self;
        let if_older =
            if self.upgrade { IfOlder::Read } else { IfOlder::Refuse { url: &self.url } };
        Takeover { keys, process, known, if_older }
    }

    /// Returns the format of the store that was looked at, if it is an older one, which ends when the life
    /// begins.
    pub fn older(&self) -> Option<u32> {
        self.hold.as_ref()?.coming.as_ref()?.older
    }
}

fn not_looked_at() -> StoreError {
    StoreError::Failed("it was not looked at".into())
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Writes a batch in one transaction.
    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut hold = self.take_begun()?;
        let shape = hold.shape.after(batch)?;
        if !batch.writes.is_empty() {
            if hold.heard.elapsed() >= IDLE {
                hold = self.look_in_on(hold)?;
                self.check_copies(&mut hold.link)?;
            }
            let base = self.past.archived().base();
            let mut turn = Turn::new(&self.keys, batch.number, base);
            let shared = self.archive.as_ref().map(|archive| &archive.shared);
            let sealed = shared.and_then(|shared| shared.due(base, &hold.shape));
            if let Some(sealed) = &sealed {
                turn.trim(sealed, hold.shape.blocks);
            }
            turn.write(&batch.writes, hold.shape.accepted);
            self.written += run_turn(&mut hold.link, &self.keys, &hold.token, turn)?;
            if let Some(sealed) = sealed {
                self.past.push(sealed.segment);
            }
            hold.heard = Instant::now();
        }
        if let Some(known) = &mut self.known {
            known.turn = batch.number;
        }
        self.hold = Some(Hold { shape, ..hold });
        Ok(())
    }
}

impl BlockSource for RedisStore {
    fn name_of(&self, place: &Place) -> String {
        self.keys.name_of(place)
    }

    fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError> {
        let mut hold = self.take_hold()?;
        let blocks = self.past.blocks(&mut hold.link, &self.keys, (from, to), max_bytes);
        // A segment that isn't at hand leaves nothing under way.
        if matches!(blocks, Ok(_) | Err(StoreError::Past { .. })) {
            self.hold = Some(hold);
        }
        blocks
    }
}

impl Store for RedisStore {
    fn look(&mut self) -> Result<Stored, StoreError> {
        self.hold = None;
        let mut link = self.connect()?;
        if let Err(error) = self.check_copies(&mut link)
            && !self.takeover().is_as_known(&mut link)?
        {
            return Err(error);
        }
        let (stored, coming) = self.takeover().look(&mut link)?;
        self.past.learn(coming.archived.clone());
        // Each look has a new token: an earlier look's turn that is still on its way, after a time-out,
        // must come too late.
        let token = format!("{:016x}-{:016x}", self.process, fastrand::u64(..));
        let (shape, heard) = (Shape::of(&stored), Instant::now());
        self.hold = Some(Hold { link, token, shape, heard, coming: Some(coming), refused: false });
        Ok(stored)
    }

    fn begin(&mut self) -> Result<bool, StoreError> {
        let mut hold = self.take_hold()?;
        let Some(coming) = hold.coming.take() else { return Err(not_looked_at()) };
        if let Err(error) = self.check_copies(&mut hold.link) {
            self.hold = Some(Hold { coming: Some(coming), ..hold });
            return Err(error);
        }
        if hold.refused && !self.takeover().is_owner_as_seen(&mut hold.link, &coming)? {
            return Ok(false);
        }
        match self.takeover().begin(&mut hold.link, &hold.token, &coming) {
            // Nobody has heard of this life yet.
            Err(StoreError::Unflushed(why)) if self.known.is_none() => {
                patiently(why, || match hold.link.is_flushed() {
                    Err(StoreError::Unflushed(why)) => Ok(Err(why)),
                    flushed => flushed.map(Ok),
                })?;
            }
            Err(error @ StoreError::Refused(_)) => {
                self.hold = Some(Hold { coming: Some(coming), refused: true, ..hold });
                return Err(error);
            }
            Ok(false) => return Ok(false),
            begun => drop(begun?),
        }
        if let Some(older) = coming.older {
            log::warn!("{} was of format {older}, and is of format {FORMAT} now", self.keys.state);
        }
        self.known = Some(Known { instance: coming.instance, turn: coming.turn });
        self.hold = Some(Hold { heard: Instant::now(), ..hold });
        Ok(true)
    }

    fn is_confirmed(&self) -> bool {
        let seen = self.hold.as_ref().and_then(|hold| hold.coming.as_ref()?.seen);
        self.copies == 0 || (seen.is_some() && seen == self.known.map(|known| known.turn))
    }

    fn look_in(&mut self) -> Result<(), StoreError> {
        let hold = self.take_begun()?;
        let mut hold = self.look_in_on(hold)?;
        self.check_copies(&mut hold.link)?;
        if !self.allow_weak {
            settings::check_again(&mut hold.link)?;
            hold.link.is_flushed()?;
        }
        self.hold = Some(hold);
        Ok(())
    }

    fn is_as_seen(&mut self) -> Result<bool, StoreError> {
        let mut hold = self.take_hold()?;
        let Some(coming) = &hold.coming else { return Err(not_looked_at()) };
        let is_as_seen = self.takeover().is_as_seen(&mut hold.link, coming)?;
        self.hold = Some(hold);
        Ok(is_as_seen)
    }

    fn pages(&mut self, from: u64, count: u64) -> Result<Vec<Page>, StoreError> {
        let mut hold = self.take_hold()?;
        let key = &self.keys.balances;
        let [reply] = exactly(hold.link.request(&[pages::ask(key, from, count)])?)?;
        let pages = pages::parse(key, from, reply)?;
        self.hold = Some(hold);
        Ok(pages)
    }

    fn commit(&mut self, batch: Batch) -> Result<Receipt, StoreError> {
        batch.write(|batch| self.write(batch))
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn reader(&self) -> Box<dyn BlockSource> {
        let past = self.archive.as_ref().map_or_else(|| Past::new(None), Archive::past);
        Box::new(Reader::new(self.target.clone(), self.keys.clone(), past))
    }

    fn archivist(&self) -> Option<Box<dyn Archivist>> {
        let Some(Archive { options, shared }) = &self.archive else {
            return Some(Box::new(MemoryWatch::new(self.target.clone())));
        };
        let (target, keys) = (self.target.clone(), self.keys.clone());
        let (options, shared) = (options.clone(), Arc::clone(shared));
        Some(Box::new(RedisArchivist::new(target, keys, options, shared)))
    }
}
