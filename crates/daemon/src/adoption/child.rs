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

use super::message::{Claim, Hello, Introduction, Word, receive, send};
use super::proof::{Challenges, Side, challenge};
use super::{FAMILY, FINGERPRINT, Files, GRACE, Key, PATIENCE, Status, run_dir};
use crate::config;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::identity::Identity;
use crate::lifeline::Successors;
use crate::shutdown::Shutdown;

/// Interval at which a waiting child checks whether a shutdown has been triggered.
const LOOK: Duration = Duration::from_millis(100);

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
    told: Arc<Mutex<Option<Told>>>,
}

/// Publisher of the status of the process.
#[derive(Clone, Debug)]
pub(crate) struct Teller(Arc<Mutex<Option<Told>>>);

/// Status that is published while the process serves. Cleared when it begins to drain, because it then has nothing to
/// hand over.
#[derive(Debug)]
struct Told {
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
pub(crate) struct Facts<'a> {
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
        let (Some(family), Some(grace)) = (env.get(FAMILY)?, env.get(GRACE)?) else { return Ok(None) };
        let grace = grace.parse::<config::Duration>().map_err(|error| Exit::Config(format!("{GRACE}: {error}")))?.get();
        if grace.is_zero() {
            return Ok(None);
        }
        let fingerprint = env.get(FINGERPRINT)?.unwrap_or_default().to_owned();
        match Self::new(&run_dir(data_dir), family, grace, fingerprint) {
            Ok(adoptable) => Ok(Some(adoptable)),
            Err(error) => {
                tracing::warn!(%error, "cannot prepare for adoption, this process will end with its supervisor");
                Ok(None)
            }
        }
    }

    pub(super) fn new(run: &Path, family: &str, grace: Duration, fingerprint: String) -> Result<Self, Exit> {
        let files =
            Files::of(run, family).ok_or_else(|| Exit::Config(format!("{FAMILY}: `{family}` is not a valid name")))?;
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
        let told = Arc::new(Mutex::new(None));
        Ok(Self { files, _lock: lock, socket, key: Key::load(run)?, grace, fingerprint, since: Instant::now(), told })
    }

    pub(crate) fn files(&self) -> Files {
        self.files.clone()
    }

    pub(crate) fn teller(&self) -> Teller {
        Teller(Arc::clone(&self.told))
    }

    /// Waits for a successor, until the grace period is over or a shutdown is triggered. Blocks the thread.
    pub(super) fn wait_for_successor(&self, shutdown: &Shutdown) -> Option<UnixStream> {
        let deadline = Instant::now() + self.grace;
        // Without a published status the process cannot be adopted, and is not serving yet.
        while !shutdown.is_draining() && Instant::now() < deadline && self.is_told() {
            let left = deadline.saturating_duration_since(Instant::now()).min(LOOK);
            let mut watched = [PollFd::new(&self.socket, PollFlags::IN)];
            // A spurious wake-up or a signal only causes the conditions to be checked again.
            poll(&mut watched, Timespec::try_from(left).ok().as_ref()).ok();
            let Ok((stream, _)) = self.socket.accept() else { continue };
            // A peer that fails the handshake is ignored; another one may connect.
            if self.introduce(&stream).is_ok() {
                return Some(stream);
            }
        }
        None
    }

    fn is_told(&self) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Performs the child's part of the handshake.
    fn introduce(&self, stream: &UnixStream) -> io::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
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
        if receive::<Word>(stream)?.0 != Word::Adopt {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.set_read_timeout(None)?;
        send(stream, &Word::Adopted, &[])
    }

    fn status(&self) -> io::Result<(String, Vec<TcpListener>)> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let status = Status {
            service: told.service.to_owned(),
            instance: told.instance.clone(),
            identity: Identity::own(),
            version: told.version.to_owned(),
            host: told.host.clone(),
            port: told.port,
            addr: told.addr,
            probe: told.probe,
            uptime_ms: u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            fingerprint: self.fingerprint.clone(),
        };
        let sockets = told.sockets.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
        Ok((serde_json::to_string(&status)?, sockets))
    }
}

impl Successors for Adoptable {
    fn wait(&self, shutdown: &Shutdown) -> Option<Box<dyn Read>> {
        self.wait_for_successor(shutdown).map(|stream| Box::new(stream) as Box<dyn Read>)
    }
}

// === impl Teller ===

impl Teller {
    pub(crate) fn tell(&self, facts: Facts<'_>) {
        let Facts { service, instance, version, host, port, addr, probe, sockets } = facts;
        let told =
            Told { service, instance: instance.to_owned(), version, host: host.to_owned(), port, addr, probe, sockets };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    /// Clears the status and closes the duplicate sockets: while draining, no connection may wait in a backlog from
    /// which it is never accepted.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
