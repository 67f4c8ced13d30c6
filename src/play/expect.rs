//! What a scenario file may expect, and how it is written. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Via;
use crate::bank::request::Start;
use crate::client::time::parse_time;
use crate::play::cast::Cast;
use crate::play::fault;
use crate::play::words::{Words, found};
use crate::play::wrong::{Place, Wrong};
use crate::wire::messages::Messages;

/// Something that has to be true, soon at the latest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The ending of the transfer just before.
    Outcome(Expected),
    /// An account's balance, as a server knows it; at its home, if no other server is named.
    Balance(AccountId, Amount, ServerId),
    /// An account's balance by a server's chain alone.
    Committed(AccountId, Amount, ServerId),
    /// The number of entries in a server's local log.
    Log(ServerId, usize),
    /// The height of a server's chain.
    Height(ServerId, u64),
    /// The number of entries in each of a server's blocks, genesis included.
    Blocks(ServerId, Vec<usize>),
    /// Each block of a server's chain names the previous block's hash.
    Linked(ServerId),
    /// The chains of these servers, or of all that run, hold the same blocks.
    ChainsEqual(Vec<ServerId>),
    /// The sum of all accounts, by the chain of each server that runs.
    Total(Amount),
    /// The members, or those of them that vote, by the chain of each server that runs.
    Members {
        /// The servers.
        servers: BTreeSet<ServerId>,
        /// True if only those count that vote.
        voters: bool,
    },
    /// Whether a server hears another one; with nobody named, whether all that run hear each other.
    Connected(Option<(ServerId, ServerId)>, bool),
    /// All servers that run hold this height, and each knows that the others do.
    Known(u64),
    /// How a server found its store when it started.
    Started(ServerId, Start),
    /// The state of a server's present run.
    Run(ServerId, String),
    /// How many transfers wait at a server.
    Waiting(ServerId, usize),
    /// A message of this kind was lost on the way from a server to another.
    Lost(Messages, ServerId, ServerId),
}

/// How the transfer just before has to have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Accepted; in this way and with this balance, if they are given.
    Accepted {
        /// By the local log, or after a Paxos run.
        via: Option<Via>,
        /// The payer's balance after it.
        balance: Option<Amount>,
    },
    /// Refused; with exactly these servers consulted, if any are given.
    Refused {
        /// The servers.
        consulted: Vec<ServerId>,
    },
    /// Unavailable; answered within this time, if it is given.
    Unavailable {
        /// The time.
        within: Option<Duration>,
    },
    /// Answered as making no sense.
    Invalid,
    /// Given up: nobody knows whether it happened.
    Unknown,
}

/// Everything that may be expected, for whoever expects something else.
const RIGHT: &str = "expect accepted, refused, unavailable, invalid, unknown, balance, committed, log, \
    height, blocks, linked, chains, total, members, voters, connected, disconnected, known, start, run, waiting or lost, \
    such as: expect balance A 110";

/// Parses what follows the word `expect`.
pub(super) fn parse(words: &mut Words<'_>, cast: &mut Cast) -> Result<Expect, Wrong> {
    let column = words.column();
    let Some(kind) = words.take() else { return Err(words.missing(RIGHT)) };
    let expect = match kind.text {
        "accepted" => Expect::Outcome(accepted(words)?),
        "refused" => Expect::Outcome(refused(words, cast)?),
        "unavailable" => Expect::Outcome(unavailable(words)?),
        "invalid" => Expect::Outcome(Expected::Invalid),
        "unknown" => Expect::Outcome(Expected::Unknown),
        "balance" => {
            let (account, amount, server) = holding(words, cast, "balance")?;
            Expect::Balance(account, amount, server)
        }
        "committed" => {
            let (account, amount, server) = holding(words, cast, "committed")?;
            Expect::Committed(account, amount, server)
        }
        "log" => log(words, cast)?,
        "height" => {
            const RIGHT: &str = "expect height SERVER NUMBER, such as: expect height A 2";
            Expect::Height(words.server(RIGHT, cast)?, number(words, RIGHT)?)
        }
        "blocks" => blocks(words, cast)?,
        "linked" => {
            let right = "expect linked SERVER, such as: expect linked A";
            Expect::Linked(words.server(right, cast)?)
        }
        "chains" => chains(words, cast)?,
        "total" => Expect::Total(words.value("expect total UNITS, such as: expect total 300")?),
        "members" => members(words, cast, false)?,
        "voters" => members(words, cast, true)?,
        "connected" => connected(words, cast, true)?,
        "disconnected" => connected(words, cast, false)?,
        "known" => Expect::Known(number(words, "expect known HEIGHT, such as: expect known 1")?),
        "start" => started(words, cast)?,
        "run" => run(words, cast)?,
        "waiting" => {
            const RIGHT: &str = "expect waiting SERVER NUMBER, such as: expect waiting A 1";
            let server = words.server(RIGHT, cast)?;
            Expect::Waiting(server, number(words, RIGHT)? as usize)
        }
        "lost" => {
            const RIGHT: &str = "expect lost MESSAGE ID -> ID, such as: expect lost accept A -> B";
            let message = fault::message(words, RIGHT)?;
            let (from, to, both_ways) = fault::ends(words, cast, RIGHT)?;
            if both_ways {
                return Err(words.missing(RIGHT));
            }
            Expect::Lost(message, from, to)
        }
        unknown => {
            let what = found(unknown, &format!("expected: {RIGHT}"));
            return Err(Wrong::new(words.line, column, what));
        }
    };
    words.end("nothing after this, or a # and a comment")?;
    Ok(expect)
}

