//! Typed lines into orders about the members.

use crate::bank::address::Address;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;
use crate::bank::ledger::member_change::MemberChange;
use crate::bank::request::Order;
use crate::client::text::cut;

/// Parses the words after a command about members; none if their number is wrong.
pub(super) fn order(
    command: &str,
    words: &[&str],
    find_key: &dyn Fn(&str) -> Result<Fingerprint, String>,
) -> Option<Result<Order, String>> {
    let change = |server: &str, change: fn(ServerId) -> MemberChange| {
        Some(server_of(server).map(|server| Order::Change(change(server))))
    };
    match (command, words) {
        ("members", []) => Some(Ok(Order::Show)),
        ("admit", [server, at, rest @ ..]) => Some(admission(server, at, rest, find_key)),
        ("move", [server, at]) => {
            Some(server_of(server).and_then(|server| {
                Ok(Order::Change(MemberChange::Move { server, at: address(at)? }))
            }))
        }
        ("dismiss", [server]) => change(server, |server| MemberChange::Dismiss { server }),
        ("promote", [server]) => change(server, |server| MemberChange::Promote { server }),
        ("demote", [server]) => change(server, |server| MemberChange::Demote { server }),
        _ => None,
    }
}

fn server_of(text: &str) -> Result<ServerId, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|wrong| format!("{}: {wrong}", cut(text)))
}

fn admission(
    server: &str,
    at: &str,
    rest: &[&str],
    find_key: &dyn Fn(&str) -> Result<Fingerprint, String>,
) -> Result<Order, String> {
    let (server, at) = (server_of(server)?, address(at)?);
    let branch = rest.contains(&"--branch");
    let mut keys = rest.iter().filter(|word| **word != "--branch");
    let key = keys.next().map(|word| find_key(word)).transpose()?;
    match keys.next() {
        None => Ok(Order::Admit { server, at, key, branch }),
        Some(more) => {
            Err(format!("{} is too much: admit SERVER HOST:PORT [KEY] [--branch]", cut(more)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(command: &str, words: &[&str]) -> Result<Order, String> {
        let no_key = |word: &str| Err(format!("{word} is no key"));
        order(command, words, &no_key).unwrap_or_else(|| Err("expected".into()))
    }

    #[test]
    fn what_is_wrong_with_an_order_is_said() {
        for (command, words, part) in [
            ("admit", &["D"][..], "expected"),
            ("admit", &["D", "host"], "has no port"),
            ("admit", &["D/x", "host:1"], "D/x"),
            ("admit", &["D", "host:1", "key"], "key is no key"),
            ("move", &["D", "host:0"], "port 0"),
            ("promote", &[], "expected"),
            ("members", &["D"], "expected"),
        ] {
            let error = parsed(command, words).unwrap_err();
            assert!(error.contains(part), "{command} {words:?}: {error}");
        }
        let branch = parsed("admit", &["D", "host:1", "--branch"]).unwrap();
        assert!(matches!(branch, Order::Admit { branch: true, key: None, .. }), "{branch:?}");
    }
}
