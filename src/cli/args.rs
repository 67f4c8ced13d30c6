//! The command line as clap sees it: names, help, defaults, and the form of each value.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use paxos_banking::bank::address::Address;
use paxos_banking::bank::amount::Amount;
use paxos_banking::bank::blockchain::bank_name::BankName;
use paxos_banking::bank::blockchain::block::FORMAT;
use paxos_banking::bank::ids::ServerId;
use paxos_banking::client::time::parse_time;

use super::archive::Archive;
use super::audit::{Audit, Backup, Export};
use super::doors::Doors;
use super::keys::{Key, OwnKey, Plain, TheirKey, Tunnel};
use super::log::Log;
use super::membership::Membership;
use super::own_session::OwnSession;
use super::play::{Diagram, Play};
use super::redis::PasswordFile;
use super::relay::Relay;
use super::values::{Cluster, parse_copies, parse_entries};

/// What this program is built from, and the stores that it keeps. A backup, an archive and a peer have this format, too.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("PAXOS_BANKING_COMMIT"));
    format!("{version} (commit {commit}, store format {FORMAT})")
});

/// A bank replicated over a few servers.
#[derive(Parser)]
#[command(
    name = "paxos-banking",
    version = VERSION.as_str(),
    after_help = "Times are written 500ms, 2s or 1m. Each flag may also be set by a variable of the environment \
                  (--settle-every by PAXOS_BANKING_SETTLE_EVERY). `./run.sh` starts a whole bank; README.md explains \
                  it."
)]
pub struct Arguments {
    /// A file that sets flags which neither the command line nor the environment sets; `config check` checks it
    /// [default: what PAXOS_BANKING_CONFIG names; else ~/.config/paxos-banking/config.toml, by XDG's rule, if it is
    /// there, but not for server and play]
    #[cfg(feature = "config-file")]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<std::path::PathBuf>,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Runs one server of the bank, until a signal ends it
    Server(Box<Server>),
    /// Talks to a server: a prompt, or the commands given by -c
    Client(Client),
    /// Verifies the servers' stores, down to the last entry; no server is needed
    Audit(Audit),
    /// Writes a server's chain and local log out: as lines that can be audited, or as a table
    Export(Export),
    /// Carries each entry of the chain, as it comes, into a Redis Stream, or to the standard output
    Relay(Relay),
    /// Copies a server's chain and log into a folder, or verifies such a copy
    Backup(Backup),
    /// Brings a server's store of an older format along; a store of the present one stays as it is
    Upgrade(Upgrade),
    /// Looks at the folder of a Redis that doesn't run: is its file whole, torn by a power cut, or damaged?
    Mend(Mend),
    /// Plays a scenario file on a bank of its own, checks what the file expects, and leaves nothing behind
    Play(Play),
    /// Makes a secret key, or shows the fingerprint of one; overwrites nothing
    Key(Key),
    /// Carries plain lines from this machine to a server that wants keys, so that any program can ask it
    Tunnel(Tunnel),
    /// Draws the servers' traces (server --trace): who told whom what, as one SVG
    Diagram(Diagram),
    /// Serves a page that shows the bank live in a browser: servers, money, blocks, the protocol
    #[cfg(feature = "http")]
    Web(super::web::Web),
    /// Says what the environment and the file of --config set, and whether it makes sense
    Config(ConfigOrder),
    /// Prints what makes a shell complete this program's commands and flags
    #[cfg(feature = "manual")]
    Completions(super::manual::Completions),
    /// Writes man pages of this program and its commands into a folder
    #[cfg(feature = "manual")]
    Man(super::manual::Man),
}

/// What `config` is to do.
#[derive(Args)]
#[command(
    after_help = "Exit status: 0 each command can be started with what is set; 1 one can't; 2 wrong usage."
)]
pub struct ConfigOrder {
    /// Check it
    #[command(subcommand)]
    pub what: ConfigTask,
}

#[derive(Subcommand)]
pub enum ConfigTask {
    /// Lists each flag that is set, by what, and what is wrong with it; starts nothing
    Check,
}

#[derive(Args)]
pub struct Server {
    #[command(flatten)]
    pub membership: Membership,

    /// The Redis that keeps this server's state; servers may share one or have one each
    /// [default: what PAXOS_BANKING_REDIS holds, or else redis://127.0.0.1:6379]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,

    #[command(flatten)]
    pub password_file: PasswordFile,

    /// The balance of each server's account when the bank is founded; the same for every server
    #[arg(long, value_name = "UNITS", default_value = "100", allow_negative_numbers = true)]
    pub opening_balance: Amount,

    /// Found the bank to issue money: operators then bring money in (mint) and take it out (burn). The same for every
    /// server, and for ever
    #[arg(long)]
    pub issuing: bool,

