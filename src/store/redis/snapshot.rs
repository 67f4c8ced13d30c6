//! Everything stored of a server, except the chain's blocks and the pages, read at one moment.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Cmd, Value};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bank::blockchain::block::{
    FORMAT, ISSUING_SINCE, KEYS_SINCE, OLDEST_FORMAT, SealedBlock,
};
use crate::bank::blockchain::derived::{Derived, Membership, SessionsInChain};
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{InstanceId, LifeId, ServerId, SessionId, TurnNumber};
use crate::bank::ledger::entry::Position;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::stored::{LIVES_KEPT, Stored};
use crate::bank::wall_time::WallTime;
use crate::explain::explain;
use crate::store::StoreError;
use crate::store::archive::record::Archived;
use crate::store::redis::keys::{
    ACCEPTED_FIELD, ACTIVE_FIELD, CHECKPOINT_FIELD, DEPOSED_FIELD, FORMAT_FIELD, FORMER_KEYS_FIELD,
    HORIZON_FIELD, INCLUDED_FIELD, INSTANCE_FIELD, INSTANCES_FIELD, ISSUED_FIELD, KEYS_FIELD, Keys,
    MEMBERSHIP_FIELD, PROMISED_FIELD, TIMES_FIELD,
};
use crate::store::redis::reply::{
    command, corrupt, elements, excerpt, fields, from_json, from_text, length, local_log, text,
};
use crate::store::redis::segments;

/// An element of the list of lives.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LifeRecord {
    /// The life.
    pub(super) life: LifeId,
    /// The turn in which it began.
    pub(super) turn: TurnNumber,
}

/// What to do with a store of an older format that is understood.
#[derive(Clone, Copy, Debug)]
pub(super) enum IfOlder<'a> {
    /// Say how it is upgraded.
    Refuse {
        /// The URL of the Redis.
        url: &'a str,
    },
    /// Read it.
    Read,
}

/// What the store held at one moment.
pub(super) struct Snapshot {
    /// The format, if it is not the present one.
    pub(super) older: Option<u32>,
    /// Who loaded the store last.
    pub(super) owner: Option<String>,
    /// The server's state; none if the store is empty. (A load that was cut short leaves only an owner.)
    pub(super) stored: Option<Stored>,
    /// What left the chain for segments.
    pub(super) archived: Archived,
}

/// The highest turn: half of what Redis can count to, so that the counter can go on. Nobody gets so far.
const LAST_TURN: TurnNumber = TurnNumber(i64::MAX.unsigned_abs() / 2);

/// The number of commands in [`commands`].
pub(super) const COMMANDS: usize = 10;

/// Returns the commands whose replies [`parse`] takes.
pub(super) fn commands(keys: &Keys) -> [Cmd; COMMANDS] {
    let all = |key: &str| command("LRANGE", &[key, "0", "-1"]);
    [
        command("HGETALL", &[&keys.state]),
        command("GET", &[&keys.owner]),
        command("GET", &[&keys.turn]),
        // Earlier programs kept all lives.
        command("LRANGE", &[&keys.lives, &format!("-{LIVES_KEPT}"), "-1"]),
        command("LLEN", &[&keys.chain]),
        command("GET", &[&keys.genesis]),
        command("HLEN", &[&keys.balances]),
        command("HGETALL", &[&keys.sessions]),
        all(&keys.log),
        all(&keys.accepted),
    ]
}

/// Parses the replies to [`commands`].
///
/// # Errors
/// [`StoreError::Corrupt`] if the store holds anything that this program doesn't write, and
/// [`StoreError::Unfit`] if it is of another format.
pub(super) fn parse(
    keys: &Keys,
    replies: Vec<Value>,
    if_older: IfOlder<'_>,
) -> Result<Snapshot, StoreError> {
    let [state, owner, turn, lives, held, genesis, balances, sessions, log, accepted]: [Value;
        COMMANDS] =
        replies.try_into().map_err(|_| StoreError::Failed("replies are missing".into()))?;
    // The state comes first: in another format the rest may mean anything.
    let state = State::parse(keys, fields(&keys.state, state)?, if_older)?;
    let owner = text(&keys.owner, owner)?;
    let turn = text(&keys.turn, turn)?;
    let lives = elements(&keys.lives, 0, lives)?;
    let held = length(&keys.chain, held)?;
    let genesis = text(&keys.genesis, genesis)?.is_some();
    let pages = length(&keys.balances, balances)?;
    let sessions = parse_sessions(&keys.sessions, sessions)?;
    let log = local_log(&keys.log, log)?;
    let accepted = elements(&keys.accepted, 0, accepted)?;
    let Some(state) = state else {
        let others = [
            (&keys.turn, turn.is_some()),
            (&keys.lives, !lives.is_empty()),
            (&keys.chain, held > 0),
            (&keys.genesis, genesis),
            (&keys.balances, pages > 0),
            (&keys.sessions, !sessions.is_empty()),
            (&keys.log, !log.is_empty()),
            (&keys.accepted, !accepted.is_empty()),
        ];
        return empty(keys, owner, &others);
    };
    if owner.is_none() {
        return Err(corrupt(&keys.owner, format!("missing, but {} is there", keys.state)));
    }
    let blocks = segments::check(keys, &state.archived, held, genesis)?;
    check_derived(keys, &state, blocks, pages)?;
    let turn = parse_turn(&keys.turn, turn)?;
    let stored = Stored {
        instance: state.instance,
        lives: parse_lives(&keys.lives, &lives, turn)?,
        turn,
        active: state.active,
        blocks,
        pages,
        checkpoint: state.checkpoint.unwrap_or_default(),
        log,
        accepted: parse_accepted(keys, &state, &accepted, blocks)?,
        promised: state.promised.clone(),
        derived: state.derived(),
        sessions: SessionsInChain { highest: sessions, horizon: state.horizon },
    };
    Ok(Snapshot { older: state.older, owner, stored: Some(stored), archived: state.archived })
}

