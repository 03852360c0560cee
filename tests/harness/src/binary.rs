//! Locates the binaries under test.

use std::{
    env::{self, consts::EXE_SUFFIX},
    path::PathBuf,
};

/// Returns the path of the binary `name` of the same build as the running test: `target/<profile>/<name>`, beside the
/// `deps/` of the test.
///
/// # Panics
/// Panics if it has not been built.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("the path of the test is known");
    let profile = test.ancestors().find(|dir| dir.ends_with("deps")).and_then(|deps| deps.parent());
    let path = profile.expect("the test is in target/<profile>/deps").join(format!("{name}{EXE_SUFFIX}"));
    assert!(
        path.is_file(),
        "{} is missing; run `cargo build -p api-server -p provider-router -p qwen-proxy` first",
        path.display()
    );
    path
}
