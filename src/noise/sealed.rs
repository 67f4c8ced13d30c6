//! A connection after its handshake: lines into sealed frames, and back.
//!
//! Each direction counts its frames by itself, so what writes and what reads need no lock between them. A frame
//! that was changed, left out, repeated or moved is noticed, and ends the connection.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use snow::StatelessTransportState;

use crate::noise::frames::{Frames, HEADER, Time, Timed};

/// The bytes by which a sealed frame is longer than its text.
const SEAL: usize = 16;
/// The most bytes of a frame.
const MAX_FRAME: usize = 65_535;
/// The most text in a frame.
const MAX_TEXT: usize = MAX_FRAME - SEAL;
/// The lengths of frames. No frame is without text.
const LENGTHS: Range<usize> = SEAL + 1..MAX_FRAME + 1;

/// Seals what goes out.
pub struct Sealer {
    state: Arc<StatelessTransportState>,
    /// The number of the next frame.
    next: u64,
}

impl Sealer {
    pub(super) fn new(state: Arc<StatelessTransportState>) -> Sealer {
        Sealer { state, next: 0 }
    }

    /// Adds `text` to `sealed`, in as many frames as it takes. All of them have to be sent, in this order.
    ///
    /// # Panics
    /// After 2^64 frames.
    pub fn seal(&mut self, text: &[u8], sealed: &mut Vec<u8>) {
        sealed.reserve(text.len() + text.len().div_ceil(MAX_TEXT) * (HEADER + SEAL));
        for part in text.chunks(MAX_TEXT) {
            let length = part.len() + SEAL;
            sealed.extend_from_slice(&(length as u16).to_be_bytes());
            let from = sealed.len();
            sealed.resize(from + length, 0);
            self.state
                .write_message(self.next, part, &mut sealed[from..])
                .expect("the length is right, and 2^64 frames are never reached");
            self.next += 1;
        }
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("next", &self.next).finish_non_exhaustive()
    }
}

/// Opens what comes in: reading from it gives the text.
pub struct Opener<S> {
    state: Arc<StatelessTransportState>,
    frames: Frames<S>,
    /// The number of the next frame.
    next: u64,
    /// The text of an opened frame, and how much of it was given.
    text: Vec<u8>,
    given: usize,
    time: Time,
    /// True if a frame could not be opened: nothing that follows can be.
    is_broken: bool,
}

impl<S: Timed> Opener<S> {
    pub(super) fn new(state: Arc<StatelessTransportState>, frames: Frames<S>) -> Opener<S> {
        let (text, time) = (Vec::new(), Time::Unbounded);
        Opener { state, frames, next: 0, text, given: 0, time, is_broken: false }
    }

    /// Has each frame end within this time of its first byte.
    #[must_use]
    pub fn within(self, time: Duration) -> Opener<S> {
        Opener { time: Time::OnceBegun(time), ..self }
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &S {
        self.frames.stream()
    }

    #[cfg(test)]
    pub(super) fn frames_mut(&mut self) -> &mut Frames<S> {
        &mut self.frames
    }

    /// Opens the next frame into `buffer`, or into the memory for longer ones. Returns how many bytes are in
    /// `buffer`; none at the stream's end.
    fn open(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(frame) = self.frames.frame(LENGTHS, self.time)? else { return Ok(0) };
        let frame = self.frames.bytes(frame);
        let is_short = frame.len() - SEAL <= buffer.len();
        let text = match is_short {
            true => &mut *buffer,
            // With room for the seal, it is opened in place; without, elsewhere, and copied.
            false => {
                self.text.resize(frame.len(), 0);
                &mut self.text
            }
        };
        let opened = self.state.read_message(self.next, frame, text);
        let length = opened.map_err(|_| {
            let wrong = "a sealed frame was changed, repeated or left out on the way";
            io::Error::new(ErrorKind::InvalidData, wrong)
        })?;
        self.next += 1;
        if is_short {
            return Ok(length);
        }
        self.text.truncate(length);
        Ok(self.give(buffer))
    }

    /// Gives a part of the text of a long frame, whose memory is given back after the last part.
    fn give(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.text[self.given..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.given += length;
        if self.given == self.text.len() {
            (self.text, self.given) = (Vec::new(), 0);
        }
        length
    }
}

impl<S: Timed> Read for Opener<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.is_broken {
            return Err(ErrorKind::InvalidData.into());
        }
        if self.given < self.text.len() {
            return Ok(self.give(buffer));
        }
        let opened = self.open(buffer);
        self.is_broken = opened.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidData);
        opened
    }
}

impl<S: fmt::Debug> fmt::Debug for Opener<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opener").field("next", &self.next).finish_non_exhaustive()
    }
}
