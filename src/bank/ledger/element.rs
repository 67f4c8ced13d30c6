//! Elements: the entries of one turn, in one text.
//!
//! A server's local log is a list of elements, and so is its part of a block. An element's text is
//! written once, when its turn ends; what is stored, promised and put into a block is always that
//! text:
//!
//! ```json
//! {"epoch":1,"seq":17,"entries":[["A","B",30],{"open":"A/alice"},["A","A/alice",5,"A.1.0.…#4"],["A","B",1,5,"paxos"]]}
//! ```
//!
//! `seq` is that of the first entry. A transfer is `[from, to, amount]`, then its request, if it has
//! one, then its marks, if it has any: `paxos`, `linked`, or `paxos linked`. A request that is only a
//! number belongs to the session of the request before it in the same element.

use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, RequestId, ServerId, SessionId};
use crate::bank::ledger::entry::{Action, Entry, Position, Record, Via};

/// The entries of one turn. Cheap to clone. Equality is that of the text.
#[derive(Clone)]
pub struct Element(Arc<Parts>);

struct Parts {
    first: Position,
    records: Vec<Record>,
    text: Box<str>,
}

impl Element {
    /// Writes down records of which the first has the position `first`.
    ///
    /// # Panics
    /// If there are none, or the last is linked to one that isn't there.
    pub fn seal(first: Position, records: Vec<Record>) -> Element {
        let last = records.last().expect("an element holds an entry");
        assert!(!last.linked, "linked entries stay in one element");
        let text = write_element(first, &records).into_boxed_str();
        Element(Arc::new(Parts { first, records, text }))
    }

    /// Reads an element that was written down.
    ///
    /// # Errors
    /// Says where and why if the text is not an element.
    pub fn open(text: &str) -> Result<Element, serde_json::Error> {
        let Fields { epoch, seq, entries: Records(records) } = serde_json::from_str(text)?;
        Ok(Element(Arc::new(Parts { first: Position { epoch, seq }, records, text: text.into() })))
    }

    /// The position of the first entry.
    pub fn first(&self) -> Position {
        self.0.first
    }

    /// The position of the last entry.
    pub fn last(&self) -> Position {
        self.0.first.plus(self.0.records.len() - 1)
    }

    /// What it holds, in order.
    pub fn records(&self) -> &[Record] {
        &self.0.records
    }

    /// The same under their names, as entries of `server`.
    pub fn entries<'a>(&'a self, server: &'a ServerId) -> impl Iterator<Item = Entry> + 'a {
        named(server, self.0.first, &self.0.records)
    }

    /// The text that is stored, sent and hashed.
    pub fn text(&self) -> &str {
        &self.0.text
    }
}

/// Names records of `server` of which the first has the position `first`.
pub fn named<'a>(
    server: &'a ServerId,
    first: Position,
    records: &'a [Record],
) -> impl Iterator<Item = Entry> + 'a {
    records.iter().enumerate().map(move |(place, record)| {
        let Position { epoch, seq } = first.plus(place);
        Entry { server: server.clone(), epoch, seq, record: record.clone() }
    })
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.text == other.0.text
    }
}

impl Eq for Element {}

impl Hash for Element {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl Serialize for Element {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue =
            serde_json::from_str(self.text()).map_err(serde::ser::Error::custom)?;
        raw.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(from)?;
        Element::open(raw.get()).map_err(de::Error::custom)
    }
}

fn write_element(first: Position, records: &[Record]) -> String {
    let mut text = String::with_capacity(32 * (records.len() + 2));
    let Position { epoch, seq } = first;
    let mut session = None;
    // Names hold nothing that JSON would have to escape, and a String takes all that is written.
    let _ = write!(text, "{{\"epoch\":{epoch},\"seq\":{seq},\"entries\":[");
    for (place, record) in records.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        let _ = write_record(&mut text, record, &mut session);
    }
    text.push_str("]}");
    text
}

fn write_record<'a>(
    text: &mut String,
    record: &'a Record,
    session: &mut Option<&'a SessionId>,
) -> fmt::Result {
    let Record { action, request, via, linked } = record;
    let marks = match (via, linked) {
        (Via::Local, false) => None,
        (Via::Local, true) => Some("linked"),
        (Via::Paxos, false) => Some("paxos"),
        (Via::Paxos, true) => Some("paxos linked"),
    };
    let known = request.as_ref().is_some_and(|request| *session == Some(&request.session));
    if let Some(request) = request {
        *session = Some(&request.session);
    }
    let (request_key, marks_key, end) = match action {
        Action::Transfer { from, to, amount } => {
            write!(text, "[\"{from}\",\"{to}\",{amount}")?;
            ("", "", ']')
        }
        Action::Open { account } => {
            write!(text, "{{\"open\":\"{account}\"")?;
            ("\"request\":", "\"marks\":", '}')
        }
        Action::Rejoin { server, old, new } => {
            write!(text, "{{\"rejoin\":\"{server}\",\"old\":\"{old}\",\"new\":\"{new}\"")?;
            ("\"request\":", "\"marks\":", '}')
        }
    };
    match request {
        Some(request) if known => write!(text, ",{request_key}{}", request.number)?,
        Some(request) => write!(text, ",{request_key}\"{request}\"")?,
        None if marks.is_some() && end == ']' => text.push_str(",null"),
        None => {}
    }
    if let Some(marks) = marks {
        write!(text, ",{marks_key}\"{marks}\"")?;
    }
    text.push(end);
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    epoch: u64,
    seq: u64,
    entries: Records,
}

struct Records(Vec<Record>);

/// A request as an element names it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Number(u64),
    Whole(RequestId),
}

/// A record before it is known to which session a mere number belongs.
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

#[cfg(test)]
#[path = "element_tests.rs"]
mod tests;
