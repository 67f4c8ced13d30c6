//! The same names for a program that was built without keys: none of these values can exist.

use std::convert::Infallible;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use crate::bank::fingerprint::Fingerprint;
use crate::noise::Secured;
use crate::noise::error::{HandshakeError, NoKey};
use crate::noise::frames::Timed;
use crate::noise::preamble::{Caller, Introduction, Preamble};

/// A secret key. There is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretKey {}

impl SecretKey {
    /// Makes no key.
    ///
    /// # Errors
    /// Always.
    pub fn random() -> Result<SecretKey, NoKey> {
        Err(NoKey::BuiltWithout)
    }

    /// Makes no key.
    ///
    /// # Errors
    /// Always.
    pub fn of(_secret: [u8; 32]) -> Result<SecretKey, NoKey> {
        Err(NoKey::BuiltWithout)
    }

    /// Returns the public key.
    pub fn public(&self) -> [u8; 32] {
        match *self {}
    }

    /// Returns the public key's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        match *self {}
    }

    /// Returns the secret bytes.
    pub(crate) fn secret(&self) -> &[u8; 32] {
        match *self {}
    }
}

/// Seals what goes out. There is none.
#[derive(Debug)]
pub enum Sealer {}

impl Sealer {
    /// Seals `text`.
    pub fn seal(&mut self, _text: &[u8], _sealed: &mut Vec<u8>) {
        match *self {}
    }
}

/// Opens what comes in. There is none.
#[derive(Debug)]
pub struct Opener<S> {
    never: Infallible,
    stream: PhantomData<S>,
}

impl<S> Opener<S> {
    /// Has each frame end within this time of its first byte.
    #[must_use]
    pub fn within(self, _time: Duration) -> Opener<S> {
        match self.never {}
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &S {
        match self.never {}
    }
}

impl<S> Read for Opener<S> {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        match self.never {}
    }
}

/// Begins no handshake.
///
/// # Errors
/// Always.
pub fn initiate<S: Timed>(
    _stream: S,
    _until: Instant,
    _key: &SecretKey,
    _preamble: &Preamble,
    _judge: impl FnOnce(Fingerprint, &Introduction) -> Result<(), String>,
) -> Result<(Secured<S>, Introduction), HandshakeError> {
    Err(HandshakeError::BuiltWithout)
}

/// Answers no handshake.
///
/// # Errors
/// Always.
pub fn answer<S: Timed>(
    _caller: Caller<S>,
    _key: &SecretKey,
    _introduction: &Introduction,
) -> Result<Secured<S>, HandshakeError> {
    Err(HandshakeError::BuiltWithout)
}
