//! Sets of messages between servers, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The names of all messages but those that open a connection, without which no message could be lost.
pub const NAMES: [&str; 12] = [
    "heartbeat",
    "rejoin",
    "prepare",
    "promise",
    "accept",
    "accepted",
    "commit",
    "nack",
    "reconcile_request",
    "reconcile_ack",
    "blocks_request",
    "blocks_response",
];

/// A set of message names, each a bit. It is written as a list of the names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<&str>", try_from = "Vec<String>")]
pub struct Messages(u16);

impl Messages {
    /// True if the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the union of both sets.
    pub fn and(self, others: Messages) -> Messages {
        Messages(self.0 | others.0)
    }

    /// True if the set holds the message of this name.
    pub fn contains(self, name: &str) -> bool {
        name.parse::<Messages>().is_ok_and(|message| self.0 & message.0 != 0)
    }

    /// Returns the names in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().filter(move |name| self.contains(name))
    }
}

impl FromStr for Messages {
    type Err = String;
    /// Parses one name into the set that holds it.
    fn from_str(text: &str) -> Result<Messages, String> {
        match NAMES.iter().position(|name| *name == text) {
            Some(place) => Ok(Messages(1 << place)),
            None => {
                let text: String = text.chars().take(80).collect();
                Err(format!("{text:?} is no message; there are {}", NAMES.join(", ")))
            }
        }
    }
}

impl TryFrom<Vec<String>> for Messages {
    type Error = String;
    fn try_from(names: Vec<String>) -> Result<Messages, String> {
        names.iter().try_fold(Messages::default(), |all, name| Ok(all.and(name.parse()?)))
    }
}

impl From<Messages> for Vec<&str> {
    fn from(messages: Messages) -> Self {
        messages.names().collect()
    }
}

impl fmt::Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_its_names() {
        let set: Messages = serde_json::from_str(r#"["commit","accept"]"#).unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["accept","commit"]"#);
        assert!(set.contains("commit") && !set.contains("promise") && !set.contains("hello"));
        assert_eq!(set.to_string(), "accept, commit");
        let error = "hello".parse::<Messages>().unwrap_err();
        assert!(error.contains("\"hello\" is no message; there are heartbeat, "), "{error}");
        assert!(serde_json::from_str::<Messages>(r#"["x"]"#).is_err());
    }
}
