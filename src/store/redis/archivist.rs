//! The archivist of a store in Redis: it copies blocks into segments, over a connection of its own.
//!
//! Blocks are copied as they come, so that the sealing of a segment is short. A sealed segment waits until enough
//! newer blocks have come; then it is left for the store, which notes it in its next turn.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::status::ArchiveStatus;
use crate::store::archive::claim::Claim;
use crate::store::archive::error::ArchiveError;
use crate::store::archive::folder::Folder;
use crate::store::archive::keeper::Keeper;
use crate::store::archive::owner::Owner;
use crate::store::archive::record::Archived;
use crate::store::archive::writer::SegmentWriter;
use crate::store::redis::chain::{self, List};
use crate::store::redis::keys::Keys;
use crate::store::redis::past::{self, Past, Sealed, Shared};
use crate::store::redis::redis_connection::RedisConnection;
use crate::store::redis::reply::{command, exactly, length};
use crate::store::redis::target::Target;
use crate::store::{Archivist, Rest, StoreError};

/// The most bytes of blocks asked for at once: Redis serves nobody while it answers.
const PIECE: usize = 1 << 20;

/// How a store is archived.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// The folder.
    pub folder: Folder,
    /// How many bytes of the newest blocks Redis keeps at least.
    pub keep: u64,
    /// The size, in bytes, from which on a segment is sealed.
    pub segment: u64,
}

/// How the store is archived, and what it shares with its archivist.
pub(super) struct Archive {
    /// How.
    pub(super) options: ArchiveOptions,
    /// What is shared.
    pub(super) shared: Arc<Shared>,
}

impl Archive {
    /// Returns a view of the chain from block 0 on.
    pub(super) fn past(&self) -> Past {
        Past::new(Some(&self.options.folder)).watched(Arc::clone(&self.shared))
    }
}

/// Copies blocks and looks after segments.
pub(super) struct RedisArchivist {
    target: Target,
    keys: Keys,
    options: ArchiveOptions,
    shared: Arc<Shared>,
    link: Option<RedisConnection>,
    desk: Option<Desk>,
}

/// What is under way in a folder that is this server's.
struct Desk {
    claim: Claim,
    keeper: Keeper,
    /// What left Redis, as last seen.
    archived: Archived,
    /// Sealed segments that Redis doesn't know yet, each with how much was copied up to its end.
    sealed: VecDeque<(Sealed, u64)>,
    /// The height of the next block to be copied.
    next: u64,
    /// The writer of the segment to which it belongs, if a part of that is copied.
    writer: Option<SegmentWriter>,
    /// How many bytes were copied.
    copied: u64,
    /// Block 0, if the segment that is being written begins with it.
    genesis: Option<String>,
}

impl RedisArchivist {
    /// Creates the archivist of these keys. It begins when the bank is founded.
    pub(super) fn new(
        target: Target,
        keys: Keys,
        options: ArchiveOptions,
        shared: Arc<Shared>,
    ) -> RedisArchivist {
        RedisArchivist { target, keys, options, shared, link: None, desk: None }
    }

    /// Takes the folder, and begins to copy where the segments end. None before the founding.
    fn begin(&self, link: &mut RedisConnection) -> Result<Option<Desk>, String> {
        let folder = &self.options.folder;
        let in_words = |error: StoreError| error.to_string();
        let archived = past::look(link, &self.keys).map_err(in_words)?;
        let genesis = match archived.base() {
            0 => {
                let list = List { keys: &self.keys, base: 0 };
                list.blocks(link, (0, 0), 1).map_err(in_words)?.and_then(|mut blocks| blocks.pop())
            }
            _ => Some(chain::genesis(link, &self.keys).map_err(in_words)?),
        };
        let Some(genesis) = genesis else { return Ok(None) };
        let owner = Owner { server: self.keys.id.clone(), bank: genesis.hash() };
        let claim = folder.claim(&owner).map_err(|error| error.to_string())?;
        let blocks = archived.base() + list_length(link, &self.keys)?;
        let removed = claim.remove_strays(archived.segments(), blocks);
        for file in removed.map_err(|error| error.to_string())? {
            log::debug!(
                "{} is no noted segment, and Redis has its blocks: removed",
                file.display()
            );
        }
        let keeper = Keeper::begin(folder, archived.segments());
        let (sealed, next) = (VecDeque::new(), archived.base());
        let (writer, genesis) = (None, None);
        Ok(Some(Desk { claim, keeper, archived, sealed, next, writer, copied: 0, genesis }))
    }

