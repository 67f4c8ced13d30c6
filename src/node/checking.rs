//! The check of the chain that a start leaves for later: piece by piece, beside the server's work.

use std::sync::{Mutex, PoisonError};

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::server::recovery::replay::Check;
use crate::node::life::ExitReason;
use crate::node::load::named;
use crate::store::BlockSource;

/// The place where a load leaves its check. A later check replaces an earlier one and begins anew.
#[derive(Debug, Default)]
pub(crate) struct ToCheck(Mutex<Option<Check>>);

impl ToCheck {
    /// Leaves a check, if there is one.
    pub(crate) fn leave(&self, check: Option<Check>) {
        if check.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = check;
        }
    }

    /// Takes the check that was left.
    fn take(&self) -> Option<Check> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The check under way, if any.
#[derive(Debug, Default)]
pub(crate) struct Checking(Option<Check>);

impl Checking {
    /// Begins a check that was left; returns the next height that a check wants, if any.
    pub(crate) fn wants(&mut self, to_check: &ToCheck) -> Option<u64> {
        if let Some(check) = to_check.take() {
            log::info!(
                "started from what is stored at height {}; checking the chain of {} blocks meanwhile",
                check.blocks() - 1,
                check.blocks()
            );
            self.0 = Some(check);
        }
        self.0.as_ref().map(Check::next)
    }

    /// Returns the height of the last block to be checked.
    pub(crate) fn last(&self) -> u64 {
        self.0.as_ref().map_or(0, |check| check.blocks() - 1)
    }

    /// Checks the next blocks. An error ends the node, as it would have ended its start.
    pub(crate) fn take(
        &mut self,
        blocks: &[SealedBlock],
        source: &dyn BlockSource,
    ) -> Result<(), ExitReason> {
        let Some(check) = &mut self.0 else { return Ok(()) };
        for block in blocks {
            match check.take(block) {
                Ok(false) => {}
                Ok(true) => {
                    log::info!("the chain is sound up to height {}", block.height());
                    self.0 = None;
                    break;
                }
                Err(error) => return Err(named(error, |place| source.name_of(place)).into()),
            }
        }
        Ok(())
    }
}
