//! What a client's line may be: a request to the bank, or an order about the server's links.

use crate::bank::ids::AccountId;
use crate::bank::request::{Reply, Request};
use crate::wire::link::LinkOrder;
use crate::wire::link_lines::parse_order;
use crate::wire::parse_request;

/// What a client's line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Something of the bank.
    Request(Request),
    /// Something of the server's links.
    Link(LinkOrder),
}

/// What a client's line asks for, with the client's id for it; `home` as in [`parse_request`].
///
/// # Errors
/// The reply that says what is wrong and what would be right; with the id, where one can be made out.
pub fn parse_asked(
    line: &[u8],
    home: &AccountId,
) -> Result<(Option<u64>, Asked), (Option<u64>, Reply)> {
    // Orders are rare, so the many requests don't pay for them.
    parse_request(line, home).map(|(id, request)| (id, Asked::Request(request))).or_else(|wrong| {
        match parse_order(line) {
            Some(order) => order.map(|(id, order)| (id, Asked::Link(order))),
            None => Err(wrong),
        }
    })
}
