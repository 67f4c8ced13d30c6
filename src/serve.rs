//! A server's life as a process: what it is made of, what its log says first and last, and its exit status.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use log::LevelFilter;
use paxos_banking::audit::backup::{going_on, store_for};
use paxos_banking::bank::blockchain::block::Origin;
use paxos_banking::bank::blockchain::origin::Opening;
use paxos_banking::node::{ExitReason, Node, absent, check_trace};
use paxos_banking::noise::load_or_create_key_file;
use paxos_banking::store::StoreError;
use paxos_banking::store::redis::RedisStore;
use paxos_banking::store::waiting::Waiting;

use crate::cli::Server;
use crate::logging::{self, LogFile};
use crate::signals::Desk;
use crate::{STOPPED, WRONG_USAGE, notify};
use paxos_banking::bank::limits::MAX_FOUNDED;

/// Is a server until it has to stop or is told to end, and returns the exit status.
pub fn serve(server: Server) -> u8 {
    let trace = server.node.trace.as_deref().map(check_trace).transpose();
    let log = trace.and_then(|_| server.log.log_file.as_deref().map(LogFile::open).transpose());
    let log = match log {
        Ok(log) => log,
        Err(why) => {
            eprintln!("error: {why}");
            return WRONG_USAGE;
        }
    };
    logging::start_in(&server.node.id, LevelFilter::Info, server.log.log_format, log.as_ref());
    let is_in_file = log.is_some();
    let ended = Desk::open(log)
        .map_err(|error| format!("signals can't be taken: {error}"))
        .and_then(|desk| run(server, &desk));
    match ended {
        Ok(ExitReason::Asked(leave)) => {
            log::info!("{leave}");
            0
        }
        Ok(reason) => stopped(&reason.to_string(), is_in_file),
        Err(why) => stopped(&why, is_in_file),
    }
}

/// Says why the server stopped, to whoever has started it, too.
fn stopped(why: &str, is_in_file: bool) -> u8 {
    log::error!("stopped: {why}");
    if is_in_file {
        eprintln!("stopped: {why}");
    }
    STOPPED
}

/// Runs a server until it ends, and returns why.
///
/// # Errors
/// Why it could not start.
fn run(mut server: Server, desk: &Desk) -> Result<ExitReason, String> {
    if let Some(path) = &server.key {
        server.node.doors.key = match load_or_create_key_file(path) {
            Ok((key, is_new)) => {
                let made = if is_new { ", made just now" } else { "" };
                log::info!(
                    "this server's key is {}, in {}{made}",
                    key.fingerprint(),
                    path.display()
                );
                Some(key)
            }
            Err(why) => return Err(why.to_string()),
        };
    }
    if !server.found_from.is_empty() {
        server.node.opening = Some(going_on(&server)?);
    }
    let store = RedisStore::new(&server.redis, &server.node.id, server.redis_options)
        .map_err(|error| error.to_string())?;
    let store = match server.archive {
        Some(options) => store.archived(options),
        None => store,
    };
    let node = Node::start(server.node, Box::new(store)).map_err(|error| error.to_string())?;
    log::info!("listening on {}", node.address());
    desk.serve(node.control());
    notify::say("READY=1");
    Ok(node.wait())
}

/// Reads what the new bank begins with, and says in the log what is carried over and what is lost.
fn going_on(server: &Server) -> Result<Arc<Opening>, String> {
    let found = going_on::going_on(&server.found_from)?;
    let (node, origin) = (&server.node, &found.opening.origin);
    let left_out = found.voters.iter().filter(|id| !node.cluster.contains_key(*id));
    let left_out: Vec<&str> = left_out.map(|id| id.as_str()).collect();
    if !left_out.is_empty() {
        return Err(format!(
            "all servers that voted in the former bank have to be in --cluster, as the homes of their accounts: {} \
             is missing (its branches may be admitted later)",
            left_out.join(", ")
        ));
    }
    if node.issuing && origin.total > MAX_FOUNDED {
        return Err(format!(
            "the former bank holds {}, and a bank that issues money begins with {MAX_FOUNDED} at most: found it without \
             --issuing",
            origin.total
        ));
    }
    check_store(server, origin)?;
    if let Some(archive) = &server.archive {
        store_for::check_archive(archive.folder.path(), origin)?;
    }
    found.carried.iter().for_each(|line| log::info!("carried over: {line}"));
    for (home, held) in found.homes.iter().filter(|(id, _)| !node.cluster.contains_key(*id)) {
        log::warn!(
            "{home} is not in --cluster: its accounts are carried over and hold {held} together, and nobody can \
             debit them until {home} is admitted (server --join, and the order to admit it)"
        );
    }
    if found.issuing && !node.issuing {
        log::warn!(
            "the former bank issues money, and this one is founded without --issuing: it never mints any, and never takes \
             back what was minted"
        );
    }
    found.lost.iter().for_each(|line| log::warn!("lost for good: {line}"));
    Ok(Arc::new(found.opening))
}

/// Checks that the store may be founded on, as soon as something answers there.
fn check_store(server: &Server, origin: &Origin) -> Result<(), String> {
    const PAUSE: Duration = Duration::from_millis(500);
    let (id, timeout) = (&server.node.id, server.redis_options.timeout);
    let mut waiting = Waiting::default();
    loop {
        match store_for::check_store(&server.redis, id, origin, timeout) {
            Ok(checked) => return checked,
            Err(error @ StoreError::Unreachable(_)) => waiting.say(&absent(&error)),
            Err(error) => return Err(error.to_string()),
        }
        thread::sleep(PAUSE);
    }
}
