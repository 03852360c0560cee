//! Tests of the whole crate: examples of the documents, properties of requests and streams, and arbitrary data.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod broken;
mod calls;
mod carried;
mod endings;
mod final_output;
mod forms;
mod fuzz;
mod golden;
mod matching;
mod numbering;
mod provider;
mod requests;
mod streams;
