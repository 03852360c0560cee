//! `key …`: commands for the keys of clients. A new key is printed once; only its digest is stored.

mod set;
mod usage;

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use serde_json::{Map, Value, json};
use signalbox_core::{
    id::request_id,
    key_document::{self, Expiry, MAX_OVERLAP_SECONDS},
    schema::{ApiKey, NewApiKey},
};
use signalbox_daemon::NewKey;
use signalbox_store::{
    Error, Page,
    api_keys::{self, Rotation},
    usage::By,
};

use super::{
    context::CliContext,
    document::{self, refused},
    output::{Colour, CommandOutcome, CommandResult, Output},
    prompt,
    table::{plain, table},
};
use crate::clock::unix_ms;

const EXAMPLES: &str = "\
Examples:
  provider-router key create --name ci --model 'gpt-*' --rpm 60
  provider-router key create --name team --owner research --budget 100 --period month --expires-at 2027-12-31T00:00:00Z
  provider-router key create --file key.toml

There are no flags for guard and for queue of the limits: set them in a document or over REST; see
docs/keys.md.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the keys
    #[command(alias = "ls")]
    List,
    /// Show a key as a document that `key set --file` accepts, without its secret
    Show {
        /// Name or id of the key
        key: String,
    },
    /// Create a key, and print it once
    #[command(after_help = EXAMPLES)]
    Create(Box<Create>),
    /// Change fields of a key; the others and its secret stay
    #[command(after_help = set::EXAMPLES)]
    Set(Box<set::Set>),
    /// Replace a key by a new one with the same permissions, and print it once
    Rotate {
        /// Name or id of the key
        key: String,
        /// Seconds for which the previous key stays valid
        #[arg(long, value_name = "SECONDS", default_value_t = 0)]
        overlap: i64,
    },
    /// Revoke a key for good
    Revoke {
        /// Name or id of the key
        key: String,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
    },
    /// Sum requests, tokens and costs by key, owner, tag, model or provider
    Usage {
        /// Grouping of the sums: key, owner, tag, model or provider
        #[arg(long, default_value = "key", value_parser = usage::by)]
        by: By,
        /// Only the last DAYS days
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..))]
        days: Option<u16>,
    },
    /// Delete a key; its requests remain in the log
    #[command(alias = "rm")]
    Delete {
        /// Name or id of the key
        key: String,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Document of the key: a .json or .toml file, or - for stdin; flags replace its fields
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    fields: Fields,
}

/// Flags for the fields of a key.
#[derive(Debug, clap::Args)]
struct Fields {
    /// Name that says its purpose; unique
    #[arg(long)]
    name: Option<String>,
    /// Person or team that uses it
    #[arg(long)]
    owner: Option<String>,
    /// Label for the sums of costs. Can be repeated
    #[arg(long, value_name = "LABEL")]
    tag: Vec<String>,
    /// Model that may be requested, or, with a ! in front, that may not; a * matches any characters. Can be repeated
    /// [default: all]
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// API that may be used: chat, messages, responses, completions, embeddings, moderations or rerank. Can be repeated
    /// [default: all]
    #[arg(long, value_name = "API")]
    surface: Vec<String>,
    /// Address or network that may present it. Can be repeated [default: all]
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<String>,
    /// Requests per minute
    #[arg(long, value_name = "N")]
    rpm: Option<u64>,
    /// Tokens per minute
    #[arg(long, value_name = "N")]
    tpm: Option<u64>,
    /// Requests in flight
    #[arg(long, value_name = "N")]
    concurrency: Option<u64>,
    /// Place of its requests in queues: high, normal or low [default: normal]
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<String>,
    /// US dollars that may be spent in a period
    #[arg(long, value_name = "USD", requires = "period")]
    budget: Option<f64>,
    /// Period of the budget: day, week, month or total
    #[arg(long, requires = "budget")]
    period: Option<String>,
    /// When it ends to be valid, such as 2027-12-31T00:00:00Z [default: never]
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// How much of its requests is logged: full, redact or off
    #[arg(long, value_name = "MODE")]
    log_bodies: Option<String>,
    /// Refuse translations that lose a field
    #[arg(long)]
    strict: bool,
}

// === impl Command ===

impl Command {
    pub(super) async fn act(self, context: &CliContext, out: &mut Output) -> CommandOutcome {
        match self {
            Self::List => list(context, out).await,
            Self::Show { key } => show(&key, context, out).await,
            Self::Create(command) => create(&command, context, out).await,
            Self::Set(command) => set::set(&command, context, out).await,
            Self::Rotate { key, overlap } => rotate(&key, overlap, context, out).await,
            Self::Revoke { key, yes } => revoke(&key, yes, context, out).await,
            Self::Usage { by, days } => usage::show(by, days, context, out).await,
            Self::Delete { key, yes } => delete(&key, yes, context, out).await,
        }
    }
}

