//! The bank to play with: servers as processes of this very program, on a Redis, in a folder that is gone
//! afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::bank::amount::Amount;
use crate::bank::ids::ServerId;
use crate::bank::limits::MAX_SERVERS;
use crate::bank::request::{Reply, Request, Status};
use crate::client;
use crate::client::session::Session;
use crate::play::Options;
use crate::play::folder::{Folder, end_of, log_at};
use crate::play::guard::Guarded;
use crate::play::redis::Redis;
use crate::wire::Answer;
use crate::wire::link::{LinkFault, LinkFaults, LinkOrder};

mod hearing;
mod members;
mod traces;

use traces::kept_folder;

/// The flags of each server. A run waits for the logs of all connected servers, so that its result doesn't
/// depend on how fast this machine is.
const FLAGS: [&str; 9] = [
    "--allow-fault-injection",
    "--heartbeat",
    "200ms",
    "--redial-most",
    "200ms",
    "--gather",
    "4s",
    "--gather-covered",
    "4s",
];

/// How long the servers may take to found the bank, and a server to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a look at a server may take.
const GLANCE: Duration = Duration::from_secs(2);

/// A server of the play.
#[derive(Debug)]
struct Actor {
    address: String,
    /// True if the bank was not founded with it.
    joins: bool,
    /// True if it may end by itself, since it is being dismissed.
    may_end: bool,
    process: Option<Guarded>,
    is_paused: bool,
    starts: usize,
    /// The session for looking at the server; its client has a session of its own.
    glance: Session,
}

impl Actor {
    fn new(id: &ServerId, address: &str, joins: bool) -> Actor {
        let glance = Session::new(&glance(id, address));
        let (process, is_paused, starts, may_end) = (None, false, 0, false);
        Actor { address: address.to_owned(), joins, may_end, process, is_paused, starts, glance }
    }
}

/// The bank. Everything it started ends when this is dropped, in the order of the fields.
#[derive(Debug)]
pub(super) struct Stage {
    actors: BTreeMap<ServerId, Actor>,
    /// Where those were that founded the bank.
    founded: BTreeMap<ServerId, String>,
    redis: Redis,
    folder: Folder,
    traces: PathBuf,
    opening: Amount,
    faults: Vec<(ServerId, LinkFault)>,
}

impl Stage {
    /// Founds a bank of these servers, with all of them connected.
    pub(super) fn set(
        servers: &BTreeSet<ServerId>,
        opening: Amount,
        options: &Options,
    ) -> Result<Stage, String> {
        let new_folder =
            || Folder::new().map_err(|error| format!("no temporary folder can be had: {error}"));
        let (redis, folder) = match &options.redis {
            Some(url) => (Redis::borrow(url, servers)?, new_folder()?),
            None => {
                let program = Redis::program()?;
                let folder = new_folder()?;
                (Redis::start(program, &folder)?, folder)
            }
        };
        let addresses = free_addresses(servers.len())?;
        let founded: BTreeMap<_, _> = servers.iter().cloned().zip(addresses).collect();
        let actors = founded.iter().map(|(id, at)| (id.clone(), Actor::new(id, at, false)));
        let (actors, faults) = (actors.collect(), Vec::new());
        let traces = match &options.traces {
            Some(kept) => kept_folder(kept)?,
            None => folder.path().to_owned(),
        };
        let mut stage = Stage { actors, founded, redis, folder, traces, opening, faults };
        for id in servers {
            stage.launch(id)?;
        }
        stage.wait_until("the bank is open", Stage::is_connected)?;
        Ok(stage)
    }

    // ── Servers that run, and that don't ─────────────────────────────────────────────────────────

    /// Kills a server. False if it didn't run.
    pub(super) fn kill(&mut self, id: &ServerId) -> bool {
        let Some(actor) = self.actors.get_mut(id) else { return false };
        actor.is_paused = false;
        actor.process.take().is_some()
    }

    /// Starts a server again, and waits until it answers. False if it ran.
    pub(super) fn start(&mut self, id: &ServerId) -> Result<bool, String> {
        if self.runs(id) {
            return Ok(false);
        }
        self.launch(id)?;
        self.wait_until(&format!("{id} answers"), |stage| stage.status(id).is_ok())?;
        // The server's links get the faults that they had.
        let own = self.faults.iter().filter(|(from, _)| from == id);
        for (_, fault) in own.cloned().collect::<Vec<_>>() {
            self.order(id, &LinkOrder::Break(fault))?;
        }
        Ok(true)
    }

