//! A page of an index of accounts.
//!
//! It begins with a checksum, its first pair, and the number of bytes that are used. Then, for each account
//! in it: the distance of its hash from the one before, its first block plus 1, the distance of each further
//! block from the one before, and 0. These are written with seven bits a byte, the lowest first, and the
//! eighth bit set in all bytes but the last.

use sha2::{Digest, Sha256};

use crate::store::archive::segment::Segment;

/// The bytes of a page.
pub(super) const PAGE: usize = 4096;
const CHECKSUM: usize = 8;
const USED: usize = CHECKSUM;
const FIRST_HASH: usize = USED + 2;
const FIRST_BLOCK: usize = FIRST_HASH + 4;
const CONTENT: usize = FIRST_BLOCK + 4;
/// The most bytes that a pair takes, with the end of the account before and its own.
const PAIR: usize = 1 + 5 + 5 + 1;
const TITLE: [u8; 8] = *b"PBaccts1";

/// A pair of an account's hash and a block, which is counted from the segment's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) hash: u32,
    pub(super) block: u32,
}

/// The most runs of an index: their lengths fit in its last page.
pub(super) const MOST_RUNS: usize = 1000;

/// A page of the right checksum.
#[derive(Debug)]
pub(super) struct Page(Vec<u8>);

impl Page {
    /// Takes the bytes of a page, if they are those that were written as page `number`.
    pub(super) fn open(bytes: Vec<u8>, number: u64) -> Option<Page> {
        (bytes[..CHECKSUM] == checksum(&bytes, number)).then_some(Page(bytes))
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().expect("4"))
    }

    /// Returns the first pair.
    pub(super) fn first(&self) -> Key {
        Key { hash: self.u32(FIRST_HASH), block: self.u32(FIRST_BLOCK) }
    }

    /// Finds the blocks of the key's account in this page up to the key's, in ascending order. None if the
    /// page is malformed.
    pub(super) fn blocks(&self, key: Key) -> Option<Vec<u32>> {
        let mut content = self.0.get(CONTENT..usize::from(self.u16(USED)))?;
        let (mut hash, mut found) = (self.first().hash, Vec::new());
        while !content.is_empty() && hash <= key.hash {
            hash = hash.checked_add(take(&mut content)?)?;
            let mut block = take(&mut content)?.checked_sub(1)?;
            loop {
                if hash == key.hash && block <= key.block {
                    found.push(block);
                }
                match take(&mut content)? {
                    0 => break,
                    distance => block = block.checked_add(distance)?,
                }
            }
        }
        Some(found)
    }
}

fn checksum(bytes: &[u8], number: u64) -> [u8; CHECKSUM] {
    let hash = Sha256::new().chain_update(number.to_le_bytes()).chain_update(&bytes[CHECKSUM..]);
    hash.finalize()[..CHECKSUM].try_into().expect("32 bytes are enough")
}

/// Takes a number from the beginning.
fn take(content: &mut &[u8]) -> Option<u32> {
    let mut number = 0u64;
    for place in 0..5 {
        let (byte, rest) = content.split_first()?;
        *content = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return u32::try_from(number).ok();
        }
    }
    None
}

fn put(content: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        content.push(number as u8 | 0x80);
        number >>= 7;
    }
    content.push(number as u8);
}

/// A page in the making.
#[derive(Debug)]
pub(super) struct Filling {
    bytes: Vec<u8>,
    last: Key,
}

impl Filling {
    /// Begins a page with its first pair.
    pub(super) fn new(first: Key) -> Filling {
        let mut bytes = Vec::with_capacity(PAGE);
        bytes.resize(FIRST_HASH, 0);
        bytes.extend(first.hash.to_le_bytes());
        bytes.extend(first.block.to_le_bytes());
        put(&mut bytes, 0);
        put(&mut bytes, first.block + 1);
        Filling { bytes, last: first }
    }

    /// Takes a pair that is greater than the last, if there is room.
    pub(super) fn take(&mut self, key: Key) -> bool {
        if self.bytes.len() + PAIR > PAGE {
            return false;
        }
        if key.hash == self.last.hash {
            put(&mut self.bytes, key.block - self.last.block);
        } else {
            put(&mut self.bytes, 0);
            put(&mut self.bytes, key.hash - self.last.hash);
            put(&mut self.bytes, key.block + 1);
        }
        self.last = key;
        true
    }

    /// Ends the page as page `number`.
    pub(super) fn finish(mut self, number: u64) -> Vec<u8> {
        put(&mut self.bytes, 0);
        let used = self.bytes.len() as u16;
        self.bytes[USED..FIRST_HASH].copy_from_slice(&used.to_le_bytes());
        seal(self.bytes, number)
    }
}

/// Fills a page up, and writes its checksum.
fn seal(mut bytes: Vec<u8>, number: u64) -> Vec<u8> {
    bytes.resize(PAGE, 0);
    let checksum = checksum(&bytes, number);
    bytes[..CHECKSUM].copy_from_slice(&checksum);
    bytes
}

/// What the last page says.
#[derive(Debug)]
pub(super) struct About {
    /// What the hashes are salted with.
    pub(super) salt: u64,
    /// The number of pages of each run.
    pub(super) runs: Vec<u32>,
}

impl About {
    /// Reads the last page of the index of a segment.
    pub(super) fn read(page: &Page, segment: &Segment) -> Result<About, String> {
        let of_whom = of_whom(segment);
        let salt_at = CHECKSUM + of_whom.len();
        if page.0[CHECKSUM..salt_at] != of_whom {
            return Err("it is not of this segment".into());
        }
        let salt = u64::from_le_bytes(page.0[salt_at..salt_at + 8].try_into().expect("8"));
        let count = page.u32(salt_at + 8) as usize;
        if count > MOST_RUNS {
            return Err(format!("it can't have {count} runs"));
        }
        let runs = (0..count).map(|run| page.u32(salt_at + 12 + 4 * run)).collect();
        Ok(About { salt, runs })
    }

    /// Writes it as page `number`.
    pub(super) fn write(&self, segment: &Segment, number: u64) -> Vec<u8> {
        let mut bytes = vec![0; CHECKSUM];
        bytes.extend(of_whom(segment));
        bytes.extend(self.salt.to_le_bytes());
        bytes.extend((self.runs.len() as u32).to_le_bytes());
        self.runs.iter().for_each(|pages| bytes.extend(pages.to_le_bytes()));
        seal(bytes, number)
    }
}

fn of_whom(segment: &Segment) -> Vec<u8> {
    let mut bytes = TITLE.to_vec();
    bytes.extend(segment.first.to_le_bytes());
    bytes.extend(segment.last.to_le_bytes());
    bytes.extend(segment.sha256.bytes());
    bytes
}
