//! A store in Redis, as a source.

use crate::audit::finding::{At, Finding, Spot, Trouble};
use crate::audit::replay::BlockFound;
use crate::audit::source::{AccountsPiece, Kept, Source, Standing};
use crate::bank::ids::ServerId;
use crate::bank::stored::Place;
use crate::store::StoreError;
use crate::store::redis::viewer::{Pages, ReadOnlyRedis, StoreViewer};

/// The amount of blocks' text that is read at a time, in bytes.
const PIECE: usize = 8 << 20;

/// A server's store.
pub struct StoreSource {
    id: ServerId,
    place: String,
    visitor: StoreViewer,
    /// The next page of balances; none after the last.
    next: Option<u64>,
    /// True once the segments were compared with what the store says of them.
    has_checked: bool,
}

impl StoreSource {
    /// Names the store of the server `id` in a Redis.
    pub fn new(premises: &ReadOnlyRedis, id: ServerId) -> StoreSource {
        let (place, visitor) = (premises.place(), premises.visit(&id));
        StoreSource { id, place, visitor, next: Some(0), has_checked: false }
    }
}

/// Turns a store's error into an audit's.
pub fn trouble(error: StoreError) -> Trouble {
    match error {
        StoreError::Corrupt { key, what } => Finding::new(Spot::of_redis(&key), what).into(),
        StoreError::Past { file: Some(file), what } => {
            Finding::new(Spot { key: file.display().to_string(), at: None }, what).into()
        }
        other => Trouble::Unread(other.to_string()),
    }
}

/// Names a place in a store, or in a segment, as people find it.
pub fn spot(visitor: &StoreViewer, place: &Place) -> Spot {
    if let Place::Block(height) = place
        && let Some((file, line)) = visitor.line_of(*height)
    {
        return Spot { key: file.display().to_string(), at: Some(At::Line(line)) };
    }
    Spot::of_redis(&visitor.name_of(place))
}

impl Source for StoreSource {
    fn name(&self) -> String {
        format!("{} in Redis at {}", self.id, self.place)
    }

    fn server(&self) -> Option<ServerId> {
        Some(self.id.clone())
    }

    fn spot(&self, place: &Place) -> Spot {
        spot(&self.visitor, place)
    }

    fn standing(&mut self) -> Result<Option<Standing>, Trouble> {
        let stored = self.visitor.contents().map_err(trouble)?;
        let outdated = self.visitor.outdated();
        if !std::mem::replace(&mut self.has_checked, true) {
            self.visitor.check_segments().map_err(trouble)?;
        }
        Ok(stored.map(|stored| Standing {
            blocks: stored.blocks,
            log: stored.log,
            instance: Some(stored.instance),
            kept: Some(Kept {
                active: stored.active,
                checkpoint: stored.checkpoint,
                derived: stored.derived,
                sessions: stored.sessions,
                promised: stored.promised,
                accepted: stored.accepted.map(|(_, block)| block),
                outdated,
            }),
        }))
    }

    fn length(&mut self) -> Result<u64, Trouble> {
        self.visitor.length().map_err(trouble)
    }

    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<BlockFound>, Trouble> {
        let blocks = self.visitor.blocks(from, to, PIECE).map_err(trouble)?;
        Ok(blocks.into_iter().map(BlockFound::Text).collect())
    }

    fn accounts_piece(&mut self) -> Result<Option<AccountsPiece>, Trouble> {
        let Some(next) = self.next else { return Ok(None) };
        let Pages { blocks, pages, more } = self.visitor.pages(next).map_err(trouble)?;
        self.next = more.then_some(next + pages.len() as u64);
        Ok(Some(AccountsPiece { blocks, pages, ..AccountsPiece::default() }))
    }
}