    /// Stops a server, or lets it go on. False if it did so already.
    pub(super) fn pause(&mut self, id: &ServerId, pause: bool) -> Result<bool, String> {
        let actor = self.actors.get_mut(id).ok_or_else(|| format!("{id} is no server"))?;
        let Some(process) = &actor.process else { return Err(format!("{id} doesn't run")) };
        if actor.is_paused == pause {
            return Ok(false);
        }
        process.signal(if pause { "STOP" } else { "CONT" })?;
        actor.is_paused = pause;
        Ok(true)
    }

    /// True if the server's process is there.
    pub(super) fn runs(&self, id: &ServerId) -> bool {
        self.actors.get(id).is_some_and(|actor| actor.process.is_some())
    }

    /// Returns the servers that run and don't stand still.
    pub(super) fn live(&self) -> BTreeSet<ServerId> {
        let live = |actor: &Actor| actor.process.is_some() && !actor.is_paused;
        self.actors.iter().filter(|(_, actor)| live(actor)).map(|(id, _)| id.clone()).collect()
    }

    /// Returns how often servers were started so far.
    pub(super) fn starts(&self) -> usize {
        self.actors.values().map(|actor| actor.starts).sum()
    }

    /// Returns the opening balance of each server's account.
    pub(super) fn opening(&self) -> Amount {
        self.opening
    }

    /// Returns how many servers founded the bank.
    pub(super) fn founders(&self) -> usize {
        self.founded.len()
    }

    /// Returns all servers of the bank.
    pub(super) fn servers(&self) -> impl Iterator<Item = &ServerId> {
        self.actors.keys()
    }

    /// Returns the options for a client of a server.
    pub(super) fn client_of(&self, id: &ServerId) -> Option<client::Options> {
        let address = self.actors.get(id)?.address.clone();
        Some(client::Options {
            id: id.clone(),
            address,
            others: self.others_than(id),
            doors: None,
            timeout: client::DEFAULT_TIMEOUT,
            give_up_after: client::DEFAULT_GIVE_UP_AFTER,
            json: false,
            session: None,
            commands: Vec::new(),
        })
    }

    fn others_than(&self, id: &ServerId) -> BTreeMap<ServerId, String> {
        let others = self.actors.iter().filter(|(other, _)| *other != id);
        others.map(|(id, actor)| (id.clone(), actor.address.clone())).collect()
    }

    fn launch(&mut self, id: &ServerId) -> Result<(), String> {
        let actor = self.actors.get(id).ok_or_else(|| format!("{id} is no server"))?;
        let begin = match actor.joins {
            true => ["--join".to_owned(), cluster(&self.others_than(id))],
            false => ["--cluster".to_owned(), cluster(&self.founded)],
        };
        let program = std::env::current_exe()
            .map_err(|error| format!("this program can't find itself: {error}"))?;
        let mut command = Command::new(program);
        command.args(["server", "--id", id.as_str(), "--listen", &actor.address]).args(begin);
        // What somebody set for his own servers is not for those of a play.
        let ours = |name: &OsString| name.to_string_lossy().starts_with("PAXOS_BANKING_");
        for name in std::env::vars_os().map(|(name, _)| name).filter(ours) {
            command.env_remove(name);
        }
        // Not on the command line, which everybody on the machine can read: the URL may hold a password.
        command.env("PAXOS_BANKING_REDIS", self.redis.url());
        command.args(["--opening-balance", &self.opening.to_string()]).args(FLAGS);
        command.arg("--trace").arg(self.trace_of(id));
        let log = self.log_of(id);
        let process = log_at(&log).and_then(|log| Guarded::start(&command, log));
        let process = process.map_err(|error| format!("server {id} can't be started: {error}"))?;
        if let Some(actor) = self.actors.get_mut(id) {
            (actor.process, actor.starts) = (Some(process), actor.starts + 1);
        }
        Ok(())
    }

    fn log_of(&self, id: &ServerId) -> PathBuf {
        self.folder.path().join(format!("{id}.log"))
    }

    /// Returns the file of a server's trace.
    pub(super) fn trace_of(&self, id: &ServerId) -> PathBuf {
        self.traces.join(format!("{id}.jsonl"))
    }

    /// Returns the end of each server's log.
    pub(super) fn logs(&self) -> String {
        let end =
            |id| format!("The end of the log of server {id}:\n{}", end_of(&self.log_of(id), 15));
        self.actors.keys().map(end).collect::<Vec<_>>().join("\n\n")
    }

    /// Returns each server's log, by the server's name.
    pub(super) fn all_logs(&self) -> Vec<(String, PathBuf)> {
        let log = |id: &ServerId| (id.to_string(), self.log_of(id));
        self.actors.keys().map(log).filter(|(_, log)| log.exists()).collect()
    }

