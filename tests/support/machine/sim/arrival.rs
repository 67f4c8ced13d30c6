//! What came, as it came.

use std::rc::Rc;

use crate::bank::ids::AccountId;
use crate::bank::request::{Instruction, Outcome};

/// How an instruction first came to a life of its server.
pub struct Arrival {
    pub life: u64,
    pub at: u64,
    /// How many payments there were, how many runs got through, and how the clock stood.
    pub moves: usize,
    pub runs: usize,
    pub clock: usize,
    /// How high the chain was that anybody had, but for its last block.
    pub height: u64,
    /// Counts those that came, but for what came on an older connection of its session.
    pub order: Option<usize>,
    /// Those that it is linked to, and its place among them.
    pub group: Rc<Vec<Instruction>>,
    pub place: usize,
    pub answer: Option<Outcome>,
    pub done: bool,
}

impl Arrival {
    pub fn instruction(&self) -> &Instruction {
        &self.group[self.place]
    }

    /// When it may be refused for want of money.
    pub fn patient_until(&self) -> Option<u64> {
        let ms = self.group.iter().filter_map(|instruction| instruction.wait_ms).max()?;
        Some(self.at + ms)
    }

    pub fn debits(&self, account: &AccountId) -> bool {
        self.group.iter().any(|instruction| instruction.action.payer() == Some(account))
    }
}
