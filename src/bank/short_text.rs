//! Short texts, such as names, which mostly need no memory of their own.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The most bytes that fit in without an allocation.
const INLINE: usize = 22;

/// A text, as cheap to copy as three numbers if it is short. Equality, order and hash are the text's.
#[derive(Clone)]
pub(crate) struct ShortText(Held);

#[derive(Clone)]
enum Held {
    Inline(u8, [u8; INLINE]),
    Long(Arc<str>),
}

impl ShortText {
    /// Returns the text.
    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Held::Inline(..) => {
                std::str::from_utf8(self.as_bytes()).expect("it was made of a text")
            }
            Held::Long(text) => text,
        }
    }

    /// Returns the text's bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Inline(length, bytes) => &bytes[..usize::from(*length)],
            Held::Long(text) => text.as_bytes(),
        }
    }

    /// Scatters the text to a number: multiplies eight bytes at a time into the product so far, and keeps
    /// both halves of the product. Without the salt nobody can tell which texts meet.
    pub(crate) fn scatter(&self, salt: u64) -> u64 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let fold = |state: u64, word: u64| {
            let product = u128::from(state ^ word) * u128::from((ODD ^ salt.rotate_left(32)) | 1);
            product as u64 ^ (product >> 64) as u64
        };
        let state = match &self.0 {
            Held::Inline(length, bytes) => {
                // The bytes after the text are zeros, and most texts end before the last word.
                let (words, rest) = bytes.as_chunks();
                let mut state = fold(salt, u64::from(*length));
                for (word, begin) in words.iter().zip([0, 8]) {
                    if *length > begin {
                        state = fold(state, u64::from_le_bytes(*word));
                    }
                }
                let rest = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
                if *length > 16 { fold(state, rest) } else { state }
            }
            Held::Long(text) => {
                let fold_chunk = |state, chunk: &[u8]| {
                    let word =
                        chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
                    fold(state, word)
                };
                text.as_bytes().chunks(8).fold(fold(salt, text.len() as u64), fold_chunk)
            }
        };
        fold(state, ODD)
    }

    /// Appends the text to `text`.
    pub(crate) fn append_to(&self, text: &mut Vec<u8>) {
        match &self.0 {
            // To append a fixed number of bytes and take some back costs less than to append a few.
            Held::Inline(length, bytes) => {
                let end = text.len() + usize::from(*length);
                text.extend_from_slice(bytes);
                text.truncate(end);
            }
            Held::Long(long) => text.extend_from_slice(long.as_bytes()),
        }
    }

    /// Makes a text of these bytes, which are UTF-8, as ASCII is.
    pub(crate) fn of_bytes(text: &[u8]) -> ShortText {
        let mut bytes = [0; INLINE];
        if text.len() > INLINE {
            return ShortText(Held::Long(str::from_utf8(text).expect("a text").into()));
        }
        bytes[..text.len()].copy_from_slice(text);
        ShortText(Held::Inline(text.len() as u8, bytes))
    }
}

impl From<&str> for ShortText {
    fn from(text: &str) -> ShortText {
        ShortText::of_bytes(text.as_bytes())
    }
}

impl fmt::Debug for ShortText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl PartialEq for ShortText {
    fn eq(&self, other: &ShortText) -> bool {
        match (&self.0, &other.0) {
            // The bytes after the texts are zeros.
            (Held::Inline(one, these), Held::Inline(two, those)) => one == two && these == those,
            _ => self.as_bytes() == other.as_bytes(),
        }
    }
}

impl Eq for ShortText {}

impl PartialOrd for ShortText {
    fn partial_cmp(&self, other: &ShortText) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ShortText {
    fn cmp(&self, other: &ShortText) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for ShortText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_is_the_text_whatever_its_length() {
        let texts = (0..=INLINE + 2).map(|length| "x".repeat(length)).collect::<Vec<_>>();
        for text in &texts {
            assert_eq!(ShortText::from(text.as_str()).as_str(), text);
            let mut after = b"before ".to_vec();
            ShortText::from(text.as_str()).append_to(&mut after);
            assert_eq!(after, format!("before {text}").into_bytes());
            for other in &texts {
                let (one, two) = (ShortText::from(text.as_str()), ShortText::from(other.as_str()));
                assert_eq!(one.cmp(&two), text.cmp(other));
                assert_eq!(one == two, text == other);
            }
        }
        assert_eq!(std::mem::size_of::<ShortText>(), 24);
    }

    #[test]
    fn texts_are_scattered() {
        let texts = (0..=INLINE + 2).flat_map(|length| {
            let text = "x".repeat(length);
            let others = (0..length).map(|place| {
                let mut bytes = text.clone().into_bytes();
                bytes[place] = b'y';
                String::from_utf8(bytes).unwrap()
            });
            others.chain([text.clone()]).collect::<Vec<_>>()
        });
        let texts: Vec<ShortText> = texts.map(|text| ShortText::from(text.as_str())).collect();
        let scattered: BTreeSet<u64> = texts.iter().map(|text| text.scatter(7)).collect();
        assert_eq!(scattered.len(), texts.len(), "each byte counts");
        assert!(texts.iter().all(|text| text.scatter(7) != text.scatter(8)), "and the salt");
        // Low and high bits are used separately.
        for shift in [0, 32] {
            let cells: BTreeSet<u64> = scattered.iter().map(|n| n >> shift & 0xff).collect();
            assert!(cells.len() > 150, "{} of 256 for {} texts", cells.len(), texts.len());
        }
    }
}
