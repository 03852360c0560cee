//! A Unix socket on which a service listens in addition to its port.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use crate::exit::Exit;

/// A listening Unix socket that only its owner can connect to. Its file is removed on drop, unless another process has
/// replaced it.
#[derive(Debug)]
pub(crate) struct UnixSocket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
}

// === impl UnixSocket ===

impl UnixSocket {
    /// Binds the socket at `path`. A socket file on which nothing listens is replaced. With `replace`, so is one that
    /// is in use: a new generation of a service takes over from the previous one.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] if the file is in use or is not a socket, [`Exit::Permission`], or [`Exit::CannotOpen`]
    /// for any other error of the operating system.
    pub(crate) async fn bind(path: &Path, replace: bool) -> Result<Self, Exit> {
        let refused = |error: io::Error| {
            let text = format!("cannot listen on the Unix socket {}: {error}", path.display());
            if error.kind() == ErrorKind::PermissionDenied { Exit::Permission(text) } else { Exit::CannotOpen(text) }
        };
        match fs::symlink_metadata(path) {
            Ok(data) if !data.file_type().is_socket() => {
                return Err(Exit::Config(format!(
                    "cannot listen on the Unix socket {}: the file there is not a socket; remove it or choose another path",
                    path.display()
                )));
            }
            Ok(_) if !replace && is_in_use(path).await => {
                return Err(Exit::Config(format!(
                    "cannot listen on the Unix socket {}: another process listens on it; stop it or choose another path",
                    path.display()
                )));
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
        }
        // Bound under another name, so that the socket never has other permissions at `path`, and a client finds either
        // the previous socket or this one.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(name);
        let _ = fs::remove_file(&temporary);
        let bound = UnixListener::bind(&temporary).and_then(|listener| {
            fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))?;
            fs::rename(&temporary, path)?;
            let data = fs::symlink_metadata(path)?;
            Ok(Self { listener, path: path.to_owned(), file: (data.dev(), data.ino()) })
        });
        bound.map_err(|error| {
            let _ = fs::remove_file(&temporary);
            refused(error)
        })
    }
}

/// Returns whether a process listens on the socket. If that cannot be found out, it counts as in use.
async fn is_in_use(path: &Path) -> bool {
    match UnixStream::connect(path).await {
        Ok(_) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound),
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|data| (data.dev(), data.ino()) == self.file);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, path = %self.path.display(), "cannot remove the Unix socket");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_stale_socket_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("service.sock");
        let first = UnixSocket::bind(&path, false).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let exit = UnixSocket::bind(&path, false).await.unwrap_err();
        assert!(exit.code() == 78 && exit.to_string().contains("another process listens"), "{exit}");

        // A new generation takes over, and the end of the previous one leaves its socket alone.
        let second = UnixSocket::bind(&path, true).await.unwrap();
        drop(first);
        UnixStream::connect(&path).await.unwrap();
        drop(second);
        assert!(!path.exists());

        // As a process that was killed leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(UnixSocket::bind(&path, false).await.unwrap());

        fs::write(&path, "a file").unwrap();
        let exit = UnixSocket::bind(&path, true).await.unwrap_err();
        assert!(exit.code() == 78 && exit.to_string().contains("not a socket"), "{exit}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
        let exit = UnixSocket::bind(&dir.path().join("none/service.sock"), false).await.unwrap_err();
        assert_eq!(exit.code(), 73);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left over");
    }
}
