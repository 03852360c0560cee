use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Common;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::listener::Listener;
use crate::shutdown::Shutdown;
use crate::telemetry::LogHandle;
use crate::tls::Tls;

/// Environment of a service, provided by the daemon.
#[derive(Debug)]
pub struct Context {
    /// Settings all three programs share.
    pub common: Common,
    /// Sockets to serve on.
    pub listener: Listener,
    /// TLS identity of the listener; `None` for plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Shutdown signal.
    pub shutdown: Shutdown,
    /// Id of this run, returned by the readiness endpoint so that a supervisor can tell instances apart.
    pub instance: String,
    /// Whether a supervisor started this process and reads its status line.
    pub supervised: bool,
    /// Handle that changes the log level at run time.
    pub log: LogHandle,
    /// Name of the program.
    pub service: &'static str,
    /// Version of the program.
    pub version: &'static str,
}

// === impl Context ===

impl Context {
    /// Returns the URL of this service, without a path: `https://127.0.0.1:3001`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme(), self.listener.local_addr())
    }

    /// Returns the scheme that clients on other machines use.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Creates a context without [`run`](fn@crate::run), for tests in the same process: defaults, a free port on
    /// 127.0.0.1, files in `data_dir`.
    ///
    /// # Errors
    /// Returns an error when no port can be bound.
    pub async fn detached(data_dir: PathBuf) -> Result<Self, Exit> {
        let common = Common::detached(&data_dir, &Environment::empty())?;
        Ok(Self {
            listener: Listener::bind(&common.server.host, common.server.port).await?,
            tls: Tls::load(&common.tls)?,
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
