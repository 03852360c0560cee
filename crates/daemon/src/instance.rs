//! The single api-server of a data directory: a lock file that shows that it is running, and a record of its address.
//!
//! The lock is authoritative. It is held from start to end, the kernel releases it when the process dies for any
//! reason, and its file is never removed by this program; after another program has removed it, it is put back. The record beside it is only a hint for other programs, and is meaningless
//! without the lock.

use std::convert::Infallible;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::identity::Identity;

/// Record of the running api-server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRecord {
    /// Identity of the process.
    #[serde(flatten)]
    pub identity: Identity,
    /// Address it listens on.
    pub addr: SocketAddr,
    /// Version of the program.
    pub version: String,
    /// Start time in milliseconds since the Unix epoch.
    pub started_at: i64,
    /// Command-line arguments it was started with.
    pub args: Vec<String>,
    /// Whether its API requires the control token.
    #[serde(default)]
    pub requires_token: bool,
    /// Whether clients on other machines need HTTPS. Plain HTTP works on this machine in any case.
    #[serde(default)]
    pub tls: bool,
}

/// Exclusive use of the data directory by this api-server; released on drop.
#[derive(Debug)]
pub struct Instance {
    lock: File,
    data_dir: PathBuf,
    record: InstanceRecord,
    /// Whether the record was written. On a full disk it is written once there is room.
    is_recorded: bool,
}

/// Maximum time to wait for a lock whose holder has left no valid record: another process may hold it only briefly to
/// test it.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(20);
/// Maximum time to wait for the record of a process that has the lock: it writes one when it starts, and puts it back
/// after [`WATCH_INTERVAL`] if it is lost.
const RECORD_TIMEOUT: Duration = Duration::from_secs(4);
/// Interval between looks for the files.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

// === impl InstanceRecord ===

impl InstanceRecord {
    /// Returns the URL of the server for people and browsers on this machine, without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.reachable_addr())
    }

    /// Returns the address at which this process can reach the server; see [`reachable`].
    #[must_use]
    pub fn reachable_addr(&self) -> SocketAddr {
        reachable(self.addr)
    }
}

/// Returns the address at which a server that listens on `addr` can be reached from this machine: an unspecified
/// address becomes loopback.
#[must_use]
pub fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

// === impl Instance ===

impl Instance {
    /// Acquires the data directory for this process and writes the record. If the disk has no room for the record,
    /// [`keep`](Self::keep) writes it later.
    ///
    /// # Errors
    /// Returns [`Exit::Temporary`] when another api-server holds it, [`Exit::CannotOpen`] when the files cannot be
    /// written for another reason than a full disk, or the lock file cannot be created.
    pub async fn acquire(data_dir: &Path, record: &InstanceRecord) -> Result<Self, Exit> {
        let path = record_path(data_dir);
        let refused = |error: io::Error| Exit::CannotOpen(format!("cannot write {}: {error}", path.display()));
        if let Some(run) = path.parent() {
            private_directory(run).map_err(refused)?;
        }
        let lock = open_lock(data_dir).map_err(refused)?;
        let mut timeout_left = LOCK_TIMEOUT;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(refused(error)),
            }
            let holder = read(&path).filter(|other| other.identity.is_alive());
            timeout_left = timeout_left.saturating_sub(LOCK_RETRY_INTERVAL);
            if holder.is_some() || timeout_left.is_zero() {
                return Err(taken(data_dir, holder.as_ref()));
            }
            tokio::time::sleep(LOCK_RETRY_INTERVAL).await;
        }
        let is_recorded = recorded(&path, write(&path, record)).map_err(refused)?;
        Ok(Self { lock, data_dir: data_dir.to_owned(), record: record.clone(), is_recorded })
    }

    /// Puts the files back whenever they are deleted, so that other programs find this api-server and a second one is
    /// refused. Never returns.
    pub async fn keep(&mut self) -> Infallible {
        let mut failed = false;
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            let restored = self.restore();
            let fails = restored.is_err();
            match restored {
                Ok(false) => {}
                Ok(true) if !self.is_recorded => {
                    self.is_recorded = true;
                    tracing::info!(data_dir = %self.data_dir.display(), "the disk has room again for the own record");
                }
                // A warning was logged at the start.
                Err(_) if !self.is_recorded => {}
                Ok(true) => tracing::warn!(
                    data_dir = %self.data_dir.display(),
                    "the files of the running api-server were deleted and have been put back"
                ),
                Err(error) if !failed => tracing::error!(
                    %error, data_dir = %self.data_dir.display(),
                    "the files of the running api-server were deleted and cannot be put back: a second one may start; \
                    restart this one, or end the other one"
                ),
                Err(_) => {}
            }
            failed = fails;
        }
    }

    /// Puts the lock file and the record back if they were deleted or overwritten. Returns whether they were.
    ///
    /// # Errors
    /// Returns an error when they cannot be written, or another api-server has the lock by now.
    fn restore(&mut self) -> io::Result<bool> {
        let is_locked = is_at(&self.lock, &lock_path(&self.data_dir));
        let path = record_path(&self.data_dir);
        if is_locked && read(&path).as_ref() == Some(&self.record) {
            return Ok(false);
        }
        if !is_locked {
            private_directory(&self.data_dir.join("run"))?;
            let lock = open_lock(&self.data_dir)?;
            lock.try_lock()?;
            self.lock = lock;
        }
        write(&path, &self.record)?;
        Ok(true)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let path = record_path(&self.data_dir);
        // After the files were deleted, the record may be that of another process.
        if read(&path).is_none_or(|record| record.identity == self.record.identity) {
            // A failure is harmless: the record is meaningless without the lock.
            fs::remove_file(&path).ok();
        }
    }
}

