//! Fingerprints of public keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::bank::as_text::serde_as_text;

/// The digits of base64 (RFC 4648, section 4).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The words before the digits, as in SSH's habit.
const PREFIX: &str = "SHA256:";
/// The number of digits of 32 bytes, without padding.
const LENGTH: usize = 43;

/// The fingerprint of a public key: the SHA-256 of its bytes.
///
/// It is written as `SHA256:` and 43 digits of base64, without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Computes the fingerprint of a public key.
    pub fn of(public_key: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(public_key).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        f.write_str(&encode_base64(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The error for a text that is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFingerprint;

impl fmt::Display for BadFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a key's fingerprint is {PREFIX} and {LENGTH} digits of base64")
    }
}

impl std::error::Error for BadFingerprint {}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;
    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let digits = text.strip_prefix(PREFIX).ok_or(BadFingerprint)?;
        decode_base64(digits).map(Fingerprint).ok_or(BadFingerprint)
    }
}

serde_as_text!(Fingerprint);

/// Writes 32 bytes in base64, without padding.
pub(crate) fn encode_base64(bytes: &[u8; 32]) -> String {
    let mut text = String::with_capacity(LENGTH);
    for three in bytes.chunks(3) {
        let byte = |place: usize| u32::from(*three.get(place).unwrap_or(&0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=three.len() {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(char::from(DIGITS[value as usize]));
        }
    }
    text
}

/// Reads 32 bytes from base64 without padding, in their only spelling.
pub(crate) fn decode_base64(text: &str) -> Option<[u8; 32]> {
    if text.len() != LENGTH {
        return None;
    }
    let (mut bytes, mut bits, mut held, mut place) = ([0; 32], 0u32, 0, 0);
    for digit in text.bytes() {
        let value = DIGITS.iter().position(|of| *of == digit)? as u32;
        bits = (bits << 6 | value) & 0x3fff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes[place] = (bits >> held) as u8;
            place += 1;
        }
    }
    // The bits that are left over must be 0, or the same bytes would have several spellings.
    (bits & ((1 << held) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_ssh_writes_it() {
        // `printf abc | sha256sum`, in base64.
        let text = "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0";
        assert_eq!(Fingerprint::of(b"abc").to_string(), text);
        assert_eq!(text.parse(), Ok(Fingerprint::of(b"abc")));
    }

    #[test]
    fn it_has_one_spelling() {
        let right = Fingerprint::of(b"abc").to_string();
        // The last digit holds only four bits of the fingerprint.
        let wrong = [
            right.replace("SHA256:", "sha256:"),
            right.replace("SHA256:", ""),
            format!("{right}="),
            format!("{right}A"),
            right[..right.len() - 1].to_owned(),
            format!("{}1", &right[..right.len() - 1]),
            right.replace('+', "-"),
        ];
        for wrong in wrong {
            assert_eq!(wrong.parse::<Fingerprint>(), Err(BadFingerprint), "{wrong}");
        }
    }

    #[test]
    fn all_bytes_come_back() {
        for start in 0..=u8::MAX {
            let bytes = std::array::from_fn(|place| start.wrapping_mul(31) ^ (place as u8 * 7));
            assert_eq!(decode_base64(&encode_base64(&bytes)), Some(bytes));
        }
    }
}
