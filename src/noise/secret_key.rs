//! A key pair of X25519.

use std::fmt;

use snow::params::DHChoice;
use snow::resolvers::{CryptoResolver, DefaultResolver};

use crate::bank::fingerprint::Fingerprint;
use crate::noise::error::NoKey;

/// A secret key, with its public key. It shows nothing of the secret.
#[derive(Clone)]
pub struct SecretKey {
    secret: [u8; 32],
    public: [u8; 32],
}

impl SecretKey {
    /// Makes a key that nobody can guess.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn random() -> Result<SecretKey, NoKey> {
        let mut secret = [0; 32];
        DefaultResolver
            .resolve_rng()
            .and_then(|mut random| random.try_fill_bytes(&mut secret).ok())
            .ok_or(NoKey::Randomness)?;
        SecretKey::of(secret)
    }

    /// Makes the key of these secret bytes.
    ///
    /// # Errors
    /// None, unless the program was built without keys.
    pub fn of(secret: [u8; 32]) -> Result<SecretKey, NoKey> {
        let mut curve =
            DefaultResolver.resolve_dh(&DHChoice::Curve25519).ok_or(NoKey::BuiltWithout)?;
        curve.set(&secret);
        let mut public = [0; 32];
        public.copy_from_slice(curve.pubkey());
        Ok(SecretKey { secret, public })
    }

    /// Returns the public key.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }

    /// Returns the public key's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.public)
    }

    /// Returns the secret bytes.
    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.fingerprint())
    }
}

/// By the public keys, which are no secret: how long it takes tells nothing.
impl PartialEq for SecretKey {
    fn eq(&self, other: &SecretKey) -> bool {
        self.public == other.public
    }
}

impl Eq for SecretKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_key_is_that_of_the_standard() {
        // RFC 7748, section 6.1: Alice's keys.
        let bytes = |hex: &str| -> [u8; 32] {
            std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        };
        let secret = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a";
        let public = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
        assert_eq!(SecretKey::of(bytes(secret)).unwrap().public(), bytes(public));
    }

    #[test]
    fn no_two_random_keys_are_equal_and_none_shows_its_secret() {
        let [one, other] = [(); 2].map(|()| SecretKey::random().unwrap());
        assert_ne!(one, other);
        let shown = format!("{one:?}");
        assert_eq!(shown, format!("SecretKey({})", one.fingerprint()));
    }
}