fn members(words: &mut Words<'_>, cast: &mut Cast, voters: bool) -> Result<Expect, Wrong> {
    let right = match voters {
        false => "expect members ID…, such as: expect members A B D",
        true => "expect voters ID…, such as: expect voters A B",
    };
    let mut servers = BTreeSet::from([words.server(right, cast)?]);
    while words.peek().is_some() {
        servers.insert(words.server(right, cast)?);
    }
    Ok(Expect::Members { servers, voters })
}

// ── Of the transfer just before ──────────────────────────────────────────────────────────────────

fn accepted(words: &mut Words<'_>) -> Result<Expected, Wrong> {
    let via = match words.peek() {
        Some("local") => Some(Via::Local),
        Some("paxos") => Some(Via::Paxos),
        _ => None,
    };
    if via.is_some() {
        words.take();
    }
    const RIGHT: &str = "expect accepted [local|paxos] [balance UNITS], such as: \
        expect accepted local balance 80";
    let balance = match words.peek() {
        None => None,
        Some("balance") => {
            words.take();
            Some(words.value(RIGHT)?)
        }
        Some(other) => {
            let what = found(other, &format!("expected: {RIGHT}"));
            return Err(Wrong::new(words.line, words.column(), what));
        }
    };
    Ok(Expected::Accepted { via, balance })
}

fn refused(words: &mut Words<'_>, cast: &mut Cast) -> Result<Expected, Wrong> {
    const RIGHT: &str = "expect refused [consulted ID…], such as: expect refused consulted A C";
    let mut consulted = Vec::new();
    match words.peek() {
        None => return Ok(Expected::Refused { consulted }),
        Some("consulted") => words.take(),
        Some(other) => {
            let what = found(other, &format!("expected: {RIGHT}"));
            return Err(Wrong::new(words.line, words.column(), what));
        }
    };
    while words.peek().is_some() || consulted.is_empty() {
        consulted.push(words.server(RIGHT, cast)?);
    }
    consulted.sort();
    consulted.dedup();
    Ok(Expected::Refused { consulted })
}

fn unavailable(words: &mut Words<'_>) -> Result<Expected, Wrong> {
    const RIGHT: &str = "expect unavailable [within TIME], such as: expect unavailable within 10s";
    match words.take() {
        None => return Ok(Expected::Unavailable { within: None }),
        Some(word) if word.text == "within" => {}
        Some(word) => {
            return Err(words.wrong(word, found(word.text, &format!("expected: {RIGHT}"))));
        }
    }
    let word = words.take().ok_or_else(|| words.missing(RIGHT))?;
    let time = parse_time(word.text);
    let within = time.map_err(|error| words.wrong(word, found(word.text, &error)))?;
    Ok(Expected::Unavailable { within: Some(within) })
}

// ── Of servers ───────────────────────────────────────────────────────────────────────────────────

