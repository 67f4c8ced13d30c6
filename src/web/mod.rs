//! The page: what a bank does, in a browser.
//!
//! A process of its own asks all servers a few times a second, as a client, and tells every browser what has changed.
//! So however many browsers look, the bank is asked once. It only reads, unless it is told to take orders.
//!
//! ```text
//! board ──── what is known of the bank now
//! crew ───── a watch for each member, which asks it again and again
//! follow ─── reads traces as they grow, for the picture of the protocol
//! live ───── or has the servers tell them, while somebody looks (scene: what they told)
//! feed ───── tells one browser what has changed
//! guard ──── who is let in, and what a request has to prove
//! answer ─── what is served where (page/: the page itself)
//! search ─── statements, blocks and entries
//! orders ─── what buttons do, if they may
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::bank::ids::ServerId;
use crate::client;
use crate::client::doors::Doors;
use crate::courtesy::give_way;
use crate::http::{Limits, Server};
use crate::web::answer::Site;
use crate::web::board::Board;
use crate::web::crew::Crew;
use crate::web::guard::Guard;
use crate::web::scene::Scene;

mod answer;
mod board;
mod crew;
mod feed;
mod follow;
mod guard;
mod live;
mod orders;
mod scene;
mod search;

/// Connections of browsers at a time: each has one for its events, and a few for what it asks.
const LIMITS: Limits =
    Limits { connections: 64, head: 16 << 10, body: 16 << 10, time: Duration::from_secs(10) };

/// What a page is to show, and to whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// The `HOST:PORT` to listen on.
    pub listen: String,
    /// The servers where to begin, each with its `HOST:PORT`. None if only traces are to be shown.
    pub servers: BTreeMap<ServerId, String>,
    /// The keys with which to go through the handshake; none to speak plain lines.
    pub doors: Option<Doors>,
    /// Files of traces, and folders of such files.
    pub traces: Vec<PathBuf>,
    /// True if the page may give orders.
    pub allow_orders: bool,
    /// True if others than this machine's users can reach the page.
    pub is_beyond_loopback: bool,
}

impl Options {
    /// Returns how to be a client of this server.
    fn client_of(&self, id: &ServerId, address: &str, patience: Duration) -> client::Options {
        client::Options {
            id: id.clone(),
            address: address.to_owned(),
            others: BTreeMap::new(),
            doors: self.doors.clone(),
            commands: Vec::new(),
            json: false,
            session: None,
            timeout: patience,
            give_up_after: patience,
        }
    }
}

/// Serves the page until the process ends. `say` hears where it is.
///
/// # Errors
/// If the address can't be listened on, or a trace can't be read.
pub fn run(options: Options, say: impl FnOnce(&str)) -> Result<(), String> {
    // All that the page does is for those who look on.
    give_way();
    let board = Arc::new(Board::default());
    let guard = Guard::new(options.is_beyond_loopback);
    let guard = guard.map_err(|error| format!("no token can be made: {error}"))?;
    if !options.traces.is_empty() {
        follow::start(options.traces.clone(), &board)?;
    }
    let scene = options.traces.is_empty().then(Arc::<Scene>::default);
    if let Some(scene) = &scene {
        live::start(scene, &board)?;
    }
    let crew = Arc::new(Crew::new(options.clone(), Arc::clone(&board), scene.clone()));
    let site = Site::new(guard, Arc::clone(&board), Arc::clone(&crew), scene);
    let query = site.query();
    let wrong = |error: io::Error| format!("can't listen on {}: {error}", options.listen);
    let server = Server::start(&options.listen, LIMITS, move |request| site.answer(request));
    let server = server.map_err(wrong)?;
    crew.begin();
    say(&format!("http://{}/{query}", server.address()));
    server.wait();
    Ok(())
}
