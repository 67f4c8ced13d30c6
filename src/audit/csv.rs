//! Entries as rows of a table (RFC 4180, but for the line ends).

use crate::bank::blockchain::block::Block;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;
use crate::bank::ledger::element::Element;
use crate::bank::ledger::entry::{Action, Entry, Record, Via};
use crate::bank::ledger::member_change::{Admission, MemberChange};
use crate::bank::reference::Reference;
use crate::clock;

/// The first row of the table.
pub const HEADER: &str = "height,server,epoch,seq,kind,from,to,amount,account,old,new,request,via,linked,key,time,reference\n";

/// True if all entries of an element have names. An export doesn't verify, so the first entry may stand at
/// the end of what can be counted.
pub fn can_be_named(element: &Element) -> bool {
    element.first().seq.checked_add(element.records().len() as u64).is_some()
}

/// Writes a block's entries; for block 0 and opening blocks, each account's opening balance.
pub fn of_block(block: &Block) -> String {
    let height = block.height.to_string();
    let mut rows = String::new();
    if let Some(genesis) = &block.genesis {
        let amount = genesis.opening_balance.to_string();
        for server in genesis.servers.keys() {
            let account = server.as_str();
            let key = &genesis.keys.get(server).map(ToString::to_string).unwrap_or_default();
            let opening = Row { kind: "opening", amount: &amount, account, key, ..Row::default() };
            rows += &Row { height: &height, server: account, ..opening }.line();
        }
    }
    if let Some(accounts) = &block.opening {
        for (account, amount) in &accounts.balances {
            let key = accounts.keys.get(account).map(ToString::to_string).unwrap_or_default();
            let (server, account, amount) = (account.home(), account.as_str(), &amount.to_string());
            let opening = Row { kind: "opening", amount, account, key: &key, ..Row::default() };
            rows += &Row { height: &height, server, ..opening }.line();
        }
    }
    block.entries().for_each(|entry| rows += &of_entry(&height, &entry));
    rows
}

/// Writes the entries of an element of a server's local log. They have no height yet.
pub fn of_log(server: &ServerId, element: &Element) -> String {
    element.entries(server).map(|entry| of_entry("", &entry)).collect()
}

/// Writes an entry; the height is empty while it is in no block.
pub fn of_entry(height: &str, entry: &Entry) -> String {
    let Entry { server, epoch, seq, time, record } = entry;
    let Record { action, request, via, linked, reference } = record;
    let (epoch, seq) = (epoch.to_string(), seq.to_string());
    let request = request.as_ref().map(ToString::to_string).unwrap_or_default();
    let via = match via {
        Via::Local => "local",
        Via::Paxos => "paxos",
    };
    let linked = if *linked { "true" } else { "false" };
    let server = server.as_str();
    let time = time.map(clock::text_of).unwrap_or_default();
    let reference = reference.as_ref().map(Reference::as_str).unwrap_or_default();
    let named = Row { height, server, epoch: &epoch, seq: &seq, ..Row::default() };
    let row = Row { request: &request, via, linked, time: &time, reference, ..named };
    match action {
        Action::Transfer { from, to, amount } => {
            let (from, to, amount) = (from.as_str(), to.as_str(), &amount.to_string());
            Row { kind: "transfer", from, to, amount, ..row }.line()
        }
        Action::Mint { account, amount } => {
            let (account, amount) = (account.as_str(), &amount.to_string());
            Row { kind: "mint", amount, account, ..row }.line()
        }
        Action::Burn { account, amount } => {
            let (account, amount) = (account.as_str(), &amount.to_string());
            Row { kind: "burn", amount, account, ..row }.line()
        }
        Action::Open { account, key } => {
            let key = &text_of(key.as_deref());
            Row { kind: "open", account: account.as_str(), key, ..row }.line()
        }
        Action::Rekey { account, key } => {
            Row { kind: "rekey", account: account.as_str(), key: &key.to_string(), ..row }.line()
        }
        Action::Pin { server, instance, key } => {
            let (account, old, key) = (server.as_str(), &instance.to_string(), &key.to_string());
            Row { kind: "pin", account, old, key, ..row }.line()
        }
        Action::Rejoin { server, old, new, key } => {
            let (account, old, new) = (server.as_str(), &old.to_string(), &new.to_string());
            Row { kind: "rejoin", account, old, new, key: &text_of(key.as_deref()), ..row }.line()
        }
        Action::Member(change) => of_member_change(change, row),
    }
}

