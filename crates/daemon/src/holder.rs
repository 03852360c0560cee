//! Lookup of the process that holds an address, if the operating system reports it.

use std::fmt;
use std::net::SocketAddr;
#[cfg(any(target_os = "linux", test))]
use std::net::{IpAddr, Ipv6Addr};

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Address it listens on.
    pub addr: SocketAddr,
    /// Name of the program. For display only, because a process can choose any name.
    pub name: String,
}

/// Returns the text by which error messages refer to the holder.
pub(crate) fn name(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "an unknown process".to_owned(), ToString::to_string)
}

/// Returns the process whose listening socket prevents `addr` from being bound: a socket on the same address and port,
/// on the unspecified address with that port, or, if `addr` is unspecified, on any address with that port.
///
/// Returns `None` on systems other than Linux, and for processes of other users, whose descriptors are not visible.
#[cfg(target_os = "linux")]
#[must_use]
pub fn holder_of(addr: SocketAddr) -> Option<Holder> {
    use procfs::process::{FDTarget, all_processes};

    let conflicts = listening().into_iter().filter_map(|(at, inode)| Some((closeness(at, addr)?, at, inode)));
    let (_, addr, inode) = conflicts.min()?;
    all_processes().ok()?.flatten().find_map(|process| {
        process.fd().ok()?.flatten().find(|fd| matches!(fd.target, FDTarget::Socket(of) if of == inode))?;
        Some(Holder { pid: u32::try_from(process.pid()).ok()?, addr, name: process.stat().ok()?.comm })
    })
}

/// Returns `None`: only Linux reports it.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub const fn holder_of(_: SocketAddr) -> Option<Holder> {
    None
}

/// Ranks how likely the socket listening `at` prevents `wanted` from being bound, 0 being certain; `None` if it does
/// not.
#[cfg(any(target_os = "linux", test))]
fn closeness(at: SocketAddr, wanted: SocketAddr) -> Option<u8> {
    let (at_ip, wanted_ip) = (at.ip().to_canonical(), wanted.ip().to_canonical());
    let same_family = at_ip.is_ipv4() == wanted_ip.is_ipv4();
    // A socket on `::` also accepts IPv4 unless IPV6_V6ONLY is set, which the table does not show.
    let dual = |ip: IpAddr| ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    (at.port() == wanted.port()).then_some(())?;
    if at_ip == wanted_ip {
        Some(0)
    } else if same_family && at_ip.is_unspecified() {
        Some(1)
    } else if same_family && wanted_ip.is_unspecified() {
        Some(2)
    } else if dual(at_ip) || dual(wanted_ip) {
        Some(3)
    } else {
        None
    }
}

/// Returns the address and inode of every listening TCP socket of the machine.
#[cfg(target_os = "linux")]
fn listening() -> Vec<(SocketAddr, u64)> {
    use procfs::net::{TcpState, tcp, tcp6};

    // Without IPv6 there is no second table.
    let sockets = [tcp(), tcp6()].into_iter().flat_map(Result::unwrap_or_default);
    let listening = sockets.filter(|socket| socket.state == TcpState::Listen);
    listening.map(|socket| (socket.local_address, socket.inode)).collect()
}

// === impl Holder ===

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn address_and_port_are_both_compared() {
        let close = |at: &str, wanted: &str| closeness(at.parse().unwrap(), wanted.parse().unwrap());
        assert_eq!(close("127.0.0.1:1", "127.0.0.1:1"), Some(0));
        assert_eq!(close("[::ffff:127.0.0.1]:1", "127.0.0.1:1"), Some(0));
        for (at, wanted) in [
            ("127.0.0.2:1", "127.0.0.1:1"),
            ("127.0.0.1:2", "127.0.0.1:1"),
            ("[::1]:1", "127.0.0.1:1"),
            ("0.0.0.0:1", "[::1]:1"),
            ("0.0.0.0:2", "127.0.0.1:1"),
        ] {
            assert_eq!(close(at, wanted), None, "{at} {wanted}");
        }
        assert!(close("127.0.0.1:1", "127.0.0.1:1") < close("0.0.0.0:1", "127.0.0.1:1"));
        assert!(close("0.0.0.0:1", "127.0.0.1:1") < close("[::]:1", "127.0.0.1:1"));
        for (at, wanted) in [("[::]:1", "[::1]:1"), ("127.0.0.2:1", "0.0.0.0:1"), ("127.0.0.2:1", "[::]:1")] {
            assert!(close(at, wanted).is_some(), "{at} {wanted}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_of_an_address_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        assert_eq!(holder_of(addr).unwrap().pid, std::process::id());
        assert_eq!(holder_of((Ipv4Addr::new(127, 0, 0, 2), addr.port()).into()), None, "another address");
        assert_eq!(holder_of((Ipv4Addr::UNSPECIFIED, addr.port()).into()).unwrap().pid, std::process::id());
        let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else { return };
        let addr = listener.local_addr().unwrap();
        let holder = holder_of(addr).unwrap();
        assert_eq!((holder.pid, holder.addr), (std::process::id(), addr));
    }
}
