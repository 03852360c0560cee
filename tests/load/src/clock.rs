//! The clock shared by all processes of a machine.

use nix::time::{ClockId, clock_gettime};

/// Returns `CLOCK_MONOTONIC` in nanoseconds, or 0 if the clock is missing, which is not the case on any supported
/// system.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec());
    u64::try_from(now).unwrap_or_default()
}
