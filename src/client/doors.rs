//! How a client comes in by the handshake: with its own key, and only to a server whose key it accepts.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::bank::fingerprint::Fingerprint;
use crate::bank::ids::ServerId;
pub use crate::client::connection::dial;
use crate::client::ending::Failure;
use crate::client::known_servers::{KnownServer, KnownServers};
use crate::noise::{
    HandshakeError, Introduction, Preamble, SecretKey, Secured, Timed, initiate, read_public_file,
};

/// A client's own key, and what it knows of the servers' keys.
#[derive(Clone, Debug)]
pub struct Doors {
    /// The client's key.
    pub key: SecretKey,
    /// The key that the server has to prove, if the user named one.
    pub server_key: Option<Fingerprint>,
    /// The keys that servers proved before; none if there is no place to keep them.
    pub known: Option<KnownServers>,
}

/// What a server's key is to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is accepted, and there is nothing to remember.
    Accepted,
    /// It is accepted, and to be remembered: it is the first one at this address.
    First,
    /// It is accepted, since the user named it, and takes the place of what was remembered, if anything was.
    Named(Option<KnownServer>),
}

impl Doors {
    /// Returns the doors to another server than the one whose key the user may have named.
    pub(super) fn elsewhere(&self) -> Doors {
        Doors { server_key: None, ..self.clone() }
    }

    /// Takes the key that is known of an address for the only right one, wherever its server is now.
    pub(super) fn follow(&mut self, address: &str) {
        let all = self.known.as_ref().and_then(|known| known.read().ok()).unwrap_or_default();
        let key = all.into_iter().find(|known| known.address == address).map(|known| known.key);
        self.server_key = self.server_key.or(key);
    }

    /// Goes through the handshake on a fresh connection to `address`, at which `server` is meant to be. The
    /// server's key is remembered if it is the first one there, or the user named it.
    ///
    /// # Errors
    /// If the handshake fails, another server answers, or its key is not accepted. Nothing was asked then.
    pub fn enter<S: Timed>(
        &self,
        stream: S,
        until: Instant,
        server: Option<&ServerId>,
        address: &str,
    ) -> Result<Secured<S>, Failure> {
        let preamble = Preamble::new(None, server.cloned(), None);
        let mut judged = Err(Failure::NotSent(address.to_owned()));
        let judge = |key: Fingerprint, introduction: &Introduction| {
            judged = self.judge(server, address, key, introduction);
            judged.as_ref().map(|_| ()).map_err(Failure::to_string)
        };
        match initiate(stream, until, &self.key, &preamble, judge) {
            Ok((secured, introduction)) => {
                self.remember(&judged?, address, &introduction.id, secured.key)?;
                Ok(secured)
            }
            Err(HandshakeError::Unwanted(why)) => match judged {
                Err(failure) => Err(failure),
                Ok(_) => Err(Failure::Untrusted(why)),
            },
            Err(error) => Err(failure_of(error, address)),
        }
    }

    fn judge(
        &self,
        server: Option<&ServerId>,
        address: &str,
        key: Fingerprint,
        introduction: &Introduction,
    ) -> Result<Verdict, Failure> {
        let all = self.known.as_ref().map_or(Ok(Vec::new()), KnownServers::read);
        let all = all.map_err(|bad| Failure::Untrusted(bad.to_string()))?;
        let pinned = all.iter().find(|known| known.address == address);
        let verdict = match (self.server_key, pinned) {
            (Some(named), _) if named != key => {
                return Err(Failure::Untrusted(format!(
                    "the server at {address} has the key {key}, and --server-key says {named}: it is \
                     another server, or somebody in between; nothing was asked of it"
                )));
            }
            (Some(_), pinned) if introduction.keyed && pinned.is_none_or(|old| old.key != key) => {
                Verdict::Named(pinned.cloned())
            }
            (None, Some(pinned)) if pinned.key != key => {
                return Err(Failure::Untrusted(self.changed(pinned, key, introduction, &all)));
            }
            (None, None) if introduction.keyed => Verdict::First,
            _ => Verdict::Accepted,
        };
        if let Some(server) = server.filter(|server| **server != introduction.id) {
            let found = &introduction.id;
            let what = format!("the server at {address} is {found}, not {server}");
            return Err(Failure::WrongServer(what));
        }
        if verdict == Verdict::First && self.known.is_none() {
            return Err(Failure::Untrusted(format!(
                "the key of {} at {address} is {key}, and there is no place to remember it: neither \
                 XDG_CONFIG_HOME nor HOME is set; if it is the right one, say --server-key {key}",
                introduction.id
            )));
        }
        Ok(verdict)
    }

