//! Automatic import of the `.env` file of the Node.js version at the first start of the router in its place.
//!
//! The file is looked for in the data directory and where the Node.js version had it: beside its database, or above the
//! directory `data` that contains the database. A marker file in the data directory records that the import is done, so
//! that later changes and deletions by the user are kept. The environment of the process is not imported, because it
//! may contain such variables for other programs; only `USE_LEGACY_CONFIG` is read from it.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use signalbox_daemon::{config::Common, variable};
use signalbox_store::{Sealer, Store};

use super::{CliContext, MigrationPlan, Variables};
use crate::{config::Config, qwen_proxy::QwenProxy};

/// Name of the marker file that records the import.
const IMPORTED_MARKER: &str = "env-taken-over";

/// Imports the file if it exists and was not imported before. A failure is only logged: the router starts, and the next
/// start tries again.
pub(crate) async fn import_once(
    store: &Store,
    sealer: &Sealer,
    config: &Config,
    common: &Common,
    qwen_proxy: &QwenProxy,
) {
    let done = common.data_dir.join(IMPORTED_MARKER);
    let file = candidate_paths(common).into_iter().find(|place| place.is_file());
    let Some(file) = file.filter(|_| !done.exists()) else { return };
    let context = CliContext {
        store: store.clone(),
        sealer: sealer.clone(),
        config: config.clone(),
        data_dir: common.data_dir.clone(),
        qwen_proxy: qwen_proxy.clone(),
        asks: false,
    };
    match attempt(&context, &file, &done).await {
        Ok(messages) => {
            for line in messages {
                tracing::info!(file = %file.display(), "imported from the variables of the Node.js version: {line}");
            }
        }
        // Another router of this installation has done the import.
        Err(_) if done.exists() => {}
        Err(error) => {
            tracing::warn!(
                file = %file.display(),
                "cannot import the variables of the Node.js version, the next start will retry: {error:#}"
            );
        }
    }
}

async fn attempt(context: &CliContext, file: &Path, done: &Path) -> anyhow::Result<Vec<String>> {
    let variables = Variables::of_file(file)?;
    for line in &variables.skipped {
        tracing::warn!("{line}");
    }
    let legacy = variable("USE_LEGACY_CONFIG").is_some_and(|value| value == "true");
    if legacy || variables.is_legacy() {
        tracing::warn!(
            file = %file.display(),
            "USE_LEGACY_CONFIG is true, so nothing is imported; it is deprecated, unset it"
        );
        return Ok(Vec::new());
    }
    let (plan, version) = MigrationPlan::of(&variables, context).await?;
    plan.carry_out(version, context).await?;
    // If another router has created the marker meanwhile, it has written the same content.
    match OpenOptions::new().write(true).create_new(true).open(done) {
        Ok(mut done) => writeln!(done, "{}", file.display())?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    Ok(plan.messages)
}

/// Returns the possible locations of the file, in order of preference.
fn candidate_paths(common: &Common) -> Vec<PathBuf> {
    let mut dirs = vec![common.data_dir.clone()];
    let database = common.database.url.expose().strip_prefix("sqlite://").map(Path::new).and_then(Path::parent);
    if let Some(dir) = database {
        dirs.push(dir.to_owned());
        if dir.file_name().is_some_and(|name| name == "data") {
            dirs.extend(dir.parent().map(Path::to_owned));
        }
    }
    dirs.into_iter().map(|dir| dir.join(".env")).collect()
}
