//! The limit of open file descriptors, and the share of it that is available for connections.

/// Raises the soft limit to the hard limit. The soft limit is low (often 1024) for compatibility with programs that use
/// `select`; these services would only refuse connections.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        // macOS reports an infinite hard limit, but refuses to set it.
        let wanted = if cfg!(target_os = "macos") { hard.min(10_240) } else { hard };
        if soft < wanted { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Does nothing: this platform has no such limit.
#[cfg(not(unix))]
pub(crate) const fn raise_limit() {}

/// Returns the number of connections that can be open while enough descriptors remain for everything else.
#[cfg(unix)]
pub(crate) fn room_for_connections() -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE).map_or(usize::MAX, |(soft, _)| connections_within(soft))
}

/// Returns `usize::MAX`: this platform has no such limit.
#[cfg(not(unix))]
pub(crate) const fn room_for_connections() -> usize {
    usize::MAX
}

/// Descriptors reserved for other uses: files, the database, health checks, and a margin for connections to providers.
#[cfg(unix)]
const RESERVED_DESCRIPTORS: u64 = 64;

/// Each connection may need a second descriptor, for a connection to a provider.
#[cfg(unix)]
fn connections_within(limit: u64) -> usize {
    let connections = (limit - RESERVED_DESCRIPTORS.min(limit / 2)) / 2;
    usize::try_from(connections).unwrap_or(usize::MAX).max(1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn some_descriptors_are_reserved() {
        assert_eq!([0, 64, 128, 1024, 4224].map(connections_within), [1, 16, 32, 480, 2080]);
        assert!(connections_within(u64::MAX) > 1 << 20);
    }
}
