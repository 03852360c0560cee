//! Fills a new database, so that the first request is answered without any configuration.

use std::time::{SystemTime, UNIX_EPOCH};

use signalbox_core::schema::{ConfigValue, NewModel, NewProvider};
use signalbox_core::secret::Secret;

use crate::Error;
use crate::actor::Actor;
use crate::page::Total;
use crate::statement::Statement;
use crate::tables::provider_models::NewLink;
use crate::tables::{ACTIVE_PROVIDER, models, provider_configs, provider_models, providers};
use crate::transaction::Transaction;

/// Configuration value for providers whose models may take long to begin.
const TIMEOUT: (&str, &str) = ("timeout", "120000");

/// Fills the catalogue if it has no providers.
pub(crate) async fn run(tx: &mut Transaction) -> Result<(), Error> {
    let Total(providers) = tx.one(Statement::new("SELECT COUNT(*) AS total FROM providers"), "count").await?;
    if providers > 0 {
        return Ok(());
    }
    tx.sign_as(&Actor::program()).await?;
    let now = now_ms();
    let echo = NewProvider {
        description: Some("Repeats the last user message and needs no key. Remove it any time.".to_owned()),
        ..provider("echo", "Echo", "echo", true, 0)
    };
    add(tx, &echo, &[], Some("echo"), now).await?;
    let qwen = provider("qwen-proxy-default", "Qwen Proxy Default", "qwen-proxy", true, 5);
    // Without a base URL, it is the qwen-proxy beside the router, on any port.
    add(tx, &qwen, &[TIMEOUT], Some("qwen3-max"), now).await?;
    let lm_studio = provider("lm-studio-default", "LM Studio Default", "lm-studio", false, 10);
    add(tx, &lm_studio, &[("baseURL", "\"http://127.0.0.1:1234/v1\""), TIMEOUT], None, now).await?;
    choose_active(tx, now).await?;
    tx.unsign().await
}

/// Makes qwen-proxy the active provider if there is a login for it, and the echo provider otherwise, unless one was
/// chosen already.
async fn choose_active(tx: &mut Transaction, now: i64) -> Result<(), Error> {
    let choose = Statement::new(
        "INSERT INTO settings (key, value, updated_at, seeded)
         SELECT $1, CASE WHEN EXISTS (SELECT 1 FROM qwen_credentials) THEN 'qwen-proxy-default' ELSE 'echo' END, $2, TRUE
         WHERE TRUE ON CONFLICT (key) DO NOTHING",
    );
    tx.execute(choose.bind(ACTIVE_PROVIDER).bind(now)).await.map(drop)
}

/// Makes qwen-proxy the active provider because a login for it was stored, unless the user has chosen a provider.
pub(crate) async fn activate_qwen_proxy(tx: &mut Transaction, now: i64) -> Result<(), Error> {
    let switch = Statement::new(
        "UPDATE settings SET updated_at = $2, seeded = FALSE,
             value = (SELECT id FROM providers WHERE type = 'qwen-proxy' AND enabled ORDER BY priority DESC, name LIMIT 1)
         WHERE key = $1 AND seeded AND EXISTS (SELECT 1 FROM providers WHERE type = 'qwen-proxy' AND enabled)",
    );
    tx.execute(switch.bind(ACTIVE_PROVIDER).bind(now)).await.map(drop)
}

async fn add(
    tx: &mut Transaction,
    provider: &NewProvider,
    config: &[(&str, &str)],
    model: Option<&str>,
    now: i64,
) -> Result<(), Error> {
    providers::add(tx, provider, now).await?;
    if !config.is_empty() {
        let value = |(key, json): &(&str, &str)| ConfigValue {
            key: (*key).to_owned(),
            value: Secret::new((*json).to_owned()),
            is_sensitive: false,
        };
        let values: Vec<ConfigValue> = config.iter().map(value).collect();
        provider_configs::upsert(tx, &provider.id, &values, now).await?;
    }
    if let Some(id) = model {
        let model = NewModel {
            id: id.to_owned(),
            name: id.to_owned(),
            // Dashboards read the provider from the end of the description.
            description: Some(format!("{id} - Discovered from {}", provider.id)),
            capabilities: vec!["chat".to_owned()],
        };
        models::add_if_missing(tx, &model, now).await?;
        let link = NewLink { provider_id: provider.id.clone(), model_id: model.id, is_default: true, config: None };
        provider_models::add(tx, &link, now).await?;
    }
    Ok(())
}

fn provider(id: &str, name: &str, kind: &str, enabled: bool, priority: i64) -> NewProvider {
    NewProvider {
        id: id.to_owned(),
        name: name.to_owned(),
        kind: kind.to_owned(),
        enabled,
        priority,
        description: None,
    }
}

/// Returns the milliseconds since 1970; 0 if the clock is set to an earlier time.
fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}
