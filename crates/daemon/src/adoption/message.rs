//! The messages of the handshake: lines of JSON on a socket, one of which carries the listening sockets as ancillary
//! data.
//!
//! The two sides strictly alternate, so no data follows the line that is being read.

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

/// Maximum bytes of a line. A status has about 600.
const LINE_LIMIT: usize = 16 * 1024;

/// Maximum sockets in a message. A child listens on one or two addresses.
const MAX_SOCKETS: usize = 8;

/// First message of the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) challenge: String,
}

/// Response of the successor, with its proof.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    pub(super) challenge: String,
    pub(super) proof: String,
}

/// Status and listening sockets of the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Introduction {
    /// A [`super::Status`] as JSON text, exactly the bytes covered by the proof.
    pub(super) status: String,
    pub(super) proof: String,
}

/// Final messages: the successor's request to adopt, and the child's confirmation.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FinalMessage {
    Adopt,
    Adopted,
}

/// Sends one message, with the sockets as ancillary data.
pub(super) fn send(stream: &UnixStream, message: &impl Serialize, sockets: &[TcpListener]) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(TcpListener::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("too many sockets"));
    }
    // The descriptors travel with the first byte; the rest of a long line is sent without them.
    let mut sent = sendmsg(stream, &[IoSlice::new(&line)], &mut ancillary, flags())?;
    while sent < line.len() {
        sent += sendmsg(stream, &[IoSlice::new(&line[sent..])], &mut SendAncillaryBuffer::default(), flags())?;
    }
    Ok(())
}

/// Makes a write to a closed connection an error instead of a SIGPIPE.
#[cfg(target_os = "linux")]
const fn flags() -> SendFlags {
    SendFlags::NOSIGNAL
}

/// Returns no flags: Rust programs ignore SIGPIPE by default.
#[cfg(not(target_os = "linux"))]
const fn flags() -> SendFlags {
    SendFlags::empty()
}

/// Receives the next message and the sockets that came with it.
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
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the line is too long"));
        }
    }
    Ok((serde_json::from_slice(&line)?, sockets))
}

/// Sets close-on-exec atomically, so that no child process inherits the descriptors.
#[cfg(target_os = "linux")]
const fn receiving() -> RecvFlags {
    RecvFlags::CMSG_CLOEXEC
}

/// Returns no flags: close-on-exec is set afterwards for each descriptor.
#[cfg(not(target_os = "linux"))]
const fn receiving() -> RecvFlags {
    RecvFlags::empty()
}

fn own(descriptor: OwnedFd) -> io::Result<TcpListener> {
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC)?;
    let socket = TcpListener::from(descriptor);
    // Fails for a descriptor that is not a TCP socket.
    socket.local_addr()?;
    Ok(socket)
}
