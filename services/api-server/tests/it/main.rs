//! The tests of api-server, in one binary. `api` mirrors the tree of URLs.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step should panic where it happens")]

mod api;
mod console;
mod declared;
mod events;
mod fleet;
mod host_origin_guard;
mod notify;
mod site;
mod supervisor;
