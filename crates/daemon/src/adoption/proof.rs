//! Who knows the key of the data directory?

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::exit::Exit;
use crate::sealing_key;

/// The file, beside those of the families.
const FILE: &str = "adoption.key";

/// What a supervisor and its children share, and nobody else: the key in the directory `run`, readable by its owner alone.
#[derive(Clone, Debug)]
pub struct Key(hmac::Key);

/// Who proves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    Successor,
    Child,
}

/// The two random texts of one conversation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Challenges<'a> {
    pub(super) child: &'a str,
    pub(super) successor: &'a str,
}

// === impl Key ===

impl Key {
    /// The key of this directory, which is made with mode 0600 when it is first needed.
    ///
    /// # Errors
    /// [`Exit::Config`] for a key that is none, [`Exit::Permission`] for a file that others can read,
    /// [`Exit::CannotOpen`] for one that cannot be read or made.
    pub fn load(run: &Path) -> Result<Self, Exit> {
        let key = sealing_key::of_file(&run.join(FILE), "remove it, and restart api-server")?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose())))
    }

    /// Stands for a text, without telling it to who does not know the key.
    #[must_use]
    pub fn fingerprint(&self, text: &[u8]) -> String {
        STANDARD.encode(hmac::sign(&self.0, text))
    }

    pub(super) fn prove(&self, side: Side, challenges: Challenges<'_>, text: &str) -> String {
        STANDARD.encode(hmac::sign(&self.0, &covered(side, challenges, text)))
    }

    /// Whether the other side proved that. Takes the same time for every wrong proof.
    pub(super) fn accepts(&self, proof: &str, side: Side, challenges: Challenges<'_>, text: &str) -> bool {
        let Ok(proof) = STANDARD.decode(proof) else { return false };
        hmac::verify(&self.0, &covered(side, challenges, text), &proof).is_ok()
    }
}

/// What a proof covers. The parts come with their lengths, so that no part can pose as the beginning of the next.
fn covered(side: Side, challenges: Challenges<'_>, text: &str) -> Vec<u8> {
    let side = match side {
        Side::Successor => "signalbox-adoption-1 successor",
        Side::Child => "signalbox-adoption-1 child",
    };
    let parts = [side, challenges.child, challenges.successor, text];
    parts.into_iter().flat_map(|part| part.len().to_be_bytes().into_iter().chain(part.bytes())).collect()
}

/// A text that nobody has seen before.
pub(super) fn challenge() -> std::io::Result<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| std::io::Error::other("the system gave no randomness"))?;
    Ok(STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_fits_one_side_one_conversation_and_one_text() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = Key::load(here.path()).unwrap();
        let (child, successor) = (challenge().unwrap(), challenge().unwrap());
        let now = Challenges { child: &child, successor: &successor };
        let proof = key.prove(Side::Child, now, "text");
        assert!(Key::load(here.path()).unwrap().accepts(&proof, Side::Child, now, "text"), "the key is kept");
        assert!(!key.accepts(&proof, Side::Successor, now, "text"));
        assert!(!key.accepts(&proof, Side::Child, Challenges { child: &successor, successor: &child }, "text"));
        assert!(!key.accepts(&proof, Side::Child, now, "texts"));
        assert!(!key.accepts("", Side::Child, now, "text") && !key.accepts("!", Side::Child, now, "text"));
        assert!(!Key::load(there.path()).unwrap().accepts(&proof, Side::Child, now, "text"), "another directory");
    }

    #[test]
    fn others_cannot_read_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        Key::load(dir.path()).unwrap();
        let file = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Key::load(dir.path()).unwrap_err().code(), 77);
    }
}
