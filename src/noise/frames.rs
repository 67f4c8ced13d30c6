//! Cuts a stream into frames of bounded length. A begun frame has to end in time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::time::{Duration, Instant};

/// The length, in bytes, of the number before a frame.
pub(crate) const HEADER: usize = 2;
/// The size in bytes of an idle connection's buffer.
const KEPT: usize = 2 << 10;

/// A stream whose reads can be given a time.
pub trait Timed: Read + Write {
    /// Returns how long a read waits.
    ///
    /// # Errors
    /// The stream's errors.
    fn read_time(&self) -> io::Result<Option<Duration>>;

    /// Sets how long a read waits; none for ever.
    ///
    /// # Errors
    /// The stream's errors.
    fn set_read_time(&self, time: Option<Duration>) -> io::Result<()>;
}

impl Timed for TcpStream {
    fn read_time(&self) -> io::Result<Option<Duration>> {
        self.read_timeout()
    }

    fn set_read_time(&self, time: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(time)
    }
}

impl Timed for &TcpStream {
    fn read_time(&self) -> io::Result<Option<Duration>> {
        self.read_timeout()
    }

    fn set_read_time(&self, time: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(time)
    }
}

/// What bounds the time of a read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Time {
    /// It ends at this instant, whatever comes.
    Until(Instant),
    /// It may begin at any time, and then has to end within this.
    OnceBegun(Duration),
    /// Nothing but the stream's own time.
    Unbounded,
}

/// A stream and the bytes of it that were read and not used yet.
#[derive(Debug)]
pub(crate) struct Frames<S> {
    stream: S,
    /// The buffer; its bytes from `used` to `end` are not used yet.
    buffer: Vec<u8>,
    used: usize,
    end: usize,
    /// The instant at which the first bytes of an unfinished frame came.
    begun: Option<Instant>,
}

impl<S: Timed> Frames<S> {
    /// Creates a cutter of `stream`.
    pub(crate) fn new(stream: S) -> Frames<S> {
        Frames { stream, buffer: Vec::new(), used: 0, end: 0, begun: None }
    }

    /// Returns the stream.
    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// Writes bytes to the stream. Blocks.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Returns bytes that were handed out. They are there until the next read.
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    fn unused(&self) -> &[u8] {
        &self.buffer[self.used..self.end]
    }

    /// Reads until a byte is there, and returns it without using it. None at the stream's end.
    pub(crate) fn first(&mut self, time: Time) -> io::Result<Option<u8>> {
        while self.unused().is_empty() {
            if self.read_some(KEPT, time)? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(self.unused()[0]))
    }

    /// Reads a line of at most `most` bytes, its newline among them. None if it is longer, or the stream ends.
    pub(crate) fn line(&mut self, most: usize, time: Time) -> io::Result<Option<Range<usize>>> {
        loop {
            let newline = self.unused().iter().take(most).position(|&byte| byte == b'\n');
            if let Some(at) = newline {
                return Ok(Some(self.take(at + 1)));
            }
            if self.unused().len() >= most || self.read_some(most, time)? == 0 {
                return Ok(None);
            }
        }
    }

    /// Returns all bytes that were read and not used, at most so many.
    pub(crate) fn rest(&mut self, most: usize) -> &[u8] {
        let range = self.take(self.unused().len().min(most));
        &self.buffer[range]
    }

