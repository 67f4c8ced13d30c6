//! Everything that is stored of a server, but for the chain, read at one moment.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use redis::{Cmd, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{FORMAT, SealedBlock};
use crate::bank::ids::{AccountId, InstanceId, LifeId, TurnNumber};
use crate::bank::ledger::entry::Entry;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::stored::Stored;
use crate::store::StoreError;
use crate::store::redis::keys::{
    ACCEPTED_FIELD, ACTIVE_FIELD, FORMAT_FIELD, INSTANCE_FIELD, Keys, PROMISED_FIELD,
};
use crate::store::redis::reply::{command, corrupt, elements, excerpt, fields, length, text};

/// An element of the list of lives.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LifeRecord {
    /// The life.
    pub(super) life: LifeId,
    /// The turn in which it began.
    pub(super) turn: TurnNumber,
}

/// What there is.
pub(super) struct Snapshot {
    /// Who loaded the store last.
    pub(super) owner: Option<String>,
    /// The server's state; none if the store is empty. (A load that was cut short leaves an owner.)
    pub(super) stored: Option<Stored>,
}

/// The number of commands in [`commands`].
pub(super) const COMMANDS: usize = 8;

/// What to ask, for [`parse`].
pub(super) fn commands(keys: &Keys) -> [Cmd; COMMANDS] {
    let all = |key: &str| command("LRANGE", &[key, "0", "-1"]);
    [
        command("HGETALL", &[&keys.state]),
        command("GET", &[&keys.owner]),
        command("GET", &[&keys.turn]),
        all(&keys.lives),
        command("LLEN", &[&keys.chain]),
        command("HGETALL", &[&keys.balances]),
        all(&keys.log),
        all(&keys.accepted),
    ]
}

/// Understands the replies.
///
/// # Errors
/// [`StoreError::Corrupt`] if anything is there that this program doesn't write, and
/// [`StoreError::Unfit`] if it is of another format.
pub(super) fn parse(keys: &Keys, replies: Vec<Value>) -> Result<Snapshot, StoreError> {
    let [state, owner, turn, lives, blocks, balances, log, accepted]: [Value; COMMANDS] =
        replies.try_into().map_err(|_| StoreError::Failed("replies are missing".into()))?;
    // The state comes first: in another format the rest may mean anything.
    let state = State::parse(&keys.state, fields(&keys.state, state)?)?;
    let owner = text(&keys.owner, owner)?;
    let turn = text(&keys.turn, turn)?;
    let lives = elements(&keys.lives, 0, lives)?;
    let blocks = length(&keys.chain, blocks)?;
    let balances = fields(&keys.balances, balances)?;
    let log = elements(&keys.log, 0, log)?;
    let accepted = elements(&keys.accepted, 0, accepted)?;
    let Some(state) = state else {
        let others = [
            (&keys.turn, turn.is_some()),
            (&keys.lives, !lives.is_empty()),
            (&keys.chain, blocks > 0),
            (&keys.balances, !balances.is_empty()),
            (&keys.log, !log.is_empty()),
            (&keys.accepted, !accepted.is_empty()),
        ];
        return match others.iter().find(|(_, there)| *there) {
            Some((other, _)) => Err(corrupt(&keys.state, format!("missing, but {other} is there"))),
            None => Ok(Snapshot { owner, stored: None }),
        };
    };
    if owner.is_none() {
        return Err(corrupt(&keys.owner, format!("missing, but {} is there", keys.state)));
    }
    if blocks == 0 && (state.active || !balances.is_empty()) {
        return Err(corrupt(&keys.chain, "missing, though the bank was founded"));
    }
    let turn = parse_turn(&keys.turn, turn)?;
    let stored = Stored {
        instance: state.instance,
        lives: parse_lives(&keys.lives, &lives, turn)?,
        turn,
        active: state.active,
        blocks,
        balances: parse_balances(&keys.balances, balances)?,
        log: parse_log(&keys.log, &log)?,
        accepted: parse_accepted(keys, &state, &accepted, blocks)?,
        promised: state.promised,
    };
    Ok(Snapshot { owner, stored: Some(stored) })
}

/// The hash of that name.
struct State {
    instance: InstanceId,
    promised: Option<Ballot>,
    accepted: Option<Ballot>,
    active: bool,
}

