//! The clients' requests as lines: `{"id":2,"transfer":{"to":"B","amount":30}}`.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::batch::{self, BatchFields};
use super::fields::{Object, count, is_beyond, objects, prefix_of, present};
use super::instruction::{self, Fields, IssueFields, OpenFields, TransferFields};
use super::tag::Tag;
use super::{follow, members, sessions};
use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{AccountId, ServerId};
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::quick;
use crate::bank::limits::{MAX_BATCH, MAX_PAGE};
use crate::bank::request::{Cursor, ErrorCode, Instruction, Reply, Request};
use crate::explain::explain;
use crate::wire::to_line;

/// The version of requests and replies.
pub const VERSION: u64 = 2;
/// How many entries or accounts an answer to `history` or `accounts` holds without a `limit`.
pub const DEFAULT_PAGE: usize = 50;

/// A good request, shown to whoever sent a bad one.
const RIGHT: &str = "a request is one JSON object a line, such as \
    {\"id\":1,\"transfer\":{\"to\":\"B\",\"amount\":30}}, with exactly one of session, transfer, \
    mint, burn, open, rekey, batch, balance, history, accounts, log, chain, follow, status, settle, rejoin, members";

objects! {
    Envelope {
        id: Tag = "present",
        version: u64 = "present",
        session: Object<sessions::Fields> = "present",
        transfer: Object<TransferFields> = "present",
        mint: Object<IssueFields> = "present",
        burn: Object<IssueFields> = "present",
        open: Object<OpenFields> = "present",
        rekey: Object<OpenFields> = "present",
        batch: Object<BatchFields> = "present",
        balance: Object<BalanceFields> = "present",
        history: Object<HistoryFields> = "present",
        accounts: Object<AccountsFields> = "present",
        log: Object<LogFields> = "present",
        chain: Object<ChainFields> = "present",
        follow: Object<follow::Fields> = "present",
        status: Object<Nothing> = "present",
        settle: Object<Nothing> = "present",
        rejoin: Object<RejoinFields> = "present",
        members: Object<members::Fields> = "present"
    }
    Nothing {}
    RejoinFields { server: ServerId = "present", key: Fingerprint = "present" }
    BalanceFields { account: AccountId = "present" }
    HistoryFields {
        account: AccountId = "present",
        before: Object<CursorFields> = "present",
        limit: u64 = "count"
    }
    CursorFields { height: u64 = "count", place: u64 = "count", balance: Amount = "present" }
    AccountsFields { prefix: String = "present", after: AccountId = "present", limit: u64 = "count" }
    LogFields { after: Object<PositionFields> = "present" }
    PositionFields { epoch: u64 = "count", seq: u64 = "count" }
    ChainFields { from: u64 = "count", to: u64 = "count" }
}

/// Parses a line into a request and the client's id for it. `home` is the server's own account: it is
/// the default for who pays, and for whose statement is wanted.
///
/// What makes no sense to a bank (an amount of 0, an unknown account) is left to the state machine.
///
/// # Errors
/// A reply that says what is wrong and what would be right, with the id where one can be made out.
pub fn parse_request(
    line: &[u8],
    home: &AccountId,
) -> Result<(Option<Tag>, Request), (Option<Tag>, Reply)> {
    if let Some(read) = parse_quickly(line, home) {
        return Ok(read);
    }
    let text = std::str::from_utf8(line)
        .map_err(|bad| (None, wrong(ErrorCode::NotJson, format!("not UTF-8: {bad}; {RIGHT}"))))?;
    let Object(mut envelope) = serde_json::from_str::<Object<Envelope>>(text)
        .map_err(|error| explain_failure(text, &error))?;
    let id = envelope.id.take();
    match envelope.version {
        None | Some(VERSION) => {}
        Some(other) => return Err((id, bad_version(other))),
    }
    match request_of(envelope, home) {
        Ok(request) => Ok((id, request)),
        Err(what) => Err((id, wrong(ErrorCode::BadRequest, what))),
    }
}

