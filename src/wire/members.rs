//! The request `members`: who they are, and orders about them.

use serde::{Deserialize, Serialize};

use super::fields::{objects, present};
use crate::bank::address::Address;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::request::Order;

objects! {
    Fields {
        admit: ServerId = "present",
        dismiss: ServerId = "present",
        r#move: ServerId = "present",
        promote: ServerId = "present",
        demote: ServerId = "present",
        at: Address = "present",
        key: Fingerprint = "present",
        branch: bool = "present"
    }
}

/// Takes an order from its fields.
///
/// # Errors
/// Says what is wrong and what would be right.
pub(super) fn order_of(fields: Fields) -> Result<Order, String> {
    const RIGHT: &str = "{\"members\":{}} tells the members, and an order is {\"admit\":\"D\",\"at\":\"host:8004\"}, \
        with \"key\" in a bank with keys and with \"branch\":true for a member without a vote; \
        {\"move\":\"D\",\"at\":\"host:8004\"}; or one of dismiss, promote and demote with a server";
    let Fields { admit, dismiss, r#move, promote, demote, at, key, branch } = fields;
    let plain = at.is_none() && key.is_none() && branch.is_none();
    let change = match (admit, dismiss, r#move, promote, demote) {
        (None, None, None, None, None) if plain => return Ok(Order::Show),
        (Some(server), None, None, None, None) => {
            let Some(at) = at else { return Err(format!("\"at\" is missing; {RIGHT}")) };
            return Ok(Order::Admit { server, at, key, branch: branch.unwrap_or(false) });
        }
        (None, Some(server), None, None, None) if plain => MemberChange::Dismiss { server },
        (None, None, Some(server), None, None) if key.is_none() && branch.is_none() => {
            let Some(at) = at else { return Err(format!("\"at\" is missing; {RIGHT}")) };
            MemberChange::Move { server, at }
        }
        (None, None, None, Some(server), None) if plain => MemberChange::Promote { server },
        (None, None, None, None, Some(server)) if plain => MemberChange::Demote { server },
        _ => return Err(format!("that is no order about members; {RIGHT}")),
    };
    Ok(Order::Change(change))
}

/// Writes an order as its fields.
///
/// # Panics
/// If the order is an admission as it is logged, with an instance.
pub(super) fn fields_of(order: Order) -> Fields {
    let none = Fields::default();
    match order {
        Order::Show => none,
        Order::Admit { server, at, key, branch } => Fields {
            admit: Some(server),
            at: Some(at),
            key,
            branch: branch.then_some(true),
            ..none
        },
        Order::Change(MemberChange::Dismiss { server }) => Fields { dismiss: Some(server), ..none },
        Order::Change(MemberChange::Move { server, at }) => {
            Fields { r#move: Some(server), at: Some(at), ..none }
        }
        Order::Change(MemberChange::Promote { server }) => Fields { promote: Some(server), ..none },
        Order::Change(MemberChange::Demote { server }) => Fields { demote: Some(server), ..none },
        Order::Change(MemberChange::Admit(_)) => {
            panic!("who is admitted is ordered without an instance")
        }
    }
}
