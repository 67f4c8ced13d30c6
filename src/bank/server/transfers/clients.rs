//! The clients of a server.

use super::calls::Calls;
use crate::bank::ids::{LifeId, ServerId, SessionId, SessionName};
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::secret::Secret;

/// The clients that wait for replies, and the names of their sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Clients {
    pub calls: Calls,
    secret: Secret,
    sessions_named: u64,
}

impl Clients {
    /// Starts without clients. Sessions' names come from the secret.
    pub fn new(secret: Secret) -> Clients {
        Clients { calls: Calls::default(), secret, sessions_named: 0 }
    }

    /// Names a session of a server whose log ends at this position. Each name is new.
    pub fn name_session(
        &mut self,
        server: &ServerId,
        Position { epoch, seq }: Position,
    ) -> SessionId {
        self.sessions_named += 1;
        let bits = match planted!(SessionNamesCounted) {
            true => self.sessions_named,
            false => self.secret.bits(self.sessions_named),
        };
        let (server, opened_at, bits) = (server.clone(), seq, LifeId(bits));
        SessionName { server, epoch, opened_at, bits, count: 0 }.into()
    }
}
