//! Who may ask for what in a bank with keys (DESIGN.md, "Keys").

use std::collections::BTreeMap;

use super::Server;
use crate::bank::asker::{Asker, Role};
use crate::bank::blockchain::chain::Chain;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, ConnectionId};
use crate::bank::ledger::balances::Balances;
use crate::bank::ledger::entry::Action;
use crate::bank::reason::{Code, Reason};
use crate::bank::request::{Listed, Order, Reply, Request, ShortStatus};

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

    /// True if it debits an account with this owner's key, or with none, in a bank with keys.
    fn debits(self, owner: Option<Fingerprint>) -> bool {
        match owner {
            Some(owner) => self.key() == Some(owner) || planted!(AnybodyDebits),
            None => self.is_operators(),
        }
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

    /// Returns the rights that follow from the accounts' keys.
    pub(super) fn rights(&self) -> Rights<'_> {
        Rights { balances: &self.ledger.balances }
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
}

/// The rights that follow from the accounts' keys, as a server knows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rights<'a> {
    balances: &'a Balances,
}

impl Rights<'_> {
    /// True if a key owns an account, by this server's knowledge.
    fn owns_any(self, key: Fingerprint) -> bool {
        self.balances.owned_by(key).next().is_some()
    }

    /// Says why a request may not be made at all, if it may not.
    pub fn forbids(self, right: Right, request: &Request) -> Option<String> {
        let Right::Of(asker) = right else {
            return match right {
                Right::Nothing => Some(needs_key()),
                _ => None,
            };
        };
        let is_owner = self.owns_any(asker.key);
        let is_ones_own = |account: &AccountId| {
            self.balances.key_of(account) == Some(asker.key) || planted!(ReadsAnything)
        };
        let allowed = match request {
            _ if right.is_operators() => true,
            Request::Chain { .. } | Request::Log { .. } | Request::Follow(_) => right.reads_all(),
            Request::Members(Order::Show) => right.reads_all(),
            Request::Settle | Request::Rejoin(_) | Request::Members(_) => false,
            Request::Balance(account) => {
                right.reads_all() || account.as_ref().is_some_and(is_ones_own)
            }
            Request::History { account, .. } => right.reads_all() || is_ones_own(account),
            Request::Status | Request::Accounts { .. } => right.reads_all() || is_owner,
            Request::Session(_) | Request::One(_) | Request::Batch(_) => is_owner,
        };
        (!allowed).then(|| not_allowed(asker.key, request))
    }

    /// Says why an instruction may not be given, if it may not. `given` are the keys that the group's members
    /// before it give.
    pub fn forbids_action(
        self,
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
            None => self.balances.key_of(account),
        };
        let allowed = match action {
            Action::Transfer { from, .. } => right.debits(owner(from)),
            Action::Rekey { account, .. } => right.is_operators() || owner(account) == Some(key),
            Action::Open { .. } => right.is_operators(),
            // At a till: no operator takes from an account that has an owner, or gives to it unasked.
            Action::Mint { account, .. } | Action::Burn { account, .. } => {
                planted!(AnybodyIssues) || (right.is_operators() && right.debits(owner(account)))
            }
            // It has a reason of its own.
            Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => true,
        };
        (!allowed).then(|| Reason::new(Code::Forbidden, forbidden(action, key)))
    }

    /// True if a transfer may be debited by this right. It is what [`Rights::forbids_action`] asks about each
    /// transfer, for a single one.
    pub fn may_debit(self, right: Right, from: &AccountId) -> bool {
        right == Right::Everything || right.debits(self.balances.key_of(from))
    }

    /// Returns a page of the accounts that `right` may know of, and whether there are more.
    pub fn accounts_for(
        self,
        right: Right,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> (Vec<Listed>, bool) {
        let balances = self.balances;
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
        Request::Settle | Request::Rejoin(_) | Request::Members(_) => {
            "only operators may ask for this"
        }
        Request::Chain { .. } | Request::Log { .. } | Request::Follow(_) => {
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
        Action::Mint { account, .. } | Action::Burn { account, .. } => format!(
            "not with the key {key}: only operators issue money or take it back, and only at an account without a \
             key, such as {}; from there it is transferred",
            account.home()
        ),
        _ => format!("not with the key {key}: only operators open accounts"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Fingerprint {
        Fingerprint::of(name.as_bytes())
    }

    fn account(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    fn asks(name: &str, role: Option<Role>) -> Right {
        Right::Of(Asker { key: key(name), role })
    }

    fn pays_from(name: &str) -> Action {
        Action::Transfer { from: account(name), to: account("B"), amount: Default::default() }
    }

    #[test]
    fn whoever_has_the_key_debits_and_an_operator_what_has_none() {
        let mut balances = Balances::new(1, 2);
        balances.found([(account("A"), Default::default())]);
        let open = Action::Open { account: account("A/x"), key: Some(Box::new(key("x"))) };
        balances.apply(&open).unwrap();
        let rights = Rights { balances: &balances };
        let may = |right, from: &str| {
            let allowed = rights.forbids_action(right, &pays_from(from), &Given::new()).is_none();
            assert_eq!(rights.may_debit(right, &account(from)), allowed, "both ways to ask agree");
            allowed
        };
        let operator = asks("o", Some(Role::Operator));
        let auditor = asks("a", Some(Role::Auditor));
        let all = [Right::Everything, operator, auditor, asks("x", None), Right::Nothing];
        assert_eq!(all.map(|right| may(right, "A/x")), [true, false, false, true, false]);
        assert_eq!(all.map(|right| may(right, "A")), [true, true, false, false, false]);
    }

    #[test]
    fn whoever_may_read_all_may_follow_and_no_owner() {
        let mut balances = Balances::new(1, 2);
        balances.found([(account("A"), Default::default())]);
        let open = Action::Open { account: account("A/x"), key: Some(Box::new(key("x"))) };
        balances.apply(&open).unwrap();
        let rights = Rights { balances: &balances };
        let operator = asks("o", Some(Role::Operator));
        let auditor = asks("a", Some(Role::Auditor));
        let all = [Right::Everything, operator, auditor, asks("x", None), Right::Nothing];
        let follow = Request::Follow(Default::default());
        let may = all.map(|right| rights.forbids(right, &follow).is_none());
        assert_eq!(may, [true, true, true, false, false]);
    }

    #[test]
    fn a_member_of_a_group_is_judged_by_the_keys_given_before_it() {
        let balances = Balances::new(1, 2);
        let rights = Rights { balances: &balances };
        let x = account("A/x");
        let given = Given::from([(&x, Some(key("x")))]);
        let forbids = |right| rights.forbids_action(right, &pays_from("A/x"), &given).is_some();
        assert!(forbids(asks("o", Some(Role::Operator))) && !forbids(asks("x", None)));
    }
}
