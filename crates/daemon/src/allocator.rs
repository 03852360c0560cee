//! The allocator of all three programs.
//!
//! Measured with provider-router: after 200 clients that stopped reading, mimalloc keeps 100 MB and more for good; jemalloc,
//! whose own thread gives unused pages back, is at its former size after ten seconds. Speed and idle memory are equal.
//!
//! jemalloc has to know at build time how large a page is. On x86-64 that is certain; elsewhere a program built on one
//! machine might not start on another, so there it is mimalloc.

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
use tikv_jemallocator::Jemalloc as Chosen;

#[cfg(not(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")))]
use mimalloc::MiMalloc as Chosen;

/// The type of [`ALLOCATOR`].
pub type Allocator = Chosen;

/// What every program has as its `#[global_allocator]`.
pub const ALLOCATOR: Allocator = Chosen;
