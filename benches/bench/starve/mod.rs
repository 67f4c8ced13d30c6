//! `starve`: clients that take what is others', peers that lie, and what everybody else is still served.
//!
//! Each row is played on a bank of the build to compare with, where one is named, and then on one of the
//! build that is measured: [`Row`] says which there are, a [`Ground`] is where one is played, and
//! [`Figures`] are what was found. [`flood`] holds the clients that several rows need.

mod batches;
mod figures;
mod files;
mod flood;
mod history;
pub mod idle;
mod overdrafts;
mod peers;
mod redis_timeout;
mod refusals;
mod sessions;
mod settling;
pub mod vanish;
mod waiting;

use std::path::Path;

use clap::ValueEnum;

use super::bank::{Bank, Setting};
use super::report::Report;
use super::{Context, Fallible};
use figures::{Figures, heading, lines_beside};

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Row {
    /// eight connections send invalid batches of 5,000 while a client pays one at a time
    Batches,
    /// 5,000 lines of 60 kB wait for a day; 800 large requests wait for a block without a majority
    Waiting,
    /// a connection opens 10,000 sessions
    Sessions,
    /// a refusal at A with a full log at B, and while a client pays at B as fast as it goes
    Refusals,
    /// a client asks for money that is nowhere, over and over
    Overdrafts,
    /// clients pay at one server, and nobody settles
    Log,
    /// one peer says what isn't so
    Peers,
    /// 800 connections with a line without end, and 800 idle ones
    Idle,
    /// 800 clients vanish with their network
    Vanish,
    /// servers that may open 256 files, and more clients than that
    Files,
    /// Redis closes connections that are idle
    RedisTimeout,
    /// the history of an account with 1.9 million entries in the log
    History,
    /// a settle while clients pay as fast as it goes
    Settle,
}

impl Row {
    /// Its name on the command line.
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The first line of what is played.
    fn about(self) -> String {
        let help =
            self.to_possible_value().and_then(|value| value.get_help().map(ToString::to_string));
        help.unwrap_or_default()
    }

    /// Whether a small one takes seconds and little memory.
    fn is_cheap(self) -> bool {
        use Row::{Batches, Log, Overdrafts, Peers, Refusals, Sessions, Settle};
        matches!(self, Batches | Log | Overdrafts | Peers | Refusals | Sessions | Settle)
    }

    fn play(self, ground: &Ground, figures: &mut Figures) -> Fallible<()> {
        match self {
            Row::Batches => batches::run(ground, figures),
            Row::Waiting => waiting::run(ground, figures),
            Row::Sessions => sessions::run(ground, figures),
            Row::Refusals => refusals::run(ground, figures),
            Row::Overdrafts => overdrafts::run(ground, figures),
            Row::Log => settling::log(ground, figures),
            Row::Peers => peers::run(ground, figures),
            Row::Idle => idle::run(ground, figures),
            Row::Vanish => vanish::run(ground, figures),
            Row::Files => files::run(ground, figures),
            Row::RedisTimeout => redis_timeout::run(ground, figures),
            Row::History => history::run(ground, figures),
            Row::Settle => settling::settle(ground, figures),
        }
    }
}

/// Where a row is played: with one build.
pub struct Ground<'a> {
    context: &'a Context,
    setting: Setting,
}

impl Ground<'_> {
    /// A bank of this build.
    fn bank(&self, flags: &[&str]) -> Fallible<Bank> {
        Bank::start(&self.setting, flags)
    }

    /// How long something takes that usually takes so many seconds.
    fn seconds(&self, usually: f64) -> f64 {
        self.context.span(usually).seconds
    }

    /// A size: what is usual, or, to see only whether all works, a small one.
    fn size(&self, usual: usize, small: usize) -> usize {
        self.context.size(usual, small)
    }
}

/// Plays the rows that are asked for, and prints each when it is over: all of them take minutes.
pub fn run(context: &Context, report: &mut Report) -> Fallible<()> {
    let rows = Row::value_variants().iter().filter(|row| match &context.rows[..] {
        [] => !context.small || row.is_cheap(),
        wanted => wanted.contains(row),
    });
    let beside = context.beside.as_deref();
    context.bar.suspend(|| println!("{}", heading(beside.is_some())));
    for row in rows {
        let old = beside.map(|program| play(context, *row, program, "the other build"));
        let new = play(context, *row, &context.setting.program, "this build");
        let lines = lines_beside(&row.name(), old.as_ref(), &new);
        context.bar.suspend(|| {
            println!("\n{}: {}", row.name(), row.about());
            lines.iter().for_each(|line| println!("{}", line.show(beside.is_some())));
        });
        for line in lines {
            report.add_beside(line.json());
        }
    }
    Ok(())
}

/// What one build does in a row. That it doesn't get through is a figure too.
fn play(context: &Context, row: Row, program: &Path, build: &str) -> Figures {
    context.step(&format!("starve: {}, {build}", row.name()));
    let setting = Setting { program: program.to_owned(), ..context.setting.clone() };
    let mut figures = Figures::default();
    if let Err(error) = row.play(&Ground { context, setting }, &mut figures) {
        figures.expected("got through", &error, "yes", false);
    }
    figures
}
