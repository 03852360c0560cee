//! `config export` and `config apply`: the catalogue as a document. Works on the database directly, so that it does not
//! depend on a running server; running services notice changes within a second.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;
use signalbox_daemon::clock::unix_ms;
use signalbox_daemon::config::Common;
use signalbox_daemon::{sealing_key, user_name};
use signalbox_store::audit::{Actor, with_actor};
use signalbox_store::{Sealer, Store, catalog};

use super::installation::loaded;
use super::output::{CommandResult, Output};
use crate::config::Args;
use crate::declared::{self, Apply, Format, Plan, References, read::read, write::comments};
use crate::instance::private_directory;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print providers, models, settings, routes, keys and prices as a document; secrets are masked
    Export(Export),
    /// Apply a document to providers, models, settings, routes, keys and prices
    Apply(ApplyFile),
}

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// Format of the document
    #[arg(long, value_enum, default_value = "toml")]
    format: Format,
}

#[derive(Debug, clap::Args)]
pub(super) struct ApplyFile {
    /// Document to apply: a .toml, .yaml or .json file, or - for stdin
    file: PathBuf,
    /// Format of the document [default: from the extension of the file, or toml]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Delete entries that are not declared, in the sections that are present
    #[arg(long)]
    prune: bool,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

// === impl Command ===

impl Command {
    pub(super) const fn json(&self) -> bool {
        matches!(self, Self::Apply(ApplyFile { json: true, .. }))
    }

    pub(super) async fn act(&self, args: &Args, out: &mut Output) -> anyhow::Result<CommandResult> {
        let common = loaded(args)?.common;
        private_directory(&common.data_dir).context("cannot create the data directory")?;
        let sealer = Sealer::new(&sealing_key(&common.data_dir)?);
        let store = open(&common).await?;
        let done = match self {
            Self::Export(export) => export.act(&store, &sealer, out).await,
            Self::Apply(apply) => {
                let guarded = !common.auth.client_keys.is_empty() || common.auth.insecure_no_auth;
                let rules = (References::Own(common.data_dir.clone()), guarded);
                with_actor(Actor::command_line(&user_name()), apply.act((&store, &sealer), rules, out)).await
            }
        };
        store.close().await;
        done
    }
}

async fn open(common: &Common) -> anyhow::Result<Store> {
    let store = Store::open(common.database.url.expose()).await;
    store.context("the database cannot be used; check --database-url, --db-path or --data-dir")
}

// === impl Export ===

impl Export {
    async fn act(&self, store: &Store, sealer: &Sealer, out: &mut Output) -> anyhow::Result<CommandResult> {
        let (document, secrets) = declared::write(&catalog::load(store).await?, sealer)?;
        let text = self.format.print(&document, &comments(&secrets)).map_err(anyhow::Error::msg)?;
        out.line(text.trim_end());
        Ok(CommandResult::done(serde_json::Value::Null))
    }
}

// === impl ApplyFile ===

impl ApplyFile {
    async fn act(
        &self,
        (store, sealer): (&Store, &Sealer),
        (references, guarded): (References, bool),
        out: &mut Output,
    ) -> anyhow::Result<CommandResult> {
        let text = text_of(&self.file)?;
        // Editors of Windows write a byte order mark before the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let format = self.format.or_else(|| Format::of_word(self.file.extension()?.to_str()?)).unwrap_or(Format::Toml);
        let shown = self.file.display();
        let document = match read(text, format, &references) {
            Ok(document) => document,
            Err(mistakes) => return refused(&shown.to_string(), &mistakes),
        };
        if let Err(mistakes) = document.check_host(guarded).await {
            return refused(&shown.to_string(), &mistakes);
        }
        let how = Apply { dry_run: self.dry_run, prune: self.prune, base_version: None };
        let now = unix_ms();
        let plan = match declared::apply(store, sealer, &document, how, now).await {
            Ok(plan) => plan,
            Err(declared::Error::Mistakes(mistakes)) => return refused(&shown.to_string(), &mistakes),
            Err(error) => return Err(error).context("nothing was changed"),
        };
        tell(&plan, out);
        if self.dry_run {
            out.line("Dry run: nothing was changed.");
        }
        let mut facts = plan.facts();
        facts["dry_run"] = json!(self.dry_run);
        Ok(CommandResult::done(facts))
    }
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read the document from stdin")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Returns an error that lists all mistakes, one per line.
fn refused(file: &str, mistakes: &[String]) -> anyhow::Result<CommandResult> {
    let lines: Vec<String> = mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
    anyhow::bail!("{file} is invalid, and nothing was changed:{}", lines.concat())
}

fn tell(plan: &Plan, out: &mut Output) {
    for path in &plan.created {
        out.line(format!("created {path}"));
    }
    for (path, what) in &plan.updated {
        out.line(format!("updated {path}: {}", what.join(", ")));
    }
    for path in &plan.deleted {
        out.line(format!("deleted {path}"));
    }
    for key in &plan.issued {
        out.line(format!("key {}: {}", key.name(), key.secret()));
    }
    if !plan.issued.is_empty() {
        out.line("Keep these keys: they are not shown again.");
    }
    out.line(format!("{} unchanged", plan.unchanged.len()));
}
