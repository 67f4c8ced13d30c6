//! Arguments -> a validated configuration. Nothing is done here: no socket, no output, and no file but the
//! file of Redis's password.
//!
//! [`args`] says what each flag looks like, and [`values`] reads single values. This file checks what only
//! the flags together can get wrong.

mod archive;
mod args;
mod audit;
mod doors;
mod environment;
mod keys;
mod log;
#[cfg(feature = "manual")]
mod manual;
mod membership;
mod own_session;
pub mod play;
mod redis;
mod relay;
mod settings;
mod values;
#[cfg(feature = "http")]
mod web;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use paxos_banking::audit::{Options as AuditOptions, backup, export};
use paxos_banking::bank::address::Address;
use paxos_banking::bank::server::cannot_rejoin;
use paxos_banking::client::split::line_of;
use paxos_banking::client::{self, Options};
use paxos_banking::mend;
use paxos_banking::node::{NodeConfig, Timings};
use paxos_banking::store::redis::{ArchiveOptions, Options as RedisOptions};
use paxos_banking::tunnel;
use paxos_banking::upgrade;

use args::{Arguments, Command};
use doors::Place;
pub use environment::Environment;
pub use log::LogFormat;
use membership::{Membership, own_address, place};
use settings::Settings;
pub use settings::check::Checked;

/// The server's Redis if nobody names another.
const USUAL_REDIS: &str = "redis://127.0.0.1:6379";

/// The task of the program.
#[derive(Debug)]
pub enum Config {
    /// Be a server.
    Server(Box<Server>),
    /// Talk to a server. What is typed is kept in this folder.
    Client(client::Options, Option<PathBuf>),
    /// Play a scenario file.
    Play(paxos_banking::play::Options),
    /// Draw a diagram.
    Diagram(play::Drawing),
    /// Verify servers' stores.
    Audit(AuditOptions),
    /// Write out a server's store.
    Export(export::Options),
    Backup(backup::Order),
    /// Carry entries to where others read.
    Relay(paxos_banking::relay::Options),
    /// Bring stores of an older format along.
    Upgrade(upgrade::Options),
    /// Look at a Redis's folder, and mend what a power cut left there.
    Mend(mend::Options),
    /// Make the key of this file, or show it.
    Key(PathBuf),
    /// Carry plain lines to a server that wants keys.
    Tunnel(tunnel::Options),
    /// Serve the page.
    #[cfg(feature = "http")]
    Web(paxos_banking::web::Options),
    /// Say what is set, and whether it makes sense.
    Checked(Checked),
    /// Print this.
    #[cfg(feature = "manual")]
    Print(String),
    /// Write man pages into a folder.
    #[cfg(feature = "manual")]
    Man(PathBuf),
}

/// A server and its store.
#[derive(Debug)]
pub struct Server {
    /// The node, but for its key.
    pub node: NodeConfig,
    /// The file of the node's key, if it is to have one.
    pub key: Option<PathBuf>,
    pub redis: String,
    pub redis_options: RedisOptions,
    pub archive: Option<ArchiveOptions>,
    /// The backups from which a new bank is to be founded, if it is.
    pub found_from: Vec<PathBuf>,
    pub log: log::Log,
}

/// Writes the man pages into a folder.
///
/// # Errors
/// If it can't be made or written.
#[cfg(feature = "manual")]
pub fn write_pages(folder: &std::path::Path) -> Result<(), String> {
    manual::write_pages(folder, Arguments::command())
}

/// Returns the definition of the command line, with all that a command has.
fn definition() -> clap::Command {
    let mut program = Arguments::command();
    // Only then do a subcommand's usage lines name the whole program.
    program.build();
    program
}

/// Reads the command line, beginning with the program's name; and what the environment and a file say where it is silent.
///
/// # Errors
/// What was wrong and what is right; or the help or version that was asked for.
pub fn parse<I, T>(arguments: I, environment: Environment) -> Result<Config, clap::Error>
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let words: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let mut program = definition();
    let file = settings::find(&words, &environment).map(|file| {
        let file = settings::read(&file)?;
        settings::check_names(&file, &program).map(|()| file)
    });
    let wrong = |program: &mut clap::Command, why| program.error(ErrorKind::ValueValidation, why);
    let file = file.transpose().map_err(|why| wrong(&mut program, why))?;
    let done = settings::complete(words, &program, &environment.variables, file.as_ref())
        .map_err(|why| wrong(&mut program, why))?;
    let arguments = Arguments::try_parse_from(done.words)
        .map_err(|error| settings::explain(error, &done.added, &mut program))?;
    start(arguments, &environment, file.as_ref())
}