/// Returns what an empty store holds: an owner at most. `others` are its other keys, and whether they are there.
fn empty(
    keys: &Keys,
    owner: Option<String>,
    others: &[(&String, bool)],
) -> Result<Snapshot, StoreError> {
    match others.iter().find(|(_, there)| *there) {
        Some((other, _)) => Err(corrupt(&keys.state, format!("missing, but {other} is there"))),
        None => Ok(Snapshot { older: None, owner, stored: None, archived: Archived::default() }),
    }
}

/// Checks that what follows from the chain is there if, and only if, there is a chain.
fn check_derived(keys: &Keys, state: &State, blocks: u64, pages: u64) -> Result<(), StoreError> {
    let State { included, instances, deposed, checkpoint, .. } = state;
    let fields = [
        (INCLUDED_FIELD, included.is_some()),
        (INSTANCES_FIELD, instances.is_some()),
        (DEPOSED_FIELD, deposed.is_some()),
        (CHECKPOINT_FIELD, checkpoint.is_some()),
    ];
    let founded = state.active || fields.iter().any(|(_, there)| *there) || pages > 0;
    if blocks == 0 && founded {
        return Err(corrupt(&keys.chain, "missing, though the bank was founded"));
    }
    if let Some((field, _)) = fields.iter().find(|(_, there)| blocks > 0 && !there) {
        let place = format!("{}[{field}]", keys.state);
        return Err(corrupt(&place, format!("missing, but {} is there", keys.chain)));
    }
    Ok(())
}

/// The fields of the hash `SERVER-STATE-<id>`.
struct State {
    older: Option<u32>,
    instance: InstanceId,
    promised: Option<Ballot>,
    accepted: Option<Ballot>,
    included: Option<BTreeMap<ServerId, Position>>,
    instances: Option<BTreeMap<ServerId, InstanceId>>,
    deposed: Option<BTreeSet<InstanceId>>,
    keys: Option<BTreeMap<ServerId, Fingerprint>>,
    former: Option<BTreeSet<Fingerprint>>,
    membership: Option<Membership>,
    times: Option<BTreeMap<ServerId, WallTime>>,
    issued: Option<BTreeMap<ServerId, i64>>,
    horizon: Option<Position>,
    checkpoint: Option<u64>,
    active: bool,
    archived: Archived,
}

impl State {
    /// Returns what is stored beside the chain and follows from it.
    fn derived(&self) -> Derived {
        Derived {
            included: self.included.clone().unwrap_or_default(),
            instances: self.instances.clone().unwrap_or_default(),
            deposed: self.deposed.clone().unwrap_or_default(),
            keys: self.keys.clone().unwrap_or_default(),
            former: self.former.clone().unwrap_or_default(),
            membership: self.membership.clone().unwrap_or_default(),
            times: self.times.clone().unwrap_or_default(),
            issued: self.issued.clone().unwrap_or_default(),
        }
    }

