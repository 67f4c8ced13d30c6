//! Sessions that their clients named. What was asked in one is never forgotten, so it can be found again by
//! whoever knows only the name and a number; hence there may be only so many.

use super::Sessions;
use crate::bank::ids::{ConnectionId, Naming, SessionId, SessionName};

impl Sessions {
    /// True if something was asked in a session, as far as is known.
    pub fn is_used(&self, session: &SessionId) -> bool {
        self.sessions.get(session).is_some_and(|state| state.is_used())
    }

    /// True if a connection is older than the newest one that used a session.
    pub fn is_stale(&self, session: &SessionId, connection: ConnectionId) -> bool {
        let newest = self.sessions.get(session).and_then(|state| state.connection);
        newest > Some(connection)
    }

    /// Gives a session that its client named to a connection; returns its highest number, as far as is known.
    pub fn open_again(&mut self, session: &SessionId, connection: ConnectionId) -> u64 {
        let state = self.touch(session, Some(connection));
        let last = state.requests.last_key_value().map_or(0, |(number, _)| *number);
        last.max(state.floor).max(state.in_chain.unwrap_or_default())
    }

    /// Checks that something may be asked in a session for the first time, if its client named it.
    ///
    /// # Errors
    /// Says why the name can't be used.
    pub fn may_begin(&self, session: &SessionId) -> Result<(), String> {
        let Naming::ByClient(name) = &session.naming else { return Ok(()) };
        let (mut names, mut names_of_one) = (0, 0);
        let named = self.sessions.iter().take_while(|(other, _)| other.is_named());
        for (other, _) in named.filter(|(_, state)| state.is_used()) {
            let SessionName { naming, epoch, owner, .. } = &**other;
            let is_same = *naming == session.naming && other != session;
            let may_be_one = owner.is_none() || session.owner.is_none() || *owner == session.owner;
            if is_same && may_be_one {
                return Err(format!(
                    "the name {name} was used before this bank had keys, or in the bank that it goes on from: \
                     choose another"
                ));
            }
            names += usize::from(*epoch == session.epoch);
            names_of_one += usize::from(*epoch == session.epoch && *owner == session.owner);
        }
        let limits = &self.limits;
        if names >= limits.names {
            return Err(format!(
                "{names} names are used, the most there can be: choose one of them"
            ));
        }
        if session.owner.is_some() && names_of_one >= limits.names_of_one {
            return Err(format!(
                "this key has used {names_of_one} names, the most that one can have: choose one of them"
            ));
        }
        Ok(())
    }
}
