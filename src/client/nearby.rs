//! Names that a mistyped one may have meant: `b` for `B`, `A/alcie` for `A/alice`.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bank::ids::{AccountId, ServerId};
use crate::bank::limits::MAX_PAGE;
use crate::bank::reason::Code;
use crate::bank::request::{ErrorCode, Outcome, Reply, Request};
use crate::client::commands::{Command, Page, Response};
use crate::client::ending::{Ending, Failure};
use crate::client::find::distance;
use crate::client::session::{Session, ask};
use crate::wire::link::{LinkFault, LinkOrder};

/// The longest time that the server may take to tell its names: the answer is there, and this only helps.
const SOON: Duration = Duration::from_millis(250);

/// Returns the names of accounts and servers in a command.
pub(super) fn names_in(command: &Command) -> Vec<String> {
    let account = |account: &AccountId| vec![account.to_string()];
    let server = |server: &ServerId| vec![server.to_string()];
    match command {
        Command::One(instruction) => {
            let action = &instruction.action;
            let both = [action.payer(), action.payee()];
            both.into_iter().flatten().flat_map(account).collect()
        }
        Command::Balance(Some(of)) | Command::Page(Page::History { account: of, .. }) => {
            account(of)
        }
        Command::Log(Some(of))
        | Command::Link(LinkOrder::Heal(Some(of)) | LinkOrder::Break(LinkFault { peer: of, .. })) => {
            server(of)
        }
        _ => Vec::new(),
    }
}

/// Says which known names may have been meant by those of a command that failed; none if it failed for another reason,
/// or no name is near.
pub(super) fn suggest(names: &[String], response: &Response, session: &Session) -> Option<String> {
    if names.is_empty() || !may_be_for_a_name(response) {
        return None;
    }
    let known = known(&mut session.beside(SOON));
    let near = |name: &String| nearest(name, &known);
    let near: Vec<String> = names.iter().filter_map(near).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?\n", near.join(" and ")))
}

fn may_be_for_a_name(response: &Response) -> bool {
    let of_name = |code| matches!(code, Code::UnknownAccount | Code::NoSuchServer);
    match response {
        Response::One(Ending::Decided(
            Outcome::Refused { reason, .. }
            | Outcome::Invalid { reason }
            | Outcome::Unavailable { reason },
        )) => of_name(reason.code),
        Response::Failed(Failure::NoServer(_)) => true,
        Response::Failed(Failure::Said(code, _)) => {
            matches!(code, ErrorCode::UnknownAccount | ErrorCode::BadRequest)
        }
        _ => false,
    }
}

fn known(beside: &mut Session) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    if let Ok(Reply::Status(status)) = ask(beside, &Request::Status) {
        known.extend(status.peers.iter().map(|peer| peer.id.to_string()));
        known.insert(status.server.to_string());
    }
    let all = Request::Accounts { prefix: String::new(), after: None, limit: MAX_PAGE };
    if let Ok(Reply::Accounts { accounts, .. }) = ask(beside, &all) {
        known.extend(accounts.iter().map(|listed| listed.account.to_string()));
    }
    known
}

/// Returns the known name that is nearest to one that isn't known: the same but for capitals, or but for a letter or two
/// of a longer one.
fn nearest(name: &str, known: &BTreeSet<String>) -> Option<String> {
    if known.contains(name) {
        return None;
    }
    let close = |other: &&String| {
        let steps = distance(&name.to_lowercase(), &other.to_lowercase());
        (steps == 0 || (steps <= 2 && steps * 3 < name.chars().count())).then_some(steps)
    };
    let near = known.iter().filter_map(|other| Some((close(&other)?, other)));
    near.min().map(|(_, other)| other.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_suggested() {
        let known = ["A", "B", "A/alice", "north"].map(String::from).into();
        for (typed, meant) in [
            ("b", Some("B")),
            ("a/alice", Some("A/alice")),
            ("A/alcie", Some("A/alice")),
            ("NORTH", Some("north")),
            ("nort", Some("north")),
            ("A", None),
            ("C", None),
            ("south", None),
        ] {
            assert_eq!(nearest(typed, &known).as_deref(), meant, "{typed}");
        }
    }
}
