use std::future::Future;
use std::io::{ErrorKind, Write};
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::FutureExt;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

use crate::Spec;
use crate::args::CommonArgs;
use crate::config::{self, Common, Loaded};
use crate::context::Context;
use crate::descriptors;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::listener::{self, Listener};
use crate::shutdown::{Shutdown, Signals};
use crate::supervision::Supervision;
use crate::telemetry::{self, LogHandle};
use crate::tls::Tls;
use crate::traces::Traces;

/// Maximum time blocking tasks may continue after the service has ended.
const BLOCKING_TASKS_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs a service as the whole of a `main`: configuration, telemetry, runtime, listener, signals, lifeline; then
/// `serve`; then the exit code.
///
/// `C` is the type of the service's own sections of the configuration (with `deny_unknown_fields`); `overlay` contains
/// the values set by the service's own flags and variables. `serve` should prepare its state, call
/// [`serve`](fn@crate::serve) and close its state.
#[expect(clippy::needless_pass_by_value, reason = "`main` has no further use for its arguments")]
pub fn run<C, F, Fut>(spec: Spec, args: CommonArgs, overlay: toml::Table, serve: F) -> ExitCode
where
    C: DeserializeOwned,
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = Result<(), Exit>>,
{
    load_and_run(&spec, &args, overlay, |loaded: Loaded<C>| {
        let instance = signalbox_core::id::request_id().to_string();
        let traces =
            Traces::configured(&loaded.common.log, &spec, &instance).inspect_err(|exit| report_exit(&spec, exit))?;
        let log = telemetry::install(&loaded.common.log, &traces);
        let served = serve_on_runtime(&spec, loaded, log, instance, serve);
        traces.flush();
        if let Err(exit) = &served {
            tracing::error!(code = exit.code(), "{exit}");
        }
        served
    })
}

/// Runs a one-shot command as the whole of a `main`: configuration, telemetry, runtime, signals; then `work`; then the
/// exit code.
///
/// An error is printed as one line on stderr. The command does not listen, so it can run beside a service of the same
/// name. `C` and `overlay` are as for [`run`]. When its [`Shutdown`] is triggered, `work` should clean up and return
/// [`Exit::Interrupted`].
#[expect(clippy::needless_pass_by_value, reason = "`main` has no further use for its arguments")]
pub fn run_command<C, F, Fut>(spec: Spec, args: CommonArgs, overlay: toml::Table, work: F) -> ExitCode
where
    C: DeserializeOwned,
    F: FnOnce(C, Common, Shutdown) -> Fut,
    Fut: Future<Output = Result<(), Exit>>,
{
    load_and_run(&spec, &args, overlay, |loaded: Loaded<C>| {
        telemetry::install(&loaded.common.log, &Traces::default());
        let done = run_on_runtime(loaded, work);
        if let Err(exit) = &done {
            report_exit(&spec, exit);
        }
        done
    })
}

/// Loads the configuration, runs `go` and returns the exit code. `go` installs the logger and reports its own errors.
fn load_and_run<C: DeserializeOwned>(
    spec: &Spec,
    args: &CommonArgs,
    overlay: toml::Table,
    go: impl FnOnce(Loaded<C>) -> Result<(), Exit>,
) -> ExitCode {
    let loaded: Loaded<C> = match config::load(spec, args, overlay) {
        Ok(loaded) => loaded,
        Err(exit) => return report(spec, &exit),
    };
    if args.print_config {
        return match write!(std::io::stdout(), "{}", loaded.to_masked_toml()) {
            Ok(()) => ExitCode::SUCCESS,
            // The reader closed the pipe early, as `head` does.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => report(spec, &Exit::CannotOpen(format!("cannot write to stdout: {error}"))),
        };
    }
    match go(loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.exit_code(),
    }
}

/// Reports an error before the logger is installed. If stderr is closed, the exit code is the only report.
fn report(spec: &Spec, exit: &Exit) -> ExitCode {
    report_exit(spec, exit);
    exit.exit_code()
}

fn report_exit(spec: &Spec, exit: &Exit) {
    let _ = writeln!(std::io::stderr(), "{}: {exit}", spec.name);
}