    /// Copies a piece of the chain. True if there was any.
    fn copy(&self, link: &mut RedisConnection, desk: &mut Desk) -> Result<bool, String> {
        let list = List { keys: &self.keys, base: desk.archived.base() };
        let next = desk.next;
        let texts = list.texts(link, (next, u64::MAX), PIECE).map_err(|error| error.to_string())?;
        let Some(texts) = texts else {
            desk.archived = past::look(link, &self.keys).map_err(|error| error.to_string())?;
            let base = desk.archived.base();
            desk.sealed.retain(|(sealed, _)| sealed.segment.first >= base);
            return match base <= next {
                true => Ok(true),
                false => Err(format!("the chain begins at block {base} now: beginning anew there")),
            };
        };
        for text in &texts {
            desk.append(text, self.options.segment).map_err(|error| error.to_string())?;
        }
        Ok(!texts.is_empty())
    }

    /// Leaves the oldest sealed segment for the store, if enough newer blocks were copied.
    fn stage(&self, desk: &mut Desk) {
        let Some((sealed, copied)) = desk.sealed.front() else { return };
        if desk.copied - copied >= self.options.keep {
            self.shared.leave(sealed.clone());
        }
    }

    fn step(&mut self, rest: &mut Rest<'_>) -> Result<bool, String> {
        let mut link = match self.link.take() {
            Some(link) => link,
            None => RedisConnection::open(&self.target).map_err(|error| error.to_string())?,
        };
        let mut desk = match self.desk.take() {
            Some(desk) => desk,
            None => match self.begin(&mut link)? {
                Some(desk) => desk,
                None => {
                    self.link = Some(link);
                    return Ok(false);
                }
            },
        };
        let copied = self.copy(&mut link, &mut desk)?;
        self.stage(&mut desk);
        let suspected = self.shared.take_suspected();
        for height in suspected {
            if let Some(segment) = desk.archived.segment_of(height) {
                desk.keeper.suspect(segment);
            }
        }
        let worked = copied || desk.keeper.check_next(&self.options.folder, rest);
        (self.link, self.desk) = (Some(link), Some(desk));
        Ok(worked)
    }
}

/// Returns how many blocks are in the list.
fn list_length(link: &mut RedisConnection, keys: &Keys) -> Result<u64, String> {
    let replies = link.request(&[command("LLEN", &[&keys.chain])]).and_then(exactly);
    let length = replies.and_then(|[reply]| length(&keys.chain, reply));
    length.map_err(|error| error.to_string())
}

impl Desk {
    /// Copies the next block, and seals the segment if it is large enough.
    fn append(&mut self, text: &str, size: u64) -> Result<(), ArchiveError> {
        if self.next == 0 {
            self.genesis = Some(text.to_owned());
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => self.claim.begin(self.next)?,
        };
        writer.append(text)?;
        self.next += 1;
        self.copied += text.len() as u64 + 1;
        if writer.bytes() < size {
            self.writer = Some(writer);
            return Ok(());
        }
        let (segment, genesis) = (writer.seal()?, self.genesis.take());
        log::debug!("blocks {} to {} are in a segment", segment.first, segment.last);
        self.sealed.push_back((Sealed { segment, genesis }, self.copied));
        Ok(())
    }
}

impl Archivist for RedisArchivist {
    fn work(&mut self, rest: &mut Rest<'_>) -> Result<bool, String> {
        let place = self.options.folder.path().display().to_string();
        // After an error everything begins anew, the claim of the folder too.
        self.step(rest).map_err(|why| format!("no blocks are archived in {place} now: {why}"))
    }

    fn wanted(&self) -> Option<(u64, u64)> {
        self.desk.as_ref()?.keeper.wanted()
    }

    fn take(&mut self, blocks: &[SealedBlock]) {
        if let Some(Desk { claim, keeper, .. }) = &mut self.desk {
            keeper.take(&self.options.folder, claim, blocks);
        }
    }

    fn standing(&self) -> Option<ArchiveStatus> {
        let Desk { archived, keeper, .. } = self.desk.as_ref()?;
        let (base, segments) = (archived.base(), archived.segments().len() as u64);
        let damaged = keeper.damaged() as u64;
        let bytes = archived.segments().iter().map(|segment| segment.bytes).sum();
        Some(ArchiveStatus { base, segments, bytes, damaged, trouble: None })
    }
}
