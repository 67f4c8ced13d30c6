//! What a store keeps beside the chain, compared with the chain.

use std::collections::BTreeMap;

use crate::audit::finding::Finding;
use crate::audit::replay::Replay;
use crate::audit::source::{Kept, Source, Standing};
use crate::bank::blockchain::chain::Chain;
use crate::bank::blockchain::derived::Derived;
use crate::bank::ids::{InstanceId, ServerId, SessionId};
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::sessions::is_before;
use crate::bank::stored::Place;

/// True if the chain names this very store as its server's.
pub fn takes_part(replay: &Replay, source: &dyn Source, standing: &Standing) -> bool {
    let (Some(chain), Some(server)) = (replay.chain(), source.server()) else { return true };
    standing.instance.is_none_or(|instance| chain.instance(&server) == Some(instance))
}

/// Says what is to be known of the store of an instance that the chain does not name.
fn in_whose_place(
    chain: &Chain,
    server: &ServerId,
    own: InstanceId,
    named: InstanceId,
) -> Option<String> {
    match chain.is_deposed(own) {
        true => Some(format!(
            "{server} has another store now, instance {named}: never use this one, instance {own}, again"
        )),
        false if own != named => {
            Some(format!("instance {own} has not rejoined yet in the place of {named}"))
        }
        false => None,
    }
}

/// Says what is to be known of the store of a server that is no member by its own chain: it was dismissed, or waits to
/// be admitted.
///
/// # Errors
/// If the store holds what only a member's can hold.
fn no_member(
    chain: &Chain,
    source: &dyn Source,
    standing: &Standing,
    server: &ServerId,
) -> Result<String, Finding> {
    let wrong = |place: Place, what: String| Err(Finding::new(source.spot(&place), what));
    if !standing.log.is_empty() {
        return wrong(Place::Log, format!("it is there, and {server} is no member by the chain"));
    }
    let is_member = |own| chain.derived().instances.iter().find(|(_, named)| **named == own);
    if let Some((whose, own)) = standing.instance.and_then(is_member) {
        return wrong(
            Place::Block(0),
            format!("instance {own} is the store of {whose}, not {server}"),
        );
    }
    let was_member = match standing.instance {
        Some(own) => chain.is_deposed(own),
        None => chain.derived().included.contains_key(server),
    };
    if was_member {
        return Ok(format!("{server} was dismissed: it is no member any more, nor is this store"));
    }
    if standing.kept.as_ref().is_some_and(|kept| kept.promised.is_some()) {
        return wrong(
            Place::Promised,
            format!("it has voted, and {server} is no member by the chain"),
        );
    }
    Ok(format!("{server} has not been admitted yet, as far as this chain goes"))
}

/// Checks whose store it is, that it wasn't used before there was a bank, and which entries it says are in
/// the chain. Returns what is worth knowing.
///
/// # Errors
/// The first thing that is wrong.
/// The first thing that is wrong.
pub fn check(
    replay: &Replay,
    source: &dyn Source,
    standing: &Standing,
) -> Result<Vec<String>, Finding> {
    let wrong = |place: Place, what: String| Err(Finding::new(source.spot(&place), what));
    let Some(chain) = replay.chain() else {
        let votes = standing
            .kept
            .as_ref()
            .is_some_and(|kept| kept.active || kept.promised.is_some() || kept.accepted.is_some());
        if votes || !standing.log.is_empty() {
            let what = "missing, and the server was open or has voted".into();
            return wrong(Place::Chain, what);
        }
        return Ok(vec!["its bank was not founded yet".into()]);
    };
    let mut notes = Vec::new();
    if let Some(server) = source.server() {
        notes.extend(match chain.instance(&server) {
            Some(named) => {
                standing.instance.and_then(|own| in_whose_place(chain, &server, own, named))
            }
            None => Some(no_member(chain, source, standing, &server)?),
        });
    }
    let Some(kept) = &standing.kept else { return Ok(notes) };
    notes.extend(kept.outdated.clone());
    if !kept.active && !standing.log.is_empty() {
        return wrong(Place::Log, "it is there, though the bank was never open".into());
    }
    let said = |position: Option<&Position>| match position {
        None => "none".to_owned(),
        Some(Position { epoch, seq }) => format!("{seq} (epoch {epoch})"),
    };
    let right = chain.derived();
    let servers = right.included.keys().chain(kept.derived.included.keys());
    for server in servers {
        let (is, should) = (kept.derived.included.get(server), right.included.get(server));
        if is != should {
            let (is, right) = (said(is), said(should));
            let what =
                format!("the last entry of {server} in the chain is {right}, and {is} is there");
            return wrong(Place::Included, what);
        }
    }
    if let Some((place, what)) = differs(&kept.derived, right) {
        return wrong(place, what.into());
    }
    match source.server() {
        Some(server) => check_sessions(replay, source, kept, &server).map(|()| notes),
        None => Ok(notes),
    }
}

