//! Who holds a port, as far as the operating system tells.

use std::fmt;
use std::fs;

/// The process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// The name of its program. A label for people: anybody may choose any name.
    pub name: String,
}

/// What to call it.
pub(crate) fn name(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "an unknown process".to_owned(), ToString::to_string)
}

/// The process that listens on `port`. `None` off Linux, and for processes of other users: their descriptors are hidden.
#[must_use]
pub fn holder_of(port: u16) -> Option<Holder> {
    let inode = listening().into_iter().find(|(listening, _)| *listening == port)?.1;
    let socket = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut descriptors = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        descriptors.find(|fd| fs::read_link(fd.path()).is_ok_and(|target| target.as_os_str() == socket.as_str()))?;
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(Holder { pid, name: name.trim_end().to_owned() })
    })
}

/// Port and inode of every listening TCP socket of the machine.
fn listening() -> Vec<(u16, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines()).filter_map(listening_socket).collect()
}

/// Port and inode in one line of the kernel's table of TCP sockets, if that socket listens.
fn listening_socket(line: &str) -> Option<(u16, String)> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    let (_, port) = local.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == LISTEN).then(|| (port, inode.to_owned()))
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
        assert_eq!(found, [(3001, "4711".to_owned())], "the other one is a connection");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_port_leads_to_its_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(holder_of(port).unwrap().pid, std::process::id());
    }
}