impl State {
    fn parse(key: &str, fields: Vec<(String, String)>) -> Result<Option<State>, StoreError> {
        if fields.is_empty() {
            return Ok(None);
        }
        let mut fields = BTreeMap::from_iter(fields);
        let place = |field: &str| format!("{key}[{field}]");
        let missing = |field: &str| corrupt(&place(field), "missing");
        let format = fields.remove(FORMAT_FIELD).ok_or_else(|| missing(FORMAT_FIELD))?;
        if format != FORMAT.to_string() {
            return Err(StoreError::Unfit(format!(
                "{} is {}, and this program reads and writes only {FORMAT}: start the version \
                 that wrote it",
                place(FORMAT_FIELD),
                excerpt(&format)
            )));
        }
        let instance = fields.remove(INSTANCE_FIELD).ok_or_else(|| missing(INSTANCE_FIELD))?;
        let mut ballot = |field: &str| {
            fields.remove(field).map(|text| from_json(&place(field), &text)).transpose()
        };
        let promised = ballot(PROMISED_FIELD)?;
        let accepted = ballot(ACCEPTED_FIELD)?;
        let active = match fields.remove(ACTIVE_FIELD).as_deref() {
            None => false,
            Some("1") => true,
            Some(other) => return Err(corrupt(&place(ACTIVE_FIELD), format!("{other:?}, not 1"))),
        };
        if let Some(field) = fields.keys().next() {
            return Err(corrupt(&place(field), "not a field of this program's"));
        }
        let instance = from_text(&place(INSTANCE_FIELD), &instance)?;
        Ok(Some(State { instance, promised, accepted, active }))
    }
}

fn parse_turn(key: &str, turn: Option<String>) -> Result<TurnNumber, StoreError> {
    let turn = turn.ok_or_else(|| corrupt(key, "missing"))?;
    Ok(TurnNumber(from_text(key, &turn)?))
}

fn parse_lives(
    key: &str,
    lives: &[String],
    last: TurnNumber,
) -> Result<Vec<(LifeId, TurnNumber)>, StoreError> {
    let mut parsed: Vec<(LifeId, TurnNumber)> = Vec::with_capacity(lives.len());
    for (index, text) in lives.iter().enumerate() {
        let place = format!("{key}[{index}]");
        let LifeRecord { life, turn } = from_json(&place, text)?;
        if turn > last || parsed.last().is_some_and(|(_, before)| turn <= *before) {
            return Err(corrupt(&place, format!("turn {turn} is out of order")));
        }
        parsed.push((life, turn));
    }
    if parsed.is_empty() {
        return Err(corrupt(key, "missing"));
    }
    Ok(parsed)
}

fn parse_balances(
    key: &str,
    balances: Vec<(String, String)>,
) -> Result<Vec<(AccountId, Amount)>, StoreError> {
    let balance = |(account, amount): (String, String)| {
        let place = format!("{key}[{account}]");
        Ok((from_text::<AccountId>(&place, &account)?, from_text::<Amount>(&place, &amount)?))
    };
    let mut balances = balances.into_iter().map(balance).collect::<Result<Vec<_>, _>>()?;
    balances.sort();
    Ok(balances)
}

fn parse_log(key: &str, log: &[String]) -> Result<Vec<Vec<Entry>>, StoreError> {
    let element = |(index, text): (usize, &String)| from_json(&format!("{key}[{index}]"), text);
    log.iter().enumerate().map(element).collect()
}

/// Joins the accepted block with the ballot in which it was accepted.
fn parse_accepted(
    keys: &Keys,
    state: &State,
    accepted: &[String],
    blocks: u64,
) -> Result<Option<(Ballot, SealedBlock)>, StoreError> {
    let key = &keys.accepted;
    let (ballot, text) = match (&state.accepted, accepted) {
        (None, []) => return Ok(None),
        (Some(ballot), [text]) => (ballot, text),
        (None, _) => {
            let place = format!("{}[{ACCEPTED_FIELD}]", keys.state);
            return Err(corrupt(&place, format!("missing, but {key} is there")));
        }
        (Some(_), _) => {
            return Err(corrupt(key, format!("{} elements instead of one", accepted.len())));
        }
    };
    let place = format!("{key}[0]");
    let block = SealedBlock::open(text).map_err(|error| corrupt(&place, error.to_string()))?;
    if block.height() != blocks {
        let height = block.height();
        return Err(corrupt(
            &place,
            format!("the block there has the height {height} after a chain of {blocks}"),
        ));
    }
    if state.promised.as_ref().is_none_or(|promised| promised < ballot) {
        let place = format!("{}[{PROMISED_FIELD}]", keys.state);
        return Err(corrupt(&place, "lower than the ballot in which a block was accepted"));
    }
    Ok(Some((ballot.clone(), block)))
}

fn from_json<T: DeserializeOwned>(place: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| corrupt(place, format!("{error}, in {}", excerpt(text))))
}

fn from_text<T: FromStr<Err: Display>>(place: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error| corrupt(place, format!("{error}, in {}", excerpt(text))))
}
