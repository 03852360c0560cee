//! Lookup of the process that holds an address, if the operating system reports it.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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
#[must_use]
pub fn holder_of(addr: SocketAddr) -> Option<Holder> {
    let conflicts = listening().into_iter().filter_map(|(at, inode)| Some((closeness(at, addr)?, at, inode)));
    let (_, addr, inode) = conflicts.min()?;
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut descriptors = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        descriptors.find(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()))?;
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(Holder { pid, addr, name: name.trim_end().to_owned() })
    })
}

/// Ranks how likely the socket listening `at` prevents `wanted` from being bound, 0 being certain; `None` if it does
/// not.
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
fn listening() -> Vec<(SocketAddr, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines()).filter_map(listening_socket).collect()
}

/// Parses one line of the kernel's TCP socket table into address and inode; `None` if the socket is not listening.
fn listening_socket(line: &str) -> Option<(SocketAddr, String)> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    let (address, port) = local.rsplit_once(':')?;
    let addr = SocketAddr::new(address_of(address)?, u16::from_str_radix(port, 16).ok()?);
    (state == LISTEN).then(|| (addr, inode.to_owned()))
}

/// Parses an address in the kernel's format: 32-bit words, each in native byte order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(words.as_flattened()).for_each(|(byte, from)| *byte = *from);
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

// === impl Holder ===

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:0BBA 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1";

    #[test]
    fn only_listening_sockets_count() {
        let found: Vec<_> = TABLE.lines().filter_map(listening_socket).collect();
        assert_eq!(found, [("127.0.0.1:3001".parse().unwrap(), "4711".to_owned())], "the other one is a connection");
    }

    #[test]
    fn addresses_are_parsed_in_kernel_notation() {
        let native = |words: &[u32]| -> String {
            words.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(word.to_be_bytes()))).collect()
        };
        for (words, address) in [
            (&[0x7f00_0002_u32][..], "127.0.0.2"),
            (&[0], "0.0.0.0"),
            (&[0, 0, 0, 1], "::1"),
            (&[0, 0, 0, 0], "::"),
            (&[0x2001_0db8, 0, 0, 7], "2001:db8::7"),
        ] {
            assert_eq!(address_of(&native(words)), Some(address.parse().unwrap()));
        }
        assert_eq!((address_of(""), address_of("7F"), address_of("XXXXXXXX")), (None, None, None));
    }

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
    }
}
