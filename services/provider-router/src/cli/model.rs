//! `model …`: commands for models, and for the links between models and providers.

use anyhow::{bail, ensure};
use clap::Subcommand;
use serde_json::json;
use signalbox_core::{
    id::check_model_id,
    schema::NewModel,
    text::{NOT_A_LINE, NOT_PROSE, is_line, is_prose},
};
use signalbox_store::{
    catalog::{Catalog, Change},
    provider_models::NewLink,
};

use super::{
    context::{CliContext, find},
    output::{Colour, CommandOutcome, CommandResult, Output},
    prompt,
    table::table,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the models
    #[command(alias = "ls")]
    List {
        /// Only models with this capability
        #[arg(long, short, value_name = "NAME")]
        capability: Option<String>,
    },
    /// Add a model; asks for values that are not given as flags
    Add(Add),
    /// Link a model to a provider that serves it
    Link(Link),
    /// Remove the link between a model and a provider
    Unlink(Unlink),
}

#[derive(Debug, Default, clap::Args)]
pub(super) struct Add {
    /// Name in requests: letters, digits and . _ : / @ + -
    #[arg(long)]
    id: Option<String>,
    /// Display name [default: the id]
    #[arg(long)]
    name: Option<String>,
    /// Description
    #[arg(long)]
    description: Option<String>,
    /// Capabilities, separated by commas [default: chat]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    capabilities: Vec<String>,
    /// Provider that serves the model
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Make it the default model of that provider
    #[arg(long, requires = "provider")]
    default: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Link {
    /// Id of the provider
    provider: String,
    /// Id of the model
    model: String,
    /// Make it the default model of the provider
    #[arg(long)]
    default: bool,
    /// Name of the model at the provider [default: the id]
    #[arg(long, value_name = "NAME")]
    upstream_model: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Unlink {
    /// Id of the provider
    provider: String,
    /// Id of the model
    model: String,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
}

// === impl Command ===

impl Command {
    pub(super) async fn act(self, context: &CliContext, out: &mut Output) -> CommandOutcome {
        match self {
            Self::List { capability } => list(capability.as_deref(), context, out).await,
            Self::Add(command) => add(command, context, out).await,
            Self::Link(command) => link(&command, context, out).await,
            Self::Unlink(command) => unlink(&command, context, out).await,
        }
    }
}

async fn list(capability: Option<&str>, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let mut rows = Vec::new();
    let mut facts = Vec::new();
    for model in &catalog.models {
        if capability.is_some_and(|wanted| !model.capabilities.iter().any(|has| has == wanted)) {
            continue;
        }
        let serving = catalog.providers.iter().filter(|(.., links)| links.iter().any(|link| link.model.id == model.id));
        let serving: Vec<&str> = serving.map(|(row, ..)| row.id.as_str()).collect();
        rows.push([model.id.clone(), model.name.clone(), model.capabilities.join(", "), serving.join(", ")]);
        facts.push(json!({
            "id": model.id,
            "name": model.name,
            "description": model.description,
            "capabilities": model.capabilities,
            "providers": serving,
        }));
    }
    if rows.is_empty() {
        out.line("No models found");
    } else {
        out.line(format!("Models ({} total):", rows.len()));
        out.line(table(["ID", "Name", "Capabilities", "Providers"], &rows));
    }
    Ok(CommandResult::done(json!({ "total": facts.len(), "models": facts })))
}

async fn add(command: Add, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let new = |id: &str| {
        if let Err(mistake) = check_model_id(id) {
            bail!("a model id {mistake}, not `{id}`");
        }
        ensure!(catalog.models.iter().all(|model| model.id != id), "a model with the id {id} exists already");
        Ok(id.to_owned())
    };
    let asks = context.asks && command.id.is_none();
    let id = match &command.id {
        Some(id) => new(id)?,
        None if asks => prompt::ask("Model id", None, |id| new(id).map_err(|why| why.to_string())).await?,
        None => bail!("the model id is missing: set it with --id"),
    };
    let mut model = NewModel {
        name: command.name.clone().filter(|name| !name.trim().is_empty()).unwrap_or_else(|| id.clone()),
        id,
        description: command.description.clone().filter(|text| !text.is_empty()),
        capabilities: words(&command.capabilities.join(",")),
    };
    let mut link = command.provider.clone().map(|provider| (provider, command.default));
    if asks {
        model.name = prompt::ask("Name", Some(&model.name), |name| Ok(name.to_owned())).await?;
        let text = prompt::ask("Description (may be empty)", None, |text| Ok(text.to_owned())).await?;
        model.description = Some(text).filter(|text| !text.is_empty());
        model.capabilities = prompt::ask("Capabilities", Some("chat"), |text| Ok(words(text))).await?;
        link = ask_link(&catalog).await?;
    }
    if model.capabilities.is_empty() {
        model.capabilities = vec!["chat".to_owned()];
    }
    check(&model)?;
    let mut changes = vec![Change::Model(model.clone())];
    if let Some((provider, is_default)) = &link {
        find(&catalog, provider)?;
        let (provider_id, model_id) = (provider.clone(), model.id.clone());
        changes.push(Change::Link(NewLink { provider_id, model_id, is_default: *is_default, config: None }));
    }
    context.change(catalog.version, &changes).await?;
    out.coloured(Colour::Green, "Model created successfully!");
    match &link {
        Some((provider, _)) => out.line(format!("{provider} serves {}.", model.id)),
        None => out.line(format!("Link it to a provider: provider-router model link <provider-id> {}", model.id)),
    }
    Ok(CommandResult::done(json!({ "id": model.id, "provider": link.map(|(provider, _)| provider) })))
}

/// Checks the texts of a model.
fn check(model: &NewModel) -> anyhow::Result<()> {
    ensure!(is_line(&model.name), "name {NOT_A_LINE}");
    ensure!(model.description.as_deref().is_none_or(is_prose), "description {NOT_PROSE}");
    ensure!(model.capabilities.iter().all(|word| is_line(word)), "capabilities {NOT_A_LINE}");
    Ok(())
}

/// Asks for the provider that serves the model, and whether it is the default there. Returns `None` for an empty
/// answer.
async fn ask_link(catalog: &Catalog) -> anyhow::Result<Option<(String, bool)>> {
    let known = |id: &str| match id {
        "" => Ok(None),
        id => find(catalog, id).map(|(row, ..)| Some(row.id.clone())).map_err(|error| error.to_string()),
    };
    let Some(provider) = prompt::ask("Provider that serves it (may be empty)", None, known).await? else {
        return Ok(None);
    };
    let is_default = prompt::confirm("Is it the default model of this provider?", false).await?;
    Ok(Some((provider, is_default)))
}

async fn link(command: &Link, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let (row, _, links) = find(&catalog, &command.provider)?;
    known(&catalog, &command.model)?;
    let facts = |linked: bool, is_default: bool| json!({ "provider": row.id, "model": command.model, "linked": linked, "is_default": is_default });
    if let Some(link) = links.iter().find(|link| link.model.id == command.model) {
        out.coloured(Colour::Yellow, &format!("{} is linked to {} already", command.model, row.id));
        return Ok(CommandResult::done(facts(false, link.is_default)));
    }
    let ask = context.asks && !command.default && command.upstream_model.is_none();
    let is_default =
        command.default || (ask && prompt::confirm("Is it the default model of this provider?", false).await?);
    ensure!(command.upstream_model.as_deref().is_none_or(is_line), "upstream_model {NOT_A_LINE}");
    let config = command.upstream_model.as_ref().map(|name| json!({ "upstream_model": name }).to_string());
    let link = NewLink { provider_id: row.id.clone(), model_id: command.model.clone(), is_default, config };
    context.change(catalog.version, &[Change::Link(link)]).await?;
    out.coloured(Colour::Green, "Model linked successfully!");
    Ok(CommandResult::done(facts(true, is_default)))
}

async fn unlink(command: &Unlink, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let (row, _, links) = find(&catalog, &command.provider)?;
    let linked = links.iter().any(|link| link.model.id == command.model);
    ensure!(linked, "{} is not linked to {}: see `provider-router model list`", command.model, row.id);
    let question = format!("Unlink {} from {}?", command.model, row.id);
    if context.asks && !command.yes && !prompt::confirm(&question, true).await? {
        out.line("Nothing was changed.");
        return Ok(CommandResult::done(json!({ "unlinked": false })));
    }
    let (provider_id, model_id) = (row.id.clone(), command.model.clone());
    context.change(catalog.version, &[Change::DeleteLink { provider_id, model_id }]).await?;
    out.coloured(Colour::Green, "Model unlinked successfully!");
    Ok(CommandResult::done(json!({ "unlinked": true })))
}

fn known(catalog: &Catalog, id: &str) -> anyhow::Result<()> {
    let found = catalog.models.iter().any(|model| model.id == id);
    ensure!(found, "Model not found: {id}. See `provider-router model list`");
    Ok(())
}

/// Splits a text at commas, and drops empty parts.
fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
