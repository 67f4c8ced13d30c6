//! Names are short: a text that mostly needs no memory of its own.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// So many bytes fit in without an allocation.
const INLINE: usize = 22;

/// A text, as cheap to copy as three numbers if it is short. Equality, order and hash are those of
/// the text.
#[derive(Clone)]
pub(crate) struct ShortText(Held);

#[derive(Clone)]
enum Held {
    Inline(u8, [u8; INLINE]),
    Long(Arc<str>),
}

impl ShortText {
    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        match &self.0 {
            Held::Inline(..) => {
                std::str::from_utf8(self.as_bytes()).expect("it was made of a text")
            }
            Held::Long(text) => text,
        }
    }

    /// Its bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Inline(length, bytes) => &bytes[..usize::from(*length)],
            Held::Long(text) => text.as_bytes(),
        }
    }

    /// The text of these bytes, which are UTF-8, as ASCII is.
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
            // What is beyond the text is zeros.
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
    use super::*;

    #[test]
    fn it_is_the_text_whatever_its_length() {
        let texts = (0..=INLINE + 2).map(|length| "x".repeat(length)).collect::<Vec<_>>();
        for text in &texts {
            assert_eq!(ShortText::from(text.as_str()).as_str(), text);
            for other in &texts {
                let (one, two) = (ShortText::from(text.as_str()), ShortText::from(other.as_str()));
                assert_eq!(one.cmp(&two), text.cmp(other));
                assert_eq!(one == two, text == other);
            }
        }
        assert_eq!(std::mem::size_of::<ShortText>(), 24);
    }
}
