//! The key that encrypts secrets in the database.
//!
//! It comes from the environment, or from a file in the data directory that is created by the first program to need it.
//! Nodes that share a database need the same key, so it has to be set in their environment.
//!
//! While a service runs, it puts the file back if it is deleted: with a new key, all stored secrets would be lost.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use signalbox_core::secret::Secret;

use crate::context::Context;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::secret_file::{create, random, read};

/// Environment variable with the key in base64.
const KEY_ENV: &str = "SIGNALBOX_KEY";

/// Name of the file in the data directory.
pub const SEALING_KEY_FILE: &str = "secret.key";

const EXPECTED: &str = "takes 32 bytes in base64, such as `openssl rand -base64 32` prints";

/// Interval between looks for the file.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Maximum time that a supervised service waits for its file, which api-server creates before it starts services: if it
/// is missing, another program of the installation puts it back.
const LOST_TIMEOUT: Duration = Duration::from_secs(4);

/// Interval between looks of a service that waits.
const LOST_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// Length of the key in bytes.
const KEY_BYTES: usize = 32;

/// Returns the key of this installation from `SIGNALBOX_KEY`, or from the file `secret.key` in the data directory. A
/// missing file is created with mode 0600. Programs that create it concurrently get the same key.
///
/// # Errors
/// Returns [`Exit::Config`] for an invalid key, [`Exit::Permission`] for a file that other users can read,
/// [`Exit::CannotOpen`] for a file that cannot be read or created.
pub fn sealing_key(data_dir: &Path) -> Result<Secret<[u8; KEY_BYTES]>, Exit> {
    load(data_dir, &Environment::of_process())
}

/// Returns the key for a service, as [`sealing_key`], and puts its file back whenever it is deleted, as long as the
/// runtime lives.
///
/// # Errors
/// As [`sealing_key`].
pub async fn service_sealing_key(context: &Context) -> Result<Secret<[u8; KEY_BYTES]>, Exit> {
    let data_dir = &context.common.data_dir;
    if Environment::of_process().get(KEY_ENV)?.is_some() {
        return sealing_key(data_dir);
    }
    let path = data_dir.join(SEALING_KEY_FILE);
    if context.supervised {
        wait_for(&path).await;
    }
    let key = sealing_key(data_dir)?;
    tokio::spawn(keep(path, key.clone()));
    Ok(key)
}

/// Waits up to [`LOST_TIMEOUT`] for a file that is missing.
async fn wait_for(path: &Path) {
    let mut timeout_left = LOST_TIMEOUT;
    while !timeout_left.is_zero() && path.try_exists().is_ok_and(|exists| !exists) {
        tokio::time::sleep(LOST_RETRY_INTERVAL).await;
        timeout_left = timeout_left.saturating_sub(LOST_RETRY_INTERVAL);
    }
}

/// Puts the file back whenever it is deleted. Never returns.
async fn keep(path: PathBuf, key: Secret<[u8; KEY_BYTES]>) {
    let mut has_failed = false;
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let put_back = put_back(&path, &key);
        match &put_back {
            Ok(false) => {}
            Ok(true) => tracing::warn!(file = %path.display(), "the key file was deleted and has been put back"),
            Err(error) if !has_failed => tracing::error!(
                %error, file = %path.display(),
                "the key file was deleted and cannot be put back: without it, the stored secrets are lost when the services \
                end"
            ),
            Err(_) => {}
        }
        has_failed = put_back.is_err();
    }
}

/// Creates the file with this key if it is missing. Returns whether it did.
fn put_back(path: &Path, key: &Secret<[u8; KEY_BYTES]>) -> io::Result<bool> {
    if path.try_exists()? { Ok(false) } else { create(path, &STANDARD.encode(key.expose())) }
}

fn load(data_dir: &Path, env: &Environment) -> Result<Secret<[u8; KEY_BYTES]>, Exit> {
    if let Some(text) = env.get(KEY_ENV)? {
        return decode(text).ok_or_else(|| Exit::Config(format!("{KEY_ENV} {EXPECTED}")));
    }
    of_file(&data_dir.join(SEALING_KEY_FILE), &format!("{KEY_ENV} can hold the key instead"))
}

