//! Starting on a store that isn't there yet, or takes no writes.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::node::StartError;
use crate::node::config::NodeConfig;
use crate::node::load::{LoadError, Loaded, load_to_serve};
use crate::node::read_only::Pauses;
use crate::node::socket::refuse;
use crate::store::waiting::Waiting;
use crate::store::{Store, StoreError};

/// How often to look for clients and peers that have connected meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// Loads the store of a server that starts. It is waited for without end, if nothing answers there: machines start in
/// any order. So it is if it takes no writes and holds no open bank that may be read meanwhile. The server says
/// so in the log and to everybody who connects.
///
/// # Errors
/// If the store fails otherwise before this wait, can't be used, or holds another bank.
pub(crate) fn load_patiently(
    config: &NodeConfig,
    store: &mut dyn Store,
    listener: &TcpListener,
) -> Result<Loaded, StartError> {
    let (mut pauses, mut waiting, mut is_mended) = (Pauses::default(), Waiting::default(), false);
    loop {
        let why = match load_to_serve(&config.for_server(), store) {
            Err(LoadError::Store(error @ StoreError::Unreachable(_))) => {
                waiting.say(&absent(&error));
                error.to_string()
            }
            Err(LoadError::Store(error @ StoreError::Refused(_))) => {
                is_mended = true;
                let what = "it holds nothing that may be read meanwhile, so this server waits";
                waiting.say(&format!("{error}; {what}"));
                error.to_string()
            }
            // Somebody may be mending it: starting Redis anew with more room, say.
            Err(LoadError::Store(error)) if is_mended && error.is_transient() => {
                waiting.say(&format!("{error}; this server waits"));
                error.to_string()
            }
            Ok(loaded) if waiting.has_waited() => {
                log::info!("the store that was waited for is there");
                return Ok(loaded);
            }
            loaded => return loaded.map_err(StartError::Load),
        };
        turn_away(config, listener, pauses.pause(&config.timings), &why);
    }
}

/// Says that nothing answers where the store should be, and what may help.
pub fn absent(error: &StoreError) -> String {
    format!(
        "{error}. Does Redis run there? `redis-server ./redis.conf` starts one; --redis URL names another place. \
         This server waits for it"
    )
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
