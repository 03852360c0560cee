//! `provider …`: commands for providers.

mod add;
mod edit;
mod probe;

use clap::Subcommand;
use serde_json::{Value, json};
use signalbox_core::{
    schema::{self, NewProvider, ProviderConfig},
    secret::{MASK, is_sensitive_key},
};
use signalbox_store::catalog::Change;

pub(super) use self::probe::probe;
use super::{
    context::{CliContext, find},
    format::base_url,
    output::{Colour, CommandOutcome, CommandResult, Output},
    prompt,
    table::{plain, table},
};
use crate::provider::Config;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the providers, in the order in which they are tried
    #[command(alias = "ls")]
    List {
        /// Only providers of this type
        #[arg(long = "type", short = 't', value_name = "TYPE")]
        kind: Option<String>,
        /// Only enabled providers
        #[arg(long, short)]
        enabled: bool,
    },
    /// Add a provider; asks for values that are not given as flags
    Add(Box<add::Add>),
    /// Change a provider; without flags, asks what to change
    Edit(Box<edit::Edit>),
    /// Remove a provider with its configuration and links; its answers remain in the log
    #[command(alias = "rm")]
    Remove {
        /// Id of the provider
        id: String,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
    },
    /// Enable a provider
    Enable {
        /// Id of the provider
        id: String,
    },
    /// Disable a provider, so that it receives no requests
    Disable {
        /// Id of the provider
        id: String,
    },
    /// Test a provider by requesting its models, which costs nothing
    Test {
        /// Id of the provider
        id: String,
    },
}

// === impl Command ===

impl Command {
    pub(super) async fn act(self, context: &CliContext, out: &mut Output) -> CommandOutcome {
        match self {
            Self::List { kind, enabled } => list(kind.as_deref(), enabled, context, out).await,
            Self::Add(command) => add::add(*command, context, out).await,
            Self::Edit(command) => edit::edit(*command, context, out).await,
            Self::Remove { id, yes } => remove(&id, yes, context, out).await,
            Self::Enable { id } => switch(&id, true, context, out).await,
            Self::Disable { id } => switch(&id, false, context, out).await,
            Self::Test { id } => test(&id, context, out).await,
        }
    }
}

async fn list(kind: Option<&str>, enabled: bool, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let wanted = |row: &schema::Provider| kind.is_none_or(|kind| row.kind == kind) && (row.enabled || !enabled);
    let found: Vec<_> = catalog.providers.iter().filter(|(row, ..)| wanted(row)).collect();
    if found.is_empty() {
        out.line("No providers found");
        return Ok(CommandResult::done(json!({ "providers": [], "total": 0 })));
    }
    let cells = |(row, configs, _): &&(schema::Provider, Vec<ProviderConfig>, _)| {
        let status = if row.enabled { "Enabled" } else { "Disabled" };
        [
            row.id.clone(),
            row.name.clone(),
            row.kind.clone(),
            status.to_owned(),
            row.priority.to_string(),
            base_url(context, row, configs),
        ]
    };
    let rows: Vec<[String; 6]> = found.iter().map(cells).collect();
    out.line(format!("Providers ({} total):", rows.len()));
    out.line(table(["ID", "Name", "Type", "Status", "Priority", "Base URL"], &rows));
    let facts: Vec<Value> = found
        .iter()
        .map(|(row, configs, links)| {
            let models: Vec<&str> = links.iter().map(|link| link.model.id.as_str()).collect();
            let mut facts = json!(row);
            facts["config"] = shown(context, configs);
            facts["models"] = json!(models);
            facts
        })
        .collect();
    Ok(CommandResult::done(json!({ "total": facts.len(), "providers": facts })))
}

async fn remove(id: &str, yes: bool, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let (row, _, links) = find(&catalog, id)?;
    let models: Vec<&str> = links.iter().map(|link| link.model.id.as_str()).collect();
    if !models.is_empty() {
        out.line(format!("Models that {id} serves: {}", plain(&models.join(", "))));
    }
    if !yes {
        anyhow::ensure!(context.asks, "removing {id} needs confirmation, but there is no terminal: use --yes");
        if !prompt::confirm(&format!("Remove the provider {} ({id})?", plain(&row.name)), false).await? {
            out.line("Nothing was changed.");
            return Ok(CommandResult::done(json!({ "removed": false, "id": id })));
        }
    }
    context.change(catalog.version, &[Change::DeleteProvider(id.to_owned())]).await?;
    out.coloured(Colour::Green, "Provider removed successfully!");
    Ok(CommandResult::done(json!({ "removed": true, "id": id, "unlinked": models })))
}

async fn switch(id: &str, enabled: bool, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let (row, ..) = find(&catalog, id)?;
    let word = if enabled { "enabled" } else { "disabled" };
    if row.enabled == enabled {
        out.coloured(Colour::Yellow, &format!("Provider {id} is {word} already"));
        return Ok(CommandResult::done(json!({ "id": id, "enabled": enabled, "changed": false })));
    }
    let changed = NewProvider { enabled, ..new_of(row) };
    context.change(catalog.version, &[Change::Provider(changed)]).await?;
    out.coloured(Colour::Green, &format!("Provider {word} successfully!"));
    Ok(CommandResult::done(json!({ "id": id, "enabled": enabled, "changed": true })))
}

async fn test(id: &str, context: &CliContext, out: &mut Output) -> CommandOutcome {
    /// Maximum number of models shown.
    const MAX_SHOWN_MODELS: usize = 5;
    let catalog = context.catalog().await?;
    let (row, configs, _) = find(&catalog, id)?;
    let probed = probe(context, row, configs).await?;
    if let Some(why) = &probed.failure {
        out.coloured(Colour::Red, "Connection test failed");
        out.line(plain(why));
        return Ok(CommandResult::failed(probed.facts(id)));
    }
    out.coloured(Colour::Green, "Connection test successful!");
    out.line(format!("Response time: {}ms", probed.duration_ms));
    for model in probed.models.iter().take(MAX_SHOWN_MODELS) {
        out.line(format!("  - {}", plain(model)));
    }
    if probed.models.len() > MAX_SHOWN_MODELS {
        out.line(format!("  … and {} more", probed.models.len() - MAX_SHOWN_MODELS));
    }
    Ok(CommandResult::done(probed.facts(id)))
}

/// Returns the row in the form in which it is written.
fn new_of(row: &schema::Provider) -> NewProvider {
    NewProvider {
        id: row.id.clone(),
        name: row.name.clone(),
        kind: row.kind.clone(),
        enabled: row.enabled,
        priority: row.priority,
        description: row.description.clone(),
    }
}

/// Returns the row of a provider that is not in the table yet.
pub(super) fn row_of(new: &NewProvider) -> schema::Provider {
    schema::Provider {
        id: new.id.clone(),
        name: new.name.clone(),
        kind: new.kind.clone(),
        enabled: new.enabled,
        priority: new.priority,
        description: new.description.clone(),
        created_at: 0,
        updated_at: 0,
    }
}

/// Returns the configuration with its secrets masked. Values that cannot be decrypted are masked, too.
fn shown(context: &CliContext, configs: &[ProviderConfig]) -> Value {
    let value = |config: &ProviderConfig| {
        let secret = config.is_sensitive || is_sensitive_key(&config.key);
        let opened = if secret { None } else { context.opened(std::slice::from_ref(config)).ok() };
        opened.and_then(|mut opened| opened.remove(&config.key)).unwrap_or_else(|| MASK.into())
    };
    configs.iter().map(|config| (config.key.clone(), value(config))).collect::<Config>().into()
}
