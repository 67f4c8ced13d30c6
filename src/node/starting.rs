//! Starting on a store that takes no writes.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::node::StartError;
use crate::node::config::NodeConfig;
use crate::node::load::{LoadError, Loaded, load_to_serve};
use crate::node::read_only::Pauses;
use crate::node::socket::refuse;
use crate::store::{Store, StoreError};

/// How often to look for clients and peers that have connected meanwhile.
const LOOK: Duration = Duration::from_millis(20);
/// The time after which the log says again what the server waits for.
const SAID_AGAIN: Duration = Duration::from_secs(30);

/// Loads the store of a server that starts. If the store takes no writes and holds no open bank that may be
/// read meanwhile, this waits until it takes writes. It says so in the log and to everybody who connects.
///
/// # Errors
/// If the store fails before this wait, can't be used, or holds another bank.
pub(crate) fn load_patiently(
    config: &NodeConfig,
    store: &mut dyn Store,
    listener: &TcpListener,
) -> Result<Loaded, StartError> {
    let mut pauses = Pauses::default();
    let mut said: Option<(String, Instant)> = None;
    loop {
        let why = match load_to_serve(&config.for_server(), store) {
            Err(LoadError::Store(error @ StoreError::Refused(_))) => error.to_string(),
            // Somebody may be mending it: starting Redis anew with more room, say.
            Err(LoadError::Store(error)) if said.is_some() && error.is_transient() => {
                error.to_string()
            }
            loaded => return loaded.map_err(StartError::Load),
        };
        let is_news =
            |(before, at): &(String, Instant)| *before != why || at.elapsed() >= SAID_AGAIN;
        if said.as_ref().is_none_or(is_news) {
            log::warn!("{why}; it holds nothing that may be read meanwhile, so this server waits");
            said = Some((why.clone(), Instant::now()));
        }
        turn_away(config, listener, pauses.pause(&config.timings), &why);
    }
}

/// Tells everybody who connects within this time what the server waits for.
fn turn_away(config: &NodeConfig, listener: &TcpListener, time: Duration, why: &str) {
    let until = Instant::now() + time;
    let why = format!("{} waits for its store ({why}); try again later", config.id);
    // The sockets are closed at the end: a socket closed with bytes unread destroys the answer on its way.
    let mut told: Vec<TcpStream> = Vec::new();
    let can_look = listener.set_nonblocking(true).is_ok();
    while Instant::now() < until {
        if can_look && let Ok((socket, _)) = listener.accept() {
            refuse(&socket, &why);
            told.push(socket);
        } else {
            thread::sleep(LOOK);
        }
    }
    // A listener that can't be set back would spin: the next `accept` says what is wrong.
    let _ = listener.set_nonblocking(false);
}
