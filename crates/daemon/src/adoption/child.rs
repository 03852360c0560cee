//! The child's side of an adoption: waits for a successor of its supervisor.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::time::Instant;

use super::message::{Claim, FinalMessage, Hello, Introduction, receive, send};
use super::proof::{Challenges, Side, challenge};
use super::{FAMILY_ENV, FINGERPRINT_ENV, Files, GRACE_ENV, Key, PEER_TIMEOUT, Status, run_dir};
use crate::config;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::identity::Identity;
use crate::lifeline::SuccessorSource;
use crate::shutdown::Shutdown;

/// Interval at which a waiting child checks whether a shutdown has been triggered.
const SHUTDOWN_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Adoption state of this process: the locked family file and the listening socket. The process can be adopted once its
/// status is published. The files stay until [`Files::remove`].
#[derive(Debug)]
pub(crate) struct Adoptable {
    files: Files,
    _lock: File,
    socket: UnixListener,
    key: Key,
    grace: Duration,
    fingerprint: String,
    since: Instant,
    published: Arc<Mutex<Option<PublishedStatus>>>,
}

/// Publisher of the status of the process.
#[derive(Clone, Debug)]
pub(crate) struct StatusReporter(Arc<Mutex<Option<PublishedStatus>>>);

/// Status that is published while the process serves. Cleared when it begins to drain, because it then has nothing to
/// hand over.
#[derive(Debug)]
struct PublishedStatus {
    service: &'static str,
    instance: String,
    version: &'static str,
    host: String,
    port: u16,
    addr: SocketAddr,
    probe: SocketAddr,
    sockets: Vec<TcpListener>,
}

/// Status of the process, to be published when it listens.
#[derive(Debug)]
pub(crate) struct ListeningStatus<'a> {
    pub(crate) service: &'static str,
    pub(crate) instance: &'a str,
    pub(crate) version: &'static str,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) addr: SocketAddr,
    /// Address on which it answers health checks.
    pub(crate) probe: SocketAddr,
    /// Duplicates of the sockets that clients connect to.
    pub(crate) sockets: Vec<TcpListener>,
}

// === impl Adoptable ===

impl Adoptable {
    /// Takes the lock of the family and listens on its socket. Returns `None` if the supervisor did not request it, or
    /// if it fails: a service that cannot be adopted is better than none.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] when the variables set by the supervisor are invalid.
    pub(crate) fn prepare(data_dir: &Path) -> Result<Option<Self>, Exit> {
        let env = Environment::of_process();
        let (Some(family), Some(grace)) = (env.get(FAMILY_ENV)?, env.get(GRACE_ENV)?) else { return Ok(None) };
        let grace =
            grace.parse::<config::Duration>().map_err(|error| Exit::Config(format!("{GRACE_ENV}: {error}")))?.get();
        if grace.is_zero() {
            return Ok(None);
        }
        let fingerprint = env.get(FINGERPRINT_ENV)?.unwrap_or_default().to_owned();
        match Self::new(&run_dir(data_dir), family, grace, fingerprint) {
            Ok(adoptable) => Ok(Some(adoptable)),
            Err(error) => {
                tracing::warn!(%error, "cannot prepare for adoption, this process will end with its supervisor");
                Ok(None)
            }
        }
    }

