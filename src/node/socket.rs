//! A socket with two ways to write: at once, for a thread that must not block, and by the writer's thread.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::SockRef;

use crate::bank::request::{ErrorCode, Reply};
use crate::noise::Sealer;
use crate::wire::encode_reply;

/// The flag that makes a write fail instead of waiting for room. The standard library can only make a
/// whole socket non-blocking, its reader with it.
const DONT_WAIT: Option<i32> = if cfg!(any(target_os = "linux", target_os = "android")) {
    Some(0x40)
} else if cfg!(any(
    target_os = "macos",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd"
)) {
    Some(0x80)
} else {
    None
};

/// How much was sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of it.
    All,
    /// Only a part, or nothing of what is sealed and has its place. The writer sends the rest before anything else, and has to be woken.
    Beginning,
    /// Nothing. The writer has to send it.
    Nothing,
}

/// A connection's socket, as its writers see it.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Arc<TcpStream>,
    /// How many items the writer has been given and has not written.
    unwritten: AtomicUsize,
    /// What writes have to share. It is locked during each write, so that lines don't mix.
    way: Mutex<Way>,
}

/// The way out of a socket.
#[derive(Debug, Default)]
struct Way {
    /// The rest of what was begun at once, as it has to be sent.
    rest: Vec<u8>,
    /// Seals what goes out, after a handshake.
    sealer: Option<Sealer>,
}

impl Way {
    /// Returns the text as it has to be sent. What is sealed has its place among all that is sealed: it has to
    /// be sent, and next.
    fn seal<'a>(&mut self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(sealer) = &mut self.sealer else { return Cow::Borrowed(text) };
        let mut sealed = Vec::new();
        sealer.seal(text, &mut sealed);
        Cow::Owned(sealed)
    }
}

impl Socket {
    pub(crate) fn new(stream: Arc<TcpStream>) -> Socket {
        Socket { stream, unwritten: AtomicUsize::new(0), way: Mutex::default() }
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has all that is written from now on sealed.
    pub(crate) fn seal(&self, sealer: Sealer) {
        self.way().sealer = Some(sealer);
    }

    /// Returns the socket itself.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Notes that the writer is given an item. Until it is written, nothing overtakes it.
    pub(crate) fn will_write(&self) {
        self.unwritten.fetch_add(1, Ordering::SeqCst);
    }

    /// True if the writer has nothing to do.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.unwritten.load(Ordering::SeqCst) == 0
    }

    /// True if the beginning of something was sent and its end was not.
    #[cfg(test)]
    pub(crate) fn is_torn(&self) -> bool {
        !self.way().rest.is_empty()
    }

    /// Sends what there is room for, if nothing comes before it. Doesn't block.
    pub(crate) fn send_at_once(&self, text: &[u8]) -> Sent {
        let Some(flags) = DONT_WAIT else { return Sent::Nothing };
        // Whoever holds the lock is writing.
        let Ok(mut way) = self.way.try_lock() else { return Sent::Nothing };
        if self.unwritten.load(Ordering::SeqCst) > 0 || !way.rest.is_empty() {
            return Sent::Nothing;
        }
        let bytes = way.seal(text);
        // If an error is for good, the writer will meet it too.
        let sent = SockRef::from(&*self.stream).send_with_flags(&bytes, flags).unwrap_or(0);
        match sent {
            _ if sent == bytes.len() => Sent::All,
            0 if way.sealer.is_none() => Sent::Nothing,
            _ => {
                way.rest.extend_from_slice(&bytes[sent..]);
                Sent::Beginning
            }
        }
    }

    /// Writes the rest of what was begun, and then `text`, which makes up `items` of the writer's. Blocks.
    pub(crate) fn write_all(&self, text: &[u8], items: usize) -> io::Result<()> {
        self.write(text, items, &mut |stream, bytes| stream.write_all(bytes))
    }

    /// Does the same, however long the other end doesn't read. `stuck` is told each time that this took too long.
    pub(crate) fn write_patiently(
        &self,
        text: &[u8],
        items: usize,
        mut stuck: impl FnMut(),
    ) -> io::Result<()> {
        self.write(text, items, &mut |stream, mut bytes| {
            while !bytes.is_empty() {
                match stream.write(bytes) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(written) => bytes = &bytes[written..],
                    Err(error) if is_time_out(&error) => stuck(),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }

    fn write(
        &self,
        text: &[u8],
        items: usize,
        put: &mut dyn FnMut(&mut &TcpStream, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut way = self.way();
        let mut stream: &TcpStream = &self.stream;
        put(&mut stream, &std::mem::take(&mut way.rest))?;
        put(&mut stream, &way.seal(text))?;
        self.unwritten.fetch_sub(items, Ordering::SeqCst);
        Ok(())
    }

    /// Ends the connection, or one direction of it. If it has ended already, all is well.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        let _ = self.stream.shutdown(how);
    }
}

/// True if a read or a write took too long; the error's kind depends on the system.
pub(crate) fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Tells a client why its connection ends at once. So short a text never blocks on a fresh connection. It
/// doesn't matter whether it arrives.
pub(crate) fn refuse(mut socket: &TcpStream, why: &str) {
    let message = why.to_owned();
    let line = encode_reply(None, &Reply::Error { error: ErrorCode::Unavailable, message });
    let _ = socket.write_all(line.as_bytes());
}

#[cfg(all(test, feature = "noise"))]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::noise::{
        Introduction, Opener, Preamble, SecretKey, answer, initiate, read_preamble,
    };

    /// Makes a socket whose text is sealed, and what opens it at the other end.
    fn sealed() -> (Socket, BufReader<Opener<TcpStream>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = Socket::new(Arc::new(listener.accept().unwrap().0));
        let until = Instant::now() + Duration::from_secs(60);
        let opener = thread::spawn(move || {
            let (key, preamble) = (SecretKey::random().unwrap(), Preamble::new(None, None, None));
            initiate(other, until, &key, &preamble, |_, _| Ok(())).unwrap().0.opener
        });
        let caller = read_preamble(socket.stream(), until).unwrap();
        let introduction = Introduction { id: "A".parse().unwrap(), bank: None, keyed: false };
        let secured = answer(caller, &SecretKey::random().unwrap(), &introduction).unwrap();
        socket.seal(secured.sealer);
        (socket, BufReader::new(opener.join().unwrap()))
    }

    fn line(number: usize) -> String {
        format!("{number} {}\n", "x".repeat(300_000))
    }

    #[test]
    fn what_was_sealed_and_not_sent_goes_out_first_and_whole() {
        let (socket, mut lines) = sealed();
        let mut sent = 0;
        // The other end doesn't read.
        while socket.send_at_once(line(sent).as_bytes()) == Sent::All {
            sent += 1;
        }
        assert!(socket.is_torn());
        assert_eq!(socket.send_at_once(b"later\n"), Sent::Nothing);
        thread::scope(|scope| {
            scope.spawn(|| {
                socket.will_write();
                socket.write_all(b"later\n", 1).unwrap();
                assert_eq!(socket.send_at_once(b"last\n"), Sent::All);
            });
            let mut next = || {
                let mut line = String::new();
                lines.read_line(&mut line).map(|_| line).unwrap()
            };
            for number in 0..=sent {
                assert!(next() == line(number), "line {number}");
            }
            assert_eq!((next(), next()), ("later\n".to_owned(), "last\n".to_owned()));
        });
        assert!(socket.is_idle() && !socket.is_torn());
    }
}
