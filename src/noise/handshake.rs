//! The handshake: three messages, after which each end knows the key that the other holds.

use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use snow::{Builder, HandshakeState};

use crate::bank::fingerprint::Fingerprint;
use crate::explain::explain;
use crate::noise::error::HandshakeError;
use crate::noise::frames::{Frames, HEADER, Time, Timed};
use crate::noise::preamble::{Caller, Introduction, MAX_PREAMBLE, Preamble};
use crate::noise::sealed::{Opener, Sealer};
use crate::noise::{SecretKey, Secured};

const PATTERN: &str = "Noise_XX_25519_ChaChaPoly_SHA256";
/// The most bytes of a handshake's message.
const MAX_MESSAGE: usize = 1024;
/// The lengths of a handshake's messages.
const LENGTHS: Range<usize> = 1..MAX_MESSAGE + 1;

/// Begins the handshake on a fresh connection. It has to end at `until`.
///
/// When the server has proved its key, `judge` hears the key and what the server says of itself, before the
/// server learns who calls; its words refuse the server.
///
/// # Errors
/// If the handshake fails, or the server is refused.
pub fn initiate<S: Timed>(
    stream: S,
    until: Instant,
    key: &SecretKey,
    preamble: &Preamble,
    judge: impl FnOnce(Fingerprint, &Introduction) -> Result<(), String>,
) -> Result<(Secured<S>, Introduction), HandshakeError> {
    let mut frames = Frames::new(stream);
    let mut prologue = preamble.to_string().into_bytes();
    let mut state = begin(key, &prologue, true)?;
    write_message(&mut state, &[], &mut prologue)?;
    frames.write_all(&prologue)?;
    if frames.first(Time::Until(until))? == Some(b'{') {
        return Err(HandshakeError::Refused(words(&mut frames, until)?));
    }
    let said = read_message(&mut state, &mut frames, until)?;
    let introduction: Introduction = serde_json::from_slice(&said)
        .map_err(|error| HandshakeError::Introduction(explain(&error)))?;
    judge(proved(&state)?, &introduction).map_err(HandshakeError::Unwanted)?;
    let mut last = Vec::new();
    write_message(&mut state, &[], &mut last)?;
    frames.write_all(&last)?;
    Ok((secured(state, frames)?, introduction))
}

/// Answers a handshake whose preamble was read.
///
/// # Errors
/// If the handshake fails.
pub fn answer<S: Timed>(
    caller: Caller<S>,
    key: &SecretKey,
    introduction: &Introduction,
) -> Result<Secured<S>, HandshakeError> {
    let Caller { mut frames, until, prologue, .. } = caller;
    let mut state = begin(key, &prologue, false)?;
    empty(&read_message(&mut state, &mut frames, until)?)?;
    let said = serde_json::to_vec(introduction)
        .map_err(|error| HandshakeError::Introduction(error.to_string()))?;
    let mut second = Vec::new();
    write_message(&mut state, &said, &mut second)?;
    frames.write_all(&second)?;
    empty(&read_message(&mut state, &mut frames, until)?)?;
    secured(state, frames)
}

/// Starts the state of one end.
fn begin(
    key: &SecretKey,
    prologue: &[u8],
    is_initiator: bool,
) -> Result<HandshakeState, HandshakeError> {
    let builder = || {
        let builder =
            Builder::new(PATTERN.parse()?).local_private_key(key.secret())?.prologue(prologue)?;
        match is_initiator {
            true => builder.build_initiator(),
            false => builder.build_responder(),
        }
    };
    builder().map_err(|_: snow::Error| HandshakeError::BuiltWithout)
}

/// Adds the next message to `bytes`, as a frame.
fn write_message(
    state: &mut HandshakeState,
    payload: &[u8],
    bytes: &mut Vec<u8>,
) -> Result<(), HandshakeError> {
    let mut message = [0; MAX_MESSAGE];
    // It fails for want of randomness alone, since all lengths are bounded.
    let failed = |error: snow::Error| HandshakeError::Introduction(error.to_string());
    let length = state.write_message(payload, &mut message).map_err(failed)?;
    bytes.extend_from_slice(&(length as u16).to_be_bytes());
    bytes.extend_from_slice(&message[..length]);
    debug_assert!(length <= MAX_MESSAGE && bytes.len() <= MAX_PREAMBLE + HEADER + MAX_MESSAGE);
    Ok(())
}

/// Reads the next message, and returns what it carries.
fn read_message<S: Timed>(
    state: &mut HandshakeState,
    frames: &mut Frames<S>,
    until: Instant,
) -> Result<Vec<u8>, HandshakeError> {
    let frame = match frames.frame(LENGTHS, Time::Until(until)) {
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(HandshakeError::Malformed(error.to_string()));
        }
        frame => frame?,
    };
    let ended = || HandshakeError::Connection(ErrorKind::UnexpectedEof.into());
    let message = frames.bytes(frame.ok_or_else(ended)?);
    let mut payload = [0; MAX_MESSAGE];
    let length = state.read_message(message, &mut payload).map_err(|_| HandshakeError::Forged)?;
    Ok(payload[..length].to_vec())
}

/// Refuses a payload where there should be none: nothing is said before both have proved their keys.
fn empty(payload: &[u8]) -> Result<(), HandshakeError> {
    match payload.is_empty() {
        true => Ok(()),
        false => Err(HandshakeError::Malformed("a message that carries something".to_owned())),
    }
}

/// Returns the key that the other end has proved.
fn proved(state: &HandshakeState) -> Result<Fingerprint, HandshakeError> {
    state.get_remote_static().map(Fingerprint::of).ok_or(HandshakeError::Forged)
}

fn secured<S: Timed>(
    state: HandshakeState,
    frames: Frames<S>,
) -> Result<Secured<S>, HandshakeError> {
    let key = proved(&state)?;
    let state = state.into_stateless_transport_mode().map_err(|_| HandshakeError::Forged)?;
    let state = Arc::new(state);
    let (sealer, opener) = (Sealer::new(Arc::clone(&state)), Opener::new(state, frames));
    Ok(Secured { sealer, opener, key })
}

/// Reads the words by which the other end refuses in the clear. Whoever is on the way can have written them,
/// so they hold nothing but plain characters.
fn words<S: Timed>(frames: &mut Frames<S>, until: Instant) -> Result<String, HandshakeError> {
    let line = frames.line(MAX_MESSAGE, Time::Until(until));
    let line = match line? {
        Some(line) => frames.bytes(line),
        None => frames.rest(MAX_MESSAGE),
    };
    let fields: serde_json::Value = serde_json::from_slice(line).unwrap_or_default();
    let said = fields.get("message").and_then(|message| message.as_str());
    let said = said.map_or_else(|| String::from_utf8_lossy(line).trim().to_owned(), str::to_owned);
    Ok(said.chars().filter(|character| !character.is_control()).collect())
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
