//! The project's own benchmark. `README.md` says what is measured and how to read it.
//!
//! # Layout
//! - [`mock`]: the upstream. [`load`]: the client. Both speak HTTP over [`wire`], byte by byte, so that the core they
//!   share is never the narrow place. [`prompt`]: what the client says.
//! - [`driver`]: starts everything, lets the targets take turns, and makes one table of it.
//! - [`operation`]: single parts of the router's work, for counting instructions.
//! - The binaries `mock-upstream`, `null-proxy`, `load`, `bench` and `instructions` are thin.
//!
//! # Theory
//! A figure in requests per second belongs to one machine and one hour. So every target is measured beside the same null
//! proxy, the least that the same HTTP library can do, in rounds that take turns; what is published is the ratio. Client
//! and upstream share one core and the target has the other one alone: the target is what is exhausted first.
//!
//! # Invariants
//! - Everything is on loopback, and bounded in count and in time.
//! - No process outlives the driver's run, and no directory does.

pub mod clock;
pub mod descriptors;
pub mod driver;
pub mod load;
pub mod mock;
pub mod operation;
pub mod prompt;
pub mod wire;
