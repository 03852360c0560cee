//! The settings that have a flag or an environment variable: their names, keys and parsers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use toml::{Table, Value};

use super::tables::{lay_over, single};
use super::{AccessLog, LogFormat, LogLevel};
use crate::args::CommonArgs;
use crate::environment::Environment;
use crate::exit::Exit;

struct Setting {
    /// `None` if a command-line flag would be unsafe.
    flag: Option<(&'static str, FlagValue)>,
    env: &'static [&'static str],
    key: &'static str,
    /// Parses the text; the error describes the accepted values.
    read: fn(&str) -> Result<Value, &'static str>,
}

/// Returns the text given for a flag.
type FlagValue = fn(&CommonArgs) -> Option<&str>;

const SETTINGS: &[Setting] = &[
    Setting { flag: Some(("--host", |args| args.host.as_deref())), env: &["HOST"], key: "server.host", read: text },
    Setting { flag: Some(("--port", |args| args.port.as_deref())), env: &["PORT"], key: "server.port", read: port },
    Setting {
        flag: Some(("--data-dir", |args| args.data_dir.as_deref())),
        env: &["DATA_DIR"],
        key: "data_dir",
        read: path,
    },
    Setting {
        flag: Some(("--database-url", |args| args.database_url.as_deref())),
        env: &["DATABASE_URL"],
        key: "database.url",
        read: |value| database_url(value).map(Value::from),
    },
    Setting {
        flag: Some(("--db-path", |args| args.db_path.as_deref())),
        env: &["DB_PATH", "DATABASE_PATH"],
        key: "database.url",
        read: |value| sqlite_url(Path::new(value)).map(Value::from),
    },
    Setting {
        flag: Some(("--log-level", |args| args.log_level.as_deref())),
        env: &["LOG_LEVEL"],
        key: "log.level",
        read: level,
    },
    Setting {
        flag: Some(("--log-format", |args| args.log_format.as_deref())),
        env: &["LOG_FORMAT"],
        key: "log.format",
        read: format,
    },
    Setting { flag: None, env: &["LOG_ACCESS"], key: "log.access", read: access },
    Setting { flag: None, env: &["OTEL_EXPORTER_OTLP_ENDPOINT"], key: "log.otlp_endpoint", read: text },
    Setting { flag: None, env: &["ALLOWED_HOSTS"], key: "server.allowed_hosts", read: list },
    Setting { flag: None, env: &["ALLOWED_ORIGINS"], key: "server.allowed_origins", read: list },
    Setting { flag: None, env: &["TRUSTED_PROXIES"], key: "server.trusted_proxies", read: list },
    Setting { flag: None, env: &["CLIENT_KEYS"], key: "auth.client_keys", read: list },
    Setting {
        flag: Some(("--unix-socket", |args| args.unix_socket.as_deref())),
        env: &["UNIX_SOCKET"],
        key: "server.unix_socket",
        read: file,
    },
    Setting {
        flag: Some(("--tls-cert", |args| args.tls_cert.as_deref())),
        env: &["TLS_CERT"],
        key: "tls.cert",
        read: file,
    },
    Setting {
        flag: Some(("--tls-key", |args| args.tls_key.as_deref())),
        env: &["TLS_KEY"],
        key: "tls.key",
        read: file,
    },
    Setting {
        flag: Some(("--insecure-no-auth", |args| args.insecure_no_auth.then_some("true"))),
        env: &["INSECURE_NO_AUTH"],
        key: "auth.insecure_no_auth",
        read: switch,
    },
];

/// Returns the layer of the command line.
pub(super) fn of_flags(args: &CommonArgs) -> Result<Table, Exit> {
    let given = SETTINGS.iter().filter_map(|setting| {
        let (name, text) = setting.flag?;
        Some((name.to_owned(), text(args)?, setting))
    });
    layer(given).map_err(Exit::Usage)
}

/// Returns the layer of the environment. Variables with the prefix take precedence over those without.
pub(super) fn of_environment(env: &Environment, prefix: Option<&str>) -> Result<Table, Exit> {
    let mut given = Vec::new();
    for setting in SETTINGS {
        for name in setting.env {
            let mut names: Vec<String> = prefix.iter().map(|prefix| format!("{prefix}{name}")).collect();
            names.push((*name).to_owned());
            for name in names {
                if let Some(text) = env.get(&name)? {
                    given.push((name, text, setting));
                    break;
                }
            }
        }
    }
    layer(given.into_iter()).map_err(Exit::Config)
}

