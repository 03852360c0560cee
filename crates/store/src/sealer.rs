//! Encrypts secrets at rest.
//!
//! A sealed text is `sealed:1:<key>:<data>`: the version of the format, the first digits of the key's digest, and in
//! base64 the nonce followed by the XChaCha20-Poly1305 ciphertext. The nonce has 192 random bits, so no counter is
//! needed. The place of the text (table, row, column or key) is authenticated with it: a sealed text that is copied to
//! another row cannot be opened there. A text without this prefix was stored before secrets were sealed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use signalbox_core::secret::Secret;

use crate::Error;

const PREFIX: &str = "sealed:1:";

/// Length of a nonce in bytes.
const NONCE_BYTES: usize = 24;

/// Encrypts secrets before they are stored, and decrypts them when they are read.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
    /// Identifies the key without revealing it.
    key: String,
}

/// The place where a secret is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretLocation<'a> {
    pub(crate) table: &'static str,
    /// The permanent identifier of the row.
    pub(crate) row: &'a str,
    /// The column, or the key in a table of keys and values.
    pub(crate) column: &'a str,
}

/// Returns whether a stored text is sealed.
pub(crate) fn is_sealed(stored: &str) -> bool {
    stored.starts_with(PREFIX)
}

// === impl Sealer ===

impl Sealer {
    /// Creates a sealer with this key.
    #[must_use]
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        let name = digest(&SHA256, key.expose());
        let name: String = hex::encode(name.as_ref()).chars().take(8).collect();
        Self { cipher: XChaCha20Poly1305::new(key.expose().into()), key: name }
    }

    /// Returns whether a stored text was sealed with another key.
    pub(crate) fn is_foreign(&self, stored: &str) -> bool {
        stored.strip_prefix(PREFIX).is_some_and(|rest| rest.split(':').next() != Some(&self.key))
    }

    /// Encrypts a text for storage at `secret_location`.
    pub(crate) fn seal(&self, location: SecretLocation<'_>, text: &str) -> Result<String, Error> {
        let refused = || Error::Internal("cannot seal a secret: the operating system returned no random bytes".into());
        let mut nonce = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut nonce).map_err(|_| refused())?;
        let context = self.context(location);
        let payload = Payload { msg: text.as_bytes(), aad: context.as_bytes() };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| refused())?;
        let data = STANDARD_NO_PAD.encode([nonce.as_slice(), &sealed].concat());
        Ok(format!("{PREFIX}{}:{data}", self.key))
    }

    /// Decrypts the text stored at `secret_location`; a text that was never sealed is returned unchanged.
    pub(crate) fn open(&self, location: SecretLocation<'_>, stored: &str) -> Result<Secret<String>, Error> {
        let Some(rest) = stored.strip_prefix(PREFIX) else { return Ok(Secret::new(stored.to_owned())) };
        let unreadable = |why: &str| {
            let SecretLocation { table, row, column } = location;
            Error::Sealed(format!(
                "the secret {table}.{column} of row {row} {why}: restore the right key (SIGNALBOX_KEY, or the file \
                secret.key in the data directory), or store the secret again"
            ))
        };
        let (key, data) = rest.split_once(':').unwrap_or_default();
        if key != self.key {
            return Err(unreadable("was sealed with another key"));
        }
        let damaged = || unreadable("is damaged");
        let data = STANDARD_NO_PAD.decode(data).map_err(|_| damaged())?;
        let (nonce, sealed) = data.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
        let context = self.context(location);
        let payload = Payload { msg: sealed, aad: context.as_bytes() };
        let text = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| damaged())?;
        String::from_utf8(text).map(Secret::new).map_err(|_| damaged())
    }

    fn context(&self, SecretLocation { table, row, column }: SecretLocation<'_>) -> String {
        format!("{table}|{row}|{column}|{}", self.key)
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: SecretLocation<'_> = SecretLocation { table: "t", row: "7", column: "c" };

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&Secret::new([byte; 32]))
    }

    #[test]
    fn sealed_secrets_can_be_opened_but_not_read() {
        for text in ["", "canary", "ключ \u{1F511}"] {
            let sealed = sealer(1).seal(HERE, text).unwrap();
            assert!(is_sealed(&sealed) && (text.is_empty() || !sealed.contains(text)), "{sealed}");
            assert_eq!(sealer(1).open(HERE, &sealed).unwrap().expose(), text);
            assert_ne!(sealer(1).seal(HERE, text).unwrap(), sealed, "a nonce is never reused");
        }
    }

    #[test]
    fn an_unsealed_text_is_returned_unchanged() {
        assert_eq!(sealer(1).open(HERE, "plain").unwrap().expose(), "plain");
    }

    #[test]
    fn a_sealed_secret_is_bound_to_its_row_and_key_and_detects_damage() {
        let sealed = sealer(1).seal(HERE, "canary").unwrap();
        for location in [
            SecretLocation { row: "8", ..HERE },
            SecretLocation { column: "d", ..HERE },
            SecretLocation { table: "u", ..HERE },
        ] {
            assert!(sealer(1).open(location, &sealed).unwrap_err().to_string().contains("is damaged"));
        }
        assert!(sealer(2).open(HERE, &sealed).unwrap_err().to_string().contains("another key"));
        assert!(sealer(2).is_foreign(&sealed) && !sealer(1).is_foreign(&sealed) && !sealer(1).is_foreign("plain"));
        let key = &sealer(1).key;
        for data in ["", "!!", "AAAA", &STANDARD_NO_PAD.encode([0; 60])] {
            let error = sealer(1).open(HERE, &format!("{PREFIX}{key}:{data}")).unwrap_err().to_string();
            assert!(error.contains("row 7 is damaged") && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn debug_output_hides_keys() {
        assert!(!format!("{:?}", sealer(b'k')).contains("kkkk"));
    }
}
