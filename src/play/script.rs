//! What a scenario file says, whichever dialect it speaks. Pure: text in, steps or errors out.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::limits::MAX_SERVERS;
use crate::client::commands::Command;
use crate::play::expect::Expect;
use crate::play::{csv, plain};
use crate::wire::link::LinkFault;

/// The servers of a file that names none.
const USUAL_SERVERS: [&str; 3] = ["A", "B", "C"];

/// How many wrong lines are told. Whoever sees so many has taken another file.
pub const MAX_WRONGS: usize = 20;

/// A place in a file; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// What is wrong in a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where.
    pub place: Place,
    /// What was found, and what was expected.
    pub what: String,
}

impl Wrong {
    pub(super) fn new(line: usize, column: usize, what: impl Into<String>) -> Wrong {
        Wrong { place: Place { line, column }, what: what.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.place.line, self.place.column, self.what)
    }
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A client says something to its server.
    Say {
        /// The server.
        server: ServerId,
        /// What it says.
        command: Command,
        /// The next step doesn't wait for the answer; `await` does.
        behind: bool,
    },
    /// Waits for the answers that nobody waits for yet; of one client, or of all.
    Await(Option<ServerId>),
    /// Kills a server as a power cut would.
    Kill(ServerId),
    /// Starts it again.
    Start(ServerId),
    /// Lets it stand still.
    Pause(ServerId),
    /// Lets it go on.
    Resume(ServerId),
    /// Faults from here on: whose links, and what is wrong with them.
    Break(Vec<(ServerId, LinkFault)>),
    /// Ends all faults of links.
    Heal,
    /// Lets time pass.
    Wait(Duration),
    /// Shows what servers hold; all that run, if none are named.
    Show(Vec<ServerId>),
    /// Shows words.
    Title(String),
    /// Checks something.
    Expect(Expect),
    /// A set of a course's file begins: exactly these servers are to run.
    Set {
        /// Its number.
        number: u64,
        /// The servers that are to run.
        live: BTreeSet<ServerId>,
    },
}

/// A step of a play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it stands.
    pub place: Place,
    /// What stands there.
    pub text: String,
    /// What it does.
    pub act: Act,
}

/// All of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The servers of the bank, in the order of their names.
    pub servers: BTreeSet<ServerId>,
    /// What each of them opens with, if the file says so.
    pub opening: Option<Amount>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// Which servers there are, and who is spoken of.
#[derive(Debug, Default)]
pub(super) struct Cast {
    /// Named by a line `servers …`.
    pub declared: Option<BTreeSet<ServerId>>,
    /// Each server that does something or is done something to, where that is first.
    pub acting: Vec<(ServerId, Place)>,
    /// The same for those that money is sent to. They make a file without that line one server
    /// longer, and with it, perhaps, one mistake richer that the file is about.
    pub paid: Vec<(ServerId, Place)>,
}

impl Cast {
    pub(super) fn acts(&mut self, server: &ServerId, place: Place) {
        mention(&mut self.acting, server, place);
    }

    pub(super) fn is_paid(&mut self, account: &AccountId, place: Place) {
        if let Ok(home) = account.home().parse() {
            mention(&mut self.paid, &home, place);
        }
    }

    /// The servers of the bank.
    fn servers(&self, wrongs: &mut Vec<Wrong>) -> BTreeSet<ServerId> {
        if let Some(declared) = &self.declared {
            for (server, place) in &self.acting {
                if !declared.contains(server) {
                    let (all, what) = (list(declared), "servers of this file");
                    let what = format!("{server} is none of the {what}, which are {all}");
                    wrongs.push(Wrong { place: *place, what });
                }
            }
            return declared.clone();
        }
        let mut servers: BTreeSet<ServerId> = BTreeSet::new();
        let mut mentioned: Vec<&(ServerId, Place)> = self.acting.iter().chain(&self.paid).collect();
        mentioned.sort_by_key(|(_, place)| *place);
        for (server, place) in mentioned {
            if servers.insert(server.clone()) && servers.len() == MAX_SERVERS + 1 {
                let what = "server too many: a bank has at most";
                let what = format!("{server} is one {what} {MAX_SERVERS}");
                wrongs.push(Wrong { place: *place, what });
            }
        }
        let usual: BTreeSet<ServerId> =
            USUAL_SERVERS.iter().filter_map(|name| name.parse().ok()).collect();
        // A file that speaks of A and B alone is about the usual three.
        if servers.is_subset(&usual) { usual } else { servers }
    }
}

fn mention(mentioned: &mut Vec<(ServerId, Place)>, server: &ServerId, place: Place) {
    if mentioned.iter().all(|(known, _)| known != server) {
        mentioned.push((server.clone(), place));
    }
}

/// Names in a row.
pub(super) fn list<'a>(servers: impl IntoIterator<Item = &'a ServerId>) -> String {
    servers.into_iter().map(ServerId::as_str).collect::<Vec<_>>().join(", ")
}

/// Reads a file, in the dialect that it is in.
///
/// # Errors
/// What is wrong, in the order of the lines.
pub fn parse(text: &str) -> Result<Script, Vec<Wrong>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut cast = Cast::default();
    let (mut wrongs, mut opening, mut steps) = (Vec::new(), None, Vec::new());
    if csv::is_csv(text) {
        steps = csv::parse(text, &mut cast, &mut wrongs);
    } else {
        plain::parse(text, &mut cast, &mut opening, &mut steps, &mut wrongs);
    }
    if steps.is_empty() && wrongs.is_empty() {
        wrongs.push(Wrong::new(1, 1, "nothing is played here; a step is such as A: transfer B 30"));
    }
    let servers = cast.servers(&mut wrongs);
    if wrongs.is_empty() {
        return Ok(Script { servers, opening, steps });
    }
    wrongs.sort_by_key(|wrong| wrong.place);
    wrongs.truncate(MAX_WRONGS);
    Err(wrongs)
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
