//! The servers that a scenario file speaks of.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::ids::{AccountId, ServerId};
use crate::bank::limits::MAX_SERVERS;
use crate::play::strangers::{Named, strangers};
use crate::play::wrong::{Place, Wrong};

/// The servers of a file that names none.
const USUAL_SERVERS: [&str; 3] = ["A", "B", "C"];

/// The bank's servers, and those that a file mentions.
#[derive(Debug, Default)]
pub(super) struct Cast {
    /// The servers named by a line `servers …`.
    pub declared: Option<BTreeSet<ServerId>>,
    /// The servers that do something or are done something to, each with its first place.
    pub acting: Vec<(ServerId, Place)>,
    /// The servers that money is sent to. In a file without the line `servers …`, each of them belongs to
    /// the bank, unless it looks mistyped; with the line, a stranger among them may be the mistake that the file is about.
    pub paid: Vec<(ServerId, Place)>,
    /// The servers that are admitted, each with the first line that does it.
    pub admitted: Vec<(ServerId, Place)>,
    /// How often each server is mentioned.
    times: BTreeMap<ServerId, usize>,
}

impl Cast {
    pub(super) fn acts(&mut self, server: &ServerId, place: Place) {
        *self.times.entry(server.clone()).or_default() += 1;
        mention(&mut self.acting, server, place);
    }

    pub(super) fn is_paid(&mut self, account: &AccountId, place: Place) {
        if let Ok(home) = account.home().parse::<ServerId>() {
            *self.times.entry(home.clone()).or_default() += 1;
            mention(&mut self.paid, &home, place);
        }
    }

    pub(super) fn is_admitted(&mut self, server: &ServerId, place: Place) {
        mention(&mut self.admitted, server, place);
    }

    /// True if a server is first spoken of at this place, after it was admitted.
    fn comes_later(&self, server: &ServerId, place: Place) -> bool {
        self.admitted.iter().any(|(admitted, since)| admitted == server && *since < place)
    }

    /// Returns the servers that found the bank.
    pub(super) fn servers(&self, wrongs: &mut Vec<Wrong>) -> BTreeSet<ServerId> {
        if let Some(declared) = &self.declared {
            for (server, place) in &self.acting {
                if !declared.contains(server) && !self.comes_later(server, *place) {
                    let (all, what) = (list(declared), "servers of this file");
                    let what = format!("{server} is none of the {what}, which are {all}");
                    wrongs.push(Wrong { place: *place, what });
                }
            }
            return declared.clone();
        }
        let mut servers: BTreeSet<ServerId> = BTreeSet::new();
        let mut mentioned: Vec<&(ServerId, Place)> = self.acting.iter().chain(&self.paid).collect();
        mentioned.sort_by_key(|(_, place)| *place);
        // Who is spoken of before it is admitted was there at the founding.
        let first = |server: &ServerId| mentioned.iter().find(|(other, _)| other == server);
        let later = |(server, _): &&(ServerId, Place)| {
            first(server).is_some_and(|(_, place)| self.comes_later(server, *place))
        };
        let mentioned: Vec<_> = mentioned.iter().copied().filter(|one| !later(one)).collect();
        wrongs.extend(self.strangers(&mentioned));
        for (server, place) in mentioned {
            if servers.insert(server.clone()) && servers.len() == MAX_SERVERS + 1 {
                let what = "server too many: a bank has at most";
                let what = format!("{server} is one {what} {MAX_SERVERS}");
                wrongs.push(Wrong { place: *place, what });
            }
        }
        let usual = usual();
        // A file that speaks of A and B alone is about the usual three.
        if servers.is_subset(&usual) { usual } else { servers }
    }

    /// Finds the names that look mistyped in a file that doesn't say which servers there are.
    fn strangers(&self, mentioned: &[&(ServerId, Place)]) -> Vec<Wrong> {
        let times = |server: &ServerId| self.times.get(server).copied().unwrap_or_default();
        let mut names: Vec<Named> = Vec::new();
        for (server, place) in mentioned {
            if names.iter().all(|name| name.server != *server) {
                names.push(Named { server: server.clone(), place: *place, times: times(server) });
            }
        }
        let usual = usual();
        let of_usual = names.iter().any(|name| usual.contains(&name.server));
        let usual = usual.into_iter().filter(|_| of_usual);
        let admitted = self.admitted.iter().map(|(server, _)| server.clone());
        let place = Place { line: 1, column: 1 };
        let known = |server| Named { times: usize::MAX / 2 + times(&server), server, place };
        let known: Vec<Named> = usual.chain(admitted).map(known).collect();
        strangers(&names, &known)
    }
}

/// Returns the servers of a file that names none.
fn usual() -> BTreeSet<ServerId> {
    USUAL_SERVERS.iter().filter_map(|name| name.parse().ok()).collect()
}

fn mention(mentioned: &mut Vec<(ServerId, Place)>, server: &ServerId, place: Place) {
    if mentioned.iter().all(|(known, _)| known != server) {
        mentioned.push((server.clone(), place));
    }
}

/// Joins names in a row.
pub(super) fn list<'a>(servers: impl IntoIterator<Item = &'a ServerId>) -> String {
    servers.into_iter().map(ServerId::as_str).collect::<Vec<_>>().join(", ")
}