fn layer<'a>(given: impl Iterator<Item = (String, &'a str, &'a Setting)>) -> Result<Table, String> {
    let mut layer = Table::new();
    let mut before: BTreeMap<&str, (String, Value)> = BTreeMap::new();
    for (name, text, setting) in given {
        // Do not quote a database URL, which may contain a password; no other setting whose text can be rejected is
        // secret.
        let shown = if setting.key == "database.url" { String::new() } else { format!(", not `{text}`") };
        let value = (setting.read)(text).map_err(|takes| format!("{name} takes {takes}{shown}"))?;
        lay_over(&mut layer, single(setting.key, value.clone()));
        if let Some((other, earlier)) = before.insert(setting.key, (name.clone(), value.clone()))
            && earlier != value
        {
            return Err(format!("{other} and {name} contradict each other: give one of them"));
        }
    }
    Ok(layer)
}

fn text(value: &str) -> Result<Value, &'static str> {
    Ok(Value::from(value))
}

fn port(value: &str) -> Result<Value, &'static str> {
    value.parse::<u16>().map(|port| Value::from(i64::from(port))).map_err(|_| "a number from 0 to 65535")
}

fn path(value: &str) -> Result<Value, &'static str> {
    if value.is_empty() { Err("the path of a directory") } else { Ok(Value::from(value)) }
}

/// Returns an absolute path, because child processes may have another working directory.
fn file(value: &str) -> Result<Value, &'static str> {
    const EXPECTED: &str = "the path of a file";
    if value.is_empty() {
        return Err(EXPECTED);
    }
    let path = std::path::absolute(value).map_err(|_| EXPECTED)?;
    path.to_str().map(Value::from).ok_or(EXPECTED)
}

fn level(value: &str) -> Result<Value, &'static str> {
    let level = value.to_ascii_lowercase().parse::<LogLevel>();
    level.map(|level| Value::from(level.as_str())).map_err(|_| "error, warn, info, debug or trace")
}

fn format(value: &str) -> Result<Value, &'static str> {
    value.parse::<LogFormat>().map(|format| Value::from(format.as_str())).map_err(|_| "human or json")
}

fn access(value: &str) -> Result<Value, &'static str> {
    value.parse::<AccessLog>().map(|access| Value::from(access.as_str())).map_err(|_| "all, errors or off")
}

fn switch(value: &str) -> Result<Value, &'static str> {
    match value {
        "true" | "1" => Ok(Value::from(true)),
        "false" | "0" => Ok(Value::from(false)),
        _ => Err("true, false, 1 or 0"),
    }
}

fn list(value: &str) -> Result<Value, &'static str> {
    let items: Vec<Value> = value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect();
    Ok(Value::Array(items))
}

/// Checks the scheme of a database URL from any source. The services may have other working directories than their
/// user, so a SQLite file has an absolute path.
pub(super) fn database_url(value: &str) -> Result<&str, &'static str> {
    if let Some(place) = value.strip_prefix("sqlite:") {
        let is_absolute = place.starts_with("///") || matches!(place, ":memory:" | "//:memory:");
        return if is_absolute {
            Ok(value)
        } else {
            Err("an absolute path in a SQLite URL: sqlite:///path/to/file.db")
        };
    }
    let known = ["postgres://", "postgresql://"].iter().any(|scheme| value.starts_with(scheme));
    if known { Ok(value) } else { Err("a URL that begins with sqlite:///, postgres:// or postgresql://") }
}

/// Returns the URL of a SQLite file. Characters with a special meaning in URLs are escaped, so that any path is
/// possible.
pub(super) fn sqlite_url(path: &Path) -> Result<String, &'static str> {
    const EXPECTED: &str = "the path of a file";
    let path = std::path::absolute(path).map_err(|_| EXPECTED)?;
    let path = path.to_str().ok_or(EXPECTED)?;
    let mut url = String::from(if path.starts_with('/') { "sqlite://" } else { "sqlite:///" });
    for char in path.chars() {
        match char {
            '%' | '?' | '#' => write!(url, "%{:02X}", u32::from(char)).map_err(|_| EXPECTED)?,
            '\\' if cfg!(windows) => url.push('/'),
            _ => url.push(char),
        }
    }
    Ok(url)
}
