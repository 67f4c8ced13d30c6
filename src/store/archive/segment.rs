//! What the store records of a segment.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::bank::as_text::serde_as_text;
use crate::bank::hex;
use crate::explain::explain;
use crate::store::archive::names::{self, Kind};

/// The SHA-256 of a file, written as `sha256sum` writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FileHash([u8; 32]);

impl FileHash {
    /// Returns the hash of all that went into `hasher`.
    pub(crate) fn of(hasher: Sha256) -> FileHash {
        FileHash(hasher.finalize().into())
    }

    /// Returns the hash's bytes.
    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for FileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The error for a text that is not a file's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFileHash;

impl fmt::Display for BadFileHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a file's SHA-256 is 64 hexadecimal digits")
    }
}

impl FromStr for FileHash {
    type Err = BadFileHash;
    fn from_str(text: &str) -> Result<Self, BadFileHash> {
        hex::parse(text).map(FileHash).ok_or(BadFileHash)
    }
}

serde_as_text!(FileHash);

/// A sealed file of blocks: which ones, and how to know the file again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The height of the first block.
    pub first: u64,
    /// The height of the last block.
    pub last: u64,
    /// The file's length.
    pub bytes: u64,
    /// The file's SHA-256.
    pub sha256: FileHash,
}

/// What a segment's field in the store holds. The first height is in the field's name.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    last: u64,
    bytes: u64,
    sha256: FileHash,
}

impl Segment {
    /// What the names of segments' fields begin with.
    pub const FIELD: &str = "segment:";

    /// Returns the name of the field in which the store records the segment.
    pub fn field(&self) -> String {
        format!("{}{}", Segment::FIELD, self.first)
    }

    /// Returns what the store records in that field.
    pub fn record(&self) -> String {
        let record = Record { last: self.last, bytes: self.bytes, sha256: self.sha256 };
        serde_json::to_string(&record).expect("numbers and a text")
    }

    /// Reads what the store recorded.
    ///
    /// # Errors
    /// Says what is wrong with the name or the content of the field.
    pub fn parse(field: &str, record: &str) -> Result<Segment, String> {
        let first = field.strip_prefix(Segment::FIELD).and_then(|first| first.parse::<u64>().ok());
        let first = first.filter(|first| format!("{}{first}", Segment::FIELD) == field);
        let first = first.ok_or("its name should end with the first block's height")?;
        let Record { last, bytes, sha256 } =
            serde_json::from_str(record).map_err(|error| explain(&error))?;
        let segment = Segment { first, last, bytes, sha256 };
        if last < first || last == u64::MAX {
            return Err(format!("a segment from block {first} to block {last}"));
        }
        if bytes < segment.blocks() {
            return Err(format!("{bytes} bytes can't hold {} blocks", segment.blocks()));
        }
        Ok(segment)
    }

    /// Returns the number of blocks.
    pub fn blocks(&self) -> u64 {
        self.last - self.first + 1
    }

    /// True if the block of this height is in the segment.
    pub fn holds(&self, height: u64) -> bool {
        (self.first..=self.last).contains(&height)
    }

    /// Returns what the names of the segment's files begin with: both heights in twelve digits.
    pub fn stem(&self) -> String {
        names::stem(self.first, self.last)
    }

    /// Returns the path of the segment in an archive's folder.
    pub fn path(&self, folder: &Path) -> PathBuf {
        self.path_of(Kind::Blocks, folder)
    }

    /// Returns the path of one of the segment's files.
    pub(super) fn path_of(&self, kind: Kind, folder: &Path) -> PathBuf {
        names::path(folder, kind, self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment() -> Segment {
        let sha256 = FileHash::of(Sha256::new_with_prefix("abc"));
        Segment { first: 512, last: 1023, bytes: 70_000, sha256 }
    }

    #[test]
    fn a_record_comes_back() {
        let segment = segment();
        assert_eq!(segment.field(), "segment:512");
        let record = "{\"last\":1023,\"bytes\":70000,\"sha256\":\"ba7816bf8f01cfea414140de5dae2223\
                      b00361a396177a9cb410ff61f20015ad\"}";
        assert_eq!(segment.record(), record);
        assert_eq!(Segment::parse("segment:512", record), Ok(segment.clone()));
        assert_eq!(segment.stem(), "000000000512-000000001023");
        assert_eq!(segment.blocks(), 512);
        assert!(segment.holds(512) && segment.holds(1023));
        assert!(!segment.holds(511) && !segment.holds(1024));
    }

    #[test]
    fn what_this_program_does_not_write_is_refused() {
        let right = segment().record();
        for field in
            ["segment:", "segment:0512", "segment:+512", "segment:-1", "512", "segment: 512"]
        {
            let error = Segment::parse(field, &right).unwrap_err();
            assert_eq!(error, "its name should end with the first block's height", "{field}");
        }
        for (record, said) in [
            (right.replace("1023", "511"), "a segment from block 512 to block 511"),
            (right.replace("70000", "511"), "511 bytes can't hold 512 blocks"),
            (right.replace("ba78", "BA78"), "a file's SHA-256 is 64 hexadecimal digits"),
            (right.replace("ba78", "ba7"), "a file's SHA-256 is 64 hexadecimal digits"),
            (right.replace("{", "{\"first\":512,"), "unknown field `first`"),
            (right.replace("\"last\":1023,", ""), "missing field `last`"),
            (right.replace("1023", "-1"), "found the number `-1`"),
            (right.replace("1023", &u64::MAX.to_string()), "a segment from block 512 to"),
            (String::new(), "the text ends"),
        ] {
            let error = Segment::parse("segment:512", &record).unwrap_err();
            assert!(error.starts_with(said), "{record}: {error}");
        }
    }
}
