//! Arguments -> configuration -> run. All exit statuses are decided here.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use log::LevelFilter;
use paxos_banking::audit;
use paxos_banking::client;
use paxos_banking::mend;
use paxos_banking::play;
use paxos_banking::trace;
use paxos_banking::upgrade;

use crate::cli::{Config, Environment};
use crate::reader::Reader;

mod cli;
mod logging;
mod notify;
mod reader;
mod serve;
mod signals;

/// The status of a server that had to stop, or of a tunnel that did. A server that was told to end ends with 0.
const STOPPED: u8 = 1;
/// The status if traces can't be read, or make no picture.
const NOT_DRAWN: u8 = 1;
/// The status if what was asked for can't be written.
const NOT_TOLD: u8 = 1;
/// The status if the command line can't be understood or makes no sense.
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    let status = match cli::parse(std::env::args_os(), Environment::of_process()) {
        Ok(config) => carry_out(config),
        Err(error) => {
            // If the error can't be printed, there is nobody left to tell.
            let _ = error.print();
            if error.use_stderr() { WRONG_USAGE } else { 0 }
        }
    };
    ExitCode::from(status)
}

/// Does what the command line asks for, and returns the exit status.
fn carry_out(config: Config) -> u8 {
    let (mut out, mut errors) = (Reader::of(io::stdout().lock()), Reader::of(io::stderr()));
    match config {
        Config::Server(server) => serve::serve(*server),
        Config::Client(options, histories) => {
            // It writes for itself, and its lines end a line at a time.
            drop(out);
            logging::start(&format_args!("client {}", options.id), LevelFilter::Warn);
            client::run(&options, histories.as_deref())
        }
        Config::Play(options) => {
            drop(out);
            logging::start(&"play", LevelFilter::Warn);
            play::run(&options)
        }
        #[cfg(feature = "http")]
        Config::Web(options) => ended(show(options, &mut out), NOT_TOLD),
        Config::Diagram(diagram) => ended(draw(&diagram, &mut out), NOT_DRAWN),
        Config::Audit(options) => {
            logging::start(&"audit", LevelFilter::Warn);
            audit::run(&options, &mut out)
        }
        Config::Export(options) => {
            drop(out);
            logging::start(&"export", LevelFilter::Warn);
            export(&options)
        }
        Config::Relay(options) => {
            // It notices for itself that nobody reads on.
            drop(out);
            relay(&options)
        }
        Config::Backup(order) => {
            logging::start(&"backup", LevelFilter::Warn);
            audit::backup::run(&order, &mut out, &mut errors)
        }
        Config::Upgrade(options) => {
            logging::start(&"upgrade", LevelFilter::Warn);
            upgrade::run(&options, &mut out, &mut errors)
        }
        Config::Mend(options) => mend::run(&options, &mut out, &mut errors),
        Config::Key(file) => paxos_banking::keys::run(&file, &mut out, &mut errors),
        Config::Checked(checked) => told(&mut out, &checked.text).max(u8::from(!checked.good)),
        #[cfg(feature = "manual")]
        Config::Print(text) => told(&mut out, &text),
        #[cfg(feature = "manual")]
        Config::Man(folder) => match cli::write_pages(&folder) {
            Ok(()) => 0,
            Err(why) => {
                eprintln!("error: {why}");
                NOT_TOLD
            }
        },
        Config::Tunnel(options) => {
            logging::start(&"tunnel", LevelFilter::Info);
            log::error!("stopped: {}", paxos_banking::tunnel::run(options));
            STOPPED
        }
    }
}

/// Prints a text.
fn told(out: &mut impl Write, text: &str) -> u8 {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => 0,
        Err(_) => NOT_TOLD,
    }
}

/// Relays, as long as somebody reads it.
fn relay(options: &paxos_banking::relay::Options) -> u8 {
    logging::start(&"relay", LevelFilter::Warn);
    paxos_banking::relay::run(options, &mut io::stdout(), &mut io::stderr())
}

/// Exports, as long as somebody reads it.
fn export(options: &audit::export::Options) -> u8 {
    let (mut out, mut errors) = (Reader::that_stops(io::stdout().lock()), Vec::new());
    let status = audit::export::run(options, &mut out, &mut errors);
    if out.is_gone() {
        return 0;
    }
    // If this can't be said, there is nobody left to tell.
    let _ = io::stderr().write_all(&errors);
    status
}

/// Returns the status of work that is done, or says why it isn't and returns the other one.
fn ended(work: Result<(), String>, otherwise: u8) -> u8 {
    match work {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("error: {why}");
            otherwise
        }
    }
}

/// Serves the page.
#[cfg(feature = "http")]
fn show(options: paxos_banking::web::Options, out: &mut dyn Write) -> Result<(), String> {
    logging::start(&"web", LevelFilter::Warn);
    paxos_banking::web::run(options, |url| drop(writeln!(out, "the page is at {url}")))
}

/// Draws traces.
fn draw(diagram: &cli::play::Drawing, out: &mut dyn Write) -> Result<(), String> {
    let traces = play::traced::traces_of(&diagram.inputs)?;
    let svg = trace::draw(&traces, &diagram.choice)?;
    match &diagram.output {
        Some(path) => std::fs::write(path, svg)
            .map_err(|error| format!("{} can't be written: {error}", path.display())),
        None => out
            .write_all(svg.as_bytes())
            .map_err(|error| format!("the drawing can't be written: {error}")),
    }
}
