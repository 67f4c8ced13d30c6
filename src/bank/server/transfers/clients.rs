//! The clients of a server.

use std::collections::BTreeMap;

use super::calls::Calls;
use crate::bank::asker::Asker;
use crate::bank::ids::{ConnectionId, LifeId, Naming, Owner, ServerId, SessionId, SessionName};
use crate::bank::ledger::entry::Position;
use crate::bank::ledger::secret::Secret;

/// The clients that wait for replies, and the names of their sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::bank::server) struct Clients {
    pub calls: Calls,
    /// Who asks over each connection that has proved a key, a peer's connection included.
    askers: BTreeMap<ConnectionId, Asker>,
    secret: Secret,
    sessions_named: u64,
}

impl Clients {
    /// Starts without clients. Sessions' names come from the secret.
    pub fn new(secret: Secret) -> Clients {
        Clients { calls: Calls::default(), askers: BTreeMap::new(), secret, sessions_named: 0 }
    }

    /// Notes the key that the other end of a connection has proved.
    pub fn proved(&mut self, connection: ConnectionId, asker: Asker) {
        self.askers.insert(connection, asker);
    }

    /// Returns who asks over a connection; none if it proved no key.
    pub fn asker(&self, connection: ConnectionId) -> Option<Asker> {
        self.askers.get(&connection).copied()
    }

    /// Forgets a connection.
    pub fn closed(&mut self, connection: ConnectionId) {
        self.calls.forget_connection(connection);
        self.askers.remove(&connection);
    }

    /// Names a session of a server whose log ends at this position. Each name is new.
    pub fn name_session(
        &mut self,
        server: &ServerId,
        Position { epoch, seq }: Position,
        owner: Option<Owner>,
    ) -> SessionId {
        self.sessions_named += 1;
        let bits = match planted!(SessionNamesCounted) {
            true => self.sessions_named,
            false => self.secret.bits(self.sessions_named),
        };
        let naming = Naming::ByServer { opened_at: seq, bits: LifeId(bits), count: 0 };
        SessionName { naming, server: server.clone(), epoch, owner }.into()
    }
}
