//! The items of a batch: `["A","B",30]`, `["A","B",5,"linked"]`, `{"open":"A/alice"}`, or an object with
//! any of the fields.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fields::{Object, count, first_name, objects, paid, present, to_pay, wait};
use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, RequestId, SessionId};
use crate::bank::ledger::entry::Action;
use crate::bank::limits::MAX_BATCH;
use crate::bank::reference::Reference;
use crate::bank::request::Instruction;

/// The word that may stand as an array's fourth element.
const LINKED: &str = "linked";

objects! {
    BatchFields {
        session: SessionId = "present",
        number: u64 = "count",
        settled: bool = "present",
        items: Items = "present"
    }
    ItemFields {
        from: AccountId = "present",
        to: AccountId = "present",
        amount: Amount = "paid",
        mint: AccountId = "present",
        burn: AccountId = "present",
        open: AccountId = "present",
        rekey: AccountId = "present",
        key: Fingerprint = "present",
        wait_ms: u64 = "wait",
        linked: bool = "present",
        reference: Reference = "present"
    }
}

/// 1 to [`MAX_BATCH`] items.
#[derive(Debug)]
pub(super) struct Items(Vec<Item>);

/// An item of a batch.
#[derive(Debug)]
struct Item {
    what: What,
    linked: bool,
    wait_ms: Option<u64>,
    reference: Option<Reference>,
}

#[derive(Debug)]
enum What {
    Transfer {
        /// The payer; none stands for the server's own account.
        from: Option<AccountId>,
        to: AccountId,
        amount: Amount,
    },
    Mint(AccountId, Amount),
    Burn(AccountId, Amount),
    Open(AccountId, Option<Fingerprint>),
    Rekey(AccountId, Fingerprint),
}

/// Returns the instructions in a batch, at a server whose own account is `home`.
pub(super) fn instructions_of(
    fields: BatchFields,
    home: &AccountId,
) -> Result<Vec<Instruction>, String> {
    const RIGHT: &str = "a batch is {\"items\":[[\"A\",\"B\",30]]}, with \"session\" and \"number\" \
        if it may be retried, and with \"settled\" if it is to be answered once all of it is settled";
    let BatchFields { session, number, settled, items } = fields;
    let Some(Items(items)) = items else { return Err(format!("\"items\" is missing; {RIGHT}")) };
    let first = first_name(session, number, items.len(), RIGHT)?;
    let settled = settled.unwrap_or(false);
    let instruction = |(place, Item { what, linked, wait_ms, reference })| {
        let request = first.as_ref().map(|first: &RequestId| first.plus(place));
        let action = match what {
            What::Transfer { from, to, amount } => {
                Action::Transfer { from: from.unwrap_or_else(|| home.clone()), to, amount }
            }
            What::Mint(account, amount) => Action::Mint { account, amount },
            What::Burn(account, amount) => Action::Burn { account, amount },
            What::Open(account, key) => Action::Open { account, key: key.map(Box::new) },
            What::Rekey(account, key) => Action::Rekey { account, key: Box::new(key) },
        };
        Instruction { action, request, linked, settled, wait_ms, reference }
    };
    Ok(items.into_iter().zip(0..).map(|(item, place)| instruction((place, item))).collect())
}

/// Turns instructions into a batch's fields.
///
/// # Panics
/// If no line can say it, as [`encode_request`](super::encode_request) tells.
pub(super) fn fields_of(instructions: Vec<Instruction>) -> BatchFields {
    let first = instructions.first();
    let name = first.and_then(|first| first.request.clone());
    let settled = first.is_some_and(|first| first.settled);
    for (instruction, place) in instructions.iter().zip(0..) {
        let expected = name.as_ref().map(|first| (&first.session, first.number + place));
        let found = instruction.request.as_ref().map(|own| (&own.session, own.number));
        assert_eq!(found, expected, "the numbers of a batch go up by one");
        assert_eq!(instruction.settled, settled, "all items of a batch are to be settled, or none");
    }
    let (session, number) = name.map(|name| (name.session, name.number)).unzip();
    let items = Items(instructions.into_iter().map(Item::of).collect());
    BatchFields { session, number, settled: settled.then_some(true), items: Some(items) }
}

impl Item {
    fn of(instruction: Instruction) -> Item {
        let Instruction { action, linked, wait_ms, reference, .. } = instruction;
        let needs_money = action.payer().is_some();
        let what = match action {
            Action::Transfer { from, to, amount } => {
                What::Transfer { from: Some(from), to, amount }
            }
            Action::Mint { account, amount } => What::Mint(account, amount),
            Action::Burn { account, amount } => What::Burn(account, amount),
            Action::Open { account, key } => What::Open(account, key.map(|key| *key)),
            Action::Rekey { account, key } => What::Rekey(account, *key),
            Action::Pin { .. } | Action::Rejoin { .. } | Action::Member(_) => {
                panic!("no client asks for that")
            }
        };
        assert!(needs_money || wait_ms.is_none(), "it needs no money to wait for");
        Item { what, linked, wait_ms, reference }
    }

