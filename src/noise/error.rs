//! What can go wrong with keys, their files and handshakes.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why there is no key.
#[derive(Debug)]
#[non_exhaustive]
pub enum NoKey {
    /// The program was built without the feature `noise`.
    BuiltWithout,
    /// The system gave no randomness.
    Randomness,
    /// A file could not be made, read or written.
    File {
        /// What was to be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it could not be done.
        error: io::Error,
    },
    /// The file of a secret key can be read by others than its owner.
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file does not hold what it should.
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        wrong: String,
    },
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoKey::BuiltWithout => f.write_str(
                "this program was built without keys; build it with cargo's feature noise, which is on by \
                 default",
            ),
            NoKey::Randomness => f.write_str("the system gives no randomness for a new key"),
            NoKey::File { what, path, error } => {
                write!(f, "can't {what} {}: {error}", path.display())
            }
            NoKey::Exposed { path, mode } => write!(
                f,
                "others than its owner may read the secret key in {path} (mode {mode:03o}), so it may be no \
                 secret any more; `chmod 600 {path}` makes it the owner's alone, and a key that others \
                 have read should be replaced",
                path = path.display(),
            ),
            NoKey::Malformed { path, wrong } => write!(f, "{}: {wrong}", path.display()),
        }
    }
}

impl std::error::Error for NoKey {}

/// Why a handshake failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The program was built without the feature `noise`.
    BuiltWithout,
    /// The connection failed, or ended.
    Connection(io::Error),
    /// It took too long.
    TooLate,
    /// The preamble is not one.
    Preamble(String),
    /// Another server is meant, or another bank.
    Elsewhere(String),
    /// The other end refused, in these words. Nobody has proved that they are the server's.
    Refused(String),
    /// A message of the handshake has a length or content that none has.
    Malformed(String),
    /// A message of the handshake is not what the other end should have sent: it was changed on the way,
    /// belongs to another connection, or the other end does not hold the key that it names.
    Forged,
    /// What the other end says of itself can't be read.
    Introduction(String),
    /// This end refuses: the other end proved its key, and is not the one that is wanted.
    Unwanted(String),
}

impl HandshakeError {
    /// True if the other end should hear why: it means well, and can do something about it.
    pub fn is_told(&self) -> bool {
        matches!(
            self,
            HandshakeError::BuiltWithout
                | HandshakeError::Preamble(_)
                | HandshakeError::Elsewhere(_)
        )
    }

    /// Returns the kind of failure in one word, by which failures are counted.
    pub fn kind(&self) -> &'static str {
        match self {
            HandshakeError::BuiltWithout => "built_without",
            HandshakeError::Connection(_) => "cut",
            HandshakeError::TooLate => "late",
            HandshakeError::Preamble(_) => "preamble",
            HandshakeError::Elsewhere(_) => "elsewhere",
            HandshakeError::Refused(_) => "refused",
            HandshakeError::Malformed(_) | HandshakeError::Introduction(_) => "malformed",
            HandshakeError::Forged => "forged",
            HandshakeError::Unwanted(_) => "unwanted",
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::BuiltWithout => write!(f, "{}", NoKey::BuiltWithout),
            HandshakeError::Connection(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("the other end hung up during the handshake")
            }
            HandshakeError::Connection(error) => write!(f, "during the handshake: {error}"),
            HandshakeError::TooLate => f.write_str("the handshake took too long"),
            HandshakeError::Preamble(wrong) => write!(f, "the preamble {wrong}"),
            HandshakeError::Refused(words) => {
                write!(f, "the other end refuses (nobody has proved these words): {words}")
            }
            HandshakeError::Malformed(what) => write!(
                f,
                "there is {what} where a handshake should be; perhaps the other end does not speak Noise"
            ),
            HandshakeError::Forged => f.write_str(
                "a message of the handshake is forged: it was changed on the way, is an old recording, or \
                 comes from somebody who does not hold the key",
            ),
            HandshakeError::Introduction(wrong) => {
                write!(f, "what the other end says of itself can't be read: {wrong}")
            }
            HandshakeError::Elsewhere(why) | HandshakeError::Unwanted(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for HandshakeError {}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> HandshakeError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => HandshakeError::TooLate,
            _ => HandshakeError::Connection(error),
        }
    }
}
