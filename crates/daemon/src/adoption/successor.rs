//! The successor's side of an adoption: finds the children left behind by the last supervisor.

use std::fs::{File, TryLockError};
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::message::{Claim, FinalMessage, Hello, Introduction, receive, send};
use super::proof::{Challenges, Side, challenge};
use super::{Files, Key, PEER_TIMEOUT, Status};
use crate::identity::Handle;

/// A family with files in the directory.
#[derive(Debug)]
pub struct Family {
    /// Id of the family.
    pub id: String,
    /// Files of the family.
    pub files: Files,
    /// State of the family.
    pub found: FamilyState,
}

/// State of a family.
#[derive(Debug)]
pub enum FamilyState {
    /// Its leader has ended. Other processes of the family may still be running.
    LeaderGone,
    /// Its leader is shutting down and no longer listens for successors.
    Leaving,
    /// Its leader is running, but cannot or will not be adopted.
    Refused(io::Error),
    /// Its leader can be adopted.
    Candidate(Box<Candidate>),
}

/// A child that has proven its identity. On drop, it waits for another successor.
#[derive(Debug)]
pub struct Candidate {
    /// Status it has reported.
    pub status: Status,
    process: Handle,
    sockets: Vec<TcpListener>,
    stream: UnixStream,
}

/// An adopted child.
#[derive(Debug)]
pub struct Adopted {
    /// Status it has reported.
    pub status: Status,
    /// Handle to the process.
    pub process: Handle,
    /// Sockets that clients connect to.
    pub sockets: Vec<TcpListener>,
    /// Lifeline of the child: its end means that the supervisor is gone; the line `shutdown` requests a shutdown.
    pub lifeline: UnixStream,
}

/// Returns all families with files in this directory. Blocks the thread, for at most some seconds per family.
///
/// # Errors
/// Returns an error when the directory cannot be read.
pub fn families(run: &Path, key: &Key) -> io::Result<Vec<Family>> {
    let mut families = Vec::new();
    for entry in std::fs::read_dir(run)? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".lock")) else { continue };
        // Skip lock files that do not belong to a family, such as `api-server.lock`.
        let Some(files) = Files::of(run, id) else { continue };
        let found = probe_family(&files, key);
        families.push(Family { id: id.to_owned(), files, found });
    }
    Ok(families)
}

fn probe_family(files: &Files, key: &Key) -> FamilyState {
    let lock = match File::open(&files.lock) {
        Ok(lock) => lock,
        Err(error) => return FamilyState::Refused(error),
    };
    match lock.try_lock_shared() {
        Ok(()) => return FamilyState::LeaderGone,
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return FamilyState::Refused(error),
    }
    match Candidate::handshake(files, key) {
        Ok(candidate) => FamilyState::Candidate(Box::new(candidate)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => FamilyState::Leaving,
        Err(error) => FamilyState::Refused(error),
    }
}

// === impl Candidate ===

impl Candidate {
    /// Performs the successor's part of the handshake, up to the child's proof.
    pub(super) fn handshake(files: &Files, key: &Key) -> io::Result<Self> {
        let stream = UnixStream::connect(&files.socket)?;
        stream.set_read_timeout(Some(PEER_TIMEOUT))?;
        stream.set_write_timeout(Some(PEER_TIMEOUT))?;
        let (hello, _) = receive::<Hello>(&stream)?;
        let own = challenge()?;
        let challenges = Challenges { child: &hello.challenge, successor: &own };
        let proof = key.prove(Side::Successor, challenges, "");
        send(&stream, &Claim { challenge: own.clone(), proof }, &[])?;
        let (introduction, sockets) = receive::<Introduction>(&stream)?;
        if !key.accepts(&introduction.proof, Side::Child, challenges, &introduction.status) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the process did not prove that it has the key",
            ));
        }
        let status: Status = serde_json::from_str(&introduction.status)?;
        let stranger =
            || io::Error::new(io::ErrorKind::PermissionDenied, "the process is not the one that it claims to be");
        if !is_peer(&stream, status.identity.pid)? {
            return Err(stranger());
        }
        let process = status.identity.open()?.ok_or_else(stranger)?;
        if sockets.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the process sent no sockets"));
        }
        Ok(Self { status, process, sockets, stream })
    }

    /// Adopts the child. Blocks the thread until it confirms.
    ///
    /// # Errors
    /// Returns an error when the child does not confirm, for instance because it has begun to shut down.
    pub fn adopt(self) -> io::Result<Adopted> {
        let Self { status, process, sockets, stream } = self;
        send(&stream, &FinalMessage::Adopt, &[])?;
        // The answer came after the handle was opened, so the handle refers to the process that answered.
        if receive::<FinalMessage>(&stream)?.0 != FinalMessage::Adopted {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.set_read_timeout(None)?;
        Ok(Adopted { status, process, sockets, lifeline: stream })
    }
}

/// Returns `true` if the peer of the connection is this process and belongs to the same user, according to the kernel.
#[cfg(target_os = "linux")]
fn is_peer(stream: &UnixStream, pid: u32) -> io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    let us = rustix::process::geteuid();
    Ok(peer.uid == us && u32::try_from(peer.pid.as_raw_nonzero().get()) == Ok(pid))
}

/// Always returns `true`: these platforms do not report the peer's process, so the proof has to suffice.
#[cfg(not(target_os = "linux"))]
fn is_peer(_: &UnixStream, _: u32) -> io::Result<bool> {
    Ok(true)
}
