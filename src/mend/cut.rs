//! Cuts a torn tail off.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::mend::folder::Fault;

/// What was done to the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    /// The copy of the file as it was.
    pub copy: PathBuf,
}

/// Copies a file, and then cuts it off at offset `end`.
///
/// # Errors
/// If a process has the file open, or it can't be copied or cut. Without a copy nothing is cut.
pub fn cut(path: &Path, end: u64) -> Result<Cut, Fault> {
    if let Some(process) = user_of(path) {
        let what = format!("process {process} has it open: end that Redis first");
        return Err(Fault::new(path, what));
    }
    let copy = copy_of(path)
        .map_err(|error| Fault::new(path, format!("no copy of it can be kept: {error}")))?;
    let cut = || {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(end)?;
        file.sync_all()
    };
    cut().map_err(|error| Fault::new(path, format!("it can't be cut: {error}")))?;
    Ok(Cut { copy })
}

/// Keeps a copy beside the file, under a name that is not in use, durably.
fn copy_of(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    let (copy, mut to) = loop {
        let mut name = OsString::from(path);
        name.push(format!(".before-mending-{number}"));
        match OpenOptions::new().write(true).create_new(true).open(&name) {
            Ok(to) => break (PathBuf::from(name), to),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    };
    let copied = File::open(path)
        .and_then(|mut from| io::copy(&mut from, &mut to))
        .and_then(|_| to.sync_all())
        .and_then(|()| File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all());
    if let Err(error) = copied {
        // Half a copy is no copy.
        let _ = fs::remove_file(&copy);
        return Err(error);
    }
    Ok(copy)
}

/// Finds a process that has the file open, where the system tells: what looks torn may be a write under
/// way.
fn user_of(path: &Path) -> Option<u32> {
    let path = path.canonicalize().ok()?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.find(|number: &u32| {
        let open = fs::read_dir(format!("/proc/{number}/fd")).into_iter().flatten().flatten();
        open.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == path))
    })
}
