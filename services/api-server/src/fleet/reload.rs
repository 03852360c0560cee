//! Detection of executables that were rebuilt while they run.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::programs::Binaries;
use super::{Programs, Which};

/// Polling interval. A file that is unchanged in two polls is considered complete.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Watcher of the services' executables.
#[derive(Debug)]
pub struct Rebuilds {
    programs: Programs,
    router: Watched,
    qwen: Watched,
}

/// State of one executable.
#[derive(Debug)]
struct Watched {
    /// Fingerprint of the file that was started last.
    started: Option<FileFingerprint>,
    /// Fingerprint of the file in the last poll.
    seen: Option<FileFingerprint>,
}

/// Fingerprint of a file: distinguishes replaced files of the same name, and changed contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileFingerprint {
    modified: SystemTime,
    length: u64,
    inode: u64,
}

// === impl Rebuilds ===

impl Rebuilds {
    /// Starts to watch from the present state.
    #[must_use]
    pub fn of(programs: Programs) -> Self {
        let (router, qwen) = fingerprints(&programs);
        Self { programs, router: Watched::new(router), qwen: Watched::new(qwen) }
    }

    /// Waits until an executable has changed, and returns the services to restart. Cancel safe.
    pub async fn next(&mut self) -> Which {
        loop {
            tokio::time::sleep(POLL_INTERVAL).await;
            let (router, qwen) = fingerprints(&self.programs);
            match (self.router.is_new(router), self.qwen.is_new(qwen)) {
                (false, false) => {}
                (true, false) => return Which::Router,
                (false, true) => return Which::Qwen,
                (true, true) => return Which::Both,
            }
        }
    }
}

fn fingerprints(programs: &Programs) -> (Option<FileFingerprint>, Option<FileFingerprint>) {
    // The files may be missing while cargo links.
    programs
        .found()
        .map_or((None, None), |Binaries { router, qwen }| (FileFingerprint::of(&router), FileFingerprint::of(&qwen)))
}

// === impl Watched ===

impl Watched {
    fn new(print: Option<FileFingerprint>) -> Self {
        Self { started: print, seen: print }
    }

    /// Returns whether there is a new, complete file. Reports each file once.
    fn is_new(&mut self, print: Option<FileFingerprint>) -> bool {
        let settled = print.is_some() && print == self.seen;
        self.seen = print;
        let new = settled && print != self.started;
        if new {
            self.started = print;
        }
        new
    }
}

// === impl FileFingerprint ===

impl FileFingerprint {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok().filter(|file| file.is_file() && file.len() > 0)?;
        Some(Self { modified: file.modified().ok()?, length: file.len(), inode: inode(&file) })
    }
}

#[cfg(unix)]
fn inode(file: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(file)
}

/// No inode on this platform: time and length have to suffice.
#[cfg(not(unix))]
const fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_complete_file_is_reported_once() {
        let dir = tempfile::tempdir().unwrap();
        let (router, qwen) = (dir.path().join("router"), dir.path().join("qwen"));
        std::fs::write(&router, "1").unwrap();
        std::fs::write(&qwen, "1").unwrap();
        let mut rebuilds = Rebuilds::of(Programs::at(&router, &qwen));
        let quiet = Duration::from_secs(60);
        tokio::time::timeout(quiet, rebuilds.next()).await.unwrap_err();

        // As cargo does it: the file disappears, then reappears.
        std::fs::remove_file(&qwen).unwrap();
        tokio::time::timeout(quiet, rebuilds.next()).await.unwrap_err();
        std::fs::write(&qwen, "22").unwrap();
        assert_eq!(rebuilds.next().await, Which::Qwen);
        tokio::time::timeout(quiet, rebuilds.next()).await.unwrap_err();

        std::fs::write(&router, "333").unwrap();
        std::fs::write(&qwen, "333").unwrap();
        assert_eq!(rebuilds.next().await, Which::Both);
    }

    #[test]
    fn a_growing_file_is_not_reported() {
        let print = |length| Some(FileFingerprint { modified: SystemTime::UNIX_EPOCH, length, inode: 1 });
        let mut watched = Watched::new(print(1));
        for length in 2..9 {
            assert!(!watched.is_new(print(length)));
        }
        assert!(watched.is_new(print(8)) && !watched.is_new(print(8)));
        assert!(
            !watched.is_new(None) && !watched.is_new(None) && !watched.is_new(print(8)) && !watched.is_new(print(8))
        );
    }
}
