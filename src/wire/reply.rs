//! The servers' answers as lines: `{"id":2,"outcome":"accepted",…}`.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::bank::amount::Amount;
use crate::bank::blockchain::block::{Accounts, BlockHash, Genesis, SealedBlock};
use crate::bank::ids::{AccountId, ServerId, SessionId};
use crate::bank::ledger::entry::Entry;
use crate::bank::request::{
    AsksToJoin, AsksToRejoin, Cursor, ErrorCode, Listed, MemberStatus, Place, Reply, Request,
    StatementLine,
};
use crate::explain::explain;
use crate::wire::link::LinkFaults;
use crate::wire::outcomes::{BatchLine, BatchRead};
use crate::wire::tag::Tag;
use crate::wire::to_line;

/// A client's reading of a line that answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The answer to everything but `chain` and orders about links.
    Reply(Reply),
    /// The answer to [`Request::Chain`].
    Chain(Blocks),
    /// The answer to a [`LinkOrder`](crate::wire::link::LinkOrder).
    Links(LinkFaults),
    /// The first record of a trace that is told, as JSON that has the order's id beside its own fields.
    Trace(String),
}

/// A piece of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// The blocks, in height order.
    pub blocks: Vec<HashedBlock>,
    /// True if there are more blocks after these.
    pub more: bool,
}

/// A block's fields and, beside them, its hash, which the stored text can't hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HashedBlock {
    /// The block's place in the chain.
    pub height: u64,
    /// The block's hash.
    pub hash: BlockHash,
    /// The previous block's hash.
    pub previous: BlockHash,
    /// The server that built the block; none in block 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposer: Option<ServerId>,
    /// The bank's founding terms; only in block 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genesis: Option<Genesis>,
    /// Accounts with the balances with which they begin; only in opening blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Accounts>,
    /// The block's entries, in the order in which they take effect.
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
            opening: block.opening.clone(),
            entries: block.entries().collect(),
        }
    }
}

/// Writes the line that answers the client's request `id`. A flattened struct would do the same, but
/// takes several times as long, since it looks at each field on its way.
pub(super) fn line_of(id: Option<&Tag>, reply: &impl Serialize) -> String {
    let text = to_line(reply);
    match (id, text.strip_prefix('{')) {
        (Some(id), Some(fields)) => format!("{{\"id\":{id},{fields}"),
        (Some(_), None) => unreachable!("every reply is an object"),
        (None, _) => text,
    }
}

/// Writes a reply as a line, with its newline.
pub fn encode_reply(id: Option<&Tag>, reply: &Reply) -> String {
    match reply {
        Reply::Batch { outcomes } => line_of(id, &BatchLine::of(outcomes)),
        reply => line_of(id, reply),
    }
}

/// Writes the reply to [`Request::Chain`] as a line, with its newline.
pub fn encode_chain(id: Option<&Tag>, blocks: &[SealedBlock], more: bool) -> String {
    let blocks = blocks.iter().map(HashedBlock::of).collect();
    line_of(id, &Blocks { blocks, more })
}

/// Parses the answer to `request` with the number `id`; none if the line answers another request.
///
/// An error without an id is an answer too: the server could not make out what it was asked. Unknown
/// fields are ignored, so that a later server may say more.
///
/// # Errors
/// Says why the line is no answer to such a request.
pub fn parse_reply(line: &[u8], id: u64, request: &Request) -> Result<Option<Answer>, String> {
    answer(line, id, |text| answer_to(request, text))
}

/// Parses an answer; `read_good` reads it unless it is an error.
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

/// Reads a line as the answer that the request calls for.
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
        Request::Session(_) => reply!(Session { session: SessionId, highest: Option<u64> }),
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
        Request::Follow(_) => reply!(Follows { server: ServerId, bank: BlockHash, next: Place }),
        Request::Accounts { .. } => reply!(Accounts { accounts: Vec<Listed>, more: bool }),
        Request::Log { .. } => reply!(Log { server: ServerId, entries: Vec<Entry>, more: bool }),
        Request::Chain { .. } => return read(text).map(Answer::Chain),
        Request::Status => match read(text) {
            Ok(short) => Reply::Short(short),
            Err(_) => Reply::Status(Box::new(read(text)?)),
        },
        Request::Rejoin(_) => reply!(Rejoins { rejoins: Vec<AsksToRejoin> }),
        Request::Members(_) => reply!(Members {
            height: u64,
            members: Vec<MemberStatus>,
            asks: Vec<AsksToJoin>,
            ordered: Vec<ServerId>
        }),
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