async fn list(context: &CliContext, out: &mut Output) -> CommandOutcome {
    let keys = api_keys::list(&context.store, Page::ALL).await?.items;
    let now_ms = unix_ms();
    let cells = |key: &ApiKey| {
        [
            key.name.clone(),
            format!("{}…", key.hint),
            key.grant.owner.clone().unwrap_or_default(),
            key.grant.models.as_ref().map_or_else(|| "all".to_owned(), |models| models.join(", ")),
            state(key, now_ms).to_owned(),
        ]
    };
    let rows: Vec<[String; 5]> = keys.iter().map(cells).collect();
    if rows.is_empty() {
        out.line("No keys found");
    } else {
        out.line(format!("Keys ({} total):", rows.len()));
        out.line(table(["Name", "Key", "Owner", "Models", "Status"], &rows));
    }
    let facts: Vec<Value> = keys.iter().map(facts).collect();
    Ok(CommandResult::done(json!({ "total": facts.len(), "keys": facts })))
}

async fn show(name: &str, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let key = find(context, name).await?;
    let document = key_document::write(&key.name, &key.grant, key.expires_at);
    out.line(toml::to_string_pretty(&document).context("the key cannot be written as TOML; use --json")?.trim_end());
    out.line(format!("# {}, {}…, id {}", state(&key, unix_ms()), key.hint, key.id));
    Ok(CommandResult::done(facts(&key)))
}

async fn create(command: &Create, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let now_ms = unix_ms();
    let expiry = Expiry { now_ms, stored: None };
    let fields = key_document::read(command.document()?, expiry).map_err(|mistakes| refused(&mistakes))?;
    let NewKey { key, hint, digest } = NewKey::generate().context("cannot create a key; nothing was changed")?;
    let new = NewApiKey { id: request_id().to_string(), hint, digest, fields };
    let made = match api_keys::insert(&context.store, &new, now_ms).await {
        Err(Error::Conflict { .. }) => {
            bail!("a key with the name {} exists; nothing was changed: choose another --name", plain(&new.fields.name))
        }
        made => made.context("nothing was changed")?,
    };
    out.coloured(Colour::Green, "Key created successfully!");
    tell(key.expose(), out);
    let name = plain(&made.name);
    Ok(with_secret(&made, key.expose()).if_unwritten(format!(
        "the key {name} was created, but not printed, and cannot be shown again: replace it with `provider-router key \
         rotate`, or delete it"
    )))
}

async fn rotate(name: &str, overlap: i64, context: &CliContext, out: &mut Output) -> CommandOutcome {
    ensure!(
        (0..=i64::from(MAX_OVERLAP_SECONDS)).contains(&overlap),
        "--overlap must be from 0 to {MAX_OVERLAP_SECONDS} seconds; nothing was changed"
    );
    let found = find(context, name).await?;
    let now_ms = unix_ms();
    let NewKey { key, hint, digest } = NewKey::generate().context("cannot create a key; nothing was changed")?;
    let previous_expires_at = (overlap > 0).then(|| now_ms.saturating_add(overlap.saturating_mul(1000)));
    let rotation = Rotation { hint, digest, previous_expires_at };
    let rotated = match api_keys::rotate(&context.store, &found.id, &rotation, now_ms).await {
        Err(Error::NotFound { .. }) => bail!("the key {} is revoked for good; create another one", plain(&found.name)),
        rotated => rotated.context("nothing was changed")?,
    };
    out.coloured(Colour::Green, "Key rotated successfully!");
    match overlap {
        0 => out.line("The previous key is no longer valid."),
        seconds => out.line(format!("The previous key stays valid for {seconds} s.")),
    }
    tell(key.expose(), out);
    let previous = match overlap {
        0 => "the previous one is no longer valid".to_owned(),
        seconds => format!("the previous one stays valid for {seconds} s"),
    };
    Ok(with_secret(&rotated, key.expose()).if_unwritten(format!(
        "the key {} was rotated, but the new one was not printed and cannot be shown again, and {previous}: rotate it \
         again",
        plain(&rotated.name)
    )))
}

