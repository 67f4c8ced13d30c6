//! The state machine of one server.

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::effects::{Effects, Event, Turn};
use crate::bank::ids::{ServerId, TurnNumber};
use crate::bank::paxos::message::Configuration;
use crate::bank::stored::Stored;

/// Who a server is, and what it is part of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    /// Its id.
    pub id: ServerId,
    /// The bank's servers and opening balance.
    pub configuration: Configuration,
}

/// Why a server can't start from what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryError {
    /// The bank in the store is not the one that was configured.
    Mismatch(String),
    /// What is stored can't be right.
    Corrupt(String),
}

impl std::fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RecoveryError::Mismatch(what) => f.write_str(what),
            RecoveryError::Corrupt(what) => write!(f, "the store is corrupt: {what}"),
        }
    }
}

impl std::error::Error for RecoveryError {}

/// A server on its way back from its store: takes the chain block by block, then becomes a [`Server`].
#[derive(Debug)]
pub struct Recovery {
    config: Config,
    stored: Stored,
}

impl Recovery {
    /// Begins with what is stored beside the chain.
    ///
    /// # Errors
    /// If it can't be right.
    pub fn begin(config: Config, stored: Stored) -> Result<Recovery, RecoveryError> {
        Ok(Recovery { config, stored })
    }

    /// Takes the next block of the stored chain, from block 0 on.
    ///
    /// # Errors
    /// If the block is not the next one, or the bank is another one than was configured.
    pub fn append(&mut self, _block: SealedBlock) -> Result<(), RecoveryError> {
        Ok(())
    }

    /// Ends, when all stored blocks were taken.
    ///
    /// # Errors
    /// If chain, balances, log and accepted block don't fit together.
    pub fn finish(self) -> Result<Server, RecoveryError> {
        Ok(Server { turn: self.stored.turn, config: self.config, effects: Effects::default() })
    }
}

/// A server: feed it events with [`Server::handle`], take what follows with [`Server::end_turn`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    config: Config,
    turn: TurnNumber,
    effects: Effects,
}

impl Server {
    /// Takes in something that happened.
    pub fn handle(&mut self, _event: Event) {}

    /// Ends the turn: what the events since the last one amount to.
    pub fn end_turn(&mut self) -> Turn {
        if !self.effects.writes.is_empty() {
            self.turn = TurnNumber(self.turn.0 + 1);
        }
        std::mem::take(&mut self.effects).into_turn(self.turn)
    }
}
