//! Scenario files: a bank of processes, what clients say to it, what goes wrong, and what is to come
//! of it, from one file.
//!
//! [`reading`] reads a file, in either of its dialects (plain text, or a course's CSV), before
//! anything is started; [`expect`] is what it may expect. Then the stage is set: servers as processes
//! of this program on a Redis in a temporary folder. The player lets clients speak, each a thread with
//! a session of [`client`](crate::client), kills and starts servers, breaks links, and checks. Whatever
//! ends the play, nothing of it is left.
//!
//! Exit status: 0, all was as expected; 1, something was not; 2, the file is wrong; 3, it can't be
//! played here.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::bank::amount::Amount;
use crate::play::player::{Manner, Player, Stop};
use crate::play::report::Report;
use crate::play::script::Script;
use crate::play::stage::Stage;
use crate::play::summary::Summary;

mod cast;
mod check;
mod csv;
pub mod expect;
mod fault;
mod figures;
mod folder;
pub mod guard;
mod look;
mod plain;
mod player;
mod promises;
pub mod reading;
mod redis;
mod report;
pub mod script;
mod short;
mod stage;
mod summary;
mod teller;
mod why;
mod words;
pub mod wrong;

/// All was as expected.
const GREEN: u8 = 0;
/// Something was not.
const FAILED: u8 = 1;
/// The file is not as it has to be.
const WRONG_FILE: u8 = 2;
/// There is no bank to play with.
const NO_STAGE: u8 = 3;

/// What each server's account holds at first, if nobody says otherwise.
const USUAL_OPENING: u64 = 100;

/// What a player is told on the command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file.
    pub file: PathBuf,
    /// A Redis that may be used. If none is named, one is started.
    pub redis: Option<String>,
    /// What each server's account holds at first, whatever the file says of it.
    pub opening: Option<Amount>,
    /// Transfers that follow each other are sent at once, but for those of one client.
    pub concurrent: bool,
    /// A transfer that the bank can't cover waits for money in place of being refused.
    pub short_waits: bool,
    /// How long what is expected may take to come about.
    pub patience: Duration,
    /// The folder in which servers note down what they tell each other, if it is to be kept.
    pub traces: Option<PathBuf>,
    /// Print lines of JSON.
    pub json: bool,
}

/// Plays a file, tells it on the standard streams, and returns the exit status.
pub fn run(options: &Options) -> u8 {
    let script = match read(options) {
        Ok(script) => script,
        Err(wrong) => {
            eprintln!("{wrong}");
            return WRONG_FILE;
        }
    };
    match play(options, &script) {
        Ok(true) => GREEN,
        Ok(false) => FAILED,
        Err(stop) => {
            if let Stop::Cannot(why) = stop {
                eprintln!("{}: {why}", options.file.display());
            }
            NO_STAGE
        }
    }
}

/// The file's script, or what is wrong with it: a line each, `FILE:LINE:COLUMN: …`.
fn read(options: &Options) -> Result<Script, String> {
    let name = options.file.display();
    let bytes = fs::read(&options.file).map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|wrong| {
        let line = wrong.as_bytes()[..wrong.utf8_error().valid_up_to()].split(|b| *b == b'\n');
        let lines: Vec<&[u8]> = line.collect();
        let column = String::from_utf8_lossy(lines[lines.len() - 1]).chars().count() + 1;
        format!("{name}:{}:{column}: this is not UTF-8, in which files are written", lines.len())
    })?;
    reading::parse(&text).map_err(|wrongs| {
        let lines: Vec<String> = wrongs.iter().map(|wrong| format!("{name}:{wrong}")).collect();
        lines.join("\n")
    })
}

/// Plays it. False if something was not as expected.
fn play(options: &Options, script: &Script) -> Result<bool, Stop> {
    let usual = Amount::new(USUAL_OPENING);
    let opening = options.opening.or(script.opening).or(usual).unwrap_or(Amount::ZERO);
    let Options { concurrent, short_waits, patience, .. } = *options;
    let stage = Stage::set(&script.servers, opening, options)?;
    let mut report = Report::new(io::stdout(), options.json);
    let servers = cast::list(&script.servers);
    let setting = format!("{}: {servers} open with {opening} each", options.file.display());
    report.text(&setting)?;
    let manner = Manner { concurrent, short_waits, patience };
    let mut player = Player::new(script, manner, stage, report);
    player.play()?;
    let Player { mut stage, mut report, figures, short, .. } = player;
    let (passed, failed) = (report.passed, report.failed);
    let summary = Summary::of(&mut stage, short.left(), figures.told(), passed, failed);
    report.json(&summary)?;
    report.text(&summary.in_words())?;
    if !summary.is_green() {
        eprintln!("{}", stage.logs());
    }
    Ok(summary.is_green())
}
