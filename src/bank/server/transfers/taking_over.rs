//! A session that goes on over a newer connection: the older one is told so, and hears of every request that it asked.

use super::super::Server;
use crate::bank::effects::Bound;
use crate::bank::ids::{ConnectionId, RequestId, SessionId};
use crate::bank::ledger::sessions::{Lookup, Sessions};
use crate::bank::request::{ErrorCode, Instruction, Reply};

pub(super) fn taken_over(session: &SessionId, what: &str) -> Reply {
    let message = format!("the session {session} goes on over a newer connection{what}");
    Reply::TakenOver { error: ErrorCode::TakenOver, session: session.clone(), message }
}

impl Server {
    /// Looks up a request that came on a connection, and tells the connection that had its session so far.
    pub(super) fn look_up(
        &mut self,
        request: &RequestId,
        instruction: &Instruction,
        connection: ConnectionId,
    ) -> Lookup {
        self.taking_over(&request.session, connection, |sessions| {
            sessions.find(request, instruction, connection)
        })
    }

    /// Does something by which a connection may take a session over, and tells the connection that had it so far.
    pub(super) fn taking_over<T>(
        &mut self,
        session: &SessionId,
        connection: ConnectionId,
        take: impl FnOnce(&mut Sessions) -> T,
    ) -> T {
        let former = self.ledger.sessions.holder(session).filter(|former| *former != connection);
        let taken = take(&mut self.ledger.sessions);
        if let Some(former) = former
            && self.ledger.sessions.holder(session) == Some(connection)
        {
            let word = taken_over(session, ": ask in it there, and no longer here");
            self.effects.bind(Bound::Tell(former, word));
        }
        taken
    }

    /// Answers a request whose outcome is told elsewhere: over the session's newer connection, or to a later try.
    pub(super) fn answered_elsewhere(
        &mut self,
        (connection, id): (ConnectionId, Option<u64>),
        session: &SessionId,
    ) {
        let what = ", or this request in a later try: there it is told what became of it, under the same number";
        self.effects.bind(Bound::Reply(connection, id, taken_over(session, what)));
    }
}
