//! What clients ask, as lines: `{"id":2,"transfer":{"to":"B","amount":30}}`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, RequestId, SessionId};
use crate::bank::ledger::entry::Position;
use crate::bank::request::{ErrorCode, MAX_TRANSFERS, Reply, Request, TransferRequest};
use crate::wire::{explain, to_line};

/// The version of requests and replies.
pub const VERSION: u64 = 1;

/// What a good request looks like, for those who sent another.
const RIGHT: &str = "a request is one JSON object a line, such as \
    {\"id\":1,\"transfer\":{\"to\":\"B\",\"amount\":30}}, with exactly one of \
    session, transfer, transfers, balance, log, chain, status, settle";

/// A value that has to be written as a JSON object. The derived code alone would take an array of
/// the fields' values too.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct FromMap<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for FromMap<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        from.deserialize_map(FromMap(PhantomData))
    }
}

/// A field that may be absent, but not null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A field that may be absent, and counts: to 2^53 - 1, which is exact as a JSON number in every
/// language and leaves room for a sum.
fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let number = u64::deserialize(from)?;
    if number > Amount::MAX.units() {
        let most = Amount::MAX;
        return Err(de::Error::custom(format_args!("{number} is more than the most, {most}")));
    }
    Ok(Some(number))
}

/// Declares the envelope and the objects in it: every field may be absent, none may be unknown.
macro_rules! objects {
    ($($name:ident { $($field:ident: $type:ty = $how:literal),* })*) => {$(
        #[derive(Debug, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $(#[serde(default, deserialize_with = $how, skip_serializing_if = "Option::is_none")]
            $field: Option<$type>,)*
        }
    )*};
}

objects! {
    Envelope {
        id: u64 = "present",
        version: u64 = "present",
        session: Object<Nothing> = "present",
        transfer: Object<TransferFields> = "present",
        transfers: Vec<Object<TransferFields>> = "present",
        balance: Object<BalanceFields> = "present",
        log: Object<LogFields> = "present",
        chain: Object<ChainFields> = "present",
        status: Object<Nothing> = "present",
        settle: Object<Nothing> = "present"
    }
    Nothing {}
    TransferFields {
        from: AccountId = "present",
        to: AccountId = "present",
        amount: Amount = "present",
        session: SessionId = "present",
        number: u64 = "count"
    }
    BalanceFields { account: AccountId = "present" }
    LogFields { after: Object<PositionFields> = "present" }
    PositionFields { epoch: u64 = "count", seq: u64 = "count" }
    ChainFields { from: u64 = "count", to: u64 = "count" }
}

/// The request that a line is, with the client's id for it.
///
/// What makes no sense to a bank (an amount of 0, an unknown account) is for the state machine to say.
///
/// # Errors
/// The reply that says what is wrong and what would be right; with the id, where one can be made out.
pub fn parse_request(line: &[u8]) -> Result<(Option<u64>, Request), (Option<u64>, Reply)> {
    let text = std::str::from_utf8(line)
        .map_err(|bad| (None, wrong(ErrorCode::NotJson, format!("not UTF-8: {bad}; {RIGHT}"))))?;
    let Object(envelope) = serde_json::from_str::<Object<Envelope>>(text)
        .map_err(|error| explain_failure(text, &error))?;
    let id = envelope.id;
    match envelope.version {
        None | Some(VERSION) => {}
        Some(other) => return Err((id, bad_version(other))),
    }
    match request_of(envelope) {
        Ok(request) => Ok((id, request)),
        Err(what) => Err((id, wrong(ErrorCode::BadRequest, what))),
    }
}

/// A request as a line, with its newline.
pub fn encode_request(id: u64, request: &Request) -> String {
    let nothing = || Some(Object(Nothing {}));
    let mut envelope = Envelope { id: Some(id), ..Envelope::default() };
    match request {
        Request::Session => envelope.session = nothing(),
        Request::Transfer(transfer) => envelope.transfer = Some(fields_of(transfer)),
        Request::Transfers(all) => envelope.transfers = Some(all.iter().map(fields_of).collect()),
        Request::Balance(account) => {
            envelope.balance = Some(Object(BalanceFields { account: account.clone() }));
        }
        Request::Log { after } => {
            let after = after.map(|Position { epoch, seq }| {
                Object(PositionFields { epoch: Some(epoch), seq: Some(seq) })
            });
            envelope.log = Some(Object(LogFields { after }));
        }
        Request::Chain { from, to } => {
            envelope.chain = Some(Object(ChainFields { from: Some(*from), to: *to }));
        }
        Request::Status => envelope.status = nothing(),
        Request::Settle => envelope.settle = nothing(),
    }
    to_line(&envelope)
}

