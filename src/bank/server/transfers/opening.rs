//! Sessions: how they are opened, and whose they are (DESIGN.md, "Retries").

use super::super::Server;
use super::super::rights::Right;
use super::taking_over::taken_over;
use crate::bank::ids::{ConnectionId, NamedSession, Naming, Owner, SessionId, SessionName};
use crate::bank::ledger::sessions::{Sessions, opened_at};
use crate::bank::request::{ErrorCode, Reply};

impl Server {
    /// Opens a session, new or by the name that its client gives it.
    pub(in crate::bank::server) fn open_session(
        &mut self,
        connection: ConnectionId,
        named: Option<NamedSession>,
    ) -> Reply {
        let owner = self.right_of(connection).key().map(Owner::of);
        match named {
            Some(named) => self.open_by_name(connection, named, owner),
            None => self.open_anew(connection, owner),
        }
    }

    fn open_anew(&mut self, connection: ConnectionId, owner: Option<Owner>) -> Reply {
        let last = self.ledger.log.last();
        let mut session = self.clients.name_session(&self.config.id, last, owner);
        // By the odds this never repeats.
        while self.ledger.sessions.is_known(&session) {
            session = self.clients.name_session(&self.config.id, last, owner);
        }
        self.ledger.sessions.open(&session, connection);
        Reply::Session { session, highest: None }
    }

    fn open_by_name(
        &mut self,
        connection: ConnectionId,
        NamedSession { name, last }: NamedSession,
        owner: Option<Owner>,
    ) -> Reply {
        let owner = owner.filter(|_| !planted!(NameOfAnyKey));
        let (server, epoch) = (self.config.id.clone(), self.chain().first_epoch());
        let naming = Naming::ByClient(name.clone());
        let session = SessionId::from(SessionName { naming, server, epoch, owner });
        if !self.ledger.sessions.is_used(&session) {
            // What was asked under it in the former bank may be in the balances, and can't be known here.
            let may_be_used = !self.chain().knows_all_names() && !planted!(FormerNameIsNew);
            if may_be_used && last != Some(0) {
                return refused(format!(
                    "this bank goes on from another one, where {name} may have been used: take a new name, with \
                     \"last\":0; or this one, if it was never used"
                ));
            }
            if let Err(why) = self.may_begin(&session) {
                return refused(why);
            }
        }
        if self.ledger.sessions.is_stale(&session, connection) {
            return taken_over(&session, ": open it there");
        }
        let open = |sessions: &mut Sessions| sessions.open_again(&session, connection);
        let highest = self.taking_over(&session, connection, open);
        Reply::Session { session, highest: Some(highest) }
    }

    /// Checks that something new may be asked in a session: if its client named it, its name has to be used, or
    /// there has to be room for one more.
    pub(super) fn may_begin(&self, session: &SessionId) -> Result<(), String> {
        match session.is_named() && !self.ledger.sessions.is_used(session) {
            true => self.ledger.sessions.may_begin(session),
            false => Ok(()),
        }
    }

    /// True if what is new in a session was lost with an earlier store of this server. In one that its client named
    /// it is only new: all that counts is in the chain up to the block that let this store in.
    pub(super) fn is_of_lost_store(&self, session: &SessionId) -> bool {
        !session.is_named() && session.epoch < self.ledger.log.last().epoch
    }

    /// Checks that a session may be one with this server, and is of whoever asks.
    pub(super) fn is_session(&self, session: &SessionId, right: Right) -> Result<(), String> {
        let SessionName { naming: _, server, epoch, owner } = &**session;
        if *server != self.config.id {
            return Err(format!("{session} is a session with server {server}"));
        }
        let may_be = match opened_at(session) {
            Some(position) => position <= self.ledger.log.last(),
            None => {
                let chain = self.chain();
                *epoch == chain.first_epoch() || chain.is_of_former_bank(*epoch)
            }
        };
        if !may_be {
            return Err(format!("{session} is no session of this server's"));
        }
        let is_anybodys = right == Right::Everything && !session.is_named();
        if !is_anybodys && *owner != right.key().map(Owner::of) && !planted!(SessionOfAnyKey) {
            return Err(format!("{session} belongs to the key that opened it"));
        }
        Ok(())
    }
}

fn refused(message: String) -> Reply {
    Reply::Error { error: ErrorCode::NameRefused, message }
}