/// Checks what is set for each command, as if it were started with nothing else.
fn check_settings(environment: &Environment, file: Option<&Settings>) -> Checked {
    // Commands other than these need something that only a command line says.
    let begin = |words| match Arguments::try_parse_from(words)? {
        all @ Arguments { command: Command::Server(_) | Command::Client(_), .. } => {
            start(all, environment, None).map(drop)
        }
        _ => Ok(()),
    };
    settings::check::check(&mut definition(), environment, file, begin)
}

/// Checks what only the flags together can get wrong.
fn start(
    arguments: Arguments,
    environment: &Environment,
    file: Option<&Settings>,
) -> Result<Config, clap::Error> {
    let variable = environment.redis.clone();
    let (name, config) = match arguments.command {
        Command::Server(server) => ("server", check_server(*server, variable)),
        Command::Client(client) => ("client", check_client(client, environment)),
        Command::Play(args) => ("play", play::options(args, variable).map(Config::Play)),
        Command::Diagram(args) => ("diagram", play::check_diagram(args).map(Config::Diagram)),
        Command::Audit(args) => ("audit", audit::check_audit(args, environment).map(Config::Audit)),
        Command::Export(args) => {
            ("export", audit::check_export(args, variable).map(Config::Export))
        }
        Command::Relay(args) => ("relay", relay::check(args, environment).map(Config::Relay)),
        Command::Backup(args) => {
            ("backup", audit::check_backup(args, variable).map(Config::Backup))
        }
        Command::Upgrade(args) => ("upgrade", upgrade_options(args, variable).map(Config::Upgrade)),
        Command::Mend(mend) => ("mend", Ok(Config::Mend(mend_options(mend)))),
        Command::Key(key) => ("key", keys::key_file(key, environment).map(Config::Key)),
        Command::Tunnel(tunnel) => {
            ("tunnel", keys::check_tunnel(tunnel, environment).map(Config::Tunnel))
        }
        #[cfg(feature = "http")]
        Command::Web(args) => ("web", web::check(args, environment).map(Config::Web)),
        Command::Config(args::ConfigOrder { what: args::ConfigTask::Check }) => {
            ("config", Ok(Config::Checked(check_settings(environment, file))))
        }
        #[cfg(feature = "manual")]
        Command::Completions(manual::Completions { shell }) => {
            ("completions", Ok(Config::Print(manual::completions(shell, &mut definition()))))
        }
        #[cfg(feature = "manual")]
        Command::Man(manual::Man { folder }) => ("man", Ok(Config::Man(folder))),
    };
    config.map_err(|message| {
        let mut program = definition();
        let command = program.find_subcommand_mut(name).expect("it has just been parsed");
        command.error(ErrorKind::ValueValidation, message)
    })
}

fn check_server(server: args::Server, variable: Option<String>) -> Result<Config, String> {
    let args::Server { membership, times, opening_balance, password_file, .. } = server;
    let default = || USUAL_REDIS.to_owned();
    let variable = Some(variable.unwrap_or_else(default));
    let redis = redis::url(server.redis, variable, &password_file)?.unwrap_or_else(default);
    let join = server.join.is_some();
    let membership = begin_at(membership, server.join, server.listen.as_ref())?;
    let own_address = own_address(&membership)?;
    let Membership { id, cluster } = membership;
    values::check_total(opening_balance, cluster.0.len(), server.issuing)?;
    let no_way_back = cannot_rejoin(cluster.0.len()).filter(|_| server.rejoin);
    if let Some(reason) = no_way_back {
        return Err(format!("--rejoin is refused: {reason}"));
    }
    check_order("--gather", times.gather, "--unavailable-after", times.unavailable_after)?;
    check_order(
        "--gather-covered",
        times.gather_covered,
        "--unavailable-after",
        times.unavailable_after,
    )?;
    check_order("--heartbeat", times.heartbeat, "--silence", times.silence)?;
    check_copies(server.redis_copies, server.allow_weak_redis)?;
    let listen = server.listen.map_or(own_address, Address::into_string);
    let cluster = cluster.0.into_iter().map(|(id, at)| (id, at.into_string())).collect();
    let place = Place { id: &id, cluster: &cluster, listen: &listen, rejoin: server.rejoin };
    let (key, doors) = server.doors.check(&place)?;
    let node = NodeConfig {
        id,
        listen,
        cluster,
        opening_balance,
        issuing: server.issuing,
        rejoin: server.rejoin,
        join,
        bank: server.bank,
        opening: None,
        settle_at: server.settle_at,
        always_paxos: server.always_paxos,
        index_memory: usize::try_from(server.archive.index_memory).unwrap_or(usize::MAX),
        allow_fault_injection: server.allow_fault_injection,
        trace: server.trace,
        http: server.http.into_address(),
        doors,
        timings: Timings { settle_every: server.settle_every, ..timings(&times) },
    };
    let redis_options = RedisOptions {
        allow_weak: server.allow_weak_redis,
        upgrade: server.upgrade,
        copies: server.redis_copies,
        connect_timeout: times.redis_timeout,
        timeout: times.redis_timeout,
    };
    let archive = server.archive.check()?;
    let args::Server { found_from, log, .. } = server;
    let server = Server { node, key, redis, redis_options, archive, found_from, log };
    Ok(Config::Server(Box::new(server)))
}