/// Parses a batch of nothing but transfers. It parses the batch with its first item alone, and the other
/// items follow from that one.
fn parse_quickly(line: &[u8], home: &AccountId) -> Option<(Option<Tag>, Request)> {
    const ITEMS: &[u8] = b"\"items\":[";
    const FEW: usize = 200;
    // No text within JSON has a quote like the first byte of ITEMS, so this is a field's name.
    let begin = line.windows(ITEMS.len()).take(FEW).position(|window| window == ITEMS)?;
    let (before, list) = line.split_at(begin + ITEMS.len());
    let mut all = Vec::with_capacity((list.len() / quick::SHORTEST).min(MAX_BATCH));
    let after = quick::transfers(list, |action| all.push(Instruction::plain(action)))?;
    // A batch of one is parsed by its first item alone already.
    if !(2..=MAX_BATCH).contains(&all.len()) || after.len() > FEW {
        return None;
    }
    let first = &list[..list.iter().position(|byte| *byte == b']')?];
    let with_one = [before, first, b"]]", after].concat();
    let (id, Request::Batch(one)) = parse_request(&with_one, home).ok()? else { return None };
    let [Instruction { request, settled, .. }] = &one[..] else { return None };
    if request.as_ref().is_some_and(|first| is_beyond(first.number, all.len())) {
        return None;
    }
    if request.is_some() || *settled {
        for (instruction, place) in all.iter_mut().zip(0..) {
            instruction.settled = *settled;
            instruction.request = request.as_ref().map(|first| first.plus(place));
        }
    }
    Some((id, Request::Batch(all)))
}

/// Writes a request as a line, with its newline.
///
/// # Panics
/// If no line can say it: a lone transfer that is linked; an opening that waits for money; a batch of
/// which only some items are `settled`, or whose names are not of one session with numbers that go up by
/// one.
pub fn encode_request(id: u64, request: &Request) -> String {
    let nothing = || Some(Object(Nothing {}));
    let mut envelope = Envelope { id: Some(Tag::Number(id)), ..Envelope::default() };
    match request.clone() {
        Request::Session(named) => envelope.session = Some(Object(sessions::fields_of(named))),
        Request::One(instruction) => envelope.set_instruction(instruction),
        Request::Batch(all) => envelope.batch = Some(Object(batch::fields_of(all))),
        Request::Balance(account) => envelope.balance = Some(Object(BalanceFields { account })),
        Request::History { account, before, limit } => {
            let before = before.map(|Cursor { height, place, balance }| {
                let (height, place, balance) = (Some(height), Some(place), Some(balance));
                Object(CursorFields { height, place, balance })
            });
            let (account, limit) = (Some(account), Some(limit as u64));
            envelope.history = Some(Object(HistoryFields { account, before, limit }));
        }
        Request::Accounts { prefix, after, limit } => {
            let (prefix, limit) = (Some(prefix), Some(limit as u64));
            envelope.accounts = Some(Object(AccountsFields { prefix, after, limit }));
        }
        Request::Log { after } => {
            let after = after.map(|Position { epoch, seq }| {
                Object(PositionFields { epoch: Some(epoch), seq: Some(seq) })
            });
            envelope.log = Some(Object(LogFields { after }));
        }
        Request::Chain { from, to } => {
            envelope.chain = Some(Object(ChainFields { from: Some(from), to }));
        }
        Request::Follow(follow) => envelope.follow = Some(Object(follow::fields_of(&follow))),
        Request::Status => envelope.status = nothing(),
        Request::Settle => envelope.settle = nothing(),
        Request::Rejoin(confirmed) => {
            let (server, key) = confirmed.unzip();
            envelope.rejoin = Some(Object(RejoinFields { server, key }));
        }
        Request::Members(order) => envelope.members = Some(Object(members::fields_of(order))),
    }
    to_line(&envelope)
}

impl Envelope {
    fn set_instruction(&mut self, instruction: Instruction) {
        match instruction::fields_of(instruction) {
            Fields::Transfer(fields) => self.transfer = Some(fields),
            Fields::Mint(fields) => self.mint = Some(fields),
            Fields::Burn(fields) => self.burn = Some(fields),
            Fields::Open(fields) => self.open = Some(fields),
            Fields::Rekey(fields) => self.rekey = Some(fields),
        }
    }
}

fn wrong(error: ErrorCode, message: String) -> Reply {
    Reply::Error { error, message }
}

fn bad_version(found: u64) -> Reply {
    let message = format!("version {found} is not spoken here, only version {VERSION}");
    wrong(ErrorCode::BadVersion, message)
}

/// Says why a line is no envelope, and finds its id if possible.
fn explain_failure(text: &str, error: &serde_json::Error) -> (Option<Tag>, Reply) {
    #[derive(Deserialize)]
    struct Header<'a> {
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
        #[serde(borrow, default)]
        version: Option<&'a RawValue>,
    }
    // The envelope may stop at a wrong value before it meets what makes the line no JSON at all.
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let what = format!("not JSON: {}; {RIGHT}", explain(&error));
        return (None, wrong(ErrorCode::NotJson, what));
    }
    let number = |raw: Option<&RawValue>| raw.and_then(|raw| raw.get().parse::<u64>().ok());
    let tag = |raw: Option<&RawValue>| raw.and_then(|raw| Tag::of(raw).ok());
    let header = serde_json::from_str::<Object<Header<'_>>>(text);
    let (id, version) =
        header.map_or((None, None), |Object(found)| (tag(found.id), number(found.version)));
    match version {
        // Another version may have other kinds and fields.
        Some(other) if other != VERSION => (id, bad_version(other)),
        _ => (id, wrong(ErrorCode::BadRequest, format!("{}; {RIGHT}", explain(error)))),
    }
}

