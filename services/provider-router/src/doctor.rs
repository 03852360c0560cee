//! `doctor`: checks of the configuration that the router would run with, and a trial of its routes against faults.
//!
//! # Layout
//! - [`signalbox_management::doctor`]: the checks and the scorecard, as documents. [`subject`]: what is examined: the
//!   configuration and the catalogue, read as the router reads them.
//! - [`local`]: the data directory and the database. [`catalogue`], [`routes`], [`keys`]: what the tables say; pure.
//!   [`network`]: the providers, asked for their list of models.
//! - [`play`]: the trial of the routes.
//!
//! # Invariants
//! - No settings and no data are changed: a database that does not exist is not created, and one of an older version is
//!   not upgraded.
//! - No credential is printed. What providers answer is masked.
//! - No check takes longer than [`CHECK_TIMEOUT`].

mod catalogue;
mod keys;
mod local;
mod network;
pub mod play;
mod routes;
mod subject;

use signalbox_daemon::config::Common;
pub use signalbox_management::doctor::{Check, CheckState as State, DoctorReport as Report};
use tokio::time::Duration;

use self::subject::Subject;
use crate::{clock, config::Config};

/// Maximum time of a check.
pub const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Examines an installation. If `offline`, no provider is called.
pub async fn examine(config: &Config, common: &Common, offline: bool) -> Report {
    let mut checks = local::configuration(config, common);
    checks.extend(local::data_directory(&common.data_dir).await);
    let (database, is_usable) = local::database(common).await;
    checks.extend(database);
    let subject = if is_usable { Subject::load(config, common).await } else { Err(None) };
    match subject {
        Ok(subject) => {
            checks.extend(catalogue::checks(&subject));
            let networked = if offline { network::skipped(&subject) } else { network::checks(&subject, config).await };
            checks.extend(networked.checks);
            checks.extend(routes::checks(&subject, &networked.listed));
            checks.extend(keys::checks(&subject, clock::unix_ms()));
        }
        Err(Some(reason)) => checks.push(
            Check::fail("database.content", format!("the configuration in the database cannot be read: {reason}"))
                .remedy("restore a backup of the database, or check that its address is right")
                .link("docs/operations.md#backup-and-restore"),
        ),
        Err(None) => checks.push(Check::skipped(
            "database.content",
            "providers, routes and keys are not checked, because the database is not used",
        )),
    }
    Report::new(checks, offline, clock::unix_ms())
}

#[cfg(test)]
mod tests;
