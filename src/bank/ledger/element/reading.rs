//! Reading an element.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, InstanceId, RequestId, ServerId, SessionId};
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::ledger::quick;

/// Parses an element's text.
///
/// # Errors
/// Says where and why if the text is not an element.
pub(super) fn read(text: &str) -> Result<(Position, Vec<Record>), serde_json::Error> {
    if let Some(read) = read_quickly(text) {
        return Ok(read);
    }
    let Fields { epoch, seq, entries: Records(records) } = serde_json::from_str(text)?;
    Ok((Position { epoch, seq }, records))
}

/// Parses a usual element: written as this program writes it, with nothing but transfers outside sessions.
fn read_quickly(text: &str) -> Option<(Position, Vec<Record>)> {
    let rest = text.as_bytes().strip_prefix(b"{\"epoch\":")?;
    let (epoch, rest) = quick::number(rest)?;
    let (seq, rest) = quick::number(rest.strip_prefix(b",\"seq\":")?)?;
    let list = rest.strip_prefix(b",\"entries\":[")?;
    let mut records = Vec::with_capacity(list.len() / quick::SHORTEST);
    let plain = |action| Record { action, request: None, via: Via::Local, linked: false };
    let rest = quick::transfers(list, |action| records.push(plain(action)))?;
    (rest == b"}").then_some((Position { epoch, seq }, records))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    epoch: u64,
    seq: u64,
    entries: Records,
}

struct Records(Vec<Record>);

/// The name of a request, as an element writes it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Number(u64),
    Whole(RequestId),
}

/// A record before it is known which session a mere number belongs to.
struct Line {
    action: Action,
    request: Option<Named>,
    via: Via,
    linked: bool,
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Records;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of entries")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut lines: A) -> Result<Records, A::Error> {
                let mut records = Vec::new();
                let mut session: Option<SessionId> = None;
                while let Some(Line { action, request, via, linked }) = lines.next_element()? {
                    let request = match (request, &session) {
                        (None, _) => None,
                        (Some(Named::Whole(request)), _) => {
                            session = Some(request.session.clone());
                            Some(request)
                        }
                        (Some(Named::Number(number)), Some(session)) => {
                            Some(RequestId { session: session.clone(), number })
                        }
                        (Some(Named::Number(number)), None) => {
                            return Err(de::Error::custom(format_args!(
                                "request {number} stands before any session"
                            )));
                        }
                    };
                    records.push(Record { action, request, via, linked });
                }
                match records.last() {
                    None => Err(de::Error::custom("an element holds at least one entry")),
                    Some(last) if last.linked => {
                        Err(de::Error::custom("the last entry is linked to one that isn't there"))
                    }
                    Some(_) => Ok(Records(records)),
                }
            }
        }
        from.deserialize_seq(All)
    }
}

/// An entry that is no transfer.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Object {
    open: Option<AccountId>,
    rekey: Option<AccountId>,
    pin: Option<ServerId>,
    instance: Option<InstanceId>,
    rejoin: Option<ServerId>,
    old: Option<InstanceId>,
    new: Option<InstanceId>,
    key: Option<Box<Fingerprint>>,
    request: Option<Named>,
    marks: Option<String>,
}

impl Object {
    fn into_action(self) -> Result<(Action, Option<Named>), &'static str> {
        let Object { open, rekey, pin, instance, rejoin, old, new, key, request, .. } = self;
        let action = match (open, rekey, (pin, instance), (rejoin, old, new), key) {
            (Some(account), None, (None, None), (None, None, None), key) => {
                Action::Open { account, key }
            }
            (None, Some(account), (None, None), (None, None, None), Some(key)) => {
                Action::Rekey { account, key }
            }
            (None, None, (Some(server), Some(instance)), (None, None, None), Some(key)) => {
                Action::Pin { server, instance, key }
            }
            (None, None, (None, None), (Some(server), Some(old), Some(new)), key) => {
                Action::Rejoin { server, old, new, key }
            }
            _ => {
                return Err(
                    "an entry is a list [from, to, amount], or an object: \"open\", and \"key\" \
                    if it has one; \"rekey\" and \"key\"; \"pin\", \"instance\" and \"key\"; or \
                    \"rejoin\", \"old\" and \"new\", and \"key\" if it has one",
                );
            }
        };
        Ok((action, request))
    }
}

fn read_marks<E: de::Error>(marks: Option<&str>) -> Result<(Via, bool), E> {
    match marks {
        None => Ok((Via::Local, false)),
        Some("linked") => Ok((Via::Local, true)),
        Some("paxos") => Ok((Via::Paxos, false)),
        Some("paxos linked") => Ok((Via::Paxos, true)),
        Some(other) => Err(de::Error::invalid_value(
            de::Unexpected::Str(other),
            &"\"paxos\", \"linked\" or \"paxos linked\"",
        )),
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Line;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[from, to, amount] or {\"open\": account}")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Line, A::Error> {
                let missing = |place| de::Error::invalid_length(place, &One);
                let from: AccountId = fields.next_element()?.ok_or_else(|| missing(0))?;
                let to: AccountId = fields.next_element()?.ok_or_else(|| missing(1))?;
                let amount: Amount = fields.next_element()?.ok_or_else(|| missing(2))?;
                let request: Option<Named> = fields.next_element::<Option<_>>()?.flatten();
                let (via, linked) = read_marks(fields.next_element::<&str>()?)?;
                if fields.next_element::<IgnoredAny>()?.is_some() {
                    return Err(de::Error::invalid_length(6, &"at most 5 fields"));
                }
                let action = Action::Transfer { from, to, amount };
                Ok(Line { action, request, via, linked })
            }
            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Line, A::Error> {
                let read = MapAccessDeserializer::new(fields);
                let object = Object::deserialize(read)?;
                let (via, linked) = read_marks(object.marks.as_deref())?;
                let (action, request) = object.into_action().map_err(de::Error::custom)?;
                Ok(Line { action, request, via, linked })
            }
        }
        from.deserialize_any(One)
    }
}
