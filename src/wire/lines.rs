//! Cuts bytes into lines. A stream can end at any point, or be cut.

use std::io::{self, BufRead, BufReader, Read};

/// The next line of a stream, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum LineRead<'a> {
    /// A whole line, without its newline (or carriage return and newline).
    Line(&'a [u8]),
    /// The stream ended between lines.
    End,
    /// The stream ended within a line, of which this came.
    Cut(&'a [u8]),
    /// The line exceeds the longest allowed. Reading can't go on after it.
    TooLong,
}

/// The outcome of reading one more piece of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The line goes on.
    Part,
    /// The line is whole, and can be taken by [`LineReader::after`].
    Whole,
    /// See [`LineRead::End`].
    End,
    /// See [`LineRead::Cut`].
    Cut,
    /// See [`LineRead::TooLong`].
    TooLong,
}

/// The most memory, in bytes, that a line leaves allocated for the next one.
const KEPT: usize = 128 << 10;

/// Reads lines of bounded length.
///
/// An error such as a time-out loses nothing: the next call goes on where the error came.
#[derive(Debug)]
pub struct LineReader<R> {
    stream: BufReader<R>,
    line: Vec<u8>,
    /// True if the line in the buffer was handed out, so that the next call begins another.
    handed_out: bool,
}

impl<R: Read> LineReader<R> {
    /// Creates a reader of `stream`.
    pub fn new(stream: R) -> Self {
        LineReader { stream: BufReader::new(stream), line: Vec::new(), handed_out: false }
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &R {
        self.stream.get_ref()
    }

    /// Reads the next line, of at most `max` bytes without the newline. Never holds more.
    ///
    /// # Errors
    /// The stream's errors.
    pub fn read_line(&mut self, max: usize) -> io::Result<LineRead<'_>> {
        let step = loop {
            match self.step(max)? {
                Step::Part => {}
                step => break step,
            }
        };
        Ok(self.after(step))
    }

    /// Reads one more piece of the next line. [`read_line`](LineReader::read_line) does so until it is whole.
    ///
    /// # Errors
    /// The stream's errors.
    pub fn step(&mut self, max: usize) -> io::Result<Step> {
        if std::mem::take(&mut self.handed_out) {
            self.line.clear();
            self.line.shrink_to(KEPT);
        }
        let chunk = loop {
            match self.stream.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                // Again, since a borrow can't leave a loop. The buffer isn't empty, so this doesn't read.
                Ok(_) => break self.stream.fill_buf()?,
            }
        };
        if chunk.is_empty() {
            return Ok(if self.line.is_empty() { Step::End } else { Step::Cut });
        }
        let newline = chunk.iter().position(|&byte| byte == b'\n');
        let part = &chunk[..newline.unwrap_or(chunk.len())];
        if part.len() > max.saturating_sub(self.line.len()) {
            return Ok(Step::TooLong);
        }
        self.line.extend_from_slice(part);
        let used = part.len() + usize::from(newline.is_some());
        self.stream.consume(used);
        self.handed_out = newline.is_some();
        Ok(if self.handed_out { Step::Whole } else { Step::Part })
    }

    /// Returns what a step ended with.
    ///
    /// # Panics
    /// If the line goes on: it can't be had yet.
    pub fn after(&self, step: Step) -> LineRead<'_> {
        match step {
            Step::Part => panic!("the line goes on"),
            Step::Whole => LineRead::Line(self.line.strip_suffix(b"\r").unwrap_or(&self.line)),
            Step::End => LineRead::End,
            Step::Cut => LineRead::Cut(&self.line),
            Step::TooLong => LineRead::TooLong,
        }
    }

    /// Returns how many bytes of an unfinished line it holds.
    pub fn held(&self) -> usize {
        self.line.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one piece a read; an empty piece stands for a time-out.
    struct Pieces(Vec<&'static str>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0).as_bytes();
            if piece.is_empty() {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    #[test]
    fn lines_end_in_newline_with_or_without_carriage_return() {
        let mut reader = LineReader::new("one\ntwo\r\n\n\r\n".as_bytes());
        for line in ["one", "two", "", ""] {
            assert_eq!(reader.read_line(10).unwrap(), LineRead::Line(line.as_bytes()));
        }
        assert_eq!(reader.read_line(10).unwrap(), LineRead::End);
        assert_eq!(reader.read_line(10).unwrap(), LineRead::End);
    }

    #[test]
    fn a_clean_end_is_told_from_one_that_cuts_a_line() {
        let mut reader = LineReader::new("one\ntw".as_bytes());
        assert_eq!(reader.read_line(10).unwrap(), LineRead::Line(b"one"));
        assert_eq!(reader.read_line(10).unwrap(), LineRead::Cut(b"tw"));
    }

    #[test]
    fn a_line_may_be_as_long_as_the_bound_and_no_longer() {
        let mut reader = LineReader::new("12345\n123456\n1\n".as_bytes());
        assert_eq!(reader.read_line(5).unwrap(), LineRead::Line(b"12345"));
        assert_eq!(reader.read_line(5).unwrap(), LineRead::TooLong);
        assert_eq!(reader.read_line(5).unwrap(), LineRead::TooLong);
    }

    #[test]
    fn an_endless_line_is_not_held() {
        let mut reader = LineReader::new(io::repeat(b'x'));
        assert_eq!(reader.read_line(1 << 20).unwrap(), LineRead::TooLong);
        assert!(reader.line.len() <= 1 << 20);
    }

    #[test]
    fn a_line_in_pieces_survives_a_time_out() {
        let mut reader = LineReader::new(Pieces(vec!["on", "", "e\ntwo", "\n"]));
        assert_eq!(reader.read_line(10).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(reader.read_line(10).unwrap(), LineRead::Line(b"one"));
        assert_eq!(reader.read_line(10).unwrap(), LineRead::Line(b"two"));
        assert_eq!(reader.read_line(10).unwrap(), LineRead::End);
    }
}