    fn of_fields(fields: ItemFields) -> Result<Item, String> {
        const RIGHT: &str = "an item of a batch is [\"A\",\"B\",30] or {\"open\":\"A/alice\"}, or \
            {\"rekey\":\"A/alice\",\"key\":\"SHA256:…\"}, or {\"from\":\"A\",\"to\":\"B\",\"amount\":30,\"wait_ms\":100}, or {\"mint\":\"A\",\"amount\":30} or \
            \"burn\", each with \"reference\" if it is for something, and with \"linked\" if it is \
            linked to the next";
        let ItemFields { from, to, amount, mint, burn, open, rekey, key, wait_ms, .. } = fields;
        let ItemFields { linked, reference, .. } = fields;
        let kinds = [&mint, &burn, &open, &rekey].into_iter().flatten().count();
        let pays = from.is_some() || to.is_some();
        if kinds > 1 || (kinds == 1 && pays) {
            return Err(format!("a transfer and an opening are two items; {RIGHT}"));
        }
        if (mint.is_some() || open.is_some() || rekey.is_some()) && wait_ms.is_some() {
            return Err(format!("it needs no money, so it has no \"wait_ms\"; {RIGHT}"));
        }
        if key.is_some() && open.is_none() && rekey.is_none() {
            return Err(format!("\"key\" goes with \"open\" or \"rekey\"; {RIGHT}"));
        }
        if amount.is_some() && (open.is_some() || rekey.is_some()) {
            return Err(format!("\"amount\" goes with what moves money; {RIGHT}"));
        }
        let amount = || amount.ok_or_else(|| format!("\"amount\" is missing; {RIGHT}"));
        let what = match (mint, burn, open, rekey) {
            (Some(account), ..) => What::Mint(account, amount()?),
            (_, Some(account), ..) => What::Burn(account, amount()?),
            (_, _, Some(account), _) => What::Open(account, key),
            (_, _, _, Some(account)) => {
                let key = key.ok_or_else(|| format!("\"key\" is missing; {RIGHT}"))?;
                What::Rekey(account, key)
            }
            _ => match (to, amount()) {
                (Some(to), Ok(amount)) => What::Transfer { from, to, amount },
                _ => return Err(format!("\"to\" or \"amount\" is missing; {RIGHT}")),
            },
        };
        Ok(Item { what, linked: linked.unwrap_or(false), wait_ms, reference })
    }
}

impl Serialize for Items {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(&self.0)
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, line: S) -> Result<S::Ok, S::Error> {
        let Item { what, linked, wait_ms, reference } = self;
        let fields = match what {
            What::Transfer { from: Some(from), to, amount }
                if wait_ms.is_none() && reference.is_none() =>
            {
                return match linked {
                    true => (from, to, amount, LINKED).serialize(line),
                    false => (from, to, amount).serialize(line),
                };
            }
            What::Transfer { from, to, amount } => {
                let (from, to, amount) = (from.clone(), Some(to.clone()), Some(*amount));
                ItemFields { from, to, amount, ..ItemFields::default() }
            }
            What::Mint(account, amount) => {
                let (mint, amount) = (Some(account.clone()), Some(*amount));
                ItemFields { mint, amount, ..ItemFields::default() }
            }
            What::Burn(account, amount) => {
                let (burn, amount) = (Some(account.clone()), Some(*amount));
                ItemFields { burn, amount, ..ItemFields::default() }
            }
            What::Open(account, key) => {
                ItemFields { open: Some(account.clone()), key: *key, ..ItemFields::default() }
            }
            What::Rekey(account, key) => {
                let (rekey, key) = (Some(account.clone()), Some(*key));
                ItemFields { rekey, key, ..ItemFields::default() }
            }
        };
        let (linked, wait_ms) = (linked.then_some(true), *wait_ms);
        ItemFields { linked, wait_ms, reference: reference.clone(), ..fields }.serialize(line)
    }
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Items;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of transfers and openings")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
                let mut items = Vec::new();
                loop {
                    let wrong = |error| {
                        let number = items.len() + 1;
                        de::Error::custom(format_args!("items, number {number}: {error}"))
                    };
                    match list.next_element::<Item>().map_err(wrong)? {
                        Some(_) if items.len() == MAX_BATCH => break,
                        Some(item) => items.push(item),
                        None if items.is_empty() => break,
                        None => return Ok(Items(items)),
                    }
                }
                let found = if items.is_empty() { "none" } else { "more" };
                Err(de::Error::custom(format_args!("items holds 1 to {MAX_BATCH}, not {found}")))
            }
        }
        from.deserialize_seq(All)
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct One;
        impl<'de> Visitor<'de> for One {
            type Value = Item;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[from, to, amount], [from, to, amount, \"linked\"] or an object")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Item, A::Error> {
                let missing = |place| de::Error::invalid_length(place, &self);
                let from = fields.next_element()?.ok_or_else(|| missing(0))?;
                let to = fields.next_element()?.ok_or_else(|| missing(1))?;
                let amount = fields.next_element().map_err(to_pay)?.ok_or_else(|| missing(2))?;
                let linked = fields.next_element::<Linked>()?.is_some();
                if fields.next_element::<IgnoredAny>()?.is_some() {
                    return Err(missing(5));
                }
                let what = What::Transfer { from: Some(from), to, amount };
                Ok(Item { what, linked, wait_ms: None, reference: None })
            }
            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Item, A::Error> {
                let Object(fields) = Object::deserialize(MapAccessDeserializer::new(fields))?;
                Item::of_fields(fields).map_err(de::Error::custom)
            }
        }
        from.deserialize_any(One)
    }
}

/// The word [`LINKED`].
struct Linked;

impl<'de> Deserialize<'de> for Linked {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Linked;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "nothing or {LINKED:?}")
            }
            fn visit_str<E: de::Error>(self, word: &str) -> Result<Linked, E> {
                match word {
                    LINKED => Ok(Linked),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }
        from.deserialize_str(Word)
    }
}
