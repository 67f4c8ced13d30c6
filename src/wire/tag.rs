//! The client's own name for a request, which its reply repeats.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The longest text or number that is repeated, in bytes.
pub const MAX_TAG: usize = 64;

/// A client's `id` for a request: a text or a number, which means nothing here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::box_collection, reason = "by a thin pointer it is no larger than a number alone")]
pub enum Tag {
    /// A whole number, as most clients use them.
    Number(u64),
    /// A text or any other number, as JSON.
    Json(Box<String>),
}

impl Tag {
    /// Reads a tag from its JSON.
    ///
    /// # Errors
    /// Says what is wrong and what would be right.
    pub(super) fn of(raw: &RawValue) -> Result<Tag, String> {
        let json = raw.get();
        if let Ok(number) = json.parse() {
            return Ok(Tag::Number(number));
        }
        let wrong = |what: &str| {
            Err(format!("id: {what}, expected a number or a text of at most {MAX_TAG} bytes"))
        };
        match json.as_bytes()[0] {
            b'"' => match serde_json::from_str::<String>(json) {
                Ok(text) if text.len() > MAX_TAG => {
                    wrong(&format!("found a text of {} bytes", text.len()))
                }
                Ok(text) => Ok(Tag::Json(Box::new(serde_json::Value::from(text).to_string()))),
                Err(_) => wrong("found half of a surrogate pair"),
            },
            b'-' | b'0'..=b'9' if json.len() > MAX_TAG => {
                wrong(&format!("found a number of {} digits", json.len()))
            }
            // Hardly any program could read the reply.
            b'-' | b'0'..=b'9' if serde_json::from_str::<f64>(json).is_err() => {
                wrong("found a number that is out of range")
            }
            b'-' | b'0'..=b'9' => Ok(Tag::Json(Box::new(json.to_owned()))),
            b'{' => wrong("found an object"),
            b'[' => wrong("found a list"),
            _ => wrong(&format!("found {json}")),
        }
    }
}

/// Writes the tag as JSON.
impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tag::Number(number) => number.fmt(f),
            Tag::Json(json) => f.write_str(json),
        }
    }
}

impl Serialize for Tag {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Tag::Number(number) => number.serialize(to),
            Tag::Json(json) => {
                let raw = RawValue::from_string((**json).clone());
                raw.map_err(serde::ser::Error::custom)?.serialize(to)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Tag, D::Error> {
        Tag::of(<&RawValue>::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<String, String> {
        let tag = serde_json::from_str::<Tag>(json).map_err(|error| error.to_string())?;
        assert_eq!(serde_json::to_string(&tag).unwrap(), tag.to_string());
        Ok(tag.to_string())
    }

    #[test]
    fn texts_and_numbers_come_back_as_they_were() {
        let long = format!("\"{}\"", "x".repeat(MAX_TAG));
        let whole =
            ["0", "7", "18446744073709551615", "18446744073709551616", "-1", "1.50", "1e300"];
        for json in whole.into_iter().chain(["\"\"", "\"7\"", "\"ä \\\" \\\\ \\n\"", &long]) {
            assert_eq!(read(json).as_deref(), Ok(json));
        }
        assert_eq!(read("\"\\u0041\\u00e4\"").as_deref(), Ok("\"Aä\""), "the same text");
        assert_eq!(serde_json::from_str::<Tag>(" 7 ").unwrap(), Tag::Number(7));
    }

    #[test]
    fn whatever_else_is_refused_in_plain_words() {
        let (text, digits) = (format!("\"{}\"", "x".repeat(65)), "1".repeat(65));
        for (json, word) in [
            ("null", "found null"),
            ("true", "found true"),
            ("{\"a\":1}", "found an object"),
            ("[1]", "found a list"),
            ("\"\\ud800\"", "half of a surrogate pair"),
            (&text, "a text of 65 bytes"),
            (&digits, "a number of 65 digits"),
            ("1e400", "out of range"),
            ("-1e400", "out of range"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(word) && error.contains("at most 64 bytes"), "{json}: {error}");
        }
    }
}
