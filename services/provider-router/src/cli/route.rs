//! `route …`: commands for routes.

mod set;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};
use signalbox_core::{
    route_document,
    schema::{Provider, Route},
};
use signalbox_management::problems;
use signalbox_store::catalog::{Catalog, Change};

use super::{
    context::CliContext,
    output::{Colour, CommandOutcome, CommandResult, Output},
    prompt,
    table::{plain, table},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the routes
    #[command(alias = "ls")]
    List,
    /// Show a route as a document that `route set` accepts
    Show {
        /// Model name, alias or id of the route
        route: String,
    },
    /// Create or replace the route of a model
    #[command(after_help = set::EXAMPLES)]
    Set(Box<set::Set>),
    /// Delete a route; its model is routed as if the route had never existed
    #[command(alias = "rm")]
    Delete {
        /// Model name, alias or id of the route
        route: String,
        /// Do not ask for confirmation
        #[arg(long, short)]
        yes: bool,
    },
}

// === impl Command ===

impl Command {
    pub(super) async fn act(self, context: &CliContext, out: &mut Output) -> CommandOutcome {
        match self {
            Self::List => list(context, out).await,
            Self::Show { route } => show(&route, context, out).await,
            Self::Set(command) => set::set(*command, context, out).await,
            Self::Delete { route, yes } => delete(&route, yes, context, out).await,
        }
    }
}

async fn list(context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let providers = providers(&catalog);
    let cells = |route: &Route| {
        let targets = route.plan.targets.iter().map(|target| format!("{}/{}", target.provider, target.model));
        [
            route.model.clone(),
            policy(route),
            targets.collect::<Vec<_>>().join(", "),
            if route.enabled { "Enabled" } else { "Disabled" }.to_owned(),
            problems(&route.plan, &providers).len().to_string(),
        ]
    };
    let rows: Vec<[String; 5]> = catalog.routes.iter().map(cells).collect();
    if rows.is_empty() {
        out.line("No routes found");
    } else {
        out.line(format!("Routes ({} total):", rows.len()));
        out.line(table(["Model", "Policy", "Targets", "Status", "Problems"], &rows));
    }
    let facts: Vec<Value> = catalog.routes.iter().map(|route| facts(route, &providers)).collect();
    Ok(CommandResult::done(json!({ "total": facts.len(), "routes": facts })))
}

async fn show(name: &str, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let route = find(&catalog, name)?;
    let providers = providers(&catalog);
    let document = route_document::write(&route.model, route.enabled, &route.plan);
    out.line(toml::to_string_pretty(&document).context("the route cannot be written as TOML; use --json")?.trim_end());
    for problem in problems(&route.plan, &providers) {
        out.coloured(Colour::Yellow, &format!("# {}", plain(&problem)));
    }
    Ok(CommandResult::done(json!({ "route": facts(route, &providers) })))
}

async fn delete(name: &str, yes: bool, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let catalog = context.catalog().await?;
    let route = find(&catalog, name)?;
    let model = plain(&route.model);
    if !yes {
        anyhow::ensure!(context.asks, "deleting a route needs confirmation, but there is no terminal: use --yes");
        if !prompt::confirm(&format!("Delete the route for {model}?"), false).await? {
            out.line("Nothing was changed.");
            return Ok(CommandResult::done(json!({ "deleted": false, "model": route.model })));
        }
    }
    context.change(catalog.version, &[Change::DeleteRoute(route.id.clone())]).await?;
    out.coloured(Colour::Green, "Route deleted successfully!");
    Ok(CommandResult::done(json!({ "deleted": true, "model": route.model })))
}

/// Finds a route by its id, its model or an alias.
fn find<'a>(catalog: &'a Catalog, name: &str) -> anyhow::Result<&'a Route> {
    let has_name = |route: &&Route| {
        route.id == name || route.model == name || route.plan.aliases.iter().any(|alias| alias == name)
    };
    catalog.routes.iter().find(has_name).with_context(|| {
        let known: Vec<&str> = catalog.routes.iter().map(|route| route.model.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        format!("Route not found: {name}. Existing routes: {known}")
    })
}

fn providers(catalog: &Catalog) -> Vec<Provider> {
    catalog.providers.iter().map(|(row, ..)| row.clone()).collect()
}

fn policy(route: &Route) -> String {
    serde_json::to_value(route.plan.policy).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Returns the route as the REST API shows it.
fn facts(route: &Route, providers: &[Provider]) -> Value {
    let mut facts = route_document::write(&route.model, route.enabled, &route.plan);
    for (name, value) in [
        ("id", json!(route.id)),
        ("problems", json!(problems(&route.plan, providers))),
        ("created_at", json!(route.created_at)),
        ("updated_at", json!(route.updated_at)),
    ] {
        facts.insert(name.to_owned(), value);
    }
    facts.into()
}