/// Takes the members at which a server that joins begins as the cluster, with the server itself.
fn begin_at(
    membership: Membership,
    join: Option<values::Cluster>,
    listen: Option<&Address>,
) -> Result<Membership, String> {
    let Membership { id, cluster } = membership;
    let (Some(values::Cluster(mut members)), Some(listen)) = (join, listen) else {
        return Ok(Membership { id, cluster });
    };
    if members.contains_key(&id) {
        return Err(format!("--join names members of the bank, and {id} is none yet"));
    }
    members.insert(id.clone(), listen.clone());
    Ok(Membership { id, cluster: values::Cluster(members) })
}

fn timings(times: &args::Times) -> Timings {
    Timings {
        heartbeat: times.heartbeat,
        gather: times.gather,
        gather_covered: times.gather_covered,
        repeat: times.repeat,
        back_off: times.back_off,
        back_off_most: times.back_off_most,
        finish_round: times.finish_round,
        reconcile: times.reconcile_timeout,
        deadline: times.unavailable_after,
        redial: times.redial,
        redial_most: times.redial_most,
        handshake: times.handshake,
        silence: times.silence,
        unread: times.unread,
        ..Timings::default()
    }
}

/// Checks that one time is shorter than the other; otherwise the server can't work, or not in time.
fn check_order(short: &str, is: Duration, long: &str, and: Duration) -> Result<(), String> {
    if is < and {
        return Ok(());
    }
    Err(format!("{short} ({is:?}) must be shorter than {long} ({and:?})"))
}

/// Checks that a server is not told to believe more than one disk, and none.
fn check_copies(copies: u8, allow_weak: bool) -> Result<(), String> {
    match (copies, allow_weak) {
        (1.., true) => Err(format!(
            "--redis-copies {copies} waits for {} disks, and --allow-weak-redis for none; give only one of \
             the two",
            u16::from(copies) + 1
        )),
        _ => Ok(()),
    }
}

fn check_client(client: args::Client, environment: &Environment) -> Result<Config, String> {
    let args::Client { membership, connect, mut commands, mut json, mut words, .. } = client;
    let args::Client { timeout, give_up_after, own_key, their_key, plain, own_session, .. } =
        client;
    // It may stand behind the words, too.
    let before = words.len();
    words.retain(|word| word != "--json");
    json |= words.len() < before;
    if !words.is_empty() {
        commands = vec![line_of(&words)];
    }
    let (timeout, give_up_after) = values::patience(timeout, give_up_after)?;
    let (address, others) = place(&membership, connect)?;
    let doors = keys::doors(&own_key, plain.plain, Some(&their_key), environment)?;
    let options = Options {
        id: membership.id,
        address,
        others,
        doors,
        session: own_session.named(),
        commands,
        json,
        timeout,
        give_up_after,
    };
    Ok(Config::Client(options, environment.state.clone()))
}

fn upgrade_options(
    args: args::Upgrade,
    variable: Option<String>,
) -> Result<upgrade::Options, String> {
    let args::Upgrade { redis, password_file, ids, allow_weak_redis, timeout } = args;
    let redis = redis::url(redis, variable, &password_file)?.ok_or(
        "the Redis with the server's store is not named: --redis <URL> names it, or \
         PAXOS_BANKING_REDIS",
    )?;
    Ok(upgrade::Options { redis, ids, allow_weak: allow_weak_redis, timeout })
}

fn mend_options(mend: args::Mend) -> mend::Options {
    let args::Mend { folder, yes, zeros } = mend;
    mend::Options { folder, cut: yes, zeros }
}

#[cfg(test)]
mod tests;
