//! Names that nobody can predict, without randomness in the state machine.

use std::fmt;

use sha2::{Digest, Sha256};

/// 128 random bits that the shell gives a server when it loads. They are neither stored nor spoken.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Secret(pub [u64; 2]);

impl Secret {
    /// Returns the bits of the `count`th session: the first 64 of SHA-256 of the secret and the count. Some
    /// sessions' bits tell nothing of the others'.
    pub fn bits(&self, count: u64) -> u64 {
        let [first, second] = self.0;
        let mut hash = Sha256::new();
        for word in [first, second, count] {
            hash.update(word.to_be_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        digest[..8].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_not_shown_and_its_bits_are_others_for_each_count_and_secret() {
        let secret = Secret([1, 2]);
        assert_eq!(format!("{secret:?}"), "Secret");
        let all = [secret.bits(1), secret.bits(2), Secret([1, 3]).bits(1), Secret([2, 2]).bits(1)];
        let different: std::collections::BTreeSet<u64> = all.into();
        assert_eq!(different.len(), 4);
        assert_eq!(secret.bits(1), secret.bits(1));
    }
}
