//! A file with an exported chain, as a source.
//!
//! Its lines are, in this order: one that names the server, each block's text as it was stored, each element
//! of the local log, and one with the number of each. By the last line a file that was cut short is told
//! from a whole one:
//!
//! ```json
//! {"server":"A","format":7,"instance":"67bbd708fbe2d296"}
//! {"height":0,"previous":"0000…","genesis":{…}}
//! {"height":1,…}
//! {"log":{"epoch":1,"seq":17,"entries":[["A","B",30]]}}
//! {"end":{"blocks":2,"elements":1}}
//! ```
//!
//! A file with nothing but blocks, as `redis-cli --raw LRANGE SERVER-BLOCKCHAIN-A 0 -1` prints them, is
//! accepted too. So is a file of an archive, which begins at a later block ([`segments`](super::segments)).

use std::fs::File;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::audit::finding::{At, Finding, Spot, Trouble};
use crate::audit::replay::BlockFound;
use crate::audit::source::{AccountsPiece, Source, Standing};
use crate::bank::blockchain::block::{FORMAT, OLDEST_FORMAT, SealedBlock};
use crate::bank::ids::{InstanceId, ServerId};
use crate::bank::ledger::element::Element;
use crate::bank::stored::Place;
use crate::explain::explain;
use crate::wire::{LineRead, LineReader};

/// The longest line, in bytes. The longest line between servers has room for a block.
const MAX_LINE: usize = crate::wire::MAX_PEER_LINE;
/// The amount of blocks' text that is read at a time, in bytes.
const PIECE: usize = 8 << 20;

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The server whose chain and log they are.
    pub server: ServerId,
    /// The format of the following lines.
    pub format: u32,
    /// The store's instance.
    pub instance: InstanceId,
}

/// The line of an element.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLine<T> {
    /// The element.
    pub log: T,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndLine {
    /// The number of lines before it.
    pub end: Ends,
}

/// How much a file holds.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ends {
    /// The number of blocks.
    pub blocks: u64,
    /// The number of the log's elements.
    pub elements: u64,
}

/// The kind of a line, by its beginning: an export has no spaces there.
enum Kind {
    Header,
    Block,
    Log,
    End,
}

impl Kind {
    fn of(line: &str) -> Kind {
        match line {
            _ if line.starts_with("{\"server\"") => Kind::Header,
            _ if line.starts_with("{\"log\"") => Kind::Log,
            _ if line.starts_with("{\"end\"") => Kind::End,
            _ => Kind::Block,
        }
    }
}

/// An exported file.
pub struct FileSource {
    path: PathBuf,
    header: Option<Header>,
    /// The number of blocks and of elements, once the file was read through.
    held: Ends,
    /// The reader of blocks, and the height of its next block.
    place: Option<(u64, LineReader<File>)>,
}

impl FileSource {
    /// Names the file at `path`.
    pub fn new(path: PathBuf) -> FileSource {
        let held = Ends { blocks: 0, elements: 0 };
        FileSource { path, header: None, held, place: None }
    }

    /// Returns the height of the block in the first line, if there is one.
    pub fn first_height(&self) -> Option<u64> {
        let mut reader = self.open().ok()?;
        let line = self.next_line(&mut reader, 0).ok()??;
        let block = matches!(Kind::of(line), Kind::Block).then(|| SealedBlock::open(line))?;
        block.ok().map(|block| block.height())
    }

    fn open(&self) -> Result<LineReader<File>, Trouble> {
        File::open(&self.path).map(LineReader::new).map_err(|error| self.unread(&error))
    }

    fn unread(&self, error: &io::Error) -> Trouble {
        Trouble::Unread(format!("{}: {error}", self.path.display()))
    }

    fn at_line(&self, line: u64) -> Spot {
        Spot { key: self.path.display().to_string(), at: Some(At::Line(line)) }
    }

    fn wrong(&self, line: u64, what: impl Into<String>) -> Trouble {
        Finding::new(self.at_line(line), what).into()
    }

