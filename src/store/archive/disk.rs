//! Files that appear whole or not at all, and survive a power cut once they have appeared.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::store::archive::error::ArchiveError;
use crate::store::archive::names;

/// Tells the unfinished files of this process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Unfinished {
    path: PathBuf,
    file: File,
    /// True if it disappears when this is dropped.
    disappears: bool,
}

impl Unfinished {
    /// Creates a file at `path`, or empties the one there. It stays until that is done again: its path may
    /// be another's by the time this is dropped.
    pub(super) fn create(path: PathBuf) -> Result<Unfinished, ArchiveError> {
        let file = File::create(&path).map_err(ArchiveError::io("create", &path))?;
        Ok(Unfinished { path, file, disappears: false })
    }

    /// Creates a file that is to get the name `path`, and disappears unless it does.
    pub(crate) fn create_for(path: &Path) -> Result<Unfinished, ArchiveError> {
        let name = path.file_name().and_then(OsStr::to_str).expect("a name of ours");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut file = Unfinished::create(path.with_file_name(names::unfinished(name, number)))?;
        file.disappears = true;
        Ok(file)
    }

    /// Returns where it is now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes at its end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.file.write_all(bytes).map_err(ArchiveError::io("write", &self.path))
    }

    /// Brings what was written to the disk.
    pub(super) fn sync(&mut self) -> Result<(), ArchiveError> {
        self.file.sync_data().map_err(ArchiveError::io("flush", &self.path))
    }

    /// Gives the file its name, when all of it is on the disk. The name is there after a power cut once the
    /// folder is flushed, too.
    pub(crate) fn name(mut self, path: &Path) -> Result<(), ArchiveError> {
        self.file.sync_all().map_err(ArchiveError::io("flush", &self.path))?;
        fs::rename(&self.path, path).map_err(ArchiveError::io("name", path))?;
        self.disappears = false;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.disappears {
            // What stays is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a file of a few bytes, whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
    let mut file = Unfinished::create_for(path)?;
    file.write(bytes)?;
    file.name(path)?;
    sync_folder_of(path)
}

/// Brings a folder's names to the disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), ArchiveError> {
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(ArchiveError::io("flush", folder))
}

/// Brings the names of the folder in which a file is to the disk.
pub(super) fn sync_folder_of(path: &Path) -> Result<(), ArchiveError> {
    sync_folder(parent(path))
}

/// Makes a folder and those above it, so that they are there after a power cut.
pub(crate) fn make_folder(folder: &Path) -> Result<(), ArchiveError> {
    if folder.is_dir() {
        return Ok(());
    }
    if parent(folder) != folder {
        make_folder(parent(folder))?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !folder.is_dir() => {
            let is_file = io::Error::from(ErrorKind::NotADirectory);
            Err(ArchiveError::io("make", folder)(is_file))
        }
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(ArchiveError::io("make", folder)(error))
        }
        _ => sync_folder_of(folder),
    }
}

fn parent(path: &Path) -> &Path {
    let parent = path.parent().unwrap_or(path);
    if parent.as_os_str().is_empty() { Path::new(".") } else { parent }
}

/// Reads a file that may be missing.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}
