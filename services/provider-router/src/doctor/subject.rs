//! The subject of an examination: the catalogue, read as the router reads it.

use std::sync::Arc;

use signalbox_core::schema::ProviderConfig;
use signalbox_daemon::{config::Common, sealing_key, variable};
use signalbox_pricing::Table;
use signalbox_store::{
    Sealer, Store,
    catalog::{self, Catalog},
    provider_configs,
};

use super::local;
use crate::{catalog::Snapshot, config::Config, metrics::Metrics, prices::Prices, provider, qwen_proxy::QwenProxy};

/// The catalogue of an installation, in the rows of its tables and as the router routes by it.
#[derive(Debug)]
pub(super) struct Subject {
    /// The rows.
    pub(super) rows: Catalog,
    /// The snapshot that the router would build.
    pub(super) snapshot: Snapshot,
    /// Decrypts the configuration of the providers.
    pub(super) sealer: Sealer,
    /// Prices in effect.
    pub(super) prices: Option<Arc<Table>>,
    /// The mistakes in the overrides of the prices, which the router ignores.
    pub(super) price_mistakes: Option<String>,
}

// === impl Subject ===

impl Subject {
    /// Reads the catalogue from the database of the installation.
    ///
    /// # Errors
    /// Returns the reason, for the user.
    pub(super) async fn load(config: &Config, common: &Common) -> Result<Self, Option<String>> {
        let said = |error: &dyn std::fmt::Display| Some(error.to_string());
        let sealer = Sealer::new(&sealing_key(&common.data_dir).map_err(|exit| said(&exit))?);
        let store = Store::open(common.database.url.expose()).await.map_err(|error| said(&error))?;
        let rows = catalog::load(&store).await;
        store.close().await;
        let rows = rows.map_err(|error| said(&error))?;
        let qwen_proxy = QwenProxy::of_command(&common.data_dir, variable).map_err(|exit| said(&exit))?;
        let address = qwen_proxy.current().await;
        Ok(Self::new(rows, sealer, config, address))
    }

    /// Reads the catalogue of an installation whose database can be used as it is.
    ///
    /// # Errors
    /// Returns the reason why it cannot be, for the user.
    pub(super) async fn of_installation(config: &Config, common: &Common) -> Result<Self, String> {
        let (checks, is_usable) = local::database(common).await;
        if !is_usable {
            let found: Vec<String> =
                checks.into_iter().filter(|check| check.remedy.is_some()).map(|check| check.finding).collect();
            return Err(format!("{}; `provider-router doctor` says what to do", found.join("; ")));
        }
        Self::load(config, common).await.map_err(Option::unwrap_or_default)
    }

    /// Builds what the router would build from these rows.
    pub(super) fn new(rows: Catalog, sealer: Sealer, config: &Config, qwen_proxy: Option<String>) -> Self {
        let policy = config.upstream.policy();
        let snapshot = Snapshot::new(rows.clone(), &sealer, &policy, &Metrics::default(), qwen_proxy);
        let prices = Prices::shipped().unwrap_or_default();
        prices.update(rows.imported_prices.as_deref(), rows.prices.as_deref());
        let read =
            |document: &str| signalbox_pricing::Layer::from_json(signalbox_pricing::LayerKind::Api, document).map(drop);
        let price_mistakes =
            rows.prices.as_deref().and_then(|document| read(document).err()).map(|mistakes| mistakes.to_string());
        Self { snapshot, sealer, prices: prices.current(), price_mistakes, rows }
    }

    /// Returns the configuration of a provider, decrypted; values that cannot be decrypted are left out.
    pub(super) fn opened(&self, rows: &[ProviderConfig]) -> provider::Config {
        let value = |row: &ProviderConfig| Some((row.key.clone(), provider_configs::json(&self.sealer, row).ok()?));
        rows.iter().filter_map(value).collect()
    }

    /// Returns whether the price of a model at a provider is known.
    pub(super) fn is_priced(&self, provider: &str, model: &str, now: i64) -> bool {
        let kind = self.rows.providers.iter().find(|(row, ..)| row.id == provider).map(|(row, ..)| &*row.kind);
        let Some((prices, kind)) = self.prices.as_ref().zip(kind) else { return false };
        prices.find(kind, provider, model, now).is_some()
    }
}
