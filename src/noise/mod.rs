//! The doors: keys, and connections on which each end proves its key and nobody listens in.
//!
//! ```text
//! secret_key ─ a key pair, and its fingerprint
//! key_file ─── a secret key in a file that only its owner reads, and the public key beside it
//! preamble ─── the first line of a connection: who is meant, of which bank, in which format
//! handshake ── each end proves that it holds its key (Noise_XX_25519_ChaChaPoly_SHA256)
//! frames ───── cuts a stream into frames of bounded length, each in bounded time
//! sealed ───── lines into sealed frames, and back
//! absent ───── the same names for a program that was built without keys
//! ```
//!
//! All of it comes with the cargo feature `noise`, which is on by default. Without it no [`SecretKey`] can be
//! had ([`NoKey::BuiltWithout`]), so nothing else of this module is ever reached.

// Without keys much is only there to be named.
#![cfg_attr(not(feature = "noise"), allow(dead_code))]

#[cfg(not(feature = "noise"))]
mod absent;
mod error;
mod frames;
#[cfg(feature = "noise")]
mod handshake;
mod key_file;
mod preamble;
#[cfg(feature = "noise")]
mod sealed;
#[cfg(feature = "noise")]
mod secret_key;
#[cfg(test)]
mod testing;

#[cfg(not(feature = "noise"))]
pub use absent::{Opener, Sealer, SecretKey, answer, initiate};
pub use error::{HandshakeError, NoKey};
pub use frames::Timed;
#[cfg(feature = "noise")]
pub use handshake::{answer, initiate};
pub use key_file::{
    create_key_file, create_public_file, load_key_file, load_or_create_key_file, public_file_of,
    read_public_file,
};
pub use preamble::{BEGINS_PREAMBLE, Caller, Introduction, MAX_PREAMBLE, Preamble, read_preamble};
#[cfg(feature = "noise")]
pub use sealed::{Opener, Sealer};
#[cfg(feature = "noise")]
pub use secret_key::SecretKey;

use crate::bank::fingerprint::Fingerprint;

/// A connection after its handshake.
#[derive(Debug)]
pub struct Secured<S> {
    /// Seals what is said.
    pub sealer: Sealer,
    /// Opens what is heard.
    pub opener: Opener<S>,
    /// The key that the other end proved.
    pub key: Fingerprint,
}
