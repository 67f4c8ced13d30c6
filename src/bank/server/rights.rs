//! Who may ask for what in a bank with keys (DESIGN.md, "Keys").

use std::collections::BTreeMap;

use super::Server;
use crate::bank::asker::{Asker, Role};
use crate::bank::blockchain::chain::Chain;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, ConnectionId};
use crate::bank::ledger::entry::Action;
use crate::bank::reason::{Code, Reason};
use crate::bank::request::{Listed, Reply, Request, ShortStatus};

/// The most accounts that a short status names.
const MOST_NAMED: usize = 100;

/// What whoever speaks over a connection may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Right {
    /// Everything: this bank has no keys.
    Everything,
    /// What the role and the accounts of this key allow.
    Of(Asker),
    /// Nothing: no key was proved.
    Nothing,
}

impl Right {
    /// Returns the key that was proved, if one was.
    pub fn key(self) -> Option<Fingerprint> {
        match self {
            Right::Of(Asker { key, .. }) => Some(key),
            Right::Everything | Right::Nothing => None,
        }
    }

    fn is_operators(self) -> bool {
        matches!(self, Right::Everything | Right::Of(Asker { role: Some(Role::Operator), .. }))
    }

    fn reads_all(self) -> bool {
        self.is_operators() || matches!(self, Right::Of(Asker { role: Some(Role::Auditor), .. }))
    }
}

/// The keys that earlier members of a group give to accounts.
pub(super) type Given<'a> = BTreeMap<&'a AccountId, Option<Fingerprint>>;

impl Server {
    /// Returns what whoever speaks over a connection may do.
    pub(super) fn right_of(&self, connection: ConnectionId) -> Right {
        if !self.is_keyed() {
            return Right::Everything;
        }
        self.clients.asker(connection).map_or(Right::Nothing, Right::Of)
    }

    /// True if a key owns an account, by this server's knowledge.
    fn owns_any(&self, key: Fingerprint) -> bool {
        self.ledger.balances.owned_by(key).next().is_some()
    }

    /// Says why a request may not be made at all, if it may not.
    pub(super) fn forbids(&self, right: Right, request: &Request) -> Option<String> {
        let Right::Of(asker) = right else {
            return match right {
                Right::Nothing => Some(needs_key()),
                _ => None,
            };
        };
        let is_owner = self.owns_any(asker.key);
        let is_ones_own = |account: &AccountId| {
            self.ledger.balances.key_of(account) == Some(asker.key) || planted!(ReadsAnything)
        };
        let allowed = match request {
            _ if right.is_operators() => true,
            Request::Chain { .. } | Request::Log { .. } => right.reads_all(),
            Request::Settle | Request::Rejoin(_) => false,
            Request::Balance(account) => {
                right.reads_all() || account.as_ref().is_some_and(is_ones_own)
            }
            Request::History { account, .. } => right.reads_all() || is_ones_own(account),
            Request::Status | Request::Accounts { .. } => right.reads_all() || is_owner,
            Request::Session | Request::One(_) | Request::Batch(_) => is_owner,
        };
        (!allowed).then(|| not_allowed(asker.key, request))
    }

    /// Says why an instruction may not be given, if it may not. `given` are the keys that the group's members
    /// before it give.
    pub(super) fn forbids_action(
        &self,
        right: Right,
        action: &Action,
        given: &Given<'_>,
    ) -> Option<Reason> {
        let Right::Of(Asker { key, .. }) = right else {
            return match right {
                Right::Nothing => Some(Reason::new(Code::Forbidden, needs_key())),
                _ => None,
            };
        };
        let owner = |account: &AccountId| match given.get(account) {
            Some(given) => *given,
            None => self.ledger.balances.key_of(account),
        };
        let allowed = match action {
            Action::Transfer { from, .. } => match owner(from) {
                Some(owner) => owner == key || planted!(AnybodyDebits),
                None => right.is_operators(),
            },
            Action::Rekey { account, .. } => right.is_operators() || owner(account) == Some(key),
            Action::Open { .. } => right.is_operators(),
            // It has a reason of its own.
            Action::Pin { .. } | Action::Rejoin { .. } => true,
        };
        (!allowed).then(|| Reason::new(Code::Forbidden, forbidden(action, key)))
    }

    /// True if a transfer may be debited by this right. It is what [`Server::forbids_action`] asks about each
    /// transfer, for a single one.
    pub(super) fn may_debit(&self, right: Right, from: &AccountId) -> bool {
        match right {
            Right::Everything => true,
            Right::Nothing => false,
            Right::Of(Asker { key, .. }) => match self.ledger.balances.key_of(from) {
                Some(owner) => owner == key || planted!(AnybodyDebits),
                None => right.is_operators(),
            },
        }
    }

    /// Returns the part of the status that an account's owner may know, if `right` allows no more.
    pub(super) fn short_status(&self, right: Right) -> Option<Reply> {
        let Right::Of(Asker { key, .. }) = right else { return None };
        (!right.reads_all()).then(|| {
            let yours = self.ledger.balances.owned_by(key).take(MOST_NAMED).cloned().collect();
            Reply::Short(ShortStatus {
                server: self.config.id.clone(),
                active: self.store.active,
                bank: self.chain.as_ref().map(Chain::genesis_hash),
                height: self.height(),
                yours,
            })
        })
    }

    /// Returns a page of the accounts that `right` may know of, and whether there are more.
    pub(super) fn accounts_for(
        &self,
        right: Right,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> (Vec<Listed>, bool) {
        let balances = &self.ledger.balances;
        let Some(key) = right.key().filter(|_| !right.reads_all()) else {
            return balances.list(prefix, after, limit);
        };
        let mut own: Vec<&AccountId> = balances.owned_by(key).collect();
        own.retain(|account| account.as_str().starts_with(prefix) && Some(*account) > after);
        own.sort_unstable();
        let listed = |account: &&AccountId| Listed {
            account: (*account).clone(),
            committed: balances.committed(account),
        };
        (own.iter().take(limit).map(listed).collect(), own.len() > limit)
    }
}

fn needs_key() -> String {
    "this bank has keys, and this connection has proved none: connect with a key (client --key FILE; \
     `paxos-banking key` makes one), or through `paxos-banking tunnel`"
        .into()
}

/// Says what a key lacks, and nothing of what is there.
fn not_allowed(key: Fingerprint, request: &Request) -> String {
    let who = match request {
        Request::Settle | Request::Rejoin(_) => "only operators may ask for this",
        Request::Chain { .. } | Request::Log { .. } => {
            "only operators and auditors may ask for this"
        }
        Request::Balance(_) | Request::History { .. } => {
            "it owns no such account, and is neither an operator's nor an auditor's"
        }
        _ => "it owns no account, and is no operator's",
    };
    format!("not with the key {key}: {who}")
}

fn forbidden(action: &Action, key: Fingerprint) -> String {
    match action {
        Action::Transfer { from, .. } => {
            format!("not with the key {key}: {from} is not an account that it may debit")
        }
        Action::Rekey { account, .. } => {
            format!("not with the key {key}: {account} is not its account, and it is no operator's")
        }
        _ => format!("not with the key {key}: only operators open accounts"),
    }
}
