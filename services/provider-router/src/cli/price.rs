//! `price …`: commands for the overrides of the shipped prices.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::{Value, json};
use signalbox_core::text::is_line;
use signalbox_pricing::{Layer, LayerKind, Table, litellm};
use signalbox_store::prices::{self, PriceSource};

use super::{
    context::CliContext,
    document,
    output::{Colour, CommandOutcome, CommandResult, Output},
    prompt,
    table::table,
};
use crate::clock::unix_ms;

const EXAMPLES: &str = "\
Examples:
  provider-router price show openai
  provider-router price show --overrides > prices.json; edit prices.json; provider-router price set prices.json
  provider-router price import model_prices_and_context_window.json --type openai --type anthropic
  provider-router price reset";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the prices in effect
    #[command(after_help = EXAMPLES)]
    Show {
        /// Only prices whose id contains this text
        text: Option<String>,
        /// Print the document of the overrides instead, as `price set` accepts it
        #[arg(long, conflicts_with = "text")]
        overrides: bool,
    },
    /// Replace the overrides of the shipped prices
    Set {
        /// Document of prices: a .json or .toml file, or - for stdin
        file: PathBuf,
    },
    /// Import prices from a file: LiteLLM's price map. They win over the shipped prices, and overrides win over them
    ///
    /// The file is model_prices_and_context_window.json of LiteLLM's repository. Models without a price by tokens, and
    /// providers of unknown types, are left out. Another import replaces this one.
    #[command(after_help = EXAMPLES)]
    Import {
        /// The price map, or - for stdin
        file: PathBuf,
        /// Only prices of this provider type. Can be repeated
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// Print the document and the models that are left out, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Remove the overrides, so that the imported and the shipped prices are in effect
    Reset {
        /// Remove the imported prices instead
        #[arg(long)]
        imported: bool,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
    },
}

// === impl Command ===

impl Command {
    pub(super) async fn act(self, context: &CliContext, out: &mut Output) -> CommandOutcome {
        match self {
            Self::Show { overrides: true, .. } => show_overrides(context, out).await,
            Self::Show { text, overrides: false } => show(text.as_deref().unwrap_or_default(), context, out).await,
            Self::Set { file } => set(&file, context, out).await,
            Self::Import { file, types, dry_run } => import(&file, &types, dry_run, context, out).await,
            Self::Reset { imported, yes } => reset(imported, yes, context, out).await,
        }
    }
}

async fn show(text: &str, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let mut table_in_effect = shipped()?;
    for (source, kind) in [(PriceSource::Import, LayerKind::File), (PriceSource::Overrides, LayerKind::Api)] {
        if let Some(stored) = prices::get(&context.store, source).await? {
            let layer = Layer::from_json(kind, &stored.document).context("the stored prices are not in effect")?;
            table_in_effect = table_in_effect.with(layer);
        }
    }
    let mut rows = Vec::new();
    let mut facts = Vec::new();
    for layer in table_in_effect.layers() {
        let source = source(layer.kind());
        for price in layer.prices().iter().filter(|price| price.id().contains(text)) {
            let base = |name: &str| price.row().pointer(&format!("/base/{name}")).map(plain_value).unwrap_or_default();
            rows.push([price.id().to_owned(), base("in"), base("out"), source.to_owned()]);
            facts.push(json!({ "id": price.id(), "source": source, "price": price.row() }));
        }
    }
    out.line(format!(
        "Price table {}: {} rows, in US dollars per million tokens",
        table_in_effect.version(),
        rows.len()
    ));
    if !rows.is_empty() {
        out.line(table(["ID", "Input", "Output", "Source"], &rows));
    }
    Ok(CommandResult::done(json!({ "version": table_in_effect.version(), "total": facts.len(), "prices": facts })))
}

async fn show_overrides(context: &CliContext, out: &mut Output) -> CommandOutcome {
    let stored = prices::get(&context.store, PriceSource::Overrides).await?;
    let document: Option<Value> = stored
        .map(|layer| serde_json::from_str(&layer.document))
        .transpose()
        .context("the stored prices cannot be read")?;
    match &document {
        Some(document) => out.line(serde_json::to_string_pretty(document)?),
        None => bail!("there are no overrides: the shipped prices are in effect"),
    }
    Ok(CommandResult::done(json!({ "overrides": document })))
}

