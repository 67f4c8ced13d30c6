//! The traces that a diagram is to be drawn from: named ones, those of a folder, or those of a play.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::play::folder::Folder;
use crate::play::player::Stop;
use crate::play::report::Voice;
use crate::play::{Options, one, read};
use crate::trace::{self, Choice};

/// How long an expectation may take to come true.
const PATIENCE: Duration = Duration::from_secs(20);

/// The ends of the names of scenario files.
const SCENARIOS: [&str; 3] = ["txt", "csv", "tsv"];

/// Returns the names and the texts of traces: each of the inputs is one, or a folder of traces, or a scenario file,
/// which is played for its traces.
///
/// # Errors
/// If an input can't be read, or not be played here. What a scenario file expects doesn't matter.
pub fn traces_of(inputs: &[PathBuf]) -> Result<Vec<(String, String)>, String> {
    let mut traces = Vec::new();
    for input in inputs {
        let end = input.extension().and_then(|end| end.to_str()).unwrap_or_default().to_lowercase();
        let is_scenario = SCENARIOS.contains(&&*end);
        if is_scenario && inputs.len() > 1 {
            return Err(format!(
                "{} is a scenario file, whose play is a story of its own: name nothing else with it",
                input.display()
            ));
        }
        if input.is_dir() {
            traces.extend(of_folder(input)?);
        } else if is_scenario {
            traces.extend(of_play(input)?);
        } else {
            traces.push(of_file(input)?);
        }
    }
    Ok(traces)
}

/// Has a file played with traces, and writes a page that steps through them, whatever became of the play.
///
/// # Errors
/// If there is no place for the traces, or the page can't be written.
pub(super) fn with_page(
    file: &Path,
    page: &Path,
    options: &Options,
    play: impl FnOnce(&Options) -> u8,
) -> Result<u8, String> {
    // Before the play: nobody should wait for a page that has no place.
    let wrong = |error: io::Error| format!("--page {}: {error}", page.display());
    fs::File::create(page).map_err(wrong)?;
    let kept = match &options.traces {
        Some(_) => None,
        None => Some(
            Folder::new().map_err(|error| format!("no temporary folder can be had: {error}"))?,
        ),
    };
    let own = kept.as_ref().map(|kept| kept.path().join("traces"));
    let traces = options.traces.clone().or(own).unwrap_or_default();
    let status = play(&Options { traces: Some(traces.clone()), ..options.clone() });
    let title = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let text = trace::page(&title, &of_folder(&traces)?, &Choice::default())?;
    fs::write(page, text).map_err(wrong)?;
    Ok(status)
}

fn of_file(file: &Path) -> Result<(String, String), String> {
    let name = file.display().to_string();
    // A trace's last line may be cut within a letter.
    let bytes = fs::read(file).map_err(|error| format!("{name}: {error}"))?;
    Ok((name, String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads the files in a folder whose names end as those of traces do.
fn of_folder(folder: &Path) -> Result<Vec<(String, String)>, String> {
    let wrong = |error: io::Error| format!("{}: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let is_trace = path.extension().is_some_and(|end| end == "jsonl");
        files.extend(Some(path).filter(|_| is_trace));
    }
    if files.is_empty() {
        return Err(format!(
            "{} holds no trace: play --traces FOLDER writes files that end in .jsonl",
            folder.display()
        ));
    }
    files.sort();
    files.iter().map(|file| of_file(file)).collect()
}

fn of_play(file: &Path) -> Result<Vec<(String, String)>, String> {
    let script = read(file)?;
    let kept = Folder::new().map_err(|error| format!("no temporary folder can be had: {error}"))?;
    let traces = kept.path().join("traces");
    let options =
        Options { traces: Some(traces.clone()), patience: PATIENCE, ..Options::default() };
    match one::play(file, &script, &options, Voice::Silent) {
        Ok(_) | Err(Stop::Unread) => of_folder(&traces),
        Err(Stop::Cannot(why)) => Err(format!("{}: {why}", file.display())),
    }
}
