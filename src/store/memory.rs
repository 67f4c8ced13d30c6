//! A store in memory, for in-process tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bank::blockchain::block::SealedBlock;
use crate::bank::blockchain::derived::{Derived, SessionsInChain};
use crate::bank::effects::{Batch, Receipt, Write};
use crate::bank::ids::{InstanceId, LifeId, TurnNumber};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::pages::Page;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::stored::{Stored, forget_oldest};
use crate::store::piece::Piece;
use crate::store::shape::Shape;
use crate::store::{BlockSource, Store, StoreError};

/// When the next commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Before anything is written: the store could not be reached.
    Before,
    /// After everything is written: the answer was lost.
    After,
}

/// A store whose "disk" its clones share: a test drops one clone to crash its server, and opens the same
/// data with another.
///
/// A clone stands for another process: loading it takes the data over.
#[derive(Debug)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
    process: u64,
    hold: Option<Hold>,
    known: Option<(InstanceId, TurnNumber)>,
}

/// The last loader of the data: the process, and the number of its load.
type Owner = (u64, u64);

/// What a process holds from its look to its first error.
#[derive(Debug)]
struct Hold {
    owner: Owner,
    shape: Shape,
    /// The turn that the look saw, and the life to begin; none once it has begun.
    coming: Option<(TurnNumber, InstanceId, LifeId)>,
}

/// What outlives a process, beside the server's data.
#[derive(Debug)]
struct Disk {
    random: fastrand::Rng,
    processes: u64,
    loads: u64,
    fault: Option<Fault>,
    data: Data,
}

/// What the server has stored.
#[derive(Debug, Default)]
struct Data {
    owner: Option<Owner>,
    instance: Option<InstanceId>,
    lives: Vec<(LifeId, TurnNumber)>,
    turn: TurnNumber,
    active: bool,
    chain: Vec<SealedBlock>,
    pages: BTreeMap<u32, Page>,
    checkpoint: u64,
    derived: Derived,
    sessions: SessionsInChain,
    log: Vec<Element>,
    promised: Option<Ballot>,
    accepted: Option<(Ballot, SealedBlock)>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> MemoryStore {
        MemoryStore::seeded(fastrand::u64(..))
    }

    /// Creates an empty store that draws its ids from a seed, for tests that must repeat exactly.
    pub fn seeded(seed: u64) -> MemoryStore {
        let disk = Disk {
            random: fastrand::Rng::with_seed(seed),
            processes: 0,
            loads: 0,
            fault: None,
            data: Data::default(),
        };
        MemoryStore { disk: Arc::new(Mutex::new(disk)), process: 0, hold: None, known: None }
    }

    /// Makes the next commit fail, whichever clone makes it.
    pub fn fail_next_commit(&self, fault: Fault) {
        lock(&self.disk).fault = Some(fault);
    }

    /// Loses everything.
    pub fn wipe(&self) {
        lock(&self.disk).data = Data::default();
    }

    /// Refuses data that is not as this process knew it, or that another process took over since.
    fn check_known(&self, data: &Data) -> Result<(), StoreError> {
        let Some((instance, turn)) = self.known else {
            return Ok(());
        };
        if data.instance != Some(instance) || data.turn < turn {
            return Err(StoreError::Strange(format!("it was instance {instance} at turn {turn}")));
        }
        match data.owner {
            Some((process, _)) if process == self.process => Ok(()),
            owner => Err(taken_over(owner)),
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        MemoryStore::new()
    }
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        let mut disk = lock(&self.disk);
        disk.processes += 1;
        let process = disk.processes;
        MemoryStore { disk: self.disk.clone(), process, hold: None, known: None }
    }
}

impl MemoryStore {
    /// Writes a batch, or fails where a planned fault says.
    fn write(&mut self, batch: &Batch) -> Result<(), StoreError> {
        // Whatever fails below, the caller has to load again.
        let Some(Hold { owner, shape, coming: None }) = self.hold.take() else {
            return Err(StoreError::Failed("it was not loaded since it failed".into()));
        };
        let shape = shape.after(batch)?;
        if !batch.writes.is_empty() {
            let mut disk = lock(&self.disk);
            let fault = disk.fault.take();
            if fault == Some(Fault::Before) {
                return Err(StoreError::Failed("a fault, before the commit".into()));
            }
            disk.data.commit(owner, batch)?;
            if fault == Some(Fault::After) {
                return Err(StoreError::Failed("a fault, after the commit".into()));
            }
        }
        if let Some((_, turn)) = &mut self.known {
            *turn = batch.number;
        }
        self.hold = Some(Hold { owner, shape, coming: None });
        Ok(())
    }
}

impl BlockSource for MemoryStore {
    fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError> {
        Ok(read_piece(&self.disk, from, to, max_bytes))
    }
}

impl Store for MemoryStore {
    fn look(&mut self) -> Result<Stored, StoreError> {
        self.hold = None;
        let mut disk = lock(&self.disk);
        let disk = &mut *disk;
        self.check_known(&disk.data)?;
        disk.loads += 1;
        let owner = (self.process, disk.loads);
        let instance = disk.data.instance.unwrap_or_else(|| InstanceId(disk.random.u64(..)));
        let (seen, life) = (disk.data.turn, LifeId(disk.random.u64(..)));
        let mut stored = disk.data.stored(instance);
        stored.turn.0 += 1;
        stored.lives.push((life, stored.turn));
        forget_oldest(&mut stored.lives);
        let coming = Some((seen, instance, life));
        self.hold = Some(Hold { owner, shape: Shape::of(&stored), coming });
        Ok(stored)
    }

