//! Reading an element.

use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, RequestId, SessionId};
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
            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Line, A::Error> {
                let (mut account, mut request, mut marks) = (None, None, None);
                let (mut rejoins, mut old, mut new) = (None, None, None);
                while let Some(key) = fields.next_key::<&str>()? {
                    match key {
                        "open" if account.is_none() => account = Some(fields.next_value()?),
                        "rejoin" if rejoins.is_none() => rejoins = Some(fields.next_value()?),
                        "old" if old.is_none() => old = Some(fields.next_value()?),
                        "new" if new.is_none() => new = Some(fields.next_value()?),
                        "request" if request.is_none() => request = Some(fields.next_value()?),
                        "marks" if marks.is_none() => marks = Some(fields.next_value()?),
                        other => {
                            const FIELDS: &[&str] =
                                &["open", "rejoin", "old", "new", "request", "marks"];
                            return Err(de::Error::unknown_field(other, FIELDS));
                        }
                    }
                }
                let action = match (account, rejoins, old, new) {
                    (Some(account), None, None, None) => Action::Open { account },
                    (None, Some(server), Some(old), Some(new)) => {
                        Action::Rejoin { server, old, new }
                    }
                    (None, None, ..) => return Err(de::Error::missing_field("open")),
                    _ => return Err(de::Error::custom("a rejoin has \"old\" and \"new\"")),
                };
                let (via, linked) = read_marks(marks)?;
                Ok(Line { action, request, via, linked })
            }
        }
        from.deserialize_any(One)
    }
}
