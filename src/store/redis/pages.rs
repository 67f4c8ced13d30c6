//! Pages of balances: their text, and reading them in pieces.

use std::collections::BTreeMap;

use redis::{Cmd, Value};
use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::AccountId;
use crate::bank::ledger::pages::Page;
use crate::store::StoreError;
use crate::store::redis::reply::{borrowed, command, corrupt, from_json, unexpected, values};

/// A field of the hash of pages; the field's name is the page's number.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<B, K> {
    height: u64,
    balances: B,
    /// The keys of those accounts that have one.
    #[serde(default = "nothing", skip_serializing_if = "Option::is_none")]
    keys: Option<K>,
}

fn nothing<K>() -> Option<K> {
    None
}

/// A field as it is read.
type Read = Stored<Vec<(AccountId, Amount)>, BTreeMap<AccountId, Fingerprint>>;

/// Writes a page's text.
pub(super) fn text(page: &Page) -> String {
    let keys = (!page.keys.is_empty()).then_some(&page.keys);
    let stored = Stored { height: page.height, balances: &page.balances, keys };
    serde_json::to_string(&stored).expect("a page has no keys but its own")
}

/// Asks for `count` pages from page `from` on, for [`parse`].
pub(super) fn ask(key: &str, from: u64, count: u64) -> Cmd {
    let mut ask = command("HMGET", &[key]);
    ask.arg((from..from + count).map(|number| number.to_string()).collect::<Vec<_>>());
    ask
}

/// Parses the pages from page `from` on, all of which must be there.
pub(super) fn parse(key: &str, from: u64, reply: Value) -> Result<Vec<Page>, StoreError> {
    let page = |(number, reply): (u64, &Value)| {
        let place = format!("{key}[{number}]");
        let text = match reply {
            Value::Nil => return Err(corrupt(&place, "missing")),
            // The error is about the whole hash.
            Value::ServerError(_) => return Err(unexpected(key, reply)),
            text => borrowed(text, || place.clone())?,
        };
        let Stored { height, balances, keys } = from_json::<Read>(&place, text)?;
        let keys = keys.unwrap_or_default();
        let number = u32::try_from(number).map_err(|_| corrupt(&place, "too many pages"))?;
        Ok(Page { number, height, balances, keys })
    };
    (from..).zip(&values(key, reply)?).map(page).collect()
}
