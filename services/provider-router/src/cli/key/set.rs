//! `key set`: changes fields of a key.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use signalbox_core::key_document::{self, Expiry};
use signalbox_store::{Error, api_keys};

use super::{Fields, facts, find};
use crate::{
    cli::{
        context::CliContext,
        document::{self, refused},
        output::{Colour, CommandOutcome, CommandResult, Output},
        table::plain,
    },
    clock::unix_ms,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  provider-router key set ci --rpm 120 --model 'gpt-*' --model '!gpt-5*'
  provider-router key set ci --budget 50 --period month --unset expires_at --unset limits.tpm
  provider-router key show ci > ci.toml; edit ci.toml; provider-router key set ci --file ci.toml

Fields that are not given stay. A list replaces the former one. With --file the document replaces
all fields, and flags replace those of the document.";

/// Fields that can be removed.
const UNSETTABLE: [&str; 16] = [
    "owner",
    "tags",
    "models",
    "surfaces",
    "addresses",
    "limits",
    "limits.rpm",
    "limits.tpm",
    "limits.concurrency",
    "limits.queue",
    "priority",
    "budget",
    "log_bodies",
    "strict",
    "guard",
    "expires_at",
];

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Set {
    /// Name or id of the key
    key: String,
    /// Document of the key: a .json or .toml file, or - for stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Field that gets its default. Can be repeated
    #[arg(long, value_name = "FIELD", value_parser = clap::builder::PossibleValuesParser::new(UNSETTABLE))]
    unset: Vec<String>,
    #[command(flatten)]
    fields: Fields,
}

pub(super) async fn set(command: &Set, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let found = find(context, &command.key).await?;
    let stored = key_document::write(&found.name, &found.grant, found.expires_at);
    let document = command.document(&stored)?;
    if document == stored {
        out.line("Nothing was changed.");
        return Ok(CommandResult::done(json!({ "changed": false, "key": facts(&found) })));
    }
    let now_ms = unix_ms();
    let expiry = Expiry { now_ms, stored: found.expires_at };
    let fields = key_document::read(document, expiry).map_err(|mistakes| refused(&mistakes))?;
    let changed = match api_keys::update(&context.store, &found.id, &fields, now_ms).await {
        Err(Error::Conflict { .. }) => {
            bail!("a key with the name {} exists; nothing was changed: choose another --name", plain(&fields.name))
        }
        changed => changed.context("nothing was changed")?,
    };
    out.coloured(Colour::Green, "Key changed successfully!");
    Ok(CommandResult::done(json!({ "changed": true, "key": facts(&changed) })))
}

// === impl Set ===

impl Set {
    /// Returns the document of the key after the change.
    fn document(&self, stored: &Map<String, Value>) -> anyhow::Result<Map<String, Value>> {
        let mut document = match &self.file {
            Some(file) => document::read(file)?,
            None => stored.clone(),
        };
        for field in &self.unset {
            match field.split_once('.') {
                None => drop(document.remove(field)),
                Some((outer, inner)) => {
                    if let Some(Value::Object(outer)) = document.get_mut(outer) {
                        outer.remove(inner);
                    }
                }
            }
        }
        self.fields.set(&mut document);
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        set: Set,
    }

    fn document(stored: &Value, flags: &[&str]) -> Value {
        let line = Line::parse_from(["key", "ci"].iter().chain(flags));
        line.set.document(stored.as_object().unwrap()).unwrap().into()
    }

    #[test]
    fn fields_that_are_not_given_stay() {
        let stored = json!({"name": "ci", "tags": ["a"], "limits": {"rpm": 1, "tpm": 2}, "expires_at": 5});
        assert_eq!(document(&stored, &[]), stored);
        let changed =
            document(&stored, &["--rpm", "7", "--tag", "b", "--unset", "limits.tpm", "--unset", "expires_at"]);
        assert_eq!(changed, json!({"name": "ci", "tags": ["b"], "limits": {"rpm": 7}}));
        assert_eq!(document(&stored, &["--unset", "limits", "--rpm", "3"])["limits"], json!({"rpm": 3}));
        assert!(Line::try_parse_from(["key", "ci", "--unset", "name"]).is_err());
    }

    #[test]
    fn a_document_replaces_all_fields() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key.toml");
        std::fs::write(&file, "name = \"ci\"\nowner = \"ann\"\n").unwrap();
        let stored = json!({"name": "ci", "tags": ["a"]});
        let file = file.to_str().unwrap();
        assert_eq!(document(&stored, &["--file", file, "--owner", "bob"]), json!({"name": "ci", "owner": "bob"}));
    }
}