    pub(super) fn new(run: &Path, family: &str, grace: Duration, fingerprint: String) -> Result<Self, Exit> {
        let files = Files::of(run, family)
            .ok_or_else(|| Exit::Config(format!("{FAMILY_ENV}: `{family}` is not a valid name")))?;
        let refused = |error: io::Error| {
            Exit::CannotOpen(format!(
                "cannot listen on {}: {error}; a shorter data directory path may help",
                files.socket.display()
            ))
        };
        signalbox_private_files::create_dir(run).map_err(refused)?;
        let lock = signalbox_private_files::options().write(true).create(true).truncate(false).open(&files.lock);
        let lock = lock.map_err(refused)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => refused(io::ErrorKind::AddrInUse.into()),
            TryLockError::Error(error) => refused(error),
        })?;
        let socket = UnixListener::bind(&files.socket).map_err(refused)?;
        std::fs::set_permissions(&files.socket, std::fs::Permissions::from_mode(0o600)).map_err(refused)?;
        socket.set_nonblocking(true).map_err(refused)?;
        let published = Arc::new(Mutex::new(None));
        Ok(Self {
            files,
            _lock: lock,
            socket,
            key: Key::load(run)?,
            grace,
            fingerprint,
            since: Instant::now(),
            published,
        })
    }

    pub(crate) fn files(&self) -> Files {
        self.files.clone()
    }

    pub(crate) fn status_reporter(&self) -> StatusReporter {
        StatusReporter(Arc::clone(&self.published))
    }

    /// Waits for a successor, until the grace period is over or a shutdown is triggered. Blocks the thread.
    pub(super) fn wait_for_successor(&self, shutdown: &Shutdown) -> Option<UnixStream> {
        let deadline = Instant::now() + self.grace;
        // Without a published status the process cannot be adopted, and is not serving yet.
        while !shutdown.is_draining() && Instant::now() < deadline && self.is_published() {
            let left = deadline.saturating_duration_since(Instant::now()).min(SHUTDOWN_POLL_INTERVAL);
            let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
            // A spurious wake-up or a signal only causes the conditions to be checked again.
            poll(&mut watched, Timespec::try_from(left).ok().as_ref()).ok();
            let Ok((stream, _)) = self.socket.accept() else { continue };
            // A peer that fails the handshake is ignored; another one may connect.
            if self.handshake(&stream).is_ok() {
                return Some(stream);
            }
        }
        None
    }

    fn is_published(&self) -> bool {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Performs the child's part of the handshake.
    fn handshake(&self, stream: &UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PEER_TIMEOUT))?;
        stream.set_write_timeout(Some(PEER_TIMEOUT))?;
        let own = challenge()?;
        send(stream, &Hello { challenge: own.clone() }, &[])?;
        let (claim, _) = receive::<Claim>(stream)?;
        let challenges = Challenges { child: &own, successor: &claim.challenge };
        if !self.key.accepts(&claim.proof, Side::Successor, challenges, "") {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (status, sockets) = self.status()?;
        let proof = self.key.prove(Side::Child, challenges, &status);
        send(stream, &Introduction { status, proof }, &sockets)?;
        drop(sockets);
        if receive::<FinalMessage>(stream)?.0 != FinalMessage::Adopt {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.set_read_timeout(None)?;
        send(stream, &FinalMessage::Adopted, &[])
    }

    fn status(&self) -> io::Result<(String, Vec<TcpListener>)> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        let published = published.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let status = Status {
            service: published.service.to_owned(),
            instance: published.instance.clone(),
            identity: Identity::own(),
            version: published.version.to_owned(),
            host: published.host.clone(),
            port: published.port,
            addr: published.addr,
            probe: published.probe,
            uptime_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            fingerprint: self.fingerprint.clone(),
        };
        let sockets = published.sockets.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
        Ok((serde_json::to_string(&status)?, sockets))
    }
}

impl SuccessorSource for Adoptable {
    fn wait(&self, shutdown: &Shutdown) -> Option<Box<dyn Read>> {
        self.wait_for_successor(shutdown).map(|stream| Box::new(stream) as Box<dyn Read>)
    }
}

// === impl StatusReporter ===

impl StatusReporter {
    pub(crate) fn publish(&self, listening: ListeningStatus<'_>) {
        let ListeningStatus { service, instance, version, host, port, addr, probe, sockets } = listening;
        let published = PublishedStatus {
            service,
            instance: instance.to_owned(),
            version,
            host: host.to_owned(),
            port,
            addr,
            probe,
            sockets,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(published);
    }

    /// Clears the status and closes the duplicate sockets: while draining, no connection may wait in a backlog from
    /// which it is never accepted.
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
