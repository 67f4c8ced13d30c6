//! A watch for each member of the bank: it asks that server, again and again, how it is and what is new.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::{Entry, Position};
use crate::bank::request::{Reply, Request, Status};
use crate::client::session::Session;
use crate::web::Options;
use crate::web::board::Board;
use crate::web::live;
use crate::web::scene::Scene;
use crate::wire::Answer;

/// The pause between two questions for the status.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most entries of a log that are shown.
const ENTRIES: u64 = 40;
/// A log that grows by more between two looks is not read: nobody could follow it, and each look would read all that
/// came meanwhile.
const GROWTH: u64 = 1_000;

/// The watches, and whom they watch.
#[derive(Debug)]
pub(super) struct Crew {
    options: Options,
    board: Arc<Board>,
    /// What the servers are to tell of the protocol, if the page shows that.
    scene: Option<Arc<Scene>>,
    watched: Mutex<BTreeMap<ServerId, String>>,
}

impl Crew {
    pub(super) fn new(options: Options, board: Arc<Board>, scene: Option<Arc<Scene>>) -> Crew {
        Crew { options, board, scene, watched: Mutex::default() }
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<ServerId, String>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if orders are taken.
    pub(super) fn takes_orders(&self) -> bool {
        self.options.allow_orders
    }

    /// Begins to watch the servers that were named.
    pub(super) fn begin(self: &Arc<Crew>) {
        for (id, address) in &self.options.servers {
            self.watch(id, address);
        }
    }

    /// Watches a server at this address, unless it is watched there.
    fn watch(self: &Arc<Crew>, id: &ServerId, address: &str) {
        let before = self.watched().insert(id.clone(), address.to_owned());
        if before.as_deref() == Some(address) {
            return;
        }
        self.spawn("watch", id, address, |crew, id, address| {
            watch(crew, &crew.board, id, address);
        });
        if let Some(scene) = self.scene.clone() {
            self.spawn("trace", id, address, move |crew, id, address| {
                let is_wanted = || crew.is_wanted(id, address);
                let onlooker = || crew.client_of(id, address, PATIENCE).onlooker();
                live::listen(&scene, id, is_wanted, onlooker);
            });
        }
    }

    fn spawn(
        self: &Arc<Crew>,
        what: &str,
        id: &ServerId,
        address: &str,
        work: impl FnOnce(&Arc<Crew>, &ServerId, &str) + Send + 'static,
    ) {
        let (crew, name) = (Arc::clone(self), format!("{what}-{id}"));
        let (id, address) = (id.clone(), address.to_owned());
        if let Err(error) = Builder::new().name(name).spawn(move || work(&crew, &id, &address)) {
            log::warn!("no thread to watch a server: {error}");
        }
    }

    /// True if this is still where the server is watched.
    pub(super) fn is_wanted(&self, id: &ServerId, address: &str) -> bool {
        self.watched().get(id).is_some_and(|at| at == address)
    }

    /// Follows the members that a server names: they come, move and go.
    pub(super) fn follow(self: &Arc<Crew>, status: &Status) {
        if !status.active {
            return;
        }
        for peer in status.peers.iter().filter(|peer| !peer.address.is_empty()) {
            // Who was named on the command line is found there: a bank may know its members by other addresses.
            if !self.options.servers.contains_key(&peer.id) {
                self.watch(&peer.id, &peer.address);
            }
        }
        let is_member =
            |id: &ServerId| *id == status.server || status.peers.iter().any(|peer| peer.id == *id);
        let gone: Vec<ServerId> =
            self.watched().keys().filter(|id| !is_member(id)).cloned().collect();
        for id in gone.into_iter().filter(|id| !self.options.servers.contains_key(id)) {
            self.watched().remove(&id);
            self.board.forget(&id);
        }
    }

    /// Returns where a server is asked, if it is one that is watched.
    pub(super) fn address_of(&self, id: &ServerId) -> Option<String> {
        self.watched().get(id).cloned()
    }

    /// Returns a client of a server, which waits no longer than this.
    pub(super) fn client_of(&self, id: &ServerId, address: &str, patience: Duration) -> Session {
        Session::new(&self.options.client_of(id, address, patience))
    }
}

/// Watches a server until it is no member any more, or is somewhere else.
fn watch(crew: &Arc<Crew>, board: &Board, id: &ServerId, address: &str) {
    let mut session = crew.client_of(id, address, PATIENCE);
    let mut seen = None;
    while crew.is_wanted(id, address) {
        let said = look(&mut session, board, &mut seen);
        if let Ok((status, _)) = &said {
            crew.follow(status);
        }
        if crew.is_wanted(id, address) {
            board.heard(id, address, said);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Looks at a server; `seen` is the last entry that was in its log at the last look.
fn look(
    session: &mut Session,
    board: &Board,
    seen: &mut Option<Position>,
) -> Result<(Status, Vec<Entry>), String> {
    let mut ask = |request: &Request| session.ask(request).map_err(|failure| failure.to_string());
    let status = match ask(&Request::Status)? {
        Answer::Reply(Reply::Status(status)) => *status,
        Answer::Reply(Reply::Short(_)) => {
            return Err("in a bank with keys the page needs an auditor's key (--key)".into());
        }
        Answer::Reply(Reply::Error { message, .. }) => return Err(message),
        _ => return Err("its answer is out of place".into()),
    };
    if let Some(height) = status.height.filter(|_| status.active)
        && let Some(next) = board.next_height(height)
        && let Answer::Chain(piece) = ask(&Request::Chain { from: next, to: Some(height) })?
    {
        board.add(piece.blocks);
    }
    let mut log = Vec::new();
    if status.log_length > 0 && status.active {
        let included = status.included.get(&status.server).copied();
        let entry = |number: u64| included.map(|last| Position { seq: last.seq + number, ..last });
        let length = status.log_length as u64;
        let before = std::mem::replace(seen, entry(length));
        if before.zip(*seen).is_some_and(|(before, now)| now.seq > before.seq + GROWTH) {
            return Ok((status, log));
        }
        let after = entry(length.saturating_sub(ENTRIES));
        if let Answer::Reply(Reply::Log { entries, .. }) = ask(&Request::Log { after })? {
            log = entries;
            log.truncate(ENTRIES as usize);
        }
    }
    Ok((status, log))
}
