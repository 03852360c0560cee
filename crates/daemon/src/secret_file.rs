//! A secret in a file of the data directory that only its owner can read, created by the first program to need it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};

/// Reads the text of the file.
///
/// # Errors
/// Returns [`io::ErrorKind::PermissionDenied`], with a remedy in the message, when other users can access the file, and
/// [`io::ErrorKind::InvalidInput`] when it is a directory, a pipe or a device.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o077 != 0 {
            let why = format!("it can be read by other users: run `chmod 600 {}`", path.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
    }
    fs::read_to_string(path)
}

/// Creates the file and returns `true`, or returns `false` if another process has created it meanwhile. The creation is
/// atomic: the text is written under a temporary name, which is then hard-linked.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<bool> {
    let draft = path.with_extension(signalbox_core::id::request_id().to_string());
    let made = write(&draft, text).and_then(|()| match fs::hard_link(&draft, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    });
    fs::remove_file(&draft)?;
    made
}

/// Returns 32 bytes from the random number generator of the system.
pub(crate) fn random() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| io::Error::other("the operating system returned no random bytes"))?;
    Ok(bytes)
}

pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = signalbox_private_files::options().write(true).create_new(true).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
