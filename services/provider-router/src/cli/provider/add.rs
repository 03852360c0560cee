//! `provider add`: creates a provider.

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use signalbox_core::{
    id::check_provider_id,
    provider_config::check_type,
    provider_type::{ECHO, Field, PROVIDER_TYPES, ProviderType, provider_type},
    schema::NewProvider,
    secret::{MASK, is_sensitive_key},
    text::{NOT_A_LINE, NOT_PROSE, is_blank, is_line, is_prose},
};
use signalbox_store::{
    catalog::{Catalog, Change},
    settings::ACTIVE_PROVIDER,
};

use super::{CliContext, row_of};
use crate::cli::{
    output::{Colour, CommandOutcome, CommandResult, Output},
    prompt,
    values::{self, Values, complete, stored, typed},
};

#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct Add {
    /// Id: lowercase letters, digits and hyphens
    #[arg(long)]
    id: Option<String>,
    /// Display name; unique [default: the id]
    #[arg(long)]
    name: Option<String>,
    /// Type: openai, lm-studio, …; any other word stands for a provider with OpenAI's API at a baseURL
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Description
    #[arg(long)]
    description: Option<String>,
    /// Priority; higher is tried first [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Create it disabled: it receives no requests
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    values: Values,
}

/// Provider to be created.
struct PlannedProvider {
    provider: NewProvider,
    config: Vec<(String, Value)>,
}

pub(in crate::cli) async fn add(command: Add, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    // With an id, a type or a value as a flag, nothing is asked, for scripts.
    let asks = context.asks && command.id.is_none() && command.kind.is_none() && command.values.is_empty();
    let plan = if asks {
        from_prompts(&command, &catalog, context, out).await?
    } else {
        from_flags(&command, &catalog, context)?
    };
    let Some(PlannedProvider { provider, config }) = plan else {
        out.line("Nothing was changed.");
        return Ok(CommandResult::done(json!({ "created": false })));
    };
    context.check_config(&row_of(&provider), &config.iter().cloned().collect())?;
    let mut changes = vec![Change::Provider(provider.clone())];
    let provider_id = &provider.id;
    changes.extend(
        config
            .iter()
            .map(|(key, value)| Change::Config { provider_id: provider_id.clone(), value: stored(key, value, &[]) }),
    );
    // The first provider of a new installation becomes active, because the user wants to use it. Later ones do not.
    let becomes_active = provider.enabled && provider.kind != ECHO && context.active_is_seeded().await?;
    if becomes_active {
        changes.push(Change::Setting { key: ACTIVE_PROVIDER.to_owned(), value: provider_id.clone() });
    }
    context.change(catalog.version, &changes).await?;
    out.coloured(Colour::Green, "Provider created successfully!");
    if becomes_active {
        out.line(
            "It is now the active provider, which is tried first. Choose another with `provider-router set <id>`.",
        );
    }
    out.line(format!("Test it with: provider-router provider test {provider_id}"));
    Ok(CommandResult::done(json!({
        "created": true,
        "id": provider.id,
        "name": provider.name,
        "type": provider.kind,
        "enabled": provider.enabled,
        "priority": provider.priority,
        "active": becomes_active,
    })))
}

