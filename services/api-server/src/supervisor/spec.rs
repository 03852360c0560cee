//! What to run, and how much patience to have with it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How one process is started. Each start brings its own, so that what changed meanwhile takes effect.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing else is inherited. See [`inherited_env`].
    pub env: Vec<(OsString, OsString)>,
    /// The port it is told to listen on, for messages; 0 means any.
    pub port: u16,
    /// Where its standard error goes; appended to, made with its directory if absent.
    pub log: PathBuf,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From spawn to ready.
    pub startup: Duration,
    /// From the polite request to leave to SIGKILL.
    pub grace: Duration,
    /// From SIGKILL to the group being empty; after that it is called stuck.
    pub kill_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { startup: Duration::from_secs(30), grace: Duration::from_secs(10), kill_wait: Duration::from_secs(2) }
    }
}

/// The variables of our own environment that a child may see. What is not named here could change what a child does
/// behind its configuration's back (`LD_PRELOAD`, `HTTP_PROXY`), or is meant for us (`PORT`, `HOST`).
#[must_use]
pub fn inherited_env() -> Vec<(OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_inherited)).collect()
}

fn is_inherited(name: &str) -> bool {
    const NAMES: [&str; 13] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "TEMP",
        "TMP",
        "SYSTEMROOT",
        "RUST_BACKTRACE",
        "NO_COLOR",
    ];
    const PREFIXES: [&str; 3] = ["LC_", "XDG_", "SSL_CERT_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_variables_are_inherited() {
        for name in ["PATH", "HOME", "LC_ALL", "XDG_DATA_HOME", "SSL_CERT_FILE"] {
            assert!(is_inherited(name), "{name}");
        }
        for name in ["PORT", "HOST", "LD_PRELOAD", "HTTP_PROXY", "RUST_LOG", "LISTEN_FDS", "DATABASE_URL"] {
            assert!(!is_inherited(name), "{name}");
        }
    }
}