    /// The address to listen at [default: this server's address in --cluster]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<Address>,

    /// Go on, with a warning, if Redis is not set up to keep everything that it confirms
    #[arg(long)]
    pub allow_weak_redis: bool,

    /// Take nothing for durable, and so tell nobody of it, before it is also on the disks of this many of
    /// Redis's replicas: 0 to 8. Then "accepted" survives the loss of Redis's machine. While fewer are
    /// there, this server only reads
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_copies, allow_negative_numbers = true)]
    pub redis_copies: u8,

    /// If the store is of an older format, bring it along, as `paxos-banking upgrade` does, rather than end and
    /// say so
    #[arg(long)]
    pub upgrade: bool,

    /// Put the local log into the chain when an entry has been in it for this long, by a Paxos run that
    /// nobody has to ask for; if this server's store is lost for good, no older entry is lost with it
    /// [default: never, only when money has to be found or somebody asks]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub settle_every: Option<Duration>,

    /// Put the local log into the chain when it holds this many entries; both flags may be given
    /// [default: half of what a log can hold]
    #[arg(long, value_name = "ENTRIES", value_parser = parse_entries, allow_negative_numbers = true)]
    pub settle_at: Option<usize>,

    /// Answer each transfer only when it is in a committed block, and start a run for it at once, as if
    /// each asked for "settled": so a bank would be that puts every transfer through Paxos. It is for
    /// comparisons, such as the benchmark's
    #[arg(long)]
    pub always_paxos: bool,

    /// Let clients break and mend this server's links to the others, by the command link. For tests and
    /// lectures: whoever can reach this server can then cut it off
    #[arg(long)]
    pub allow_fault_injection: bool,

    /// Write each message sent and received, each ballot, block and durable write to this file, one JSON
    /// object a line; `paxos-banking diagram` draws it [default: no trace]
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,

    /// This server's store is lost for good: take its place with this new, empty store. What it had
    /// accepted and not put into a block is lost with the old store. A majority of the servers without
    /// this one (both others, of three) has to agree. If the old store turns up, never start a server on
    /// it again: what it accepts from now on is lost
    #[arg(long)]
    pub rejoin: bool,

    /// This server is no member of the bank yet: begin at these members (ID=HOST:PORT,…), and wait until an
    /// operator orders there that it is admitted (admit). It needs an empty store, and an address to listen at,
    /// where the others find it. Once it is a member the flag changes nothing [default: it is a member]
    #[arg(long, value_name = "ID=HOST:PORT,…", requires = "listen", conflicts_with_all = ["rejoin", "cluster"])]
    pub join: Option<Cluster>,

    /// The bank that this server serves, by the hash of its block 0 or at least its first 16 digits (a
    /// client's status shows it). With it the server founds no bank: on an empty store, or on another
    /// bank's, it says so and ends [default: on an empty store, found a NEW bank with the others]
    #[arg(long, value_name = "HASH")]
    pub bank: Option<BankName>,

    /// Found a new bank, with the others, where the former one ended by this backup: more was lost than a rejoin
    /// can mend. May be repeated, with the backups of other servers of that bank; the same for every server of the
    /// new one. doc/BACKUP.md explains it [default: a bank that is founded begins anew]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["rejoin", "join", "bank"])]
    pub found_from: Vec<PathBuf>,

    #[command(flatten)]
    pub archive: Archive,

    #[command(flatten)]
    pub http: Http,

    #[command(flatten)]
    pub doors: Doors,

    #[command(flatten)]
    pub log: Log,

    #[command(flatten)]
    pub times: Times,
}

/// What a server serves to whoever looks from outside.
#[derive(Args)]
pub struct Http {
    /// Serve figures (/metrics, for Prometheus) and health (/health, /ready) by HTTP at this address. Whoever
    /// reaches it may read them, with keys or without: they tell no account and no balance of one. No other
    /// request is served there [default: serve no HTTP]
    #[cfg(feature = "http")]
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<Address>,
}

impl Http {
    /// Returns the address, if there is one.
    pub fn into_address(self) -> Option<String> {
        #[cfg(feature = "http")]
        return self.http.map(Address::into_string);
        #[cfg(not(feature = "http"))]
        None
    }
}

