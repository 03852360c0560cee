//! The global allocator of all three programs.
//!
//! Measured with provider-router: after 200 clients that stopped reading, mimalloc retains 100 MB and more permanently;
//! jemalloc, whose background thread returns unused pages, is back at its former size after ten seconds. Speed and idle
//! memory are equal.
//!
//! jemalloc needs the page size at build time. On x86-64 it is fixed; elsewhere a program built on one machine might
//! not start on another, so mimalloc is used there.

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
use tikv_jemallocator::Jemalloc as Chosen;

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")))]
use mimalloc::MiMalloc as Chosen;

/// Type of [`ALLOCATOR`].
pub type Allocator = Chosen;

/// Value for the `#[global_allocator]` of every program.
pub const ALLOCATOR: Allocator = Chosen;
