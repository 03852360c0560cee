//! Locations of the services' executables, and their build in a source checkout.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use super::service::{QWEN, ROUTER};

/// Executables to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// Executable of provider-router, if configured.
    pub router: Option<PathBuf>,
    /// Executable of qwen-proxy, if configured.
    pub qwen: Option<PathBuf>,
    /// Location of the executables that are not configured.
    pub location: ProgramLocation,
}

/// Locations that are searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramLocation {
    /// The directory of our own executable, then `$PATH`.
    Installed,
    /// A source checkout, from which `cargo run` started us: cargo builds the executables, with our own profile, before
    /// each start, so that they are never older than their sources.
    Checkout {
        /// The `cargo` that runs us.
        cargo: PathBuf,
        /// Directory of our own manifest.
        manifest_dir: PathBuf,
    },
}

/// Executables of the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) router: PathBuf,
    pub(super) qwen: PathBuf,
}

/// Reason why no executable is available.
#[derive(Debug, thiserror::Error)]
pub(super) enum Missing {
    #[error(
        "{name} was not found next to api-server ({}) or in $PATH. Install it there, or build it in the source \
         checkout with `cargo build -p {ROUTER} -p {QWEN}`",
        directory.display()
    )]
    Executable { name: &'static str, directory: PathBuf },
    #[error("cannot run {}: {source}; install Cargo, or put the two programs next to api-server", cargo.display())]
    Cargo { cargo: PathBuf, source: io::Error },
    #[error("`cargo build -p {ROUTER} -p {QWEN}` failed ({0}); see its output above")]
    Build(ExitStatus),
    #[error("cannot find the executable of api-server: {0}; start it by its full path")]
    OwnPath(io::Error),
}

// === impl Programs ===

impl Programs {
    /// Uses exactly these executables.
    #[must_use]
    pub fn at(router: impl Into<PathBuf>, qwen: impl Into<PathBuf>) -> Self {
        Self { router: Some(router.into()), qwen: Some(qwen.into()), location: ProgramLocation::Installed }
    }

    /// Returns whether they are built before a start, which may take minutes.
    pub(super) fn are_built(&self) -> bool {
        matches!(self, Self { location: ProgramLocation::Checkout { .. }, .. })
            && (self.router.is_none() || self.qwen.is_none())
    }

    /// Finds the executables, after building them if necessary.
    pub(super) async fn ready(&self) -> Result<Binaries, Missing> {
        if let Self { router: Some(router), qwen: Some(qwen), .. } = self {
            return Ok(Binaries { router: router.clone(), qwen: qwen.clone() });
        }
        if let ProgramLocation::Checkout { cargo, manifest_dir } = &self.location {
            build(cargo, manifest_dir, &own_directory()?).await?;
        }
        self.found()
    }

    /// Returns the executable of provider-router, without building it.
    ///
    /// # Errors
    /// Returns the reason why there is none.
    pub(crate) fn router_program(&self) -> Result<PathBuf, String> {
        self.found().map(|binaries| binaries.router).map_err(|missing| missing.to_string())
    }

    /// Finds the executables without building them.
    pub(super) fn found(&self) -> Result<Binaries, Missing> {
        if let Self { router: Some(router), qwen: Some(qwen), .. } = self {
            return Ok(Binaries { router: router.clone(), qwen: qwen.clone() });
        }
        let directory = own_directory()?;
        let path = env::var_os("PATH").unwrap_or_default();
        let choose = |named: &Option<PathBuf>, name| named.clone().map_or_else(|| find(name, &directory, &path), Ok);
        Ok(Binaries { router: choose(&self.router, ROUTER)?, qwen: choose(&self.qwen, QWEN)? })
    }
}

// === impl ProgramLocation ===

impl ProgramLocation {
    /// Detects the location from the environment: cargo passes its own path and the package to the programs it runs.
    #[must_use]
    pub fn detect() -> Self {
        Self::from_env(|name| env::var_os(name))
    }

    fn from_env(var: impl Fn(&str) -> Option<OsString>) -> Self {
        // cargo also runs tests that start us, but then the package is another.
        let ours = var("CARGO_PKG_NAME").is_some_and(|name| name == env!("CARGO_PKG_NAME"));
        match (var("CARGO"), var("CARGO_MANIFEST_DIR")) {
            (Some(cargo), Some(dir)) if ours => Self::Checkout { cargo: cargo.into(), manifest_dir: dir.into() },
            _ => Self::Installed,
        }
    }
}

fn own_directory() -> Result<PathBuf, Missing> {
    let own = env::current_exe().map_err(Missing::OwnPath)?;
    Ok(own.parent().unwrap_or_else(|| Path::new(".")).to_owned())
}

/// Runs cargo with its output in our own log, so that its progress is visible.
async fn build(cargo: &Path, manifest_dir: &Path, directory: &Path) -> Result<(), Missing> {
    tracing::info!("building {ROUTER} and {QWEN}");
    let status = tokio::process::Command::new(cargo)
        .args(["build", "-p", ROUTER, "-p", QWEN, "--profile", profile(directory)])
        .current_dir(manifest_dir)
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|source| Missing::Cargo { cargo: cargo.to_owned(), source })?;
    if status.success() { Ok(()) } else { Err(Missing::Build(status)) }
}

/// Returns the cargo profile whose output directory is `directory`.
fn profile(directory: &Path) -> &str {
    match directory.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(name) => name,
    }
}

fn find(name: &'static str, directory: &Path, path: &OsString) -> Result<PathBuf, Missing> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    std::iter::once(directory.to_owned())
        .chain(env::split_paths(path))
        .map(|directory| directory.join(&file))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Missing::Executable { name, directory: directory.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_cargo_run_of_this_package_builds() {
        let run = |package: &'static str| {
            ProgramLocation::from_env(move |name| match name {
                "CARGO" => Some("/usr/bin/cargo".into()),
                "CARGO_MANIFEST_DIR" => Some("/src/services/api-server".into()),
                "CARGO_PKG_NAME" => Some(package.into()),
                _ => None,
            })
        };
        let checkout = ProgramLocation::Checkout {
            cargo: "/usr/bin/cargo".into(),
            manifest_dir: "/src/services/api-server".into(),
        };
        assert_eq!(run("api-server"), checkout);
        assert_eq!(run("signalbox-tests"), ProgramLocation::Installed);
        assert_eq!(ProgramLocation::from_env(|_| None), ProgramLocation::Installed);
    }

    #[test]
    fn sibling_executables_take_precedence_over_path() {
        let (beside, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = env::join_paths([elsewhere.path()]).unwrap();
        let error = find(ROUTER, beside.path(), &path).unwrap_err().to_string();
        assert!(error.contains("cargo build -p provider-router -p qwen-proxy"), "{error}");

        let file = format!("{ROUTER}{}", env::consts::EXE_SUFFIX);
        fs::write(elsewhere.path().join(&file), "").unwrap();
        assert_eq!(find(ROUTER, beside.path(), &path).unwrap(), elsewhere.path().join(&file));
        fs::write(beside.path().join(&file), "").unwrap();
        assert_eq!(find(ROUTER, beside.path(), &path).unwrap(), beside.path().join(&file));
    }

    #[test]
    fn the_build_uses_the_profile_of_api_server() {
        assert_eq!(profile(Path::new("/src/target/debug")), "dev");
        assert_eq!(profile(Path::new("/src/target/release")), "release");
        assert_eq!(profile(Path::new("/src/target/bench-like")), "bench-like");
    }
}
