//! The client: typed lines in, a bank's answers out.
//!
//! [`parse`] turns a line into a command (pure). [`execute`] carries it out over a [`session`], which
//! retries until an answer or the end of its patience. [`words`] and [`json`] say what came of it, for
//! people or as one line of JSON. [`repl`] is the loop around these.
//!
//! The exit status is the first of these that applies: 2, a command was in error (unless a person typed
//! it, and saw the error); 3, no answer or no majority in time; 1, a transfer or an opening was not
//! accepted; 0, all was done.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use crate::bank::ids::{NamedSession, ServerId};
use crate::client::doors::Doors;

mod caller;
pub mod commands;
#[cfg(feature = "line-editing")]
mod completion;
mod connection;
pub mod doors;
#[cfg_attr(not(feature = "line-editing"), path = "editor_absent.rs")]
mod editor;
mod ending;
pub mod execute;
pub mod exit;
pub mod find;
mod flags;
pub mod follow;
pub mod help;
mod inside;
mod interrupt;
pub mod json;
pub mod known_servers;
pub mod line_reader;
#[cfg(feature = "line-editing")]
mod names;
mod nearby;
mod order;
mod outcome;
mod own_name;
mod pager;
mod paint;
pub mod parse;
mod parse_follow;
mod parse_members;
mod parse_transfers;
mod parse_values;
pub(crate) mod patience;
pub mod repl;
#[cfg(test)]
mod samples;
pub mod session;
mod show;
mod since;
pub mod split;
mod statement;
mod status;
mod terminal;
mod text;
pub mod time;
pub mod traces;
#[cfg_attr(not(feature = "line-editing"), path = "tty_absent.rs")]
mod tty;
mod typed;
mod wait_line;
pub mod words;

/// How long a client waits for one reply, unless told otherwise, before it connects again and retries.
/// It is shorter than a server's own deadline: a retry joins the wait of the transfer it retries.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client tries in all, unless told otherwise. A server's own deadline passes in this time, and
/// so does its restart.
pub const DEFAULT_GIVE_UP_AFTER: Duration = Duration::from_secs(15);

/// A client's options, from its command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server to be a client of.
    pub id: ServerId,
    /// The `HOST:PORT` at which the server listens.
    pub address: String,
    /// The bank's other servers and their addresses: one of them is asked where the server is, if it isn't at its
    /// address. None, if nobody is to be asked.
    pub others: BTreeMap<ServerId, String>,
    /// The keys with which it goes through the handshake; none to speak plain lines.
    pub doors: Option<Doors>,
    /// How long to wait for one reply.
    pub timeout: Duration,
    /// How long to try, in all, to get one command answered.
    pub give_up_after: Duration,
    /// The session in which payments are made, if it has a name of its own, and the highest number that was used in
    /// it before; none for a new session on each connection.
    pub session: Option<NamedSession>,
    /// True to print each command's result as one line of JSON.
    pub json: bool,
    /// The commands to run. If there are none, they are read from the standard input.
    pub commands: Vec<String>,
}

/// Runs the client on the standard streams and returns its exit status. `histories` is the folder for what is typed
/// at prompts, a file for each server; none to keep nothing.
pub fn run(options: &Options, histories: Option<&Path>) -> u8 {
    // A prompt is for people, who type here and look there.
    let person = io::stdin().is_terminal() && io::stdout().is_terminal();
    let colours = paint::wanted();
    let [output, errors] = [io::stdout().is_terminal(), io::stderr().is_terminal()];
    let mut repl = repl::Repl::new(options, io::stdout(), io::stderr())
        .painted(colours && output, colours && errors);
    if !options.commands.is_empty() {
        return repl.obey(&options.commands);
    }
    if person {
        let history = histories.map(|folder| folder.join(format!("history-{}", options.id)));
        repl.converse_at(history.as_deref())
    } else {
        repl.converse(io::stdin().lock())
    }
}
