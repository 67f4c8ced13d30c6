//! A turn's commands, and what Redis must answer to each.
//!
//! `EXEC` is not all-or-nothing: a command that fails, or does less than it should, doesn't stop the
//! commands after it. So every reply is checked, and the order of the commands lets a reader tell a
//! transaction that was cut short from a whole one.

use redis::{Cmd, Value};

use crate::bank::blockchain::block::{BlockHash, SealedBlock};
use crate::bank::blockchain::derived::Derived;
use crate::bank::effects::Write;
use crate::bank::ids::{SessionId, TurnNumber};
use crate::bank::ledger::pages::Page;
use crate::bank::ledger::sessions::SessionChanges;
use crate::bank::paxos::ballot::Ballot;
use crate::bank::stored::LIVES_KEPT;
use crate::store::StoreError;
use crate::store::redis::keys::{
    ACCEPTED_FIELD, ACTIVE_FIELD, BASE_FIELD, CHECKPOINT_FIELD, DEPOSED_FIELD, FORMER_KEYS_FIELD,
    HORIZON_FIELD, INCLUDED_FIELD, INSTANCES_FIELD, ISSUED_FIELD, KEYS_FIELD, Keys,
    MEMBERSHIP_FIELD, PROMISED_FIELD, TIMES_FIELD,
};
use crate::store::redis::pages;
use crate::store::redis::past::Sealed;
use crate::store::redis::reply::{command, corrupt, unexpected};

/// The most sessions in one command: Redis takes about a million words, and answers no other user while it
/// works on them.
const MOST_AT_ONCE: usize = 10_000;
/// The most pages in one command.
const PAGES_AT_ONCE: usize = 64;

/// What Redis must answer to a command.
enum Expected {
    /// The turn's number.
    Turn(TurnNumber),
    /// `OK`.
    Okay,
    /// Any number.
    Number,
    /// Exactly this number.
    Exactly(u64),
    /// This number or a higher one.
    AtLeast(u64),
    /// The text of this block.
    Text(SealedBlock),
}

/// A command, the key it is about, and what Redis must answer.
struct Step {
    command: Cmd,
    key: String,
    expected: Expected,
}

/// The commands of one turn.
pub(super) struct Turn<'a> {
    keys: &'a Keys,
    /// The height of the first block in the list of blocks.
    base: u64,
    steps: Vec<Step>,
}

