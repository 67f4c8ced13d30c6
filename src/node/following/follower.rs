//! One follower: where it is, and what it is told next.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crossbeam_channel::Receiver;

use super::shelf::{Found, Sheet};
use super::{Seat, Shared};
use crate::bank::blockchain::block::BlockHash;
use crate::bank::ledger::entry::Position;
use crate::bank::request::{ErrorCode, Follow, Place, Reply, Wanted};
use crate::node::streams::{HEARTBEAT, Pace, Stream};
use crate::store::StoreError;
use crate::wire::follow::{beginning, push_end, push_logged, push_mark};
use crate::wire::{Tag, encode_reply};

/// About how many bytes a follower is told at a time.
const CHUNK: usize = 128 << 10;
/// About how much of the chain is read from the store at a time, in bytes.
const PIECE: usize = 256 << 10;
/// The most elements of the log at a time.
const ELEMENTS: usize = 64;
/// A follower, in the hands of its connection's writer.
#[derive(Debug)]
pub(crate) struct Follower {
    seat: Seat,
    woken: Receiver<()>,
    /// The beginning of each line.
    begin: String,
    /// The first line, until it is told.
    reply: Option<Reply>,
    wanted: Wanted,
    /// The place of the entry that comes next.
    next: Place,
    /// The last entry of the log that was told, if the log is wanted.
    logged: Option<Position>,
    /// How often the log was lost when this began.
    losses: u64,
    /// Blocks that were read for this follower.
    held: VecDeque<Arc<Sheet>>,
    /// The place that was last said to be the next.
    marked: Place,
    /// When it was last told anything.
    told: Instant,
}

impl Stream for Follower {
    fn woken(&self) -> &Receiver<()> {
        &self.woken
    }

    fn tell(&mut self, text: &mut Vec<u8>) -> Pace {
        let before = text.len();
        let pace = match self.tell_some(text) {
            Ok(pace) => pace,
            Err(why) => {
                self.end(text, ErrorCode::Store, &why);
                Pace::Over
            }
        };
        if text.len() > before {
            self.told = Instant::now();
        }
        match pace {
            Pace::Until(_) => Pace::Until(self.told + HEARTBEAT),
            pace => pace,
        }
    }

    fn gives_way(&self) -> bool {
        true
    }

    fn rest(&mut self) {
        self.held.clear();
    }

    fn end(&self, text: &mut Vec<u8>, error: ErrorCode, why: &str) {
        let message = format!("{why}; go on from {}", self.next);
        push_end(text, &self.begin, error, &message);
    }
}

impl Follower {
    pub(super) fn new(
        seat: Seat,
        woken: Receiver<()>,
        follow: Follow,
        blocks: u64,
        bank: BlockHash,
    ) -> Follower {
        let Follow { from, wanted, log } = follow;
        let next = from.unwrap_or(Place::first_of(blocks));
        let server = seat.shared.shelf.home().clone();
        Follower {
            losses: seat.shared.losses.load(Ordering::SeqCst),
            seat,
            woken,
            begin: beginning(None),
            reply: Some(Reply::Follows { server, bank, next }),
            wanted,
            next,
            logged: log.then_some(Position { epoch: 0, seq: 0 }),
            held: VecDeque::new(),
            marked: next,
            told: Instant::now(),
        }
    }

    /// Gives it the name of its request.
    pub(crate) fn named(self: Box<Follower>, id: Option<&Tag>) -> Box<Follower> {
        Box::new(Follower { begin: beginning(id), ..*self })
    }

    /// Makes the last word long past.
    #[cfg(test)]
    pub(super) fn was_told_long_ago(&mut self) {
        self.told -= HEARTBEAT;
    }

