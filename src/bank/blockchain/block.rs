//! Blocks, and their hashes.
//!
//! A block's hash is the SHA-256 of its JSON text, byte for byte, so anybody can check a stored
//! chain with `redis-cli` and `sha256sum`. The proposer writes the text once, and exactly this text is sent,
//! stored and hashed.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

use crate::bank::amount::Amount;
use crate::bank::as_text::serde_as_text;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::hex;
use crate::bank::ids::{AccountId, InstanceId, ServerId, SessionId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Entry, Position, Record};

/// The format of blocks, messages and stored values. It changes with any of them.
pub const FORMAT: u32 = 7;
/// The oldest format of a block 0 that is understood. A bank that was founded in it goes on in [`FORMAT`], since
/// blocks never change.
pub const OLDEST_FORMAT: u32 = 4;
/// The first format in which servers and accounts may have keys, and a bank may go on from another one.
pub const KEYS_SINCE: u32 = 5;
/// The first format in which a bank may issue money, and entries tell their times.
pub const ISSUING_SINCE: u32 = 6;

/// The SHA-256 of a block's text, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockHash([u8; 32]);

impl BlockHash {
    /// The value that stands for the previous block's hash in block 0.
    pub const NONE: BlockHash = BlockHash([0; 32]);

    /// Computes the hash of a block's text.
    pub fn of(text: &str) -> BlockHash {
        BlockHash(Sha256::digest(text.as_bytes()).into())
    }

    /// Returns the first eight digits, for people.
    pub fn short(&self) -> String {
        self.0[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The error for a text that is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHash;

impl fmt::Display for BadHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block hash is 64 hexadecimal digits")
    }
}

impl FromStr for BlockHash {
    type Err = BadHash;
    fn from_str(text: &str) -> Result<Self, BadHash> {
        hex::parse(text).map(BlockHash).ok_or(BadHash)
    }
}

serde_as_text!(BlockHash);

/// The founding terms of a bank, which block 0 holds for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// The format in which the bank was founded.
    pub format: u32,
    /// The balance of every server's account at the start.
    pub opening_balance: Amount,
    /// The servers, each with the instance id of the store it was founded with.
    pub servers: BTreeMap<ServerId, InstanceId>,
    /// The key of each server, if the bank was founded with keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<ServerId, Fingerprint>,
    /// The end of the chain that the bank goes on from, if it goes on from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Arc<Origin>>,
    /// True if the bank issues money, and takes some back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub issuing: bool,
}

/// The end of the chain that a bank goes on from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The hash of the former chain's block 0.
    pub bank: BlockHash,
    /// The height of its last block.
    pub height: u64,
    /// The hash of its last block.
    pub head: BlockHash,
    /// For each server, its last entry in that chain.
    pub included: BTreeMap<ServerId, Position>,
    /// The epoch in which all servers begin. All earlier epochs are of former banks.
    pub epoch: u64,
    /// The number of accounts in that chain.
    pub accounts: u64,
    /// The sum of their balances.
    pub total: Amount,
    /// True if the opening blocks tell all sessions that clients named until then. (Banks that were founded before
    /// opening blocks told any don't know them.)
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sessions: bool,
    /// The hashes of the opening blocks, each with [`BlockHash::NONE`] for the block before.
    pub blocks: Vec<BlockHash>,
}

/// Accounts with the balances with which they begin, and sessions that go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// The accounts, in the order of their names, with their balances.
    pub balances: Vec<(AccountId, Amount)>,
    /// The keys of those that have an owner's key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<AccountId, Fingerprint>,
    /// Sessions that clients named in the former bank, by their ids in this one, each with its highest number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sessions: BTreeMap<SessionId, u64>,
}

/// A block as the chain holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The block's place in the chain; 0 is genesis.
    pub height: u64,
    /// The hash of the previous block.
    pub previous: BlockHash,
    /// The server that built the block. None only in genesis and opening blocks, which all servers build alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposer: Option<ServerId>,
    /// The founding terms; only in block 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<Genesis>,
    /// Accounts with the balances with which they begin; only in opening blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Accounts>,
    /// Beginnings of the servers' local logs, which take effect in the order of the servers' ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "in_order")]
    pub logs: BTreeMap<ServerId, Vec<Element>>,
}

/// Reads a map whose keys come in order, each once. A map that has a key twice would be ambiguous.
fn in_order<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<ServerId, Vec<Element>>, D::Error> {
    struct InOrder;
    impl<'de> Visitor<'de> for InOrder {
        type Value = BTreeMap<ServerId, Vec<Element>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the servers' logs, in the order of their ids")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut logs: Self::Value = BTreeMap::new();
            while let Some((server, elements)) = map.next_entry::<ServerId, _>()? {
                if logs.last_key_value().is_some_and(|(last, _)| *last >= server) {
                    return Err(de::Error::custom(format_args!("{server} is out of order")));
                }
                logs.insert(server, elements);
            }
            Ok(logs)
        }
    }
    from.deserialize_map(InOrder)
}

