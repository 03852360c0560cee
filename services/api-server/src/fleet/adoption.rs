//! Taking over from an api-server that was killed.

use std::io;

use signalbox_daemon::adoption::{Candidate, Family, Found, run_dir};

use super::Overrides;
use super::owner::Owner;
use super::programs::Binaries;
use super::service::{self, QWEN, ROUTER};
use crate::config;
use crate::supervisor::{Child, Spec, adopt};

// === impl Owner ===

impl Owner {
    /// Goes on with the children of our predecessor. What they run is what they were told; one that we would tell something
    /// else is replaced by handover, as in any restart.
    pub(super) async fn adopt(&self, overrides: &Overrides) {
        let Some(key) = &self.config.key else { return };
        let left = match adopt::look(&run_dir(&self.config.data_dir), key).await {
            Ok(left) => left,
            Err(error) => {
                tracing::error!(%error, "cannot look for services that the last api-server has left behind");
                return;
            }
        };
        let mut others = left.others;
        let mut stale = Vec::new();
        for (family, candidate) in left.candidates {
            match self.take_in(&family, candidate, overrides).await {
                Ok(Some(outdated)) => stale.push(outdated),
                Ok(None) => {}
                Err(error) => others.push(Family { found: Found::Refused(error), ..family }),
            }
        }
        let grace = self.config.limits.grace;
        let (leaving, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|family| matches!(family.found, Found::Leaving));
        let closing = self.closing.clone();
        // They listen on nothing any more: nobody has to wait for them.
        self.leaving.spawn(async move { closing.run_until_cancelled(adopt::end(leaving, grace)).await });
        adopt::end(others, grace).await;
        for (child, spec) in stale {
            tracing::info!("an adopted service was told something else than we would tell it: replacing it");
            drop(child.restart(spec).await);
        }
    }

    /// Adopts one; what it should run instead, if it is outdated.
    async fn take_in(
        &self,
        family: &Family,
        candidate: Candidate,
        overrides: &Overrides,
    ) -> io::Result<Option<(&Child, Spec)>> {
        let Binaries { router, qwen } = self.config.programs.found().map_err(io::Error::other)?;
        let (child, spec) = match candidate.status.service.as_str() {
            ROUTER => (&self.router, service::router(&self.config, overrides, router)),
            QWEN => (&self.qwen, service::qwen(&self.config, overrides, qwen)),
            other => return Err(io::Error::other(format!("{other} is no service of ours"))),
        };
        if child.watch().borrow().is_running() {
            return Err(io::Error::other("a younger generation of it has been adopted"));
        }
        let status = &candidate.status;
        let outdated = status.fingerprint != spec.fingerprint || status.version != config::SPEC.version;
        let (service, pid) = (status.service.clone(), status.identity.pid);
        let foundling = adopt::adopt(family, candidate).await?;
        child.adopt(spec.clone(), foundling).await.done().await.map_err(io::Error::other)?;
        tracing::info!(service, pid, "adopted");
        Ok(outdated.then_some((child, spec)))
    }
}
