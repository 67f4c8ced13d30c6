//! A long chain, written into the stores of a bank that was stopped: to have servers make two million blocks
//! would take an hour.
//!
//! A and B pay each other in turns, a transfer a block. Blocks and segments are written by the servers' own
//! code; Redis is told of them what the servers would have told it.

use std::collections::BTreeMap;

use paxos_banking::bank::blockchain::block::{Block, BlockHash, SealedBlock};
use paxos_banking::bank::ids::ServerId;
use paxos_banking::bank::ledger::element::Element;
use paxos_banking::store::archive::claim::Claim;
use paxos_banking::store::archive::folder::Folder;
use paxos_banking::store::archive::owner::Owner;
use paxos_banking::store::archive::segment::Segment;
use paxos_banking::store::archive::writer::SegmentWriter;
use redis::Connection;
use serde_json::{Value, json};

use crate::bench::Fallible;
use crate::bench::bank::{Bank, IDS};
use crate::bench::chains::Chains;

/// Blocks that are sent to Redis at a time.
const AT_ONCE: usize = 2_000;

/// The chain in the making.
pub struct LongChain {
    height: u64,
    previous: BlockHash,
    /// The last entry of each server.
    included: Value,
}

/// One server's store.
struct Store {
    id: &'static str,
    redis: Connection,
    claim: Option<Claim>,
    writer: Option<SegmentWriter>,
    segments: Vec<Segment>,
    /// Blocks that are still to be sent.
    list: Vec<SealedBlock>,
}

impl LongChain {
    /// Makes a stopped bank's chain so many blocks long. Where it has archives, as many blocks stay in Redis as
    /// fit in `keep` bytes, about. Returns the first entry that each server made, and how many.
    pub fn write(
        bank: &Bank,
        blocks: u64,
        keep: u64,
    ) -> Fallible<BTreeMap<&'static str, (u64, u64)>> {
        let mut old = Vec::new();
        let mut chains = Chains::of(bank)?;
        loop {
            let piece = chains.next()?;
            if piece.is_empty() {
                break;
            }
            old.extend(piece);
        }
        let (genesis, last) = old.first().zip(old.last()).ok_or("there are no blocks")?;
        let mut stores: Vec<Store> =
            IDS.iter().map(|id| Store::open(bank, id, genesis.hash())).collect::<Fallible<_>>()?;
        let included = stores[0].field("included")?;
        let included = serde_json::from_str(&included).map_err(|error| error.to_string())?;
        let (height, previous) = (last.height() + 1, last.hash());
        let mut chain = LongChain { height, previous, included };
        let before = chain.included.clone();
        // A pays as often as B, so that the balances end as they began.
        let end = chain.height + blocks.saturating_sub(chain.height) / 2 * 2;
        let rest = |block: &SealedBlock| (end - block.height()) * (block.text().len() as u64 + 1);
        for block in &old {
            stores.iter_mut().try_for_each(|store| store.append(block, keep, u64::MAX))?;
        }
        while chain.height < end {
            let block = chain.next()?;
            let rest = rest(&block);
            stores.iter_mut().try_for_each(|store| store.append(&block, keep, rest))?;
        }
        stores.iter_mut().try_for_each(|store| store.finish(&chain, genesis.text()))?;
        let of = |included: &Value, id: &str| included[id]["seq"].as_u64().unwrap_or_default();
        let made = |id: &&'static str| {
            let (from, to) = (of(&before, id), of(&chain.included, id));
            (*id, (from + 1, to - from))
        };
        Ok(["A", "B"].iter().map(made).collect())
    }

    fn next(&mut self) -> Fallible<SealedBlock> {
        let (from, to) = if self.height.is_multiple_of(2) { ("A", "B") } else { ("B", "A") };
        let seq = self.included[from]["seq"].as_u64().unwrap_or_default() + 1;
        self.included[from] = json!({"epoch": 1, "seq": seq});
        let text = format!("{{\"epoch\":1,\"seq\":{seq},\"entries\":[[\"{from}\",\"{to}\",1]]}}");
        let element = Element::open(&text).map_err(|error| error.to_string())?;
        let server: ServerId = from.parse().map_err(|_| "it is a server's name")?;
        let block = SealedBlock::seal(Block {
            height: self.height,
            previous: self.previous,
            proposer: Some(server.clone()),
            genesis: None,
            opening: None,
            logs: [(server, vec![element])].into(),
        });
        (self.height, self.previous) = (self.height + 1, block.hash());
        Ok(block)
    }
}

