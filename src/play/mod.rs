//! Scenario files: a bank of processes, what its clients say, what goes wrong, and what is expected, in one
//! file.
//!
//! [`reading`] reads a file, in either of its dialects (plain text, or a course's CSV), before anything is
//! started; [`expect`] is what it may expect. The stage is then set: servers as processes of this program,
//! on a Redis in a temporary folder. The player lets clients speak, each a thread with a session of
//! [`client`](crate::client). It kills and starts servers, breaks links, and checks. However the play ends,
//! nothing of it is left.
//!
//! Exit status: 0, all was as expected; 1, something was not; 2, the file is wrong; 3, it can't be played
//! here.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::bank::amount::Amount;
use crate::play::homes::Homes;
use crate::play::player::{Manner, Player, Stop};
use crate::play::report::Report;
use crate::play::script::Script;
use crate::play::stage::Stage;
use crate::play::summary::Summary;

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
mod summary;
mod teller;
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

/// The opening balance of each server's account, unless somebody says otherwise.
const USUAL_OPENING: u64 = 100;

/// A player's options, from the command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file.
    pub file: PathBuf,
    /// The URL of a Redis that may be used. If none is named, a Redis is started.
    pub redis: Option<String>,
    /// The opening balance of each server's account, whatever the file says.
    pub opening: Option<Amount>,
    /// True to send transfers that follow each other at once, except those of one client.
    pub concurrent: bool,
    /// True if a transfer that the bank can't cover waits for money instead of being refused.
    pub short_waits: bool,
    /// How long an expectation may take to come true.
    pub patience: Duration,
    /// The folder in which to keep what the servers tell each other, if wanted.
    pub traces: Option<PathBuf>,
    /// True to print lines of JSON.
    pub json: bool,
}

/// Plays a file, tells what happens on the standard streams, and returns the exit status.
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

/// Reads the script; an error has a line `FILE:LINE:COLUMN: …` for each mistake.
fn read(options: &Options) -> Result<Script, String> {
    let name = options.file.display();
    let bytes = fs::read(&options.file).map_err(|error| format!("{name}: {error}"))?;
    let text = decode::decode(&bytes).map_err(|wrong| format!("{name}:{wrong}"))?;
    reading::parse(&text).map_err(|wrongs| {
        let lines: Vec<String> = wrongs.iter().map(|wrong| format!("{name}:{wrong}")).collect();
        lines.join("\n")
    })
}

/// Plays a script. False if something was not as expected.
fn play(options: &Options, script: &Script) -> Result<bool, Stop> {
    let usual = Amount::new(USUAL_OPENING);
    let each = options.opening.or(script.opening).or(usual).unwrap_or(Amount::ZERO);
    let Options { concurrent, short_waits, patience, .. } = *options;
    let homes = Homes::of(script);
    let opening = homes.opening_of_servers(each)?;
    let stage = Stage::set(&script.servers, opening, options)?;
    let mut report = Report::new(io::stdout(), options.json);
    let setting = homes.in_words(&script.servers, each);
    report.text(&format!("{}: {setting}", options.file.display()))?;
    let manner = Manner { concurrent, short_waits, patience, opening_of_accounts: each };
    let mut player = Player::new(script, manner, stage, report);
    player.play()?;
    let Player { mut stage, mut report, figures, short, .. } = player;
    let (passed, failed) = (report.passed, report.failed);
    let mut summary = Summary::of(&mut stage, short.left(), figures.told(), passed, failed);
    summary.homes = homes.by_name();
    report.json(&summary)?;
    report.text(&summary.in_words())?;
    if !summary.is_green() {
        eprintln!("{}", stage.logs());
    }
    Ok(summary.is_green())
}
