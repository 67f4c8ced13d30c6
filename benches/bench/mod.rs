//! Load on a bank of real processes, what came of it, and how that compares to what the store can do.
//!
//! [`args`] says what is to be measured; [`bank`] starts the servers, [`redis`] their store, both as
//! [`process`]es in a [`place`]; [`load`] sends [`lines`] and keeps a [`tally`]; the scenarios are
//! [`limit`], [`local`] and so on, and [`starve`], which compares two builds; [`keyed`], which compares plain lines with keys;
//! [`followers`], which compares a bank that many look at; [`compare`] plays any of them on two builds in turns;
//! [`check`] compares what clients were told with what is stored,
//! [`checkpoint`] does so with the balances;
//! [`bare`] is what is compared with; [`report`], [`plots`] and [`page`] show it.

mod accounts;
mod archive;
mod args;
pub mod bank;
mod bare;
mod branches;
pub mod chains;
pub mod check;
mod checkpoint;
mod compare;
mod fault;
mod followers;
mod growth;
mod history;
mod keyed;
mod limit;
pub mod lines;
pub mod load;
pub mod local;
mod overdraft;
mod page;
mod pages;
pub mod place;
mod plots;
mod process;
mod redis;
pub mod report;
mod settled;
mod starve;
mod stream;
mod talk;
pub mod tally;
mod wan;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};

use args::{Arguments, Scenario};
use bank::Setting;
use report::Report;
use starve::Row;

/// What goes wrong is told to people, in words.
pub type Fallible<T> = Result<T, String>;

/// How long a measurement takes.
#[derive(Clone, Copy)]
pub struct Span {
    pub seconds: f64,
    /// So much of that doesn't count.
    pub warm: f64,
    /// It ends before its time at a server that has accepted so many.
    pub most: u64,
}

/// What a scenario needs to know.
#[derive(Clone)]
pub struct Context {
    setting: Setting,
    runs: usize,
    seconds: Option<f64>,
    small: bool,
    /// Another build, to be measured beside this one where that is meant.
    beside: Option<PathBuf>,
    /// The settings of its Redis.
    beside_conf: Option<PathBuf>,
    /// How far `growth` goes.
    most: u64,
    /// What of `starve` is to be played.
    rows: Vec<Row>,
    bar: ProgressBar,
}

impl Context {
    /// How long one measurement takes, where that is `usually` so many seconds.
    fn span(&self, usually: f64) -> Span {
        let seconds = if self.small { 0.3 } else { self.seconds.unwrap_or(usually) };
        let most = if self.small { 2_000 } else { u64::MAX };
        Span { seconds, warm: (seconds / 5.0).min(1.0), most }
    }

    /// The builds to compare where old blocks matter: the other one, if there is one, then this one, whose servers
    /// have an archive. The first part is what the names of its figures begin with.
    fn builds(&self) -> Vec<(&'static str, Setting)> {
        let setting = Setting { redis_each: true, ..self.setting.clone() };
        let other = self.beside.clone().map(|program| {
            let redis_conf = self.beside_conf.clone();
            ("the other build: ", Setting { program, redis_conf, ..setting.clone() })
        });
        let this = ("", Setting { archive: true, ..setting.clone() });
        other.into_iter().chain([this]).collect()
    }

    /// A size: what is usual, or, to see only whether all works, a small one.
    fn size(&self, usual: usize, small: usize) -> usize {
        if self.small { small } else { usual }
    }

    /// How many transfers a line has where that is usually so many.
    fn line(&self, usual: usize) -> usize {
        self.size(usual, usual.min(20))
    }

    /// Tells somebody who watches what goes on.
    fn step(&self, what: &str) {
        self.bar.set_message(what.to_owned());
    }
}

/// What `cargo bench` runs.
#[allow(dead_code, reason = "the test of the benchmark doesn't call it")]
pub fn main() -> ExitCode {
    main_with(|words| words.into_iter().filter(|word| word != "--bench").collect())
}

/// What `cargo test` runs: everything, small. What is meant for other tests is no business of this one.
#[allow(dead_code, reason = "the benchmark itself doesn't call it")]
pub fn smoke() -> ExitCode {
    main_with(|_| vec!["--small".to_owned()])
}