    /// Reads the next frame whose length is allowed. None if the stream ends before it.
    ///
    /// # Errors
    /// The stream's errors; [`ErrorKind::UnexpectedEof`] if it ends within a frame, [`ErrorKind::InvalidData`] if
    /// the length is not allowed, [`ErrorKind::TimedOut`] if it takes too long.
    pub(crate) fn frame(
        &mut self,
        lengths: Range<usize>,
        time: Time,
    ) -> io::Result<Option<Range<usize>>> {
        loop {
            let mut wanted = HEADER;
            if let [high, low, ..] = *self.unused() {
                let length = usize::from(u16::from_be_bytes([high, low]));
                if !lengths.contains(&length) {
                    let wrong = format!("a frame of {length} bytes");
                    return Err(io::Error::new(ErrorKind::InvalidData, wrong));
                }
                wanted = HEADER + length;
            }
            if wanted > HEADER && self.unused().len() >= wanted {
                let frame = self.take(wanted);
                self.begun = None;
                return Ok(Some(frame.start + HEADER..frame.end));
            }
            if self.read_some(wanted, time)? == 0 {
                return match self.unused().is_empty() {
                    true => Ok(None),
                    false => Err(ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    fn take(&mut self, count: usize) -> Range<usize> {
        let from = self.used;
        self.used += count;
        from..self.used
    }

    /// Makes room for `wanted` unused bytes, and gives back the memory of a long frame that was used up.
    fn make_room(&mut self, wanted: usize) {
        if self.used == self.end {
            (self.used, self.end) = (0, 0);
        }
        let size = wanted.max(KEPT);
        if self.end == 0 && self.buffer.len() > size {
            self.buffer.truncate(size);
            self.buffer.shrink_to_fit();
        }
        if self.buffer.len() < self.used + size {
            self.buffer.copy_within(self.used..self.end, 0);
            (self.used, self.end) = (0, self.end - self.used);
            self.buffer.resize(size.max(self.buffer.len()), 0);
        }
    }

    /// Reads once. Returns how many bytes came: none at the stream's end.
    fn read_some(&mut self, wanted: usize, time: Time) -> io::Result<usize> {
        self.make_room(wanted);
        let until = match time {
            Time::Unbounded => None,
            Time::Until(until) => Some(until),
            Time::OnceBegun(_) if self.unused().is_empty() => None,
            Time::OnceBegun(time) => Some(*self.begun.get_or_insert_with(Instant::now) + time),
        };
        let usual = until.map(|until| self.shorten(until)).transpose()?;
        let read = loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        if let Some(usual) = usual {
            self.stream.set_read_time(usual)?;
        }
        let read = read?;
        self.end += read;
        Ok(read)
    }

    /// Has the next read end at this instant. Returns how long a read waits otherwise.
    fn shorten(&self, until: Instant) -> io::Result<Option<Duration>> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let usual = self.stream.read_time()?;
        self.stream.set_read_time(Some(usual.map_or(left, |usual| usual.min(left))))?;
        Ok(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::testing::Pieces;

    const ANY: Range<usize> = 1..65_536;

    fn frame(text: &[u8]) -> Vec<u8> {
        [&(text.len() as u16).to_be_bytes()[..], text].concat()
    }

    #[test]
    fn frames_come_whole_however_the_stream_is_cut() {
        let texts: [&[u8]; 4] = [b"one", &[7; 5000], b"x", &[9; 65_535]];
        let stream: Vec<u8> = texts.iter().flat_map(|text| frame(text)).collect();
        for piece in [1, 2, 3, 5, 4096, 100_000] {
            let mut frames = Frames::new(Pieces::of(&stream, piece));
            for text in texts {
                let range = frames.frame(ANY, Time::Unbounded).unwrap().expect("a frame");
                assert_eq!(frames.bytes(range), text);
            }
            assert_eq!(frames.frame(ANY, Time::Unbounded).unwrap(), None);
            assert!(frames.buffer.capacity() <= KEPT, "an idle connection is small");
        }
    }

    #[test]
    fn a_frame_that_ends_early_or_has_a_wrong_length_is_an_error() {
        for (stream, kind) in [
            (frame(b"four")[..5].to_vec(), ErrorKind::UnexpectedEof),
            (vec![0], ErrorKind::UnexpectedEof),
            (frame(b""), ErrorKind::InvalidData),
            (frame(&[0; 11]), ErrorKind::InvalidData),
        ] {
            let mut frames = Frames::new(Pieces::of(&stream, 1));
            assert_eq!(frames.frame(1..11, Time::Unbounded).unwrap_err().kind(), kind);
        }
    }

    #[test]
    fn a_line_is_bounded_and_what_follows_it_is_kept() {
        let mut frames = Frames::new(Pieces::of(b"line\n\0\x01xrest", 3));
        let line = frames.line(5, Time::Unbounded).unwrap().unwrap();
        assert_eq!(frames.bytes(line), b"line\n");
        let next = frames.frame(ANY, Time::Unbounded).unwrap().unwrap();
        assert_eq!(frames.bytes(next), b"x");
        for stream in ["long\n", "end"] {
            let mut frames = Frames::new(Pieces::of(stream.as_bytes(), 2));
            assert_eq!(frames.line(4, Time::Unbounded).unwrap(), None);
        }
    }

    #[test]
    fn a_begun_frame_has_to_end_in_time_and_an_idle_stream_may_wait() {
        let (mut near, far) = Pieces::socket();
        let time = Duration::from_millis(30);
        far.set_read_time(Some(Duration::from_millis(5))).unwrap();
        // The system rounds it.
        let usual = far.read_time().unwrap();
        let mut frames = Frames::new(&far);
        let fails = |frames: &mut Frames<&TcpStream>| {
            frames.frame(ANY, Time::OnceBegun(time)).expect_err("nothing whole is there").kind()
        };
        let begin = Instant::now();
        while begin.elapsed() < 2 * time {
            // The stream's own time: it can go on.
            assert_eq!(fails(&mut frames), ErrorKind::WouldBlock);
        }
        near.write_all(&[0]).unwrap();
        while fails(&mut frames) != ErrorKind::TimedOut {}
        near.write_all(&[1, 2]).unwrap();
        assert_eq!(fails(&mut frames), ErrorKind::TimedOut, "it stays too late");
        assert_eq!(far.read_time().unwrap(), usual, "as it was");
    }
}