    /// Says that an address's key is another one than before, and what to do.
    fn changed(
        &self,
        pinned: &KnownServer,
        key: Fingerprint,
        introduction: &Introduction,
        all: &[KnownServer],
    ) -> String {
        let KnownServer { address, id, key: old, line } = pinned;
        let file = self.file();
        let now = match introduction.keyed {
            true => format!("is {key}"),
            false => format!("is {key}, made for this run only, since the server was given none"),
        };
        let whose = all.iter().find(|known| known.key == key).map_or(String::new(), |known| {
            format!(" (the key of {} at {}, by line {})", known.id, known.address, known.line)
        });
        let way_out = match introduction.keyed {
            true => format!(
                "If the server has a new key for a good reason, such as a rejoin with a new store, ask an \
                 operator for its fingerprint; if that is {key}, say --server-key {key} once, and it takes \
                 the old one's place"
            ),
            false => format!(
                "If another bank, one without keys, is meant to be there now, take line {line} out of the \
                 file; otherwise ask an operator"
            ),
        };
        format!(
            "THE KEY OF {id} AT {address} HAS CHANGED: it was {old} ({file}, line {line}) and now {now}{whose}. \
             Somebody may be in between, so nothing was asked. {way_out}"
        )
    }

    fn remember(
        &self,
        verdict: &Verdict,
        address: &str,
        id: &ServerId,
        key: Fingerprint,
    ) -> Result<(), Failure> {
        if *verdict == Verdict::Accepted {
            return Ok(());
        }
        let Some(known) = &self.known else { return Ok(()) };
        known.pin(address, id, key).map_err(|bad| Failure::Untrusted(bad.to_string()))?;
        let file = self.file();
        match verdict {
            Verdict::First => log::warn!(
                "the key of {id} at {address} is {key}: seen for the first time, and from now on the only one \
                 accepted there ({file}); compare it with what the server's operator says"
            ),
            Verdict::Named(Some(old)) => log::warn!(
                "the key of {id} at {address} is {key} from now on, in the place of {} ({file})",
                old.key
            ),
            _ => log::info!("the key of {id} at {address} is {key} ({file})"),
        }
        Ok(())
    }

    fn file(&self) -> String {
        self.known.as_ref().map_or(String::new(), |known| known.path().display().to_string())
    }
}

fn failure_of(error: HandshakeError, address: &str) -> Failure {
    match error {
        HandshakeError::Connection(_) | HandshakeError::TooLate => {
            Failure::NotSent(format!("{address} ({error})"))
        }
        // So answers a server of before there were keys, or one that was built without.
        HandshakeError::Refused(ref words) if words.starts_with("not JSON") => {
            Failure::Untrusted(format!(
                "{address}: {error}; a server that knows of no keys takes plain lines (--plain)"
            ))
        }
        _ => Failure::Untrusted(format!("{address}: {error}")),
    }
}

/// Reads the fingerprint of a public key from what a user wrote: the fingerprint itself, or the name of a
/// file that holds it.
///
/// # Errors
/// Says what is wrong and what is right.
pub fn key_of(word: &str) -> Result<Fingerprint, String> {
    if word.starts_with("SHA256:") {
        return word.parse().map_err(|error| format!("{word:?}: {error}"));
    }
    read_public_file(Path::new(word)).map_err(|error| {
        format!(
            "{word:?} is neither a fingerprint (SHA256:…) nor a file with a public key: {error}"
        )
    })
}

/// Returns the folder of a user's keys: `paxos-banking` in the folder that XDG's standard names. A relative
/// `XDG_CONFIG_HOME` counts as unset, as the standard says.
pub fn config_folder(xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    folder(xdg, home, ".config")
}

/// Returns the folder for what is remembered of a user's work, such as typed lines: the same by `XDG_STATE_HOME`.
pub fn state_folder(xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    folder(xdg, home, ".local/state")
}

fn folder(xdg: Option<PathBuf>, home: Option<PathBuf>, usual: &str) -> Option<PathBuf> {
    let home = || home.filter(|home| home.is_absolute()).map(|home| home.join(usual));
    let base = xdg.filter(|folder| folder.is_absolute()).or_else(home);
    base.map(|base| base.join("paxos-banking"))
}