/// Whether this process is a relay or some clients, not the benchmark.
pub fn is_helper() -> bool {
    std::env::args().nth(1).is_some_and(|word| word == "relay" || word == "clients")
}

fn main_with(wanted: impl FnOnce(Vec<String>) -> Vec<String>) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if is_helper()
        && let [what, address, other] = &words[..]
    {
        return match &what[..] {
            "relay" => bare::relay(address, other),
            _ => starve::vanish::clients(address, other),
        };
    }
    let arguments = args::parse(wanted(words));
    match run(&arguments, Path::new(env!("CARGO_MANIFEST_DIR"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The program to measure.
pub fn program() -> PathBuf {
    let named = std::env::var_os("PAXOS_BANKING_BIN").map(PathBuf::from);
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_paxos-banking").into())
}

fn run(arguments: &Arguments, root: &Path) -> Fallible<()> {
    // Small figures mean nothing, and are not to stand where real ones were.
    let output = root.join(if arguments.small { "target/bench-small" } else { "target/bench" });
    let folder = arguments.folder.clone().unwrap_or_else(|| output.clone());
    for folder in [&output, &folder] {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    place::remove_leftovers(&folder);
    let on = place::file_system(&folder)?;
    let (running, socket) = (arguments.running()?, arguments.socket);
    let setting = Setting { running, socket, ..Setting::new(program(), folder) };
    let context = Context {
        setting,
        runs: arguments.runs(),
        seconds: arguments.seconds,
        small: arguments.small,
        beside: arguments.beside.clone(),
        beside_conf: arguments.beside_redis_conf.clone(),
        most: arguments.most,
        rows: arguments.rows.clone(),
        bar: bar(arguments.scenarios().len()),
    };
    let about = format!("{}; stores on {on}; {} runs", place::machine(), context.runs);
    println!("{about}");
    let (mut reports, mut failed) = (Vec::new(), Vec::new());
    for scenario in arguments.scenarios() {
        let mut report = Report::new(scenario.name());
        let ran = match &arguments.compare {
            Some(other) => compare::run(&context, other, scenario, &mut report),
            None => scenario.run(&context, &mut report),
        };
        match ran {
            Ok(()) => {
                context.bar.suspend(|| report.print());
                reports.push(report);
            }
            // No figures: what they would be figures of did not work.
            Err(error) => {
                context.bar.suspend(|| eprintln!("{}: FAILED: {error}", scenario.name()));
                failed.push(scenario.name());
            }
        }
        context.bar.inc(1);
    }
    context.bar.finish_and_clear();
    if arguments.small {
        println!("\nSmall sizes: that all works was tried, and nothing measured.");
    } else {
        report::print_asked(&reports);
        report::print_compared(&reports);
    }
    report::write_json(&reports, &about, &output)?;
    let page = page::write(&reports, &about, &output)?;
    println!("\nplots and page: {}", page.display());
    if failed.is_empty() { Ok(()) } else { Err(format!("no figures of: {}", failed.join(", "))) }
}

/// Seen only on a terminal.
fn bar(scenarios: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:20} {pos}/{len} {elapsed} {msg}");
    ProgressBar::new(scenarios as u64).with_style(style.expect("a template"))
}

impl Scenario {
    fn run(self, context: &Context, report: &mut Report) -> Fallible<()> {
        match self {
            Scenario::Limit => limit::run(context, report),
            Scenario::Local => local::run(context, report),
            Scenario::Settled => settled::run(context, report),
            Scenario::Overdraft => overdraft::run(context, report),
            Scenario::Wan => wan::run(context, report),
            Scenario::Growth => growth::run(context, report),
            Scenario::Fault => fault::run(context, report),
            Scenario::Accounts => accounts::run(context, report),
            Scenario::Keys => keyed::run(context, report),
            Scenario::Branches => branches::run(context, report),
            Scenario::Archive => archive::run(context, report),
            Scenario::History => history::run(context, report),
            Scenario::Followers => followers::run(context, report),
            Scenario::Starve => starve::run(context, report),
        }
    }
}