/// Returns whether `path` still names an open file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(file), Ok(there)) = (file.metadata(), fs::metadata(path)) else { return false };
    (file.dev(), file.ino()) == (there.dev(), there.ino())
}

/// Returns whether `path` still names a file: an open one cannot be deleted on this platform.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

fn taken(data_dir: &Path, holder: Option<&InstanceRecord>) -> Exit {
    let pid = holder.map_or_else(|| "unknown".to_owned(), |holder| holder.identity.pid.to_string());
    Exit::Temporary(format!(
        "{} is locked by pid {pid}: another api-server uses this data directory; stop it with `api-server stop`, or name \
         another directory with --data-dir",
        data_dir.display()
    ))
}

/// Returns the record of the api-server that is running in this data directory, if any. Waits for a record that is
/// missing.
///
/// # Errors
/// As [`running`].
pub async fn running_soon(data_dir: &Path) -> io::Result<Option<InstanceRecord>> {
    let mut timeout_left = RECORD_TIMEOUT;
    loop {
        match running(data_dir) {
            Err(error) if error.kind() == ErrorKind::InvalidData && !timeout_left.is_zero() => {}
            other => return other,
        }
        timeout_left = timeout_left.saturating_sub(LOCK_RETRY_INTERVAL);
        tokio::time::sleep(LOCK_RETRY_INTERVAL).await;
    }
}

