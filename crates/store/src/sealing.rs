//! Sealing of secrets that were stored in plain text.

use crate::audit::{Actor, with_actor};
use crate::{Error, Sealer, Store, credentials, provider_configs};

/// Seals secrets that an older version, such as the Node.js version, stored in plain text. If the database is busy, the
/// next start tries again. Warns if there are secrets that were sealed with another key.
pub async fn seal_stored(store: &Store, sealer: &Sealer) {
    let sealed = async {
        let logins = credentials::seal_all(store, sealer).await?;
        Ok::<_, Error>(logins + provider_configs::seal_all(store, sealer).await?)
    };
    match with_actor(Actor::program(), sealed).await {
        Ok(0) => {}
        Ok(secrets) => tracing::info!(secrets, "encrypted secrets that were stored in plain text"),
        Err(error) => tracing::warn!(%error, "cannot encrypt secrets stored in plain text, retrying at the next start"),
    }
    match foreign(store, sealer).await {
        Ok(0) => {}
        Ok(secrets) => tracing::warn!(
            secrets,
            "stored secrets were sealed with another key and cannot be read: put the right key back (SIGNALBOX_KEY, or the \
            file secret.key in the data directory) and restart, or store them again"
        ),
        Err(error) => tracing::warn!(%error, "cannot check whether the key fits the stored secrets"),
    }
}

/// Returns the number of logins and values that were sealed with another key.
async fn foreign(store: &Store, sealer: &Sealer) -> Result<usize, Error> {
    Ok(credentials::count_foreign(store, sealer).await? + provider_configs::count_foreign(store, sealer).await?)
}
