//! Where notes go: to a file, and to those who look on.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write as _};
use std::path::Path;

use super::reel::Reel;
use crate::bank::ids::ServerId;
use crate::clock;
use crate::trace::record::{Record, What};

/// The length of text, in bytes, that is written before the turn ends.
const BUFFER: usize = 256 << 10;

/// Where notes go.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The file and its name; none once it has failed.
    file: Option<(String, BufWriter<File>)>,
    /// The newest notes, while somebody looks on.
    pub(super) reel: Option<Reel>,
    clock: u64,
    /// The note of the life's beginning.
    start: Vec<u8>,
    /// The last line, whose memory is used again.
    line: Vec<u8>,
}

impl Notes {
    /// Opens a file to go on with. A file that can't be written gets a warning.
    pub(super) fn of(path: Option<&Path>) -> Notes {
        let open = |path: &Path| {
            let name = path.display().to_string();
            match open_for_more(path) {
                Ok(file) => Some((name, BufWriter::with_capacity(BUFFER, file))),
                Err(error) => {
                    log::warn!("nothing is traced: {name} can't be written: {error}");
                    None
                }
            }
        };
        Notes { file: path.and_then(open), ..Notes::default() }
    }

    /// True if notes go anywhere.
    pub(super) fn is_wanted(&self) -> bool {
        self.file.is_some() || self.reel.is_some()
    }

    /// Notes that a life begins, even if nobody wants to know yet.
    pub(super) fn begin(&mut self, server: &ServerId, start: What) {
        self.clock = 0;
        self.put(server, start, self.reel.is_some().then_some(0));
        self.start.clone_from(&self.line);
    }

    /// Returns the note of the life's beginning.
    pub(super) fn start(&self) -> Vec<u8> {
        self.start.clone()
    }

    /// True if all notes are wanted, for a file.
    pub(super) fn wants_all(&self) -> bool {
        self.file.is_some()
    }

    /// Takes a note. If those who look on are told, so many were passed over before it.
    pub(super) fn put(&mut self, server: &ServerId, what: What, passed_over: Option<u64>) {
        self.clock += 1;
        let record =
            Record { server: server.clone(), clock: self.clock, us: clock::micros(), what };
        self.line.clear();
        serde_json::to_writer(&mut self.line, &record).expect("a record's keys are texts");
        self.line.push(b'\n');
        if let Some((_, file)) = &mut self.file {
            let written = file.write_all(&self.line);
            self.heed(written);
        }
        if let (Some(reel), Some(passed_over)) = (&mut self.reel, passed_over) {
            reel.push(passed_over, &self.line);
        }
    }

    /// Writes the notes so far to the file, for readers.
    pub(super) fn flush(&mut self) {
        if let Some((_, file)) = &mut self.file {
            let flushed = file.flush();
            self.heed(flushed);
        }
    }

    /// Gives up the file on an error: a bank must not stop for want of a picture.
    fn heed(&mut self, result: io::Result<()>) {
        if let Err(error) = result
            && let Some((name, file)) = self.file.take()
        {
            log::warn!("no more is traced: {name} can't be written: {error}");
            // The parts are taken, so dropping the writer doesn't try to write the rest.
            drop(file.into_parts());
        }
    }
}

/// Checks that a trace can be written to this file, which is there afterwards.
///
/// # Errors
/// Says why not.
pub fn check_trace(path: &Path) -> Result<(), String> {
    match open_for_more(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("--trace {}: it can't be written: {error}", path.display())),
    }
}

/// Opens a file to write after its content, beginning with a new line.
fn open_for_more(path: &Path) -> io::Result<File> {
    let mut file = File::options().read(true).append(true).create(true).open(path)?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    Ok(file)
}
