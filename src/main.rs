//! Arguments -> configuration -> run. All exit statuses are decided here.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use log::LevelFilter;
use paxos_banking::audit;
use paxos_banking::audit::backup::{going_on, store_for};
use paxos_banking::bank::blockchain::origin::Opening;
use paxos_banking::client;
use paxos_banking::mend;
use paxos_banking::node::{LoadError, Node, StartError, check_trace};
use paxos_banking::noise::load_or_create_key_file;
use paxos_banking::play;
use paxos_banking::store::StoreError;
use paxos_banking::store::redis::RedisStore;
use paxos_banking::trace;
use paxos_banking::upgrade;

use crate::cli::{Config, Environment};
use crate::reader::Reader;

mod cli;
mod reader;

/// The status of a server that had to stop. A healthy server runs until it is killed, so none ends with 0.
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
        Config::Server(server) => serve(*server),
        Config::Client(options, histories) => {
            // It writes for itself, and its lines end a line at a time.
            drop(out);
            start_log(&format_args!("client {}", options.id), LevelFilter::Warn);
            client::run(&options, histories.as_deref())
        }
        Config::Play(options) => {
            drop(out);
            start_log(&"play", LevelFilter::Warn);
            play::run(&options)
        }
        Config::Diagram(diagram) => match draw(&diagram, &mut out) {
            Ok(()) => 0,
            Err(why) => {
                eprintln!("error: {why}");
                NOT_DRAWN
            }
        },
        Config::Audit(options) => {
            start_log(&"audit", LevelFilter::Warn);
            audit::run(&options, &mut out)
        }
        Config::Export(options) => {
            drop(out);
            start_log(&"export", LevelFilter::Warn);
            export(&options)
        }
        Config::Backup(order) => {
            start_log(&"backup", LevelFilter::Warn);
            audit::backup::run(&order, &mut out, &mut errors)
        }
        Config::Upgrade(options) => {
            start_log(&"upgrade", LevelFilter::Warn);
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
            start_log(&"tunnel", LevelFilter::Info);
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

/// Is a server until it has to stop.
fn serve(server: cli::Server) -> u8 {
    if let Some(Err(why)) = server.node.trace.as_deref().map(check_trace) {
        eprintln!("error: {why}");
        return WRONG_USAGE;
    }
    start_log(&server.node.id, LevelFilter::Info);
    log::error!("stopped: {}", run_server(server));
    STOPPED
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

/// Runs a server until it has to stop, and returns the reason.
fn run_server(mut server: cli::Server) -> String {
    if let Some(path) = &server.key {
        server.node.doors.key = match load_or_create_key_file(path) {
            Ok((key, is_new)) => {
                let made = if is_new { ", made just now" } else { "" };
                log::info!(
                    "this server's key is {}, in {}{made}",
                    key.fingerprint(),
                    path.display()
                );
                Some(key)
            }
            Err(why) => return why.to_string(),
        };
    }
    if !server.found_from.is_empty() {
        match going_on(&server) {
            Ok(opening) => server.node.opening = Some(opening),
            Err(why) => return why,
        }
    }
    let store = match RedisStore::new(&server.redis, &server.node.id, server.redis_options) {
        Ok(store) => store,
        Err(error) => return error.to_string(),
    };
    let store = match server.archive {
        Some(options) => store.archived(options),
        None => store,
    };
    match Node::start(server.node, Box::new(store)) {
        Ok(node) => {
            log::info!("listening on {}", node.address());
            node.wait().to_string()
        }
        Err(error @ StartError::Load(LoadError::Store(StoreError::Unreachable(_)))) => format!(
            "{error}. Does Redis run there? `redis-server ./redis.conf` starts one; --redis URL names \
             another place"
        ),
        Err(error) => error.to_string(),
    }
}

/// Reads what the new bank begins with, and says in the log what is carried over and what is lost.
fn going_on(server: &cli::Server) -> Result<Arc<Opening>, String> {
    let found = going_on::going_on(&server.found_from)?;
    let (node, origin) = (&server.node, &found.opening.origin);
    let left_out = found.voters.iter().filter(|id| !node.cluster.contains_key(*id));
    let left_out: Vec<&str> = left_out.map(|id| id.as_str()).collect();
    if !left_out.is_empty() {
        return Err(format!(
            "all servers that voted in the former bank have to be in --cluster, as the homes of their accounts: {} \
             is missing (its branches may be admitted later)",
            left_out.join(", ")
        ));
    }
    store_for::check_store(&server.redis, &node.id, origin, server.redis_options.timeout)?;
    if let Some(archive) = &server.archive {
        store_for::check_archive(archive.folder.path(), origin)?;
    }
    found.carried.iter().for_each(|line| log::info!("carried over: {line}"));
    for (home, held) in found.homes.iter().filter(|(id, _)| !node.cluster.contains_key(*id)) {
        log::warn!(
            "{home} is not in --cluster: its accounts are carried over and hold {held} together, and nobody can \
             debit them until {home} is admitted (server --join, and the order to admit it)"
        );
    }
    found.lost.iter().for_each(|line| log::warn!("lost for good: {line}"));
    Ok(Arc::new(found.opening))
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

/// Starts the log on stderr (stdout is for answers), with lines such as
/// `2026-01-31T12:00:00.000Z A INFO  listening on 127.0.0.1:8001`. `RUST_LOG` asks for more or fewer.
fn start_log(who: &dyn Display, level: LevelFilter) {
    let who = who.to_string();
    env_logger::Builder::new()
        .filter_level(level)
        .parse_default_env()
        .format(move |to, record| {
            let (time, level) = (to.timestamp_millis(), record.level());
            let style = to.default_level_style(level);
            writeln!(to, "{time} {who} {style}{level:<5}{style:#} {}", record.args())
        })
        .init();
}
