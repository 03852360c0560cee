//! The process to run, and the supervisor's limits for it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use signalbox_core::secret::Secret;

use super::Resources;

/// Description of one process. Each start passes its own, so that changes of the configuration take effect.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Executable.
    pub program: PathBuf,
    /// Arguments.
    pub args: Vec<OsString>,
    /// Complete environment: no other variable is inherited. See [`inherited_env`].
    pub env: Vec<(OsString, OsString)>,
    /// Variables passed through standard input, because other processes can read an environment.
    pub secrets: Vec<(String, Secret<String>)>,
    /// Address to listen on. The supervisor owns the sockets, and the process gets copies.
    pub listen: Listen,
    /// Resource limits.
    pub resources: Resources,
    /// File for its standard error: appended to, and created with its directory if absent.
    pub log: PathBuf,
    /// Directory of the files needed for its adoption; created if absent.
    pub run: PathBuf,
    /// Time it keeps serving after its supervisor was killed, waiting to be adopted. Zero: not at all.
    pub orphan_grace: Duration,
    /// Fingerprint of this spec; see [`Spec::text`]. A supervisor with the same fingerprint need not restart the
    /// process.
    pub fingerprint: String,
}

/// Listening address of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// IP address, `localhost` or host name.
    pub host: String,
    /// Port; 0 means any.
    pub port: u16,
    /// Whether the next free port is taken when this one is in use.
    pub auto_port: bool,
}

/// Timeouts and thresholds of the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Timeout from spawn to ready.
    pub startup: Duration,
    /// Time from the request to exit until SIGKILL.
    pub grace: Duration,
    /// Time from SIGKILL until the group must be empty; after that the child counts as stuck.
    pub kill_wait: Duration,
    /// Delay before the first restart after a failure; doubles with each further failure.
    pub restart_delay: Duration,
    /// Maximum delay before a restart.
    pub restart_delay_max: Duration,
    /// Failures in a row after which a child is not restarted any more.
    pub restart_limit: u32,
    /// Time of being ready after which earlier failures no longer count.
    pub restart_reset: Duration,
    /// Interval between health checks of a ready child.
    pub probe_interval: Duration,
    /// Failed health checks in a row after which a child is restarted.
    pub probe_failures: u32,
    /// Time a child may exceed its memory limit before it is replaced.
    pub memory_patience: Duration,
    /// Time after a suspension of the machine within which a failed health check is forgiven; one per suspension.
    pub suspend_grace: Duration,
    /// Time that clients wait in the queue of a socket without a serving process before they get a 503.
    pub fallback_delay: Duration,
}

// === impl Spec ===

impl Spec {
    /// Returns everything that makes a difference to the child, as one text. It contains secrets. Inherited variables
    /// are left out, because they depend on how api-server itself was started.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let Listen { host, port, .. } = &self.listen;
        let own = |(name, _): &&(OsString, OsString)| !name.to_str().is_some_and(is_inherited);
        let env: BTreeMap<&OsString, &OsString> =
            self.env.iter().filter(own).map(|(name, value)| (name, value)).collect();
        let secrets: BTreeMap<&str, &str> =
            self.secrets.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
        let Self { program, args, resources, log, .. } = self;
        format!("{program:?} {args:?} {host:?} {port} {env:?} {secrets:?} {resources:?} {log:?}").into_bytes()
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            startup: seconds(30),
            grace: seconds(10),
            kill_wait: seconds(2),
            restart_delay: Duration::from_millis(500),
            restart_delay_max: seconds(30),
            restart_limit: 8,
            restart_reset: seconds(60),
            probe_interval: seconds(2),
            probe_failures: 3,
            memory_patience: seconds(30),
            suspend_grace: seconds(10),
            fallback_delay: seconds(5),
        }
    }
}

/// Returns the variables of our own environment that a child may see. Others could change a child's behaviour behind
/// its configuration (`LD_PRELOAD`, `HTTP_PROXY`), or are meant for api-server itself (`PORT`, `HOST`).
#[must_use]
pub fn inherited_env() -> Vec<(OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_inherited)).collect()
}

fn is_inherited(name: &str) -> bool {
    const NAMES: [&str; 16] = [
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
        "SYSTEMDRIVE",
        "USERPROFILE",
        "LOCALAPPDATA",
        "RUST_BACKTRACE",
        "NO_COLOR",
    ];
    const PREFIXES: [&str; 3] = ["LC_", "XDG_", "SSL_CERT_"];
    // Windows spells some of them `Path` and `SystemRoot`, and ignores case.
    let upper = name.to_ascii_uppercase();
    let name = if cfg!(windows) { &*upper } else { name };
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
