//! The successor's side: whom has the last supervisor left behind?

use std::fs::{File, TryLockError};
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::message::{Claim, Hello, Introduction, Word, receive, send};
use super::proof::{Challenges, Side, challenge};
use super::{Files, Key, PATIENCE, Status};
use crate::identity::Handle;

/// What there is of a family.
#[derive(Debug)]
pub struct Family {
    /// Its id.
    pub id: String,
    /// Its files.
    pub files: Files,
    /// Who it is.
    pub found: Found,
}

/// Who was found at the files of a family.
#[derive(Debug)]
pub enum Found {
    /// Its leader is gone. Others of it may not be.
    Nobody,
    /// Its leader is there and leaving: it does not listen for successors any more.
    Leaving,
    /// Its leader is there, and cannot or will not be adopted.
    Refused(io::Error),
    /// Its leader can be adopted.
    Candidate(Box<Candidate>),
}

/// A child that has proven itself. Dropped, it waits for another successor.
#[derive(Debug)]
pub struct Candidate {
    /// What it says about itself.
    pub status: Status,
    process: Handle,
    sockets: Vec<TcpListener>,
    stream: UnixStream,
}

/// A child that is ours now.
#[derive(Debug)]
pub struct Adopted {
    /// What it says about itself.
    pub status: Status,
    /// The process.
    pub process: Handle,
    /// The sockets that clients connect to.
    pub sockets: Vec<TcpListener>,
    /// Its end tells the child that we are gone; `shutdown` and the end of a line ask it to leave.
    pub lifeline: UnixStream,
}

/// All families with files in this directory. Blocks the thread, for at most some seconds for each.
///
/// # Errors
/// When the directory cannot be read.
pub fn families(run: &Path, key: &Key) -> io::Result<Vec<Family>> {
    let mut families = Vec::new();
    for entry in std::fs::read_dir(run)? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".lock")) else { continue };
        // Another name is none of ours: `api-server.lock`.
        let Some(files) = Files::of(run, id) else { continue };
        let found = find(&files, key);
        families.push(Family { id: id.to_owned(), files, found });
    }
    Ok(families)
}

fn find(files: &Files, key: &Key) -> Found {
    let lock = match File::open(&files.lock) {
        Ok(lock) => lock,
        Err(error) => return Found::Refused(error),
    };
    match lock.try_lock_shared() {
        Ok(()) => return Found::Nobody,
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Found::Refused(error),
    }
    match Candidate::meet(files, key) {
        Ok(candidate) => Found::Candidate(Box::new(candidate)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Leaving,
        Err(error) => Found::Refused(error),
    }
}

// === impl Candidate ===

impl Candidate {
    /// The successor's lines of the conversation, up to the point where the child has proven itself.
    pub(super) fn meet(files: &Files, key: &Key) -> io::Result<Self> {
        let stream = UnixStream::connect(&files.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (hello, _) = receive::<Hello>(&stream)?;
        let own = challenge()?;
        let challenges = Challenges { child: &hello.challenge, successor: &own };
        let proof = key.prove(Side::Successor, challenges, "");
        send(&stream, &Claim { challenge: own.clone(), proof }, &[])?;
        let (introduction, sockets) = receive::<Introduction>(&stream)?;
        if !key.accepts(&introduction.proof, Side::Child, challenges, &introduction.status) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it does not know the key"));
        }
        let status: Status = serde_json::from_str(&introduction.status)?;
        let stranger = || io::Error::new(io::ErrorKind::PermissionDenied, "it is not the process it says it is");
        if !is_peer(&stream, status.identity.pid)? {
            return Err(stranger());
        }
        let process = status.identity.open()?.ok_or_else(stranger)?;
        if sockets.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it came without its sockets"));
        }
        Ok(Self { status, process, sockets, stream })
    }

    /// Makes it ours. Blocks the thread for its answer.
    ///
    /// # Errors
    /// When it does not confirm that: it may have begun to leave.
    pub fn adopt(self) -> io::Result<Adopted> {
        let Self { status, process, sockets, stream } = self;
        send(&stream, &Word::Adopt, &[])?;
        // It has answered after the handle was opened: the handle means whoever answered.
        if receive::<Word>(&stream)?.0 != Word::Adopted {
            return Err(io::ErrorKind::InvalidData.into());
        }
        stream.set_read_timeout(None)?;
        Ok(Adopted { status, process, sockets, lifeline: stream })
    }
}

/// Whether the other end of the connection was made by this process, as the kernel remembers it.
#[cfg(target_os = "linux")]
fn is_peer(stream: &UnixStream, pid: u32) -> io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    let us = rustix::process::geteuid();
    Ok(peer.uid == us && u32::try_from(peer.pid.as_raw_nonzero().get()) == Ok(pid))
}

/// Here the proof has to do: the kernel tells nothing about the process.
#[cfg(not(target_os = "linux"))]
fn is_peer(_: &UnixStream, _: u32) -> io::Result<bool> {
    Ok(true)
}