#[derive(Args)]
#[command(next_help_heading = "Time-outs")]
pub struct Times {
    /// How often a server tells the others that it is there; a server that is silent for three heartbeats
    /// counts as not connected
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = parse_time)]
    pub heartbeat: Duration,

    /// How long a Paxos run waits for the other servers' logs when it has those of a majority
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = parse_time)]
    pub gather: Duration,

    /// How long a run waits for the other logs when those at hand bring the money for all that waits
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = parse_time)]
    pub gather_covered: Duration,

    /// After how long a run's message is repeated to servers that haven't answered
    #[arg(long, value_name = "TIME", default_value = "300ms", value_parser = parse_time)]
    pub repeat: Duration,

    /// How long a server that lost a run to another waits at first; grows with each attempt
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = parse_time)]
    pub back_off: Duration,

    /// The longest such wait
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time)]
    pub back_off_most: Duration,

    /// After how long a server finishes a run that another server began and left
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time)]
    pub finish_round: Duration,

    /// How long a step of catching up may take before another server is asked
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time)]
    pub reconcile_timeout: Duration,

    /// After how long a transfer that finds no majority is answered "unavailable"
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    pub unavailable_after: Duration,

    /// How long to wait before a lost server is dialled again; grows with each attempt
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = parse_time)]
    pub redial: Duration,

    /// The longest such wait
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_time)]
    pub redial_most: Duration,

    /// How long dialling may take, and again the other server's first answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_time)]
    pub handshake: Duration,

    /// After how long a connection from a silent server counts as dead
    #[arg(long, value_name = "TIME", default_value = "15s", value_parser = parse_time)]
    pub silence: Duration,

    /// How long bytes from this server may stay unread before it disconnects the reader
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub unread: Duration,

    /// How long Redis may take to answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_time)]
    pub redis_timeout: Duration,
}

#[derive(Args)]
#[command(
    after_help = "Exit status: 0 all done; 1 a transfer was refused, or health finds that the \
                        server doesn't serve; 2 wrong usage; 3 no answer or no quorum in time, or \
                        accepted, and not settled yet."
)]
pub struct Client {
    #[command(flatten)]
    pub membership: Membership,

    /// The address of the server [default: its address in --cluster]
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<Address>,

    #[command(flatten)]
    pub own_key: OwnKey,

    #[command(flatten)]
    pub their_key: TheirKey,

    #[command(flatten)]
    pub plain: Plain,

    /// A command to run, such as 'transfer B 30'; may be repeated. Without any, commands are read
    /// from the standard input; 'help' lists them
    #[arg(short = 'c', long = "command", value_name = "CMD")]
    pub commands: Vec<String>,

    /// Print each reply as exactly one line of JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub own_session: OwnSession,

    /// How long to wait for an answer before the same request is sent again
    /// [default: 2s, or all the time that --give-up-after leaves]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub timeout: Option<Duration>,

    /// After how long a request that had no answer is given up; its outcome is then unknown
    /// [default: 15s, or the time of one attempt if --timeout is longer]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub give_up_after: Option<Duration>,

    /// One command in plain words, instead of -c: transfer B 30
    #[arg(value_name = "COMMAND", trailing_var_arg = true, conflicts_with = "commands")]
    pub words: Vec<String>,
}

#[derive(Args)]
#[command(
    after_help = "It cuts nothing off but the unfinished end of the last write, and only with --yes. Redis's own \
                  repair, redis-check-aof --fix, cuts at the first place that it can't read, however much \
                  stands behind.\n\n\
                  Exit status: 0 all is whole, or was mended; 1 something is damaged, or can't be read: it says \
                  what can be done; 2 wrong usage; 3 there is a torn tail, and --yes was not said."
)]
pub struct Mend {
    /// The folder where Redis keeps its data: dir in its settings, such as ./data
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,

    /// Cut off what a power cut left of an unfinished write, and keep a copy of the whole file
    #[arg(long)]
    pub yes: bool,

    /// Take zeros at the end of the file for an unfinished write, too. A power cut can leave them; but a disk
    /// that lost confirmed writes may look the same
    #[arg(long)]
    pub zeros: bool,
}

#[derive(Args)]
#[command(
    after_help = "It first audits the whole store, and changes nothing if anything is wrong. Then it takes the \
                  store over, as a server does: a server that still runs on it ends. All that it writes comes in \
                  one transaction, so whenever it is interrupted, it can be run again.\n\n\
                  Exit status: 0 each store is of the present format; 1 something is wrong in a store; 2 wrong \
                  usage; 3 a store can't be read or written."
)]
pub struct Upgrade {
    /// The Redis with the server's store [default: what PAXOS_BANKING_REDIS holds]
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,

    #[command(flatten)]
    pub password_file: PasswordFile,

    /// Only this server's store; may be repeated [default: all that are there]
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<ServerId>,

    /// Go on, with a warning, if Redis is not set up to keep everything that it confirms
    #[arg(long)]
    pub allow_weak_redis: bool,

    /// How long Redis may take to answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub timeout: Duration,
}
