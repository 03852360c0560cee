//! Mutual proof of knowledge of the data directory's key.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::exit::Exit;
use crate::sealing_key;

/// Name of the key file, in the directory of the family files.
const FILE: &str = "adoption.key";

/// Secret shared by a supervisor and its children: a key in the directory `run` that only its owner can read.
#[derive(Clone, Debug)]
pub struct Key(hmac::Key);

/// Side of the handshake that proves its knowledge.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Successor,
    Child,
}

/// The random challenges of both sides of a handshake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Challenges<'a> {
    pub(super) child: &'a str,
    pub(super) successor: &'a str,
}

// === impl Key ===

impl Key {
    /// Loads the key of this directory. A missing file is created with mode 0600.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] for an invalid key, [`Exit::Permission`] for a file that other users can read,
    /// [`Exit::CannotOpen`] for a file that cannot be read or created.
    pub fn load(run: &Path) -> Result<Self, Exit> {
        let key = sealing_key::of_file(&run.join(FILE), "remove it and restart api-server")?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
    }

    /// Returns a keyed digest of a text, which reveals nothing about the text without the key.
    #[must_use]
    pub fn fingerprint(&self, text: &[u8]) -> String {
        STANDARD.encode(hmac::sign(&self.0, text))
    }

    pub(super) fn prove(&self, side: Side, challenges: Challenges<'_>, text: &str) -> String {
        STANDARD.encode(hmac::sign(&self.0, &covered(side, challenges, text)))
    }

    /// Verifies a proof of the peer. The comparison takes constant time.
    pub(super) fn accepts(&self, proof: &str, side: Side, challenges: Challenges<'_>, text: &str) -> bool {
        let Ok(proof) = STANDARD.decode(proof) else { return false };
        hmac::verify(&self.0, &covered(side, challenges, text), &proof).is_ok()
    }
}

/// Returns the bytes covered by a proof. Every part is preceded by its length, so that the boundaries are unambiguous.
fn covered(side: Side, challenges: Challenges<'_>, text: &str) -> Vec<u8> {
    let side = match side {
        Side::Successor => "signalbox-adoption-1 successor",
        Side::Child => "signalbox-adoption-1 child",
    };
    let parts = [side, challenges.child, challenges.successor, text];
    parts.into_iter().flat_map(|part| part.len().to_be_bytes().into_iter().chain(part.bytes())).collect()
}

/// Returns a random challenge of 32 bytes in base64.
pub(super) fn challenge() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| std::io::Error::other("the operating system returned no random bytes"))?;
    Ok(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_bound_to_one_side_one_handshake_and_one_text() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = Key::load(here.path()).unwrap();
        let (child, successor) = (challenge().unwrap(), challenge().unwrap());
        let now = Challenges { child: &child, successor: &successor };
        let proof = key.prove(Side::Child, now, "text");
        assert!(Key::load(here.path()).unwrap().accepts(&proof, Side::Child, now, "text"), "the key is persistent");
        assert!(!key.accepts(&proof, Side::Successor, now, "text"));
        assert!(!key.accepts(&proof, Side::Child, Challenges { child: &successor, successor: &child }, "text"));
        assert!(!key.accepts(&proof, Side::Child, now, "texts"));
        assert!(!key.accepts("", Side::Child, now, "text") && !key.accepts("!", Side::Child, now, "text"));
        assert!(!Key::load(there.path()).unwrap().accepts(&proof, Side::Child, now, "text"), "another directory");
    }

    #[test]
    fn the_key_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        Key::load(dir.path()).unwrap();
        let file = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Key::load(dir.path()).unwrap_err().code(), 77);
    }
}
