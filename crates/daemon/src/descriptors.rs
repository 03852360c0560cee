//! How many files and sockets the process may open, and what of them is for connections.

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

/// How many connections can be open before there is no descriptor left for anything else.
#[cfg(unix)]
pub(crate) fn room_for_connections() -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(usize::MAX, |(soft, _)| room(soft))
}

/// There is no such limit.
#[cfg(not(unix))]
pub(crate) const fn room_for_connections() -> usize {
    usize::MAX
}

/// What is needed besides: files, the database, health checks, pauses between connections to providers.
#[cfg(unix)]
const RESERVE: u64 = 64;

/// Each connection may need a second descriptor, for a connection to a provider.
#[cfg(unix)]
fn room(limit: u64) -> usize {
    let connections = (limit - RESERVE.min(limit / 2)) / 2;
    usize::try_from(connections).unwrap_or(usize::MAX).max(1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_kept_back() {
        assert_eq!([0, 64, 128, 1024, 4224].map(room), [1, 16, 32, 480, 2080]);
        assert!(room(u64::MAX) > 1 << 20);
    }
}
