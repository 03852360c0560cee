//! Recovery of processes left behind by a supervisor that was killed: those that serve are adopted, the others ended.

use std::io;
use std::path::Path;
use std::time::Duration;

use signalbox_daemon::adoption::{self, Adopted, Candidate, Family, FamilyState, Key};
use signalbox_daemon::identity::ProcessSignal;
use tokio::time::Instant;

use super::port::Port;
use super::probe::{self, Target};
use super::run::Run;
use super::{Limits, Listen, Spec, family_processes, group};

/// Interval between checks for processes that are being ended.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Maximum wait after SIGKILL. A process that is still there is blocked in the kernel, and waiting longer is of no use.
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// A child that served under another supervisor and is now owned by this one. When dropped, it waits for yet another
/// supervisor.
#[derive(Debug)]
pub struct AdoptedChild {
    family: String,
    adopted: Adopted,
}

/// Process families found in the run directory.
#[derive(Debug, Default)]
pub(crate) struct AbandonedFamilies {
    /// Families that can be adopted, the youngest first.
    pub(crate) candidates: Vec<(Family, Candidate)>,
    /// Families that cannot be adopted, or whose leader has ended.
    pub(crate) others: Vec<Family>,
}

/// Looks for process families in the directory `run`.
pub(crate) async fn find_families(run: &Path, key: &Key) -> io::Result<AbandonedFamilies> {
    let (run, key) = (run.to_owned(), key.clone());
    let families =
        tokio::task::spawn_blocking(move || adoption::families(&run, &key)).await.map_err(io::Error::other)?;
    let mut left = AbandonedFamilies::default();
    for mut family in families? {
        match std::mem::replace(&mut family.found, FamilyState::LeaderGone) {
            FamilyState::Candidate(candidate) => left.candidates.push((family, *candidate)),
            found => left.others.push(Family { found, ..family }),
        }
    }
    left.candidates.sort_by_key(|(_, candidate)| candidate.status.uptime_ms);
    Ok(left)
}

/// Adopts a candidate, provided that its health endpoint confirms the instance it reported.
pub(crate) async fn adopt(family: &Family, candidate: Candidate) -> io::Result<AdoptedChild> {
    let status = candidate.status.clone();
    let target = Target { addr: status.probe, instance: &status.instance, path: "/health/ready" };
    probe::ask(&target).await.map_err(io::Error::other)?;
    let adopted = tokio::task::spawn_blocking(move || candidate.adopt()).await.map_err(io::Error::other)??;
    Ok(AdoptedChild { family: family.id.clone(), adopted })
}

/// Ends the processes that cannot be adopted, and the rest of families whose leader has ended. A leader that is not
/// exiting already is asked to, and killed after the grace period. The files of a family are removed with its last
/// process.
pub(crate) async fn end(others: Vec<Family>, grace: Duration) {
    for family in &others {
        if let FamilyState::Refused(error) = &family.found {
            tracing::warn!(family = family.id, %error, "stopping a process that cannot be adopted");
            ask(family, ProcessSignal::Terminate);
            ask(family, ProcessSignal::Continue);
        }
    }
    let deadline = Instant::now() + grace;
    let mut left = others;
    loop {
        let late = Instant::now() >= deadline;
        left.retain(|family| {
            // The remaining processes of a family without a leader get no grace period.
            if late || matches!(family.found, FamilyState::LeaderGone) {
                ask(family, ProcessSignal::Kill);
            }
            let gone = group::marked(&family_processes::marker(&family.id)).is_empty();
            if gone && let Err(error) = family.files.remove() {
                tracing::warn!(%error, "cannot remove the files of an exited process");
            }
            !gone
        });
        if left.is_empty() || Instant::now() >= deadline + KILL_TIMEOUT {
            return;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Sends a request to every process that carries the marker of the family.
fn ask(family: &Family, request: ProcessSignal) {
    let marker = family_processes::marker(&family.id);
    family_processes::ask(
        group::marked(&marker),
        |pid| group::marked_with(pid, &marker),
        request,
        |pid| {
            if request == ProcessSignal::Kill {
                tracing::warn!(%pid, "killing an orphaned process");
            }
        },
    );
}

// === impl AdoptedChild ===

impl AdoptedChild {
    /// Turns the adopted process into a run and a port.
    pub(super) fn into_run(mut self, name: &'static str, spec: &Spec, limits: &Limits) -> io::Result<(Run, Port)> {
        let status = &self.adopted.status;
        let listen = Listen { host: status.host.clone(), port: status.port, auto_port: false };
        let sockets = std::mem::take(&mut self.adopted.sockets);
        let port = Port::adopted(listen, sockets, status.addr);
        Ok((Run::adopted(name, spec, self.family, self.adopted, limits)?, port))
    }
}
