//! Test of a provider by requesting its model list, which costs no tokens.

use std::sync::Arc;

use serde_json::{Value, json};
use signalbox_core::schema::{self, ProviderConfig};
use signalbox_upstream::Client;
use tokio::time::{Duration, Instant, timeout};

use super::CliContext;
use crate::{
    clock, model_list,
    probe::list_models,
    provider::{Adapter, Provider},
};

/// Maximum duration of a test. Short, because the user is waiting.
const TEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Result of a test.
#[derive(Debug)]
pub(in crate::cli) struct Probed {
    /// Reason of the failure, if any.
    pub(in crate::cli) failure: Option<String>,
    pub(in crate::cli) duration_ms: i64,
    pub(in crate::cli) models: Vec<String>,
}

/// Tests a provider with the same client and deadlines as the router.
pub(in crate::cli) async fn probe(
    context: &CliContext,
    row: &schema::Provider,
    configs: &[ProviderConfig],
) -> anyhow::Result<Probed> {
    let provider = Arc::new(context.load(row, &context.opened(configs)?));
    let client = Client::new(&context.config.upstream.client(Vec::new())?)?;
    let began = Instant::now();
    let mut asked = Ok(Vec::new());
    // The models are those of the first key.
    for (n, provider) in provider.keys().enumerate() {
        let listed = listed(context, &client, provider).await.map_err(|why| match &provider.key {
            Some(key) => format!("with the key {key}: {why}"),
            None => why,
        });
        if n == 0 || listed.is_err() {
            asked = listed;
        }
        if asked.is_err() {
            break;
        }
    }
    let duration_ms = clock::millis(began.elapsed());
    Ok(match asked {
        Ok(models) => Probed { failure: None, duration_ms, models },
        Err(why) => Probed { failure: Some(why), duration_ms, models: Vec::new() },
    })
}

/// Returns the ids of the models that a provider lists, with one of its keys.
async fn listed(context: &CliContext, client: &Client, provider: &Provider) -> Result<Vec<String>, String> {
    match &provider.adapter {
        Adapter::Echo(_) => Ok(vec![provider.id.clone()]),
        Adapter::Misconfigured(reason) => Err(reason.clone()),
        Adapter::Remote(remote) => {
            let deadlines = context.config.upstream.deadlines();
            match timeout(TEST_TIMEOUT, list_models(client, &deadlines, remote)).await {
                Ok(list) => list.and_then(|list| ids(&list, &provider.id)),
                Err(_) => Err(format!("it has not answered within {} s", TEST_TIMEOUT.as_secs())),
            }
        }
    }
}

/// Parses a model list and returns the ids.
fn ids(list: &[u8], owner: &str) -> Result<Vec<String>, String> {
    let listed = model_list::read(list, owner).map_err(|error| error.to_string())?;
    Ok(listed.models.into_iter().map(|model| model.id).collect())
}

// === impl Probed ===

impl Probed {
    pub(in crate::cli) fn facts(&self, id: &str) -> Value {
        json!({
            "provider": id,
            "healthy": self.failure.is_none(),
            "duration_ms": self.duration_ms,
            "models": self.models,
            "error": self.failure,
        })
    }
}
