//! The command-line flags all three programs share.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::exit::Exit;

/// Heading of the flags that every command accepts, in its help.
const HEADING: &str = "Common options";

// Flatten this into the arguments of a program. Values stay text: they are parsed together with the environment and the
// file, so that every error message names its source. Flags marked `global` are also accepted behind a subcommand; the
// listening flags have no meaning there.
#[expect(missing_docs, reason = "clap would print them as the description of the whole program")]
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CommonArgs {
    /// Address to listen on: an IP address, `localhost` or a host name (env HOST; default 127.0.0.1)
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Port to listen on; 0 takes any free one (env PORT)
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// Directory of the program's files (env DATA_DIR; default: `signalbox` in the platform's data directory)
    #[arg(long, global = true, help_heading = HEADING, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Database as a URL, `sqlite:…` or `postgres:…` (env DATABASE_URL; default: `signalbox.db` in the data directory)
    #[arg(long, global = true, help_heading = HEADING, value_name = "URL")]
    pub database_url: Option<String>,
    /// Database as the path of a SQLite file (env DB_PATH or DATABASE_PATH)
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE")]
    pub db_path: Option<String>,
    /// Least important level to log: error, warn, info, debug or trace (env LOG_LEVEL; default info)
    #[arg(long, global = true, help_heading = HEADING, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Shape of the log lines on stderr: human or json (env LOG_FORMAT; default human)
    #[arg(long, global = true, help_heading = HEADING, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Configuration file (env SIGNALBOX_CONFIG; default: `<program>.toml` in the data directory, if it exists)
    #[arg(long, global = true, help_heading = HEADING, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the effective configuration as TOML, secrets masked, and exit
    #[arg(long, global = true, help_heading = HEADING)]
    pub print_config: bool,
    /// Unix socket to listen on in addition, for programs of the same user (env UNIX_SOCKET)
    #[arg(long, value_name = "PATH")]
    pub unix_socket: Option<String>,
    /// PEM file with the certificate for HTTPS, followed by intermediate certificates (env TLS_CERT; default: plain
    /// HTTP)
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// PEM file with the private key of the certificate (env TLS_KEY)
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Listen beyond loopback although no client key is configured (env INSECURE_NO_AUTH)
    #[arg(long)]
    pub insecure_no_auth: bool,
}

impl CommonArgs {
    /// Converts the flags back into command-line arguments.
    #[must_use]
    pub fn to_argv(&self) -> Vec<OsString> {
        let values = [
            ("--host", &self.host),
            ("--port", &self.port),
            ("--data-dir", &self.data_dir),
            ("--database-url", &self.database_url),
            ("--db-path", &self.db_path),
            ("--log-level", &self.log_level),
            ("--log-format", &self.log_format),
            ("--unix-socket", &self.unix_socket),
            ("--tls-cert", &self.tls_cert),
            ("--tls-key", &self.tls_key),
        ];
        let values = values.into_iter().filter_map(|(flag, value)| Some((flag, OsString::from(value.as_ref()?))));
        let config = self.config.iter().map(|path| ("--config", path.clone().into_os_string()));
        let mut argv: Vec<OsString> = values.chain(config).flat_map(|(flag, value)| [flag.into(), value]).collect();
        let switches = [("--print-config", self.print_config), ("--insecure-no-auth", self.insecure_no_auth)];
        argv.extend(switches.into_iter().filter(|(_, on)| *on).map(|(flag, _)| flag.into()));
        argv
    }
}

/// Parses the command line of this process.
///
/// # Errors
/// Returns the exit code after printing the message: 64 after a usage error, 0 after `--help` and `--version`.
pub fn parse_args<P: clap::Parser>() -> Result<P, ExitCode> {
    parse_args_from(std::env::args_os())
}

/// Parses `words` as a command line; the first word is the program name.
///
/// # Errors
/// See [`parse_args`].
pub fn parse_args_from<P: clap::Parser>(words: impl IntoIterator<Item = OsString>) -> Result<P, ExitCode> {
    try_parse_from(words).map_err(|error| {
        // A write error, such as a closed terminal, cannot be reported; the exit code carries the same information.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage(String::new()).exit_code() } else { ExitCode::SUCCESS }
    })
}

/// Parses `words` as a command line, without printing anything.
///
/// # Errors
/// Returns clap's error. For a flag before a command that has to be behind it, the error says so.
pub fn try_parse_from<P: clap::Parser>(words: impl IntoIterator<Item = OsString>) -> Result<P, clap::Error> {
    P::try_parse_from(words).map_err(|mut error| {
        let context = (error.get(ContextKind::InvalidSubcommand), error.get(ContextKind::PriorArg));
        if let (ErrorKind::ArgumentConflict, (Some(ContextValue::String(command)), prior)) = (error.kind(), context) {
            let flag = match prior {
                Some(ContextValue::String(flag)) => flag.split(' ').next().unwrap_or_default(),
                _ => "--flag",
            };
            let tip = format!("write the flag behind the command: `{command} {flag} …`");
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        error
    })
}
