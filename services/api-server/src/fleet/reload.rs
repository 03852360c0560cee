//! Executables that are built anew while they run.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::programs::Binaries;
use super::{Programs, Which};

/// Between two looks. What looks the same twice has been written to its end.
const PAUSE: Duration = Duration::from_millis(500);

/// Watches the executables of the services.
#[derive(Debug)]
pub struct Rebuilds {
    programs: Programs,
    router: Watched,
    qwen: Watched,
}

/// One executable.
#[derive(Debug)]
struct Watched {
    /// What was started last.
    started: Option<Print>,
    /// What the last look has seen.
    seen: Option<Print>,
}

/// What tells one file from another that has its name, or its content from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    modified: SystemTime,
    length: u64,
    inode: u64,
}

// === impl Rebuilds ===

impl Rebuilds {
    /// From now on.
    #[must_use]
    pub fn of(programs: Programs) -> Self {
        let (router, qwen) = prints(&programs);
        Self { programs, router: Watched::new(router), qwen: Watched::new(qwen) }
    }

    /// Waits until an executable has changed, and tells which services are to be restarted. Cancel safe.
    pub async fn next(&mut self) -> Which {
        loop {
            tokio::time::sleep(PAUSE).await;
            let (router, qwen) = prints(&self.programs);
            match (self.router.is_new(router), self.qwen.is_new(qwen)) {
                (false, false) => {}
                (true, false) => return Which::Router,
                (false, true) => return Which::Qwen,
                (true, true) => return Which::Both,
            }
        }
    }
}

fn prints(programs: &Programs) -> (Option<Print>, Option<Print>) {
    // While cargo links, there may be none.
    programs.found().map_or((None, None), |Binaries { router, qwen }| (Print::of(&router), Print::of(&qwen)))
}

// === impl Watched ===

impl Watched {
    fn new(print: Option<Print>) -> Self {
        Self { started: print, seen: print }
    }

    /// Whether there is another one, written to its end. Says so once.
    fn is_new(&mut self, print: Option<Print>) -> bool {
        let settled = print.is_some() && print == self.seen;
        self.seen = print;
        let new = settled && print != self.started;
        if new {
            self.started = print;
        }
        new
    }
}

// === impl Print ===

impl Print {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok().filter(|file| file.is_file() && file.len() > 0)?;
        Some(Self { modified: file.modified().ok()?, length: file.len(), inode: inode(&file) })
    }
}

#[cfg(unix)]
fn inode(file: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(file)
}

/// Time and length have to do.
#[cfg(not(unix))]
const fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_finished_file_counts_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let (router, qwen) = (dir.path().join("router"), dir.path().join("qwen"));
        std::fs::write(&router, "1").unwrap();
        std::fs::write(&qwen, "1").unwrap();
        let mut rebuilds = Rebuilds::of(Programs::at(&router, &qwen));
        let quiet = Duration::from_secs(60);
        tokio::time::timeout(quiet, rebuilds.next()).await.unwrap_err();

        // As cargo does it: gone, then there again.
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
    fn a_file_that_still_grows_is_not_finished() {
        let print = |length| Some(Print { modified: SystemTime::UNIX_EPOCH, length, inode: 1 });
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
