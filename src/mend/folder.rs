//! The folder in which Redis keeps its append-only file: which files must be there, in which order.
//!
//! Since Redis 7 the file is several, in `appendonlydir`, and a manifest names those that count: a base, and
//! the changes since. Redis takes a folder without a manifest for an empty store: it writes over the base and
//! continues in the other files. And it ignores each file that the manifest doesn't name.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder that Redis 7 makes.
const FOLDER: &str = "appendonlydir";
/// The file that names the files that count.
const MANIFEST: &str = "appendonly.aof.manifest";
/// The only file of Redis 6, and the beginning of the other files' names.
const SINGLE: &str = "appendonly.aof";

/// A file or folder, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl Fault {
    pub(super) fn new(path: impl Into<PathBuf>, what: impl Into<String>) -> Fault {
        Fault { path: path.into(), what: what.into() }
    }

    pub(super) fn unread(path: &Path, error: &io::Error) -> Fault {
        Fault::new(path, format!("it can't be read: {error}"))
    }
}

/// A line of the manifest.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    file: String,
    number: u64,
    kind: char,
}

/// Finds the files that Redis would load, in their order, in its folder (`dir` in its settings). There are none
/// if it was never used.
///
/// # Errors
/// If Redis would load something other than what was last written there.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let (inner, single) = (folder.join(FOLDER), folder.join(SINGLE));
    let old = size(&single)?;
    let (manifest, mut there) = (read(&inner.join(MANIFEST))?, logs_in(&inner)?);
    let Some(manifest) = manifest else {
        if !there.is_empty() {
            return Err(Fault::new(inner, without_manifest(&there)));
        }
        return Ok(old.map(|_| single.clone()).into_iter().collect());
    };
    let named = parse(&manifest).map_err(|what| Fault::new(inner.join(MANIFEST), what))?;
    check_order(&named).map_err(|what| Fault::new(inner.join(MANIFEST), what))?;
    // Redis 7 moves a file of Redis 6 into the folder, whose manifest names it already.
    let moving = named.iter().any(|line| line.file == SINGLE) && !there.contains(SINGLE);
    if old.is_some_and(|bytes| bytes > 0) && !moving {
        return Err(Fault::new(
            single.clone(),
            format!(
                "it lies beside {FOLDER}, of which Redis 7 and later would load the one and Redis 6 the \
                 other: move away the one that is not the bank's"
            ),
        ));
    }
    if old.is_some() && moving {
        there.insert(SINGLE.to_owned());
    }
    check_presence(&inner, &named, &there)?;
    let path = |line: Named| match line.file == SINGLE && moving {
        true => single.clone(),
        false => inner.join(line.file),
    };
    Ok(named.into_iter().filter(|line| line.kind != 'h').map(path).collect())
}

/// Checks that each file named is there, and that no other file holds changes.
fn check_presence(folder: &Path, named: &[Named], there: &BTreeSet<String>) -> Result<(), Fault> {
    let counts = |line: &&Named| line.kind != 'h';
    if let Some(missing) = named.iter().filter(counts).find(|line| !there.contains(&line.file)) {
        return Err(Fault::new(
            folder.join(&missing.file),
            format!("it is missing, and {MANIFEST} names it"),
        ));
    }
    let has_base = named.iter().any(|line| line.kind == 'b');
    for extra in there.iter().filter(|file| !named.iter().any(|line| line.file == **file)) {
        let path = folder.join(extra);
        let bytes = size(&path)?.unwrap_or(0);
        // A rewrite that a power cut stopped leaves an empty file, or a base that repeats the other files.
        if bytes > 0 && !(has_base && is_base(extra)) {
            let what =
                format!("{MANIFEST} does not name it, so Redis would ignore its {bytes} bytes");
            return Err(Fault::new(path, what));
        }
    }
    Ok(())
}

fn is_base(file: &str) -> bool {
    file.ends_with(".base.rdb") || file.ends_with(".base.aof")
}

fn is_appended(file: &str) -> bool {
    file.ends_with(".incr.aof")
}

/// Returns the names of the files with data.
fn logs_in(folder: &Path) -> Result<BTreeSet<String>, Fault> {
    let unread = |error: io::Error| Fault::unread(folder, &error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(unread(error)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(unread)?.file_name().to_string_lossy().into_owned();
        if name == SINGLE || name.starts_with(SINGLE) && (is_base(&name) || is_appended(&name)) {
            names.insert(name);
        }
    }
    Ok(names)
}

/// Parses `file NAME seq NUMBER type LETTER`, line by line, as Redis writes the manifest.
fn parse(manifest: &str) -> Result<Vec<Named>, String> {
    let lines = manifest.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    let named = lines.map(|(number, line)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let value = |key| words.chunks(2).find(|pair| pair[0] == key).and_then(|pair| pair.get(1));
        let named = || {
            let kind = value("type")?.chars().next().filter(|kind| "bih".contains(*kind))?;
            Some(Named {
                file: value("file")?.to_string(),
                number: value("seq")?.parse().ok()?,
                kind,
            })
        };
        named().ok_or_else(|| format!("line {} is not one of a manifest: {line:?}", number + 1))
    });
    let named: Vec<Named> = named.collect::<Result<_, _>>()?;
    match named.iter().all(|line| line.kind == 'h') {
        true => Err("it names no file that counts".into()),
        false => Ok(named),
    }
}

/// Checks that there is at most one base, in the first place, and that the numbers follow each other.
fn check_order(named: &[Named]) -> Result<(), String> {
    let counting: Vec<&Named> = named.iter().filter(|line| line.kind != 'h').collect();
    let after_base = usize::from(counting.first().is_some_and(|line| line.kind == 'b'));
    let appended = &counting[after_base..];
    if appended.iter().any(|line| line.kind == 'b') {
        return Err("a base that is not in the first place".into());
    }
    match appended.windows(2).find(|pair| pair[1].number != pair[0].number + 1) {
        Some(pair) => Err(format!("{} is followed by {}", pair[0].file, pair[1].file)),
        None => Ok(()),
    }
}

/// Says what is missing and, if it follows from the files' names, what the manifest has to hold.
fn without_manifest(there: &BTreeSet<String>) -> String {
    let names: Vec<&str> = there.iter().map(String::as_str).collect();
    let said = format!(
        "{MANIFEST} is missing, and Redis would begin with an empty store and mix what it writes with what is \
         left: {}",
        names.join(", ")
    );
    match rebuilt(there) {
        Some(lines) => format!(
            "{said}. If nothing else is missing, the manifest held these lines:\n    {}",
            lines.join("\n    ")
        ),
        None => said,
    }
}

fn rebuilt(there: &BTreeSet<String>) -> Option<Vec<String>> {
    let number = |name: &String| name.split('.').nth(2)?.parse::<u64>().ok();
    let mut lines = Vec::new();
    for (kind, is) in [('b', is_base as fn(&str) -> bool), ('i', is_appended)] {
        let mut some: Vec<(u64, &String)> = Vec::new();
        for name in there.iter().filter(|name| is(name)) {
            some.push((number(name)?, name));
        }
        some.sort();
        let follow = some.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1);
        if !follow || some.is_empty() || (kind == 'b' && some.len() > 1) {
            return None;
        }
        lines.extend(
            some.iter().map(|(number, name)| format!("file {name} seq {number} type {kind}")),
        );
    }
    Some(lines)
}

fn read(path: &Path) -> Result<Option<String>, Fault> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::unread(path, &error)),
    }
}

fn size(path: &Path) -> Result<Option<u64>, Fault> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fault::unread(path, &error)),
    }
}