    /// Reads the next line; `number` is the number of the line before.
    fn next_line<'a>(
        &self,
        reader: &'a mut LineReader<File>,
        number: u64,
    ) -> Result<Option<&'a str>, Trouble> {
        let line = match reader.read_line(MAX_LINE).map_err(|error| self.unread(&error))? {
            LineRead::Line(line) => line,
            LineRead::End => return Ok(None),
            LineRead::Cut(_) => return Err(self.wrong(number + 1, "cut short: its end is missing")),
            LineRead::TooLong => {
                return Err(self.wrong(number + 1, format!("longer than {MAX_LINE} bytes")));
            }
        };
        let text = str::from_utf8(line).map_err(|error| self.wrong(number + 1, error.to_string()));
        text.map(Some)
    }

    /// Reads the whole file, for everything but the blocks.
    fn read_rest(&mut self) -> Result<Vec<Element>, Trouble> {
        let mut reader = self.open()?;
        let (mut number, mut log, mut end) = (0, Vec::new(), None);
        self.held = Ends { blocks: 0, elements: 0 };
        while let Some(line) = self.next_line(&mut reader, number)? {
            number += 1;
            if end.is_some() {
                return Err(self.wrong(number, "it comes after the line that ends the export"));
            }
            match Kind::of(line) {
                Kind::Header if number > 1 => {
                    return Err(self.wrong(number, "a first line in the middle"));
                }
                Kind::Header => self.header = Some(self.read_header(line)?),
                Kind::Block if !log.is_empty() => {
                    return Err(self.wrong(number, "neither of the log nor the end"));
                }
                Kind::Block => self.held.blocks += 1,
                Kind::Log => {
                    let found: LogLine<&RawValue> = self.parse(number, line)?;
                    let element = Element::open(found.log.get());
                    log.push(element.map_err(|error| self.wrong(number, explain(&error)))?);
                    self.held.elements += 1;
                }
                Kind::End => end = Some(self.parse::<EndLine>(number, line)?.end),
            }
        }
        match end {
            Some(end) if end != self.held => {
                let Ends { blocks, elements } = self.held;
                let what = format!(
                    "{} blocks and {} elements should be there, and {blocks} and {elements} are",
                    end.blocks, end.elements
                );
                Err(self.wrong(number, what))
            }
            None if self.header.is_some() => {
                Err(self.wrong(number + 1, "missing: the export was cut short"))
            }
            _ => Ok(log),
        }
    }

    fn read_header(&self, line: &str) -> Result<Header, Trouble> {
        let header: Header = self.parse(1, line)?;
        if !(OLDEST_FORMAT..=FORMAT).contains(&header.format) {
            let what = format!(
                "the format is {}, and this program reads only {OLDEST_FORMAT} to {FORMAT}",
                header.format
            );
            return Err(self.wrong(1, what));
        }
        Ok(header)
    }

    fn parse<'a, T: Deserialize<'a>>(&self, number: u64, line: &'a str) -> Result<T, Trouble> {
        serde_json::from_str(line).map_err(|error| self.wrong(number, explain(&error)))
    }

    fn line_of_block(&self, height: u64) -> u64 {
        height + 1 + u64::from(self.header.is_some())
    }

    /// Returns a reader whose next block is the one of this height.
    fn reader_at(&mut self, height: u64) -> Result<LineReader<File>, Trouble> {
        if let Some((next, reader)) = self.place.take()
            && next == height
        {
            return Ok(reader);
        }
        let mut reader = self.open()?;
        for number in 1..self.line_of_block(height) {
            self.next_line(&mut reader, number - 1)?;
        }
        Ok(reader)
    }
}

impl Source for FileSource {
    fn name(&self) -> String {
        let path = self.path.display();
        self.header
            .as_ref()
            .map_or_else(|| path.to_string(), |header| format!("{} in {path}", header.server))
    }

    fn server(&self) -> Option<ServerId> {
        self.header.as_ref().map(|header| header.server.clone())
    }

    fn spot(&self, place: &Place) -> Spot {
        match place {
            Place::Block(height) => self.at_line(self.line_of_block(*height)),
            Place::Element(index) => {
                self.at_line(self.line_of_block(self.held.blocks) + *index as u64)
            }
            _ => Spot { key: self.path.display().to_string(), at: None },
        }
    }

    fn standing(&mut self) -> Result<Option<Standing>, Trouble> {
        let log = self.read_rest()?;
        let instance = self.header.as_ref().map(|header| header.instance);
        if instance.is_none() && self.held.blocks == 0 {
            return Err(
                self.wrong(1, "missing: an export begins with a line that says whose it is")
            );
        }
        Ok(Some(Standing { blocks: self.held.blocks, log, instance, kept: None }))
    }

    fn length(&mut self) -> Result<u64, Trouble> {
        Ok(self.held.blocks)
    }

    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<BlockFound>, Trouble> {
        let mut reader = self.reader_at(from)?;
        let (mut found, mut bytes, mut next) = (Vec::new(), 0, from);
        while next <= to.min(self.held.blocks.saturating_sub(1)) && bytes < PIECE {
            let number = self.line_of_block(next);
            let Some(line) = self.next_line(&mut reader, number - 1)? else { break };
            bytes += line.len();
            let block = SealedBlock::open(line);
            let block = block.map_err(|error| self.wrong(number, explain(&error)))?;
            found.push(BlockFound::Text(block));
            next += 1;
        }
        self.place = Some((next, reader));
        Ok(found)
    }

    fn accounts_piece(&mut self) -> Result<Option<AccountsPiece>, Trouble> {
        Ok(None)
    }
}
