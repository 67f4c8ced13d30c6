//! Where the accounts of a script are at home, and what that takes of the servers' opening balances.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, ServerId};
use crate::play::cast::list;
use crate::play::script::Script;

/// The accounts that are no servers, by their homes.
pub(super) struct Homes<'a>(BTreeMap<&'a str, Vec<&'a AccountId>>);

impl<'a> Homes<'a> {
    pub(super) fn of(script: &'a Script) -> Homes<'a> {
        let mut homes: BTreeMap<&str, Vec<&AccountId>> = BTreeMap::new();
        for account in &script.accounts {
            homes.entry(account.home()).or_default().push(account);
        }
        Homes(homes)
    }

    /// Returns the opening balance of each server's own account, from which its accounts get theirs.
    pub(super) fn opening_of_servers(&self, each: Amount) -> Result<Amount, String> {
        let most = self.0.values().map(Vec::len).max().unwrap_or(1) as u64;
        let opening = each.units().checked_mul(most).and_then(Amount::new);
        opening.ok_or_else(|| {
            format!("{most} accounts at one home can't open with {each} each: it is too much")
        })
    }

    /// Says who opens with what, and which accounts are at home where.
    pub(super) fn in_words(&self, servers: &BTreeSet<ServerId>, each: Amount) -> String {
        if self.0.is_empty() {
            return format!("{} open with {each} each", list(servers));
        }
        let of = |(home, accounts): (&&str, &Vec<&AccountId>)| {
            format!(
                "{home} has {}",
                accounts.iter().map(|it| name(it)).collect::<Vec<_>>().join(", ")
            )
        };
        let homes: Vec<String> = self.0.iter().map(of).collect();
        let example = self.0.values().flatten().next().map_or("", |account| account.as_str());
        format!(
            "{} are the servers. The accounts are others, and have homes by turns: {}. Each opens with {each}; \
             {} is called {example} here",
            list(servers),
            homes.join("; "),
            example.split('/').nth(1).unwrap_or_default()
        )
    }

    /// Returns each account's home by the name that the file gives it.
    pub(super) fn by_name(&self) -> BTreeMap<String, String> {
        let accounts = self.0.values().flatten();
        accounts.map(|account| (name(account).to_owned(), account.home().to_owned())).collect()
    }
}

/// Returns the name that the file gives an account.
fn name(account: &AccountId) -> &str {
    account.as_str().split('/').nth(1).unwrap_or_default()
}