fn wrong(error: ErrorCode, message: String) -> Reply {
    Reply::Error { error, message }
}

fn bad_version(found: u64) -> Reply {
    let message = format!("version {found} is not spoken here, only version {VERSION}");
    wrong(ErrorCode::BadVersion, message)
}

/// Says why a line is no envelope, and finds its id all the same if it can.
fn explain_failure(text: &str, error: &serde_json::Error) -> (Option<u64>, Reply) {
    #[derive(Deserialize)]
    struct Header<'a> {
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
        #[serde(borrow, default)]
        version: Option<&'a RawValue>,
    }
    // The envelope may stop at a wrong value before it sees that the line is no JSON at all.
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        let what = format!("not JSON: {}; {RIGHT}", explain(&error));
        return (None, wrong(ErrorCode::NotJson, what));
    }
    let number = |raw: Option<&RawValue>| raw.and_then(|raw| raw.get().parse::<u64>().ok());
    let header = serde_json::from_str::<Object<Header<'_>>>(text);
    let (id, version) =
        header.map_or((None, None), |Object(found)| (number(found.id), number(found.version)));
    match version {
        // Another version may well have other kinds and fields.
        Some(other) if other != VERSION => (id, bad_version(other)),
        _ => (id, wrong(ErrorCode::BadRequest, format!("{}; {RIGHT}", explain(error)))),
    }
}

/// The one request in an envelope.
fn request_of(envelope: Envelope) -> Result<Request, String> {
    let Envelope { session, transfer, transfers, balance, log, chain, status, settle, .. } =
        envelope;
    let found = [
        session.map(|_| Ok(Request::Session)),
        transfer.map(|Object(fields)| transfer_of(fields).map(Request::Transfer)),
        transfers.map(transfers_of),
        balance.map(|Object(fields)| Ok(Request::Balance(fields.account))),
        log.map(|Object(fields)| log_of(fields)),
        chain.map(|Object(fields)| chain_of(&fields)),
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

fn transfers_of(all: Vec<Object<TransferFields>>) -> Result<Request, String> {
    if all.is_empty() || all.len() > MAX_TRANSFERS {
        return Err(format!("transfers holds 1 to {MAX_TRANSFERS} transfers, not {}", all.len()));
    }
    let number = |(index, Object(fields))| {
        transfer_of(fields).map_err(|what| format!("transfers, number {}: {what}", index + 1))
    };
    all.into_iter().enumerate().map(number).collect::<Result<_, _>>().map(Request::Transfers)
}

fn transfer_of(fields: TransferFields) -> Result<TransferRequest, String> {
    const RIGHT: &str = "a transfer is {\"to\":\"B\",\"amount\":30}, with \"from\" if it isn't the \
        server's own account, and with \"session\" and \"number\" if it may be retried";
    let TransferFields { from, to, amount, session, number } = fields;
    let (Some(to), Some(amount)) = (to, amount) else {
        return Err(format!("\"to\" or \"amount\" is missing; {RIGHT}"));
    };
    let request = match (session, number) {
        (None, None) => None,
        (Some(_), Some(0)) => return Err("a session's numbers begin with 1, not 0".into()),
        (Some(session), Some(number)) => Some(RequestId { session, number }),
        _ => return Err(format!("\"session\" and \"number\" belong together; {RIGHT}")),
    };
    Ok(TransferRequest { from, to, amount, request })
}

fn fields_of(transfer: &TransferRequest) -> Object<TransferFields> {
    let TransferRequest { from, to, amount, request } = transfer.clone();
    let (session, number) = request.map(|request| (request.session, request.number)).unzip();
    Object(TransferFields { from, to: Some(to), amount: Some(amount), session, number })
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
            Err(format!("chain goes up: \"to\" {to} is below \"from\" {from}"))
        }
        to => Ok(Request::Chain { from, to }),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
