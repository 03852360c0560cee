//! Cache of the models of chat.qwen.ai.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::{
    clock,
    credentials::{Logins, NoLogin},
    metrics::Metrics,
    qwen::{Failure, Qwen},
};

/// Cache of the list of models. Concurrent requests share a single call to the site.
#[derive(Debug)]
pub struct ModelCache {
    kept_for: Duration,
    last: Mutex<Option<(Instant, Arc<Vec<Value>>)>>,
}

/// Reason why there is no list of models.
#[derive(Debug, thiserror::Error)]
pub enum NoModels {
    /// There is no usable login at chat.qwen.ai.
    #[error(transparent)]
    NoLogin(#[from] NoLogin),
    /// The call to chat.qwen.ai failed.
    #[error(transparent)]
    Failure(Failure),
}

// === impl ModelCache ===

impl ModelCache {
    /// Creates a cache that keeps a list for `kept_for`.
    #[must_use]
    pub fn new(kept_for: Duration) -> Self {
        Self { kept_for, last: Mutex::default() }
    }

    /// Returns the list, fetching it if the cached one is too old. If the call fails, a stale list is returned.
    ///
    /// # Errors
    /// See [`NoModels`].
    pub async fn get(&self, logins: &Logins, qwen: &Qwen, metrics: &Metrics) -> Result<Arc<Vec<Value>>, NoModels> {
        let login = logins.current(clock::unix_ms()).await?;
        let mut last = self.last.lock().await;
        if let Some((at, models)) = &*last
            && at.elapsed() < self.kept_for
        {
            return Ok(Arc::clone(models));
        }
        let fetched = match qwen.models(&login).await {
            Ok(body) => read(&body, clock::unix_ms() / 1000),
            Err(failure) => Err(failure),
        };
        match (fetched, &*last) {
            (Ok(models), _) => {
                logins.record_success(&login).await;
                let models = Arc::new(models);
                *last = Some((Instant::now(), Arc::clone(&models)));
                Ok(models)
            }
            (Err(failure), stale) => {
                metrics.failed(failure.code());
                logins.record_failure(&login, &failure, clock::unix_ms()).await;
                match stale {
                    Some((_, models)) => {
                        tracing::warn!("cannot update the list of models, serving the previous one: {failure}");
                        Ok(Arc::clone(models))
                    }
                    None => Err(NoModels::Failure(failure)),
                }
            }
        }
    }
}

/// Converts the site's list of active models to OpenAI's format. An entry without an id is skipped and counted; any
/// other unexpected value affects only its field.
fn read(body: &Bytes, created: i64) -> Result<Vec<Value>, Failure> {
    let list: Value = serde_json::from_slice(body).map_err(|error| Failure::Unreadable(error.to_string()))?;
    let entries = [&list, &list["data"], &list["data"]["data"]].into_iter().find_map(Value::as_array);
    let entries = entries.ok_or_else(|| Failure::Unreadable("it contains no list of models".to_owned()))?;
    let active = entries.iter().filter(|entry| !matches!(&entry["info"]["is_active"], Value::Bool(false)));
    let models: Vec<Option<Value>> = active.map(|entry| into_openai(entry, created)).collect();
    let nameless = models.iter().filter(|model| model.is_none()).count();
    if nameless > 0 {
        tracing::warn!(models = nameless, "ignored models of chat.qwen.ai without an id");
    }
    Ok(models.into_iter().flatten().collect())
}

fn into_openai(entry: &Value, created: i64) -> Option<Value> {
    let id = entry["id"].as_str().filter(|id| !id.is_empty())?;
    let owned_by = entry["owned_by"].as_str().unwrap_or("qwen");
    let (info, meta) = (&entry["info"], &entry["info"]["meta"]);
    Some(json!({
        "id": id,
        "object": "model",
        "created": created,
        "owned_by": owned_by,
        "permission": [],
        "root": id,
        "parent": null,
        "metadata": {
            "name": entry["name"],
            "description": meta["description"],
            "capabilities": meta["capabilities"],
            "chat_types": meta["chat_type"],
            "max_context_length": meta["max_context_length"],
            "max_generation_length": meta["max_generation_length"],
            "abilities": meta["abilities"],
            "is_active": info["is_active"],
            "is_visitor_active": info["is_visitor_active"],
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_active_models_are_listed() {
        let body = br#"{"data":[
            {"id":"qwen3-max","name":"Qwen3-Max","object":"model","owned_by":"qwen","info":{"is_active":true,"is_visitor_active":false,
             "meta":{"description":"d","chat_type":["t2t"],"max_context_length":262144}}},
            {"id":"gone","info":{"is_active":false}},
            {"id":"bare"}]}"#;
        let models = read(&Bytes::from_static(body), 7).unwrap();
        let ids: Vec<&Value> = models.iter().map(|model| &model["id"]).collect();
        assert_eq!(ids, ["qwen3-max", "bare"]);
        assert_eq!((&models[0]["created"], &models[0]["root"]), (&json!(7), &json!("qwen3-max")));
        let metadata = &models[0]["metadata"];
        assert_eq!((&metadata["chat_types"], &metadata["is_visitor_active"]), (&json!(["t2t"]), &json!(false)));
        assert_eq!(metadata["max_context_length"], 262_144);
        for none in ["{}", "{\"data\":null}", "7", "{\"data\":{}}"] {
            assert!(matches!(read(&Bytes::from_static(none.as_bytes()), 7), Err(Failure::Unreadable(_))), "{none}");
        }
    }

    #[test]
    fn a_malformed_entry_does_not_affect_others() {
        let odd = r#"{"id":"a","info":null}, {"name":"no id"}, {"id":7}, null, {"id":"b","info":{"is_active":"yes","meta":[]}}, {"id":"c"}"#;
        for body in [format!("[{odd}]"), format!(r#"{{"data":[{odd}]}}"#), format!(r#"{{"data":{{"data":[{odd}]}}}}"#)]
        {
            let models = read(&Bytes::from(body), 7).unwrap();
            let ids: Vec<&Value> = models.iter().map(|model| &model["id"]).collect();
            assert_eq!(ids, ["a", "b", "c"]);
        }
    }
}
