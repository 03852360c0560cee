//! Publication of qwen-proxy's address for the router beside it.
//!
//! The router is started together with qwen-proxy, when the port may not be chosen yet, and outlives changes of the
//! port. So the address is not part of its environment, but in a file that it reads again and again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use signalbox_daemon::addresses;

use super::service::QWEN;
use super::worker_group::{Watchers, as_one};
use crate::instance::reachable;

/// Pause before a failed publication is tried again, and between looks whether the address is still published.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Publisher of the address.
#[derive(Debug)]
pub(super) struct Beside {
    data_dir: PathBuf,
    qwen: Watchers,
    /// Address that was published last.
    published: Option<SocketAddr>,
}

// === impl Beside ===

impl Beside {
    pub(super) fn new(data_dir: &Path, qwen: Watchers) -> Self {
        Self { data_dir: data_dir.to_owned(), qwen, published: None }
    }

    /// Publishes the address of qwen-proxy if it has changed or its file was deleted, or else waits for its next state.
    /// While qwen-proxy is not running, its last address stays published, at which it is most likely to return. Cancel
    /// safe.
    pub(super) async fn follow(&mut self) {
        let addr = as_one(&self.qwen.now()).addr.map(reachable);
        let Some(addr) = addr.filter(|addr| self.published != Some(*addr)) else {
            match tokio::time::timeout(RETRY_PAUSE, self.qwen.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => std::future::pending().await,
                // Another program may have deleted the file.
                Err(_) => self.published = addresses::published(&self.data_dir, QWEN),
            }
            return;
        };
        let data_dir = self.data_dir.clone();
        let written = tokio::task::spawn_blocking(move || addresses::publish(&data_dir, QWEN, addr)).await;
        match written.map_err(std::io::Error::other).flatten() {
            Ok(()) => self.published = Some(addr),
            Err(error) => {
                tracing::error!(%error, %addr, "the router cannot be told where qwen-proxy listens");
                tokio::time::sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// Removes the published address.
    pub(super) async fn withdraw(self) {
        let withdrawn = tokio::task::spawn_blocking(move || addresses::withdraw(&self.data_dir, QWEN)).await;
        if let Err(error) = withdrawn.map_err(std::io::Error::other).flatten() {
            tracing::warn!(%error, "the address of qwen-proxy cannot be withdrawn");
        }
    }
}
