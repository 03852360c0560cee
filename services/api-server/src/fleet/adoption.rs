//! Adoption of the children of an api-server that was killed.

use std::io;

use signalbox_daemon::adoption::{Candidate, Family, FamilyState, Status, run_dir};

use super::Overrides;
use super::controller::Controller;
use super::programs::Binaries;
use super::service::{self, QWEN, ROUTER};
use super::worker_group::WorkerGroup;
use crate::config;
use crate::supervisor::{Child, Spec, adopt};

// === impl Controller ===

impl Controller {
    /// Adopts the children of an earlier api-server. They keep their configuration; a child whose configuration differs
    /// from ours is replaced by handover, as in a restart.
    pub(super) async fn adopt(&self, overrides: &Overrides) {
        let Some(key) = &self.config.key else { return };
        let left = match adopt::find_families(&run_dir(&self.config.data_dir), key).await {
            Ok(left) => left,
            Err(error) => {
                tracing::error!(%error, "cannot search for services of the previous api-server");
                return;
            }
        };
        let services = match self.config.programs.found() {
            Ok(Binaries { router, qwen }) => vec![
                WorkerSlots::new(ROUTER, &self.router, service::routers(&self.config, overrides, &router)),
                WorkerSlots::new(QWEN, &self.qwen, vec![service::qwen(&self.config, overrides, qwen)]),
            ],
            Err(error) => {
                tracing::error!(%error, "no service can be adopted");
                Vec::new()
            }
        };
        let mut others = left.others;
        let mut stale = Vec::new();
        // Processes with a matching place come first; the others take any place that is left.
        let (known, unknown): (Vec<_>, Vec<_>) = left
            .candidates
            .into_iter()
            .partition(|(_, candidate)| services.iter().any(|slots| slots.slot_of(&candidate.status).is_some()));
        for (family, candidate) in known.into_iter().chain(unknown) {
            match adopt_process(&services, &family, candidate).await {
                Ok(Some(outdated)) => stale.push(outdated),
                Ok(None) => {}
                Err(error) => others.push(Family { found: FamilyState::Refused(error), ..family }),
            }
        }
        let grace = self.config.limits.grace;
        let (leaving, others): (Vec<_>, Vec<_>) =
            others.into_iter().partition(|family| matches!(family.found, FamilyState::Leaving));
        let closing = self.closing.clone();
        // These no longer listen, so the start need not wait for them.
        self.leaving.spawn(async move { closing.run_until_cancelled(adopt::end(leaving, grace)).await });
        adopt::end(others, grace).await;
        for (child, spec) in stale {
            tracing::info!("an adopted service has outdated settings, replacing it");
            drop(child.restart(spec).await);
        }
        for slots in services {
            slots.complete().await;
        }
    }
}

/// A service with the spec of each of its workers.
struct WorkerSlots<'a> {
    service: &'static str,
    slots: Vec<(&'a Child, Spec)>,
}

impl<'a> WorkerSlots<'a> {
    fn new(service: &'static str, group: &'a WorkerGroup, specs: Vec<Spec>) -> Self {
        Self { service, slots: group.workers().iter().zip(specs).collect() }
    }

    /// Returns the worker whose spec matches the process exactly.
    fn slot_of(&self, status: &Status) -> Option<&(&'a Child, Spec)> {
        self.slots.iter().find(|(_, spec)| status.service == self.service && status.fingerprint == spec.fingerprint)
    }

    /// Returns the worker that a process can become: the one with a matching spec, otherwise any that is not running.
    fn free_slot(&self, status: &Status) -> Option<&(&'a Child, Spec)> {
        let is_vacant = |(child, _): &&(&Child, Spec)| !runs(child);
        match self.slot_of(status) {
            Some(place) => Some(place).filter(is_vacant),
            None => self.slots.iter().find(is_vacant),
        }
    }

    /// Starts the missing workers of a service of which at least one is running.
    async fn complete(self) {
        if self.slots.iter().any(|(child, _)| runs(child)) {
            for (child, spec) in self.slots {
                drop(child.start(spec).await);
            }
        }
    }
}

fn runs(child: &Child) -> bool {
    child.watch().borrow().is_running()
}

/// Adopts a process. Returns its worker and the new spec if it has to be replaced.
async fn adopt_process<'a>(
    services: &[WorkerSlots<'a>],
    family: &Family,
    candidate: Candidate,
) -> io::Result<Option<(&'a Child, Spec)>> {
    let status = &candidate.status;
    let slots = services
        .iter()
        .find(|slots| slots.service == status.service)
        .ok_or_else(|| io::Error::other(format!("{} is not a known service", status.service)))?;
    let (child, spec) =
        slots.free_slot(status).ok_or_else(|| io::Error::other("other processes of this service have been adopted"))?;
    let outdated = status.fingerprint != spec.fingerprint || status.version != config::SPEC.version;
    let (service, pid) = (status.service.clone(), status.identity.pid);
    let adopted_child = adopt::adopt(family, candidate).await?;
    child.adopt(spec.clone(), adopted_child).await.done().await.map_err(io::Error::other)?;
    tracing::info!(service, pid, "adopted");
    Ok(outdated.then(|| (*child, spec.clone())))
}
