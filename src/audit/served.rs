//! A running server, asked as a client asks it, as a source.
//!
//! A server tells its blocks' content, not their texts, so their hashes are its word. The audit checks that
//! they link, that each entry follows from the entries before, and that all servers say the same.

use std::collections::BTreeMap;

use crate::audit::Options as AuditOptions;
use crate::audit::finding::{At, Finding, Spot, Trouble};
use crate::audit::replay::{BlockFound, elements_of};
use crate::audit::source::{AccountsPiece, Source, Standing};
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Entry;
use crate::bank::limits::MAX_PAGE;
use crate::bank::request::{Reply, Request, Status};
use crate::bank::stored::Place;
use crate::client::Options;
use crate::client::doors::Doors;
use crate::client::session::Session;
use crate::wire::Answer;

/// How often a server is asked anew because a block came in between.
const ATTEMPTS: usize = 100;

/// A running server.
pub struct ServerSource {
    id: ServerId,
    address: String,
    session: Session,
    accounts: Next,
}

/// Which accounts come next.
enum Next {
    After(Option<AccountId>),
    Nothing,
}

impl ServerSource {
    /// Names the server `id` at `address`, which is asked with an audit's keys, and has an audit's time for
    /// each answer.
    pub fn new(id: ServerId, address: String, audit: &AuditOptions) -> ServerSource {
        let AuditOptions { doors, server_keys, timeout, .. } = audit;
        let server_key = server_keys.get(&id).copied();
        let doors = doors.clone().map(|doors| Doors { server_key, ..doors });
        let session = Session::new(&Options {
            id: id.clone(),
            address: address.clone(),
            others: BTreeMap::new(),
            doors,
            timeout: *timeout,
            give_up_after: *timeout,
            json: false,
            session: None,
            commands: Vec::new(),
        });
        ServerSource { id, address, session, accounts: Next::After(None) }
    }

    fn ask(&mut self, request: &Request) -> Result<Answer, Trouble> {
        self.session.ask(request).map_err(|failure| self.unread(&failure.to_string()))
    }

    fn unread(&self, why: &str) -> Trouble {
        Trouble::Unread(format!("server {} at {}: {why}", self.id, self.address))
    }

    fn status(&mut self) -> Result<Status, Trouble> {
        match self.ask(&Request::Status)? {
            Answer::Reply(Reply::Status(status)) if status.server == self.id => Ok(*status),
            Answer::Reply(Reply::Status(status)) => {
                Err(self.unread(&format!("the server there is {}", status.server)))
            }
            _ => Err(self.unread("it doesn't say how it is")),
        }
    }

    /// Reads the whole local log, page by page.
    fn log(&mut self) -> Result<Vec<Entry>, Trouble> {
        let mut log: Vec<Entry> = Vec::new();
        loop {
            let after = log.last().map(Entry::position);
            match self.ask(&Request::Log { after })? {
                Answer::Reply(Reply::Log { entries, more, .. }) => {
                    let goes_on = more && !entries.is_empty();
                    log.extend(entries);
                    if !goes_on {
                        return Ok(log);
                    }
                }
                _ => return Err(self.unread("it doesn't say what its log holds")),
            }
        }
    }

    fn spot_of(&self, what: &str, at: Option<At>) -> Spot {
        Spot { key: format!("{what} of {} at {}", self.id, self.address), at }
    }
}

fn blocks_of(status: &Status) -> u64 {
    status.height.map_or(0, |height| height + 1)
}

impl Source for ServerSource {
    fn name(&self) -> String {
        format!("{} at {}", self.id, self.address)
    }

    fn server(&self) -> Option<ServerId> {
        Some(self.id.clone())
    }

    fn spot(&self, place: &Place) -> Spot {
        match place {
            Place::Block(height) => self.spot_of("chain", Some(At::Index(*height))),
            Place::Element(index) => self.spot_of("log", Some(At::Index(*index as u64))),
            Place::Balance(account) => {
                self.spot_of("accounts", Some(At::Field(account.to_string())))
            }
            Place::Log => self.spot_of("log", None),
            Place::Balances => self.spot_of("accounts", None),
            Place::Chain => self.spot_of("chain", None),
            Place::Page(_)
            | Place::Checkpoint
            | Place::Included
            | Place::Instances
            | Place::Deposed
            | Place::Keys
            | Place::FormerKeys
            | Place::Membership
            | Place::Times
            | Place::Issued
            | Place::Sessions
            | Place::Session(_)
            | Place::Horizon
            | Place::Accepted
            | Place::Promised
            | Place::Lives => self.spot_of("status", None),
        }
    }

    fn standing(&mut self) -> Result<Option<Standing>, Trouble> {
        for _ in 0..ATTEMPTS {
            let before = self.status()?;
            let log = self.log()?;
            // Without a new block, nothing left the log.
            if self.status()?.height != before.height {
                continue;
            }
            let log =
                elements_of(&log).map_err(|what| Finding::new(self.spot(&Place::Log), what))?;
            let instance = Some(before.instance);
            let blocks = blocks_of(&before);
            return Ok(Some(Standing { blocks, log, instance, kept: None }));
        }
        Err(self.unread("its log can't be read: blocks come all the time"))
    }

    fn length(&mut self) -> Result<u64, Trouble> {
        Ok(0)
    }

    fn blocks(&mut self, from: u64, to: u64) -> Result<Vec<BlockFound>, Trouble> {
        match self.ask(&Request::Chain { from, to: Some(to) })? {
            Answer::Chain(told) => {
                let told = told.blocks.into_iter().map(Box::new);
                Ok(told.map(BlockFound::Told).collect())
            }
            _ => Err(self.unread("it doesn't say what its chain holds")),
        }
    }

    fn accounts_piece(&mut self) -> Result<Option<AccountsPiece>, Trouble> {
        let Next::After(after) = &self.accounts else { return Ok(None) };
        let page =
            Request::Accounts { prefix: String::new(), after: after.clone(), limit: MAX_PAGE };
        for _ in 0..ATTEMPTS {
            let before = self.status()?;
            let Answer::Reply(Reply::Accounts { accounts, more }) = self.ask(&page)? else {
                return Err(self.unread("it doesn't say which accounts there are"));
            };
            // The page is of one moment, but doesn't say of which.
            if self.status()?.height != before.height {
                continue;
            }
            let last = accounts.last().map(|listed| listed.account.clone());
            self.accounts = if more { Next::After(last) } else { Next::Nothing };
            let mut derived =
                AccountsPiece { blocks: blocks_of(&before), ..AccountsPiece::default() };
            for listed in accounts {
                match listed.committed {
                    Some(amount) => derived.balances.push((listed.account, amount)),
                    None => derived.names.push(listed.account),
                }
            }
            return Ok(Some(derived));
        }
        Err(self.unread("its accounts can't be read: blocks come all the time"))
    }
}