/// Returns the record of the api-server that is running in this data directory, if any.
///
/// # Errors
/// Returns [`ErrorKind::InvalidData`] when the lock is held but there is no record of a live process, and other errors
/// when the lock file cannot be opened.
pub fn running(data_dir: &Path) -> io::Result<Option<InstanceRecord>> {
    let lock = match open_lock(data_dir) {
        Ok(lock) => lock,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    match lock.try_lock_shared() {
        Ok(()) => return Ok(None),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    match read(&record_path(data_dir)).filter(|record| record.identity.is_alive()) {
        Some(record) => Ok(Some(record)),
        None => {
            let error = format!(
                "an api-server holds the lock of {}, but its record is missing or damaged: it may be starting or \
                 ending, so try again; if the error persists, end the process that has {} open (`fuser` and `lsof` name it)",
                data_dir.display(),
                lock_path(data_dir).display()
            );
            Err(io::Error::new(ErrorKind::InvalidData, error))
        }
    }
}

/// Removes the record that a killed api-server has left behind, and returns whether there was any. Call this only when
/// no api-server is running.
///
/// # Errors
/// Returns an error when the record cannot be removed.
pub fn remove_stale_record(data_dir: &Path) -> io::Result<bool> {
    match fs::remove_file(record_path(data_dir)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates a directory that only its owner can access.
///
/// # Errors
/// Returns an error when the directory cannot be created.
pub fn private_directory(path: &Path) -> io::Result<()> {
    signalbox_private_files::create_dir(path)
}

fn record_path(data_dir: &Path) -> PathBuf {
    data_dir.join("run").join("api-server.json")
}

fn open_lock(data_dir: &Path) -> io::Result<File> {
    signalbox_private_files::options().read(true).write(true).create(true).truncate(false).open(lock_path(data_dir))
}

fn lock_path(data_dir: &Path) -> PathBuf {
    data_dir.join("run").join("api-server.lock")
}

/// Reads a record; a missing or invalid one gives `None`.
fn read(path: &Path) -> Option<InstanceRecord> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Returns whether the record was written: a full disk is only logged, because an api-server without a record serves,
/// and commands in the same directory find it once there is room.
///
/// # Errors
/// Returns all other errors of the write.
fn recorded(path: &Path, written: io::Result<()>) -> io::Result<bool> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => {
            tracing::warn!(
                %error, file = %path.display(),
                "cannot write the own record, and will try again: until then `api-server status` and `api-server stop` do \
                not find this api-server"
            );
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Writes a record atomically: readers see either the old or the new one.
fn write(path: &Path, record: &InstanceRecord) -> io::Result<()> {
    let unfinished = path.with_extension("json.new");
    let mut options = signalbox_private_files::options();
    options.write(true).create(true).truncate(true).open(&unfinished)?.write_all(&serde_json::to_vec(record)?)?;
    fs::rename(&unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> InstanceRecord {
        InstanceRecord {
            identity: Identity::own(),
            addr: ([127, 0, 0, 1], 3002).into(),
            version: "1".to_owned(),
            started_at: 17,
            args: vec!["--port".to_owned(), "0".to_owned()],
            requires_token: false,
            tls: false,
        }
    }

    #[tokio::test]
    async fn fc_10_a_second_instance_is_refused_without_changes() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(running(dir.path()).unwrap(), None);
        let first = Instance::acquire(dir.path(), &record()).await.unwrap();
        assert_eq!(running(dir.path()).unwrap(), Some(record()));
        let before = fs::read(record_path(dir.path())).unwrap();
        let exit = Instance::acquire(dir.path(), &InstanceRecord { started_at: 18, ..record() }).await.unwrap_err();
        assert_eq!(exit.code(), 75);
        assert!(exit.to_string().contains(&format!("locked by pid {}", std::process::id())), "{exit}");
        assert_eq!(fs::read(record_path(dir.path())).unwrap(), before);
        drop(first);
        assert_eq!(running(dir.path()).unwrap(), None);
        Instance::acquire(dir.path(), &record()).await.unwrap();
    }

    #[tokio::test]
    async fn fc_09_a_record_without_a_lock_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        drop(Instance::acquire(dir.path(), &record()).await.unwrap());
        for garbage in [&b""[..], b"{", b"\x00\xff", br#"{"pid": 1}"#, &serde_json::to_vec(&record()).unwrap()] {
            fs::write(record_path(dir.path()), garbage).unwrap();
            assert_eq!(running(dir.path()).unwrap(), None);
        }
        assert!(remove_stale_record(dir.path()).unwrap() && !remove_stale_record(dir.path()).unwrap());
    }

    #[tokio::test]
    async fn deleted_files_are_put_back_unless_another_instance_has_them() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Instance::acquire(dir.path(), &record()).await.unwrap();
        assert!(!first.restore().unwrap());
        for path in [lock_path(dir.path()), record_path(dir.path())] {
            fs::remove_file(path).unwrap();
            assert!(first.restore().unwrap() && !first.restore().unwrap());
            assert_eq!(running(dir.path()).unwrap(), Some(record()));
        }
        fs::write(record_path(dir.path()), "{").unwrap();
        assert!(first.restore().unwrap() && running(dir.path()).unwrap().is_some());
        fs::remove_dir_all(dir.path().join("run")).unwrap();
        assert!(first.restore().unwrap());
        assert_eq!(Instance::acquire(dir.path(), &record()).await.unwrap_err().code(), 75);
        fs::remove_dir_all(dir.path().join("run")).unwrap();
        let second = Instance::acquire(dir.path(), &record()).await.unwrap();
        first.restore().unwrap_err();
        drop(second);
        assert!(first.restore().unwrap());
        drop(first);
        assert_eq!(running(dir.path()).unwrap(), None);
    }

    #[test]
    fn only_a_full_disk_lets_an_instance_start_without_its_record() {
        let path = Path::new("/data/run/api-server.json");
        assert!(recorded(path, Ok(())).unwrap());
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            assert!(!recorded(path, Err(kind.into())).unwrap());
        }
        recorded(path, Err(ErrorKind::PermissionDenied.into())).unwrap_err();
    }

    #[tokio::test]
    async fn a_lock_without_a_record_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Instance::acquire(dir.path(), &record()).await.unwrap();
        fs::write(record_path(dir.path()), "{").unwrap();
        assert!(running(dir.path()).unwrap_err().to_string().contains("holds the lock"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_damaged_record_is_waited_for_until_it_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Instance::acquire(dir.path(), &record()).await.unwrap();
        for damage in ["garbage", "{\"pid\": 1, \"port\": 1}", ""] {
            fs::write(record_path(dir.path()), damage).unwrap();
            let kept = tokio::select! {
                never = first.keep() => match never {},
                found = running_soon(dir.path()) => found.unwrap(),
            };
            assert_eq!(kept, Some(record()), "{damage}");
        }
        fs::write(record_path(dir.path()), "garbage").unwrap();
        let told = running_soon(dir.path()).await.unwrap_err().to_string();
        assert!(told.contains("run/api-server.lock open"), "{told}");
    }
}
