//! A server's doors: its key, the handshakes by which others prove theirs, and what each key may do.

use std::collections::BTreeMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::bank::asker::{Asker, Role};
use crate::bank::blockchain::block::BlockHash;
use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::{ConnectionId, ServerId};
use crate::node::config;
use crate::node::handshakes::Counts;
use crate::node::roles::Roles;
use crate::noise::{
    HandshakeError, Introduction, Preamble, SecretKey, Secured, answer, initiate, read_preamble,
};

/// What all connections share about keys.
#[derive(Debug)]
pub(crate) struct Doors {
    id: ServerId,
    /// The key to prove: the one that was given, or else one made for this process. None if the program was
    /// built without keys.
    key: Option<SecretKey>,
    /// True if the key was given, and stays.
    is_given: bool,
    /// The hash of the bank's block 0, once it is known.
    bank: Mutex<Option<BlockHash>>,
    /// True if the bank asks everybody for a key.
    is_keyed: AtomicBool,
    /// The file of the roles, and what it says.
    authorized: Option<PathBuf>,
    roles: Mutex<Roles>,
    /// The connections whose handshake is not over.
    unproved: Mutex<BTreeMap<ConnectionId, Arc<TcpStream>>>,
    /// How handshakes ended.
    pub(crate) counts: Counts,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Doors {
    /// Reads the roles, and makes a key if none was given.
    ///
    /// # Errors
    /// What is wrong with the file of the roles.
    pub(crate) fn open(id: &ServerId, config: &config::Doors) -> Result<Arc<Doors>, String> {
        let roles = config.authorized.as_deref().map(Roles::read).transpose()?.unwrap_or_default();
        // Who has no key needs none: a program without keys says so in each handshake.
        let key = config.key.clone().or_else(|| SecretKey::random().ok());
        Ok(Arc::new(Doors {
            id: id.clone(),
            key,
            is_given: config.key.is_some(),
            bank: Mutex::default(),
            is_keyed: AtomicBool::new(false),
            authorized: config.authorized.clone(),
            roles: Mutex::new(roles),
            unproved: Mutex::default(),
            counts: Counts::new(),
        }))
    }

    /// Notes what the state machine knows of the bank by now. True if from now on the bank asks for keys.
    pub(crate) fn learn(&self, bank: Option<BlockHash>, is_keyed: bool) -> bool {
        *lock(&self.bank) = bank;
        !self.is_keyed.swap(is_keyed, Ordering::Relaxed) && is_keyed
    }

    /// Says so if nobody may operate a server that asks for keys.
    pub(crate) fn warn_without_operator(&self) {
        if !lock(&self.roles).has_operator() {
            log::warn!(
                "nobody is an operator at this server, so nobody opens accounts here or uses those without a \
                 key: --authorized FILE names operators' keys"
            );
        }
    }

    /// Returns who asks by this key.
    pub(crate) fn asker(&self, key: Fingerprint) -> Asker {
        Asker { key, role: lock(&self.roles).of(key) }
    }

    /// True if who proved this key, or none, may give orders to the server's links.
    pub(crate) fn may_order(&self, key: Option<Fingerprint>) -> bool {
        let role = key.and_then(|key| self.asker(key).role);
        !self.is_keyed.load(Ordering::Relaxed) || role == Some(Role::Operator)
    }

    /// True if who proved this key, or none, may be told all that happens here.
    pub(crate) fn may_look_on(&self, key: Option<Fingerprint>) -> bool {
        let role = key.and_then(|key| self.asker(key).role);
        !self.is_keyed.load(Ordering::Relaxed) || role.is_some()
    }

    /// Reads the roles anew. False if they stay as they were: nobody loses a role by a slip.
    pub(crate) fn read_roles(&self) -> bool {
        let Some(path) = &self.authorized else { return false };
        match Roles::read(path) {
            Ok(roles) => {
                log::info!("{} says who has a role: {} keys", path.display(), roles.len());
                *lock(&self.roles) = roles;
                self.warn_without_operator();
                true
            }
            Err(wrong) => {
                log::warn!("the roles stay as they were: {wrong}");
                false
            }
        }
    }

    /// Notes that a connection's handshake begins, until what is returned is dropped.
    pub(crate) fn begin(&self, id: ConnectionId, socket: &Arc<TcpStream>) -> Unproved<'_> {
        lock(&self.unproved).insert(id, Arc::clone(socket));
        Unproved { doors: self, id }
    }

