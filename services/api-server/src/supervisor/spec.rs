//! What to run, and how much patience to have with it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use signalbox_core::secret::Secret;

use super::Resources;

/// How one process is started. Each start brings its own, so that what changed meanwhile takes effect.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing else is inherited. See [`inherited_env`].
    pub env: Vec<(OsString, OsString)>,
    /// Variables it gets on its standard input instead, because other processes can read an environment.
    pub secrets: Vec<(String, Secret<String>)>,
    /// Where it listens. The sockets are ours, and it gets a copy of each.
    pub listen: Listen,
    /// What it may use of the machine.
    pub resources: Resources,
    /// Where its standard error goes; appended to, made with its directory if absent.
    pub log: PathBuf,
    /// The directory of what it can be adopted through, made if absent.
    pub run: PathBuf,
    /// How long it serves on when we were killed, waiting to be adopted. Zero: not at all.
    pub orphan_grace: Duration,
    /// Stands for what this asks for; see [`Spec::text`]. Another supervisor that asks for the same need not restart it.
    pub fingerprint: String,
}

/// Where a child listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// An IP address, `localhost` or a host name.
    pub host: String,
    /// 0 means any.
    pub port: u16,
    /// Take the next free port when this one is taken.
    pub auto_port: bool,
}

/// How much patience to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From spawn to ready.
    pub startup: Duration,
    /// From the polite request to leave to SIGKILL.
    pub grace: Duration,
    /// From SIGKILL to the group being empty; after that it is called stuck.
    pub kill_wait: Duration,
    /// Before the first restart after a failure; doubles with each further failure.
    pub restart_delay: Duration,
    /// The longest delay before a restart.
    pub restart_delay_max: Duration,
    /// After so many failures in a row it is not restarted any more.
    pub restart_limit: u32,
    /// Ready for so long, a child has left its old failures behind.
    pub restart_reset: Duration,
    /// Between two health checks of a ready child.
    pub probe_interval: Duration,
    /// After so many failed health checks in a row a child is restarted.
    pub probe_failures: u32,
    /// A child that uses more memory than it may for so long is replaced.
    pub memory_patience: Duration,
    /// How long after a sleep of the machine a failed health check is forgiven; one for each sleep.
    pub sleep_pardon: Duration,
    /// How long clients wait in the queue of a socket nobody serves before they get a 503.
    pub dark_patience: Duration,
}

// === impl Spec ===

impl Spec {
    /// All that makes a difference to the child, as one text. It holds secrets, and of the environment only what was not
    /// inherited: that depends on who started us.
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
            sleep_pardon: seconds(10),
            dark_patience: seconds(5),
        }
    }
}

/// The variables of our own environment that a child may see. What is not named here could change what a child does
/// behind its configuration's back (`LD_PRELOAD`, `HTTP_PROXY`), or is meant for us (`PORT`, `HOST`).
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
    // `Path` and `SystemRoot` on Windows, where case makes no difference.
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
