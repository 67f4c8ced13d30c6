//! A chain, followed from block 0: nothing that a store says of it is taken on trust.

use std::collections::BTreeMap;

use crate::audit::requests::Requests;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Block, BlockHash, SealedBlock};
use crate::bank::blockchain::chain::Chain;
use crate::bank::ids::ServerId;
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Entry, Record};
use crate::bank::limits::PAGE;
use crate::wire::reply::HashedBlock;

/// A block as it was found.
#[derive(Clone, Debug)]
pub enum BlockFound {
    /// The block's text.
    Text(SealedBlock),
    /// A server's account of the block, without the text: so its hash is the server's word.
    Told(Box<HashedBlock>),
}

impl BlockFound {
    /// Returns the block's hash: the text's, or the hash that was told.
    pub fn hash(&self) -> BlockHash {
        match self {
            BlockFound::Text(block) => block.hash(),
            BlockFound::Told(block) => block.hash,
        }
    }

    /// Returns the block's entries, in order.
    pub fn entries(&self) -> Vec<Entry> {
        match self {
            BlockFound::Text(block) => block.block().entries().collect(),
            BlockFound::Told(block) => block.entries.clone(),
        }
    }
}

/// The chain so far, and what follows from it.
#[derive(Debug)]
pub struct Replay {
    chain: Option<Chain>,
    balances: Balances,
    requests: Requests,
    /// The last block's hash as it was found. (The chain has another hash if the block was only told.)
    head: BlockHash,
    entries: u64,
}

impl Replay {
    /// Starts without a block. `salt` as for [`Balances::new`].
    pub fn new(salt: u64) -> Replay {
        Replay {
            chain: None,
            balances: Balances::new(salt, PAGE),
            requests: Requests::default(),
            head: BlockHash::NONE,
            entries: 0,
        }
    }

    /// Returns the chain, if it has a block.
    pub fn chain(&self) -> Option<&Chain> {
        self.chain.as_ref()
    }

    /// Returns the balances by the chain.
    pub fn balances(&self) -> &Balances {
        &self.balances
    }

    /// Returns the requests that the chain has carried out.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Returns the number of blocks.
    pub fn blocks(&self) -> u64 {
        self.chain.as_ref().map_or(0, |chain| chain.height() + 1)
    }

    /// Returns the last block's hash.
    pub fn head(&self) -> BlockHash {
        self.head
    }

    /// Returns the number of entries in all blocks.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Returns the sum of all balances, counted account by account, and the number of accounts.
    pub fn counted(&self) -> (u128, u64) {
        let mut accounts = 0;
        let add = |total, amount: Amount| {
            accounts += 1;
            total + u128::from(amount.units())
        };
        let total = self.balances.all_committed().map(|(_, amount)| amount).fold(0, add);
        (total, accounts)
    }

    /// Returns the sum with which the bank was opened.
    pub fn opened_with(&self) -> u128 {
        self.chain.as_ref().map_or(0, Chain::founded_with)
    }

    /// Returns the sum of all balances that follows: what the bank was opened with, and what it has issued since.
    pub fn money(&self) -> u128 {
        self.chain.as_ref().map_or(0, Chain::money)
    }

    /// Returns what the bank has issued beyond what it took back; none if it issues no money, and never did.
    pub fn issued(&self) -> Option<i128> {
        let chain = self.chain.as_ref()?;
        let issued = &chain.derived().issued;
        let issues = chain.genesis().issuing || !issued.is_empty();
        issues.then(|| issued.values().map(|issued| i128::from(*issued)).sum())
    }

