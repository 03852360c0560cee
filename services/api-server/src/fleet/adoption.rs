//! Taking over from an api-server that was killed.

use std::io;

use signalbox_daemon::adoption::{Candidate, Family, Found, Status, run_dir};

use super::Overrides;
use super::owner::Owner;
use super::programs::Binaries;
use super::service::{self, QWEN, ROUTER};
use super::team::Team;
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
        let crews = match self.config.programs.found() {
            Ok(Binaries { router, qwen }) => vec![
                Crew::new(ROUTER, &self.router, service::routers(&self.config, overrides, &router)),
                Crew::new(QWEN, &self.qwen, vec![service::qwen(&self.config, overrides, qwen)]),
            ],
            Err(error) => {
                tracing::error!(%error, "nobody can be adopted");
                Vec::new()
            }
        };
        let mut others = left.others;
        let mut stale = Vec::new();
        // Who has the place that was meant for him comes before who takes any.
        let (known, unknown): (Vec<_>, Vec<_>) = left
            .candidates
            .into_iter()
            .partition(|(_, candidate)| crews.iter().any(|crew| crew.place_of(&candidate.status).is_some()));
        for (family, candidate) in known.into_iter().chain(unknown) {
            match take_in(&crews, &family, candidate).await {
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
        for crew in crews {
            crew.complete().await;
        }
    }
}

/// A service, and what its workers should run.
struct Crew<'a> {
    service: &'static str,
    places: Vec<(&'a Child, Spec)>,
}

impl<'a> Crew<'a> {
    fn new(service: &'static str, team: &'a Team, specs: Vec<Spec>) -> Self {
        Self { service, places: team.workers().iter().zip(specs).collect() }
    }

    /// The worker that runs just this.
    fn place_of(&self, status: &Status) -> Option<&(&'a Child, Spec)> {
        self.places.iter().find(|(_, spec)| status.service == self.service && status.fingerprint == spec.fingerprint)
    }

    /// The worker that a process becomes: the one that runs just what it runs, or else any that does not run.
    fn vacancy(&self, status: &Status) -> Option<&(&'a Child, Spec)> {
        let is_vacant = |(child, _): &&(&Child, Spec)| !runs(child);
        match self.place_of(status) {
            Some(place) => Some(place).filter(is_vacant),
            None => self.places.iter().find(is_vacant),
        }
    }

    /// Of a service that runs, all workers are to run.
    async fn complete(self) {
        if self.places.iter().any(|(child, _)| runs(child)) {
            for (child, spec) in self.places {
                drop(child.start(spec).await);
            }
        }
    }
}

fn runs(child: &Child) -> bool {
    child.watch().borrow().is_running()
}

/// Adopts one; what it should run instead, if it is outdated.
async fn take_in<'a>(
    crews: &[Crew<'a>],
    family: &Family,
    candidate: Candidate,
) -> io::Result<Option<(&'a Child, Spec)>> {
    let status = &candidate.status;
    let crew = crews
        .iter()
        .find(|crew| crew.service == status.service)
        .ok_or_else(|| io::Error::other(format!("{} is no service of ours", status.service)))?;
    let (child, spec) =
        crew.vacancy(status).ok_or_else(|| io::Error::other("others of this service have been adopted"))?;
    let outdated = status.fingerprint != spec.fingerprint || status.version != config::SPEC.version;
    let (service, pid) = (status.service.clone(), status.identity.pid);
    let foundling = adopt::adopt(family, candidate).await?;
    child.adopt(spec.clone(), foundling).await.done().await.map_err(io::Error::other)?;
    tracing::info!(service, pid, "adopted");
    Ok(outdated.then(|| (*child, spec.clone())))
}
