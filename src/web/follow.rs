//! Reads traces as they grow, and tells their story.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

use crate::trace::told::StoryData;
use crate::trace::{Choice, merged};
use crate::web::board::Board;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(300);
/// How much of a file's end is read, in bytes: some minutes of a busy server.
const TAIL: u64 = 2 << 20;
/// The most events that are shown.
const EVENTS: usize = 3_000;

/// Begins to follow these files, and the files in these folders.
///
/// # Errors
/// If one of them can't be read, or a file is no trace.
pub(super) fn start(places: Vec<PathBuf>, board: &Arc<Board>) -> Result<(), String> {
    let files = files_of(&places)?;
    let mut known = sizes(&files);
    let texts = texts_of(&files)?;
    if !texts.is_empty() {
        board.tell(story(&texts)?);
    }
    let board = Arc::clone(board);
    let work = move || loop {
        std::thread::sleep(LOOK);
        // A file that is being written may be gone, or half written, for a moment.
        let Ok(files) = files_of(&places) else { continue };
        let now = sizes(&files);
        if now == known {
            continue;
        }
        known = now;
        match texts_of(&files).and_then(|texts| story(&texts)) {
            Ok(story) => board.tell(story),
            Err(why) => log::debug!("the traces can't be read now: {why}"),
        }
    };
    let thread = Builder::new().name("traces".into()).spawn(work);
    thread.map(drop).map_err(|error| format!("can't start a thread: {error}"))
}

fn files_of(places: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for place in places {
        let wrong = |error: io::Error| format!("{}: {error}", place.display());
        if !place.is_dir() {
            fs::metadata(place).map_err(wrong)?;
            files.push(place.clone());
            continue;
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(place).map_err(wrong)? {
            let path = entry.map_err(wrong)?.path();
            found.extend(
                Some(path).filter(|path| path.extension().is_some_and(|end| end == "jsonl")),
            );
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

fn sizes(files: &[PathBuf]) -> Vec<Option<u64>> {
    files.iter().map(|file| fs::metadata(file).ok().map(|found| found.len())).collect()
}

/// Returns the names and the ends of the files that hold anything.
fn texts_of(files: &[PathBuf]) -> Result<Vec<(String, String)>, String> {
    let mut texts = Vec::new();
    for file in files {
        let name = file.display().to_string();
        let text = end_of(file).map_err(|error| format!("{name}: {error}"))?;
        if !text.is_empty() {
            texts.push((name, text));
        }
    }
    Ok(texts)
}

/// Reads the end of a file, from a line's beginning on.
fn end_of(file: &Path) -> io::Result<String> {
    let mut file = File::open(file)?;
    let from = file.metadata()?.len().saturating_sub(TAIL);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(match text.split_once('\n') {
        Some((_, rest)) if from > 0 => rest.to_owned(),
        _ => text,
    })
}

fn story(texts: &[(String, String)]) -> Result<String, String> {
    let story = StoryData::of(&merged(texts)?.chosen(&Choice::default())).last(EVENTS);
    serde_json::to_string(&story).map_err(|error| error.to_string())
}