    /// Appends the next block, and returns it.
    ///
    /// # Errors
    /// Says what is wrong with the block.
    pub fn append(&mut self, found: &BlockFound) -> Result<SealedBlock, String> {
        let block = match found {
            BlockFound::Text(block) => block.clone(),
            BlockFound::Told(told) => {
                let block = self.written_anew(told)?;
                self.chain.iter_mut().for_each(|chain| chain.believe_opening(block.block()));
                block
            }
        };
        match &mut self.chain {
            None => {
                let chain = Chain::found(&block).map_err(|error| error.to_string())?;
                if found.hash() != block.hash() {
                    return Err(format!("its hash is {} and not {}", block.hash(), found.hash()));
                }
                self.balances.found(chain.opening_balances());
                self.chain = Some(chain);
            }
            Some(chain) => {
                let verified = chain.verify(&self.balances, &block);
                let consequences = verified.map_err(|error| error.to_string())?;
                let opening = block.block().opening.iter();
                for (session, highest) in opening.flat_map(|opening| &opening.sessions) {
                    self.requests.cover(session, *highest);
                }
                check_requests(&mut self.requests, block.block())?;
                let changes = chain.append(&block, consequences);
                self.balances.commit(changes, block.height());
            }
        }
        self.head = found.hash();
        self.entries += block.block().len() as u64;
        Ok(block)
    }

    /// Writes a told block anew, linked to the blocks before it that were written anew.
    fn written_anew(&self, told: &HashedBlock) -> Result<SealedBlock, String> {
        if told.previous != self.head {
            return Err(format!("block {} does not link to the block before", told.height));
        }
        let Some(chain) = &self.chain else {
            let genesis = told.genesis.clone().ok_or("block 0 holds no genesis")?;
            return Ok(SealedBlock::genesis(genesis));
        };
        let mut logs: BTreeMap<ServerId, Vec<Element>> = BTreeMap::new();
        for of_one in told.entries.chunk_by(|one, next| one.server == next.server) {
            let server = &of_one[0].server;
            if logs.last_key_value().is_some_and(|(last, _)| last >= server) {
                return Err(format!("{server} is out of order"));
            }
            logs.insert(server.clone(), elements_of(of_one)?);
        }
        Ok(SealedBlock::seal(Block {
            height: told.height,
            previous: chain.head(),
            proposer: told.proposer.clone(),
            genesis: told.genesis.clone(),
            opening: told.opening.clone(),
            logs,
        }))
    }
}

/// Makes elements of one server's entries; linked ones stay together.
///
/// # Errors
/// If the entries end within a linked group.
pub fn elements_of(entries: &[Entry]) -> Result<Vec<Element>, String> {
    let follows = |one: &Entry, next: &Entry| {
        let goes_on = one.seq.checked_add(1) == Some(next.seq) && one.epoch == next.epoch;
        one.record.linked && goes_on
    };
    let element = |group: &[Entry]| {
        let (first, last) = (&group[0], &group[group.len() - 1]);
        if last.record.linked {
            let Entry { server, epoch, seq, .. } = last;
            return Err(format!("{server}.{epoch}.{seq} is linked to an entry that isn't there"));
        }
        let records: Vec<Record> = group.iter().map(|entry| entry.record.clone()).collect();
        Ok(Element::seal_at(group[0].time, first.position(), records))
    };
    entries.chunk_by(follows).map(element).collect()
}

fn check_requests(requests: &mut Requests, block: &Block) -> Result<(), String> {
    for (server, element) in
        block.logs.iter().flat_map(|(server, log)| log.iter().map(move |element| (server, element)))
    {
        for (place, record) in element.records().iter().enumerate() {
            if record.request.as_ref().is_some_and(|request| !requests.insert(request)) {
                return Err(came_again(server, element, place));
            }
        }
    }
    Ok(())
}

/// Says that an entry's request was carried out by an earlier entry.
pub fn came_again(server: &ServerId, element: &Element, place: usize) -> String {
    let position = element.first().plus(place);
    let request = element.records()[place].request.as_ref().expect("it has come again");
    format!(
        "{server}.{}.{} carries out the request {request}, which an earlier entry did already",
        position.epoch, position.seq
    )
}
