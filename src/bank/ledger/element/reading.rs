//! Reading an element.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::bank::address::Address;
use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, InstanceId, RequestId, ServerId, SessionId};
use crate::bank::ledger::entry::{Action, Position, Record, Via};
use crate::bank::ledger::member_change::{Admission, MemberChange};
use crate::bank::ledger::quick;
use crate::bank::reference::Reference;
use crate::bank::wall_time::WallTime;

use super::Head;

/// Parses an element's text.
///
/// # Errors
/// Says where and why if the text is not an element.
pub(super) fn read(text: &str) -> Result<(Head, Vec<Record>), serde_json::Error> {
    if let Some(read) = read_quickly(text) {
        return Ok(read);
    }
    let Fields { epoch, seq, time, entries: Records(records) } = serde_json::from_str(text)?;
    Ok((Head { first: Position { epoch, seq }, time }, records))
}

/// Parses a usual element: written as this program writes it, with nothing but transfers outside sessions.
fn read_quickly(text: &str) -> Option<(Head, Vec<Record>)> {
    let rest = text.as_bytes().strip_prefix(b"{\"epoch\":")?;
    let (epoch, rest) = quick::number(rest)?;
    let (seq, rest) = quick::number(rest.strip_prefix(b",\"seq\":")?)?;
    let (time, rest) = match rest.strip_prefix(b",\"time\":") {
        Some(rest) => {
            let (millis, rest) = quick::number(rest)?;
            (Some(WallTime::new(millis)?), rest)
        }
        None => (None, rest),
    };
    let list = rest.strip_prefix(b",\"entries\":[")?;
    let mut records = Vec::with_capacity(list.len() / quick::SHORTEST);
    let rest = quick::transfers(list, |action| records.push(Record::plain(action)))?;
    (rest == b"}").then_some((Head { first: Position { epoch, seq }, time }, records))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    epoch: u64,
    seq: u64,
    #[serde(default, deserialize_with = "some")]
    time: Option<WallTime>,
    entries: Records,
}

/// Reads a value that may be left out, but not null.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
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
    reference: Option<Reference>,
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
                while let Some(line) = lines.next_element()? {
                    let Line { action, request, via, linked, reference } = line;
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
                    records.push(Record { action, request, via, linked, reference });
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
    mint: Option<AccountId>,
    burn: Option<AccountId>,
    amount: Option<Amount>,
    open: Option<AccountId>,
    rekey: Option<AccountId>,
    pin: Option<ServerId>,
    instance: Option<InstanceId>,
    rejoin: Option<ServerId>,
    old: Option<InstanceId>,
    new: Option<InstanceId>,
    key: Option<Box<Fingerprint>>,
    admit: Option<ServerId>,
    dismiss: Option<ServerId>,
    #[serde(rename = "move")]
    moved: Option<ServerId>,
    promote: Option<ServerId>,
    demote: Option<ServerId>,
    at: Option<Address>,
    branch: Option<True>,
    request: Option<Named>,
    marks: Option<String>,
    reference: Option<Reference>,
}

/// The word `true`. Its opposite is said by leaving it out.
struct True;

impl<'de> Deserialize<'de> for True {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match bool::deserialize(from)? {
            true => Ok(True),
            false => Err(de::Error::custom("what is not so is left out")),
        }
    }
}

/// What is said of a change of members that can't be read.
const NO_CHANGE: &str = "a change of members is an object: \"admit\", \"instance\" and \"at\", with \"key\" and \
    \"branch\" if it has them; \"move\" and \"at\"; or \"dismiss\", \"promote\" or \"demote\"";

/// What is said of an entry that can't be read.
const NO_ENTRY: &str = "an entry is a list [from, to, amount], or an object: \"mint\" or \"burn\", and \"amount\"; \
    \"open\", and \"key\" if it has one; \"rekey\" and \"key\"; \"pin\", \"instance\" and \"key\"; or \"rejoin\", \
    \"old\" and \"new\", and \"key\" if it has one";

impl Object {
    /// True if it changes the bank's members.
    fn is_member_change(&self) -> bool {
        let Object { admit, dismiss, moved, promote, demote, .. } = self;
        [admit, dismiss, moved, promote, demote].into_iter().any(Option::is_some)
            || self.at.is_some()
            || self.branch.is_some()
    }

    fn into_member_change(self) -> Result<(Action, Option<Named>), &'static str> {
        let issues = self.issues();
        let Object { admit, dismiss, moved, promote, demote, at, branch, instance, .. } = self;
        if issues
            || self.open.is_some()
            || self.rekey.is_some()
            || self.pin.is_some()
            || self.rejoin.is_some()
            || self.old.is_some()
            || self.new.is_some()
        {
            return Err(NO_CHANGE);
        }
        let only = (instance, at, self.key, branch);
        let change = match (admit, dismiss, moved, promote, demote, only) {
            (Some(server), None, None, None, None, (Some(instance), Some(at), key, branch)) => {
                let (key, branch) = (key.map(|key| *key), branch.is_some());
                MemberChange::Admit(Admission { server, instance, at, key, branch })
            }
            (None, Some(server), None, None, None, (None, None, None, None)) => {
                MemberChange::Dismiss { server }
            }
            (None, None, Some(server), None, None, (None, Some(at), None, None)) => {
                MemberChange::Move { server, at }
            }
            (None, None, None, Some(server), None, (None, None, None, None)) => {
                MemberChange::Promote { server }
            }
            (None, None, None, None, Some(server), (None, None, None, None)) => {
                MemberChange::Demote { server }
            }
            _ => return Err(NO_CHANGE),
        };
        Ok((Action::Member(Box::new(change)), self.request))
    }

    /// True if it issues money, or takes some back.
    fn issues(&self) -> bool {
        self.mint.is_some() || self.burn.is_some() || self.amount.is_some()
    }

    fn into_issue(self) -> Result<(Action, Option<Named>), &'static str> {
        let others = (self.open, self.rekey, self.pin, self.instance);
        let more = (self.rejoin, self.old, self.new, self.key);
        let ((None, None, None, None), (None, None, None, None)) = (others, more) else {
            return Err(NO_ENTRY);
        };
        let action = match (self.mint, self.burn, self.amount) {
            (Some(account), None, Some(amount)) => Action::Mint { account, amount },
            (None, Some(account), Some(amount)) => Action::Burn { account, amount },
            _ => return Err(NO_ENTRY),
        };
        Ok((action, self.request))
    }

    fn into_action(self) -> Result<(Action, Option<Named>), &'static str> {
        if self.is_member_change() {
            return self.into_member_change();
        }
        if self.issues() {
            return self.into_issue();
        }
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
            _ => return Err(NO_ENTRY),
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
                let (via, linked) = read_marks(fields.next_element::<Option<&str>>()?.flatten())?;
                let reference: Option<Reference> = fields.next_element()?;
                if fields.next_element::<IgnoredAny>()?.is_some() {
                    return Err(de::Error::invalid_length(7, &"at most 6 fields"));
                }
                let action = Action::Transfer { from, to, amount };
                Ok(Line { action, request, via, linked, reference })
            }
            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Line, A::Error> {
                let read = MapAccessDeserializer::new(fields);
                let mut object = Object::deserialize(read)?;
                let (via, linked) = read_marks(object.marks.as_deref())?;
                let reference = object.reference.take();
                let (action, request) = object.into_action().map_err(de::Error::custom)?;
                Ok(Line { action, request, via, linked, reference })
            }
        }
        from.deserialize_any(One)
    }
}