async fn revoke(name: &str, yes: bool, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let found = find(context, name).await?;
    if !confirmed("Revoke", &found, yes, context).await? {
        out.line("Nothing was changed.");
        return Ok(CommandResult::done(json!({ "revoked": false, "id": found.id })));
    }
    let revoked = api_keys::revoke(&context.store, &found.id, unix_ms()).await.context("nothing was changed")?;
    out.coloured(Colour::Green, "Key revoked successfully!");
    Ok(CommandResult::done(json!({ "revoked": true, "id": revoked.id, "revoked_at": revoked.revoked_at })))
}

async fn delete(name: &str, yes: bool, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let found = find(context, name).await?;
    if !confirmed("Delete", &found, yes, context).await? {
        out.line("Nothing was changed.");
        return Ok(CommandResult::done(json!({ "deleted": false, "id": found.id })));
    }
    api_keys::delete(&context.store, &found.id).await.context("nothing was changed")?;
    out.coloured(Colour::Green, "Key deleted successfully!");
    Ok(CommandResult::done(json!({ "deleted": true, "id": found.id })))
}

/// Finds a key by its id or its name.
async fn find(context: &CliContext, name: &str) -> anyhow::Result<ApiKey> {
    let keys = api_keys::list(&context.store, Page::ALL).await?.items;
    let found = keys.into_iter().find(|key| key.id == name || key.name == name);
    found.with_context(|| format!("Key not found: {}. See `provider-router key list`", plain(name)))
}

async fn confirmed(verb: &str, key: &ApiKey, yes: bool, context: &CliContext) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    ensure!(context.asks, "this needs confirmation, but there is no terminal: use --yes");
    prompt::confirm(&format!("{verb} the key {} ({}…)?", plain(&key.name), key.hint), false).await
}

fn tell(key: &str, out: &mut Output) {
    out.line("It is shown only now; keep it in a safe place:");
    out.line(key);
}

const fn state(key: &ApiKey, now_ms: i64) -> &'static str {
    match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "Revoked",
        (None, Some(expires_at)) if expires_at <= now_ms => "Expired",
        (None, _) => "Valid",
    }
}

/// Returns the key as the REST API shows it.
fn facts(key: &ApiKey) -> Value {
    let mut facts = key_document::write(&key.name, &key.grant, key.expires_at);
    for (name, value) in [
        ("id", json!(key.id)),
        ("hint", json!(key.hint)),
        ("expires_at", json!(key.expires_at)),
        ("revoked_at", json!(key.revoked_at)),
        ("previous_expires_at", json!(key.previous_expires_at)),
        ("created_at", json!(key.created_at)),
        ("updated_at", json!(key.updated_at)),
    ] {
        facts.insert(name.to_owned(), value);
    }
    facts.into()
}

fn with_secret(key: &ApiKey, secret: &str) -> CommandResult {
    let mut facts = facts(key);
    facts["key"] = secret.into();
    CommandResult::done(facts)
}

// === impl Create ===

impl Create {
    fn document(&self) -> anyhow::Result<Map<String, Value>> {
        let mut document = self.file.as_deref().map(document::read).transpose()?.unwrap_or_default();
        self.fields.set(&mut document);
        Ok(document)
    }
}

// === impl Fields ===

impl Fields {
    /// Sets the fields that are given in a document of a key.
    fn set(&self, document: &mut Map<String, Value>) {
        let list = |items: &[String]| (!items.is_empty()).then(|| json!(items));
        let given = [
            ("name", self.name.as_ref().map(|name| json!(name))),
            ("owner", self.owner.as_ref().map(|owner| json!(owner))),
            ("tags", list(&self.tag)),
            ("models", list(&self.model)),
            ("surfaces", list(&self.surface)),
            ("addresses", list(&self.address)),
            ("log_bodies", self.log_bodies.as_ref().map(|mode| json!(mode))),
            ("priority", self.priority.as_ref().map(|priority| json!(priority))),
            ("expires_at", self.expires_at.as_ref().map(|time| json!(time))),
            ("strict", self.strict.then_some(Value::Bool(true))),
            ("budget", self.budget.as_ref().map(|amount| json!({ "amount_usd": amount, "period": self.period }))),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                document.insert(name.to_owned(), value);
            }
        }
        let limits = [("rpm", self.rpm), ("tpm", self.tpm), ("concurrency", self.concurrency)];
        if limits.iter().any(|(_, limit)| limit.is_some()) {
            let entry = document.entry("limits").or_insert_with(|| json!({}));
            // A value of another type is left for the validation.
            if let Value::Object(entry) = entry {
                entry.extend(limits.into_iter().filter_map(|(name, limit)| Some((name.to_owned(), json!(limit?)))));
            }
        }
    }
}
