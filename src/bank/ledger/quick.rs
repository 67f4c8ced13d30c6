//! The usual transfer, `["A","B",30]`, read quickly.
//!
//! Clients' batches, logs and blocks consist of such transfers nearly entirely. A parser for all of JSON
//! takes several times as long for them as everything else that is done about a transfer. A text in any other
//! form, right or wrong, is left to that parser.

use crate::bank::amount::Amount;
use crate::bank::ids::{AccountId, MAX_ACCOUNT_NAME, MAX_SERVER_ID};
use crate::bank::ledger::entry::Action;

/// The length of the shortest transfer in a list, with the comma after it.
pub(crate) const SHORTEST: usize = b"[\"A\",\"B\",1],".len();

/// Parses a list of transfers after its opening bracket, and gives each to `take`; returns what follows the
/// closing bracket. None if the list is empty or holds anything else. What was taken is then useless.
pub(crate) fn transfers(mut text: &[u8], mut take: impl FnMut(Action)) -> Option<&[u8]> {
    loop {
        let (action, rest) = transfer(text)?;
        take(action);
        match rest.split_first()? {
            (b',', rest) => text = rest,
            (b']', rest) => return Some(rest),
            _ => return None,
        }
    }
}

fn transfer(text: &[u8]) -> Option<(Action, &[u8])> {
    let (from, rest) = account(text.strip_prefix(b"[\"")?)?;
    let (to, rest) = account(rest.strip_prefix(b",\"")?)?;
    let (units, rest) = number(rest.strip_prefix(b",")?)?;
    let amount = Amount::new(units)?;
    Some((Action::Transfer { from, to, amount }, rest.strip_prefix(b"]")?))
}

/// Parses a name up to its closing quote.
fn account(text: &[u8]) -> Option<(AccountId, &[u8])> {
    const LONGEST: usize = MAX_SERVER_ID + 1 + MAX_ACCOUNT_NAME;
    let length = text.iter().take(LONGEST + 1).position(|byte| *byte == b'"')?;
    let (name, rest) = text.split_at(length);
    Some((AccountId::from_bytes(name)?, &rest[1..]))
}

/// Parses a whole number as JSON writes it: without a leading zero.
pub(crate) fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    if number.is_empty() || (number[0] == b'0' && digits > 1) {
        return None;
    }
    let add = |sum: u64, digit: &u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    Some((number.iter().try_fold(0, add)?, rest))
}

/// Writes a number in decimal. Most of the text is numbers, and `write!` takes several times as long.
pub(crate) fn push_number(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut begin = digits.len();
    loop {
        begin -= 1;
        digits[begin] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[begin..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(Vec<Action>, &str)> {
        let mut all = Vec::new();
        let rest = transfers(text.as_bytes(), |action| all.push(action))?;
        Some((all, std::str::from_utf8(rest).unwrap()))
    }

    #[test]
    fn a_list_of_transfers_is_read_to_its_end() {
        let transfer = |from: &str, to: &str, units| Action::Transfer {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            amount: Amount::new(units).unwrap(),
        };
        let most = Amount::MAX.units();
        let text = format!("[\"A\",\"B\",0],[\"A/al.ice\",\"north/x\",{most}]],[\"A\"");
        let expected = vec![transfer("A", "B", 0), transfer("A/al.ice", "north/x", most)];
        assert_eq!(read(&text), Some((expected, ",[\"A\"")));
    }

    #[test]
    fn whatever_else_is_left_to_the_parser() {
        let long = format!("[\"A\",\"B/{}\",1]]", "x".repeat(65));
        let others = [
            "",
            "]",
            "[]",
            "[\"A\",\"B\",1]",
            "[\"A\",\"B\",1],]",
            "[\"A\",\"B\",1],",
            &long,
            "[\"A\",\"B\",01]]",
            "[\"A\",\"B\",-1]]",
            "[\"A\",\"B\",1.0]]",
            "[\"A\",\"B\",1e1]]",
            "[\"A\",\"B\",9007199254740992]]",
            "[\"A\",\"B\",18446744073709551616]]",
            "[\"A\",\"B\",]]",
            "[\"A\", \"B\",1]]",
            "[\"A\",\"B\",1,2]]",
            "[\"\\u0041\",\"B\",1]]",
            "[\"\",\"B\",1]]",
            "[\"A/\",\"B\",1]]",
            "[\"A/x/y\",\"B\",1]]",
            "[\"Ä\",\"B\",1]]",
            "{\"open\":\"A/x\"}]",
            "[\"A\",\"B\",1] ]",
        ];
        for text in others {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
