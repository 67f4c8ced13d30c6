//! What moves money, opens accounts and gives them keys, one at a time: `{"to":"B","amount":30}`.

use super::fields::{Object, count, first_name, objects, paid, present, wait};
use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, SessionId};
use crate::bank::ledger::entry::Action;
use crate::bank::reference::Reference;
use crate::bank::request::{Instruction, Request};
use serde::{Deserialize, Serialize};

objects! {
    TransferFields {
        from: AccountId = "present",
        to: AccountId = "present",
        amount: Amount = "paid",
        session: SessionId = "present",
        number: u64 = "count",
        settled: bool = "present",
        wait_ms: u64 = "wait",
        reference: Reference = "present"
    }
    IssueFields {
        account: AccountId = "present",
        amount: Amount = "paid",
        session: SessionId = "present",
        number: u64 = "count",
        settled: bool = "present",
        wait_ms: u64 = "wait",
        reference: Reference = "present"
    }
    OpenFields {
        account: AccountId = "present",
        key: Fingerprint = "present",
        session: SessionId = "present",
        number: u64 = "count",
        settled: bool = "present",
        reference: Reference = "present"
    }
}

/// The fields of an instruction, by its kind.
#[derive(Debug)]
pub(super) enum Fields {
    Transfer(Object<TransferFields>),
    Mint(Object<IssueFields>),
    Burn(Object<IssueFields>),
    Open(Object<OpenFields>),
    Rekey(Object<OpenFields>),
}

/// Turns an instruction into fields.
///
/// # Panics
/// If no line can say it, as [`encode_request`](super::encode_request) tells.
pub(super) fn fields_of(instruction: Instruction) -> Fields {
    let Instruction { action, request, linked, settled, wait_ms, reference } = instruction;
    assert!(!linked, "one alone is linked to nothing");
    assert!(action.payer().is_some() || wait_ms.is_none(), "it needs no money to wait for");
    let (session, number) = request.map(|request| (request.session, request.number)).unzip();
    let settled = settled.then_some(true);
    let opening = OpenFields { session, number, settled, reference, ..OpenFields::default() };
    let issue = |opening: OpenFields, account, amount| {
        let OpenFields { session, number, settled, reference, .. } = opening;
        let (account, amount) = (Some(account), Some(amount));
        Object(IssueFields { account, amount, session, number, settled, wait_ms, reference })
    };
    match action {
        Action::Transfer { from, to, amount } => {
            let OpenFields { session, number, settled, reference, .. } = opening;
            let (from, to, amount) = (Some(from), Some(to), Some(amount));
            Fields::Transfer(Object(TransferFields {
                from,
                to,
                amount,
                session,
                number,
                settled,
                wait_ms,
                reference,
            }))
        }
        Action::Mint { account, amount } => Fields::Mint(issue(opening, account, amount)),
        Action::Burn { account, amount } => Fields::Burn(issue(opening, account, amount)),
        Action::Open { account, key } => {
            let (account, key) = (Some(account), key.map(|key| *key));
            Fields::Open(Object(OpenFields { account, key, ..opening }))
        }
        Action::Rekey { account, key } => {
            let (account, key) = (Some(account), Some(*key));
            Fields::Rekey(Object(OpenFields { account, key, ..opening }))
        }
        Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => {
            panic!("no client asks for that")
        }
    }
}

pub(super) fn transfer_of(fields: TransferFields, home: &AccountId) -> Result<Request, String> {
    const RIGHT: &str = "a transfer is {\"to\":\"B\",\"amount\":30}, with \"from\" if it isn't the \
        server's own account, and with \"session\" and \"number\" if it may be retried";
    let TransferFields { from, to, amount, session, number, .. } = fields;
    let (Some(to), Some(amount)) = (to, amount) else {
        return Err(format!("\"to\" or \"amount\" is missing; {RIGHT}"));
    };
    let action = Action::Transfer { from: from.unwrap_or_else(|| home.clone()), to, amount };
    let request = first_name(session, number, 1, RIGHT)?;
    let settled = fields.settled.unwrap_or(false);
    let TransferFields { wait_ms, reference, .. } = fields;
    Ok(Request::One(Instruction { action, request, linked: false, settled, wait_ms, reference }))
}

pub(super) fn mint_of(fields: IssueFields, home: &AccountId) -> Result<Request, String> {
    const RIGHT: &str = "money is issued by {\"amount\":30}, with \"account\" if it isn't for the server's own, and \
        with \"session\" and \"number\" if it may be retried";
    if fields.wait_ms.is_some() {
        return Err(format!("what is issued needs no money, so it has no \"wait_ms\"; {RIGHT}"));
    }
    issue_of(fields, home, |account, amount| Action::Mint { account, amount }, RIGHT)
}

pub(super) fn burn_of(fields: IssueFields, home: &AccountId) -> Result<Request, String> {
    const RIGHT: &str = "money is taken back by {\"amount\":30}, with \"account\" if it isn't from the server's own, \
        and with \"session\" and \"number\" if it may be retried";
    issue_of(fields, home, |account, amount| Action::Burn { account, amount }, RIGHT)
}

fn issue_of(
    fields: IssueFields,
    home: &AccountId,
    action: impl FnOnce(AccountId, Amount) -> Action,
    right: &str,
) -> Result<Request, String> {
    let IssueFields { account, amount, session, number, settled, wait_ms, reference } = fields;
    let amount = amount.ok_or_else(|| format!("\"amount\" is missing; {right}"))?;
    let action = action(account.unwrap_or_else(|| home.clone()), amount);
    let request = first_name(session, number, 1, right)?;
    let settled = settled.unwrap_or(false);
    Ok(Request::One(Instruction { action, request, linked: false, settled, wait_ms, reference }))
}

pub(super) fn open_of(mut fields: OpenFields) -> Result<Request, String> {
    const RIGHT: &str = "an opening is {\"account\":\"A/alice\"}, with \"key\" if the account has an owner, \
        with \"session\" and \"number\" if \
        it may be retried";
    let Some(account) = fields.account.take() else {
        return Err(format!("\"account\" is missing; {RIGHT}"));
    };
    let action = Action::Open { account, key: fields.key.map(Box::new) };
    named(action, fields, RIGHT)
}

pub(super) fn rekey_of(mut fields: OpenFields) -> Result<Request, String> {
    const RIGHT: &str = "an account gets another key by \
        {\"account\":\"A/alice\",\"key\":\"SHA256:…\"}, with \"session\" and \"number\" if it may be retried";
    let (Some(account), Some(key)) = (fields.account.take(), fields.key) else {
        return Err(format!("\"account\" or \"key\" is missing; {RIGHT}"));
    };
    named(Action::Rekey { account, key: Box::new(key) }, fields, RIGHT)
}

/// Makes the request for an action that needs no money.
fn named(action: Action, fields: OpenFields, right: &str) -> Result<Request, String> {
    let OpenFields { session, number, settled, reference, .. } = fields;
    let request = first_name(session, number, 1, right)?;
    let settled = settled.unwrap_or(false);
    Ok(Request::One(Instruction { request, settled, reference, ..Instruction::plain(action) }))
}

#[cfg(test)]
#[path = "instruction_tests.rs"]
mod tests;
