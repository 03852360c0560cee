//! State and helpers shared by all commands.

use anyhow::{Context as _, bail};
use signalbox_core::schema::{self, ProviderConfig};
use signalbox_daemon::{config::Common, sealing_key, terminal, variable};
use signalbox_store::{
    Error, Sealer, Store,
    catalog::{self, Change},
    provider_configs,
    settings::{self, ACTIVE_PROVIDER},
};
use signalbox_upstream::Target;

use crate::{
    clock,
    config::Config,
    metrics::Metrics,
    provider::{self, Adapter, Provider},
    qwen_proxy::{QwenProxy, complete},
};

/// Database, keys and configuration that commands use.
#[derive(Debug)]
pub(super) struct CliContext {
    pub(super) store: Store,
    pub(super) sealer: Sealer,
    pub(super) config: Config,
    pub(super) data_dir: std::path::PathBuf,
    /// Address of the qwen-proxy beside the router.
    pub(super) qwen_proxy: QwenProxy,
    /// Whether the user can be asked questions.
    pub(super) asks: bool,
}

// === impl CliContext ===

impl CliContext {
    /// Opens the database. Questions are asked only if `may_ask` is `true` and there is a terminal.
    pub(super) async fn open(config: Config, common: &Common, may_ask: bool) -> anyhow::Result<Self> {
        let sealer = Sealer::new(&sealing_key(&common.data_dir)?);
        let store = Store::open(common.database.url.expose()).await;
        let store = store.context("the database cannot be used; check --database-url, --db-path or --data-dir")?;
        let data_dir = common.data_dir.clone();
        let qwen_proxy = QwenProxy::of_command(&data_dir, variable)?;
        Ok(Self { store, sealer, config, data_dir, qwen_proxy, asks: may_ask && terminal::is_interactive() })
    }

    /// Loads the current catalogue.
    pub(super) async fn catalog(&self) -> anyhow::Result<catalog::Catalog> {
        Ok(catalog::load(&self.store).await?)
    }

    /// Makes all changes in one transaction, provided that the catalogue still has the given version.
    ///
    /// # Errors
    /// Fails without changing anything if the catalogue has changed since, a name is taken, or the database refuses.
    pub(super) async fn change(&self, version: i64, changes: &[Change]) -> anyhow::Result<()> {
        match catalog::change(&self.store, &self.sealer, version, changes, clock::unix_ms()).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                bail!("another process changed the configuration; nothing was changed: run the command again")
            }
            Err(Error::Conflict { entity }) if entity.starts_with("routes.") => {
                bail!("another route has one of these names; nothing was changed")
            }
            Err(Error::Conflict { entity }) if entity.ends_with(".name") => {
                bail!("another provider has this name; nothing was changed: choose another --name")
            }
            Err(error) => Err(error).context("nothing was changed"),
        }
    }

    /// Returns `true` if the active provider is still the default of a new database, not a choice of the user.
    pub(super) async fn active_is_seeded(&self) -> anyhow::Result<bool> {
        Ok(settings::is_seeded(&self.store, ACTIVE_PROVIDER).await?)
    }

    /// Returns the configuration of a provider, decrypted.
    pub(super) fn opened(&self, rows: &[ProviderConfig]) -> anyhow::Result<provider::Config> {
        rows.iter().map(|row| Ok((row.key.clone(), provider_configs::json(&self.sealer, row)?))).collect()
    }

    /// Loads a provider as the router does.
    pub(super) fn load(&self, row: &schema::Provider, config: &provider::Config) -> Provider {
        let mut config = config.clone();
        complete(&row.kind, &mut config, self.qwen_proxy.base_url().as_deref());
        Provider::new(row, &config, None, &self.config.upstream.policy(), &Metrics::default())
    }

    /// Checks that this installation allows the router to call an address.
    pub(super) fn address(&self, base_url: &str) -> Result<(), String> {
        Target::parse(base_url, &self.config.upstream.policy()).map(drop).map_err(|error| error.to_string())
    }

    /// Checks that the router can use a configuration.
    pub(super) fn check_config(&self, row: &schema::Provider, config: &provider::Config) -> anyhow::Result<()> {
        match self.load(row, config).adapter {
            Adapter::Misconfigured(reason) => bail!("this configuration is not usable: {reason}; nothing was changed"),
            Adapter::Remote(_) | Adapter::Echo(_) => Ok(()),
        }
    }
}

/// Returns the setting that names the active provider, whether or not that provider exists.
pub(super) fn active(catalog: &catalog::Catalog) -> Option<&schema::Setting> {
    catalog.settings.iter().find(|setting| setting.key == ACTIVE_PROVIDER)
}

/// Finds a provider with its configuration and models.
///
/// # Errors
/// Fails with the ids of all existing providers.
pub(super) fn find<'a>(
    catalog: &'a catalog::Catalog,
    id: &str,
) -> anyhow::Result<&'a (schema::Provider, Vec<ProviderConfig>, Vec<schema::LinkedModel>)> {
    catalog.providers.iter().find(|(row, ..)| row.id == id).with_context(|| {
        let known: Vec<&str> = catalog.providers.iter().map(|(row, ..)| row.id.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        format!("Provider not found: {id}. Existing providers: {known}")
    })
}