/// Returns the first of what follows from the chain that is stored otherwise.
fn differs(kept: &Derived, right: &Derived) -> Option<(Place, &'static str)> {
    const THEY: &str = "they are not what follows from the chain";
    const IT: &str = "it is not what follows from the chain";
    let all = [
        (kept.instances == right.instances, Place::Instances, THEY),
        (kept.deposed == right.deposed, Place::Deposed, THEY),
        (kept.keys == right.keys, Place::Keys, THEY),
        (kept.former == right.former, Place::FormerKeys, THEY),
        (kept.membership == right.membership, Place::Membership, IT),
        (kept.times == right.times, Place::Times, THEY),
        (kept.issued == right.issued, Place::Issued, IT),
    ];
    all.into_iter().find(|(same, ..)| !same).map(|(_, place, what)| (place, what))
}

/// Checks what a store says of sessions, by which a late retry is recognized.
fn check_sessions(
    replay: &Replay,
    source: &dyn Source,
    kept: &Kept,
    server: &ServerId,
) -> Result<(), Finding> {
    let wrong = |place: Place, what: String| Err(Finding::new(source.spot(&place), what));
    let last = replay.chain().map(|chain| chain.included(server));
    if kept.sessions.horizon > last {
        return wrong(Place::Horizon, "it lies beyond the entries in the chain".into());
    }
    let own = replay.requests().highest().filter(|(session, _)| session.server == *server);
    let own: BTreeMap<&SessionId, u64> = own.collect();
    for (session, said) in &kept.sessions.highest {
        let what = match own.get(session) {
            Some(right) if right == said => continue,
            Some(right) => format!("{said} is there, and {right} follows from the chain"),
            None => "the chain knows no such session".into(),
        };
        return wrong(Place::Session(session.clone()), what);
    }
    let missing = own.into_iter().find(|(session, _)| {
        !kept.sessions.highest.contains_key(session) && !is_before(session, kept.sessions.horizon)
    });
    match missing {
        Some((session, number)) => {
            let what = format!("missing, and the chain holds {number}");
            wrong(Place::Session(session.clone()), what)
        }
        None => Ok(()),
    }
}

/// Checks what the server has promised and accepted for the next height.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_accepted(
    replay: &Replay,
    source: &dyn Source,
    standing: &Standing,
) -> Result<(), Finding> {
    let wrong = |place: Place, what: String| Err(Finding::new(source.spot(&place), what));
    let Some(kept) = &standing.kept else { return Ok(()) };
    if let Some(promised) = kept.promised.as_ref().filter(|ballot| !ballot.is_possible()) {
        return wrong(Place::Promised, format!("there is no ballot {promised}"));
    }
    let (Some(block), Some(chain)) = (&kept.accepted, replay.chain()) else { return Ok(()) };
    if let Err(error) = chain.verify(replay.balances(), block) {
        return wrong(Place::Accepted, error.to_string());
    }
    let own = source.server().map(|server| block.block().log(&server)).unwrap_or_default();
    if standing.log.get(..own.len()) != Some(own) {
        let what = "its entries of this server are not those that the local log begins with";
        return wrong(Place::Accepted, what.into());
    }
    Ok(())
}
