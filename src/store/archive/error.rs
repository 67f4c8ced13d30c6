//! What can go wrong with an archive.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Why a folder can't be used, or a segment not be written.
#[derive(Debug)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The system refused something. Trying again may help.
    Io {
        /// What was to be done, such as "write".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// Another process uses the folder.
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder belongs to another server, or to a server of another bank.
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Whose it is, in words.
        theirs: String,
        /// Who wants to use it, in words.
        ours: String,
    },
    /// The file that says whose the folder is can't be understood.
    NoOwner {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A block doesn't fit into the segment.
    Unfit {
        /// The file that is being written.
        file: PathBuf,
        /// The block's height.
        height: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A segment was written again, and is not the recorded one. The old file stays as it was.
    Unlike {
        /// The segment's file.
        file: PathBuf,
        /// How it differs.
        what: String,
    },
}

impl ArchiveError {
    /// Returns a function that makes an error of the system's words.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
        let path = path.to_owned();
        move |error| ArchiveError::Io { doing, path, error }
    }
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArchiveError::Io { doing, path, error } => {
                write!(f, "can't {doing} {}: {}", path.display(), said(error))
            }
            ArchiveError::Locked { folder } => write!(
                f,
                "{} is used by another process; each server needs an archive of its own",
                folder.display()
            ),
            ArchiveError::Foreign { folder, theirs, ours } => write!(
                f,
                "{} is the archive of {theirs}, and can't be that of {ours}; name another folder",
                folder.display()
            ),
            ArchiveError::NoOwner { file, what } => write!(
                f,
                "{} should say whose archive this is, and can't be understood: {what}",
                file.display()
            ),
            ArchiveError::Unfit { file, height, what } => {
                write!(f, "block {height} can't be written to {}: {what}", file.display())
            }
            ArchiveError::Unlike { file, what } => {
                write!(f, "{} was to be written again, but {what}", file.display())
            }
        }
    }
}

impl std::error::Error for ArchiveError {}

/// Says why the system refused something, in plain words where there are any.
pub(crate) fn said(error: &io::Error) -> String {
    let ours = match error.kind() {
        ErrorKind::StorageFull => "the disk is full",
        ErrorKind::QuotaExceeded => "the disk's quota is used up",
        ErrorKind::ReadOnlyFilesystem => "the disk is read-only",
        ErrorKind::FileTooLarge => "the file would be larger than allowed",
        ErrorKind::NotADirectory => "something in its path is a file, not a folder",
        _ => return error.to_string(),
    };
    format!("{ours} ({error})")
}

/// A file of the archive that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl Damage {
    /// Says what is wrong with a file.
    pub(crate) fn new(file: impl Into<PathBuf>, what: impl Into<String>) -> Damage {
        Damage { file: file.into(), what: what.into() }
    }

    /// Says that a file is missing, or can't be read.
    pub(super) fn unread(file: &Path, error: &io::Error) -> Damage {
        match error.kind() {
            ErrorKind::NotFound => Damage::new(file, "it is missing"),
            _ => Damage::new(file, format!("it can't be read: {error}")),
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

impl std::error::Error for Damage {}
