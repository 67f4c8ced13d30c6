//! What is wrong, and where.

use std::fmt;

use serde::Serialize;

/// A place that people can look at themselves: a key of Redis, a file, a server's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// The key, the file's path, or what the server was asked for.
    pub key: String,
    /// The place within it.
    #[serde(flatten)]
    pub at: Option<At>,
}

/// A place within a key or a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum At {
    /// The index in a list, from 0; in a chain, the height.
    Index(u64),
    /// The field of a hash.
    Field(String),
    /// The line of a file, from 1.
    Line(u64),
}

impl Spot {
    /// Makes the place that a store calls `KEY` or `KEY[INDEX]`.
    pub fn of_redis(name: &str) -> Spot {
        let Some((key, at)) = name.split_once('[') else {
            return Spot { key: name.to_owned(), at: None };
        };
        let at = at.strip_suffix(']').unwrap_or(at);
        // A field may look like an index: accounts may be named like numbers.
        let has_fields =
            ["STATE", "BALANCES"].iter().any(|kind| key.starts_with(&format!("SERVER-{kind}-")));
        let index = at.parse().ok().filter(|_| !has_fields);
        let at = index.map_or_else(|| At::Field(at.to_owned()), At::Index);
        Spot { key: key.to_owned(), at: Some(at) }
    }
}

impl Spot {
    /// True if this is an earlier place in the same list or file.
    pub fn is_before(&self, other: &Spot) -> bool {
        self.key == other.key
            && match (&self.at, &other.at) {
                (Some(At::Index(one)), Some(At::Index(other))) => one < other,
                (Some(At::Line(one)), Some(At::Line(other))) => one < other,
                _ => false,
            }
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        match &self.at {
            None => Ok(()),
            Some(At::Index(index)) => write!(f, ", index {index}"),
            Some(At::Field(field)) => write!(f, ", field {field}"),
            Some(At::Line(line)) => write!(f, ", line {line}"),
        }
    }
}

/// Something that can't be right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The place.
    #[serde(flatten)]
    pub spot: Spot,
    /// What is wrong there.
    pub what: String,
}

impl Finding {
    /// Says that `what` is wrong at `spot`.
    pub fn new(spot: Spot, what: impl Into<String>) -> Finding {
        Finding { spot, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.spot, self.what)
    }
}

/// Why an audit can't go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The content is wrong.
    Wrong(Finding),
    /// The content can't be read, so nobody knows.
    Unread(String),
}

impl From<Finding> for Trouble {
    fn from(finding: Finding) -> Trouble {
        Trouble::Wrong(finding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_said_as_people_look_for_it() {
        for (name, said) in [
            ("SERVER-BLOCKCHAIN-A[17]", "SERVER-BLOCKCHAIN-A, index 17"),
            ("SERVER-BALANCES-1[17]", "SERVER-BALANCES-1, field 17"),
            ("SERVER-STATE-A[format]", "SERVER-STATE-A, field format"),
            ("SERVER-TURN-A", "SERVER-TURN-A"),
        ] {
            assert_eq!(Spot::of_redis(name).to_string(), said);
        }
    }

    #[test]
    fn a_finding_is_flat_in_json() {
        let finding = Finding::new(Spot::of_redis("SERVER-LOG-A[2]"), "a gap");
        let json = serde_json::to_string(&finding).unwrap();
        assert_eq!(json, r#"{"key":"SERVER-LOG-A","index":2,"what":"a gap"}"#);
    }
}
