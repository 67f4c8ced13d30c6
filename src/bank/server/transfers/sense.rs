//! Whether what a client asks for makes sense here, whatever the balances are.

use std::collections::BTreeSet;

use super::super::Server;
use super::super::rights::{Given, Right};
use super::queue::{Culprit, Member};
use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Action;
use crate::bank::ledger::rule::LedgerError;
use crate::bank::limits::MAX_WAIT_MS;
use crate::bank::reason::{Code, Reason};
use crate::bank::request::{Instruction, Outcome};

impl Server {
    /// Checks a group as far as the balances don't matter.
    pub(super) fn makes_sense(&self, right: Right, group: &[Member]) -> Result<(), Culprit> {
        self.is_allowed(right, group)?;
        let last = group.len() - 1;
        let limits = &self.config.limits;
        if group[last].instruction.linked {
            let reason = Reason::new(
                Code::LinkedAtEnd,
                "the last of a request can't be linked to one after it",
            );
            return Err((last, Outcome::Invalid { reason }));
        }
        if group.len() > limits.element {
            let most = limits.element;
            let words = format!("at most {most} can be linked, not {}", group.len());
            let reason = Reason::new(Code::TooManyLinked, words);
            return Err((last, Outcome::Invalid { reason }));
        }
        if self.ledger.log.len() + group.len() > limits.log {
            let words =
                format!("the local log holds {} entries: settle first", self.ledger.log.len());
            let reason = Reason::new(Code::LogFull, words);
            return Err((last, Outcome::Unavailable { reason }));
        }
        let mut named = BTreeSet::new();
        let mut opened = BTreeSet::new();
        for (place, Member { instruction, .. }) in group.iter().enumerate() {
            let request = instruction.request.as_ref();
            if request.is_some_and(|request| !named.insert(request)) {
                let reason =
                    Reason::new(Code::NumberTwice, "two of one linked group have the same number");
                return Err((place, Outcome::Invalid { reason }));
            }
            self.instruction_makes_sense(instruction, &opened).map_err(|error| (place, error))?;
            if let Action::Open { account, .. } = &instruction.action {
                opened.insert(account);
            }
        }
        if self.ledger.balances.accounts() + opened.len() > limits.accounts && !opened.is_empty() {
            let reason = Reason::new(
                Code::TooManyAccounts,
                format!("there are {} accounts, the most there can be", limits.accounts),
            );
            return Err((last, Outcome::Unavailable { reason }));
        }
        Ok(())
    }

    /// Checks that a group may be asked for by this right, one member after the other.
    pub(in crate::bank::server) fn is_allowed(
        &self,
        right: Right,
        group: &[Member],
    ) -> Result<(), Culprit> {
        if right == Right::Everything {
            return Ok(());
        }
        let mut given = Given::new();
        for (place, Member { instruction, .. }) in group.iter().enumerate() {
            let action = &instruction.action;
            if planted!(RekeysEarly) {
                given.extend(given_by(action));
            }
            if let Some(reason) = self.rights().forbids_action(right, action, &given) {
                return Err((place, Outcome::Invalid { reason }));
            }
            given.extend(given_by(action));
        }
        Ok(())
    }

    fn instruction_makes_sense(
        &self,
        instruction: &Instruction,
        opened: &BTreeSet<&AccountId>,
    ) -> Result<(), Outcome> {
        let Instruction { action, wait_ms, .. } = instruction;
        let Some(subject) = action.subject() else {
            let reason = Reason::new(
                Code::NotForClients,
                "a server rejoins by its own word, not by a client's",
            );
            return Err(Outcome::Invalid { reason });
        };
        self.is_home_of(subject)?;
        if wait_ms.is_some_and(|ms| ms > MAX_WAIT_MS) {
            let reason = Reason::new(
                Code::WaitTooLong,
                format!("at most {MAX_WAIT_MS} ms can be waited for money"),
            );
            return Err(Outcome::Invalid { reason });
        }
        let known_here = |account: &AccountId| {
            opened.contains(account) || self.ledger.balances.local(account).is_some()
        };
        let unknown_here = |account: &AccountId| {
            (!known_here(account)).then(|| LedgerError::UnknownAccount(account.clone()))
        };
        let problem = match action {
            Action::Transfer { from, to, amount } => {
                self.transfer_makes_no_sense((from, to), *amount, known_here)?
            }
            Action::Mint { account, amount } | Action::Burn { account, amount } => {
                match self.chain().may_issue(0, action) {
                    Err(error @ LedgerError::NotIssuing) => Some(error),
                    _ if amount.units() == 0 => Some(LedgerError::Nothing),
                    _ => unknown_here(account),
                }
            }
            Action::Rekey { account, .. } => unknown_here(account),
            _ => None,
        };
        match problem {
            Some(problem) => Err(Outcome::Invalid { reason: (&problem).into() }),
            None => Ok(()),
        }
    }

    /// Returns what is wrong with a transfer whatever the balances are, if anything is.
    ///
    /// # Errors
    /// If the payee's home is no member.
    fn transfer_makes_no_sense(
        &self,
        (from, to): (&AccountId, &AccountId),
        amount: Amount,
        known_here: impl Fn(&AccountId) -> bool,
    ) -> Result<Option<LedgerError>, Outcome> {
        if self.is_homeless(to) {
            let words = format!("{} is no member of this bank: {to} can't be paid", to.home());
            return Err(Outcome::Invalid { reason: Reason::new(Code::NoSuchServer, words) });
        }
        // Whether another server's account exists is not for this server to say.
        let foreign = !to.is_of(&self.config.id) && self.home_of(to).is_some();
        Ok(match [from, to].into_iter().find(|account| !known_here(account)) {
            _ if amount == Amount::ZERO => Some(LedgerError::Nothing),
            _ if from == to => Some(LedgerError::ToItself),
            Some(account) if account == from || !foreign => {
                Some(LedgerError::UnknownAccount(account.clone()))
            }
            _ => None,
        })
    }

    /// Checks that an account may be opened and debited here.
    fn is_home_of(&self, account: &AccountId) -> Result<(), Outcome> {
        if account.is_of(&self.config.id) {
            return Ok(());
        }
        Err(match self.home_of(account) {
            None => Outcome::Invalid {
                reason: Reason::new(
                    Code::NoSuchServer,
                    format!("there is no account {account}: {} is no server", account.home()),
                ),
            },
            Some(server) => Outcome::WrongServer {
                reason: (&LedgerError::NotHome(account.clone())).into(),
                address: self.address(&server).unwrap_or_default().to_owned(),
                server,
            },
        })
    }

    /// Returns the member at which an account is at home.
    fn home_of(&self, account: &AccountId) -> Option<ServerId> {
        self.members().find(|server| account.is_of(server)).cloned()
    }

    /// True if an account's home is a member no more. What is on its way there may still arrive, but nothing new is
    /// sent.
    pub(in crate::bank::server) fn is_homeless(&self, account: &AccountId) -> bool {
        let derived = self.chain.as_ref().map(|chain| chain.derived());
        let some_left =
            derived.is_some_and(|derived| derived.included.len() > derived.instances.len());
        some_left && self.home_of(account).is_none() && !planted!(PaysWhoIsGone)
    }
}

/// Returns the account whose key an action sets, and the key, if it has one then.
fn given_by(action: &Action) -> Option<(&AccountId, Option<Fingerprint>)> {
    match action {
        Action::Open { account, key } => Some((account, key.as_deref().copied())),
        Action::Rekey { account, key } => Some((account, Some(**key))),
        _ => None,
    }
}