/// Builds the plan from the flags.
fn from_flags(command: &Add, catalog: &Catalog, context: &CliContext) -> anyhow::Result<Option<PlannedProvider>> {
    let id = command.id.as_deref().context("the provider id is missing: set it with --id")?;
    new_id(catalog, id)?;
    let kind = command
        .kind
        .as_deref()
        .context("the provider type is missing: set it with --type, such as openai or lm-studio")?;
    let kind_row = known_kind(kind)?;
    let config = command.values.read(kind_row, &|url| context.address(url))?;
    complete(kind_row, |key| config.iter().any(|(given, _)| given == key))?;
    let name = command.name.as_deref().unwrap_or(id);
    new_name(catalog, id, name)?;
    if let Some(text) = &command.description {
        prose(text)?;
    }
    Ok(Some(PlannedProvider {
        provider: NewProvider {
            id: id.to_owned(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            enabled: !command.disabled,
            priority: command.priority.unwrap_or(0),
            description: command.description.clone().filter(|text| !text.is_empty()),
        },
        config,
    }))
}

/// Builds the plan by asking the user. Returns `None` if the user declines.
async fn from_prompts(
    command: &Add,
    catalog: &Catalog,
    context: &CliContext,
    out: &mut Output,
) -> anyhow::Result<Option<PlannedProvider>> {
    let said = |error: anyhow::Error| error.to_string();
    out.line("Provider types:");
    for (at, row) in PROVIDER_TYPES.iter().enumerate() {
        out.line(format!("  {:>2}) {:18} {}", at + 1, row.value, row.description));
    }
    let kind = prompt::ask("Type (a number or a word)", Some("openai"), |answer| match answer.parse::<usize>() {
        Ok(number) => {
            let row = number.checked_sub(1).and_then(|at| PROVIDER_TYPES.get(at));
            row.map(|row| row.value.to_owned())
                .ok_or_else(|| format!("enter a number from 1 to {}", PROVIDER_TYPES.len()))
        }
        Err(_) => known_kind(answer).map(|_| answer.to_owned()).map_err(said),
    })
    .await?;
    let row = provider_type(&kind);
    let id = prompt::ask("Id", Some(&kind), |id| new_id(catalog, id).map(|()| id.to_owned()).map_err(said)).await?;
    let suggested = command.name.as_deref().unwrap_or(if row.value == kind { row.label } else { &id });
    let name_check = |name: &str| new_name(catalog, &id, name).map(|()| name.to_owned()).map_err(said);
    let name = prompt::ask("Name", Some(suggested), name_check).await?;
    let description =
        prompt::ask("Description (may be empty)", command.description.as_deref(), |text| prose(text).map_err(said));
    let description = Some(description.await?).filter(|text| !text.is_empty());
    let suggested = command.priority.unwrap_or(0).to_string();
    let number = |text: &str| text.parse::<i64>().map_err(|_| "enter a whole number".to_owned());
    let priority = prompt::ask("Priority (higher is tried first)", Some(&suggested), number).await?;

    let fields = row.fields();
    let (required, optional): (Vec<Field>, Vec<Field>) = fields.into_iter().partition(|field| field.required);
    let mut config = Vec::new();
    for field in required {
        config.extend(value(row, field, context).await?);
    }
    if !optional.is_empty() && prompt::confirm("Set optional values?", false).await? {
        for field in optional {
            config.extend(value(row, field, context).await?);
        }
    }
    out.line(format!("  {id} ({name}), type {kind}, priority {priority}"));
    for (key, value) in &config {
        let shown = if is_sensitive_key(key) { MASK.to_owned() } else { value.to_string() };
        out.line(format!("  {key} = {shown}"));
    }
    if !prompt::confirm("Create it?", true).await? {
        return Ok(None);
    }
    let enabled = !command.disabled && prompt::confirm("Enable it now?", true).await?;
    Ok(Some(PlannedProvider { provider: NewProvider { id, name, kind, enabled, priority, description }, config }))
}

/// Asks for the value of one field. Returns `None` if an optional one is left empty.
pub(super) async fn value(
    row: ProviderType,
    field: Field,
    context: &CliContext,
) -> anyhow::Result<Option<(String, Value)>> {
    let name = field.name.to_owned();
    let question = format!("{} - {}", field.name, field.description);
    let check = |text: &str| match text {
        "" if field.required => Err(format!("`{}` is required", field.name)),
        "" => Ok(None),
        text => typed(row, field.name, text, &|url| context.address(url))
            .map(Some)
            .map_err(|mistakes| values::join_mistakes(&mistakes)),
    };
    let value = if field.sensitive {
        let secret = prompt::secret(&question).await?;
        check(secret.expose()).map_err(|why| anyhow::anyhow!("{why}; nothing was changed"))?
    } else {
        prompt::ask(&question, field.default, check).await?
    };
    Ok(value.map(|value| (name, value)))
}

/// Looks up a type. Any other valid word is a type, too: such a provider has OpenAI's API.
pub(super) fn known_kind(kind: &str) -> anyhow::Result<ProviderType> {
    check_type(kind).map_err(|mistake| anyhow::anyhow!("{mistake}"))?;
    Ok(provider_type(kind))
}

fn new_id(catalog: &Catalog, id: &str) -> anyhow::Result<()> {
    check_provider_id(id).map_err(|mistake| anyhow::anyhow!("an id {mistake}"))?;
    if catalog.providers.iter().any(|(row, ..)| row.id == id) {
        bail!("a provider with the id {id} exists already: change it with `provider-router provider edit {id}`");
    }
    Ok(())
}

/// Checks a description.
pub(in crate::cli) fn prose(text: &str) -> anyhow::Result<String> {
    ensure!(is_prose(text), "description {NOT_PROSE}");
    Ok(text.to_owned())
}

/// Checks a name.
///
/// # Errors
/// Fails if the name is empty, is not a single line, or belongs to another provider.
pub(super) fn new_name(catalog: &Catalog, id: &str, name: &str) -> anyhow::Result<()> {
    ensure!(!is_blank(name), "a name cannot be empty");
    ensure!(is_line(name), "name {NOT_A_LINE}");
    if let Some((other, ..)) = catalog.providers.iter().find(|(row, ..)| row.name == name && row.id != id) {
        bail!("the provider {} has this name already: choose another --name", other.id);
    }
    Ok(())
}
