//! A bank's past as a journal of plain-text accounting, which `ledger` and `hledger` read alike.
//!
//! An account keeps its name, below `Assets:`. So different accounts have different names there, and nothing in a name
//! means anything to these programs: our names are letters, digits, `-`, `_`, `.` and one `/`. What an account begins with
//! comes from `Equity:Opening`, and money that a home issues from `Equity:Issued`, to which it goes back. The commodity is `UNIT`, the bank's unit of money. Commodity and accounts are declared
//! before their first use, so the strict checks of both programs pass.

use std::collections::BTreeSet;
use std::fmt::{self, Display};

use crate::audit::exported::Header;
use crate::bank::amount::Amount;
use crate::bank::blockchain::block::Block;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Entry, Record, Via};
use crate::bank::wall_time::WallTime;
use crate::clock;

/// The account from which openings come.
const OPENING: &str = "Equity:Opening";

/// The account from which issued money comes, and to which it goes when it is taken back.
const ISSUED: &str = "Equity:Issued";

/// The commodity.
const UNIT: &str = "UNIT";

/// Begins a journal.
pub fn begin(Header { server, format, instance }: &Header) -> String {
    format!(
        "; The past of a bank of paxos-banking, by the store of {server} (instance {instance}, format {format}).\n\
         ; A transaction marked * is in a block, one marked ! is in {server}'s local log alone. Its code is the entry's name.\n\
         commodity {UNIT}\n\
         account {OPENING}\n\
         account {ISSUED}\n"
    )
}

/// Writes a block: what its accounts begin with, and its entries.
pub fn of_block(block: &Block) -> String {
    let mut text = String::new();
    let height = block.height;
    let servers = block.genesis.iter().flat_map(|genesis| {
        genesis.servers.keys().map(|server| (AccountId::of(server), genesis.opening_balance))
    });
    let accounts = block.opening.iter().flat_map(|opening| opening.balances.iter().cloned());
    for (number, (account, amount)) in (1..).zip(servers.chain(accounts)) {
        text += &format!("account {}\n", Name(&account));
        if amount > Amount::ZERO {
            let head = format!("{} * ({height}.{number}) opening, block {height}", date(None));
            text += &transaction(&head, &Name(&account), &OPENING, amount);
        }
    }
    // Whoever pays into an account may come before its opening: a block's logs are in the order of their servers.
    let opened = block.logs.values().flatten().flat_map(Element::opened);
    opened.for_each(|account| text += &format!("account {}\n", Name(account)));
    let mut numbers = 1..;
    for (server, elements) in &block.logs {
        for element in elements {
            for (entry, number) in element.entries(server).zip(numbers.by_ref()) {
                text += &of_entry(&entry, &format!("block {height}, number {number}"), '*');
            }
        }
    }
    text
}

/// Declares the accounts with which a server's local log has to do. Those of other homes may be in no block yet.
pub fn before_log(log: &[Element]) -> String {
    let records = log.iter().flat_map(Element::records);
    let accounts: BTreeSet<&AccountId> = records
        .filter_map(|record| match &record.action {
            Action::Transfer { to: account, .. }
            | Action::Mint { account, .. }
            | Action::Burn { account, .. }
            | Action::Open { account, .. } => Some(account),
            _ => None,
        })
        .collect();
    accounts.into_iter().map(|account| format!("account {}\n", Name(account))).collect()
}

/// Writes an element of a server's local log. It is in no block yet.
pub fn of_log(server: &ServerId, element: &Element) -> String {
    let place = format!("local log of {server}");
    element.entries(server).map(|entry| of_entry(&entry, &place, '!')).collect()
}

/// Writes an entry of an element, which is at a place.
fn of_entry(entry: &Entry, place: &str, mark: char) -> String {
    let Entry { server, epoch, seq, time, record: Record { action, via, linked, reference, .. } } =
        entry;
    let name = format!("{server}.{epoch}.{seq}");
    let about = |what: &str, whom: &dyn Display| format!("; {place}: {name} {what} {whom}\n");
    let moves = |to: &dyn Display, from: &dyn Display, amount: Amount| {
        let via = match via {
            Via::Local => "local",
            Via::Paxos => "paxos",
        };
        let linked = if *linked { ", linked" } else { "" };
        let (payee, about) = match reference {
            Some(reference) => (harmless(reference.as_str()), format!("{place}, {via}{linked}")),
            None => (place.to_owned(), format!("{via}{linked}")),
        };
        let head = format!("{} {mark} ({name}) {payee}  ; {about}", date(*time));
        transaction(&head, to, from, amount)
    };
    match action {
        Action::Transfer { from, to, amount } => moves(&Name(to), &Name(from), *amount),
        Action::Mint { account, amount } => moves(&Name(account), &ISSUED, *amount),
        Action::Burn { account, amount } => moves(&ISSUED, &Name(account), *amount),
        Action::Open { account, .. } => about("opens", account),
        Action::Rekey { account, .. } => about("gives another key to", account),
        Action::Pin { server, .. } => about("pins the key of", server),
        Action::Rejoin { server, .. } => about("lets another store speak for", server),
        Action::Member(change) => about("changes the members:", change.server()),
    }
}

/// Writes a text as a payee. A semicolon would begin a comment, a bar what `hledger` takes for a note, and a
/// parenthesis at its beginning a code; and no program tells spaces at an end.
fn harmless(text: &str) -> String {
    let text = text.replace(';', ",").replace('|', "/");
    match text.trim() {
        "" => "-".into(),
        text if text.starts_with('(') => format!("- {text}"),
        text => text.into(),
    }
}

fn transaction(head: &str, to: &dyn Display, from: &dyn Display, amount: Amount) -> String {
    format!("\n{head}\n    {to}  {amount} {UNIT}\n    {from}  -{amount} {UNIT}\n")
}

/// Returns the date of a time. Journals need one, so an unknown time is the first day of 1970.
fn date(time: Option<WallTime>) -> String {
    time.map_or("1970-01-01".into(), clock::date_of)
}

/// An account's name in a journal.
struct Name<'a>(&'a AccountId);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Assets:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_money_is_a_transaction_and_the_rest_is_told_in_comments() {
        let text = r#"{"epoch":1,"seq":7,"entries":[["A","B/-._",9007199254740991],{"open":"A/x","marks":"paxos"}]}"#;
        let element = Element::open(text).unwrap();
        let log = std::slice::from_ref(&element);
        let written = before_log(log) + &of_log(&"A".parse().unwrap(), &element);
        assert_eq!(
            written,
            "account Assets:A/x
account Assets:B/-._

1970-01-01 ! (A.1.7) local log of A  ; local
    Assets:B/-._  9007199254740991 UNIT
    Assets:A  -9007199254740991 UNIT
; local log of A: A.1.8 opens A/x
"
        );
    }
}
