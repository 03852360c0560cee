//! `migrate`: imports the environment variables and the `.env` file of the Node.js version into the database.

mod env_file;
mod first_start;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use signalbox_core::{
    id::check_model_id,
    provider_config::check_value,
    schema::{NewModel, NewProvider, ProviderConfig, Setting},
    secret::Secret,
    text::is_printable_ascii,
};
use signalbox_store::{
    Kind,
    catalog::{Catalog, Change},
    credentials::{self, DEFAULT_LABEL, NewCredential},
    provider_models::NewLink,
    settings::ACTIVE_PROVIDER,
};

pub(crate) use self::first_start::import_once;
use super::{
    context::{CliContext, active},
    output::{Colour, CommandOutcome, CommandResult, Output},
    provider::row_of,
    values::{join_mistakes, stored},
};
use crate::clock;

#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// Show the changes without making them
    #[arg(long, short)]
    dry_run: bool,
    /// The `.env` file of the Node.js version; variables of the environment take precedence [default: `.env`, if it
    /// exists]
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(super) json: bool,
}

/// Variables of the Node.js version.
#[derive(Default)]
struct Variables {
    values: HashMap<String, String>,
    /// Messages about the lines of the file that are not variables, without their text, which may be a secret.
    skipped: Vec<String>,
}

