//! Log files: rotated, merged into one, and read from their ends.
//!
//! Every process writes its standard error straight into `logs/<name>.log`, so that it can go on logging without a
//! reader, and never waits for one. The [`LogRotator`] follows those files from outside: it merges them into
//! `logs/combined.log`, and rotates files that have grown too long. Because a writer holds its file open, rotating
//! copies the file and truncates the original; writers append, so they continue at the new beginning.
//!
//! # Invariants
//! - No writer waits for the keeper. Output that it cannot keep up with is left out, and counted at the place where it
//!   is missing.
//! - A log takes at most `(keep + 1) × max_size`, plus the output of a writer between two polls.

mod download;
mod files;
mod follow;
mod last;
mod line;
mod log_rotator;
mod rotate;
mod search;

use std::path::{Path, PathBuf};

use crate::fleet::MAX_WORKERS;

pub use self::download::Download;
pub use self::follow::{Follow, NewOutput};
pub use self::last::last_lines;
pub use self::line::{Level, LogLine};
pub use self::log_rotator::{LogOutput, LogRotator, start_rotator};
pub use self::search::{Before, FoundLines, LogQuery, Position, search};

/// Programs that write logs, by the names of their files. Further workers of provider-router write `provider-router-2`,
/// and so on.
pub const SERVICES: [&str; 3] = ["api-server", "provider-router", "qwen-proxy"];

/// Name of the merged log.
pub const COMBINED: &str = "combined";

/// Maximum lines per request.
pub const MAX_LINES: usize = 5000;

/// Directory of the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir(PathBuf);

/// Retention of each log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Size in bytes from which on a file is rotated.
    pub max_size: u64,
    /// Number of rotated files kept.
    pub keep: u32,
}

// === impl LogDir ===

impl LogDir {
    /// Returns the log directory of a data directory.
    #[must_use]
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("logs"))
    }

    /// Returns the log file of a service or worker, or of [`COMBINED`]; `None` for any other name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        (SERVICES.contains(&name) || name == COMBINED || is_worker(name)).then(|| self.0.join(format!("{name}.log")))
    }

    /// Returns the data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.0.parent().unwrap_or(&self.0)
    }

    /// Returns the path of the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Returns whether this is the name of a second or later worker.
fn is_worker(name: &str) -> bool {
    let number = name.strip_prefix("provider-router-").filter(|number| !number.starts_with(['0', '+']));
    number.and_then(|number| number.parse().ok()).is_some_and(|number| (2..=MAX_WORKERS).contains(&number))
}

/// Returns the path of the `generation`th rotated file of a log, 1 being the newest: `provider-router.log.1`.
fn rotated(file: &Path, generation: u32) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{generation}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_log_names_are_accepted() {
        let dir = LogDir::of(Path::new("/data"));
        assert_eq!(dir.file("qwen-proxy").unwrap(), Path::new("/data/logs/qwen-proxy.log"));
        assert_eq!(dir.file("combined").unwrap(), Path::new("/data/logs/combined.log"));
        assert_eq!(dir.file("provider-router-64").unwrap(), Path::new("/data/logs/provider-router-64.log"));
        for name in ["", "..", "../signalbox", "api-server.log", "nginx"] {
            assert_eq!(dir.file(name), None, "{name}");
        }
        for name in
            ["provider-router-1", "provider-router-02", "provider-router-+2", "provider-router-65", "qwen-proxy-2"]
        {
            assert_eq!(dir.file(name), None, "{name}");
        }
    }

    #[test]
    fn rotated_files_are_numbered() {
        assert_eq!(rotated(Path::new("/logs/a.log"), 2), Path::new("/logs/a.log.2"));
    }
}
