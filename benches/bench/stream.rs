//! A client's connection: plain lines, or lines that only the server can read.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use paxos_banking::noise::{Opener, Preamble, Sealer, SecretKey, Secured, initiate};

use super::Fallible;
use super::process::PATIENCE;

/// A connection.
pub enum Stream {
    Plain(TcpStream),
    Sealed(Box<Sealed>),
}

/// A connection after its handshake.
pub struct Sealed {
    socket: TcpStream,
    sealer: Sealer,
    opener: Opener<TcpStream>,
    out: Vec<u8>,
}

impl Stream {
    /// Connects; with a key, both ends prove theirs.
    pub fn open(address: &str, key: Option<&SecretKey>) -> Fallible<Stream> {
        let wrong = |error: &dyn std::fmt::Display| format!("{address}: {error}");
        let socket = TcpStream::connect(address).map_err(|error| wrong(&error))?;
        let set = socket.set_nodelay(true).and_then(|()| socket.set_read_timeout(Some(PATIENCE)));
        set.map_err(|error| wrong(&error))?;
        let Some(key) = key else { return Ok(Stream::Plain(socket)) };
        let own = socket.try_clone().map_err(|error| wrong(&error))?;
        let preamble = Preamble::new(None, None, None);
        let secured = initiate(socket, Instant::now() + PATIENCE, key, &preamble, |_, _| Ok(()));
        let (Secured { sealer, opener, .. }, _) = secured.map_err(|error| wrong(&error))?;
        Ok(Stream::Sealed(Box::new(Sealed { socket: own, sealer, opener, out: Vec::new() })))
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Sealed(sealed) => &sealed.socket,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Sealed(sealed) => sealed.opener.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Sealed(sealed) => {
                sealed.out.clear();
                sealed.sealer.seal(bytes, &mut sealed.out);
                sealed.socket.write_all(&sealed.out)?;
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
