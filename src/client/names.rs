//! The names that a word may be completed to. The server knows them.

use crate::bank::limits::MAX_PAGE;
use crate::bank::request::{Reply, Request};
use crate::client::completion::Kind;
use crate::client::session::{Session, ask};

/// Asks the server for names.
#[derive(Debug)]
pub(super) struct Names(Session);

impl Names {
    /// Names come from the server of this session, on connections of their own.
    pub(super) fn from(session: Session) -> Names {
        Names(session)
    }

    /// Does the same for another asker.
    pub(super) fn again(&self) -> Names {
        Names(self.0.beside(self.0.patience()))
    }

    /// Returns the words of these kinds that begin so, in order. Those that the server doesn't tell in time
    /// are missing.
    pub(super) fn of(&self, kinds: &[Kind], begin: &str) -> Vec<String> {
        let mut words: Vec<String> =
            kinds.iter().flat_map(|kind| self.of_kind(kind, begin)).collect();
        words.retain(|word| word.starts_with(begin));
        words.sort();
        words.dedup();
        words
    }

    fn of_kind(&self, kind: &Kind, begin: &str) -> Vec<String> {
        // A connection that is idle between two looks would only take room at the server.
        let mut session = self.0.beside(self.0.patience());
        match kind {
            Kind::Words(words) => words.iter().map(|word| (*word).to_owned()).collect(),
            Kind::Servers => match ask(&mut session, &Request::Status) {
                Ok(Reply::Status(status)) => {
                    let peers = status.peers.iter().map(|peer| &peer.id);
                    peers.chain([&status.server]).map(ToString::to_string).collect()
                }
                Ok(Reply::Short(status)) => vec![status.server.to_string()],
                _ => Vec::new(),
            },
            Kind::Accounts => {
                let request =
                    Request::Accounts { prefix: begin.into(), after: None, limit: MAX_PAGE };
                match ask(&mut session, &request) {
                    Ok(Reply::Accounts { accounts, .. }) => {
                        accounts.iter().map(|listed| listed.account.to_string()).collect()
                    }
                    _ => Vec::new(),
                }
            }
        }
    }
}
