//! Addresses of the services that a supervisor runs, published as files in the directory `run` of the data directory.
//!
//! A service that was started beside another one reads where that one listens, also after its port has changed. The
//! files are hints: they are meaningless to a process without a running supervisor, which may have been killed before
//! it could remove them.

use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::adoption::run_dir;

/// Maximum bytes of a file; an IPv6 address with a zone and a port is shorter.
const MAX_LENGTH: usize = 128;

/// Publishes the address at which `service` can be reached from this machine. Readers see the old or the new one.
///
/// # Errors
/// Returns an error when the file cannot be written.
pub fn publish(data_dir: &Path, service: &str, addr: SocketAddr) -> io::Result<()> {
    let path = file(data_dir, service);
    let unfinished = path.with_extension("addr.new");
    signalbox_private_files::create_dir(&run_dir(data_dir))?;
    let mut options = signalbox_private_files::options();
    options.write(true).create(true).truncate(true).open(&unfinished)?.write_all(addr.to_string().as_bytes())?;
    std::fs::rename(&unfinished, path)
}

/// Returns the published address of `service`; `None` if there is none or the file is damaged.
#[must_use]
pub fn published(data_dir: &Path, service: &str) -> Option<SocketAddr> {
    let text = std::fs::read_to_string(file(data_dir, service)).ok()?;
    text.get(..text.len().min(MAX_LENGTH))?.trim().parse().ok()
}

/// Removes the published address of `service`; a missing one is not an error.
///
/// # Errors
/// Returns an error when the file cannot be removed.
pub fn withdraw(data_dir: &Path, service: &str) -> io::Result<()> {
    match std::fs::remove_file(file(data_dir, service)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn file(data_dir: &Path, service: &str) -> PathBuf {
    run_dir(data_dir).join(format!("{service}.addr"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_published_replaced_and_withdrawn() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(published(dir.path(), "a"), None);
        for addr in ["127.0.0.1:20000", "[::1]:20001"] {
            publish(dir.path(), "a", addr.parse().unwrap()).unwrap();
            assert_eq!(published(dir.path(), "a"), Some(addr.parse().unwrap()));
        }
        assert_eq!(published(dir.path(), "b"), None);
        withdraw(dir.path(), "a").unwrap();
        withdraw(dir.path(), "a").unwrap();
        assert_eq!(published(dir.path(), "a"), None);
    }

    #[test]
    fn a_damaged_file_is_no_address() {
        let dir = tempfile::tempdir().unwrap();
        publish(dir.path(), "a", ([127, 0, 0, 1], 1).into()).unwrap();
        for garbage in ["", "127.0.0.1", "127.0.0.1:99999", "\u{e4}", &"1".repeat(1000)] {
            std::fs::write(file(dir.path(), "a"), garbage).unwrap();
            assert_eq!(published(dir.path(), "a"), None, "{garbage:?}");
        }
    }
}
