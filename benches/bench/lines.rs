//! Requests, written once and sent many times, and replies, looked at no closer than need be: the load
//! generator shares the machine with what it measures.

use std::fmt::Write;

use serde_json::Value;

use super::Fallible;

/// Every request begins so, with an id of ten digits, so that a new id fits in the place of the old.
const HEAD: &[u8] = b"{\"id\":";
const DIGITS: usize = 10;
const FIRST_ID: u64 = 1_000_000_000;

/// A request of some transfers, with its newline.
#[derive(Clone)]
pub struct Line {
    bytes: Vec<u8>,
    /// How many transfers it asks for.
    pub items: u64,
}

impl Line {
    /// A batch of these transfers.
    pub fn batch<T: AsRef<str>>(transfers: &[(T, T, u64)]) -> Line {
        let mut text = format!("{{\"id\":{FIRST_ID},\"batch\":{{\"items\":[");
        for (place, (from, to, amount)) in transfers.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let (from, to) = (from.as_ref(), to.as_ref());
            let _ = write!(text, "{comma}[\"{from}\",\"{to}\",{amount}]");
        }
        text.push_str("]}}\n");
        Line { bytes: text.into_bytes(), items: transfers.len() as u64 }
    }

    /// A batch that opens these accounts.
    pub fn openings(accounts: &[String]) -> Line {
        let items: Vec<String> =
            accounts.iter().map(|name| format!("{{\"open\":\"{name}\"}}")).collect();
        let text = format!("{{\"id\":{FIRST_ID},\"batch\":{{\"items\":[{}]}}}}\n", items.join(","));
        Line { bytes: text.into_bytes(), items: accounts.len() as u64 }
    }

    /// One transfer.
    pub fn single(from: &str, to: &str, amount: u64) -> Line {
        let fields = format!("{{\"from\":\"{from}\",\"to\":\"{to}\",\"amount\":{amount}}}");
        let text = format!("{{\"id\":{FIRST_ID},\"transfer\":{fields}}}\n");
        Line { bytes: text.into_bytes(), items: 1 }
    }

    /// Adds the request to what is to be sent, under this id.
    pub fn put(&self, out: &mut Vec<u8>, id: u64) {
        let start = out.len() + HEAD.len();
        out.extend_from_slice(&self.bytes);
        let mut rest = FIRST_ID + id;
        for digit in out[start..start + DIGITS].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

/// What a reply says.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// All was accepted, as so many entries in a row from this seq on.
    Accepted { first: u64, count: u64 },
    /// For each transfer the seq of its entry, or why there is none.
    Mixed(Vec<Result<u64, String>>),
}

/// What a reply to a request of so many transfers says; without its newline.
pub fn read_reply(line: &[u8], items: u64) -> Fallible<Said> {
    let plain = if items == 1 { plain_single(line) } else { None };
    match plain.or_else(|| plain_batch(line, items)) {
        Some(said) => Ok(said),
        None => read_closely(line, items),
    }
}

/// The id of the request that a line answers.
pub fn id_of(line: &[u8]) -> Fallible<u64> {
    let digits = line.strip_prefix(HEAD).and_then(|rest| rest.get(..DIGITS));
    let id = digits.and_then(number).and_then(|id| id.checked_sub(FIRST_ID));
    id.ok_or_else(|| {
        format!("a reply to nothing that was asked: {}", String::from_utf8_lossy(line))
    })
}

fn number(digits: &[u8]) -> Option<u64> {
    let step =
        |sum: u64, digit: &u8| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0'));
    if digits.is_empty() || digits.len() > 18 { None } else { digits.iter().try_fold(0, step) }
}

fn leading_number(text: &[u8]) -> Option<u64> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    number(&text[..end])
}

fn find<'a>(text: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    let at = text.windows(what.len()).position(|window| window == what)?;
    Some(&text[at + what.len()..])
}

fn plain_single(line: &[u8]) -> Option<Said> {
    let rest = line.get(HEAD.len() + DIGITS..)?;
    let rest = rest.strip_prefix(b",\"outcome\":\"accepted\",")?;
    let first = leading_number(find(rest, b"\"epoch\":1,\"seq\":")?)?;
    // Said where a block was waited for in vain.
    if find(rest, b"\"settled\":false").is_some() {
        return None;
    }
    Some(Said::Accepted { first, count: 1 })
}

/// `…,"server":"A","epoch":1,"outcomes":[[17,70],[18,69]]}`: as many pairs as there were transfers, and
/// if the first and the last seq are so far apart, all seqs are in a row, since no seq is used twice.
fn plain_batch(line: &[u8], items: u64) -> Option<Said> {
    let head = &line[..line.len().min(120)];
    let read = head.len() - find(head, b"\"epoch\":1,\"outcomes\":[")?.len();
    let pairs = &line[read..];
    let opened = pairs.iter().filter(|byte| **byte == b'[').count() as u64;
    if opened != items || pairs.contains(&b'{') {
        return None;
    }
    let first = leading_number(pairs.strip_prefix(b"[")?)?;
    let last_pair = pairs.iter().rposition(|byte| *byte == b'[')?;
    let last = leading_number(&pairs[last_pair + 1..])?;
    (last.checked_sub(first)? + 1 == items).then_some(Said::Accepted { first, count: items })
}

fn read_closely(line: &[u8], items: u64) -> Fallible<Said> {
    let wrong = || format!("a reply that makes no sense: {}", String::from_utf8_lossy(line));
    let reply: Value = serde_json::from_slice(line).map_err(|_| wrong())?;
    let outcome = |one: &Value| match (one["outcome"].as_str(), one.as_array()) {
        (None, Some(pair)) if pair.len() == 2 => pair[0].as_u64().map(Ok),
        (Some("accepted"), _) if one["settled"] == Value::Bool(false) => {
            Some(Err("accepted, but in no block in time".to_owned()))
        }
        (Some("accepted"), _) => one["seq"].as_u64().map(Ok),
        (Some(other), _) => {
            Some(Err(format!("{other}: {}", one["reason"].as_str().unwrap_or("?"))))
        }
        _ => None,
    };
    if let Some(error) = reply["error"].as_str() {
        let message = reply["message"].as_str().unwrap_or("?");
        return Ok(Said::Mixed(vec![Err(format!("{error}: {message}")); items as usize]));
    }
    let outcomes: Option<Vec<_>> = match reply["outcomes"].as_array() {
        Some(outcomes) => outcomes.iter().map(outcome).collect(),
        None => Some(vec![outcome(&reply).ok_or_else(wrong)?]),
    };
    outcomes.map(Said::Mixed).ok_or_else(wrong)
}