/// A provider described by the variables.
struct FoundProvider {
    provider: NewProvider,
    config: Vec<(&'static str, Value)>,
    model: Option<String>,
}

/// Changes to be made.
#[derive(Default)]
struct MigrationPlan {
    changes: Vec<Change>,
    login: Option<NewCredential>,
    /// Messages for the user, line by line.
    messages: Vec<String>,
}

pub(super) async fn migrate(command: &Migrate, context: &CliContext, out: &mut Output) -> CommandOutcome {
    let variables = Variables::read(command.env_file.as_deref())?;
    for line in &variables.skipped {
        out.coloured(Colour::Yellow, line);
    }
    if variables.is_legacy() {
        out.coloured(
            Colour::Yellow,
            "USE_LEGACY_CONFIG is true, so nothing is imported. It is deprecated: unset it and run this again.",
        );
        return Ok(CommandResult::done(json!({ "migrated": false, "reason": "USE_LEGACY_CONFIG" })));
    }
    let (plan, version) = MigrationPlan::of(&variables, context).await?;
    for line in &plan.messages {
        out.line(line);
    }
    let facts = |migrated: bool, backup: Option<&PathBuf>| {
        CommandResult::done(json!({ "migrated": migrated, "steps": plan.messages, "backup": backup }))
    };
    if plan.is_empty() {
        out.line("There is nothing to import.");
        return Ok(facts(false, None));
    }
    if command.dry_run {
        out.coloured(Colour::Yellow, "Dry run: nothing was changed.");
        return Ok(facts(false, None));
    }
    let backup = backup(context).await?;
    match &backup {
        Some(path) => out.line(format!("Backup: {}", path.display())),
        None => out.line("No backup was made: PostgreSQL databases are backed up on their server."),
    }
    plan.carry_out(version, context).await?;
    out.coloured(Colour::Green, "Migration completed successfully!");
    Ok(facts(true, backup.as_ref()))
}

/// Backs up a SQLite database. Returns the path of the copy, or `None` for another kind of database.
async fn backup(context: &CliContext) -> anyhow::Result<Option<PathBuf>> {
    if context.store.kind() != Kind::Sqlite {
        return Ok(None);
    }
    let now = Timestamp::now().strftime("%Y-%m-%d-%H%M%S%.3f").to_string().replace('.', "-");
    let path = context.data_dir.join("backups").join(format!("provider-router-backup-{now}.db"));
    context.store.backup(&path).await.context("cannot make a backup; nothing was changed")?;
    Ok(Some(path))
}

// === impl Variables ===

impl Variables {
    fn read(file: Option<&Path>) -> anyhow::Result<Self> {
        let own = Path::new(".env");
        let path = file.or_else(|| own.exists().then_some(own));
        let mut variables = path.map(Self::of_file).transpose()?.unwrap_or_default();
        variables.values.extend(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        Ok(variables)
    }

    fn of_file(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut variables = Self::default();
        for entry in env_file::parse(&String::from_utf8_lossy(&text)) {
            match entry {
                Ok((name, value)) => {
                    variables.values.insert(name, value);
                }
                Err(line) => variables
                    .skipped
                    .push(format!("{}: its line {line} is not NAME=VALUE, and was skipped", path.display())),
            }
        }
        Ok(variables)
    }

    /// Returns `true` if the Node.js version was configured to use the variables themselves instead of the database.
    fn is_legacy(&self) -> bool {
        self.get("USE_LEGACY_CONFIG") == Some("true")
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Returns the providers that the Node.js version created from these variables, with the same ids.
    fn providers(&self) -> Vec<FoundProvider> {
        let timeout = self.get("REQUEST_TIMEOUT");
        let found = |id: &str, name: &str, kind: &str, priority, mut config: Vec<(&'static str, Value)>, model| {
            config.extend(timeout.map(|timeout| ("timeout", timeout.into())));
            let provider = NewProvider {
                id: id.to_owned(),
                name: name.to_owned(),
                kind: kind.to_owned(),
                enabled: true,
                priority,
                description: None,
            };
            FoundProvider { provider, config, model }
        };
        let mut all = Vec::new();
        if let Some(url) = self.get("LM_STUDIO_BASE_URL") {
            let config = vec![("baseURL", url.into())];
            let model = self.get("LM_STUDIO_DEFAULT_MODEL").map(str::to_owned);
            all.push(found("lm-studio-default", "LM Studio Default", "lm-studio", 10, config, model));
        }
        if let Some(key) = self.get("QWEN_API_KEY") {
            let mut config = vec![("apiKey", key.into())];
            // qwen-proxy uses the same variable for chat.qwen.ai, which does not accept API keys.
            let url = self.get("QWEN_BASE_URL").filter(|url| !url.contains("chat.qwen.ai"));
            config.extend(url.map(|url| ("baseURL", url.into())));
            all.push(found("qwen-direct-default", "Qwen Direct Default", "dashscope", 8, config, None));
        }
        if let Some(url) = self.get("QWEN_PROXY_BASE_URL") {
            let config = vec![("baseURL", url.into())];
            all.push(found("qwen-proxy-default", "Qwen Proxy Default", "qwen-proxy", 5, config, None));
        }
        all
    }
}

/// Converts the values to their stored form.
///
/// # Errors
/// Returns all mistakes at once.
fn checked(
    id: &str,
    config: Vec<(&'static str, Value)>,
    context: &CliContext,
) -> anyhow::Result<Vec<(&'static str, Value)>> {
    let (mut values, mut mistakes) = (Vec::with_capacity(config.len()), Vec::new());
    for (key, value) in config {
        match check_value(key, value, &|url| context.address(url)) {
            Ok(value) => values.push((key, value)),
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    let timeout = mistakes.iter().any(|mistake| mistake.path == "config.timeout");
    let hint = if timeout { "REQUEST_TIMEOUT takes milliseconds: " } else { "" };
    anyhow::ensure!(
        mistakes.is_empty(),
        "the variables of {id}: {hint}{}; nothing was changed",
        join_mistakes(&mistakes)
    );
    Ok(values)
}

// === impl MigrationPlan ===

impl MigrationPlan {
    /// Builds the plan, and returns it with the version of the catalogue to which it applies.
    async fn of(variables: &Variables, context: &CliContext) -> anyhow::Result<(Self, i64)> {
        let catalog = context.catalog().await?;
        let mut plan = Self::default();
        for found in variables.providers() {
            plan.provider(found, &catalog, context)?;
        }
        let chosen = if context.active_is_seeded().await? { None } else { active(&catalog) };
        plan.active(variables.get("DEFAULT_PROVIDER"), chosen, &catalog)?;
        plan.login(variables, credentials::list(&context.store).await?.is_empty())?;
        plan.notes(variables);
        Ok((plan, catalog.version))
    }

    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.login.is_none()
    }

    /// Makes the changes.
    async fn carry_out(&self, version: i64, context: &CliContext) -> anyhow::Result<()> {
        if !self.changes.is_empty() {
            context.change(version, &self.changes).await?;
        }
        if let Some(login) = &self.login {
            credentials::put(&context.store, &context.sealer, login, clock::unix_ms() / 1000).await?;
        }
        Ok(())
    }

    fn provider(&mut self, found: FoundProvider, catalog: &Catalog, context: &CliContext) -> anyhow::Result<()> {
        let FoundProvider { provider, config, model } = found;
        let id = provider.id.clone();
        let config = checked(&id, config, context)?;
        let existing = catalog.providers.iter().find(|(row, ..)| row.id == id);
        if let Some((row, configs, links)) = existing {
            // A row that was changed after its creation belongs to the user, and is not overwritten.
            let touched = |config: &ProviderConfig| config.updated_at != row.created_at;
            if row.updated_at != row.created_at || configs.iter().any(touched) {
                self.messages.push(format!("{id}: exists already, no change"));
                return Ok(());
            }
            let same = |model: &String| links.iter().any(|link| link.model.id == *model);
            let model_is_new = model.as_ref().is_some_and(|model| !same(model));
            self.messages
                .push(format!("{id}: set the configuration{}", if model_is_new { " and the model" } else { "" }));
        } else {
            self.messages.push(format!("{id}: create ({})", provider.kind));
        }
        let values = config.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        context.check_config(&row_of(&provider), &values).with_context(|| format!("the variables of {id}"))?;
        self.changes.push(Change::Provider(provider));
        for (key, value) in &config {
            let value = stored(key, value, &[]);
            self.changes.push(Change::Config { provider_id: id.clone(), value });
        }
        if let Some(model_id) = model {
            if let Err(mistake) = check_model_id(&model_id) {
                anyhow::bail!("the variables of {id}: a model id {mistake}");
            }
            let known = catalog.models.iter().any(|model| model.id == model_id);
            if !known {
                let (name, capabilities) = (model_id.clone(), vec!["chat".to_owned()]);
                self.changes.push(Change::Model(NewModel {
                    id: model_id.clone(),
                    name,
                    description: None,
                    capabilities,
                }));
            }
            self.changes.push(Change::Link(NewLink { provider_id: id, model_id, is_default: true, config: None }));
        }
        Ok(())
    }

    fn active(&mut self, word: Option<&str>, chosen: Option<&Setting>, catalog: &Catalog) -> anyhow::Result<()> {
        let Some(word) = word else { return Ok(()) };
        let id = format!("{word}-default");
        let made = self.changes.iter().any(|change| matches!(change, Change::Provider(provider) if provider.id == id));
        let known = made || catalog.providers.iter().any(|(row, ..)| row.id == id);
        anyhow::ensure!(known, "DEFAULT_PROVIDER is {word}, but there is no provider {id}; nothing was changed");
        if let Some(setting) = chosen {
            self.messages.push(format!("active provider: {} already, no change", setting.value));
        } else {
            self.messages.push(format!("active provider: {id}"));
            self.changes.push(Change::Setting { key: ACTIVE_PROVIDER.to_owned(), value: id });
        }
        Ok(())
    }

    fn login(&mut self, variables: &Variables, none_stored: bool) -> anyhow::Result<()> {
        let (Some(token), Some(cookies)) = (variables.get("QWEN_TOKEN"), variables.get("QWEN_COOKIES")) else {
            return Ok(());
        };
        if !none_stored {
            self.messages.push("login at chat.qwen.ai: exists already, no change".to_owned());
            return Ok(());
        }
        for (name, value) in [("QWEN_TOKEN", token), ("QWEN_COOKIES", cookies)] {
            anyhow::ensure!(
                is_printable_ascii(value),
                "{name} must be printable ASCII on one line; nothing was changed"
            );
        }
        self.messages.push("login at chat.qwen.ai: store, encrypted".to_owned());
        self.login = Some(NewCredential {
            label: DEFAULT_LABEL.to_owned(),
            token: Secret::new(token.to_owned()),
            cookies: Secret::new(cookies.to_owned()),
            expires_at: None,
        });
        Ok(())
    }

    /// Adds messages about variables that do not become rows: those that are still in use, and those without effect.
    fn notes(&mut self, variables: &Variables) {
        for name in ["PORT", "HOST", "LOG_LEVEL"] {
            if variables.get(name).is_some() {
                self.messages.push(format!("{name}: is still read as a variable; see `provider-router --help`"));
            }
        }
        for (name, instead) in [
            ("LOG_REQUESTS", "; use the setting logging.logRequests for the request log"),
            ("LOG_RESPONSES", "; use the setting logging.logResponses for the request log"),
            ("MODEL_MAPPINGS", ""),
        ] {
            if variables.get(name).is_some() {
                self.messages.push(format!("{name}: has no effect here{instead}"));
            }
        }
    }
}