impl Block {
    /// Returns the entries with their names, in the order in which they take effect.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.logs.iter().flat_map(|(server, log)| log.iter().flat_map(|e| e.entries(server)))
    }

    /// Returns the entries whose records are wanted, the last one first, each with its place in the block.
    pub fn newest_where<'a>(
        &'a self,
        is_wanted: impl Fn(&Record) -> bool + Copy + 'a,
    ) -> impl Iterator<Item = (u64, Entry)> + 'a {
        let logs = self.logs.iter().rev();
        let elements =
            logs.flat_map(|(server, log)| log.iter().rev().map(move |element| (server, element)));
        let mut begin: usize = self.logs.values().flatten().map(Element::entries_held).sum();
        elements.flat_map(move |(server, element)| {
            begin -= element.entries_held();
            let wanted = element.newest_where(server, is_wanted);
            wanted.map(move |(place, entry)| ((begin + place) as u64, entry))
        })
    }

    /// Returns the entries without their names.
    pub fn records(&self) -> impl Iterator<Item = (&ServerId, &Record)> {
        self.logs.iter().flat_map(|(server, log)| {
            log.iter().flat_map(Element::records).map(move |record| (server, record))
        })
    }

    /// Returns the elements that it holds of one server's log.
    pub fn log(&self, server: &ServerId) -> &[Element] {
        self.logs.get(server).map_or(&[], Vec::as_slice)
    }

    /// Returns the sessions with a server that go on from the former bank, each with its highest number there.
    pub fn carried(&self, server: &ServerId) -> impl Iterator<Item = (&SessionId, u64)> {
        let all = self.opening.iter().flat_map(|opening| &opening.sessions);
        let own = all.filter(move |(session, _)| session.server == *server);
        own.map(|(session, highest)| (session, *highest))
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.logs.values().flatten().map(Element::entries_held).sum()
    }

    /// True if it holds no entries, as block 0 does.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }
}

/// A block with its text and its hash, which are computed once.
///
/// It is cheap to clone. Two are equal if their hashes are.
#[derive(Clone)]
pub struct SealedBlock {
    block: Arc<Block>,
    /// The text, known to be JSON, so that it goes into a message as it is.
    text: Arc<RawValue>,
    hash: BlockHash,
}

impl SealedBlock {
    /// Writes a block that was just built as text.
    pub fn seal(block: Block) -> SealedBlock {
        let text = to_raw_value(&block).expect("a block has only string keys");
        let hash = BlockHash::of(text.get());
        SealedBlock { block: Arc::new(block), text: text.into(), hash }
    }

    /// Parses the text of a block.
    ///
    /// # Errors
    /// Says where and why if the text is not a block.
    pub fn open(text: &str) -> Result<SealedBlock, serde_json::Error> {
        let raw: &RawValue = serde_json::from_str(text)?;
        if raw.get().len() < text.len() {
            // What is stored, hashed and sent is the same, byte for byte.
            return Err(de::Error::custom("there is space around it"));
        }
        SealedBlock::read(raw.to_owned())
    }

    fn read(text: Box<RawValue>) -> Result<SealedBlock, serde_json::Error> {
        let block = serde_json::from_str(text.get())?;
        let hash = BlockHash::of(text.get());
        Ok(SealedBlock { block: Arc::new(block), text: text.into(), hash })
    }

    /// Makes block 0 of a bank. It is the same for every server that knows the same instances.
    pub fn genesis(genesis: Genesis) -> SealedBlock {
        SealedBlock::seal(Block {
            height: 0,
            previous: BlockHash::NONE,
            proposer: None,
            genesis: Some(genesis),
            opening: None,
            logs: BTreeMap::new(),
        })
    }

    /// Returns the block.
    pub fn block(&self) -> &Block {
        &self.block
    }

    /// Returns the block's height.
    pub fn height(&self) -> u64 {
        self.block.height
    }

    /// Returns the text that is hashed, sent and stored.
    pub fn text(&self) -> &str {
        self.text.get()
    }

    /// Returns the hash.
    pub fn hash(&self) -> BlockHash {
        self.hash
    }
}

impl PartialEq for SealedBlock {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
    }
}

impl Eq for SealedBlock {}

impl Hash for SealedBlock {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

impl fmt::Debug for SealedBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.block.len();
        write!(f, "block {} ({}, {entries} entries)", self.height(), self.hash.short())
    }
}

impl Serialize for SealedBlock {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.text.serialize(to)
    }
}

impl<'de> Deserialize<'de> for SealedBlock {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        SealedBlock::read(Box::deserialize(from)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genesis() -> SealedBlock {
        let instance = |id: &str, number| (id.parse().unwrap(), InstanceId(number));
        SealedBlock::genesis(Genesis {
            format: FORMAT,
            opening_balance: Amount::new(100).unwrap(),
            servers: BTreeMap::from([instance("A", 1), instance("B", 2)]),
            keys: BTreeMap::new(),
            origin: None,
            issuing: false,
        })
    }

    #[test]
    fn the_hash_is_that_of_the_very_bytes() {
        let block = genesis();
        let spaced = block.text().replace(",", ", ");
        assert_eq!(SealedBlock::open(block.text()).unwrap().hash(), block.hash());
        let reread = SealedBlock::open(&spaced).unwrap();
        assert_eq!(reread.block(), block.block());
        assert_ne!(reread.hash(), block.hash());
        let around = SealedBlock::open(&format!("{}\n", block.text())).unwrap_err();
        assert!(around.to_string().starts_with("there is space around it"), "{around}");
    }

    #[test]
    fn a_block_travels_inside_a_message_byte_for_byte() {
        let spaced = genesis().text().replace(",", ", ");
        let block = SealedBlock::open(&spaced).unwrap();
        let line = serde_json::to_string(&vec![&block]).unwrap();
        assert_eq!(line, format!("[{spaced}]"));
        let back: Vec<SealedBlock> = serde_json::from_str(&line).unwrap();
        assert_eq!(back[0].hash(), block.hash());
    }

    #[test]
    fn hashes_have_one_spelling() {
        let hash = genesis().hash();
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.to_string().to_uppercase().parse::<BlockHash>(), Err(BadHash));
        assert_eq!(BlockHash::NONE.to_string(), "0".repeat(64));
        assert_eq!(BadHash.to_string(), "a block hash is 64 hexadecimal digits");
    }
}
