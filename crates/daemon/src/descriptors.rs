//! How many files and sockets the process may open.

/// Raises the soft limit to the hard one. The soft limit is low (often 1024) for the sake of programs that use `select`; ours would
/// only turn connections away.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        // macOS calls its hard limit infinite and refuses to set it.
        let wanted = if cfg!(target_os = "macos") { hard.min(10_240) } else { hard };
        if soft < wanted { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// There is no such limit.
#[cfg(not(unix))]
pub(crate) const fn raise_limit() {}
