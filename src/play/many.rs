//! Several files in one call: a line for each, and a table of what each of its sets ended with.

use std::path::{Path, PathBuf};

use crate::play::player::Stop;
use crate::play::report::Voice;
use crate::play::{FAILED, GREEN, NO_STAGE, Options, WRONG_FILE, one, read};

/// Plays files one after the other, and returns the highest of their exit statuses. A file that is wrong keeps
/// no other from being played.
pub(super) fn run(files: &[PathBuf], options: &Options) -> u8 {
    let mut worst = GREEN;
    for (file, folder) in files.iter().zip(folders(files)) {
        let below = |kept: &Option<PathBuf>| kept.as_ref().map(|kept| kept.join(&folder));
        let (traces, logs) = (below(&options.traces), below(&options.logs));
        worst = worst.max(play(file, &Options { traces, logs, ..options.clone() }));
    }
    worst
}

fn play(file: &Path, options: &Options) -> u8 {
    let script = match read(file) {
        Ok(script) => script,
        Err(wrong) => {
            println!("{}: it is wrong, and not played", file.display());
            eprintln!("{wrong}");
            return WRONG_FILE;
        }
    };
    let voice = if options.json { Voice::Json } else { Voice::Silent };
    match one::play(file, &script, options, voice) {
        Ok(summary) => {
            if !options.json {
                println!("{}", summary.in_a_line_and_a_table());
            }
            if summary.is_green() {
                return GREEN;
            }
            eprintln!("{}", summary.failure_in_words());
            FAILED
        }
        Err(Stop::Cannot(why)) => {
            println!("{}: it can't be played here", file.display());
            eprintln!("{why}");
            NO_STAGE
        }
        Err(Stop::Unread) => NO_STAGE,
    }
}

/// Returns a name for each file's own folder: the file's, with a number where two have the same.
fn folders(files: &[PathBuf]) -> Vec<String> {
    let name = |file: &PathBuf| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let names: Vec<String> = files.iter().map(name).collect();
    let number =
        |index: usize| names[..index].iter().filter(|other| **other == names[index]).count();
    let numbered = |index: usize| match number(index) {
        0 => names[index].clone(),
        number => format!("{}-{}", names[index], number + 1),
    };
    (0..names.len()).map(numbered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_a_folder_of_its_own() {
        let files = ["a/x.csv", "b/x.csv", "y.csv", "x.csv"].map(PathBuf::from);
        assert_eq!(folders(&files), ["x.csv", "x.csv-2", "y.csv", "x.csv-3"]);
    }
}
