//! The answer to a batch, in which usual outcomes are short.
//!
//! `{"id":3,"server":"A","epoch":1,"outcomes":[[17,70],{"outcome":"refused",…}]}`: an outcome that consists
//! of no more than the entry's seq and the balance is written as these two. The server and the epoch are
//! the same for all of them, and stand once.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bank::amount::Amount;
use crate::bank::ids::ServerId;
use crate::bank::ledger::entry::Via;
use crate::bank::request::Outcome;

/// The line that answers a batch, without the request's id.
#[derive(Serialize)]
pub(super) struct BatchLine<'a> {
    #[serde(flatten)]
    accepted_by: Option<AcceptedBy<'a>>,
    outcomes: Vec<Short<'a>>,
}

/// The server and epoch that accepted the short outcomes.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
struct AcceptedBy<'a> {
    server: &'a ServerId,
    epoch: u64,
}

enum Short<'a> {
    Plain(u64, Amount),
    Whole(&'a Outcome),
}

/// Returns what an outcome says, if it can be written short.
fn plain(outcome: &Outcome) -> Option<(AcceptedBy<'_>, u64, Amount)> {
    match outcome {
        Outcome::Accepted {
            server,
            epoch,
            seq,
            balance,
            via: Via::Local,
            repeated: false,
            settled: None,
        } => Some((AcceptedBy { server, epoch: *epoch }, *seq, *balance)),
        _ => None,
    }
}

impl BatchLine<'_> {
    pub(super) fn of(outcomes: &[Outcome]) -> BatchLine<'_> {
        let accepted_by = outcomes.iter().find_map(plain).map(|(by, ..)| by);
        let short = |outcome| match plain(outcome) {
            Some((by, seq, balance)) if Some(by) == accepted_by => Short::Plain(seq, balance),
            _ => Short::Whole(outcome),
        };
        BatchLine { accepted_by, outcomes: outcomes.iter().map(short).collect() }
    }
}

impl Serialize for Short<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Short::Plain(seq, balance) => (seq, balance).serialize(to),
            Short::Whole(outcome) => outcome.serialize(to),
        }
    }
}

/// The answer to a batch, as it is read.
#[derive(Deserialize)]
pub(super) struct BatchRead {
    server: Option<ServerId>,
    epoch: Option<u64>,
    outcomes: Vec<Read>,
}

enum Read {
    Plain(u64, Amount),
    Whole(Outcome),
}

impl BatchRead {
    /// Returns the outcomes in full.
    ///
    /// # Errors
    /// If an outcome is short and the line names no server that accepted it.
    pub(super) fn into_outcomes(self) -> Result<Vec<Outcome>, String> {
        let accepted_by = self.server.zip(self.epoch);
        let whole = |read| match (read, &accepted_by) {
            (Read::Whole(outcome), _) => Ok(outcome),
            (Read::Plain(seq, balance), Some((server, epoch))) => Ok(Outcome::Accepted {
                server: server.clone(),
                epoch: *epoch,
                seq,
                balance,
                via: Via::Local,
                repeated: false,
                settled: None,
            }),
            (Read::Plain(..), None) => Err("it doesn't say which server accepted".to_owned()),
        };
        self.outcomes.into_iter().map(whole).collect()
    }
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Read;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[seq, balance] or an outcome")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, pair: A) -> Result<Read, A::Error> {
                let pair = <(u64, Amount)>::deserialize(SeqAccessDeserializer::new(pair));
                pair.map(|(seq, balance)| Read::Plain(seq, balance))
            }
            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Read, A::Error> {
                Outcome::deserialize(MapAccessDeserializer::new(fields)).map(Read::Whole)
            }
        }
        from.deserialize_any(Either)
    }
}
