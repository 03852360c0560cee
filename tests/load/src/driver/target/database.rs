//! Databases of the routers.

use std::path::Path;

use signalbox_core::{Api, secret::Secret};
use signalbox_store::{Sealer, Store, provider_models, providers};

use super::settings::{UNUSED_MODEL, of_api, provider};
use crate::rules::Keys;

/// Opens the database of the router in `dir`; creates it if it does not exist.
///
/// # Errors
/// Fails if it cannot be opened.
pub(super) async fn open(dir: &Path) -> anyhow::Result<Store> {
    Ok(Store::open(&format!("sqlite://{}", dir.join("signalbox.db").display())).await?)
}

/// Writes the providers of a router, and the rules with these keys, if there are any.
///
/// # Errors
/// Fails if the database cannot be written.
pub(super) async fn fill(dir: &Path, upstream: u16, keys: Option<&Keys>) -> anyhow::Result<()> {
    let store = open(dir).await?;
    // The database holds no secrets, so any key will do.
    let sealer = Sealer::new(&Secret::new([0; 32]));
    let (plain, config) = provider(upstream);
    providers::insert(&store, &sealer, &plain, &config, 0).await?;
    for api in Api::ALL {
        let (of_api, config) = of_api(api, upstream);
        providers::insert(&store, &sealer, &of_api, &config, 0).await?;
        provider_models::sync(&store, &of_api.id, &[UNUSED_MODEL.to_owned()], 0).await?;
    }
    if let Some(keys) = keys {
        keys.write(&store).await?;
    }
    store.close().await;
    Ok(())
}
