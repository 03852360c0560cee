//! Lines of JSON on a socket, and the listening sockets that travel along with one of them.
//!
//! The two sides take turns, so that nothing is read beyond the line that is waited for.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A status is about 600 bytes.
const LINE_LIMIT: usize = 16 * 1024;

/// A child listens on one address or two.
const MAX_SOCKETS: usize = 8;

/// First words of the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) challenge: String,
}

/// Who I am.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) challenge: String,
    pub(super) proof: String,
}

/// What I am, and on which sockets I listen.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Introduction {
    /// A [`super::Status`] in JSON: the proof covers these bytes.
    pub(super) status: String,
    pub(super) proof: String,
}

/// You are mine, or: now I am yours.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Word {
    Adopt,
    Adopted,
}

/// Sends one message, and the sockets with it.
pub(super) fn send(stream: &UnixStream, message: &impl Serialize, sockets: &[TcpListener]) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(TcpListener::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("too many sockets"));
    }
    // They travel with the first byte; a line that does not fit is sent in pieces.
    let mut sent = sendmsg(stream, &[IoSlice::new(&line)], &mut ancillary, flags())?;
    while sent < line.len() {
        sent += sendmsg(stream, &[IoSlice::new(&line[sent..])], &mut SendAncillaryBuffer::default(), flags())?;
    }
    Ok(())
}

/// A reader that went away is an error, not the end of the process.
#[cfg(target_os = "linux")]
const fn flags() -> SendFlags {
    SendFlags::NOSIGNAL
}

/// Rust programs ignore the signal anyway.
#[cfg(not(target_os = "linux"))]
const fn flags() -> SendFlags {
    SendFlags::empty()
}

/// The next message, and the sockets that came with it.
pub(super) fn receive<M: DeserializeOwned>(stream: &UnixStream) -> io::Result<(M, Vec<TcpListener>)> {
    let (mut line, mut sockets) = (Vec::new(), Vec::new());
    while line.last() != Some(&b'\n') {
        let mut piece = [0; 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(stream, &mut [IoSliceMut::new(&mut piece)], &mut ancillary, receiving())?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                sockets.extend(descriptors.map(own).collect::<io::Result<Vec<TcpListener>>>()?);
            }
        }
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.extend_from_slice(&piece[..received.bytes]);
        if line.len() > LINE_LIMIT {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an endless line"));
        }
    }
    Ok((serde_json::from_slice(&line)?, sockets))
}

/// No program that we start may inherit them.
#[cfg(target_os = "linux")]
const fn receiving() -> RecvFlags {
    RecvFlags::CMSG_CLOEXEC
}

/// Here they are closed to others one by one.
#[cfg(not(target_os = "linux"))]
const fn receiving() -> RecvFlags {
    RecvFlags::empty()
}

fn own(descriptor: OwnedFd) -> io::Result<TcpListener> {
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC)?;
    let socket = TcpListener::from(descriptor);
    // What is no TCP socket has no such address.
    socket.local_addr()?;
    Ok(socket)
}