fn holding(
    words: &mut Words<'_>,
    cast: &mut Cast,
    what: &str,
) -> Result<(AccountId, Amount, ServerId), Wrong> {
    let right = &format!("expect {what} ACCOUNT UNITS [at SERVER], such as: expect {what} A 110");
    let column = words.column();
    let account: AccountId = words.value(right)?;
    let amount = words.value(right)?;
    if words.take_if("at") {
        return Ok((account, amount, words.server(right, cast)?));
    }
    let home = account.home().parse::<ServerId>();
    let home = home.map_err(|error| Wrong::new(words.line, column, error.to_string()))?;
    cast.acts(&home, Place { line: words.line, column });
    Ok((account, amount, home))
}

fn log(words: &mut Words<'_>, cast: &mut Cast) -> Result<Expect, Wrong> {
    const RIGHT: &str =
        "expect log SERVER empty, or a number of entries, such as: expect log C empty";
    let server = words.server(RIGHT, cast)?;
    let length = if words.take_if("empty") { 0 } else { number(words, RIGHT)? };
    Ok(Expect::Log(server, length as usize))
}

fn blocks(words: &mut Words<'_>, cast: &mut Cast) -> Result<Expect, Wrong> {
    const RIGHT: &str = "expect blocks SERVER and the number of entries in each, genesis first, such \
        as: expect blocks A 0 4 3";
    let server = words.server(RIGHT, cast)?;
    let mut lengths = Vec::new();
    while words.peek().is_some() || lengths.is_empty() {
        lengths.push(number(words, RIGHT)? as usize);
    }
    Ok(Expect::Blocks(server, lengths))
}

fn chains(words: &mut Words<'_>, cast: &mut Cast) -> Result<Expect, Wrong> {
    const RIGHT: &str = "expect chains equal [ID…], such as: expect chains equal, or: expect chains \
        equal A C";
    let word = words.take().ok_or_else(|| words.missing(RIGHT))?;
    if word.text != "equal" {
        return Err(words.wrong(word, found(word.text, &format!("expected: {RIGHT}"))));
    }
    let mut servers = Vec::new();
    while words.peek().is_some() {
        servers.push(words.server(RIGHT, cast)?);
    }
    Ok(Expect::ChainsEqual(servers))
}

fn connected(words: &mut Words<'_>, cast: &mut Cast, wanted: bool) -> Result<Expect, Wrong> {
    let right = match wanted {
        true => {
            "expect connected, of all, or expect connected ID ID, such as: expect connected A B"
        }
        false => "expect disconnected ID ID, such as: expect disconnected A B",
    };
    if words.peek().is_none() && wanted {
        return Ok(Expect::Connected(None, true));
    }
    let (who, whom, _) = fault::ends(words, cast, right)?;
    Ok(Expect::Connected(Some((who, whom)), wanted))
}

fn started(words: &mut Words<'_>, cast: &mut Cast) -> Result<Expect, Wrong> {
    const RIGHT: &str = "expect start SERVER baby or zombie, such as: expect start B zombie";
    let server = words.server(RIGHT, cast)?;
    let word = words.take().ok_or_else(|| words.missing(RIGHT))?;
    match word.text {
        "baby" => Ok(Expect::Started(server, Start::Baby)),
        "zombie" => Ok(Expect::Started(server, Start::Zombie)),
        other => Err(words.wrong(word, found(other, &format!("expected: {RIGHT}")))),
    }
}

fn run(words: &mut Words<'_>, cast: &mut Cast) -> Result<Expect, Wrong> {
    const RIGHT: &str = "expect run SERVER idle, preparing, accepting or backing-off, such as: \
        expect run A accepting";
    let server = words.server(RIGHT, cast)?;
    let word = words.take().ok_or_else(|| words.missing(RIGHT))?;
    match word.text {
        "idle" | "preparing" | "accepting" => Ok(Expect::Run(server, word.text.into())),
        "backing-off" => Ok(Expect::Run(server, "backing off".into())),
        other => Err(words.wrong(word, found(other, &format!("expected: {RIGHT}")))),
    }
}

fn number(words: &mut Words<'_>, right: &str) -> Result<u64, Wrong> {
    let word = words.take().ok_or_else(|| words.missing(right))?;
    let digits = word.text.bytes().all(|byte| byte.is_ascii_digit());
    let number = word.text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| words.wrong(word, found(word.text, &format!("expected: {right}"))))
}
