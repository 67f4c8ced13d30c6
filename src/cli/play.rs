//! The command line of `play` and `diagram`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use paxos_banking::bank::amount::Amount;
use paxos_banking::client::time::parse_time;
use paxos_banking::play;
use paxos_banking::trace::Choice;

use super::check_order;
use super::redis::{self, PasswordFile};

#[derive(Args)]
#[command(
    after_help = "Exit status: 0 all was as expected; 1 something was not; 2 the file or the usage is \
                        wrong; 3 it can't be played here. doc/SCENARIOS.md explains the files."
)]
pub struct Play {
    /// The file: plain text, such as tests/scenarios/demo.txt, or a course's sets as CSV; of several files, each is
    /// told in a line, with a table of what its sets ended with
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Stop after each set (or each line, if there are no sets), for whoever wants to look around: any client's
    /// command and any line of a scenario file may be typed there; an empty line plays on
    #[arg(long)]
    pub step: bool,

    /// Wait so long after each step
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub slow: Option<Duration>,

    /// A Redis that may be used, and in which nothing is left
    /// [default: what PAXOS_BANKING_REDIS holds, or else one is started, and ended]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,

    #[command(flatten)]
    pub password_file: PasswordFile,

    /// The opening balance of each server's account [default: as the file says, or else 100]
    #[arg(long, value_name = "UNITS", allow_negative_numbers = true)]
    pub opening_balance: Option<Amount>,

    /// Send transfers that follow each other (those of a set, for instance) all at once, but each client's
    /// one after the other
    #[arg(long)]
    pub concurrent: bool,

    /// What becomes of a transfer that the bank can't cover: it is refused, or it waits for money and is
    /// tried again after each block and each restart, until the play ends
    #[arg(long, value_name = "HOW", default_value = "refuse")]
    pub short: Short,

    /// How long an expectation may take to come true
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = parse_time)]
    pub patience: Duration,

    /// Keep the servers' traces in this folder, a file each, for diagram to draw
    #[arg(long, value_name = "FOLDER")]
    pub traces: Option<PathBuf>,

    /// Write a page to this file, which steps through what the servers told each other: one file of HTML that needs
    /// nothing else, for a lecture or a hand-out
    #[arg(long, value_name = "FILE.html")]
    pub page: Option<PathBuf>,

    /// Keep the servers' logs in this folder [default: a new folder for temporary files, if the play fails]
    #[arg(long, value_name = "FOLDER")]
    pub logs: Option<PathBuf>,

    /// Print each step, and the end, as one line of JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Short {
    Refuse,
    Wait,
}

#[derive(Args)]
pub struct Diagram {
    /// The traces, from any number of servers; or a folder of traces; or a scenario file (.txt, .csv), which is
    /// played for it
    #[arg(value_name = "TRACE|FOLDER|FILE.txt", required = true)]
    pub inputs: Vec<PathBuf>,

    /// The file for the drawing [default: the standard output]
    #[arg(long, value_name = "FILE.svg")]
    pub output: Option<PathBuf>,

    /// Leave out everything before this time from the beginning of the traces [default: nothing]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<Duration>,

    /// Leave out everything after this time from the beginning of the traces [default: nothing]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub to: Option<Duration>,

    /// Draw only what concerns the block of this height [default: everything]
    #[arg(long, value_name = "N")]
    pub height: Option<u64>,

    /// Draw heartbeats and hellos, too, and the servers' questions about heights
    #[arg(long)]
    pub heartbeats: bool,
}

/// What to draw, and where.
#[derive(Debug)]
pub struct Drawing {
    pub inputs: Vec<PathBuf>,
    pub output: Option<PathBuf>,
    pub choice: Choice,
}

/// Checks how a file is to be played.
pub(super) fn options(play: Play, variable: Option<String>) -> Result<play::Options, String> {
    let Play { files, redis, password_file, concurrent, patience, traces, json, .. } = play;
    let redis = redis::url(redis, variable, &password_file)?;
    let (opening, short_waits) = (play.opening_balance, matches!(play.short, Short::Wait));
    let page = play.page;
    if page.is_some() && files.len() > 1 {
        return Err("--page is of one play; name one file".into());
    }
    let (step, slow, logs) = (play.step, play.slow.unwrap_or_default(), play.logs);
    if step && files.len() > 1 {
        return Err("--step stops in one file; name one".into());
    }
    Ok(play::Options {
        files,
        redis,
        opening,
        concurrent,
        short_waits,
        step,
        slow,
        patience,
        traces,
        page,
        logs,
        json,
    })
}

/// Checks what is to be drawn.
pub(super) fn check_diagram(diagram: Diagram) -> Result<Drawing, String> {
    let Diagram { inputs, output, from, to, height, heartbeats } = diagram;
    if let (Some(from), Some(to)) = (from, to) {
        check_order("--from", from, "--to", to)?;
    }
    let choice = Choice { from, to, height, heartbeats };
    if let Some(end) = output.as_ref().and_then(|output| other_picture(output)) {
        return Err(format!(
            "--output: only SVG is drawn here, not {end}. Draw FILE.svg, and have a browser print it, or `rsvg-convert \
             FILE.svg -o FILE.png` (of librsvg, with `-f pdf` for PDF) convert it"
        ));
    }
    Ok(Drawing { inputs, output, choice })
}

/// Returns the kind of picture that a file's name promises, if it is another one than is drawn.
fn other_picture(output: &Path) -> Option<String> {
    const OTHERS: [&str; 10] =
        ["png", "pdf", "jpg", "jpeg", "gif", "webp", "eps", "ps", "bmp", "tiff"];
    let end = output.extension()?.to_str()?.to_lowercase();
    OTHERS.contains(&&*end).then(|| end.to_uppercase())
}
