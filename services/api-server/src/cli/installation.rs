//! Contents of a data directory: the configuration, and the record of the running api-server.

use std::path::PathBuf;

use anyhow::Context as _;
use signalbox_core::secret::Secret;
use signalbox_daemon::config::{Common, Loaded, load};
use signalbox_daemon::{CONTROL_TOKEN_FILE, Exit, control_token};

use crate::config::{Args, Config, SPEC};
use crate::instance::{self, InstanceRecord};
use crate::logs::LogDir;

/// A data directory with its configuration.
#[derive(Debug)]
pub(super) struct Installation {
    pub(super) common: Common,
    pub(super) config: Config,
    /// Record of the api-server that is running in it.
    pub(super) running: Option<InstanceRecord>,
}

// === impl Installation ===

impl Installation {
    /// Reads the configuration from flags, environment and file, and the record of the running server.
    pub(super) async fn read(args: &Args) -> anyhow::Result<Self> {
        let Loaded { common, own: config, .. } = loaded(args)?;
        let running = instance::running_soon(&common.data_dir).await;
        let running = running.context("cannot determine whether api-server is running")?;
        Ok(Self { common, config, running })
    }

    pub(super) fn logs(&self) -> LogDir {
        LogDir::of(&self.common.data_dir)
    }

    /// Returns the path of api-server's own log.
    pub(super) fn log_file(&self) -> PathBuf {
        self.logs().path().join("api-server.log")
    }

    /// Returns the three configured ports, each with the name of its service.
    pub(super) fn ports(&self) -> [(&'static str, u16); 3] {
        let services = &self.config.services;
        [
            ("api-server", self.common.server.port),
            ("provider-router", services.router_port),
            ("qwen-proxy", services.qwen_port),
        ]
    }

    /// Returns the token of the control API, if there is one.
    ///
    /// # Errors
    /// When the token file in the data directory cannot be read.
    pub(super) fn token(&self) -> Result<Option<Secret<String>>, Exit> {
        if !self.config.api.token.expose().is_empty() {
            return Ok(Some(self.config.api.token.clone()));
        }
        let exists = self.common.data_dir.join(CONTROL_TOKEN_FILE).exists();
        if exists { control_token(&self.common.data_dir).map(|(token, _)| Some(token)) } else { Ok(None) }
    }
}

/// Loads the effective configuration.
pub(super) fn loaded(args: &Args) -> anyhow::Result<Loaded<Config>> {
    let loaded: Loaded<Config> = load(&SPEC, &args.common, args.overlay())?;
    loaded.own.check_with(&loaded.common)?;
    Ok(loaded)
}