    fn parse(
        keys: &Keys,
        fields: Vec<(String, String)>,
        if_older: IfOlder<'_>,
    ) -> Result<Option<State>, StoreError> {
        let key = &keys.state;
        if fields.is_empty() {
            return Ok(None);
        }
        let mut fields = BTreeMap::from_iter(fields);
        let place = |field: &str| format!("{key}[{field}]");
        let missing = |field: &str| corrupt(&place(field), "missing");
        let format = fields.remove(FORMAT_FIELD).ok_or_else(|| missing(FORMAT_FIELD))?;
        let older = read_format(keys, &format, if_older)?;
        let instance = fields.remove(INSTANCE_FIELD).ok_or_else(|| missing(INSTANCE_FIELD))?;
        let promised = optional(&mut fields, key, PROMISED_FIELD)?;
        let accepted = optional(&mut fields, key, ACCEPTED_FIELD)?;
        let included = optional(&mut fields, key, INCLUDED_FIELD)?;
        let instances = optional(&mut fields, key, INSTANCES_FIELD)?;
        let deposed = optional(&mut fields, key, DEPOSED_FIELD)?;
        let keys = optional(&mut fields, key, KEYS_FIELD)?;
        let former = optional(&mut fields, key, FORMER_KEYS_FIELD)?;
        let membership = optional(&mut fields, key, MEMBERSHIP_FIELD)?;
        let times = optional(&mut fields, key, TIMES_FIELD)?;
        let issued = optional(&mut fields, key, ISSUED_FIELD)?;
        let are_there = [keys.is_some() || former.is_some(), times.is_some(), issued.is_some()];
        if let Some((field, older)) = too_early(are_there, older) {
            return Err(corrupt(&place(field), format!("there, and the format is {older}")));
        }
        let horizon = optional(&mut fields, key, HORIZON_FIELD)?;
        let checkpoint = optional(&mut fields, key, CHECKPOINT_FIELD)?;
        let active = match fields.remove(ACTIVE_FIELD).as_deref() {
            None => false,
            Some("1") => true,
            Some(other) => return Err(corrupt(&place(ACTIVE_FIELD), format!("{other:?}, not 1"))),
        };
        let archived = segments::parse(key, &mut fields)?;
        if let Some(field) = fields.keys().next() {
            return Err(corrupt(&place(field), "not a field of this program's"));
        }
        let instance = from_text(&instance, || place(INSTANCE_FIELD))?;
        Ok(Some(State {
            older,
            instance,
            promised,
            accepted,
            included,
            instances,
            deposed,
            keys,
            former,
            membership,
            times,
            issued,
            horizon,
            checkpoint,
            active,
            archived,
        }))
    }
}

/// Returns the first field that is there, though a store of this older format can't have it.
fn too_early(are_there: [bool; 3], older: Option<u32>) -> Option<(&'static str, u32)> {
    let since =
        [(KEYS_FIELD, KEYS_SINCE), (TIMES_FIELD, ISSUING_SINCE), (ISSUED_FIELD, ISSUING_SINCE)];
    let older = older?;
    let mut all = since.into_iter().zip(are_there);
    let early = all.find(|((_, since), is_there)| *is_there && older < *since);
    early.map(|((field, _), _)| (field, older))
}

/// True if a store of this format can be read.
pub(super) fn is_read(format: &str) -> bool {
    (OLDEST_FORMAT..=FORMAT).any(|known| known.to_string() == format)
}

/// Returns the store's format if it is an older one that may be read.
fn read_format(
    keys: &Keys,
    format: &str,
    if_older: IfOlder<'_>,
) -> Result<Option<u32>, StoreError> {
    let place = format!("{}[{FORMAT_FIELD}]", keys.state);
    match (is_read(format).then(|| format.parse()), if_older) {
        (Some(Ok(FORMAT)), _) => Ok(None),
        (Some(Ok(older)), IfOlder::Read) => Ok(Some(older)),
        (Some(Ok(older)), IfOlder::Refuse { url }) => {
            Err(StoreError::Unfit(format!("{place} is {older}: {}", how_to_upgrade(url, &keys.id))))
        }
        _ => Err(StoreError::Unfit(format!(
            "{place} is {}, and this program reads only formats {OLDEST_FORMAT} to {FORMAT}: start \
             the version of the program that wrote it",
            excerpt(format)
        ))),
    }
}

/// Says what to type so that a store of an older format comes along.
pub(super) fn how_to_upgrade(url: &str, id: &ServerId) -> String {
    format!(
        "an older version of this program wrote it. End that version's server, then \
         `paxos-banking upgrade --redis {url} --id {id}` brings the store to format {FORMAT}, as does \
         the server with --upgrade; nothing that it holds is lost"
    )
}

/// Takes a field that may be missing and is otherwise JSON.
fn optional<T: DeserializeOwned>(
    fields: &mut BTreeMap<String, String>,
    key: &str,
    field: &str,
) -> Result<Option<T>, StoreError> {
    let text = fields.remove(field);
    text.map(|text| from_json(&format!("{key}[{field}]"), &text)).transpose()
}

fn parse_sessions(key: &str, reply: Value) -> Result<BTreeMap<SessionId, u64>, StoreError> {
    let parse = |(session, highest): (String, String)| {
        let place = || format!("{key}[{session}]");
        let number: u64 = from_text(&highest, place)?;
        if number.to_string() != highest {
            return Err(corrupt(
                &place(),
                format!("{highest:?}, where a request's number belongs"),
            ));
        }
        Ok((from_text(&session, place)?, number))
    };
    fields(key, reply)?.into_iter().map(parse).collect()
}

fn parse_turn(key: &str, turn: Option<String>) -> Result<TurnNumber, StoreError> {
    let turn = turn.ok_or_else(|| corrupt(key, "missing"))?;
    let number = TurnNumber(from_text(&turn, || key.to_owned())?);
    // Redis counts on only from its own spelling of a number.
    if number > LAST_TURN || number.to_string() != turn {
        let what = format!("{turn:?}, where a number of turns from 1 to {LAST_TURN} belongs");
        return Err(corrupt(key, what));
    }
    Ok(number)
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
    let block = SealedBlock::open(text).map_err(|error| corrupt(&place, explain(&error)))?;
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
