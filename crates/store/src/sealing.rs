//! Sealing of secrets that were stored in plain text.

use crate::audit::{Actor, with_actor};
use crate::{Error, Sealer, Store, credentials, provider_configs};

/// Seals secrets that an older version, such as the Node.js version, stored in plain text. If the database is busy, the
/// next start tries again.
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
}
