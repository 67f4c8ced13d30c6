//! What a reader reads from: a socket with plain lines, or what opens the sealed ones.

use std::io::{self, Read};
use std::net::TcpStream;

use crate::noise::Opener;

/// A connection as its reader sees it.
#[derive(Debug)]
pub(crate) enum Inlet<'a> {
    /// The lines are plain.
    Plain(&'a TcpStream),
    /// The lines are sealed.
    Sealed(Box<Opener<&'a TcpStream>>),
}

impl<'a> Inlet<'a> {
    /// Returns the socket.
    pub(crate) fn socket(&self) -> &'a TcpStream {
        match self {
            Inlet::Plain(socket) => socket,
            Inlet::Sealed(opener) => opener.get_ref(),
        }
    }
}

impl Read for Inlet<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Inlet::Plain(socket) => socket.read(buffer),
            Inlet::Sealed(opener) => opener.read(buffer),
        }
    }
}

/// Returns the first byte of a connection, and leaves it there. None if the connection ends before it.
///
/// # Errors
/// The socket's errors.
pub(crate) fn first_byte(socket: &TcpStream) -> io::Result<Option<u8>> {
    let mut first = [0];
    loop {
        match socket.peek(&mut first) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            peeked => return peeked.map(|count| (count > 0).then_some(first[0])),
        }
    }
}
