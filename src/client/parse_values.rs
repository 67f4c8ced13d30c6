//! Single values of typed lines. Pure.

use std::str::FromStr;

use crate::bank::amount::Amount;
use crate::bank::fingerprint::Fingerprint;
use crate::client::text::cut;

/// Finds the fingerprint of the key that a word means.
pub type FindKey<'a> = &'a dyn Fn(&str) -> Result<Fingerprint, String>;

/// Parses a value. Its own error says what is expected; what was found is added if need be.
pub(super) fn value<T: FromStr<Err: ToString>>(word: &str) -> Result<T, String> {
    word.parse().map_err(|error: T::Err| {
        let error = error.to_string();
        if error.contains(&cut(word)) { error } else { format!("{}: {error}", cut(word)) }
    })
}

pub(super) fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Parses a whole number that is exact everywhere.
pub(super) fn number(word: &str) -> Option<u64> {
    word.parse().ok().filter(|&number| is_number(word) && number <= Amount::MAX.units())
}

pub(super) fn height(word: &str) -> Result<u64, String> {
    number(word).ok_or_else(|| format!("{}: a height is a whole number from 0", cut(word)))
}

pub(super) fn how_often(word: &str) -> Result<u32, String> {
    let times = word.parse().ok().filter(|&times| is_number(word) && times > 0);
    times.ok_or_else(|| format!("{}: TIMES is a whole number from 1", cut(word)))
}
