//! `route set`: creates or replaces a route, from a document or from flags.

use std::path::PathBuf;

use anyhow::{bail, ensure};
use serde_json::{Map, Value, json};
use signalbox_core::{id::request_id, route_document};
use signalbox_management::shared_name;
use signalbox_store::catalog::Change;

use super::{facts, providers};
use crate::cli::{
    context::CliContext,
    document::{self, refused},
    output::{Colour, CommandOutcome, CommandResult, Output},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  provider-router route set --model fast --target groq/llama-3.3-70b --target openai/gpt-4.1-mini
  provider-router route set --model big --policy weighted --target a/x,weight=3 --target b/x --retries 2
  provider-router route set --model sol --target azure/my-deployment,api=responses
  provider-router route set route.toml
  provider-router route show fast > fast.toml; edit fast.toml; provider-router route set fast.toml

The route replaces the one of the same model: a field that is not given gets its default.
Some fields have no flag: deadlines, resume, strict, limits, hedge, mirror and guard of the route,
max_answer_bytes of its cache, and params, context_tokens, can, region and max_price_usd of its
targets. Set them in a document or over REST; see docs/routing.md.";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Set {
    /// Document of the route: a .json or .toml file, or - for stdin
    #[arg(conflicts_with_all = ["model", "target", "policy", "retries", "alias", "sticky", "cache", "resumable", "disabled"])]
    file: Option<PathBuf>,
    /// Name of the model in requests; a * matches any characters in its place
    #[arg(long, value_name = "NAME", requires = "target")]
    model: Option<String>,
    /// Target: a provider and the name of the model there, its weight, and the API in which it is asked: chat,
    /// messages or responses. Can be repeated
    #[arg(long, value_name = "PROVIDER/MODEL[,weight=N][,api=API]", requires = "model")]
    target: Vec<String>,
    /// Order in which the targets are tried: priority, weighted, round-robin, least-busy, latency or cheapest
    /// [default: priority]
    #[arg(long, value_name = "POLICY", requires = "model")]
    policy: Option<String>,
    /// Attempts after the first one, over all targets [default: each target once]
    #[arg(long, value_name = "N", requires = "model")]
    retries: Option<u64>,
    /// Other name of the route. Can be repeated
    #[arg(long, value_name = "NAME", requires = "model")]
    alias: Vec<String>,
    /// Keep requests of the same session or prompt prefix at the same target: session or prefix
    #[arg(long, value_name = "PROPERTY", requires = "model")]
    sticky: Option<String>,
    /// Give answers again for so many milliseconds, to the same key or, with a scope, to the same owner or to all
    #[arg(long, value_name = "TTL_MS[,SCOPE]", requires = "model")]
    cache: Option<String>,
    /// Let clients that lose their connection fetch the rest of a stream
    #[arg(long, requires = "model")]
    resumable: bool,
    /// Do not route requests by it
    #[arg(long, requires = "model")]
    disabled: bool,
}

pub(super) async fn set(command: Set, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let document = match (&command.file, &command.model) {
        (Some(file), _) => document::read(file)?,
        (None, Some(model)) => command.document(model)?,
        (None, None) => bail!("the route is missing: give a file, or --model and --target"),
    };
    let catalog = context.catalog().await?;
    let has_provider = |id: &str| catalog.providers.iter().any(|(row, ..)| row.id == id);
    let model = document.get("model").and_then(Value::as_str);
    let existing = catalog.routes.iter().find(|route| Some(route.model.as_str()) == model);
    let id = existing.map_or_else(|| request_id().to_string(), |route| route.id.clone());
    let route = route_document::read(id, document, &has_provider).map_err(|mistakes| refused(&mistakes))?;
    if let Some((name, other)) = shared_name(&route, &catalog.routes) {
        bail!("the route for {other} has the name {name} already; nothing was changed");
    }
    context.change(catalog.version, &[Change::Route(route.clone())]).await?;
    let word = if existing.is_some() { "changed" } else { "created" };
    out.coloured(Colour::Green, &format!("Route {word} successfully!"));
    let catalog = context.catalog().await?;
    let providers = providers(&catalog);
    let stored = catalog.routes.iter().find(|stored| stored.id == route.id);
    Ok(CommandResult::done(json!({
        "created": existing.is_none(),
        "route": stored.map(|stored| facts(stored, &providers)),
    })))
}

