//! What a supervisor that was killed has left behind: children that serve, to be adopted, and others, to be ended.

use std::io;
use std::path::Path;
use std::time::Duration;

use signalbox_daemon::adoption::{self, Adopted, Candidate, Family, Found, Key};
use signalbox_daemon::identity::Request;
use tokio::time::Instant;

use super::port::Port;
use super::probe::{self, Target};
use super::run::Run;
use super::{Limits, Listen, Spec, group, kin};

/// Between two looks at those who are being ended.
const PAUSE: Duration = Duration::from_millis(50);

/// Who is still there so long after SIGKILL waits for a device; no use in waiting along.
const KILL_WAIT: Duration = Duration::from_secs(2);

/// A child that served under another supervisor, and is ours now. Dropped, it waits for yet another one.
#[derive(Debug)]
pub struct Foundling {
    family: String,
    adopted: Adopted,
}

/// What there is.
#[derive(Debug, Default)]
pub(crate) struct LeftBehind {
    /// They can be adopted; the youngest first.
    pub(crate) candidates: Vec<(Family, Candidate)>,
    /// They cannot, or are only the rest of a family.
    pub(crate) others: Vec<Family>,
}

/// Looks for families in `run`.
pub(crate) async fn look(run: &Path, key: &Key) -> io::Result<LeftBehind> {
    let (run, key) = (run.to_owned(), key.clone());
    let families =
        tokio::task::spawn_blocking(move || adoption::families(&run, &key)).await.map_err(io::Error::other)?;
    let mut left = LeftBehind::default();
    for mut family in families? {
        match std::mem::replace(&mut family.found, Found::Nobody) {
            Found::Candidate(candidate) => left.candidates.push((family, *candidate)),
            found => left.others.push(Family { found, ..family }),
        }
    }
    left.candidates.sort_by_key(|(_, candidate)| candidate.status.uptime_ms);
    Ok(left)
}

/// Makes a candidate ours, if its health agrees with what it says.
pub(crate) async fn adopt(family: &Family, candidate: Candidate) -> io::Result<Foundling> {
    let status = candidate.status.clone();
    let target = Target { addr: status.probe, instance: &status.instance, path: "/health/ready" };
    probe::ask(&target).await.map_err(io::Error::other)?;
    let adopted = tokio::task::spawn_blocking(move || candidate.adopt()).await.map_err(io::Error::other)??;
    Ok(Foundling { family: family.id.clone(), adopted })
}

/// Ends who cannot be adopted, and the rest of families whose leader is gone. Who is there is asked to leave, unless he is
/// leaving already, and killed after the grace. Their files go with the last of them.
pub(crate) async fn end(others: Vec<Family>, grace: Duration) {
    for family in &others {
        if let Found::Refused(error) = &family.found {
            tracing::warn!(family = family.id, %error, "ending a process that cannot be adopted");
            ask(family, Request::Leave);
            ask(family, Request::Wake);
        }
    }
    let deadline = Instant::now() + grace;
    let mut left = others;
    loop {
        let late = Instant::now() >= deadline;
        left.retain(|family| {
            // Of a family whose leader is gone, nobody is worth waiting for.
            if late || matches!(family.found, Found::Nobody) {
                ask(family, Request::Die);
            }
            let gone = group::marked(&kin::marker(&family.id)).is_empty();
            if gone && let Err(error) = family.files.remove() {
                tracing::warn!(%error, "cannot remove the files of a process that is gone");
            }
            !gone
        });
        if left.is_empty() || Instant::now() >= deadline + KILL_WAIT {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Asks everybody who carries the mark of the family.
fn ask(family: &Family, request: Request) {
    let marker = kin::marker(&family.id);
    kin::ask(
        group::marked(&marker),
        |pid| group::marked_with(pid, &marker),
        request,
        |pid| {
            if request == Request::Die {
                tracing::warn!(%pid, "killing a process that was left behind");
            }
        },
    );
}

// === impl Foundling ===

impl Foundling {
    /// Its sockets, and the watch over it.
    pub(super) fn into_run(mut self, name: &'static str, spec: &Spec, limits: &Limits) -> io::Result<(Run, Port)> {
        let status = &self.adopted.status;
        let listen = Listen { host: status.host.clone(), port: status.port, auto_port: false };
        let sockets = std::mem::take(&mut self.adopted.sockets);
        let port = Port::adopted(listen, sockets, status.addr);
        Ok((Run::adopted(name, spec, self.family, self.adopted, limits)?, port))
    }
}