/// Takes the one request from an envelope.
fn request_of(envelope: Envelope, home: &AccountId) -> Result<Request, String> {
    let Envelope { session, transfer, open, batch, balance, history, accounts, .. } = envelope;
    let Envelope { log, chain, follow, status, settle, rekey, rejoin, members, mint, burn, .. } =
        envelope;
    let found = [
        session.map(|Object(fields)| sessions::named_of(fields).map(Request::Session)),
        transfer.map(|Object(fields)| instruction::transfer_of(fields, home)),
        mint.map(|Object(fields)| instruction::mint_of(fields, home)),
        burn.map(|Object(fields)| instruction::burn_of(fields, home)),
        open.map(|Object(fields)| instruction::open_of(fields)),
        rekey.map(|Object(fields)| instruction::rekey_of(fields)),
        rejoin.map(|Object(fields)| rejoin_of(fields)),
        members.map(|Object(fields)| members::order_of(fields).map(Request::Members)),
        batch.map(|Object(fields)| batch::instructions_of(fields, home).map(Request::Batch)),
        balance.map(|Object(fields)| Ok(Request::Balance(fields.account))),
        history.map(|Object(fields)| history_of(fields, home)),
        accounts.map(|Object(fields)| accounts_of(fields)),
        log.map(|Object(fields)| log_of(fields)),
        chain.map(|Object(fields)| chain_of(&fields)),
        follow.map(|Object(fields)| follow::follow_of(fields).map(Request::Follow)),
        status.map(|_| Ok(Request::Status)),
        settle.map(|_| Ok(Request::Settle)),
    ];
    let mut kinds = found.into_iter().flatten();
    match (kinds.next(), kinds.next()) {
        (Some(request), None) => request,
        (None, _) => Err(format!("nothing is asked for; {RIGHT}")),
        (Some(_), Some(_)) => Err(format!("several things are asked for at once; {RIGHT}")),
    }
}

fn rejoin_of(fields: RejoinFields) -> Result<Request, String> {
    match (fields.server, fields.key) {
        (None, None) => Ok(Request::Rejoin(None)),
        (Some(server), Some(key)) => Ok(Request::Rejoin(Some((server, key)))),
        _ => Err("{\"rejoin\":{}} tells who asks to rejoin, and \
            {\"rejoin\":{\"server\":\"C\",\"key\":\"SHA256:…\"}} confirms one of them"
            .into()),
    }
}

fn history_of(fields: HistoryFields, home: &AccountId) -> Result<Request, String> {
    let HistoryFields { account, before, limit } = fields;
    let before = match before {
        None => None,
        Some(Object(CursorFields {
            height: Some(height),
            place: Some(place),
            balance: Some(balance),
        })) => Some(Cursor { height, place, balance }),
        Some(_) => {
            let right = "{\"height\":7,\"place\":3,\"balance\":50}";
            return Err(format!("\"before\" is {right}, the \"next\" of the page before"));
        }
    };
    let account = account.unwrap_or_else(|| home.clone());
    Ok(Request::History { account, before, limit: page_of(limit)? })
}

fn accounts_of(fields: AccountsFields) -> Result<Request, String> {
    let AccountsFields { prefix, after, limit } = fields;
    Ok(Request::Accounts { prefix: prefix_of(prefix)?, after, limit: page_of(limit)? })
}

/// Checks a page's limit, or takes the default.
fn page_of(limit: Option<u64>) -> Result<usize, String> {
    let limit = limit.map_or(Ok(DEFAULT_PAGE), usize::try_from).ok();
    let limit = limit.filter(|limit| (1..=MAX_PAGE).contains(limit));
    limit.ok_or_else(|| format!("\"limit\" is 1 to {MAX_PAGE}"))
}

fn log_of(fields: LogFields) -> Result<Request, String> {
    let after = match fields.after {
        None => None,
        Some(Object(PositionFields { epoch: Some(epoch), seq: Some(seq) })) => {
            Some(Position { epoch, seq })
        }
        Some(_) => return Err("\"after\" is {\"epoch\":1,\"seq\":1000}, with both".into()),
    };
    Ok(Request::Log { after })
}

fn chain_of(fields: &ChainFields) -> Result<Request, String> {
    let from = fields.from.unwrap_or(0);
    match fields.to {
        Some(to) if to < from => {
            Err(format!("\"to\" must not be below \"from\", but {to} is below {from}"))
        }
        to => Ok(Request::Chain { from, to }),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
