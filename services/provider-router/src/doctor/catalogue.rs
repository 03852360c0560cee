//! Checks of the providers and the prices, from their rows.

use serde_json::{Map, Value};
use signalbox_core::{
    provider_config::{API_KEYS, DEFAULT_KEY},
    provider_type::{ApiKey, ECHO, provider_type},
    schema,
};

use super::{Check, subject::Subject};
use crate::{
    provider::{Adapter, Config},
    route::{RouteError, candidates},
};

const LINK: &str = "docs/providers.md#configuration-of-a-provider";

/// Beginnings of the keys of vendors whose keys have one.
const KEY_PREFIXES: [(&str, &str); 6] = [
    ("anthropic", "sk-ant-"),
    ("openai", "sk-"),
    ("openrouter", "sk-or-"),
    ("groq", "gsk_"),
    ("xai", "xai-"),
    ("cerebras", "csk-"),
];
/// Minimum bytes of a text that looks like a key.
const SHORT_KEY: usize = 16;

/// Checks the providers, the active one, and the document of prices.
pub(super) fn checks(subject: &Subject) -> Vec<Check> {
    let mut checks = vec![enabled(subject), active(subject), default_model(subject), prices(subject)];
    for (row, config, _) in subject.rows.providers.iter().filter(|(row, ..)| row.enabled) {
        checks.push(configuration(subject, row));
        if row.kind != ECHO {
            checks.push(key(row, &subject.opened(config)));
        }
    }
    checks
}

fn enabled(subject: &Subject) -> Check {
    let (enabled, all) = (subject.snapshot.len(), subject.rows.providers.len());
    let finding = format!("{enabled} of {all} providers are enabled");
    if enabled > 0 {
        return Check::ok("providers.enabled", finding);
    }
    Check::fail("providers.enabled", finding)
        .remedy("add or enable a provider: `provider-router provider add`")
        .link("docs/providers.md#adding-one")
}

fn active(subject: &Subject) -> Check {
    const LINK: &str = "docs/providers.md#which-provider-answers";
    match (subject.snapshot.chosen(), subject.snapshot.active()) {
        (None | Some(""), _) => {
            Check::ok("providers.active", "no provider is active; the priorities decide").link(LINK)
        }
        (Some(id), Some(_)) => Check::ok("providers.active", format!("`{id}` is active")).link(LINK),
        (Some(id), None) => {
            let exists = subject.rows.providers.iter().any(|(row, ..)| row.id == id);
            let finding =
                format!("the active provider `{id}` {}", if exists { "is disabled" } else { "does not exist" });
            Check::warn("providers.active", finding)
                .remedy("enable it, or choose another one: `provider-router set provider ID`")
                .link(LINK)
        }
    }
}

fn default_model(subject: &Subject) -> Check {
    match candidates(&subject.snapshot, None) {
        Ok(_) => Check::ok("providers.default", "requests that name no model are answered"),
        // A limit that is reached is a passing state.
        Err(RouteError::AtLimit { .. }) => Check::ok("providers.default", "requests that name no model are answered"),
        Err(
            error @ (RouteError::MissingModel(_)
            | RouteError::UnknownModel(_)
            | RouteError::NoMatch { .. }
            | RouteError::NoTarget { .. }),
        ) => Check::warn("providers.default", format!("a request that names no model is refused: {error}"))
            .remedy("set `defaultModel` of the active provider, if clients omit the model"),
    }
    .link("docs/providers.md#which-provider-answers")
}

fn prices(subject: &Subject) -> Check {
    const LINK: &str = "docs/costs.md#prices-of-your-own";
    match (&subject.price_mistakes, &subject.rows.prices) {
        (Some(mistakes), _) => Check::fail("prices.overrides", format!("your prices are ignored: {mistakes}"))
            .remedy("correct them: `provider-router price show --overrides`, then `price set`")
            .link(LINK),
        (None, Some(_)) => Check::ok("prices.overrides", "your prices are in effect").link(LINK),
        (None, None) => Check::ok("prices.overrides", "the shipped prices are in effect").link(LINK),
    }
}

fn configuration(subject: &Subject, row: &schema::Provider) -> Check {
    let id = format!("provider.{}.config", row.id);
    match subject.snapshot.provider(&row.id).map(|provider| &provider.adapter) {
        Some(Adapter::Misconfigured(reason)) => Check::fail(id, format!("its configuration is not usable: {reason}"))
            .remedy(format!("correct it: `provider-router provider edit {}`", row.id)),
        Some(Adapter::Remote(_) | Adapter::Echo(_)) => Check::ok(id, "its configuration is usable"),
        None => Check::skipped(id, "it is disabled"),
    }
    .link(LINK)
}

