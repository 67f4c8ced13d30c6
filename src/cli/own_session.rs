//! The flags by which a client names its session.

use clap::Args;
use paxos_banking::bank::ids::{ClientName, NamedSession};

use super::values::parse_number;

#[derive(Args)]
pub struct OwnSession {
    /// Make payments in a session of this name (1 to 64 letters, digits, '-' or '_'). It outlives this client;
    /// in a bank with keys it is the key's own. Its numbers go on from the highest that the server knows
    /// [default: a new session, which ends with the connection]
    #[arg(long, value_name = "NAME")]
    session: Option<ClientName>,

    /// The highest number used in that session before, 0 if none: payments take the numbers after it. The same
    /// commands after the same number are paid once, however often they are run [default: what the server knows]
    #[arg(long, value_name = "NUMBER", requires = "session", value_parser = parse_number, allow_negative_numbers = true)]
    last: Option<u64>,
}

impl OwnSession {
    /// Returns the session, if it has a name.
    pub fn named(self) -> Option<NamedSession> {
        let last = self.last;
        self.session.map(|name| NamedSession { name, last })
    }
}
