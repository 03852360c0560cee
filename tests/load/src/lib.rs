//! The benchmark of this project. `README.md` describes the measurements and how to read them.
//!
//! # Layout
//! - [`mock`]: the upstream. [`load`]: the client. Both speak HTTP over [`wire`], byte by byte, so that the core they
//!   share is never the bottleneck. [`prompt`]: the requests of the client.
//! - [`driver`]: starts everything, measures the targets in turn, and produces one table.
//! - [`rules`]: keys, routes, limits and prices of an installation with many users.
//! - [`operation`]: parts of the router's work, for counting instructions.
//! - The binaries `mock-upstream`, `null-proxy`, `load`, `bench` and `instructions` are thin wrappers.
//!
//! # Theory
//! A figure in requests per second is only valid for one machine at one time. Therefore every target is measured next
//! to the same null proxy, the minimal proxy of the same HTTP library, in alternating rounds, and the ratio is
//! published. Client and upstream share one core and the target has another core to itself, so that the target is the
//! first to be saturated.
//!
//! # Invariants
//! - All connections use loopback, and are bounded in number and time.
//! - No process and no directory outlives a run of the driver.

pub mod clock;
pub mod descriptors;
pub mod driver;
pub mod load;
pub mod mock;
pub mod operation;
pub mod prompt;
pub mod rules;
pub mod wire;
