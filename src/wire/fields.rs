//! How the fields of a request are read: strictly, since a field that is overlooked or taken for
//! another may be somebody's money.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::bank::amount::Amount;
use crate::bank::ids::{RequestId, SessionId};
use crate::bank::limits::MAX_WAIT_MS;

/// A value that has to be written as a JSON object. The derived code alone would take an array of
/// the fields' values too.
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

/// A field that may be absent, but not null.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A field that may be absent, and counts: to 2^53 - 1, which is exact as a JSON number in every
/// language and leaves room for a sum.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    at_most(from, Amount::MAX.units(), "")
}

/// A field that may be absent, and is a time to wait for money, in milliseconds.
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

/// The name of the first of so many instructions, if they have names: those of the others follow.
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

/// Whether the last of so many numbers is none that could be asked for alone.
pub(super) fn is_beyond(first: u64, count: usize) -> bool {
    first + count as u64 - 1 > Amount::MAX.units()
}

/// Declares objects of which every field may be absent and none may be unknown.
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