/// Returns the key in this file, which is created with mode 0600 if missing. `advice` is appended to the error message
/// for a file that cannot be used.
pub(crate) fn of_file(path: &Path, advice: &str) -> Result<Secret<[u8; KEY_BYTES]>, Exit> {
    let refused =
        |error: &io::Error| Exit::CannotOpen(format!("cannot use the key file {}: {error}; {advice}", path.display()));
    let text = match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = random().and_then(|key| create(path, &STANDARD.encode(key)));
            made.map_err(|error| refused(&error))?;
            read(path)
        }
        found => found,
    };
    match text {
        Ok(text) => decode(&text).ok_or_else(|| Exit::Config(format!("the key file {} {EXPECTED}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(Exit::Permission(format!("the key file {}: {error}", path.display())))
        }
        Err(error) => Err(refused(&error)),
    }
}

fn decode(text: &str) -> Option<Secret<[u8; KEY_BYTES]>> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    bytes.try_into().ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::secret_file::write;

    #[test]
    fn the_environment_takes_precedence() {
        let dir = tempfile::tempdir().unwrap();
        let env = Environment::from([(KEY_ENV, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")]);
        assert_eq!(load(dir.path(), &env).unwrap().expose(), &[0; KEY_BYTES]);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        for bad in ["canary", "AAAA", "!"] {
            let exit = load(dir.path(), &Environment::from([(KEY_ENV, bad)])).unwrap_err();
            assert!(exit.code() == 78 && !exit.to_string().contains("canary"), "{exit}");
        }
    }

    #[test]
    fn the_file_is_created_once_with_access_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let key = load(dir.path(), &Environment::empty()).unwrap();
        assert_eq!(load(dir.path(), &Environment::empty()).unwrap(), key);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the temporary file is removed");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join(SEALING_KEY_FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_deleted_file_is_put_back_and_another_key_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SEALING_KEY_FILE);
        let key = load(dir.path(), &Environment::empty()).unwrap();
        assert!(!put_back(&path, &key).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(put_back(&path, &key).unwrap());
        assert_eq!(load(dir.path(), &Environment::empty()).unwrap(), key);
        assert!(!put_back(&path, &Secret::new([7; KEY_BYTES])).unwrap());
        assert_eq!(load(dir.path(), &Environment::empty()).unwrap(), key);
        fs::remove_file(&path).unwrap();
        drop(dir);
        put_back(&path, &key).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_file_is_waited_for_until_another_program_puts_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SEALING_KEY_FILE);
        let began = tokio::time::Instant::now();
        wait_for(&path).await;
        assert_eq!(began.elapsed(), LOST_TIMEOUT, "it is not put back");
        let kept = tokio::spawn(keep(path.clone(), Secret::new([7; KEY_BYTES])));
        wait_for(&path).await;
        assert_eq!(load(dir.path(), &Environment::empty()).unwrap().expose(), &[7; KEY_BYTES]);
        kept.abort();
    }

    #[test]
    fn concurrent_creation_yields_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| load(dir.path(), &Environment::empty()))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_invalid_file_is_refused_and_left_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join(SEALING_KEY_FILE), "canary").unwrap();
        let exit = load(dir.path(), &Environment::empty()).unwrap_err();
        assert!(exit.code() == 78 && !exit.to_string().contains("canary"), "{exit}");
        assert_eq!(fs::read_to_string(dir.path().join(SEALING_KEY_FILE)).unwrap(), "canary\n");
    }

    #[test]
    fn a_directory_in_its_place_is_refused_as_such() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(SEALING_KEY_FILE)).unwrap();
        let exit = load(dir.path(), &Environment::empty()).unwrap_err();
        assert!(exit.code() == 73 && exit.to_string().contains("it is not a regular file"), "{exit}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_readable_by_other_users_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        load(dir.path(), &Environment::empty()).unwrap();
        fs::set_permissions(dir.path().join(SEALING_KEY_FILE), fs::Permissions::from_mode(0o640)).unwrap();
        let exit = load(dir.path(), &Environment::empty()).unwrap_err();
        assert!(exit.code() == 77 && exit.to_string().contains("chmod 600"), "{exit}");
    }
}
