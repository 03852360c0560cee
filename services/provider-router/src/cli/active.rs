//! Commands for the active provider, which is tried first.

use anyhow::Context as _;
use serde_json::{Value, json};
use signalbox_core::schema::{self, ProviderConfig};
use signalbox_store::{catalog::Change, settings::ACTIVE_PROVIDER};

use super::{
    context::{CliContext, active, find},
    format::{base_url, format_time},
    output::{Colour, CommandOutcome, CommandResult, Output},
    provider::probe,
    table::{boxed, plain, table},
};

#[derive(Debug, clap::Args)]
pub(super) struct Set {
    /// Id of the provider
    provider: String,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// Id of the provider
    provider: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn set(command: &Set, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let (row, ..) = find(&catalog, &command.provider)?;
    let before = active(&catalog).map(|setting| setting.value.clone());
    let facts = json!({ "from": before, "to": row.id, "changed": before.as_ref() != Some(&row.id) });
    // Setting the same provider still counts as a choice if the current value is only the default of a new database.
    if before.as_ref() == Some(&row.id) && !context.active_is_seeded().await? {
        out.coloured(Colour::Yellow, &format!("Provider is already set to: {}", row.id));
        return Ok(CommandResult::done(facts));
    }
    let change = Change::Setting { key: ACTIVE_PROVIDER.to_owned(), value: row.id.clone() };
    context.change(catalog.version, &[change]).await?;
    out.coloured(Colour::Green, "Provider successfully changed:");
    out.line(format!("  From: {}", before.as_deref().unwrap_or("none")));
    out.line(format!("  To:   {}", row.id));
    if !row.enabled {
        out.coloured(Colour::Yellow, &format!("It is disabled: run `provider-router provider enable {}`", row.id));
    }
    Ok(CommandResult::done(facts))
}

pub(super) async fn list(context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let chosen = active(&catalog).map(|setting| setting.value.as_str());
    let is_active = |row: &schema::Provider| chosen == Some(row.id.as_str());
    let cells = |(row, configs, _): &(schema::Provider, Vec<ProviderConfig>, _)| {
        let mark = if is_active(row) { "✓" } else { "" };
        [mark.to_owned(), row.id.clone(), base_url(context, row, configs)]
    };
    let rows: Vec<[String; 3]> = catalog.providers.iter().map(cells).collect();
    out.line(table(["Active", "Name", "Base URL"], &rows));
    out.line("Choose another one with `provider-router set <name>`.");
    out.line("Test one with `provider-router test [name]`.");
    let facts = catalog.providers.iter().map(|(row, configs, _)| {
        json!({ "id": row.id, "name": row.name, "active": is_active(row), "base_url": base_url(context, row, configs) })
    });
    Ok(CommandResult::done(json!({ "providers": facts.collect::<Vec<Value>>() })))
}

pub(super) async fn status(context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    out.line(boxed("Provider Status"));
    let Some(setting) = active(&catalog) else {
        out.line("Name:         none");
        out.line("Choose one with `provider-router set <name>`.");
        return Ok(CommandResult::done(json!({ "active": null })));
    };
    let found = find(&catalog, &setting.value).ok();
    let status = match found {
        Some((row, ..)) if row.enabled => "Active",
        Some(_) => "Disabled",
        None => "Not Found",
    };
    let url = found.map(|(row, configs, _)| base_url(context, row, configs)).unwrap_or_default();
    out.line(format!("Name:         {}", plain(&setting.value)));
    out.line(format!("Status:       {status}"));
    out.line(format!("Base URL:     {url}"));
    out.line(format!("Last Updated: {}", format_time(setting.updated_at)));
    Ok(CommandResult::done(json!({
        "active": setting.value,
        "status": status,
        "base_url": url,
        "updated_at": setting.updated_at,
    })))
}

pub(super) async fn test(command: &Test, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let chosen = command.provider.clone().or_else(|| active(&catalog).map(|setting| setting.value.clone()));
    let id = chosen.context("no provider is active: name one, or choose one with `provider-router set <name>`")?;
    let (row, configs, _) = find(&catalog, &id)?;
    out.line(format!("Testing provider: {id}"));
    out.line(format!("Base URL: {}", base_url(context, row, configs)));
    let probed = probe(context, row, configs).await?;
    match &probed.failure {
        None => {
            out.coloured(Colour::Green, "✓ Health check passed");
            out.line(format!("Response time: {}ms", probed.duration_ms));
            Ok(CommandResult::done(probed.facts(&id)))
        }
        Some(why) => {
            out.coloured(Colour::Red, "✗ Health check failed");
            out.line(plain(why));
            Ok(CommandResult::failed(probed.facts(&id)))
        }
    }
}
