//! Where a benchmark keeps its files: a folder on a real disk, and which file system that is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Fallible;

/// A folder of this run's own, removed when it is dropped.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new folder below `parent`.
    pub fn new(parent: &Path) -> Fallible<Folder> {
        let path = parent.join(format!("run-{}-{:08x}", std::process::id(), fastrand::u32(..)));
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Folder { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders below `parent` of benchmarks that were interrupted: a million accounts' stores are
/// gigabytes.
pub fn remove_leftovers(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    if !is_alive(std::process::id()) {
        // Not every `ps` can say.
        return;
    }
    for entry in entries.flatten() {
        let owner = entry.file_name().to_str().and_then(owner);
        if owner.is_some_and(|owner| !is_alive(owner)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The process of which a folder of this name is.
fn owner(name: &str) -> Option<u32> {
    let (process, random) = name.strip_prefix("run-")?.split_once('-')?;
    let is_hex = random.len() == 8 && random.bytes().all(|byte| byte.is_ascii_hexdigit());
    process.parse().ok().filter(|_| is_hex)
}

/// Whether there is a process of this number; yes if that can't be told.
fn is_alive(process: u32) -> bool {
    let mut ps = Command::new("ps");
    let ps = ps.args(["-p", &process.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    ps.status().map_or(true, |status| status.success())
}

/// Bytes of all files in a folder, and in those below it.
pub fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        // Redis removes files meanwhile.
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

/// The file system that a folder is on, as `ext4 on /dev/vda`; an error if it is kept in memory, where
/// a flush costs nothing and figures would mean nothing.
pub fn file_system(folder: &Path) -> Fallible<String> {
    let Ok(mounts) = fs::read_to_string("/proc/self/mountinfo") else {
        return Ok("a file system that this system does not tell of".into());
    };
    let folder = folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
    let (kind, device) = mount_of(&mounts, &folder).ok_or("this folder is on no known mount")?;
    if ["tmpfs", "ramfs", "devtmpfs"].contains(&kind) {
        return Err(format!(
            "{} is on {kind}, which is kept in memory: a durable write would cost nothing there. \
             Choose a folder on a disk with --folder DIR.",
            folder.display()
        ));
    }
    Ok(format!("{kind} on {device}"))
}

/// Of all mounts that hold the folder the deepest counts, and of several at one place the last.
fn mount_of<'a>(mounts: &'a str, folder: &Path) -> Option<(&'a str, &'a str)> {
    let parsed = mounts.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        Some((left.split(' ').nth(4)?, (right.next()?, right.next()?)))
    });
    let holding = parsed.filter(|(point, _)| folder.starts_with(point));
    holding.max_by_key(|(point, _)| point.len()).map(|(_, mount)| mount)
}

/// The machine in a line, for the report.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?.to_owned();
        line.split_once(": ").map(|(_, name)| name.to_owned())
    });
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("{cores} cores ({model}), {}", std::env::consts::OS)
}
