//! Streams for the tests.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::noise::Timed;

/// Gives the bytes of a stream piece by piece, and forgets what is written.
#[derive(Debug)]
pub(crate) struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
}

impl Pieces {
    /// Gives `bytes`, at most `piece` a read.
    pub(crate) fn of(bytes: &[u8], piece: usize) -> Pieces {
        Pieces { bytes: bytes.to_vec(), at: 0, piece }
    }

    /// Makes a connection, and returns both ends.
    pub(crate) fn socket() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.set_nodelay(true).unwrap();
        (near, listener.accept().unwrap().0)
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.piece.min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..piece].copy_from_slice(&self.bytes[self.at..self.at + piece]);
        self.at += piece;
        Ok(piece)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Timed for Pieces {
    fn read_time(&self) -> io::Result<Option<Duration>> {
        Ok(None)
    }

    fn set_read_time(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
}

/// One end of a connection in memory, on which one byte can be changed.
#[derive(Debug)]
pub(crate) struct Pipe {
    incoming: Receiver<Vec<u8>>,
    outgoing: Sender<Vec<u8>>,
    came: Vec<u8>,
    time: Cell<Option<Duration>>,
    /// All that was written, as it was written.
    pub(crate) written: Vec<u8>,
    /// The place of the byte that is changed on its way.
    pub(crate) changed: Option<usize>,
}

impl Pipe {
    /// Makes a connection, and returns both ends.
    pub(crate) fn pair() -> (Pipe, Pipe) {
        let ((to_far, far), (to_near, near)) = (channel(), channel());
        let end = |incoming, outgoing| {
            let (came, written) = (Vec::new(), Vec::new());
            Pipe { incoming, outgoing, came, time: Cell::new(None), written, changed: None }
        };
        (end(near, to_far), end(far, to_near))
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.came.is_empty() {
            let come = match self.time.get() {
                Some(time) => self.incoming.recv_timeout(time),
                None => self.incoming.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match come {
                Ok(bytes) => self.came = bytes,
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::WouldBlock.into()),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
        let length = self.came.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.came[..length]);
        self.came.drain(..length);
        Ok(length)
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = bytes.to_vec();
        let at = self.changed.and_then(|at| at.checked_sub(self.written.len()));
        if let Some(byte) = at.and_then(|at| sent.get_mut(at)) {
            *byte ^= 1;
        }
        self.written.extend_from_slice(bytes);
        // As over a network: whether it arrives, nobody knows.
        let _ = self.outgoing.send(sent);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Timed for Pipe {
    fn read_time(&self) -> io::Result<Option<Duration>> {
        Ok(self.time.get())
    }

    fn set_read_time(&self, time: Option<Duration>) -> io::Result<()> {
        self.time.set(time);
        Ok(())
    }
}
