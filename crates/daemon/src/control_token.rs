//! The token of the control API, stored in a file of the data directory that only the owner of the installation can
//! read.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use signalbox_core::secret::Secret;

use crate::exit::Exit;
use crate::secret_file::{create, random, read};

/// Name of the file in the data directory.
pub const CONTROL_TOKEN_FILE: &str = "control.token";

/// Prefix of generated tokens and client keys, by which people and secret scanners recognise them.
pub(crate) const PREFIX: &str = "sbx-";

/// Minimum length in characters of a user-chosen token.
pub const MIN_TOKEN: usize = 16;

/// Returns the token of this installation from the file `control.token`, and whether the file was created by this call.
/// A missing file is created with mode 0600.
///
/// # Errors
/// Returns [`Exit::Config`] for an invalid token, [`Exit::Permission`] for a file that other users can read,
/// [`Exit::CannotOpen`] for a file that cannot be read or created.
pub fn control_token(data_dir: &Path) -> Result<(Secret<String>, bool), Exit> {
    let path = data_dir.join(CONTROL_TOKEN_FILE);
    let made = if path.exists() {
        false
    } else {
        let token = random().map_err(|error| refused(&path, &error))?;
        create(&path, &format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(token))).map_err(|error| refused(&path, &error))?
    };
    Ok((read_token(&path)?, made))
}

/// Returns the token of this installation, if the file exists.
///
/// # Errors
/// Same as [`control_token`].
pub(crate) fn existing_control_token(data_dir: &Path) -> Result<Option<Secret<String>>, Exit> {
    let path = data_dir.join(CONTROL_TOKEN_FILE);
    if path.exists() { read_token(&path).map(Some) } else { Ok(None) }
}

fn refused(path: &Path, error: &io::Error) -> Exit {
    let said = format!("the token file {}: {error}", path.display());
    if error.kind() == io::ErrorKind::PermissionDenied { Exit::Permission(said) } else { Exit::CannotOpen(said) }
}

fn read_token(path: &Path) -> Result<Secret<String>, Exit> {
    let token = read(path).map_err(|error| refused(path, &error))?.trim().to_owned();
    if token.len() < MIN_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Exit::Config(format!(
            "the token file {} must contain a line of at least {MIN_TOKEN} visible characters; delete it to get a new \
            token",
            path.display()
        )));
    }
    Ok(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_token_is_created_once_with_access_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let (token, made) = control_token(dir.path()).unwrap();
        assert!(made && token.expose().len() == PREFIX.len() + 43);
        let (again, made) = control_token(dir.path()).unwrap();
        assert!(!made && again == token);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(control_token(other.path()).unwrap().0, token);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = dir.path().join(CONTROL_TOKEN_FILE);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            let exit = control_token(dir.path()).unwrap_err();
            assert!(exit.code() == 77 && exit.to_string().contains("chmod 600"), "{exit}");
        }
    }

    #[test]
    fn an_invalid_token_is_refused_and_not_printed() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "canary", "canary canary canary"] {
            let path = dir.path().join(CONTROL_TOKEN_FILE);
            let _ = fs::remove_file(&path);
            crate::secret_file::write(&path, text).unwrap();
            let exit = control_token(dir.path()).unwrap_err();
            assert!(exit.code() == 78 && !exit.to_string().contains("canary"), "{exit}");
        }
    }
}
