//! `route set`: creates or replaces a route, from a document or from flags.

use std::path::PathBuf;

use anyhow::bail;
use serde_json::{Map, Value, json};
use signalbox_core::{id::request_id, provider_config::Mistake, route_document};
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
  provider-router route set --model big --policy weighted --target a/x,weight=3 --target b/x --retries 2 \\
    --deadline first_token_ms=10000 --deadline idle_ms=15000 --resume verbatim
  provider-router route set --model sol --target azure/my-deployment,api=responses
  provider-router route set --model safe --target a/x,context_tokens=8192 --params 'a/x={\"temperature\": 0}'
  provider-router route set route.toml
  provider-router route show fast > fast.toml; edit fast.toml; provider-router route set fast.toml

The route replaces the one of the same model: a field that is not given gets its default.
Some fields have no flag: guard of the route, queue of its limits, max_answer_bytes of its cache,
and can of its targets. Set them in a document or over REST; see docs/routing.md.";

/// Numbers and texts that a target may have behind its name.
const TARGET_NUMBERS: [&str; 3] = ["weight", "context_tokens", "max_price_usd"];
const TARGET_TEXTS: [&str; 2] = ["region", "key"];

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Set {
    /// Document of the route: a .json or .toml file, or - for stdin
    #[arg(conflicts_with_all = [
        "model", "target", "params", "policy", "retries", "deadline", "resume", "alias", "sticky", "cache", "limit",
        "hedge", "mirror", "resumable", "strict", "disabled",
    ])]
    file: Option<PathBuf>,
    /// Name of the model in requests; a * matches any characters in its place
    #[arg(long, value_name = "NAME", requires = "target")]
    model: Option<String>,
    /// Target: a provider and the name of the model there, and weight, the API in which it is asked (chat, messages or
    /// responses), context_tokens, max_price_usd, region and key (of the provider). Can be repeated
    #[arg(long, value_name = "PROVIDER/MODEL[,weight=N…]", requires = "model")]
    target: Vec<String>,
    /// Fields that a target sets in the body, as JSON. Can be repeated
    #[arg(long, value_name = "PROVIDER/MODEL=JSON", requires = "model")]
    params: Vec<String>,
    /// Order in which the targets are tried: priority, weighted, round-robin, least-busy, latency or cheapest
    /// [default: priority]
    #[arg(long, value_name = "POLICY", requires = "model")]
    policy: Option<String>,
    /// Attempts after the first one, over all targets [default: each target once]
    #[arg(long, value_name = "N", requires = "model")]
    retries: Option<u64>,
    /// Deadline: connect_ms, headers_ms, first_token_ms, idle_ms or total_ms. Can be repeated [default: the router's]
    #[arg(long, value_name = "NAME=MS", requires = "model")]
    deadline: Vec<String>,
    /// Continuation of broken streams by the next target: verbatim or off [default: off]
    #[arg(long, value_name = "MODE", requires = "model")]
    resume: Option<String>,
    /// Other name of the route. Can be repeated
    #[arg(long, value_name = "NAME", requires = "model")]
    alias: Vec<String>,
    /// Keep requests of the same session or prompt prefix at the same target: session or prefix
    #[arg(long, value_name = "PROPERTY", requires = "model")]
    sticky: Option<String>,
    /// Give answers again for so many milliseconds, to the same key or, with a scope, to the same owner or to all
    #[arg(long, value_name = "TTL_MS[,SCOPE]", requires = "model")]
    cache: Option<String>,
    /// Limit of the requests of the route: rpm, tpm or concurrency. Can be repeated
    #[arg(long, value_name = "NAME=N", requires = "model")]
    limit: Vec<String>,
    /// Ask the next target, too, when a stream begins later than this share of them, but not before MIN_MS
    #[arg(long, value_name = "QUANTILE,MIN_MS", requires = "model")]
    hedge: Option<String>,
    /// Target that gets copies of so many percent of the requests
    #[arg(long, value_name = "PROVIDER/MODEL,percent=N", requires = "model")]
    mirror: Option<String>,
    /// Let clients that lose their connection fetch the rest of a stream
    #[arg(long, requires = "model")]
    resumable: bool,
    /// Refuse requests whose translation loses a field
    #[arg(long, requires = "model")]
    strict: bool,
    /// Do not route requests by it
    #[arg(long, requires = "model")]
    disabled: bool,
}

