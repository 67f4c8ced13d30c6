//! Scenario files: a bank of processes, what its clients say, what goes wrong, and what is expected, in one
//! file.
//!
//! [`reading`] reads a file, in either of its dialects (plain text, or a course's CSV), before anything is
//! started; [`expect`] is what it may expect. The stage is then set: servers as processes of this program,
//! on a Redis in a temporary folder. The player lets clients speak, each a thread with a session of
//! [`client`](crate::client). It kills and starts servers, breaks links, and checks. However the play ends,
//! nothing of it is left, but the logs of a play that failed.
//!
//! Exit status: 0, all was as expected; 1, something was not; 2, the file is wrong; 3, it can't be played
//! here.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bank::amount::Amount;
use crate::play::player::Stop;
use crate::play::report::Voice;
use crate::play::script::Script;

mod cast;
mod check;
mod course;
mod decode;
pub mod expect;
mod fault;
mod figures;
mod folder;
pub mod guard;
mod homes;
mod look;
mod many;
mod one;
mod plain;
mod player;
mod promises;
pub mod reading;
mod redis;
mod report;
pub mod script;
mod settings;
mod short;
mod stage;
mod strangers;
mod summary;
mod tally;
mod teller;
pub mod traced;
mod why;
mod words;
pub mod wrong;

/// The status if all was as expected.
const GREEN: u8 = 0;
/// The status if something was not as expected.
const FAILED: u8 = 1;
/// The status if the file is wrong.
const WRONG_FILE: u8 = 2;
/// The status if there is no bank to play with.
const NO_STAGE: u8 = 3;

/// A player's options, from the command line.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The files, each of which gets a bank of its own.
    pub files: Vec<PathBuf>,
    /// The URL of a Redis that may be used. If none is named, a Redis is started.
    pub redis: Option<String>,
    /// The opening balance of each server's account, whatever the file says.
    pub opening: Option<Amount>,
    /// True to send transfers that follow each other at once, except those of one client.
    pub concurrent: bool,
    /// True if a transfer that the bank can't cover waits for money instead of being refused.
    pub short_waits: bool,
    /// True to stop after each set, or each line of a file without sets, for whoever wants to look around.
    pub step: bool,
    /// How long to wait after each step.
    pub slow: Duration,
    /// How long an expectation may take to come true.
    pub patience: Duration,
    /// The folder in which to keep what the servers tell each other, if wanted.
    pub traces: Option<PathBuf>,
    /// The file for a page that steps through what the servers told each other, if wanted.
    pub page: Option<PathBuf>,
    /// The folder in which to keep the servers' logs. If none is named, those of a play that failed are kept.
    pub logs: Option<PathBuf>,
    /// True to print lines of JSON.
    pub json: bool,
}

/// Plays files, tells what happens on the standard streams, and returns the exit status.
pub fn run(options: &Options) -> u8 {
    match &options.files[..] {
        [file] => run_one(file, options),
        files => many::run(files, options),
    }
}

fn run_one(file: &Path, options: &Options) -> u8 {
    let script = match read(file) {
        Ok(script) => script,
        Err(wrong) => {
            eprintln!("{wrong}");
            return WRONG_FILE;
        }
    };
    let voice = if options.json { Voice::Json } else { Voice::Words };
    let Some(page) = &options.page else { return play_one(file, &script, options, voice) };
    match traced::with_page(file, page, options, |options| play_one(file, &script, options, voice))
    {
        Ok(status) => status,
        Err(why) => {
            eprintln!("{why}");
            NO_STAGE
        }
    }
}

fn play_one(file: &Path, script: &Script, options: &Options, voice: Voice) -> u8 {
    match one::play(file, script, options, voice) {
        Ok(summary) if summary.is_green() => GREEN,
        Ok(summary) => {
            eprintln!("\n{}", summary.failure_in_words());
            FAILED
        }
        Err(stop) => {
            if let Stop::Cannot(why) = stop {
                eprintln!("{}: {why}", file.display());
            }
            NO_STAGE
        }
    }
}

/// Reads a script; an error has a line `FILE:LINE:COLUMN: …` for each mistake.
fn read(file: &Path) -> Result<Script, String> {
    let name = file.display();
    let bytes = fs::read(file).map_err(|error| format!("{name}: {error}"))?;
    let text = decode::decode(&bytes).map_err(|wrong| format!("{name}:{wrong}"))?;
    reading::parse(&text).map_err(|wrongs| {
        let lines: Vec<String> = wrongs.iter().map(|wrong| format!("{name}:{wrong}")).collect();
        lines.join("\n")
    })
}
