//! The commands in an append-only file: how far they are whole, and what comes after.
//!
//! Redis appends each change as the words of a command, and each transaction between `MULTI` and `EXEC`. A
//! power cut tears the end of the last write. So a tail counts as *torn* only if more bytes could make a
//! whole transaction of it, and if no damaged byte can have made it of words that were whole. All else is
//! damage.

use std::io::{self, BufRead, Seek, SeekFrom};
use std::ops::Range;

/// The longest line that can open a command or a word, in bytes: a letter and a number.
const LONGEST_HEADER: usize = 24;
/// How many bytes of a command's name are kept. The names that matter are short.
const LONGEST_NAME: usize = 16;
/// The beginning of a line with the time, which Redis writes if told to.
const TIME_LINE: &[u8] = b"#TS:";

/// The content of a file up to its end, or up to a torn tail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// Transactions, from `MULTI` to `EXEC`.
    pub transactions: u64,
    /// Commands outside of transactions.
    pub commands: u64,
    /// The offset where the last of them ends. A tail from here on is torn.
    pub end: u64,
}

/// A damaged place, as no power cut leaves it.
#[derive(Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the damage is noticed. It may have happened shortly before.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
    /// How many transactions end after it, as far as can be told.
    pub behind: u64,
}

/// Why no more commands can be read.
enum Stop {
    Wrong(u64, String),
    /// The file ends, and more bytes could make the command whole.
    Torn,
    Failed(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Failed(error)
    }
}