impl<'a> Turn<'a> {
    /// Starts a turn, with nothing in it but the counter.
    /// `base` is the height of the first block in the list of blocks.
    pub(super) fn new(keys: &'a Keys, number: TurnNumber, base: u64) -> Turn<'a> {
        let mut turn = Turn { keys, base, steps: Vec::new() };
        turn.step("INCR", &keys.turn, &[], Expected::Turn(number));
        turn
    }

    fn step(&mut self, name: &str, key: &str, arguments: &[&str], expected: Expected) {
        let mut command = command(name, &[key]);
        command.arg(arguments);
        self.steps.push(Step { command, key: key.to_owned(), expected });
    }

    /// Adds an element to the end of a list.
    pub(super) fn push(&mut self, key: &str, text: &str) {
        self.step("RPUSH", key, &[text], Expected::AtLeast(1));
    }

    /// Adds a life, and forgets the oldest ones.
    pub(super) fn live(&mut self, text: &str) {
        let key = &self.keys.lives;
        self.push(key, text);
        self.step("LTRIM", key, &[&format!("-{LIVES_KEPT}"), "-1"], Expected::Okay);
    }

    /// Sets fields of the state.
    pub(super) fn set(&mut self, fields: &[(&str, &str)]) {
        let arguments: Vec<&str> =
            fields.iter().flat_map(|(field, value)| [*field, *value]).collect();
        self.step("HSET", &self.keys.state, &arguments, Expected::Number);
    }

    /// Notes a segment, and forgets its blocks in a chain of `blocks` blocks. They must be its first ones.
    pub(super) fn trim(&mut self, sealed: &Sealed, blocks: u64) {
        let Keys { chain, genesis, .. } = self.keys;
        let Sealed { segment, genesis: block } = sealed;
        let base = segment.last + 1;
        self.step("LLEN", chain, &[], Expected::Exactly(blocks - self.base));
        if let Some(block) = block {
            self.step("SET", genesis, &[block], Expected::Okay);
        }
        self.set(&[(&segment.field(), &segment.record()), (BASE_FIELD, &base.to_string())]);
        self.step("LTRIM", chain, &[&(base - self.base).to_string(), "-1"], Expected::Okay);
        self.base = base;
    }

    /// Adds the writes of a batch. `accepted` is the block accepted before it.
    pub(super) fn write(&mut self, writes: &[Write], mut accepted: Option<BlockHash>) {
        for write in writes {
            match write {
                Write::Log(element) => self.push(&self.keys.log, element.text()),
                Write::Promise(ballot) => self.set(&[(PROMISED_FIELD, &json(ballot))]),
                Write::Accept { ballot, block } => {
                    self.accept(ballot, block, accepted == Some(block.hash()));
                    accepted = Some(block.hash());
                }
                Write::Append {
                    block,
                    from_accepted,
                    trim,
                    pages,
                    checkpoint,
                    derived,
                    sessions,
                    promise_stands,
                } => {
                    let Derived { included, instances, deposed, keys, former, .. } = &**derived;
                    let Derived { membership, times, issued, .. } = &**derived;
                    self.append(block, *from_accepted, *trim);
                    self.set_pages(pages);
                    self.set(&[
                        (INCLUDED_FIELD, &json(included)),
                        (INSTANCES_FIELD, &json(instances)),
                        (DEPOSED_FIELD, &json(deposed)),
                        (CHECKPOINT_FIELD, &checkpoint.to_string()),
                    ]);
                    if !keys.is_empty() {
                        self.set(&[(KEYS_FIELD, &json(keys)), (FORMER_KEYS_FIELD, &json(former))]);
                    }
                    if !membership.is_founding() {
                        self.set(&[(MEMBERSHIP_FIELD, &json(membership))]);
                    }
                    if !times.is_empty() {
                        self.set(&[(TIMES_FIELD, &json(times))]);
                    }
                    if !issued.is_empty() {
                        self.set(&[(ISSUED_FIELD, &json(issued))]);
                    }
                    self.change_sessions(sessions);
                    self.forget_accepted(*promise_stands);
                    accepted = None;
                }
                Write::Activate => self.set(&[(ACTIVE_FIELD, "1")]),
            }
        }
    }

    /// Accepts a block. If it was accepted before, in a lower ballot, it is `already` there.
    fn accept(&mut self, ballot: &Ballot, block: &SealedBlock, already: bool) {
        let key = &self.keys.accepted;
        if !already {
            self.empty(key);
            self.step("RPUSH", key, &[block.text()], Expected::Exactly(1));
        }
        let ballot = json(ballot);
        self.set(&[(PROMISED_FIELD, &ballot), (ACCEPTED_FIELD, &ballot)]);
    }

    /// Appends a block. The chain is written first: an entry that is both in it and in the log can be
    /// recognized by its name, while an entry in neither would be lost.
    fn append(&mut self, block: &SealedBlock, from_accepted: bool, trim: usize) {
        let Keys { chain, log, accepted, .. } = self.keys;
        let length = block.height() + 1 - self.base;
        if from_accepted {
            let to = [chain.as_str(), "LEFT", "RIGHT"];
            self.step("LMOVE", accepted, &to, Expected::Text(block.clone()));
            self.step("LLEN", chain, &[], Expected::Exactly(length));
        } else {
            self.step("RPUSH", chain, &[block.text()], Expected::Exactly(length));
        }
        if trim > 0 {
            // LTRIM doesn't say how many elements there were.
            self.step("LLEN", log, &[], Expected::AtLeast(trim as u64));
            self.step("LTRIM", log, &[&trim.to_string(), "-1"], Expected::Okay);
        }
    }

    fn set_pages(&mut self, pages: &[Page]) {
        let texts = |page: &Page| [page.number.to_string(), pages::text(page)];
        for some in pages.chunks(PAGES_AT_ONCE) {
            let texts: Vec<String> = some.iter().flat_map(texts).collect();
            let arguments: Vec<&str> = texts.iter().map(String::as_str).collect();
            self.step("HSET", &self.keys.balances, &arguments, Expected::Number);
        }
    }

    fn change_sessions(&mut self, changes: &SessionChanges) {
        let key = &self.keys.sessions;
        let highest: Vec<(String, String)> = (changes.highest.iter())
            .map(|(session, highest)| (session.to_string(), highest.to_string()))
            .collect();
        for some in highest.chunks(MOST_AT_ONCE) {
            let arguments: Vec<&str> =
                some.iter().flat_map(|(session, highest)| [session.as_str(), highest]).collect();
            self.step("HSET", key, &arguments, Expected::Number);
        }
        // The horizon rises before the sessions it covers are gone.
        if let Some(horizon) = &changes.horizon {
            self.set(&[(HORIZON_FIELD, &json(horizon))]);
        }
        let forgotten: Vec<String> = changes.forgotten.iter().map(SessionId::to_string).collect();
        for some in forgotten.chunks(MOST_AT_ONCE) {
            let arguments: Vec<&str> = some.iter().map(String::as_str).collect();
            self.step("HDEL", key, &arguments, Expected::Exactly(arguments.len() as u64));
        }
    }

    /// Forgets the accepted block for a height that the chain has reached, and the promise if it does not stand.
    fn forget_accepted(&mut self, promise_stands: bool) {
        self.empty(&self.keys.accepted);
        let fields = [ACCEPTED_FIELD, PROMISED_FIELD];
        let fields = if promise_stands { &fields[..1] } else { &fields[..] };
        self.step("HDEL", &self.keys.state, fields, Expected::Number);
    }

    /// Empties a list. Unlike `DEL`, this fails on a key of another type.
    fn empty(&mut self, key: &str) {
        self.step("LTRIM", key, &["1", "0"], Expected::Okay);
    }

    /// Splits the commands from the replies expected to them.
    pub(super) fn split(self) -> (Vec<Cmd>, Replies) {
        let split = |step: Step| (step.command, (step.key, step.expected));
        let (commands, expected) = self.steps.into_iter().map(split).unzip();
        (commands, Replies { expected })
    }
}

/// What Redis must answer to a turn.
pub(super) struct Replies {
    expected: Vec<(String, Expected)>,
}

impl Replies {
    /// Compares the expected replies with Redis's.
    pub(super) fn check(&self, replies: &[Value]) -> Result<(), StoreError> {
        if replies.len() != self.expected.len() {
            return Err(StoreError::Failed("replies are missing".into()));
        }
        let mut pairs = self.expected.iter().zip(replies);
        pairs.try_for_each(|((key, expected), reply)| expected.check(key, reply))
    }
}

impl Expected {
    fn check(&self, key: &str, reply: &Value) -> Result<(), StoreError> {
        let number = match reply {
            Value::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        let wanted = match (self, number) {
            (Expected::Turn(turn), Some(number)) if turn.0 == number => return Ok(()),
            (Expected::Turn(turn), Some(number)) => {
                return Err(StoreError::Strange(format!(
                    "{key} went to {number} and not to {turn}: it was lost, swapped or rolled back"
                )));
            }
            (Expected::Number, Some(_)) => return Ok(()),
            (Expected::Exactly(wanted), Some(number)) if number == *wanted => return Ok(()),
            (Expected::Exactly(wanted), Some(_)) => format!("{wanted}"),
            (Expected::AtLeast(least), Some(number)) if number >= *least => return Ok(()),
            (Expected::AtLeast(least), Some(_)) => format!("at least {least}"),
            (Expected::Okay, None) if *reply == Value::Okay => return Ok(()),
            (Expected::Text(block), None) => match reply {
                Value::BulkString(bytes) if bytes == block.text().as_bytes() => return Ok(()),
                Value::BulkString(_) | Value::Nil => format!("{block:?}"),
                other => return Err(unexpected(key, other)),
            },
            _ => return Err(unexpected(key, reply)),
        };
        let found = number.map_or("something else".to_owned(), |number| number.to_string());
        Err(corrupt(key, format!("held {found} where {wanted} was expected")))
    }
}

/// Writes a value as it is stored.
pub(super) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("stored values have only string keys")
}
