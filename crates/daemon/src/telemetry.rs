//! Logs to stderr, as text or JSON lines, with a level that can be changed at run time.

use std::io::IsTerminal;

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::log_file::LogWriter;
use crate::request::ACCESS_TARGET;
use crate::traces::{EXPORTED_SPANS, Traces};

/// Targets that log at the configured level: the crates of this workspace, by prefix. Dependencies log warnings and
/// errors only, because at lower levels they print the data that passes through them, including keys and tokens.
const OWN_TARGETS: [&str; 4] = ["signalbox", "api_server", "provider_router", "qwen_proxy"];

/// Handle that changes the log level. Clones share the state.
#[derive(Clone)]
pub struct LogHandle {
    filter: Option<reload::Handle<Targets, Registry>>,
}

// === impl LogHandle ===

impl LogHandle {
    /// Sets the least important level that is logged.
    pub fn set_level(&self, level: LogLevel) {
        let Some(filter) = &self.filter else { return };
        if let Err(error) = filter.reload(targets(level)) {
            tracing::error!(%error, "cannot change the log level");
        }
    }

    /// Sets the level by name; an absent or unknown name selects the `configured` level.
    pub fn set_named(&self, name: Option<&str>, configured: LogLevel) {
        self.set_level(name.and_then(|name| name.parse().ok()).unwrap_or(configured));
    }

    /// Creates a handle without a logger, for tests.
    pub(crate) const fn detached() -> Self {
        Self { filter: None }
    }
}

impl std::fmt::Debug for LogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogHandle").finish_non_exhaustive()
    }
}

/// Installs the logger, the export of spans and the panic hook.
pub(crate) fn install(config: &LogConfig, traces: &Traces) -> LogHandle {
    let (filter, handle) = reload::Layer::new(targets(config.level));
    // Without `log_internal_errors(false)`, a failed write to a closed stderr would be reported with `eprintln!`, which
    // panics.
    let lines = tracing_subscriber::fmt::layer().with_writer(LogWriter::of_process()).log_internal_errors(false);
    let lines = match config.format {
        LogFormat::Human => lines.with_ansi(has_colours()).boxed(),
        LogFormat::Json => lines.with_ansi(false).json().flatten_event(true).boxed(),
    };
    let logged = tracing_subscriber::registry().with(filter).with(lines);
    // A missing layer would still take part in every decision about a span or an event.
    let installed = match traces.layer() {
        Some(exported) => logged.with(exported).try_init(),
        None => logged.try_init(),
    };
    if let Err(error) = installed {
        tracing::warn!(%error, "another logger is already installed");
    }
    std::panic::set_hook(Box::new(log_panic));
    LogHandle { filter: Some(handle) }
}

/// Returns whether log lines have colours: on a terminal only, and not with `NO_COLOR`. `CLICOLOR_FORCE` must not put
/// escape sequences into a log file.
fn has_colours() -> bool {
    let stderr = std::io::stderr();
    stderr.is_terminal() && AutoStream::choice(&stderr) != ColorChoice::Never
}

fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    // Empty unless RUST_BACKTRACE is set.
    let backtrace = std::backtrace::Backtrace::capture();
    tracing::error!(message, location, thread = thread.name(), %backtrace, "panic");
}

fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OWN_TARGETS.map(|target| (target, level)))
        .with_target(ACCESS_TARGET, LevelFilter::INFO)
        .with_target(EXPORTED_SPANS, LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn dependencies_log_less_than_own_crates() {
        let targets = targets(LogLevel::Debug);
        assert!(targets.would_enable("signalbox_daemon::serve", &Level::DEBUG));
        assert!(!targets.would_enable("signalbox_daemon::serve", &Level::TRACE));
        for service in ["api_server::events", "provider_router::run", "qwen_proxy", "signalbox_store::pool"] {
            assert!(targets.would_enable(service, &Level::DEBUG), "{service}");
        }
        for dependency in ["hyper::proto", "socketioxide::ns", "engineioxide::engine", "h2", "tower_http::trace"] {
            assert!(!targets.would_enable(dependency, &Level::INFO), "{dependency}");
        }
        assert!(targets.would_enable("sqlx::query", &Level::WARN));
    }

    #[test]
    fn dependencies_never_exceed_the_configured_level() {
        assert!(!targets(LogLevel::Error).would_enable("hyper", &Level::WARN));
    }

    #[test]
    fn the_level_changes_at_run_time() {
        let (filter, handle) = reload::Layer::new(targets(LogLevel::Info));
        let log = LogHandle { filter: Some(handle) };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(filter), || {
            assert!(!tracing::enabled!(target: "signalbox_reloaded", Level::DEBUG));
            log.set_level(LogLevel::Debug);
            assert!(tracing::enabled!(target: "signalbox_reloaded", Level::DEBUG));
            log.set_named(Some("warn"), LogLevel::Debug);
            assert!(!tracing::enabled!(target: "signalbox_reloaded", Level::INFO));
            for as_configured in [None, Some("loud")] {
                log.set_named(as_configured, LogLevel::Debug);
                assert!(tracing::enabled!(target: "signalbox_reloaded", Level::DEBUG));
            }
        });
    }
}
