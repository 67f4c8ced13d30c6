//! The flags about the archive: where old blocks go, and how many stay in Redis.

use std::path::PathBuf;

use clap::Args;
use paxos_banking::store::archive::folder::Folder;
use paxos_banking::store::redis::ArchiveOptions;

/// The least that a segment may be, in bytes.
const LEAST_SEGMENT: u64 = 1 << 10;
/// The most that may be kept, or a segment may be, in bytes.
const MOST: u64 = 1 << 40;

#[derive(Args)]
#[command(next_help_heading = "Archive")]
pub struct Archive {
    /// The folder to which the oldest blocks go, as segments: files of blocks, a block a line. It belongs to this
    /// server, and is made if it isn't there. Redis then keeps the newest blocks only [default: none, all blocks
    /// stay in Redis]
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,

    /// How many bytes of the newest blocks stay in Redis at least: 64MiB, 512KiB, 1GiB, …
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size, requires = "archive")]
    keep: u64,

    /// How large a segment becomes, about
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_segment, requires = "archive")]
    segment: u64,

    /// How much memory the index behind statements takes at most, about; what has no place in it is searched when
    /// somebody asks
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    pub index_memory: u64,
}

impl Archive {
    /// Returns what the flags say; none without a folder.
    ///
    /// # Errors
    /// If the folder has no name.
    pub fn check(self) -> Result<Option<ArchiveOptions>, String> {
        let Archive { archive, keep, segment, .. } = self;
        match archive {
            Some(path) if path.as_os_str().is_empty() => {
                Err("--archive needs the name of a folder, and it is empty".into())
            }
            Some(path) => Ok(Some(ArchiveOptions { folder: Folder::new(path), keep, segment })),
            None => Ok(None),
        }
    }
}

/// Parses a number of bytes.
///
/// # Errors
/// What is right, if the text is none.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kib" => Some(1 << 10),
        "m" | "mib" => Some(1 << 20),
        "g" | "gib" => Some(1 << 30),
        "t" | "tib" => Some(1 << 40),
        _ => None,
    };
    let size = unit.and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit));
    size.filter(|size| *size <= MOST).ok_or_else(|| {
        "a size is a number of bytes up to 1TiB, with or without a unit: 64MiB, 512KiB, 1GiB, 1000000".into()
    })
}

fn parse_segment(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        size if size < LEAST_SEGMENT => Err("a segment is of 1KiB at least".into()),
        size => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_none() {
        for (text, bytes) in [
            ("0", 0),
            ("1000000", 1_000_000),
            ("64MiB", 64 << 20),
            ("64 mib", 64 << 20),
            ("512K", 512 << 10),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "MiB", "-1", "1.5MiB", "64MB", "2TiB", "99999999999999999999", "64 MiB x"]
        {
            assert!(parse_size(wrong).unwrap_err().contains("64MiB"), "{wrong}");
        }
        assert!(parse_segment("1000").unwrap_err().contains("1KiB"));
    }
}
