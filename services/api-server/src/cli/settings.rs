//! `config`: shows the configuration, or writes to its file.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value as Json, json};
use signalbox_daemon::CommonArgs;
use toml_edit::{DocumentMut, Item, Table, Value};

use super::installation::{Installation, loaded};
use super::output::{CommandResult, Output};
use crate::config::{Args, SPEC};
use crate::instance::private_directory;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Config {
    #[command(subcommand)]
    pub(super) document: Option<super::declared::Command>,
    /// Port of api-server
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Address all three services listen on
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Least severe level to log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Port of provider-router
    #[arg(long, value_name = "PORT")]
    router_port: Option<u16>,
    /// Port of qwen-proxy
    #[arg(long, value_name = "PORT")]
    qwen_port: Option<u16>,
    /// Number of provider-router processes, from 1 to 64
    #[arg(long, value_name = "N")]
    workers: Option<u16>,
    /// Whether `run` starts the services; `start` always does
    #[arg(long, value_name = "BOOL")]
    autostart: Option<bool>,
    /// Whether a service is restarted when its executable has been rebuilt
    #[arg(long, value_name = "BOOL")]
    reload: Option<bool>,
    /// Set any other key, for example --set logs.keep=9
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) async fn config(command: &Config, args: &Args, out: &mut Output) -> anyhow::Result<CommandResult> {
    let changes = command.changes()?;
    // Here `--log-level` is a value to write, not the level of this run.
    let common = CommonArgs { log_level: None, ..args.common.clone() };
    let args = Args { common, ..args.clone() };
    if changes.is_empty() {
        let loaded = loaded(&args)?;
        let text = loaded.to_masked_toml();
        let file = file(&args, &loaded.common.data_dir);
        out.line(format!(
            "# {}{}",
            file.display(),
            if file.exists() { "" } else { " (file does not exist; these are the defaults)" }
        ));
        out.line(text.trim_end());
        let settings: toml::Table = text.parse().context("cannot serialise the configuration")?;
        return Ok(CommandResult::done(json!({ "file": file, "settings": settings })));
    }
    // A file that is already invalid has to be edited by hand: any change would be refused because of the old mistake.
    let installation = Installation::read(&args).await?;
    let file = file(&args, &installation.common.data_dir);
    private_directory(&installation.common.data_dir).context("cannot create the data directory")?;
    let text = changed(&file, &changes)?;
    validate(&args, &file, &text).await?;
    replace(&file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    for (key, value) in &changes {
        out.line(format!("Updated {key} = {}", value.to_string().trim()));
    }
    out.line(format!("Configuration saved to {}", file.display()));
    let running = installation.running.is_some();
    if running {
        out.line("Restart the server for changes to take effect");
    }
    let updated: serde_json::Map<String, Json> =
        changes.iter().map(|(key, value)| (key.clone(), value.to_string().trim().into())).collect();
    Ok(CommandResult::done(json!({ "file": file, "updated": updated, "restartNeeded": running })))
}

// === impl Config ===

impl Config {
    /// Returns the keys to change, with their new values.
    fn changes(&self) -> anyhow::Result<Vec<(String, Value)>> {
        let flags = [
            ("server.port", self.port.map(|port| i64::from(port).into())),
            ("server.host", self.host.as_deref().map(Value::from)),
            ("log.level", self.log_level.as_deref().map(|level| level.to_ascii_lowercase().into())),
            ("services.router_port", self.router_port.map(|port| i64::from(port).into())),
            ("services.qwen_port", self.qwen_port.map(|port| i64::from(port).into())),
            ("services.workers", self.workers.map(|workers| i64::from(workers).into())),
            ("services.autostart", self.autostart.map(Value::from)),
            ("services.reload", self.reload.map(Value::from)),
        ];
        let mut changes: Vec<(String, Value)> =
            flags.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        for assignment in &self.set {
            let (key, text) = assignment
                .split_once('=')
                .with_context(|| format!("--set takes KEY=VALUE, such as logs.keep=9, not `{assignment}`"))?;
            let key = key.trim();
            ensure!(!key.split('.').any(str::is_empty), "`{key}` is not a key; use section.key, such as logs.keep");
            // Text that is not a TOML value is taken as a string, which saves quoting twice in a shell.
            let value = text.trim().parse().unwrap_or_else(|_| Value::from(text.trim()));
            changes.push((key.to_owned(), value));
        }
        Ok(changes)
    }
}

/// Returns the configuration file that is read, and therefore written.
fn file(args: &Args, data_dir: &Path) -> PathBuf {
    let variable = || std::env::var_os("SIGNALBOX_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let named = args.common.config.clone().or_else(variable);
    named.unwrap_or_else(|| data_dir.join(format!("{}.toml", SPEC.name)))
}

/// Returns the text of the file with the new values; comments and order are preserved.
fn changed(file: &Path, changes: &[(String, Value)]) -> anyhow::Result<String> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let mut document: DocumentMut = text.parse().with_context(|| format!("{} is not valid TOML", file.display()))?;
    for (key, value) in changes {
        set(document.as_table_mut(), key, value.clone())?;
    }
    Ok(document.to_string())
}

fn set(table: &mut Table, key: &str, value: Value) -> anyhow::Result<()> {
    let Some((section, rest)) = key.split_once('.') else {
        match table.get_mut(key) {
            Some(Item::Value(old)) => {
                // Keep the comment after the value.
                let decor = old.decor().clone();
                *old = value;
                *old.decor_mut() = decor;
            }
            Some(Item::None) | None => drop(table.insert(key, Item::Value(value))),
            Some(_) => bail!("`{key}` is a section, not a key"),
        }
        return Ok(());
    };
    let inner = table.entry(section).or_insert_with(|| Item::Table(Table::new()));
    let inner = inner.as_table_mut().with_context(|| format!("`{section}` is not a section of the file"))?;
    set(inner, rest, value)
}

/// Checks the new text the way a start does, apart from its flags and environment.
async fn validate(args: &Args, file: &Path, text: &str) -> anyhow::Result<()> {
    let trial = file.with_extension("toml.trial");
    write_private(&trial, text).with_context(|| format!("cannot write {}", trial.display()))?;
    let common = CommonArgs { config: Some(trial.clone()), ..args.common.clone() };
    let judged = match loaded(&Args { common, ..args.clone() }) {
        Ok(loaded) => loaded.own.check_start(&loaded.common).await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    fs::remove_file(&trial).with_context(|| format!("cannot remove {}", trial.display()))?;
    if let Err(error) = judged {
        let why = format!("{error:#}").replace(&format!("{}: ", trial.display()), "");
        bail!("nothing was changed: {why}");
    }
    Ok(())
}

/// Replaces the file atomically: a reader sees either the new or the old content.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let unfinished = file.with_extension("toml.new");
    write_private(&unfinished, text)?;
    // A symbolic link is preserved, and its target replaced.
    let target = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    fs::rename(&unfinished, target)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = signalbox_private_files::options().write(true).create(true).truncate(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, key: &str, value: impl Into<Value>) -> anyhow::Result<String> {
        let mut document: DocumentMut = text.parse()?;
        set(document.as_table_mut(), key, value.into())?;
        Ok(document.to_string())
    }

    #[test]
    fn comments_and_order_are_preserved() {
        let before = "# mine\n[services]\nqwen_port = 1 # old habit\nrouter_port = 2\n";
        let after = edited(before, "services.qwen_port", 7).unwrap();
        assert_eq!(after, "# mine\n[services]\nqwen_port = 7 # old habit\nrouter_port = 2\n");
        assert_eq!(edited("", "server.port", 9000).unwrap(), "[server]\nport = 9000\n");
    }

    #[test]
    fn a_section_is_not_a_key_and_a_key_not_a_section() {
        assert!(edited("[server]\nport = 1\n", "server", 7).is_err());
        assert!(edited("server = 1\n", "server.port", 7).is_err());
    }

    #[test]
    fn assignments_are_read_as_toml_or_text() {
        let changes = |set: &[&str]| {
            use clap::Parser;
            #[derive(Parser)]
            struct Line {
                #[command(flatten)]
                config: Config,
            }
            let line = ["x"].into_iter().chain(set.iter().flat_map(|assignment| ["--set", assignment]));
            Line::parse_from(line).config.changes()
        };
        let read = |assignment: &str| changes(&[assignment]).unwrap().remove(0).1.to_string();
        assert_eq!(read("logs.keep=9"), "9");
        assert_eq!(read("logs.max_size=1MiB"), "\"1MiB\"");
        assert_eq!(read("api.allowed_hosts=[\"a\"]"), "[\"a\"]");
        for wrong in ["logs.keep", "=1", "logs.=1", ".keep=1"] {
            assert!(changes(&[wrong]).is_err(), "{wrong}");
        }
    }
}