async fn set(file: &std::path::Path, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let document = Value::Object(document::read(file)?);
    let layer = match Layer::from_value(LayerKind::Api, &document) {
        Ok(layer) => layer,
        Err(mistakes) => {
            let lines: Vec<String> = mistakes.0.iter().map(|mistake| format!("\n  {mistake}")).collect();
            bail!("nothing was changed:{}", lines.concat())
        }
    };
    let rows = layer.prices().len();
    prices::put(&context.store, PriceSource::Overrides, &document.to_string(), unix_ms())
        .await
        .context("nothing was changed")?;
    out.coloured(Colour::Green, &format!("Prices set successfully: {rows} rows"));
    Ok(CommandResult::done(json!({ "version": shipped()?.with(layer).version(), "rows": rows })))
}

async fn import(
    file: &std::path::Path,
    types: &[String],
    is_dry: bool,
    context: &CliContext,
    out: &mut Output,
) -> CommandOutcome {
    let map = document::read(file)?;
    let types: Vec<&str> = types.iter().map(String::as_str).collect();
    let unknown: Vec<&&str> = types.iter().filter(|kind| !litellm::has_type(kind)).collect();
    if !unknown.is_empty() {
        bail!(
            "nothing was changed: the price map has no provider of the types {unknown:?}; it has {}",
            litellm::types().join(", ")
        );
    }
    let imported = litellm::import(&map, &types).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.0.iter().map(|mistake| format!("\n  {mistake}")).collect();
        anyhow::anyhow!("nothing was changed:{}", lines.concat())
    })?;
    anyhow::ensure!(
        imported.rows > 0,
        "nothing was changed: the file has no prices by tokens; is it LiteLLM's model_prices_and_context_window.json?"
    );
    let skipped: Vec<Value> =
        imported.skipped.iter().map(|(model, why)| json!({ "model": model, "reason": why })).collect();
    if is_dry {
        out.line(serde_json::to_string_pretty(&imported.document)?);
        for (model, why) in &imported.skipped {
            tracing::debug!(model, why, "left out");
        }
        return Ok(CommandResult::done(json!({ "document": imported.document, "skipped": skipped })));
    }
    prices::put(&context.store, PriceSource::Import, &imported.document.to_string(), unix_ms())
        .await
        .context("nothing was changed")?;
    out.coloured(
        Colour::Green,
        &format!("Prices imported successfully: {} rows; {} models left out", imported.rows, skipped.len()),
    );
    Ok(CommandResult::done(json!({ "rows": imported.rows, "skipped": skipped })))
}

async fn reset(is_imported: bool, yes: bool, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let (source, what) = match is_imported {
        true => (PriceSource::Import, "imported prices"),
        false => (PriceSource::Overrides, "overrides of the shipped prices"),
    };
    if !yes {
        anyhow::ensure!(context.asks, "removing the {what} needs confirmation, but there is no terminal: use --yes");
        if !prompt::confirm(&format!("Remove all {what}?"), false).await? {
            out.line("Nothing was changed.");
            return Ok(CommandResult::done(json!({ "reset": false })));
        }
    }
    let reset = prices::delete(&context.store, source).await.context("nothing was changed")?;
    if reset {
        out.coloured(Colour::Green, &format!("The {what} are removed."));
    } else {
        out.coloured(Colour::Yellow, &format!("There are no {what} already"));
    }
    Ok(CommandResult::done(json!({ "reset": reset })))
}

fn shipped() -> anyhow::Result<Table> {
    Table::shipped().map_err(|mistakes| anyhow::anyhow!("the shipped prices cannot be read: {mistakes}"))
}

const fn source(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Shipped => "shipped",
        LayerKind::File => "file",
        LayerKind::Api => "override",
    }
}

/// Returns a text without quotes, and other values as JSON.
fn plain_value(value: &Value) -> String {
    match value {
        Value::String(text) if is_line(text) => text.clone(),
        other => other.to_string(),
    }
}
