//! What servers answer, as lines: `{"id":2,"outcome":"accepted",…}`.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{BlockHash, Genesis, SealedBlock};
use crate::bank::ids::{AccountId, ServerId, SessionId};
use crate::bank::ledger::entry::Entry;
use crate::bank::request::{Cursor, ErrorCode, Listed, Reply, Request, StatementLine};
use crate::wire::link::LinkFaults;
use crate::wire::outcomes::{BatchLine, BatchRead};
use crate::wire::{explain, to_line};

/// What a client makes of a line that answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To everything but `chain`.
    Reply(Reply),
    /// To [`Request::Chain`].
    Chain(Blocks),
    /// To a [`LinkOrder`](crate::wire::link::LinkOrder).
    Links(LinkFaults),
}

/// A piece of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// In height order.
    pub blocks: Vec<HashedBlock>,
    /// There are more after these.
    pub more: bool,
}

/// A block's fields and, beside them, its hash, which the stored text can't hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedBlock {
    /// Its place in the chain.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// The hash of the block before.
    pub previous: BlockHash,
    /// Who built it; none in block 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposer: Option<ServerId>,
    /// What the bank is founded on; only in block 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<Genesis>,
    /// The entries in it, in the order in which they take effect.
    pub entries: Vec<Entry>,
}

impl HashedBlock {
    fn of(sealed: &SealedBlock) -> Self {
        let block = sealed.block();
        HashedBlock {
            height: block.height,
            hash: sealed.hash(),
            previous: block.previous,
            proposer: block.proposer.clone(),
            genesis: block.genesis.clone(),
            entries: block.entries().collect(),
        }
    }
}

/// The line that answers the client's request `id`. A flattened struct would say the same and take several
/// times as long, since it looks at each field on its way.
pub(super) fn line_of(id: Option<u64>, reply: &impl Serialize) -> String {
    let text = to_line(reply);
    match (id, text.strip_prefix('{')) {
        (Some(id), Some(fields)) => format!("{{\"id\":{id},{fields}"),
        (Some(_), None) => unreachable!("every reply is an object"),
        (None, _) => text,
    }
}

/// A reply as a line, with its newline.
pub fn encode_reply(id: Option<u64>, reply: &Reply) -> String {
    match reply {
        Reply::Batch { outcomes } => to_line(&BatchLine::of(id, outcomes)),
        reply => line_of(id, reply),
    }
}

/// The reply to [`Request::Chain`] as a line, with its newline.
pub fn encode_chain(id: Option<u64>, blocks: &[SealedBlock], more: bool) -> String {
    let blocks = blocks.iter().map(HashedBlock::of).collect();
    line_of(id, &Blocks { blocks, more })
}

/// The answer to request number `id`, `request`, that a line is; none if it answers another one.
///
/// An error without an id is an answer too: the server could not make out what it was asked.
/// Fields that are not known are passed over, so that a later server may say more.
///
/// # Errors
/// Says why the line is no answer to such a request.
pub fn parse_reply(line: &[u8], id: u64, request: &Request) -> Result<Option<Answer>, String> {
    answer(line, id, |text| answer_to(request, text))
}

/// The same for a question whose good answers are read so.
pub(super) fn answer(
    line: &[u8],
    id: u64,
    read_good: impl FnOnce(&str) -> Result<Answer, String>,
) -> Result<Option<Answer>, String> {
    #[derive(Deserialize)]
    struct Head {
        id: Option<u64>,
        error: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Failed {
        error: ErrorCode,
        message: String,
    }
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8: {error}"))?;
    let head: Head = read(text)?;
    match (head.id, head.error) {
        (Some(other), _) if other != id => Ok(None),
        (None, None) => Ok(None),
        (_, Some(_)) => {
            let Failed { error, message } = read(text)?;
            Ok(Some(Answer::Reply(Reply::Error { error, message })))
        }
        (Some(_), None) => read_good(text).map(Some),
    }
}

/// Reads a line as what the request calls for.
fn answer_to(request: &Request, text: &str) -> Result<Answer, String> {
    macro_rules! reply {
        ($kind:ident { $($(#[$how:meta])* $field:ident: $type:ty),* }) => {{
            #[derive(Deserialize)]
            struct Fields { $($(#[$how])* $field: $type),* }
            let Fields { $($field),* } = read(text)?;
            Reply::$kind { $($field),* }
        }};
    }
    Ok(Answer::Reply(match request {
        Request::Session => reply!(Session { session: SessionId }),
        Request::One(_) => Reply::One(read(text)?),
        Request::Batch(_) => Reply::Batch { outcomes: read::<BatchRead>(text)?.into_outcomes()? },
        Request::Balance(_) => reply!(Balance {
            account: AccountId,
            balance: Amount,
            committed: Option<Amount>,
            height: u64
        }),
        Request::History { .. } => reply!(History {
            account: AccountId,
            lines: Vec<StatementLine>,
            next: Option<Cursor>
        }),
        Request::Accounts { .. } => reply!(Accounts { accounts: Vec<Listed>, more: bool }),
        Request::Log { .. } => reply!(Log { server: ServerId, entries: Vec<Entry>, more: bool }),
        Request::Chain { .. } => return read(text).map(Answer::Chain),
        Request::Status => Reply::Status(Box::new(read(text)?)),
        Request::Settle => reply!(Settled {
            settled: bool,
            height: u64,
            consulted: Vec<ServerId>,
            not_consulted: Vec<ServerId>
        }),
    }))
}

pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| explain(&error))
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