/// Checks that a key is set where one is needed, and that it looks like one. No part of the key is shown.
fn key(row: &schema::Provider, config: &Config) -> Check {
    let id = format!("provider.{}.key", row.id);
    let remedy = format!("set it: `provider-router provider edit {} --set apiKey=…`", row.id);
    let kind = provider_type(&row.kind);
    let has_header = config.get("headers").is_some_and(|headers| !headers.is_null() && headers.as_str() != Some(""));
    if let Some(keys) = config.get(API_KEYS).and_then(Value::as_object).filter(|keys| !keys.is_empty()) {
        return several(row, config, keys).link(LINK);
    }
    let given = config.get("apiKey").and_then(Value::as_str).unwrap_or_default();
    let check = match (given.trim(), kind.api_key) {
        ("", ApiKey::Required) if !has_header => Check::fail(id, "it needs a key, and none is set").remedy(remedy),
        ("", ApiKey::Required) => Check::ok(id, "no key is set; its headers may carry one"),
        ("", ApiKey::None | ApiKey::Optional) => Check::ok(id, "no key is set, and none is required"),
        (key, _) => match oddity(&row.kind, given, key) {
            Some(oddity) => Check::warn(id, format!("the key {oddity}")).remedy(remedy),
            None => Check::ok(id, format!("a key of {} characters is set", key.chars().count())),
        },
    };
    check.link(LINK)
}

/// Checks the keys of a provider that has several.
fn several(row: &schema::Provider, config: &Config, keys: &Map<String, Value>) -> Check {
    let id = format!("provider.{}.key", row.id);
    let first = config.get("apiKey").filter(|key| key.as_str().is_some_and(|key| !key.is_empty()));
    let all = first.map(|key| (DEFAULT_KEY, key)).into_iter().chain(keys.iter().map(|(name, key)| (&**name, key)));
    let odd = |(name, key): (&str, &Value)| {
        let given = key.as_str().unwrap_or_default();
        oddity(&row.kind, given, given.trim()).map(|oddity| format!("the key {name} {oddity}"))
    };
    match all.clone().find_map(odd) {
        Some(odd) => Check::warn(id, odd)
            .remedy(format!("set it: `provider-router provider edit {} --set-env {API_KEYS}.NAME=VARIABLE`", row.id)),
        None => Check::ok(id, format!("{} keys are set", all.count())),
    }
}

/// Returns what is odd about a key, without its text.
fn oddity(kind: &str, given: &str, key: &str) -> Option<String> {
    let lower = key.to_ascii_lowercase();
    let placeholder = ["your", "xxxx", "...", "…", "<", "changeme", "placeholder", "${"];
    if placeholder.iter().any(|mark| lower.contains(mark)) {
        return Some("looks like a placeholder".to_owned());
    }
    if key.starts_with(['"', '\'']) || key.ends_with(['"', '\'']) {
        return Some("is in quotation marks, which belong to the shell".to_owned());
    }
    if key.chars().any(char::is_whitespace) && !lower.starts_with("bearer ") {
        return Some("has white space within it".to_owned());
    }
    if given.len() != key.len() {
        return Some("has white space around it, which is ignored".to_owned());
    }
    if key.len() < SHORT_KEY {
        return Some(format!("has only {} characters", key.chars().count()));
    }
    let (_, prefix) = KEY_PREFIXES.iter().find(|(known, _)| *known == kind)?;
    (!key.starts_with(prefix)).then(|| format!("does not begin with `{prefix}`, as those of this provider do"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::State;

    fn checked(kind: &str, config: &Value) -> Check {
        let row = schema::Provider {
            id: "p".into(),
            name: "P".into(),
            kind: kind.into(),
            enabled: true,
            priority: 0,
            description: None,
            created_at: 0,
            updated_at: 0,
        };
        key(&row, config.as_object().unwrap())
    }

    #[test]
    fn keys_are_judged_and_never_shown() {
        let canary = "canary0123456789abcdef";
        for (kind, key, state, told) in [
            ("openai", String::new(), State::Fail, "needs a key"),
            ("lm-studio", String::new(), State::Ok, "none is required"),
            ("openai", format!("sk-{canary}"), State::Ok, "25 characters"),
            ("openai", canary.to_owned(), State::Warn, "does not begin with `sk-`"),
            ("openai", format!(" sk-{canary}"), State::Warn, "white space around"),
            ("openai", format!("sk-{canary} x"), State::Warn, "white space within"),
            ("openai", format!("\"sk-{canary}\""), State::Warn, "quotation marks"),
            ("openai", "sk-your-key-here-canary".to_owned(), State::Warn, "placeholder"),
            ("groq", "gsk_canary".to_owned(), State::Warn, "only 10 characters"),
            ("openai-compatible", canary.to_owned(), State::Ok, "22 characters"),
        ] {
            let check = checked(kind, &json!({ "apiKey": key }));
            assert_eq!(check.state, state, "{check:?}");
            assert!(check.finding.contains(told), "{check:?}");
            assert!(!serde_json::to_string(&check).unwrap().contains("canary"), "{check:?}");
            assert_eq!(check.remedy.is_some(), state != State::Ok, "{check:?}");
        }
        assert_eq!(checked("openai", &json!({"headers": {"authorization": "x"}})).state, State::Ok);
        let several = checked("openai", &json!({"apiKey": "sk-1234567890abcdef1234", "apiKeys": {"b": "sk-<canary>"}}));
        assert!(several.state == State::Warn && several.finding.contains("the key b looks like a placeholder"));
        assert!(!several.finding.contains("canary"), "{}", several.finding);
    }
}
