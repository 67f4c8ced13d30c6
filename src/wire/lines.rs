//! Bytes into lines, each stage of which a stream can end or be cut in.

use std::io::{self, BufRead, BufReader, Read};

/// What the next step of reading a stream came to.
#[derive(Debug, PartialEq, Eq)]
pub enum LineRead<'a> {
    /// A whole line, without its newline (or carriage return and newline).
    Line(&'a [u8]),
    /// The stream ended between lines.
    End,
    /// The stream ended within a line, which is lost.
    Cut,
    /// The line is longer than lines may be. There is no way to go on after this.
    TooLong,
}

/// What one more piece of a stream brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The line goes on.
    Part,
    /// The line is whole: the reader has it.
    Whole,
    /// As [`LineRead::End`].
    End,
    /// As [`LineRead::Cut`].
    Cut,
    /// As [`LineRead::TooLong`].
    TooLong,
}

/// A line that has been so long keeps its memory for the next one.
const KEPT: usize = 128 << 10;

/// Reads lines of bounded length.
///
/// An error such as a time-out loses nothing: the next call goes on where it happened.
#[derive(Debug)]
pub struct LineReader<R> {
    stream: BufReader<R>,
    line: Vec<u8>,
    /// The line in the buffer was handed out, so the next call begins another.
    handed_out: bool,
}

impl<R: Read> LineReader<R> {
    /// A reader of what comes from `stream`.
    pub fn new(stream: R) -> Self {
        LineReader { stream: BufReader::new(stream), line: Vec::new(), handed_out: false }
    }

    /// The stream.
    pub fn get_ref(&self) -> &R {
        self.stream.get_ref()
    }

    /// Reads the next line, of at most `max` bytes (the newline not counted) and never holding more.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn read_line(&mut self, max: usize) -> io::Result<LineRead<'_>> {
        let step = loop {
            match self.step(max)? {
                Step::Part => {}
                step => break step,
            }
        };
        Ok(self.after(step))
    }

    /// Reads one piece of the next line, as [`read_line`](LineReader::read_line) does until it is whole.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn step(&mut self, max: usize) -> io::Result<Step> {
        if std::mem::take(&mut self.handed_out) {
            self.line.clear();
            self.line.shrink_to(KEPT);
        }
        let chunk = loop {
            match self.stream.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                // Once more, since a borrow can't leave a loop; there is something, so it doesn't read.
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

    /// What a step has come to.
    ///
    /// # Panics
    /// If the line only goes on: there is nothing to be had of it yet.
    pub fn after(&self, step: Step) -> LineRead<'_> {
        match step {
            Step::Part => panic!("the line goes on"),
            Step::Whole => LineRead::Line(self.line.strip_suffix(b"\r").unwrap_or(&self.line)),
            Step::End => LineRead::End,
            Step::Cut => LineRead::Cut,
            Step::TooLong => LineRead::TooLong,
        }
    }

    /// How many bytes of a line that goes on there are.
    pub fn held(&self) -> usize {
        self.line.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one a read; an empty piece is a time-out.
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
        assert_eq!(reader.read_line(10).unwrap(), LineRead::Cut);
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
