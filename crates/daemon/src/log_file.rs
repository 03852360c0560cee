//! The log file of a background process, to which its stderr is redirected.
//!
//! A process that logs to a deleted file goes on writing where nothing can be read. So the program that redirects its
//! stderr also tells it the path, and the process opens the file again once it has been deleted.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

/// Environment variable with the path of the file.
pub const LOG_FILE: &str = "SIGNALBOX_LOG_FILE";

/// Minimum time between two checks whether the file was deleted.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Writer of log lines to stderr.
#[derive(Debug)]
pub(crate) struct LogWriter {
    /// `None` if stderr is not a log file.
    file: Option<LogFile>,
}

#[derive(Debug)]
struct LogFile {
    #[cfg_attr(not(unix), expect(dead_code, reason = "an open file cannot be deleted there"))]
    path: std::path::PathBuf,
    /// Time of the next check.
    next: Mutex<Instant>,
}

// === impl LogWriter ===

impl LogWriter {
    /// Creates a writer for this process.
    pub(crate) fn of_process() -> Self {
        let path = std::env::var_os(LOG_FILE).filter(|path| !path.is_empty());
        Self { file: path.map(|path| LogFile { path: path.into(), next: Mutex::new(Instant::now()) }) }
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = io::Stderr;

    fn make_writer(&self) -> io::Stderr {
        if let Some(file) = &self.file {
            file.check();
        }
        io::stderr()
    }
}

// === impl LogFile ===

impl LogFile {
    /// Opens the file again if it was deleted. An error cannot be logged here; the next check tries again.
    fn check(&self) {
        // Another thread is checking.
        let Ok(mut next) = self.next.try_lock() else { return };
        let now = Instant::now();
        if now >= *next {
            *next = now + CHECK_INTERVAL;
            #[cfg(unix)]
            self.restore().ok();
        }
    }

    #[cfg(unix)]
    fn restore(&self) -> io::Result<()> {
        use std::os::fd::AsFd as _;
        let stderr = std::fs::File::from(io::stderr().as_fd().try_clone_to_owned()?);
        if is_deleted(&stderr)? {
            nix::unistd::dup2_stderr(self.open()?)?;
        }
        Ok(())
    }

    #[cfg(unix)]
    fn open(&self) -> io::Result<std::fs::File> {
        if let Some(directory) = self.path.parent() {
            signalbox_private_files::create_dir(directory)?;
        }
        signalbox_private_files::options().append(true).create(true).open(&self.path)
    }
}

/// Returns whether an open file no longer has a name.
///
/// # Errors
/// Returns an error when the file cannot be examined.
#[cfg(unix)]
pub fn is_deleted(file: &std::fs::File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    Ok(metadata.is_file() && std::os::unix::fs::MetadataExt::nlink(&metadata) == 0)
}

/// Returns `false`: on this platform an open file keeps its name.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn is_deleted(_: &std::fs::File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_deleted_file_is_noticed_and_made_again_with_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let log = LogFile { path: dir.path().join("logs/a.log"), next: Mutex::new(Instant::now()) };
        let mut file = log.open().unwrap();
        file.write_all(b"one\n").unwrap();
        assert!(!is_deleted(&file).unwrap());
        std::fs::remove_dir_all(dir.path().join("logs")).unwrap();
        assert!(is_deleted(&file).unwrap());
        log.open().unwrap().write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&log.path).unwrap(), "two\n");
        // An existing file is appended to.
        log.open().unwrap().write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&log.path).unwrap(), "two\nthree\n");
    }

    #[test]
    fn a_pipe_is_no_deleted_file() {
        let (reader, _writer) = io::pipe().unwrap();
        assert!(!is_deleted(&std::fs::File::from(std::os::fd::OwnedFd::from(reader))).unwrap());
    }
}
