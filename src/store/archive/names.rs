//! The names of an archive's files.

use std::path::{Path, PathBuf};

/// The file that says whose the folder is.
pub(super) const OWNER: &str = "archive.json";
/// The file that is locked while a server uses the folder.
pub(super) const LOCK: &str = "lock";
/// The segment that is being written.
pub(super) const PART: &str = "part";

/// The kinds of files that belong to a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The segment itself.
    Blocks,
    /// Where each block's line begins.
    Offsets,
    /// Which blocks touch an account.
    Accounts,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Blocks, Kind::Offsets, Kind::Accounts];

    fn extension(self) -> &'static str {
        match self {
            Kind::Blocks => "jsonl",
            Kind::Offsets => "offsets",
            Kind::Accounts => "accounts",
        }
    }
}

/// Returns what the names of a segment's files begin with. Names in order are heights in order.
pub(super) fn stem(first: u64, last: u64) -> String {
    format!("{first:012}-{last:012}")
}

/// Returns the path of a segment's file.
pub(super) fn path(folder: &Path, kind: Kind, first: u64, last: u64) -> PathBuf {
    folder.join(format!("{}.{}", stem(first, last), kind.extension()))
}

/// Returns the first and last height of the segment to which a file belongs, by its name.
pub(crate) fn heights(name: &str) -> Option<(u64, u64)> {
    let (stem_given, extension) = name.split_once('.')?;
    Kind::ALL.iter().find(|kind| kind.extension() == extension)?;
    let (first, last) = stem_given.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    // There is one spelling; any other file is somebody else's.
    (stem(first, last) == stem_given).then_some((first, last))
}

/// Returns the name under which a file is written that gets its own name when it is whole.
pub(super) fn unfinished(name: &str, number: u64) -> String {
    format!("{name}.{number}.{PART}")
}

/// True if an unfinished file has this name.
pub(super) fn is_unfinished(name: &str) -> bool {
    let numbered = name.strip_suffix(PART).and_then(|name| name.strip_suffix('.'));
    let parts = numbered.and_then(|name| name.rsplit_once('.'));
    let is_ours = |(name, number): (&str, &str)| {
        (heights(name).is_some() || name == OWNER) && number.parse::<u64>().is_ok()
    };
    name == PART || parts.is_some_and(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(heights("000000000000-000000000511.jsonl"), Some((0, 511)));
        assert_eq!(heights("000000000512-1234567890123.accounts"), Some((512, 1_234_567_890_123)));
        for other in [
            "0-511.jsonl",
            "0000000000000-0000000000511.jsonl",
            "+00000000000-000000000511.jsonl",
            "000000000000-000000000511.json",
            "000000000000-000000000511.jsonl.gz",
            "000000000000-000000000511",
            "000000000000.jsonl",
        ] {
            assert_eq!(heights(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_unfinished_is_told_from_what_others_put_there() {
        for ours in [PART, "000000000000-000000000511.offsets.7.part", "archive.json.1.part"] {
            assert!(is_unfinished(ours), "{ours}");
        }
        for other in ["a.part", "notes.1.part", "000000000000-000000000511.offsets.part", "1.part"]
        {
            assert!(!is_unfinished(other), "{other}");
        }
        assert!(is_unfinished(&unfinished("000000000000-000000000511.jsonl", 3)));
    }
}