pub(super) async fn set(command: Set, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let mut wrong = Vec::new();
    let document = match (&command.file, &command.model) {
        (Some(file), _) => document::read(file)?,
        (None, Some(model)) => command.document(model, &mut wrong),
        (None, None) => bail!("the route is missing: give a file, or --model and --target"),
    };
    let catalog = context.catalog().await?;
    let has_provider = |id: &str| catalog.providers.iter().any(|(row, ..)| row.id == id);
    let model = document.get("model").and_then(Value::as_str);
    let existing = catalog.routes.iter().find(|route| Some(route.model.as_str()) == model);
    let id = existing.map_or_else(|| request_id().to_string(), |route| route.id.clone());
    let route = match route_document::read(id, document, &has_provider) {
        Ok(route) if wrong.is_empty() => route,
        read => {
            wrong.extend(read.err().unwrap_or_default());
            return Err(refused(&wrong));
        }
    };
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
    /// Returns the document that the flags stand for. What cannot be read is added to `wrong`.
    fn document(&self, model: &str, wrong: &mut Vec<Mistake>) -> Map<String, Value> {
        let mut note = |flag: &str, read: Result<Value, String>| {
            read.map_err(|what| wrong.push(Mistake { path: format!("--{flag}"), what })).unwrap_or_default()
        };
        let mut targets: Vec<Value> = self.target.iter().map(|text| note("target", target(text))).collect();
        for text in &self.params {
            let set = params(text, &mut targets);
            note("params", set);
        }
        let deadlines = note("deadline", numbers(&self.deadline, "first_token_ms=10000"));
        let limits = note("limit", numbers(&self.limit, "rpm=600"));
        let mut optional = |flag: &str, text: &Option<String>, read: fn(&str) -> Result<Value, String>| {
            text.as_deref().map_or(Value::Null, |text| note(flag, read(text)))
        };
        let cache = optional("cache", &self.cache, cache);
        let hedge = optional("hedge", &self.hedge, hedge);
        let mirror = optional("mirror", &self.mirror, mirror);
        // A target that cannot be read has been told; without it, the others are checked.
        targets.retain(Value::is_object);
        let given = json!({
            "model": model,
            "enabled": !self.disabled,
            "aliases": self.alias,
            "policy": self.policy,
            "targets": targets,
            "retries": self.retries,
            "deadlines": deadlines,
            "resume": self.resume,
            "sticky": self.sticky,
            "strict": self.strict,
            "resumable": self.resumable,
            "cache": cache,
            "limits": limits,
            "hedge": hedge,
            "mirror": mirror,
        });
        match given {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// Reads `name=number` of each text. The names are left for the validation.
fn numbers(texts: &[String], example: &str) -> Result<Value, String> {
    let mut read = Map::new();
    for text in texts {
        let number = text.split_once('=').and_then(|(name, number)| Some((name, number.parse::<u64>().ok()?)));
        let Some((name, number)) = number else {
            return Err(format!("takes a name and a whole number, such as {example}; not `{text}`"));
        };
        if read.insert(name.to_owned(), number.into()).is_some() {
            return Err(format!("has {name} twice"));
        }
    }
    Ok(read.into())
}

/// Reads `60000,owner`.
fn cache(text: &str) -> Result<Value, String> {
    let (ttl, scope) = match text.split_once(',') {
        Some((ttl, scope)) => (ttl, Some(scope)),
        None => (text, None),
    };
    let Ok(ttl_ms) = ttl.parse::<u64>() else {
        return Err(format!(
            "takes the milliseconds for which answers are kept, and a scope such as 60000,owner; not `{text}`"
        ));
    };
    Ok(json!({ "ttl_ms": ttl_ms, "scope": scope }))
}

/// Reads `0.95,500`.
fn hedge(text: &str) -> Result<Value, String> {
    let read = text.split_once(',').and_then(|(quantile, min_ms)| {
        Some(json!({ "quantile": quantile.parse::<f64>().ok()?, "min_ms": min_ms.parse::<u64>().ok()? }))
    });
    read.ok_or_else(|| format!("takes a quantile and milliseconds, such as 0.95,500; not `{text}`"))
}

/// Reads `provider/model,percent=N`.
fn mirror(text: &str) -> Result<Value, String> {
    let usage = || format!("takes PROVIDER/MODEL,percent=N; not `{text}`");
    let (name, percent) = text.rsplit_once(",percent=").ok_or_else(usage)?;
    let percent: f64 = percent.parse().map_err(|_| usage())?;
    let mut mirror = named(name).ok_or_else(usage)?;
    mirror.insert("percent".to_owned(), json!(percent));
    Ok(mirror.into())
}

/// Reads `provider/model,weight=N,region=eu`. A model name may contain slashes and commas.
fn target(text: &str) -> Result<Value, String> {
    let usage = || {
        format!(
            "takes PROVIDER/MODEL, with `,weight=N`, `,api=` with chat, messages or responses, `,context_tokens=N`, \
             `,max_price_usd=N`, `,region=NAME` and `,key=NAME` behind it; not `{text}`"
        )
    };
    let (mut name, mut options) = (text, Map::new());
    while let Some((rest, option)) = name.rsplit_once(',') {
        let Some((key, value)) = option.split_once('=') else { break };
        let value: Value = if TARGET_NUMBERS.contains(&key) {
            value.parse::<serde_json::Number>().map_err(|_| usage())?.into()
        } else if key == "api" {
            if !route_document::APIS.contains(&value) {
                return Err(usage());
            }
            value.into()
        } else if TARGET_TEXTS.contains(&key) {
            value.into()
        } else {
            break;
        };
        if options.insert(key.to_owned(), value).is_some() {
            return Err(usage());
        }
        name = rest;
    }
    let mut target = named(name).ok_or_else(usage)?;
    target.extend(options);
    Ok(target.into())
}

/// Reads `provider/model`.
fn named(text: &str) -> Option<Map<String, Value>> {
    let (provider, model) = text.split_once('/')?;
    if provider.is_empty() || model.is_empty() {
        return None;
    }
    Some([("provider".to_owned(), provider.into()), ("model".to_owned(), model.into())].into_iter().collect())
}

/// Reads `provider/model={…}`, and sets the fields in the targets with this name.
fn params(text: &str, targets: &mut [Value]) -> Result<Value, String> {
    let usage = || format!("takes PROVIDER/MODEL and an object, such as a/m={{\"temperature\": 0}}; not `{text}`");
    let (name, params) = text.split_once("={").ok_or_else(usage)?;
    let params: Map<String, Value> = serde_json::from_str(&format!("{{{params}")).map_err(|_| usage())?;
    let named = named(name).ok_or_else(usage)?;
    let mut is_found = false;
    for target in targets.iter_mut().filter_map(Value::as_object_mut) {
        if named.iter().all(|(field, value)| target.get(field) == Some(value)) {
            target.insert("params".to_owned(), params.clone().into());
            is_found = true;
        }
    }
    if is_found { Ok(Value::Null) } else { Err(format!("names {name}, which is no --target")) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use signalbox_core::schema::{NewRoute, Resume};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        set: Set,
    }

    fn read(flags: &str) -> Result<NewRoute, Vec<String>> {
        let line = Line::parse_from(["set", "--model", "m"].into_iter().chain(flags.split(' ')));
        let mut wrong = Vec::new();
        let document = line.set.document("m", &mut wrong);
        let read = route_document::read("id".to_owned(), document, &|id| id != "none");
        match read {
            Ok(route) if wrong.is_empty() => Ok(route),
            read => {
                wrong.extend(read.err().unwrap_or_default());
                Err(wrong.iter().map(ToString::to_string).collect())
            }
        }
    }

    #[test]
    fn every_flag_reaches_the_route() {
        let route = read(
            "--target a/x,weight=3,context_tokens=8192,region=eu,max_price_usd=0.5 --target b/y --params b/y={\"n\":1} \
             --deadline first_token_ms=10000 --deadline idle_ms=15000 --resume verbatim --strict --limit rpm=6 \
             --limit concurrency=2 --hedge 0.9,300 --mirror c/z,percent=12.5 --cache 60000,owner --resumable",
        )
        .unwrap();
        let NewRoute { plan, .. } = route;
        let target = &plan.targets[0];
        let facts = (target.weight, target.context_tokens, target.region.as_deref(), target.max_price_usd);
        assert_eq!(facts, (Some(3), Some(8192), Some("eu"), Some(0.5)));
        assert_eq!(Value::from(plan.targets[1].params.clone()), json!({"n": 1}));
        assert_eq!((plan.deadlines.first_token_ms, plan.deadlines.idle_ms), (Some(10_000), Some(15_000)));
        assert_eq!((plan.resume, plan.strict, plan.resumable), (Resume::Verbatim, true, true));
        assert_eq!((plan.limits.rpm, plan.limits.concurrency), (Some(6), Some(2)));
        assert_eq!(plan.hedge.map(|hedge| (hedge.quantile, hedge.min_ms)), Some((0.9, 300)));
        assert_eq!(plan.mirror.map(|mirror| (mirror.provider, mirror.percent)), Some(("c".to_owned(), 12.5)));
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let wrong = read(
            "--target a --target none/x --params a/q={} --deadline idle_ms=soon --limit rps=1 --hedge 2,1 --mirror a/b \
             --cache 1s",
        )
        .unwrap_err();
        for told in [
            "--target takes PROVIDER/MODEL",
            "--params names a/q, which is no --target",
            "--deadline takes a name and a whole number",
            "--mirror takes PROVIDER/MODEL,percent=N",
            "--cache takes the milliseconds",
            "targets[0].provider must be the id of a provider",
            "limits.rps is an unknown field",
            "hedge.quantile must be a number",
        ] {
            assert!(wrong.iter().any(|mistake| mistake.starts_with(told)), "{told}: {wrong:#?}");
        }
        for flags in ["--limit rpm=1 --limit rpm=2", "--deadline total_ms=1 --deadline total_ms=1"] {
            assert!(read(&format!("--target a/x {flags}")).unwrap_err()[0].contains("twice"), "{flags}");
        }
    }

    #[test]
    fn caches_are_read() {
        assert_eq!(cache("60000").unwrap(), json!({"ttl_ms": 60_000, "scope": null}));
        assert_eq!(cache("5,owner").unwrap(), json!({"ttl_ms": 5, "scope": "owner"}));
        for text in ["", "owner", "1s", "-1"] {
            assert!(cache(text).is_err(), "{text}");
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
            ("a/x,y,region=eu", json!({"provider": "a", "model": "x,y", "region": "eu"})),
            ("a/x,key=team-b", json!({"provider": "a", "model": "x", "key": "team-b"})),
            ("a/x=1,y=2", json!({"provider": "a", "model": "x=1,y=2"})),
        ] {
            assert_eq!(target(text).unwrap(), read);
        }
        for text in [
            "a",
            "/m",
            "a/",
            "a/m,weight=",
            "a/m,weight=x",
            "a/m,weight=1,weight=2",
            "a/m,api=",
            "a/m,api=gemini",
            "a/m,api=chat,api=chat",
        ] {
            assert!(target(text).unwrap_err().contains("PROVIDER/MODEL"), "{text}");
        }
    }
}
