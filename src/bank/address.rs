//! Where a server is found.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bank::as_text::serde_as_text;

/// The longest address, in bytes.
pub const MAX_ADDRESS: usize = 200;

/// The address of a server, `HOST:PORT`, in its only spelling: the host in lower case, the port without leading
/// zeros.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Box<str>);

impl Address {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text.
    pub fn into_string(self) -> String {
        self.0.into()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(Address);

impl FromStr for Address {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        const RIGHT: &str = "an address is HOST:PORT, such as 127.0.0.1:8001 or [::1]:8001";
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(format!("{text:?} has no port; {RIGHT}"));
        };
        if text.len() > MAX_ADDRESS {
            return Err(format!(
                "it has {} bytes; an address has at most {MAX_ADDRESS}",
                text.len()
            ));
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        // In `::1:8001` nobody can say which of the colons the port follows.
        let is_v6 = |bare: &str| {
            bare.contains(':') && bare.bytes().all(|b| b.is_ascii_hexdigit() || b":.".contains(&b))
        };
        let is_host = bare.is_some_and(is_v6)
            || (!host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)));
        if !is_host {
            return Err(format!("{host:?} is not a host; {RIGHT}"));
        }
        match port.parse::<u16>() {
            Ok(0) => Err("port 0 can't be reached; take one from 1 to 65535".into()),
            Ok(port) if !text.contains('+') => {
                Ok(Address(format!("{}:{port}", host.to_ascii_lowercase()).into()))
            }
            _ => Err(format!("{port:?} is not a port from 1 to 65535; {RIGHT}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        for (text, spelled) in [
            ("127.0.0.1:8001", "127.0.0.1:8001"),
            ("LocalHost:08001", "localhost:8001"),
            ("[::1]:65535", "[::1]:65535"),
            ("bank_a.example-net:1", "bank_a.example-net:1"),
        ] {
            assert_eq!(text.parse::<Address>().map(Address::into_string), Ok(spelled.into()));
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (text, part) in [
            ("localhost", "has no port"),
            (":8001", "\"\" is not a host"),
            ("::1:8001", "\"::1\" is not a host"),
            ("[localhost]:1", "is not a host"),
            ("a b:1", "is not a host"),
            ("a:0", "port 0"),
            ("a:65536", "\"65536\" is not a port"),
            ("a:+1", "\"+1\" is not a port"),
            ("a:", "\"\" is not a port"),
            (&format!("{}:1", "a".repeat(199)), "at most 200"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
