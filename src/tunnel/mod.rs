//! The tunnel: plain lines on this machine's loopback, sealed ones on the way to the bank. So `nc` and every
//! language can ask a server that wants keys, without a line of cryptography.
//!
//! [`run`] listens; each connection gets a thread, a connection to the server and a handshake of its own
//! (the module `passage`).

mod passage;

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::bank::ids::ServerId;
use crate::client::doors::Doors;
use crate::client::session::Failure;

/// The most connections at once.
const MOST: usize = 1_000;
/// The pause after a connection could not be taken in.
const PAUSE: Duration = Duration::from_millis(100);

/// A tunnel's options.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `HOST:PORT` on loopback at which to listen.
    pub listen: String,
    /// The `HOST:PORT` of the server.
    pub connect: String,
    /// The server that is meant, if one in particular is.
    pub id: Option<ServerId>,
    /// The keys.
    pub doors: Doors,
    /// How long connecting, and then the handshake, may take.
    pub timeout: Duration,
}

/// Listens until it has to stop, and returns the reason.
pub fn run(options: Options) -> String {
    let listener = match listen(&options.listen) {
        Ok(listener) => listener,
        Err(why) => return why,
    };
    // A wrong key is better known now than when the first line is lost to it.
    match passage::open(&options) {
        Ok(_) => {}
        Err(failure) if failure.is_transient() => {
            log::warn!("{failure}; it is tried again with each connection");
        }
        Err(failure) => return failure.to_string(),
    }
    log::info!("listening on {} for {}", options.listen, options.connect);
    let options = Arc::new(options);
    for socket in listener.incoming() {
        match socket.and_then(|socket| admit(socket, &options)) {
            Ok(()) => {}
            Err(error) => {
                log::warn!("a connection could not be taken in: {error}");
                thread::sleep(PAUSE);
            }
        }
    }
    "the listener ended".to_owned()
}

/// Listens at an address of this machine that no other machine reaches.
fn listen(address: &str) -> Result<TcpListener, String> {
    let wrong = |error: io::Error| format!("can't listen at {address}: {error}");
    let all: Vec<SocketAddr> = address.to_socket_addrs().map_err(wrong)?.collect();
    if let Some(far) = all.iter().find(|found| !found.ip().is_loopback()) {
        return Err(format!(
            "--listen {address} is {far}, which other machines may reach: whoever connects to a tunnel speaks \
             with its key, so it listens on loopback only, such as 127.0.0.1:9001"
        ));
    }
    TcpListener::bind(&all[..]).map_err(wrong)
}

/// Gives a connection its thread.
fn admit(socket: TcpStream, options: &Arc<Options>) -> io::Result<()> {
    // Each thread has a share in the options.
    if Arc::strong_count(options) > MOST {
        let what = format!("the tunnel has {MOST} connections already");
        return passage::refuse(&socket, &Failure::NotSent(what));
    }
    let options = Arc::clone(options);
    let passage = move || {
        if let Err(error) = passage::serve(&socket, &options)
            && !is_an_end(&error)
        {
            log::warn!("a connection ended: {error}");
        }
    };
    thread::Builder::new().name("passage".into()).spawn(passage).map(|_| ())
}

/// True if an error is what an end looks like from here.
fn is_an_end(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}
