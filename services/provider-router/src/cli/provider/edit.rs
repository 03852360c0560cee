//! `provider edit`: changes a provider.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use signalbox_core::{
    provider_config::API_KEYS,
    provider_type::provider_type,
    schema::{NewProvider, ProviderConfig},
    secret::is_sensitive_key,
};
use signalbox_store::catalog::{Catalog, Change};

use super::{CliContext, add, find, new_of, row_of, shown};
use crate::cli::{
    output::{Colour, CommandOutcome, CommandResult, Output},
    prompt,
    values::{Values, complete, key_name, stored},
};

#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct Edit {
    /// Id of the provider
    id: String,
    /// Display name; unique
    #[arg(long)]
    name: Option<String>,
    /// Type of the provider
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Description; "" for none
    #[arg(long)]
    description: Option<String>,
    /// Priority; higher is tried first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    #[command(flatten)]
    values: Values,
    /// Remove a key from its configuration. Can be repeated
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
}

/// Changes to be made.
struct ProviderEdit {
    provider: NewProvider,
    set: Vec<(String, Value)>,
    unset: Vec<String>,
}

pub(in crate::cli) async fn edit(command: Edit, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let (row, configs, _) = find(&catalog, &command.id)?;
    let before = new_of(row);
    let plan = if command.has_no_changes() {
        ensure!(
            context.asks,
            "no change was given: use --name, --type, --description, --priority, --set KEY=VALUE, --unset KEY"
        );
        apply_prompts(before, configs, &catalog, context, out).await?
    } else {
        command.apply_flags(before, configs, &catalog, context)?
    };
    let mut config = context.opened(configs)?;
    config.retain(|key, _| !plan.unset.contains(key));
    config.extend(plan.set.iter().cloned());
    complete(provider_type(&plan.provider.kind), |key| config.contains_key(key)).context("nothing was changed")?;
    context.check_config(&row_of(&plan.provider), &config)?;

    let provider_id = &plan.provider.id;
    let mut changes = vec![Change::Provider(plan.provider.clone())];
    changes.extend(
        plan.set.iter().map(|(key, value)| Change::Config {
            provider_id: provider_id.clone(),
            value: stored(key, value, configs),
        }),
    );
    changes.extend(
        plan.unset.iter().map(|key| Change::DeleteConfig { provider_id: provider_id.clone(), key: key.clone() }),
    );
    context.change(catalog.version, &changes).await?;
    out.coloured(Colour::Green, "Provider updated successfully!");
    let keys: Vec<&String> = plan.set.iter().map(|(key, _)| key).collect();
    Ok(CommandResult::done(json!({ "id": provider_id, "set": keys, "unset": plan.unset })))
}

// === impl Edit ===

impl Edit {
    fn has_no_changes(&self) -> bool {
        let fields = [&self.name, &self.kind, &self.description];
        fields.iter().all(|field| field.is_none())
            && self.priority.is_none()
            && self.values.is_empty()
            && self.unset.is_empty()
    }

    fn apply_flags(
        &self,
        before: NewProvider,
        configs: &[ProviderConfig],
        catalog: &Catalog,
        context: &CliContext,
    ) -> anyhow::Result<ProviderEdit> {
        let provider = NewProvider {
            name: self.name.clone().unwrap_or(before.name),
            kind: self.kind.clone().unwrap_or(before.kind),
            priority: self.priority.unwrap_or(before.priority),
            description: match &self.description {
                None => before.description,
                Some(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            },
            ..before
        };
        add::new_name(catalog, &provider.id, &provider.name)?;
        // An existing type or description is kept even if it is invalid.
        if let Some(kind) = &self.kind {
            add::known_kind(kind)?;
        }
        if let Some(text) = &self.description {
            add::prose(text)?;
        }
        let stored = match configs.iter().find(|row| row.key == API_KEYS) {
            Some(row) => context.opened(std::slice::from_ref(row))?.remove(API_KEYS),
            None => None,
        };
        let kind = provider_type(&provider.kind);
        let mut set = self.values.read_beside(stored.as_ref(), kind, &|url| context.address(url))?;
        let (removed, unset): (Vec<&String>, Vec<&String>) = self.unset.iter().partition(|key| key_name(key).is_some());
        without_keys(&provider.id, &removed, stored, &mut set)?;
        for key in &unset {
            ensure!(configs.iter().any(|row| row.key == **key), "{} has no key `{key}`", provider.id);
            ensure!(set.iter().all(|(given, _)| given != *key), "`{key}` is set and unset at once");
        }
        Ok(ProviderEdit { provider, set, unset: unset.into_iter().cloned().collect() })
    }
}

/// Removes keys of a provider, given as `apiKeys.NAME`, from those that are set, or else from the stored ones.
fn without_keys(
    id: &str,
    removed: &[&String],
    stored: Option<Value>,
    set: &mut Vec<(String, Value)>,
) -> anyhow::Result<()> {
    if removed.is_empty() {
        return Ok(());
    }
    let is_set = set.iter().position(|(key, _)| key == API_KEYS);
    let given = is_set.map(|at| set.remove(at).1).or(stored);
    let mut keys = given.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
    for name in removed.iter().filter_map(|key| key_name(key)) {
        ensure!(keys.remove(name).is_some(), "{id} has no key `{API_KEYS}.{name}`");
    }
    set.push((API_KEYS.to_owned(), keys.into()));
    Ok(())
}

async fn apply_prompts(
    mut provider: NewProvider,
    configs: &[ProviderConfig],
    catalog: &Catalog,
    context: &CliContext,
    out: &mut Output,
) -> anyhow::Result<ProviderEdit> {
    let what = prompt::ask("Edit 1) basic facts, 2) configuration, 3) both", Some("3"), |answer| match answer {
        "1" => Ok((true, false)),
        "2" => Ok((false, true)),
        "3" => Ok((true, true)),
        _ => Err("enter 1, 2 or 3".to_owned()),
    });
    let (basic, config) = what.await?;
    if basic {
        let id = provider.id.clone();
        let check =
            |name: &str| add::new_name(catalog, &id, name).map(|()| name.to_owned()).map_err(|error| error.to_string());
        provider.name = prompt::ask("Name", Some(&provider.name), check).await?;
        let text = |text: &str| add::prose(text).map_err(|error| error.to_string());
        let description = prompt::ask("Description (`-` for none)", provider.description.as_deref(), text).await?;
        provider.description = Some(description).filter(|text| !text.is_empty() && text != "-");
        let number = |text: &str| text.parse::<i64>().map_err(|_| "enter a whole number".to_owned());
        provider.priority =
            prompt::ask("Priority (higher is tried first)", Some(&provider.priority.to_string()), number).await?;
    }
    let mut set = Vec::new();
    if config {
        let now = shown(context, configs);
        let row = provider_type(&provider.kind);
        for mut field in row.fields() {
            // An empty answer keeps the existing value.
            let known = now.get(field.name);
            field.required &= known.is_none();
            field.default = None;
            if let Some(known) = known {
                let known = if is_sensitive_key(field.name) { "a secret".to_owned() } else { known.to_string() };
                out.line(format!("{} is {known}; press Enter to keep it", field.name));
            }
            set.extend(add::value(row, field, context).await?);
        }
    }
    Ok(ProviderEdit { provider, set, unset: Vec::new() })
}
