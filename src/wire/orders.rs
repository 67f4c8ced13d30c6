//! What orders to a server's threads have in common: how a line is told to be one, and what is said of a bad one.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::fields::Object;
use super::request::VERSION;
use super::tag::Tag;
use crate::bank::request::{ErrorCode, Reply};
use crate::explain::explain;

/// An order with the id that its sender gave it, or the reply that says what is wrong with it.
pub(super) type Parsed<T> = Result<(Option<Tag>, T), (Option<Tag>, Reply)>;

/// Parses the order of a kind on a line; none if the line is no order of this kind. `right` shows a good one to
/// whoever sent a bad one.
pub(super) fn parse<L: DeserializeOwned, T>(
    line: &[u8],
    kind: &str,
    right: &str,
    order_of: impl FnOnce(L) -> Result<T, String>,
) -> Option<Parsed<T>> {
    #[derive(Deserialize)]
    struct Header<'a> {
        kind: String,
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
        version: Option<u64>,
    }
    let Object(header) = serde_json::from_slice::<Object<Header>>(line).ok()?;
    let id = header.id.and_then(|raw| Tag::of(raw).ok());
    // Another version's orders may have other fields.
    if header.kind != kind || header.version.is_some_and(|version| version != VERSION) {
        return None;
    }
    let order = serde_json::from_slice(line)
        .map_err(|error| explain(&error))
        .and_then(|Object(line)| order_of(line));
    Some(match order {
        Ok(order) => Ok((id, order)),
        Err(what) => {
            let message = format!("{what}; {right}");
            Err((id, Reply::Error { error: ErrorCode::BadRequest, message }))
        }
    })
}