/// Reads the commands in a part of a file.
///
/// # Errors
/// If the file can't be read; damage is a result like any other.
pub fn scan<S: BufRead + Seek>(
    source: &mut S,
    part: Range<u64>,
) -> io::Result<Result<Whole, Damage>> {
    source.seek(SeekFrom::Start(part.start))?;
    let mut whole = Whole { end: part.start, ..Whole::default() };
    match (Reader { source, offset: part.start, end: part.end }).read_all(&mut whole) {
        Ok(()) | Err(Stop::Torn) => Ok(Ok(whole)),
        Err(Stop::Wrong(offset, what)) => {
            source.seek(SeekFrom::Start(offset))?;
            Ok(Err(Damage { offset, what, behind: ends_of_transactions(source)? }))
        }
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Counts the transactions that end in the rest of the file.
fn ends_of_transactions(source: &mut impl BufRead) -> io::Result<u64> {
    let (mut count, mut line, mut after_length) = (0, Vec::new(), false);
    loop {
        line.clear();
        if source.read_until(b'\n', &mut line)? == 0 {
            return Ok(count);
        }
        count += u64::from(after_length && line.eq_ignore_ascii_case(b"EXEC\r\n"));
        after_length = line == b"$4\r\n";
    }
}

/// The part of a command that matters.
struct Command {
    name: Vec<u8>,
    words: u64,
}

struct Reader<'a, S> {
    source: &'a mut S,
    offset: u64,
    end: u64,
}

impl<S: BufRead> Reader<'_, S> {
    /// Counts in `whole` what is whole. Returns at the end of the file, or fails at a torn tail or damage.
    fn read_all(&mut self, whole: &mut Whole) -> Result<(), Stop> {
        let mut inside = false;
        loop {
            let start = self.offset;
            let wrong = |what: &str| Err(Stop::Wrong(start, what.to_owned()));
            let Some(command) = self.command()? else {
                // The last line may be one that tells the time.
                whole.end = if inside { whole.end } else { self.offset };
                return if inside { Err(Stop::Torn) } else { Ok(()) };
            };
            match (command.name.as_slice(), inside) {
                (b"MULTI", true) => return wrong("a MULTI within a transaction"),
                (b"MULTI", false) => inside = true,
                (b"EXEC", false) => return wrong("an EXEC without its MULTI"),
                (b"EXEC", true) => {
                    inside = false;
                    whole.transactions += 1;
                }
                // A command that changes a key names it. This word may have been the EXEC.
                (_, true) if command.words == 1 => return wrong("a word that is no command"),
                (_, true) => {}
                (_, false) => whole.commands += 1,
            }
            if !inside {
                whole.end = self.offset;
            }
        }
    }

    /// Reads the next command; none at the end of the file.
    fn command(&mut self) -> Result<Option<Command>, Stop> {
        loop {
            match self.there()?.first() {
                None => return Ok(None),
                Some(b'#') => self.time_line()?,
                Some(_) => break,
            }
        }
        let start = self.offset;
        let words = self.header(b'*')?;
        if words == 0 {
            return Err(Stop::Wrong(start, "a command of no words".into()));
        }
        let name = self.word()?.to_ascii_uppercase();
        if words > 1 && (name == b"MULTI" || name == b"EXEC") {
            return Err(Stop::Wrong(start, "a MULTI or EXEC of several words".into()));
        }
        for _ in 1..words {
            self.word()?;
        }
        Ok(Some(Command { name, words }))
    }

    /// Reads a letter, a number and the end of the line.
    fn header(&mut self, letter: u8) -> Result<u64, Stop> {
        let start = self.offset;
        let line = self.line(LONGEST_HEADER)?;
        let (text, whole) = match line.strip_suffix(b"\r\n") {
            Some(text) => (text, true),
            None => (line.strip_suffix(b"\r").unwrap_or(&line), false),
        };
        let digits = text.get(1..).unwrap_or_default();
        let fits = text.first().is_none_or(|first| *first == letter)
            && digits.iter().all(u8::is_ascii_digit)
            && !(digits.is_empty() && line.len() > 1)
            && (whole || line.len() < LONGEST_HEADER);
        if !fits {
            let there = String::from_utf8_lossy(text).escape_debug().to_string();
            let what = format!("{there:?} in place of {:?} and a number", char::from(letter));
            return Err(Stop::Wrong(start, what));
        }
        if !whole {
            return Err(Stop::Torn);
        }
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        number.ok_or_else(|| Stop::Wrong(start, "a number that is too large".into()))
    }

    /// Reads a word of a command, and returns its beginning.
    fn word(&mut self) -> Result<Vec<u8>, Stop> {
        let mut missing = self.header(b'$')?;
        let (mut kept, start, mut breaks) = (Vec::new(), self.offset, false);
        while missing > 0 {
            let there = self.there()?;
            if there.is_empty() {
                return Err(unfinished(start, breaks));
            }
            let length = at_most(there.len(), missing);
            breaks |= there[..length].iter().any(|byte| *byte < b' ');
            kept.extend(there[..length].iter().take(LONGEST_NAME - kept.len()));
            self.consume(length);
            missing -= length as u64;
        }
        let end = self.offset;
        match self.line(2)?.as_slice() {
            b"\r\n" => Ok(kept),
            b"" | b"\r" => Err(unfinished(start, breaks)),
            _ => Err(Stop::Wrong(end, "a word that does not end where its length says".into())),
        }
    }

    fn time_line(&mut self) -> Result<(), Stop> {
        let start = self.offset;
        let line = self.line(LONGEST_HEADER)?;
        let fits = line.iter().zip(TIME_LINE).all(|(is, should)| is == should);
        match (fits, line.ends_with(b"\n")) {
            (true, true) => Ok(()),
            (true, false) if line.len() < LONGEST_HEADER => Err(Stop::Torn),
            _ => Err(Stop::Wrong(start, "a line that is no command".into())),
        }
    }

    /// Reads up to the end of the line, the end of the file, or `most` bytes.
    fn line(&mut self, most: usize) -> Result<Vec<u8>, Stop> {
        let mut line = Vec::new();
        while line.len() < most && line.last() != Some(&b'\n') {
            match self.there()?.first() {
                Some(byte) => line.push(*byte),
                None => break,
            }
            self.consume(1);
        }
        Ok(line)
    }

    /// Returns the next bytes, as far as they are at hand; none at the end.
    fn there(&mut self) -> io::Result<&[u8]> {
        let there = self.source.fill_buf()?;
        let length = at_most(there.len(), self.end - self.offset);
        Ok(&there[..length])
    }

    fn consume(&mut self, bytes: usize) {
        self.source.consume(bytes);
        self.offset += bytes as u64;
    }
}

/// Judges a file that ends within a word which begins at `start`. Nobody writes lines into a word here. So
/// if it seems to hold a line's end, its length was damaged, and it holds the words after it.
fn unfinished(start: u64, breaks: bool) -> Stop {
    let what = "a word that is longer than the rest of the file, and in which others begin";
    if breaks { Stop::Wrong(start, what.into()) } else { Stop::Torn }
}

fn at_most(length: usize, bound: u64) -> usize {
    length.min(usize::try_from(bound).unwrap_or(usize::MAX))
}
