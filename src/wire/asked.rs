//! What a client's line may be: a request to the bank, or an order to the server's threads.

use crate::bank::ids::AccountId;
use crate::bank::request::{Reply, Request};
use crate::wire::link::LinkOrder;
use crate::wire::{Tag, link_lines, parse_request, traces};

/// The content of a client's line.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// A request to the bank.
    Request(Request),
    /// An order about the server's links.
    Link(LinkOrder),
    /// The order to be told the server's trace.
    Trace,
}

/// Parses a client's line into what it asks for and the client's id for it; `home` as in
/// [`parse_request`].
///
/// # Errors
/// A reply that says what is wrong and what would be right, with the id where one can be made out.
pub fn parse_asked(
    line: &[u8],
    home: &AccountId,
) -> Result<(Option<Tag>, Asked), (Option<Tag>, Reply)> {
    // Orders are rare, so requests are tried first and pay nothing for them.
    parse_request(line, home).map(|(id, request)| (id, Asked::Request(request))).or_else(|wrong| {
        if let Some(order) = traces::parse_order(line) {
            return order.map(|(id, ())| (id, Asked::Trace));
        }
        match link_lines::parse_order(line) {
            Some(order) => order.map(|(id, order)| (id, Asked::Link(order))),
            None => Err(wrong),
        }
    })
}
