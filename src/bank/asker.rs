//! Who asks over a client's connection, as far as the connection proved it.

use serde::{Deserialize, Serialize};

use crate::bank::fingerprint::Fingerprint;

/// What a key may do beyond what the accounts that name it allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything.
    Auditor,
    /// Reads everything, opens accounts, changes their keys, settles, and uses accounts without a key.
    Operator,
}

/// Who asks: the key that the handshake proved, and the role that the server's own list gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asker {
    /// The fingerprint of the key.
    pub key: Fingerprint,
    /// The key's role at this server, if it has one.
    pub role: Option<Role>,
}