fn of_member_change(change: &MemberChange, row: Row<'_>) -> String {
    let row = Row { account: change.server().as_str(), ..row };
    match change {
        MemberChange::Admit(Admission { instance, at, key, branch, .. }) => {
            let kind = if *branch { "admit branch" } else { "admit" };
            let (new, key) = (&instance.to_string(), &text_of(key.as_ref()));
            Row { kind, to: at.as_str(), new, key, ..row }.line()
        }
        MemberChange::Dismiss { .. } => Row { kind: "dismiss", ..row }.line(),
        MemberChange::Move { at, .. } => Row { kind: "move", to: at.as_str(), ..row }.line(),
        MemberChange::Promote { .. } => Row { kind: "promote", ..row }.line(),
        MemberChange::Demote { .. } => Row { kind: "demote", ..row }.line(),
    }
}

#[derive(Default)]
struct Row<'a> {
    height: &'a str,
    server: &'a str,
    epoch: &'a str,
    seq: &'a str,
    kind: &'a str,
    from: &'a str,
    to: &'a str,
    amount: &'a str,
    /// The account that is opened or gets a key, or for which money is issued or taken back; for what concerns a server, the server's account.
    account: &'a str,
    old: &'a str,
    new: &'a str,
    request: &'a str,
    via: &'a str,
    linked: &'a str,
    /// The owner's key; for a server, the key by which it is known.
    key: &'a str,
    /// The time of the entry's turn, in UTC.
    time: &'a str,
    reference: &'a str,
}

impl Row<'_> {
    fn line(&self) -> String {
        let Row { height, server, epoch, seq, kind, from, to, amount, .. } = self;
        let Row { account, old, new, request, via, linked, key, time, reference, .. } = self;
        let fields = [
            height, server, epoch, seq, kind, from, to, amount, account, old, new, request, via,
            linked, key, time, reference,
        ];
        let mut line = fields.map(|field| quoted(field)).join(",");
        line.push('\n');
        line
    }
}

fn text_of(key: Option<&Fingerprint>) -> String {
    key.map(ToString::to_string).unwrap_or_default()
}

/// Writes a field. Names and numbers need no quotes.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        false => field.to_owned(),
        true => format!("\"{}\"", field.replace('"', "\"\"")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_taken_for_more_is_quoted() {
        let text = r#"{"epoch":1,"seq":7,"time":1796009637123,"entries":[["A","B",5,null,null,"a, b"],{"mint":"A/x","amount":3,"marks":"paxos"}]}"#;
        let element = Element::open(text).unwrap();
        assert_eq!(
            of_log(&"A".parse().unwrap(), &element),
            "\
,A,1,7,transfer,A,B,5,,,,,local,false,,2026-11-30T03:33:57Z,\"a, b\"
,A,1,8,mint,,,3,A/x,,,,paxos,false,,2026-11-30T03:33:57Z,
"
        );
        for (field, written) in
            [("a b", "a b"), ("a,b", r#""a,b""#), (r#"a"b"#, r#""a""b""#), ("a\nb", "\"a\nb\"")]
        {
            assert_eq!(quoted(field), written);
        }
    }

    #[test]
    fn what_cannot_be_counted_has_no_name() {
        let element = |seq: u64| {
            let text = format!(r#"{{"epoch":1,"seq":{seq},"entries":[["A","B",5],["A","B",5]]}}"#);
            Element::open(&text).unwrap()
        };
        assert!(can_be_named(&element(u64::MAX - 2)) && !can_be_named(&element(u64::MAX - 1)));
    }

    #[test]
    fn a_row_has_a_field_for_each_name() {
        assert_eq!(HEADER.split(',').count(), Row::default().line().split(',').count());
    }
}
