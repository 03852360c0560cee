//! Texts that several commands print.

use jiff::Timestamp;
use serde_json::Value;
use signalbox_core::provider_type::{ECHO, QWEN_PROXY, provider_type};
use signalbox_core::schema::{self, ProviderConfig};

use super::context::CliContext;

/// Returns the base URL of a provider: the configured one, or the default of its type.
pub(super) fn base_url(context: &CliContext, row: &schema::Provider, configs: &[ProviderConfig]) -> String {
    let of_kind = match row.kind.as_str() {
        ECHO => "built in".to_owned(),
        QWEN_PROXY => context.qwen_proxy.base_url().unwrap_or_else(|| "not running".to_owned()),
        kind => provider_type(kind).base_url.unwrap_or("none").to_owned(),
    };
    let configured = configs.iter().filter(|config| config.key == "baseURL");
    let opened = context.opened(&configured.cloned().collect::<Vec<_>>()).unwrap_or_default();
    opened.get("baseURL").and_then(Value::as_str).filter(|url| !url.is_empty()).map_or(of_kind, str::to_owned)
}

/// Formats Unix milliseconds as a UTC date and time.
pub(super) fn format_time(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .map_or_else(|_| "unknown".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}
