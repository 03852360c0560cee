use std::path::PathBuf;

use crate::config::{Common, Environment};
use crate::exit::Exit;
use crate::listener::Listener;
use crate::shutdown::Shutdown;
use crate::telemetry::LogHandle;

/// What the daemon hands to the service.
#[derive(Debug)]
pub struct Context {
    /// The settings all three programs share.
    pub common: Common,
    /// The sockets to serve on.
    pub listener: Listener,
    /// When to leave.
    pub shutdown: Shutdown,
    /// The id of this run, echoed by the readiness endpoint so that a supervisor knows whom it is talking to.
    pub instance: String,
    /// Whether a supervisor started this process and reads its status line.
    pub supervised: bool,
    /// Changes the log level while the process runs.
    pub log: LogHandle,
    /// The name of the program.
    pub service: &'static str,
    /// The version of the program.
    pub version: &'static str,
}

// === impl Context ===

impl Context {
    /// A context outside of [`run`](fn@crate::run), for tests in the same process: defaults, a free port on 127.0.0.1, files in `data_dir`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn detached(data_dir: PathBuf) -> Result<Self, Exit> {
        let common = Common::detached(&data_dir, &Environment::empty())?;
        Ok(Self {
            listener: Listener::bind(&common.server.host, common.server.port).await?,
            common,
            shutdown: Shutdown::new(),
            instance: signalbox_core::id::request_id().to_string(),
            supervised: false,
            log: LogHandle::detached(),
            service: "detached",
            version: env!("CARGO_PKG_VERSION"),
        })
    }
}
