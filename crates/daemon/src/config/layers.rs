//! Merges the configuration layers, and finds the layer that causes an error.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::tables::{lay_over, single};
use super::{Common, data_dir, mask, settings};
use crate::Spec;
use crate::args::CommonArgs;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::variables::received::received;

/// Defaults of the common sections, with their documentation.
pub(super) const DEFAULTS: &str = include_str!("defaults.toml");

/// Top-level keys of the sections that all programs share.
const COMMON_KEYS: [&str; 6] = ["server", "database", "log", "auth", "tls", "data_dir"];

/// An effective configuration.
#[derive(Debug)]
pub struct Loaded<C> {
    /// Settings all programs share.
    pub common: Common,
    /// The service's own sections.
    pub own: C,
    effective: Table,
}

/// Loads the configuration of this process from defaults, file, environment and flags. `overlay` holds the values that
/// the service's own flags and variables set in its sections.
///
/// # Errors
/// Returns one sentence that names the source: [`Exit::Usage`] for the command line, [`Exit::Config`] for all others,
/// [`Exit::Temporary`] if secrets announced by the supervisor do not arrive.
pub fn load<C: DeserializeOwned>(spec: &Spec, args: &CommonArgs, overlay: Table) -> Result<Loaded<C>, Exit> {
    received()?;
    load_from(spec, args, overlay, &Environment::of_process())
}

pub(super) fn load_from<C: DeserializeOwned>(
    spec: &Spec,
    args: &CommonArgs,
    overlay: Table,
    env: &Environment,
) -> Result<Loaded<C>, Exit> {
    let flags = settings::of_flags(args)?;
    let environment = settings::of_environment(env, spec.env_prefix)?;
    let home = match flags.get("data_dir").or_else(|| environment.get("data_dir")).and_then(Value::as_str) {
        Some(dir) => PathBuf::from(dir),
        None => data_dir::of_platform(env)?,
    };
    let file = read_file(spec, args, &home, env)?;

    let stages = [
        (Source::Defaults, defaults(spec)?),
        (
            Source::File(file.as_ref().map_or_else(PathBuf::new, |file| file.0.clone())),
            file.map(|file| file.1).unwrap_or_default(),
        ),
        (Source::Environment, environment),
        (Source::CommandLine, flags),
        (Source::CommandLine, overlay),
    ];
    let mut effective = Table::new();
    for (_, layer) in &stages {
        lay_over(&mut effective, layer.clone());
    }
    match read(effective, &home) {
        Ok(loaded) => Ok(loaded),
        Err(fault) => Err(attribute_error::<C>(&stages, &home, &fault)),
    }
}

/// Returns the common defaults alone, with any free port.
pub(super) fn defaults_only(home: &Path, env: &Environment) -> Result<Common, Exit> {
    let spec =
        Spec { name: "detached", default_port: 0, defaults: "", version: "", env_prefix: None, issues_keys: false };
    let args = CommonArgs { data_dir: home.to_str().map(str::to_owned), ..CommonArgs::default() };
    load_from::<NoSections>(&spec, &args, Table::new(), env).map(|loaded| loaded.common)
}

/// The own sections of a service that has none.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSections {}

#[derive(Clone)]
enum Source {
    Defaults,
    File(PathBuf),
    Environment,
    CommandLine,
}

// === impl Loaded ===

impl<C> Loaded<C> {
    /// Returns the effective configuration as TOML, with secrets masked.
    #[must_use]
    pub fn to_masked_toml(&self) -> String {
        let mut table = self.effective.clone();
        mask::mask(&mut table);
        table.to_string()
    }
}

// === impl Source ===

impl Source {
    fn exit(&self, fault: &str) -> Exit {
        match self {
            Self::Defaults => Exit::Config(format!("the compiled-in defaults: {fault}")),
            Self::File(path) => Exit::Config(format!("{}: {fault}", path.display())),
            Self::Environment => Exit::Config(format!("the environment: {fault}")),
            Self::CommandLine => Exit::Usage(format!("the command line: {fault}")),
        }
    }
}

fn defaults(spec: &Spec) -> Result<Table, Exit> {
    let parse = |text: &str| text.parse::<Table>().map_err(|error| Source::Defaults.exit(error.message()));
    let mut defaults = parse(DEFAULTS)?;
    lay_over(&mut defaults, single("server.port", i64::from(spec.default_port).into()));
    lay_over(&mut defaults, parse(spec.defaults)?);
    Ok(defaults)
}

/// Reads the file that was named explicitly, or the one in the data directory if it exists.
fn read_file(spec: &Spec, args: &CommonArgs, home: &Path, env: &Environment) -> Result<Option<(PathBuf, Table)>, Exit> {
    let named = match &args.config {
        Some(path) => Some(path.clone()),
        None => env.get("SIGNALBOX_CONFIG")?.map(PathBuf::from),
    };
    let path = named.clone().unwrap_or_else(|| home.join(format!("{}.toml", spec.name)));
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Exit::Config(format!("cannot read the configuration file {}: {error}", path.display())));
        }
    };
    match text.parse::<Table>() {
        Ok(table) => Ok(Some((path, table))),
        // `Display` of the error quotes the line, which may contain a secret.
        Err(error) => {
            let line = error
                .span()
                .and_then(|span| text.get(..span.start))
                .map_or(1, |before| before.matches('\n').count() + 1);
            Err(Exit::Config(format!("{}, line {line}: {}", path.display(), error.message())))
        }
    }
}

/// Deserialises and checks a merged table. The error message names the key.
fn read<C: DeserializeOwned>(mut effective: Table, home: &Path) -> Result<Loaded<C>, String> {
    if !effective.contains_key("data_dir") {
        let home = home.to_str().ok_or("the path of the data directory is not valid UTF-8")?;
        effective.insert("data_dir".to_owned(), home.into());
    }
    if let Some(Value::String(dir)) = effective.get_mut("data_dir") {
        let absolute = std::path::absolute(&*dir).map_err(|_| "data_dir takes the path of a directory")?;
        *dir = absolute.to_str().ok_or("the path of the data directory is not valid UTF-8")?.to_owned();
        let url = settings::sqlite_url(&absolute.join("signalbox.db"))?;
        if let Some(Value::Table(database)) = effective.get_mut("database") {
            database.entry("url").or_insert_with(|| url.into());
        }
    }
    let (common, own): (Table, Table) =
        effective.clone().into_iter().partition(|(key, _)| COMMON_KEYS.contains(&key.as_str()));
    let common: Common = common.try_into().map_err(fault)?;
    common.check()?;
    let own: C = own.try_into().map_err(fault)?;
    Ok(Loaded { common, own, effective })
}

/// Formats a TOML error on one line; its message contains the path of the key on a second one.
#[expect(clippy::needless_pass_by_value, reason = "signature required by `map_err`")]
fn fault(error: toml::de::Error) -> String {
    error.to_string().trim_end().replace('\n', " ")
}

/// Returns the error for the first layer that makes the configuration invalid.
fn attribute_error<C: DeserializeOwned>(stages: &[(Source, Table)], home: &Path, fault: &str) -> Exit {
    let mut table = Table::new();
    for (source, layer) in stages {
        lay_over(&mut table, layer.clone());
        if !layer.is_empty()
            && let Err(fault) = read::<C>(table.clone(), home)
        {
            return source.exit(&fault);
        }
    }
    Source::Defaults.exit(fault)
}
