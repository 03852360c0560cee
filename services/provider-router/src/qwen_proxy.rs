//! Address of the qwen-proxy beside the router, which providers of type `qwen-proxy` have by default.

use std::path::{Path, PathBuf};

use serde_json::Value;
use signalbox_core::provider_type::QWEN_PROXY;
use signalbox_daemon::{Exit, addresses, instance};

use crate::provider::Config;

/// Port of qwen-proxy if no other is configured.
const DEFAULT_PORT: u16 = 3000;

/// Source of the address.
#[derive(Clone, Debug)]
pub struct QwenProxy {
    /// Data directory in which a running supervisor publishes the address, if there is one.
    published_in: Option<PathBuf>,
    /// Port on loopback that applies while no address is published; 0 if it is not known in advance.
    port: u16,
}

// === impl QwenProxy ===

impl QwenProxy {
    /// Creates the source. `supervised_in` is the data directory if a supervisor is running; `variable` reads
    /// `QWEN_PROXY_PORT`.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] if the variable is not a port number.
    pub fn new(supervised_in: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Exit> {
        let port = match variable("QWEN_PROXY_PORT") {
            None => DEFAULT_PORT,
            Some(given) => given
                .parse()
                .map_err(|_| Exit::Config("QWEN_PROXY_PORT takes a port number from 0 to 65535".to_owned()))?,
        };
        Ok(Self { published_in: supervised_in.map(Path::to_owned), port })
    }

    /// Creates the source for a command, which runs beside the services of the api-server of `data_dir`, if there is
    /// one.
    ///
    /// # Errors
    /// Same as [`new`](Self::new).
    pub fn of_command(data_dir: &Path, variable: impl Fn(&str) -> Option<String>) -> Result<Self, Exit> {
        let is_supervised = matches!(instance::running(data_dir), Ok(Some(_)));
        Self::new(is_supervised.then_some(data_dir), variable)
    }

    /// Returns the base URL of qwen-proxy; `None` if its address is not known yet. Reads a file.
    #[must_use]
    pub fn base_url(&self) -> Option<String> {
        let published = self.published_in.as_deref().and_then(|data_dir| addresses::published(data_dir, QWEN_PROXY));
        let authority = published.map(|addr| addr.to_string());
        let authority = authority.or_else(|| (self.port > 0).then(|| format!("127.0.0.1:{}", self.port)))?;
        Some(format!("http://{authority}"))
    }

    /// Like [`base_url`](Self::base_url), without blocking the runtime.
    pub async fn current(&self) -> Option<String> {
        let source = self.clone();
        tokio::task::spawn_blocking(move || source.base_url()).await.ok().flatten()
    }
}

/// Adds `base_url` to the configuration of a provider of type `qwen-proxy` that has no base URL of its own.
pub fn complete(kind: &str, config: &mut Config, base_url: Option<&str>) {
    let is_given = match config.get("baseURL") {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    if let (QWEN_PROXY, false, Some(base_url)) = (kind, is_given, base_url) {
        config.insert("baseURL".to_owned(), base_url.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source(data_dir: Option<&Path>, port: Option<&str>) -> Result<QwenProxy, Exit> {
        QwenProxy::new(data_dir, |name| port.filter(|_| name == "QWEN_PROXY_PORT").map(str::to_owned))
    }

    #[test]
    fn the_port_is_the_variable_s_or_3000() {
        for (port, url) in [
            (None, Some("http://127.0.0.1:3000")),
            (Some("20000"), Some("http://127.0.0.1:20000")),
            // The port is chosen when qwen-proxy starts.
            (Some("0"), None),
        ] {
            assert_eq!(source(None, port).unwrap().base_url().as_deref(), url, "{port:?}");
        }
        for nonsense in ["x", "-1", "65536", "3000 "] {
            assert_eq!(source(None, Some(nonsense)).unwrap_err().code(), 78, "{nonsense}");
        }
    }

    #[test]
    fn a_published_address_wins_under_a_supervisor_only() {
        let dir = tempfile::tempdir().unwrap();
        let under = source(Some(dir.path()), Some("0")).unwrap();
        assert_eq!(under.base_url(), None);
        for addr in ["127.0.0.1:20000", "[::1]:20001"] {
            addresses::publish(dir.path(), QWEN_PROXY, addr.parse().unwrap()).unwrap();
            assert_eq!(under.base_url(), Some(format!("http://{addr}")));
        }
        // The file may be of an api-server that was killed.
        let of_command = QwenProxy::of_command(dir.path(), |_| None).unwrap();
        assert_eq!(of_command.base_url().as_deref(), Some("http://127.0.0.1:3000"));
    }

    #[test]
    fn only_a_missing_base_url_is_added_and_only_for_a_qwen_proxy() {
        let url = |kind: &str, config: Value, base_url: Option<&str>| {
            let Value::Object(mut config) = config else { panic!("an object") };
            complete(kind, &mut config, base_url);
            config.remove("baseURL")
        };
        let here = Some("http://127.0.0.1:9");
        for missing in [json!({}), json!({"baseURL": null}), json!({"baseURL": ""})] {
            assert_eq!(url("qwen-proxy", missing.clone(), here), Some(json!("http://127.0.0.1:9")));
            assert_eq!(url("openai", missing.clone(), here), missing.get("baseURL").cloned());
            assert_eq!(url("qwen-proxy", missing.clone(), None), missing.get("baseURL").cloned());
        }
        assert_eq!(url("qwen-proxy", json!({"baseURL": "http://x"}), here), Some(json!("http://x")));
    }
}
