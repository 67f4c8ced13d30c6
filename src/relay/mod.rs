//! Carries each entry of a bank's chain to where others read: into a Redis Stream, or as lines or a table on the standard
//! output.
//!
//! It follows a server, and begins anew wherever something breaks. Where it was is remembered at the other end: by
//! the stream itself, or by the last line that its user has.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use crate::bank::blockchain::block::BlockHash;
use crate::bank::request::{Follow, Place};
use crate::client;
use crate::client::follow::{Follower, News, Wish};
use crate::client::session::Session;
use crate::wire::follow::Told;

mod rows;
mod stream;

/// The status if all was relayed that was wanted.
const DONE: u8 = 0;
/// The status if it can't go on.
const STOPPED: u8 = 1;

/// What is relayed, and whither.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server to follow, and how.
    pub server: client::Options,
    /// Where entries go.
    pub to: Outlet,
    /// The height of the last block wanted; none to go on without end.
    pub last: Option<u64>,
}

/// Where entries go.
#[derive(Clone, Debug)]
pub enum Outlet {
    /// Into a Redis Stream.
    Stream {
        /// The Redis.
        url: String,
        /// The stream's key.
        key: String,
        /// How long Redis may take to answer.
        timeout: Duration,
    },
    /// To the standard output, after this place if one is named.
    Rows(Form, Option<Place>),
}

/// The form of what goes to the standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of JSON.
    Json,
    /// A table with one entry a row.
    Csv,
}

/// Why a relay ends.
enum End {
    /// All that was wanted was relayed, or nobody reads it.
    Done,
    /// It can't go on.
    Failed(String),
}

/// Relays until all is done or it can't go on; returns the exit status.
pub fn run(options: &Options, out: &mut dyn Write, errors: &mut dyn Write) -> u8 {
    let end = match &options.to {
        Outlet::Stream { url, key, timeout } => stream::relay(options, (url, key, *timeout)),
        Outlet::Rows(form, after) => rows::relay(options, *form, *after, out),
    };
    match end {
        End::Done => DONE,
        End::Failed(why) => {
            // If this can't be said, there is nobody left to tell.
            let _ = writeln!(errors, "paxos-banking relay: {why}");
            STOPPED
        }
    }
}

/// What takes the entries.
trait Sink {
    /// Hears which bank they are of, before anything else.
    fn bank(&mut self, bank: BlockHash) -> Result<(), End>;

    /// Takes an entry: its place, its fields with the place, and those without.
    fn entry(&mut self, place: Place, fields: &str, entry: &str) -> Result<(), End>;

    /// Hands on what it has taken: nothing more comes at once.
    fn pause(&mut self) -> Result<(), End>;
}

/// Follows the server from a place on, until the sink or the end of what is wanted ends it.
fn follow(options: &Options, from: Place, sink: &mut dyn Sink) -> End {
    let follow = Follow { from: Some(from), ..Follow::default() };
    let mut follower: Follower = Session::new(&options.server).follower(follow).patient();
    let mut end = None;
    let ended = follower.run(&mut |news| {
        end = take(sink, (from, options.last), &news);
        if end.is_some() { Wish::Break(()) } else { ControlFlow::Continue(()) }
    });
    match (end, ended) {
        (Some(end), _) => end,
        (None, Err(failure)) => End::Failed(failure.to_string()),
        (None, Ok(())) => End::Done,
    }
}

/// Takes what came. Returns how it ends, if it does.
fn take(sink: &mut dyn Sink, (from, last): (Place, Option<u64>), news: &News<'_>) -> Option<End> {
    let taken = match news {
        // Even if nothing is left to be done, it has to be the right bank.
        News::Bank(bank) if from.is_beyond(last) => sink.bank(*bank).and_then(|()| done(sink)),
        News::Bank(bank) => sink.bank(*bank),
        News::Told(told) if told.is_beyond(last) => done(sink),
        News::Told(Told::Entry { place, fields, entry }) => sink.entry(*place, fields, entry),
        News::Told(Told::Mark(_)) => sink.pause(),
        // The log is not asked for, and an end is followed by another beginning.
        News::Told(Told::Logged { .. } | Told::Ended(..)) => Ok(()),
        News::Lost(failure) => {
            log::warn!("{failure}; trying again");
            sink.pause()
        }
    };
    taken.err()
}

fn done(sink: &mut dyn Sink) -> Result<(), End> {
    sink.pause().and(Err(End::Done))
}

/// Says how writing to the standard output ended. If the reader stops, as `head` does, that is no failure.
fn unwritten(error: &io::Error) -> End {
    match error.kind() {
        io::ErrorKind::BrokenPipe => End::Done,
        _ => End::Failed(format!("the output can't be written: {error}")),
    }
}
