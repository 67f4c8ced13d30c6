//! What a client says a transfer is for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

/// The most characters of a reference.
pub const MAX_REFERENCE: usize = 64;

/// What a client says a transfer is for, in its own words: 1 to [`MAX_REFERENCE`] characters without control
/// characters, line ends among them. It is kept and shown, and nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Reference(Box<str>);

/// Why a text is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadReference {
    /// It is empty.
    Empty,
    /// It is too long: so many characters.
    Long(usize),
    /// It holds this control character, or one that ends a line or turns the direction of the text.
    Control(char),
}

impl fmt::Display for BadReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadReference::Empty => f.write_str("it is empty")?,
            BadReference::Long(length) => write!(f, "it has {length} characters")?,
            BadReference::Control(c) => write!(f, "it holds the control character {c:?}")?,
        }
        write!(
            f,
            "; a reference is 1 to {MAX_REFERENCE} characters, none of them a control character"
        )
    }
}

impl std::error::Error for BadReference {}

/// True if a character would do something to the line that it is shown in: a control character, a separator of
/// lines, or one that turns the direction of what follows.
fn is_control(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') || turns
}

impl Reference {
    /// Returns its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reference {
    type Err = BadReference;
    fn from_str(text: &str) -> Result<Self, BadReference> {
        if let Some(c) = text.chars().find(|c| is_control(*c)) {
            return Err(BadReference::Control(c));
        }
        match text.chars().count() {
            0 => Err(BadReference::Empty),
            length if length > MAX_REFERENCE => Err(BadReference::Long(length)),
            _ => Ok(Reference(text.into())),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_short_line_of_any_script() {
        for right in ["invoice 17", "Rechnung \"ä\"", "家賃", &"x".repeat(64), &"ß".repeat(64), " "]
        {
            let reference: Reference = right.parse().unwrap();
            let line = serde_json::to_string(&reference).unwrap();
            assert_eq!(serde_json::from_str::<Reference>(&line).unwrap(), reference);
        }
        for (wrong, error) in [
            ("", BadReference::Empty),
            (&"ß".repeat(65), BadReference::Long(65)),
            ("a\nb", BadReference::Control('\n')),
            ("\u{7f}", BadReference::Control('\u{7f}')),
            ("a\u{2028}b", BadReference::Control('\u{2028}')),
            ("\u{202e}001", BadReference::Control('\u{202e}')),
        ] {
            assert_eq!(wrong.parse::<Reference>(), Err(error));
        }
    }
}