// === impl Set ===

impl Set {
    fn document(&self, model: &str) -> anyhow::Result<Map<String, Value>> {
        let targets = self.target.iter().map(|target| self::target(target)).collect::<anyhow::Result<Vec<_>>>()?;
        let given = json!({
            "model": model,
            "enabled": !self.disabled,
            "aliases": self.alias,
            "policy": self.policy,
            "targets": targets,
            "retries": self.retries,
            "sticky": self.sticky,
            "resumable": self.resumable,
            "cache": self.cache.as_deref().map(cache).transpose()?,
        });
        match given {
            Value::Object(fields) => Ok(fields),
            _ => Ok(Map::new()),
        }
    }
}

/// Reads `60000,owner`.
fn cache(text: &str) -> anyhow::Result<Value> {
    let (ttl, scope) = match text.split_once(',') {
        Some((ttl, scope)) => (ttl, Some(scope)),
        None => (text, None),
    };
    let Ok(ttl_ms) = ttl.parse::<u64>() else {
        bail!(
            "--cache takes the milliseconds for which answers are kept, and a scope such as 60000,owner; not `{text}`"
        );
    };
    Ok(json!({ "ttl_ms": ttl_ms, "scope": scope }))
}

/// Reads `provider/model,weight=N,api=NAME`. A model name may contain slashes and commas.
fn target(text: &str) -> anyhow::Result<Value> {
    let usage = || {
        format!(
            "--target takes PROVIDER/MODEL, with `,weight=N` if it has a weight, and `,api=` with chat, messages or \
             responses; not `{text}`"
        )
    };
    let (mut name, mut options) = (text, Map::new());
    while let Some((rest, option)) = name.rsplit_once(',') {
        let (key, value) = match option.split_once('=') {
            Some(("weight", weight)) => {
                let Ok(weight) = weight.parse::<u64>() else { bail!(usage()) };
                ("weight", Value::from(weight))
            }
            Some(("api", api)) => {
                ensure!(route_document::APIS.contains(&api), usage());
                ("api", api.into())
            }
            _ => break,
        };
        ensure!(options.insert(key.to_owned(), value).is_none(), usage());
        name = rest;
    }
    let Some((provider, model)) = name.split_once('/') else { bail!(usage()) };
    ensure!(!provider.is_empty() && !model.is_empty(), usage());
    let mut target = json!({ "provider": provider, "model": model });
    if let Value::Object(fields) = &mut target {
        fields.extend(options);
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_read() {
        assert_eq!(cache("60000").unwrap(), json!({"ttl_ms": 60_000, "scope": null}));
        assert_eq!(cache("5,owner").unwrap(), json!({"ttl_ms": 5, "scope": "owner"}));
        for text in ["", "owner", "1s", "-1"] {
            assert!(cache(text).unwrap_err().to_string().contains("--cache takes"), "{text}");
        }
    }

    #[test]
    fn targets_are_read() {
        for (text, read) in [
            ("a/m", json!({"provider": "a", "model": "m"})),
            ("a/org/m:free", json!({"provider": "a", "model": "org/m:free"})),
            ("a/m,weight=3", json!({"provider": "a", "model": "m", "weight": 3})),
            ("a/x,y", json!({"provider": "a", "model": "x,y"})),
            ("a/m,api=chat", json!({"provider": "a", "model": "m", "api": "chat"})),
            ("a/x,y,api=responses,weight=2", json!({"provider": "a", "model": "x,y", "weight": 2, "api": "responses"})),
        ] {
            assert_eq!(target(text).unwrap(), read);
        }
        for text in [
            "a",
            "/m",
            "a/",
            "a/m,weight=",
            "a/m,weight=-1",
            "a/m,weight=x",
            "a/m,api=",
            "a/m,api=gemini",
            "a/m,api=chat,api=chat",
        ] {
            assert!(target(text).unwrap_err().to_string().contains("PROVIDER/MODEL"), "{text}");
        }
    }
}