    /// Ends the handshake that has taken the longest, to make room for another connection. False if there is
    /// none. Whoever means well needs a moment for a handshake; whoever leaves it open loses it.
    pub(crate) fn end_oldest(&self) -> bool {
        let Some((_, socket)) = lock(&self.unproved).pop_first() else { return false };
        // If its other end is gone already, it ends by itself.
        let _ = socket.shutdown(Shutdown::Both);
        true
    }

    /// Answers the handshake of a connection that somebody dialled, and counts it.
    ///
    /// # Errors
    /// Why it failed.
    pub(crate) fn answer<'a>(
        &self,
        socket: &'a TcpStream,
        from: SocketAddr,
        until: Instant,
    ) -> Result<Secured<&'a TcpStream>, HandshakeError> {
        let answered = self.try_to_answer(socket, until);
        match &answered {
            Ok(_) => self.counts.done(),
            Err(error) => self.counts.failed(from, error),
        }
        answered
    }

    fn try_to_answer<'a>(
        &self,
        socket: &'a TcpStream,
        until: Instant,
    ) -> Result<Secured<&'a TcpStream>, HandshakeError> {
        let caller = read_preamble(socket, until)?;
        let bank = *lock(&self.bank);
        self.judge(&caller.preamble, bank).map_err(HandshakeError::Elsewhere)?;
        let key = self.key.as_ref().ok_or(HandshakeError::BuiltWithout)?;
        let introduction = Introduction { id: self.id.clone(), bank, keyed: self.is_given };
        answer(caller, key, &introduction)
    }

    /// Refuses who means another server, or another bank's.
    fn judge(&self, preamble: &Preamble, bank: Option<BlockHash>) -> Result<(), String> {
        let is_other = |meant: &ServerId| *meant != self.id;
        if let Some(meant) = preamble.to.as_ref().filter(|meant| is_other(meant)) {
            return Err(format!("this is server {}, and server {meant} was meant", self.id));
        }
        match (bank, preamble.bank) {
            (Some(own), Some(meant)) if own != meant => {
                Err("this server is another bank's than the one that was meant".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Shakes hands over a connection that this server dialled to a peer. None if it was given no key, and so
    /// speaks plain lines.
    ///
    /// # Errors
    /// If the handshake fails, or another server answers.
    pub(crate) fn call<'a>(
        &self,
        peer: &ServerId,
        socket: &'a TcpStream,
        until: Instant,
    ) -> Result<Option<Secured<&'a TcpStream>>, HandshakeError> {
        let Some(key) = self.key.as_ref().filter(|_| self.is_given) else { return Ok(None) };
        let bank = *lock(&self.bank);
        let preamble = Preamble::new(Some(self.id.clone()), Some(peer.clone()), bank);
        let judge = |proved: Fingerprint, said: &Introduction| {
            if said.id != *peer {
                return Err(format!("it is server {}, whose key is {proved}", said.id));
            }
            match (bank, said.bank) {
                (Some(own), Some(theirs)) if own != theirs => {
                    Err(format!("it is a server of another bank, {}", theirs.short()))
                }
                _ => Ok(()),
            }
        };
        initiate(socket, until, key, &preamble, judge).map(|(secured, _)| Some(secured))
    }
}

/// A handshake that is not over.
#[derive(Debug)]
pub(crate) struct Unproved<'a> {
    doors: &'a Doors,
    id: ConnectionId,
}

impl Drop for Unproved<'_> {
    fn drop(&mut self) {
        lock(&self.doors.unproved).remove(&self.id);
    }
}