    /// Polls until `is_so`.
    pub(super) fn wait_until(
        &mut self,
        what: &str,
        is_so: impl Fn(&mut Stage) -> bool,
    ) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !is_so(self) {
            self.look_for_the_dead()?;
            if Instant::now() > deadline {
                return Err(format!("waited in vain until {what}\n\n{}", self.logs()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Fails if a server ended by itself, which ends the play.
    pub(super) fn look_for_the_dead(&mut self) -> Result<(), String> {
        let ended =
            |actor: &mut Actor| actor.process.as_mut().is_some_and(|it| it.ended().is_some());
        self.actors.retain(|_, actor| !(actor.may_end && ended(actor)));
        for (id, actor) in &mut self.actors {
            if actor.process.as_mut().is_some_and(|process| process.ended().is_some()) {
                let log = self.folder.path().join(format!("{id}.log"));
                return Err(format!("server {id} ended by itself:\n{}", end_of(&log, 15)));
            }
        }
        Ok(())
    }

    // ── Links ────────────────────────────────────────────────────────────────────────────────────

    /// Breaks these links from now on.
    pub(super) fn break_links(&mut self, faults: &[(ServerId, LinkFault)]) -> Result<(), String> {
        for (from, fault) in faults {
            self.faults.push((from.clone(), fault.clone()));
            // A server that doesn't run is told when it is started.
            if self.runs(from) {
                self.order(from, &LinkOrder::Break(fault.clone()))?;
            }
        }
        Ok(())
    }

    /// Ends the faults of these links, or all if none is named.
    pub(super) fn heal(&mut self, links: &[(ServerId, ServerId)]) -> Result<(), String> {
        for (from, to) in links {
            self.faults.retain(|(of, fault)| (of, &fault.peer) != (from, to));
            if self.runs(from) {
                self.order(from, &LinkOrder::Heal(Some(to.clone())))?;
            }
        }
        if !links.is_empty() {
            return Ok(());
        }
        self.faults.clear();
        let running: Vec<ServerId> =
            self.actors.keys().filter(|id| self.runs(id)).cloned().collect();
        running.iter().try_for_each(|id| self.order(id, &LinkOrder::Heal(None)).map(drop))
    }

    /// Gives a server an order about its links.
    pub(super) fn order(&mut self, id: &ServerId, order: &LinkOrder) -> Result<LinkFaults, String> {
        let actor = self.asked(id)?;
        actor.glance.order(order).map_err(|failure| format!("{id} doesn't answer: {failure}"))
    }

    // ── Looking at servers ───────────────────────────────────────────────────────────────────────

    /// Asks a server a question that changes nothing.
    pub(super) fn ask(&mut self, id: &ServerId, request: &Request) -> Result<Answer, String> {
        let actor = self.asked(id)?;
        actor.glance.ask(request).map_err(|failure| format!("{id} doesn't answer: {failure}"))
    }

    /// Returns a server's status.
    pub(super) fn status(&mut self, id: &ServerId) -> Result<Status, String> {
        match self.ask(id, &Request::Status)? {
            Answer::Reply(Reply::Status(status)) => Ok(*status),
            _ => Err(format!("{id} answers another question")),
        }
    }

    /// Returns the session for looking at the server.
    pub(super) fn glance(&mut self, id: &ServerId) -> Result<&mut Session, String> {
        Ok(&mut self.asked(id)?.glance)
    }

    fn asked(&mut self, id: &ServerId) -> Result<&mut Actor, String> {
        let actor = self.actors.get_mut(id).ok_or_else(|| format!("{id} is no server"))?;
        match (&actor.process, actor.is_paused) {
            (None, _) => Err(format!("{id} doesn't run")),
            (_, true) => Err(format!("{id} stands still")),
            _ => Ok(actor),
        }
    }
}

/// Writes servers and their addresses as a flag takes them.
fn cluster(servers: &BTreeMap<ServerId, String>) -> String {
    let each = servers.iter().take(MAX_SERVERS).map(|(id, address)| format!("{id}={address}"));
    each.collect::<Vec<_>>().join(",")
}

fn glance(id: &ServerId, address: &str) -> client::Options {
    client::Options {
        id: id.clone(),
        address: address.to_owned(),
        others: BTreeMap::new(),
        doors: None,
        timeout: GLANCE,
        give_up_after: GLANCE,
        json: false,
        session: None,
        commands: Vec::new(),
    }
}

/// Finds free loopback addresses. They are below the ports that systems give to connections: otherwise a
/// connection could take a server's port while the server is killed.
fn free_addresses(count: usize) -> Result<Vec<String>, String> {
    let (mut found, mut held) = (Vec::new(), Vec::new());
    for _ in 0..1_000 {
        if found.len() == count {
            return Ok(found);
        }
        let address = format!("127.0.0.1:{}", fastrand::u16(20_000..32_000));
        if let Ok(listener) = TcpListener::bind(&address) {
            found.push(address);
            held.push(listener);
        }
    }
    Err("there are no free ports from 20000 to 32000".into())
}
