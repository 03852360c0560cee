//! Ports for tests that need to know one before anything listens on it.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Lowest port returned. The range ends below the ports that the operating system assigns by itself: 32,768 and up on
/// Linux, 49,152 and up elsewhere.
const FIRST: u32 = 16_384;
const COUNT: u32 = 16_384;

/// Distance between the first choices of processes whose ids follow each other. Odd, so that every port is reached.
const STRIDE: u32 = 37;

/// Returns a port of 127.0.0.1 on which nothing listens.
///
/// The port stays unused as long as the test does not use it: connections and `--port 0` never get it, and tests in
/// other processes start to search elsewhere.
///
/// # Errors
/// Fails if every port is in use.
pub fn unused() -> io::Result<u16> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    for _ in 0..COUNT {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let offset = process::id().wrapping_mul(STRIDE).wrapping_add(call) % COUNT;
        let port = u16::try_from(FIRST + offset).map_err(io::Error::other)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "every port is in use"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_not_those_that_the_system_assigns() {
        let ports: std::collections::BTreeSet<u16> = (0..100).map(|_| unused().unwrap()).collect();
        assert_eq!(ports.len(), 100);
        assert!(ports.iter().all(|port| (16_384..32_768).contains(port)));
    }
}