fn run_on_runtime<C, F, Fut>(loaded: Loaded<C>, work: F) -> Result<(), Exit>
where
    F: FnOnce(C, Common, Shutdown) -> Fut,
    Fut: Future<Output = Result<(), Exit>>,
{
    config::prepare_data_dir(&loaded.common.data_dir)?;
    let runtime = runtime(loaded.common.server.worker_threads)?;
    let ended = runtime.block_on(async {
        let shutdown = Shutdown::new();
        let _signals = Signals::install(shutdown.clone())?;
        // The panic has already been logged by the hook.
        let work = AssertUnwindSafe(async { work(loaded.own, loaded.common, shutdown).await });
        match work.catch_unwind().await {
            Err(_panic) => Err(Exit::Panic),
            Ok(ended) => ended,
        }
    });
    // Do not wait for blocking tasks: one may be stuck in a read from the terminal.
    runtime.shutdown_background();
    ended
}

fn serve_on_runtime<C, F, Fut>(
    spec: &Spec,
    loaded: Loaded<C>,
    log: LogHandle,
    instance: String,
    serve: F,
) -> Result<(), Exit>
where
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = Result<(), Exit>>,
{
    let supervised = Environment::of_process().get("SIGNALBOX_SUPERVISED")? == Some("1");
    config::prepare_data_dir(&loaded.common.data_dir)?;
    descriptors::raise_limit();
    let runtime = runtime(loaded.common.server.worker_threads)?;
    let ended = runtime.block_on(async {
        let shutdown = Shutdown::new();
        let _signals = Signals::install(shutdown.clone())?;
        let supervision = if supervised { Some(Supervision::begin(&loaded.common, &shutdown)?) } else { None };
        let tls = Tls::load(&loaded.common.tls)?;
        let listener = acquire(&loaded.common, spec.issues_keys).await?;
        let context = Context {
            common: loaded.common,
            listener,
            tls,
            shutdown,
            instance,
            supervised,
            log,
            service: spec.name,
            version: spec.version,
        };
        if let Some(supervision) = &supervision {
            supervision.publish(&context)?;
        }
        // The panic has already been logged by the hook.
        let ended = AssertUnwindSafe(async { serve(loaded.own, context).await }).catch_unwind().await;
        match ended {
            Err(_panic) => Err(Exit::Panic),
            Ok(Ok(())) if supervision.is_some_and(|supervision| supervision.is_orphaned()) => Err(Exit::Orphaned),
            Ok(ended) => ended,
        }
    });
    runtime.shutdown_timeout(BLOCKING_TASKS_TIMEOUT);
    ended
}

fn runtime(worker_threads: usize) -> Result<Runtime, Exit> {
    let mut builder = Builder::new_multi_thread();
    if worker_threads > 0 {
        builder.worker_threads(worker_threads);
    }
    builder.enable_all().build().map_err(|error| Exit::Temporary(format!("cannot start the runtime: {error}")))
}

/// Takes the passed sockets or binds new ones.
///
/// # Errors
/// Besides the errors of the listener, returns [`Exit::Config`] if other machines could connect without a key; a service
/// that `issues_keys` checks that itself.
async fn acquire(common: &Common, issues_keys: bool) -> Result<Listener, Exit> {
    let guarded = |beyond: Option<std::net::IpAddr>| match beyond {
        _ if issues_keys => Ok(()),
        Some(ip) if common.auth.client_keys.is_empty() && !common.auth.insecure_no_auth => {
            Err(Exit::Config(listener::exposed(ip)))
        }
        Some(ip) if common.auth.client_keys.is_empty() => {
            tracing::warn!(%ip, "other machines can reach this port, and no client key is required");
            Ok(())
        }
        _ => Ok(()),
    };
    let unix_socket = &common.server.unix_socket;
    if let Some(listener) = Listener::passed()? {
        guarded(listener.beyond_loopback().map(|addr| addr.ip()))?;
        // The previous generation may still be running.
        listener.bind_unix_socket(unix_socket, true).await?;
        return Ok(listener);
    }
    let addresses = listener::resolve(&common.server.host).await?;
    guarded(addresses.into_iter().find(|ip| !ip.to_canonical().is_loopback()))?;
    let listener = Listener::bind(&common.server.host, common.server.port).await?;
    listener.bind_unix_socket(unix_socket, false).await?;
    Ok(listener)
}
