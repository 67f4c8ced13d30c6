//! Accepts connections, has each request answered, and ends what takes too long.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crate::http::limits::Limits;
use crate::http::reply::{Body, Events, Next, Reply};
use crate::http::request::{Request, Unread, close};

/// The stack of a connection's thread, in bytes.
const STACK: usize = 256 << 10;
/// The pause after a connection that could not be accepted, mostly for want of files.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a stream is silent before it says that it is still there.
const SILENCE: Duration = Duration::from_secs(5);
/// How much is written at a time.
const PIECE: usize = 64 << 10;

type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server of HTTP. Dropping it ends it, and all its threads.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    limits: Limits,
    answer: Box<Answer>,
    is_over: AtomicBool,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    next: u64,
    open: BTreeMap<u64, Arc<TcpStream>>,
    threads: Vec<JoinHandle<()>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens, and answers each request by `answer`, on a thread of its connection's.
    ///
    /// # Errors
    /// If the address can't be listened on, or no thread can be started.
    pub fn start(
        address: &str,
        limits: Limits,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            limits,
            answer: Box::new(answer),
            is_over: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let its = Arc::clone(&shared);
        let thread = Builder::new().name("http".into()).spawn(move || listen(&listener, &its))?;
        Ok(Server { shared, address, listener: Some(thread) })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Blocks for ever: until the process ends.
    pub fn wait(mut self) {
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        let Some(listener) = self.listener.take() else { return };
        let mut own = self.address;
        match own.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => own.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => own.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        // The accepting thread is in a system call that only a connection ends.
        while !listener.is_finished() {
            let _ = TcpStream::connect_timeout(&own, PAUSE);
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = listener.join();
        let threads = {
            let mut connections = self.shared.connections();
            connections.open.values().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
            std::mem::take(&mut connections.threads)
        };
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Serves one request, and closes the connection.
    fn serve(&self, stream: &TcpStream) {
        let reply = match Request::read(stream, &self.limits) {
            Ok(request) => {
                let reply = (self.answer)(&request);
                if request.method == "HEAD" { without_body(reply) } else { (reply, true) }
            }
            Err(Unread::Wrong(status, why)) => (Reply::line(status, why), true),
            Err(Unread::Gone) => return,
        };
        if self.write(stream, reply).is_ok() {
            close(stream);
        }
    }

    fn write(&self, stream: &TcpStream, (reply, has_body): (Reply, bool)) -> io::Result<()> {
        self.send(stream, reply.head().as_bytes())?;
        match reply.body {
            Body::Whole(body) if has_body => self.send(stream, &body),
            Body::Whole(_) => Ok(()),
            Body::Stream(mut events) => self.stream(stream, &mut *events),
        }
    }

    fn stream(&self, stream: &TcpStream, events: &mut dyn Events) -> io::Result<()> {
        while !self.is_over() {
            match events.next(SILENCE) {
                Next::Bytes(bytes) => self.send(stream, &bytes)?,
                // Whoever has gone is noticed only by writing.
                Next::Nothing => self.send(stream, b": still here\n\n")?,
                Next::End => break,
            }
        }
        Ok(())
    }

    /// Writes all, within the time: whoever takes a byte now and then gains no time.
    fn send(&self, mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
        let until = Instant::now() + self.limits.time;
        let mut rest = bytes;
        while !rest.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_write_timeout(Some(left.max(Duration::from_millis(1))))?;
            match stream.write(&rest[..rest.len().min(PIECE)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Leaves out what a request for the head alone does not want.
fn without_body(reply: Reply) -> (Reply, bool) {
    match reply.body {
        Body::Stream(_) => (Reply::line(405, "a stream has no end"), false),
        Body::Whole(_) => (reply, false),
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.is_over() {
            break;
        }
        match accepted {
            Ok((stream, _)) => admit(shared, stream),
            Err(error) => {
                log::debug!("a connection of HTTP could not be accepted: {error}");
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn admit(shared: &Arc<Shared>, stream: TcpStream) {
    let stream = Arc::new(stream);
    let mut connections = shared.connections();
    connections.threads.retain(|thread| !thread.is_finished());
    if connections.threads.len() >= shared.limits.connections {
        drop(connections);
        return turn_away(&stream);
    }
    let key = connections.next;
    connections.next += 1;
    connections.open.insert(key, Arc::clone(&stream));
    let (its, own) = (Arc::clone(shared), Arc::clone(&stream));
    let serve = move || {
        its.serve(&own);
        its.connections().open.remove(&key);
    };
    match Builder::new().name(format!("http-{key}")).stack_size(STACK).spawn(serve) {
        Ok(thread) => connections.threads.push(thread),
        Err(error) => {
            log::debug!("no thread for a connection of HTTP: {error}");
            connections.open.remove(&key);
        }
    }
}

/// Says that there is no place, if that can be said at once.
fn turn_away(mut stream: &TcpStream) {
    let reply = Reply::line(503, "too many connections are open here; try again later");
    let mut text = reply.head().into_bytes();
    if let Body::Whole(body) = reply.body {
        text.extend(body);
    }
    if stream.set_nonblocking(true).is_ok() {
        let _ = stream.write(&text);
        let _ = stream.shutdown(Shutdown::Write);
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
