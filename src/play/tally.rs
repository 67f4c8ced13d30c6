//! What each set of a file ended with: how its transfers ended, and who then held what.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bank::amount::Amount;
use crate::bank::ids::AccountId;
use crate::bank::ledger::entry::Via;
use crate::bank::request::Outcome;
use crate::client::session::Ending;
use crate::play::why::is_unavailable;

/// The most accounts whose balances have columns of their own.
const MOST_COLUMNS: usize = 12;

/// A row: a set, or a whole file without sets.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Row {
    /// The set's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<u64>,
    local: usize,
    paxos: usize,
    refused: usize,
    unavailable: usize,
    #[serde(skip_serializing_if = "is_zero")]
    other: usize,
    /// How many transfers wait for money at its end.
    pub waiting: usize,
    /// The balances at its end, as far as they can be asked for.
    pub balances: BTreeMap<AccountId, Option<Amount>>,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The rows so far; the last is the present set's.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub rows: Vec<Row>,
}

impl Tally {
    /// Begins a row. Rows of one number are one.
    pub(super) fn begin(&mut self, set: Option<u64>) {
        if self.rows.last().is_none_or(|row| row.set != set) {
            self.rows.push(Row { set, ..Row::default() });
        }
    }

    /// Counts the endings of transfers that were answered together.
    pub(super) fn count(&mut self, endings: &[Ending]) {
        if self.rows.is_empty() {
            self.begin(None);
        }
        let Some(row) = self.rows.last_mut() else { return };
        for ending in endings {
            *match ending {
                Ending::Decided(Outcome::Accepted { via: Via::Local, .. }) => &mut row.local,
                Ending::Decided(Outcome::Accepted { via: Via::Paxos, .. }) => &mut row.paxos,
                Ending::Decided(Outcome::Refused { .. }) => &mut row.refused,
                ending if is_unavailable(ending) => &mut row.unavailable,
                _ => &mut row.other,
            } += 1;
        }
    }
}

/// Writes rows as a table, with a column for each account if there are not too many.
pub(super) fn table(rows: &[Row]) -> String {
    let accounts: Vec<&AccountId> =
        rows.last().map_or(Vec::new(), |row| row.balances.keys().collect());
    let accounts = if accounts.len() > MOST_COLUMNS { Vec::new() } else { accounts };
    let mut head: Vec<String> =
        ["set", "local", "Paxos", "refused", "unavailable", "waiting"].map(str::to_owned).to_vec();
    head.extend(accounts.iter().map(|account| account.to_string()));
    let mut lines = vec![head];
    for row in rows {
        let set = row.set.map_or("all".to_owned(), |set| set.to_string());
        let counts = [row.local, row.paxos, row.refused, row.unavailable, row.waiting];
        let balance = |account: &&AccountId| {
            let known = row.balances.get(*account).copied().flatten();
            known.map_or("?".to_owned(), |amount| amount.to_string())
        };
        let counts = counts.iter().map(usize::to_string);
        lines.push([set].into_iter().chain(counts).chain(accounts.iter().map(balance)).collect());
    }
    let widths: Vec<usize> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        text += &format!("      {}\n", cells.collect::<Vec<_>>().join("  "));
    }
    text
}
