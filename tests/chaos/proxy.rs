//! A proxy of our own for one way into a server: where connections go wrong.
//!
//! It passes bytes on or holds them, but never drops one and then passes the next: what comes through
//! TCP comes in order or not at all. What it holds comes late, or never, if the connection ends first.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::support::cluster::free_address;

/// How often a connection looks whether something is to be done to it.
const LOOK: Duration = Duration::from_millis(50);

/// How the way is at present.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// What the dialler says is held.
    pub hold_there: bool,
    /// What is said to the dialler is held.
    pub hold_back: bool,
    /// Nobody is let in.
    pub refuse: bool,
    /// How long each piece of at most 16 KiB takes.
    pub delay: Duration,
}

/// What may happen to all connections of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// They are closed at both ends.
    Cut,
    /// They are closed with something unread, so that the dialler gets a reset.
    Reset,
    /// They are closed at the target's end; at the dialler's they stay open, and silent.
    HalfOpen,
}

struct State {
    way: Way,
    /// Counts the blows; connections that were there before one suffer it.
    blows: u64,
    last_blow: Blow,
    over: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }
}

/// A listener whose connections go on to a target.
pub struct Proxy {
    address: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens at a free port.
    pub fn start(target: &str) -> Proxy {
        let (address, listener) = loop {
            let address = free_address();
            if let Ok(listener) = TcpListener::bind(&address) {
                break (address, listener);
            }
        };
        let state = State { way: Way::default(), blows: 0, last_blow: Blow::Cut, over: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let (target, of_listener) = (target.to_owned(), Arc::clone(&shared));
        thread::spawn(move || listen(&listener, &target, &of_listener));
        Proxy { address, shared }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Changes how the way is.
    pub fn change(&self, change: impl FnOnce(&mut Way)) {
        change(&mut self.shared.state().way);
        self.shared.changed.notify_all();
    }

    /// Does something to all connections that there are.
    pub fn strike(&self, blow: Blow) {
        let mut state = self.shared.state();
        state.blows += 1;
        state.last_blow = blow;
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().over = true;
        self.shared.changed.notify_all();
        // It waits for somebody to come.
        let _ = TcpStream::connect(&self.address);
    }
}

fn listen(listener: &TcpListener, target: &str, shared: &Arc<Shared>) {
    for dialler in listener.incoming() {
        let (over, refuse) = {
            let state = shared.state();
            (state.over, state.way.refuse)
        };
        if over {
            return;
        }
        let Ok(dialler) = dialler else { continue };
        if !refuse {
            let (target, shared) = (target.to_owned(), Arc::clone(shared));
            thread::spawn(move || carry(dialler, &target, &shared));
        }
    }
}

/// The two ends of a connection.
struct Pair {
    dialler: TcpStream,
    target: TcpStream,
    /// How many blows there had been when it began.
    blows: u64,
    ended: AtomicBool,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    There,
    Back,
}

fn carry(dialler: TcpStream, target: &str, shared: &Arc<Shared>) {
    let blows = shared.state().blows;
    let Ok(target) = TcpStream::connect(target) else { return };
    for socket in [&dialler, &target] {
        let prepared = socket
            .set_nodelay(true)
            .and_then(|()| socket.set_read_timeout(Some(LOOK)))
            .and_then(|()| socket.set_write_timeout(Some(LOOK)));
        if prepared.is_err() {
            return;
        }
    }
    let pair = Pair { dialler, target, blows, ended: AtomicBool::new(false) };
    thread::scope(|scope| {
        scope.spawn(|| pump(&pair, Direction::Back, shared));
        pump(&pair, Direction::There, shared);
    });
}

/// Why a pump stops.
enum Stop {
    /// The connection has ended.
    Ended,
    /// Something is done to it.
    Struck(Blow),
}

fn pump(pair: &Pair, direction: Direction, shared: &Shared) {
    let stop = match pass_on(pair, direction, shared) {
        Err(stop) => stop,
        Ok(never) => match never {},
    };
    match stop {
        Stop::Struck(Blow::Reset) => wait_for_something_unread(&pair.dialler),
        Stop::Struck(Blow::HalfOpen) => {
            let _ = pair.target.shutdown(Shutdown::Both);
            if direction == Direction::There {
                swallow(pair, shared);
            }
        }
        Stop::Ended | Stop::Struck(Blow::Cut) => {
            let _ = pair.dialler.shutdown(Shutdown::Both);
            let _ = pair.target.shutdown(Shutdown::Both);
        }
    }
    pair.ended.store(true, Ordering::Relaxed);
}

/// Passes bytes on until that is over.
fn pass_on(
    pair: &Pair,
    direction: Direction,
    shared: &Shared,
) -> Result<std::convert::Infallible, Stop> {
    let (mut from, to) = match direction {
        Direction::There => (&pair.dialler, &pair.target),
        Direction::Back => (&pair.target, &pair.dialler),
    };
    let mut buffer = [0; 16 << 10];
    loop {
        // Looked at before it is taken: only what is unread when a socket is closed makes a reset.
        let there_is = match from.peek(&mut buffer[..1]) {
            Ok(0) => return Err(Stop::Ended),
            Ok(_) => true,
            Err(error) if is_time_out(&error) => false,
            Err(_) => return Err(Stop::Ended),
        };
        let delay = may_pass(pair, direction, shared)?;
        if there_is {
            let Ok(count @ 1..) = from.read(&mut buffer) else { return Err(Stop::Ended) };
            thread::sleep(delay);
            write_all(pair, direction, to, &buffer[..count], shared)?;
        }
    }
}

/// Waits while the way is blocked. Returns how long the next piece takes.
fn may_pass(pair: &Pair, direction: Direction, shared: &Shared) -> Result<Duration, Stop> {
    let mut state = shared.state();
    loop {
        if state.blows > pair.blows {
            return Err(Stop::Struck(state.last_blow));
        }
        if state.over || pair.ended.load(Ordering::Relaxed) {
            return Err(Stop::Ended);
        }
        let Way { hold_there, hold_back, delay, .. } = state.way;
        if !(if direction == Direction::There { hold_there } else { hold_back }) {
            return Ok(delay);
        }
        state = shared.changed.wait_timeout(state, LOOK).expect("nobody panics with it").0;
    }
}

/// Writes all, however long the other end takes, unless something happens to the connection.
fn write_all(
    pair: &Pair,
    direction: Direction,
    mut to: &TcpStream,
    mut bytes: &[u8],
    shared: &Shared,
) -> Result<(), Stop> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if is_time_out(&error) => drop(may_pass(pair, direction, shared)?),
            Err(_) => return Err(Stop::Ended),
        }
    }
    Ok(())
}

/// Waits until the socket holds something, but not for long.
fn wait_for_something_unread(socket: &TcpStream) {
    for _ in 0..20 {
        match socket.peek(&mut [0]) {
            Err(error) if is_time_out(&error) => {}
            _ => return,
        }
    }
}

/// Reads what the dialler says, for nobody, until the connection is struck again.
fn swallow(pair: &Pair, shared: &Shared) {
    let blows = shared.state().blows;
    loop {
        let state = shared.state();
        if state.over || state.blows > blows {
            return;
        }
        drop(state);
        match (&pair.dialler).read(&mut [0; 4096]) {
            Err(error) if is_time_out(&error) => {}
            Ok(1..) => {}
            _ => return,
        }
    }
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
