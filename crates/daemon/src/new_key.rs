//! Creation of client keys.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use signalbox_core::secret::Secret;

use crate::control_token::PREFIX;
use crate::secret_file::random;

/// Characters of a key that are stored and shown.
const HINT_CHARS: usize = 10;

/// A new client key, of which only the digest is stored.
#[derive(Debug)]
pub struct NewKey {
    /// The key, `sbx-` and 43 characters.
    pub key: Secret<String>,
    /// The first characters of the key.
    pub hint: String,
    /// See [`key_digest`].
    pub digest: String,
}

impl NewKey {
    /// Creates a key from the random number generator of the system.
    ///
    /// # Errors
    /// Returns an error if the system returns no random bytes.
    pub fn generate() -> io::Result<Self> {
        let key = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random()?));
        let hint = key.chars().take(HINT_CHARS).collect();
        Ok(Self { hint, digest: key_digest(key.as_bytes()), key: Secret::new(key) })
    }
}

/// Returns the SHA-256 of a key in hexadecimal digits, as table `api_keys` stores it.
#[must_use]
pub fn key_digest(key: &[u8]) -> String {
    hex::encode(digest(&SHA256, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_different() {
        let new = NewKey::generate().unwrap();
        let key = new.key.expose();
        assert!(key.starts_with("sbx-") && key.len() == 47 && key.starts_with(&new.hint), "{key}");
        assert!(key[4..].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{key}");
        assert_ne!(NewKey::generate().unwrap().key, new.key);
        assert!(!format!("{new:?}").contains(key.as_str()));
    }

    #[test]
    fn a_digest_is_a_sha_256() {
        assert_eq!(key_digest(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
