//! A server's durable state where the state machine is only played: applies a turn's writes as a store must.

use std::collections::BTreeMap;
use std::convert::Infallible;

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::chain::Chain;
use crate::bank::effects::{Batch, Receipt, Write};
use crate::bank::ids::{InstanceId, LifeId, TurnNumber};
use crate::bank::ledger::pages::Page;
use crate::bank::ledger::secret::Secret;
use crate::bank::server::Config;
use crate::bank::server::Server;
use crate::bank::server::recovery::replay::Check;
use crate::bank::server::recovery::{Recovery, RecoveryError};
use crate::bank::stored::Stored;
use crate::machine::shelf::Shelf;

/// What is on one server's disk.
#[derive(Clone, Debug)]
pub struct Disk {
    pub stored: Stored,
    pub pages: BTreeMap<u32, Page>,
    pub chain: Vec<SealedBlock>,
    /// How many blocks are read at its end, but for block 0, if not all.
    pub tail: Option<usize>,
    /// Where the blocks are, if some may leave for segments. `chain` is then what the judges know.
    pub shelf: Option<Shelf>,
}

impl Disk {
    pub fn empty(instance: u64) -> Disk {
        let stored = Stored::empty(InstanceId(instance));
        Disk { stored, pages: BTreeMap::new(), chain: Vec::new(), tail: None, shelf: None }
    }

    /// Of a server of an open bank in which nothing has happened yet.
    pub fn founded(instance: u64, genesis: &SealedBlock) -> Disk {
        let chain = Chain::found(genesis).expect("block 0");
        let balances = chain.opening_balances().collect();
        let stored = Stored {
            active: true,
            derived: chain.derived().clone(),
            ..Stored::empty(InstanceId(instance))
        };
        let pages =
            BTreeMap::from([(0, Page { number: 0, height: 0, balances, keys: BTreeMap::new() })]);
        Disk { stored, pages, chain: vec![genesis.clone()], tail: None, shelf: None }
    }

    /// Begins a new life and recovers the server.
    pub fn load(&mut self, config: Config, life: u64) -> Server {
        self.try_load(config, life).expect("a sound disk")
    }

    /// The same, of a disk that may be refused.
    pub fn try_load(&mut self, config: Config, life: u64) -> Result<Server, RecoveryError> {
        self.stored.turn = TurnNumber(self.stored.turn.0 + 1);
        self.stored.lives.push((LifeId(life), self.stored.turn));
        self.stored.blocks = self.chain.len() as u64;
        self.stored.pages = self.pages.len() as u64;
        if let Some(shelf) = &mut self.shelf {
            shelf.start();
        }
        let recovery = self.recover(config)?;
        self.check_the_rest(recovery.check())?;
        recovery.finish(Secret([life, 1]))
    }

    /// Lets a recovery have what is there, as a shell does.
    pub fn recover(&self, config: Config) -> Result<Recovery, RecoveryError> {
        let mut recovery = Recovery::begin(config, self.stored.clone())?;
        let Some((genesis, others)) = self.chain.split_first() else { return Ok(recovery) };
        recovery.append(genesis.clone())?;
        self.pages.values().try_for_each(|page| recovery.page(page))?;
        match self.tail_read() {
            Some(tail) => {
                let end = self.chain.len() - tail.len();
                let missing = self.stored_from((recovery.first_missing() as usize).min(end));
                let missing = &missing[..missing.len() - tail.len()];
                missing.iter().try_for_each(|block| recovery.catch_up(block))?;
                recovery.resume(tail)?;
            }
            None => others.iter().try_for_each(|block| recovery.append(block.clone()))?,
        }
        Ok(recovery)
    }

    /// The last blocks, if those are all that is read of the chain.
    pub fn tail_read(&self) -> Option<&[SealedBlock]> {
        let base = self.shelf.as_ref().map_or(0, |shelf| shelf.base() as usize);
        let first = self.tail.and_then(|tail| self.chain.len().checked_sub(tail));
        let first = first.unwrap_or(0).max(base);
        (first > 1).then(|| self.stored_from(first))
    }

    /// The blocks from a height on, of which none may have left for a segment.
    fn stored_from(&self, height: usize) -> &[SealedBlock] {
        match &self.shelf {
            Some(shelf) => shelf.list_from(height as u64),
            None => &self.chain[height..],
        }
    }

    /// The blocks of these heights, as far as they can be read.
    pub fn read(&self, from: u64, up_to: u64) -> Vec<SealedBlock> {
        match &self.shelf {
            Some(shelf) => (from..=up_to).map_while(|height| shelf.read(height)).collect(),
            None => self.chain[from as usize..=up_to as usize].to_vec(),
        }
    }

    /// What a shell does in the background: here at once, so that no server lives on what is wrong.
    fn check_the_rest(&self, check: Option<Check>) -> Result<(), RecoveryError> {
        let Some(mut check) = check else { return Ok(()) };
        let chain = self.read(0, self.chain.len() as u64 - 1);
        if chain.len() < self.chain.len() {
            // It waits for a segment that a peer may have.
            return Ok(());
        }
        for (height, block) in chain.iter().enumerate() {
            let is_last = height + 1 == self.chain.len();
            assert_eq!(check.take(block)?, is_last, "it ends with the last block");
        }
        Ok(())
    }

    pub fn commit(&mut self, batch: Batch) -> Receipt {
        if batch.writes.is_empty() {
            return batch.nothing_to_write().expect("it is empty");
        }
        let written = batch.write(|batch| {
            assert_eq!(batch.number.0, self.stored.turn.0 + 1, "turns are numbered without a gap");
            self.stored.turn = batch.number;
            if let Some(shelf) = &mut self.shelf {
                shelf.trim(self.stored.checkpoint);
            }
            batch.writes.iter().for_each(|write| self.apply(write));
            Ok::<(), Infallible>(())
        });
        written.unwrap_or_else(|never| match never {})
    }

    fn apply(&mut self, write: &Write) {
        let stored = &mut self.stored;
        match write {
            Write::Log(element) => stored.log.push(element.clone()),
            Write::Promise(ballot) => stored.promised = Some(ballot.clone()),
            Write::Accept { ballot, block } => {
                stored.promised = Some(ballot.clone());
                stored.accepted = Some((ballot.clone(), block.clone()));
            }
            Write::Append {
                block,
                from_accepted,
                trim,
                pages,
                checkpoint,
                derived,
                sessions,
                promise_stands,
            } => {
                if *from_accepted {
                    let held = stored.accepted.as_ref().map(|(_, held)| held);
                    assert_eq!(held, Some(block), "moves the block that it names");
                }
                assert_eq!(block.height(), self.chain.len() as u64, "no gap in the chain");
                self.chain.push(block.clone());
                self.shelf.iter_mut().for_each(|shelf| shelf.append(block));
                stored.log.drain(..*trim);
                self.pages.extend(pages.iter().map(|page| (page.number, page.clone())));
                stored.checkpoint = *checkpoint;
                stored.derived.clone_from(derived);
                for gone in &sessions.forgotten {
                    assert!(stored.sessions.highest.remove(gone).is_some(), "{gone} is not there");
                }
                sessions.change(&mut stored.sessions);
                stored.promised = stored.promised.take().filter(|_| *promise_stands);
                stored.accepted = None;
            }
            Write::Activate => stored.active = true,
        }
    }
}