    fn begin(&mut self) -> Result<bool, StoreError> {
        let Some(Hold { owner, shape, coming: Some((seen, instance, life)) }) = self.hold.take()
        else {
            return Err(StoreError::Failed("it was not looked at".into()));
        };
        let data = &mut lock(&self.disk).data;
        self.check_known(data)?;
        data.owner = Some(owner);
        if data.turn != seen {
            return Ok(false);
        }
        data.turn = shape.turn;
        data.instance = Some(instance);
        data.lives.push((life, data.turn));
        forget_oldest(&mut data.lives);
        self.known = Some((instance, data.turn));
        self.hold = Some(Hold { owner, shape, coming: None });
        Ok(true)
    }

    fn is_as_seen(&mut self) -> Result<bool, StoreError> {
        let coming = self.hold.as_ref().and_then(|hold| hold.coming);
        Ok(coming.is_some_and(|(seen, ..)| lock(&self.disk).data.turn == seen))
    }

    fn look_in(&mut self) -> Result<(), StoreError> {
        let Some(hold @ Hold { coming: None, .. }) = self.hold.take() else {
            return Err(StoreError::Failed("it was not loaded since it failed".into()));
        };
        self.check_known(&lock(&self.disk).data)?;
        self.hold = Some(hold);
        Ok(())
    }

    fn pages(&mut self, from: u64, count: u64) -> Result<Vec<Page>, StoreError> {
        let disk = lock(&self.disk);
        let page = |number: u64| {
            let page = u32::try_from(number).ok().and_then(|number| disk.data.pages.get(&number));
            page.cloned().ok_or_else(|| StoreError::Corrupt {
                key: format!("page {number}"),
                what: "missing".into(),
            })
        };
        (from..from + count).map(page).collect()
    }

    fn commit(&mut self, batch: Batch) -> Result<Receipt, StoreError> {
        batch.write(|batch| self.write(batch))
    }

    fn reader(&self) -> Box<dyn BlockSource> {
        Box::new(MemoryReader { disk: self.disk.clone() })
    }
}

/// A second view of a [`MemoryStore`]'s data.
#[derive(Debug)]
struct MemoryReader {
    disk: Arc<Mutex<Disk>>,
}

impl BlockSource for MemoryReader {
    fn blocks(
        &mut self,
        from: u64,
        to: u64,
        max_bytes: usize,
    ) -> Result<Vec<SealedBlock>, StoreError> {
        Ok(read_piece(&self.disk, from, to, max_bytes))
    }
}

impl Data {
    fn stored(&self, instance: InstanceId) -> Stored {
        Stored {
            instance,
            lives: self.lives.clone(),
            turn: self.turn,
            active: self.active,
            blocks: self.chain.len() as u64,
            pages: self.pages.len() as u64,
            checkpoint: self.checkpoint,
            derived: self.derived.clone(),
            sessions: self.sessions.clone(),
            log: self.log.clone(),
            promised: self.promised.clone(),
            accepted: self.accepted.clone(),
        }
    }

    /// Writes a batch that fits what `owner` has loaded, if `owner` still owns the data.
    fn commit(&mut self, owner: Owner, batch: &Batch) -> Result<(), StoreError> {
        match self.owner {
            Some(present) if present == owner => {}
            Some(other) => return Err(taken_over(Some(other))),
            None => return Err(StoreError::Strange("it is empty".into())),
        }
        self.turn = batch.number;
        batch.writes.iter().for_each(|write| self.apply(write));
        Ok(())
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Log(element) => self.log.push(element.clone()),
            Write::Promise(ballot) => self.promised = Some(ballot.clone()),
            Write::Accept { ballot, block } => {
                self.promised = Some(ballot.clone());
                self.accepted = Some((ballot.clone(), block.clone()));
            }
            Write::Append {
                block,
                from_accepted: _,
                trim,
                pages,
                checkpoint,
                derived,
                sessions,
                promise_stands,
            } => {
                self.chain.push(block.clone());
                self.log.drain(..*trim);
                self.pages.extend(pages.iter().map(|page| (page.number, page.clone())));
                self.checkpoint = *checkpoint;
                self.derived.clone_from(derived);
                sessions.change(&mut self.sessions);
                if !promise_stands {
                    self.promised = None;
                }
                self.accepted = None;
            }
            Write::Activate => self.active = true,
        }
    }
}

fn taken_over(owner: Option<Owner>) -> StoreError {
    StoreError::Fenced(match owner {
        Some((process, load)) => format!("its owner is now process {process}, load {load}"),
        None => "it has no owner".into(),
    })
}

fn read_piece(disk: &Mutex<Disk>, from: u64, to: u64, max_bytes: usize) -> Vec<SealedBlock> {
    let disk = lock(disk);
    let mut piece = Piece::new(max_bytes);
    let start = usize::try_from(from).unwrap_or(usize::MAX);
    for block in disk.data.chain.iter().skip(start) {
        if block.height() > to || !piece.take(block.text().len(), block.clone()) {
            break;
        }
    }
    piece.into_blocks()
}

/// Locks the disk, even after a panic: a panicked test must not make the others' failures unreadable.
fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().unwrap_or_else(PoisonError::into_inner)
}