    fn tell_some(&mut self, text: &mut Vec<u8>) -> Result<Pace, String> {
        if let Some(reply) = self.reply.take() {
            self.greet(text, &reply);
            return Ok(Pace::More);
        }
        let before = text.len();
        while text.len() < CHUNK {
            let Some(sheet) = self.sheet()? else {
                let pace = self.tell_log(text)?;
                if self.next != self.marked || self.told.elapsed() >= HEARTBEAT {
                    self.mark(text);
                }
                return Ok(pace);
            };
            let is_read = !self.held.is_empty();
            self.tell_block(&sheet, text);
            if self.told.elapsed() >= HEARTBEAT && text.len() == before {
                self.mark(text);
            }
            // The writer has other work as well.
            if is_read && self.held.is_empty() {
                break;
            }
        }
        Ok(Pace::More)
    }

    fn greet(&self, text: &mut Vec<u8>, reply: &Reply) {
        let line = encode_reply(None, reply);
        text.extend_from_slice(self.begin.as_bytes());
        text.extend_from_slice(line.strip_prefix('{').unwrap_or(&line).as_bytes());
    }

    fn mark(&mut self, text: &mut Vec<u8>) {
        push_mark(text, &self.begin, self.next);
        self.marked = self.next;
    }

    fn shared(&self) -> &Shared {
        &self.seat.shared
    }

    /// Returns the block of the next entry, if there is one.
    fn sheet(&mut self) -> Result<Option<Arc<Sheet>>, String> {
        let height = self.next.height;
        while let Some(first) = self.held.front() {
            if first.block().height == height {
                return Ok(Some(Arc::clone(first)));
            }
            self.held.pop_front();
        }
        match self.shared().shelf.find(height) {
            Found::Nowhere => Ok(None),
            Found::Here(sheet) => Ok(Some(sheet)),
            Found::Stored(blocks) => {
                let read = self.shared().source().blocks(height, blocks - 1, PIECE);
                self.held =
                    read.map_err(|error| unread(&error))?.into_iter().map(Sheet::of).collect();
                match self.held.front() {
                    Some(first) if first.block().height == height => Ok(Some(Arc::clone(first))),
                    _ => Err(format!("block {height} can't be read now")),
                }
            }
        }
    }

    /// Appends lines of a block, from the next entry on.
    fn tell_block(&mut self, sheet: &Sheet, text: &mut Vec<u8>) {
        let block = sheet.block();
        let first = usize::try_from(self.next.number).unwrap_or(usize::MAX);
        let mut told = first;
        for (number, (_, record)) in block.records().enumerate().skip(first) {
            if text.len() >= CHUNK {
                self.next = Place { height: block.height, number: told as u64 };
                return;
            }
            if self.wanted.takes(&record.action) {
                text.extend_from_slice(self.begin.as_bytes());
                text.extend_from_slice(sheet.lines().line(number));
            }
            told = number + 1;
        }
        self.next = Place::first_of(block.height + 1);
        self.held.pop_front();
    }

    /// Appends lines of the log, if they are wanted and no block comes first.
    fn tell_log(&mut self, text: &mut Vec<u8>) -> Result<Pace, String> {
        let Follower { seat, begin, wanted, next, logged, losses, .. } = self;
        let shelf = &seat.shared.shelf;
        let idle = Pace::Until(self.told + HEARTBEAT);
        let Some(logged) = logged else { return Ok(idle) };
        if seat.shared.losses.load(Ordering::SeqCst) != *losses {
            return Err("more came into the log than could be told".into());
        }
        let elements = shelf.log_after(next.height, *logged, ELEMENTS);
        for element in &elements {
            // Apart: what is parsed of the log is not to stay in memory.
            push_logged(text, begin, (shelf.home(), &element.apart()), *logged, wanted);
            *logged = element.last();
        }
        Ok(if elements.len() == ELEMENTS { Pace::More } else { idle })
    }
}

fn unread(error: &StoreError) -> String {
    log::warn!("a follower can't be told: {error}");
    match error {
        StoreError::Past { .. } => error.to_string(),
        _ => "the store gives no answer".into(),
    }
}
