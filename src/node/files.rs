//! How many clients this process can have, by the system's limits.

use std::fs;

use crate::node::connection::STACKS;
use crate::node::listener::{MAX_CLIENTS, ROOM_FOR_PEERS};
use crate::node::outside::CONNECTIONS;

/// The open files that a process may have if the system doesn't tell its limit.
const FILES_USUALLY: usize = 1024;
/// The files that a server needs for itself: its port, log and Redis, and room for changing over.
const OWN_FILES: usize = 32;
/// The files for each peer: both connections, each twice while it is made anew.
const FILES_FOR_A_PEER: usize = 4;
/// The files for HTTP: its port, and its connections.
const HTTP_FILES: usize = 1 + CONNECTIONS;
/// The address space that is kept free of clients, in bytes.
const OWN_ADDRESSES: usize = 512 << 20;
/// The address space of a connection beside its threads' stacks, in bytes.
const ADDRESSES_FOR_A_CLIENT: usize = 1 << 20;

/// Places for connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The places for clients.
    pub(crate) clients: usize,
    /// The connections beyond them that are opened to see who speaks: it may be a peer.
    pub(crate) to_look_at: usize,
}

/// Reads the system's limits, and logs what follows from them.
pub(crate) fn look(peers: usize, serves_http: bool) -> Places {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limit(&limits, "Max open files");
    let addresses = limit(&limits, "Max address space");
    let places = places(files, addresses, peers, if serves_http { HTTP_FILES } else { 0 });
    let said = |what: Option<usize>| what.map_or("any number of".to_owned(), |n| n.to_string());
    let why = format!(
        "at most {} clients: this process may have {} open files and {} bytes of addresses",
        places.clients,
        said(files),
        said(addresses)
    );
    match places.clients < MAX_CLIENTS {
        true => {
            log::warn!("{why}; raise `ulimit -n` and `ulimit -v` to have {MAX_CLIENTS}")
        }
        false => log::info!("{why}"),
    }
    places
}

/// Reads the limit `name`; none if it is unlimited.
fn limit(limits: &str, name: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name));
    match line.and_then(|line| line.split_whitespace().next()) {
        Some(soft) => soft.parse().ok(),
        None if name.contains("files") => Some(FILES_USUALLY),
        None => None,
    }
}

/// Computes the places beside `peers` peers.
fn places(files: Option<usize>, addresses: Option<usize>, peers: usize, beside: usize) -> Places {
    let files = files.unwrap_or(usize::MAX);
    let to_look_at = ROOM_FOR_PEERS.min(files / 8).max(1);
    let by_files = files.saturating_sub(OWN_FILES + beside + peers * FILES_FOR_A_PEER + to_look_at);
    let by_addresses = addresses.map_or(usize::MAX, |addresses| {
        addresses.saturating_sub(OWN_ADDRESSES) / (STACKS + ADDRESSES_FOR_A_CLIENT)
    });
    let clients = MAX_CLIENTS.min(by_files).min(by_addresses).max(1);
    Places { clients, to_look_at }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_have_what_servers_and_redis_leave() {
        let clients = |files| places(Some(files), None, 2, 0).clients;
        assert_eq!(places(None, None, 2, 0), Places { clients: 800, to_look_at: 64 });
        assert_eq!([clients(1024), clients(256), clients(64), clients(8)], [800, 184, 16, 1]);
        let beside = |peers| places(Some(256), None, peers, 0).clients;
        assert!(beside(8) < beside(2));
        assert_eq!(places(Some(256), None, 2, 9).clients, beside(2) - 9);
        let by_addresses = places(None, Some(1 << 30), 2, 0).clients;
        assert!((100..400).contains(&by_addresses), "{by_addresses}");
    }

    #[test]
    fn the_systems_limits_are_understood() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
            Max address space         unlimited            unlimited            bytes\n\
            Max open files            256                  4096                 files\n";
        assert_eq!(limit(limits, "Max open files"), Some(256));
        assert_eq!(limit(limits, "Max address space"), None);
        assert_eq!(limit("", "Max open files"), Some(FILES_USUALLY));
        assert_eq!(limit("", "Max address space"), None);
    }
}