impl Store {
    fn open(bank: &Bank, id: &'static str, genesis: BlockHash) -> Fallible<Store> {
        let mut redis = bank.store_of(id)?.ok_or("its Redis may be looked at")?;
        let del = redis::cmd("DEL").arg(format!("SERVER-BLOCKCHAIN-{id}")).exec(&mut redis);
        del.map_err(|error| error.to_string())?;
        let claim = || {
            let server = id.parse().map_err(|_| "it is a server's name")?;
            let folder = Folder::new(bank.archive_path(id));
            folder.claim(&Owner { server, bank: genesis }).map_err(|error| error.to_string())
        };
        let has_archive = !bank.archives().is_empty();
        let claim = has_archive.then(claim).transpose()?;
        let (writer, segments, list) = (None, Vec::new(), Vec::new());
        Ok(Store { id, redis, claim, writer, segments, list })
    }

    fn key(&self, what: &str) -> String {
        format!("SERVER-{what}-{}", self.id)
    }

    fn field(&mut self, field: &str) -> Fallible<String> {
        let get = redis::cmd("HGET").arg(self.key("STATE")).arg(field).query(&mut self.redis);
        get.map_err(|error| format!("{field}: {error}"))
    }

    /// Appends a block, after which so many bytes come: to a segment if there are more than Redis keeps.
    fn append(&mut self, block: &SealedBlock, keep: u64, rest: u64) -> Fallible<()> {
        let in_words =
            |error: paxos_banking::store::archive::error::ArchiveError| error.to_string();
        if let Some(claim) = &self.claim
            && (self.writer.is_some() || rest > 2 * keep)
        {
            let mut writer = match self.writer.take() {
                Some(writer) => writer,
                None => claim.begin(block.height()).map_err(in_words)?,
            };
            writer.append(block.text()).map_err(in_words)?;
            match writer.bytes() < keep {
                true => self.writer = Some(writer),
                false => self.segments.push(writer.seal().map_err(in_words)?),
            }
            return Ok(());
        }
        self.list.push(block.clone());
        if self.list.len() >= AT_ONCE { self.send() } else { Ok(()) }
    }

    /// Sends blocks in one command, for Redis flushes after each few.
    fn send(&mut self) -> Fallible<()> {
        if self.list.is_empty() {
            return Ok(());
        }
        let mut push = redis::cmd("RPUSH");
        push.arg(self.key("BLOCKCHAIN"));
        for block in self.list.drain(..) {
            push.arg(block.text());
        }
        push.exec(&mut self.redis).map_err(|error| error.to_string())
    }

    /// Tells Redis what it holds now.
    fn finish(&mut self, chain: &LongChain, genesis: &str) -> Fallible<()> {
        self.send()?;
        let mut told = redis::pipe();
        let (state, balances) = (self.key("STATE"), self.key("BALANCES"));
        let head = chain.height - 1;
        let mut set = vec![
            ("included".to_owned(), chain.included.to_string()),
            ("checkpoint".to_owned(), head.to_string()),
        ];
        if let Some(last) = self.segments.last() {
            set.push(("base".into(), (last.last + 1).to_string()));
            set.extend(self.segments.iter().map(|one| (one.field(), one.record())));
            let key = self.key("GENESIS");
            told.cmd("SET").arg(key).arg(genesis).ignore();
        }
        for (field, value) in set {
            told.cmd("HSET").arg(&state).arg(field).arg(value).ignore();
        }
        let get = redis::cmd("HGETALL").arg(&balances).query(&mut self.redis);
        let pages: BTreeMap<String, String> = get.map_err(|error| error.to_string())?;
        for (number, text) in pages {
            let (begin, rest) = text.split_once(',').ok_or("a page is cut short")?;
            let old = begin.split_once(':').ok_or("a page begins with its height")?.0;
            let page = format!("{old}:{head},{rest}");
            told.cmd("HSET").arg(&balances).arg(number).arg(page).ignore();
        }
        told.exec(&mut self.redis).map_err(|error| error.to_string())
    }
}
