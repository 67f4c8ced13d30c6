//! A store in Redis, as a source.

use crate::audit::finding::{Finding, Spot, Trouble};
use crate::audit::replay::Found;
use crate::audit::source::{Derived, Kept, Of, Source, Standing};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::stored::Place;
use crate::store::StoreError;
use crate::store::redis::visitor::{Premises, Visitor};

/// So much text of blocks is read at a time.
const PIECE: usize = 8 << 20;

/// What of the accounts is read next.
enum Next {
    Balances(u64),
    Names(u64),
    Nothing,
}

/// A server's store.
pub struct StoreSource {
    id: ServerId,
    place: String,
    visitor: Visitor,
    next: Next,
}

impl StoreSource {
    /// That of the server `id` in a Redis.
    pub fn new(premises: &Premises, id: ServerId) -> StoreSource {
        let (place, visitor) = (premises.place(), premises.visit(&id));
        StoreSource { id, place, visitor, next: Next::Balances(0) }
    }
}

/// What came of reading Redis.
pub fn trouble(error: StoreError) -> Trouble {
    match error {
        StoreError::Corrupt { key, what } => Finding::new(Spot::of_redis(&key), what).into(),
        other => Trouble::Unread(other.to_string()),
    }
}

impl Source for StoreSource {
    fn name(&self) -> String {
        format!("{} in Redis at {}", self.id, self.place)
    }

    fn server(&self) -> Option<ServerId> {
        Some(self.id.clone())
    }

    fn spot(&self, place: &Place) -> Spot {
        Spot::of_redis(&self.visitor.name_of(place))
    }

    fn spot_of_list(&self, account: Option<&AccountId>) -> Spot {
        Spot::of_redis(&self.visitor.name_of_list(account))
    }

    fn standing(&mut self) -> Result<Option<Standing>, Trouble> {
        let contents = self.visitor.contents().map_err(trouble)?;
        let listed = contents.listed;
        Ok(contents.stored.map(|stored| Standing {
            blocks: stored.blocks,
            log: stored.log,
            instance: Some(stored.instance),
            kept: Some(Kept {
                active: stored.active,
                accounts: stored.accounts,
                listed,
                included: stored.included,
                instances: stored.instances,
                deposed: stored.deposed,
                sessions: stored.sessions,
                horizon: stored.horizon,
                promised: stored.promised,
                accepted: stored.accepted.map(|(_, block)| block),
            }),
        }))
    }

    fn length(&mut self) -> Result<u64, Trouble> {
        self.visitor.length().map_err(trouble)
    }

    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<Found>, Trouble> {
        let blocks = self.visitor.blocks(from, to, PIECE).map_err(trouble)?;
        Ok(blocks.into_iter().map(Found::Text).collect())
    }

    fn derived(&mut self) -> Result<Option<Derived>, Trouble> {
        let piece = match self.next {
            Next::Balances(from) => self.visitor.balances(from),
            Next::Names(from) => self.visitor.listed(from),
            Next::Nothing => return Ok(None),
        };
        let piece = piece.map_err(trouble)?;
        let mut derived = Derived { blocks: piece.blocks, ..Derived::default() };
        let is_last = piece.next == 0;
        match self.next {
            Next::Balances(_) => {
                derived.balances = piece.accounts;
                self.next = if is_last { Next::Names(0) } else { Next::Balances(piece.next) };
            }
            Next::Names(_) | Next::Nothing => {
                let scored = piece.accounts.iter().find(|(_, score)| score.units() != 0);
                if let Some((account, score)) = scored {
                    let spot = self.spot_of_list(Some(account));
                    return Err(Finding::new(spot, format!("its score is {score}, not 0")).into());
                }
                derived.names = piece.accounts.into_iter().map(|(account, _)| account).collect();
                self.next = if is_last { Next::Nothing } else { Next::Names(piece.next) };
            }
        }
        Ok(Some(derived))
    }

    fn first_missing(
        &mut self,
        accounts: &[AccountId],
        of: Of,
    ) -> Result<Option<AccountId>, Trouble> {
        self.visitor.first_missing(accounts, of == Of::Names).map_err(trouble)
    }
}
