//! The request for a session: `{"session":{}}`, or by a name of the client's own,
//! `{"session":{"name":"invoices","last":17}}`.

use serde::{Deserialize, Serialize};

use super::fields::{count, objects, present};
use crate::bank::ids::{ClientName, NamedSession};

objects! {
    Fields { name: ClientName = "present", last: u64 = "count" }
}

/// Takes a request for a session from its fields.
pub(super) fn named_of(fields: Fields) -> Result<Option<NamedSession>, String> {
    match (fields.name, fields.last) {
        (Some(name), last) => Ok(Some(NamedSession { name, last })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err("\"last\" belongs to a session's \"name\"; \
            a session without a name is {\"session\":{}}"
            .into()),
    }
}

/// Returns the fields that ask for a session.
pub(super) fn fields_of(named: Option<NamedSession>) -> Fields {
    match named {
        None => Fields::default(),
        Some(NamedSession { name, last }) => Fields { name: Some(name), last },
    }
}
