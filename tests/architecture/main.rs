//! The structure that everything hangs on, checked by machine: the state machine in `src/bank` is pure,
//! folders import each other in one direction, files and functions stay small enough to read, what the code
//! cites exists, and `tests/README.md` lists what is in `tests`.

use std::fs;
use std::path::{Path, PathBuf};

mod citations;
mod imports;
mod listing;
mod purity;
mod sizes;

/// A file of Rust.
struct Source {
    /// Its path below the repository, such as `src/bank/ids.rs`.
    path: String,
    /// Its text.
    text: String,
}

/// Reads all Rust files of a folder.
fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join(folder), &mut paths);
    assert!(!paths.is_empty(), "{folder} holds no source");
    paths.sort();
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("readable"),
        path: path.strip_prefix(root).expect("below the root").to_str().expect("text").to_owned(),
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
