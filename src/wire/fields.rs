//! Reading the fields of a request, strictly: a field that is overlooked, or taken for another, may be
//! somebody's money.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, RequestId, SessionId};
use crate::bank::limits::MAX_WAIT_MS;

/// A value that must be written as a JSON object. The derived code alone would also take an array of the
/// fields' values.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct FromMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for FromMap<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        from.deserialize_map(FromMap(PhantomData))
    }
}

/// Reads a field that may be absent, but not null.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Reads a count that may be absent. It goes to 2^53 - 1, which is exact as a JSON number in every
/// language and leaves room for a sum.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    at_most(from, Amount::MAX.units(), "")
}

/// Reads an amount to pay that may be absent.
pub(super) fn paid<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Amount>, D::Error> {
    Amount::deserialize(from).map(Some).map_err(to_pay)
}

/// Says of an amount that is none what could be paid: nothing is no payment, though it is an amount.
pub(super) fn to_pay<E: de::Error>(error: E) -> E {
    let text = error.to_string();
    let better = text.replacen(
        "an amount is a whole number of units from 0",
        "an amount to pay is a whole number of units from 1",
        1,
    );
    if better == text { error } else { E::custom(better) }
}

/// Reads a time to wait for money, in milliseconds, that may be absent.
pub(super) fn wait<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    at_most(from, MAX_WAIT_MS, " milliseconds")
}

fn at_most<'de, D: Deserializer<'de>>(
    from: D,
    most: u64,
    unit: &str,
) -> Result<Option<u64>, D::Error> {
    match u64::deserialize(from)? {
        number if number > most => {
            Err(de::Error::custom(format_args!("{number} is more than the most, {most}{unit}")))
        }
        number => Ok(Some(number)),
    }
}

/// Returns the name of the first instruction, if they have names. The names of the others follow from it.
pub(super) fn first_name(
    session: Option<SessionId>,
    number: Option<u64>,
    instructions: usize,
    right: &str,
) -> Result<Option<RequestId>, String> {
    match (session, number) {
        (None, None) => Ok(None),
        (Some(_), Some(0)) => Err("a session's numbers begin with 1, not 0".into()),
        (Some(_), Some(number)) if is_beyond(number, instructions) => {
            Err(format!("a session's numbers end with {}", Amount::MAX))
        }
        (Some(session), Some(number)) => Ok(Some(RequestId { session, number })),
        _ => Err(format!("\"session\" and \"number\" belong together; {right}")),
    }
}

/// True if `first + count - 1` exceeds the highest number that a request can have.
pub(super) fn is_beyond(first: u64, count: usize) -> bool {
    first + count as u64 - 1 > Amount::MAX.units()
}

/// Checks the beginning of accounts' names; without one, all accounts are meant.
pub(super) fn prefix_of(prefix: Option<String>) -> Result<String, String> {
    let prefix = prefix.unwrap_or_default();
    let is_account = |name: &str| name.parse::<AccountId>().is_ok();
    if prefix.is_empty() || is_account(&prefix) || is_account(&format!("{prefix}x")) {
        return Ok(prefix);
    }
    let prefix: String = prefix.chars().take(80).collect();
    Err(format!("no account's name begins with {prefix:?}; those of A begin with \"A/\""))
}

/// Declares objects whose fields may all be absent, and that take no unknown fields.
macro_rules! objects {
    ($($name:ident { $($field:ident: $type:ty = $how:literal),* })*) => {$(
        #[derive(Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $(#[serde(default, deserialize_with = $how, skip_serializing_if = "Option::is_none")]
            pub $field: Option<$type>,)*
        }
    )*};
}
pub(super) use objects;
