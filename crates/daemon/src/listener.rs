//! The listening sockets: passed as file descriptors by the parent process, or bound here.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tokio::net::{TcpListener, TcpSocket};

use crate::environment::Environment;
use crate::exit::Exit;

pub use crate::holder::{Holder, holder_of};
#[cfg(unix)]
use crate::unix_socket::UnixSocket;

/// Name (in `LISTEN_FDNAMES`) of the socket that is reserved for the supervisor's health checks.
const PROBE_SOCKET_NAME: &str = "probe";

/// Maximum connections the operating system queues before they are accepted.
const BACKLOG: u32 = 1024;

/// One listening socket, or two on the same port: `localhost` may resolve to 127.0.0.1 or to ::1, and clients differ in
/// which address they try.
#[derive(Debug)]
pub struct Listener {
    addr: SocketAddr,
    /// Taken by the accept loop, which closes them when the drain begins.
    sockets: Mutex<Vec<TcpListener>>,
    /// Sockets for the health checks of a supervised process. The main sockets may be shared with another generation of
    /// the service, and their backlog may be full.
    probes: Mutex<Vec<TcpListener>>,
    #[cfg(unix)]
    unix_socket: Mutex<Option<UnixSocket>>,
}

// === impl Listener ===

impl Listener {
    /// Takes the sockets passed as file descriptors (`LISTEN_FDS`; `LISTEN_PID`, if set, must be the id of this
    /// process), or returns `None` if there are none.
    ///
    /// The parent process keeps its copies open, so no connection is refused during a restart. A socket named `probe`
    /// in `LISTEN_FDNAMES` serves the same routes, but has a backlog and a connection limit of its own.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] when a descriptor is not a TCP socket.
    pub fn passed() -> Result<Option<Self>, Exit> {
        let refused = |error: io::Error| Exit::Config(format!("LISTEN_FDS: {error}"));
        let mut passed = listenfd::ListenFd::from_env();
        let env = Environment::of_process();
        let names: Vec<&str> = env.get("LISTEN_FDNAMES")?.unwrap_or_default().split(':').collect();
        let (mut sockets, mut probes) = (Vec::new(), Vec::new());
        for index in 0..passed.len() {
            if let Some(socket) = passed.take_tcp_listener(index).map_err(refused)? {
                socket.set_nonblocking(true).map_err(refused)?;
                let kind = if names.get(index) == Some(&PROBE_SOCKET_NAME) { &mut probes } else { &mut sockets };
                kind.push(TcpListener::from_std(socket).map_err(refused)?);
            }
        }
        if sockets.is_empty() { Ok(None) } else { Self::new(sockets, probes).map(Some) }
    }

    /// Binds `host`: an IP address, a name, or `localhost` for both 127.0.0.1 and ::1. Port 0 takes any free port.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] when the host is unknown or not an address of this machine, [`Exit::PortInUse`],
    /// [`Exit::Permission`], or [`Exit::Temporary`] for any other error of the operating system.
    pub async fn bind(host: &str, port: u16) -> Result<Self, Exit> {
        let addresses = resolve(host).await?;
        let mut sockets = Vec::new();
        let mut port = port;
        let any = port == 0;
        for ip in addresses {
            let addr = SocketAddr::new(ip, port);
            match open(addr).and_then(|socket| Ok((socket.local_addr()?.port(), socket))) {
                Ok((bound, socket)) => {
                    port = bound;
                    sockets.push(socket);
                }
                // The second address is optional, unless another process holds its port: clients that try that address
                // first would reach that process. With port 0 no client relies on a particular port.
                Err(error) if !sockets.is_empty() && (any || error.kind() != ErrorKind::AddrInUse) => {
                    tracing::debug!(%addr, %error, "listening on one address only");
                }
                Err(error) => return Err(bind_error(addr, &error)),
            }
        }
        Self::new(sockets, Vec::new())
    }

    fn new(sockets: Vec<TcpListener>, probes: Vec<TcpListener>) -> Result<Self, Exit> {
        let lost =
            |error: io::Error| Exit::Temporary(format!("cannot read the address of the listening socket: {error}"));
        let first = sockets.first().ok_or_else(|| Exit::Config("the host has no address".to_owned()))?;
        let addr = first.local_addr().map_err(lost)?;
        Ok(Self {
            addr,
            sockets: Mutex::new(sockets),
            probes: Mutex::new(probes),
            #[cfg(unix)]
            unix_socket: Mutex::default(),
        })
    }

    /// Returns the (first) address, with the port that was actually bound.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the addresses of all sockets that have not been taken yet.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// Returns the first address that other machines can reach, if any.
    #[must_use]
    pub fn beyond_loopback(&self) -> Option<SocketAddr> {
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut addresses = sockets.iter().filter_map(|socket| socket.local_addr().ok());
        addresses.find(|addr| !addr.ip().to_canonical().is_loopback())
    }

    /// Converts the sockets into non-blocking standard library sockets, to be passed to another process.
    ///
    /// # Errors
    /// Returns the error of the runtime if it cannot deregister a socket.
    pub fn into_std(self) -> io::Result<Vec<std::net::TcpListener>> {
        self.take().into_iter().map(TcpListener::into_std).collect()
    }

    /// Returns duplicates of the sockets that clients connect to, and the address where health checks are answered.
    ///
    /// # Errors
    /// Returns the error of the operating system, for instance when no descriptors are left.
    #[cfg(unix)]
    pub(crate) fn duplicate(&self) -> io::Result<(Vec<std::net::TcpListener>, SocketAddr)> {
        use std::os::fd::AsFd as _;

        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = |socket: &TcpListener| socket.as_fd().try_clone_to_owned().map(std::net::TcpListener::from);
        let copies = sockets.iter().map(copy).collect::<io::Result<_>>()?;
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((copies, probes.first().map_or(Ok(self.addr), TcpListener::local_addr)?))
    }

    /// Takes the sockets. Returns an empty list on the second call.
    pub(crate) fn take(&self) -> Vec<TcpListener> {
        std::mem::take(&mut *self.sockets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Binds a Unix socket in addition; an empty path means none. `replace` is as for [`UnixSocket::bind`].
    ///
    /// # Errors
    /// See [`UnixSocket::bind`].
    #[cfg(unix)]
    pub(crate) async fn bind_unix_socket(&self, path: &Path, replace: bool) -> Result<(), Exit> {
        if !path.as_os_str().is_empty() {
            let bound = UnixSocket::bind(path, replace).await?;
            *self.unix_socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(bound);
        }
        Ok(())
    }

    #[cfg(not(unix))]
    pub(crate) async fn bind_unix_socket(&self, path: &Path, _: bool) -> Result<(), Exit> {
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        Err(Exit::Config("Unix sockets are not supported on this operating system; leave out --unix-socket".to_owned()))
    }

    /// Takes the Unix socket. Returns `None` on the second call.
    #[cfg(unix)]
    pub(crate) fn take_unix_socket(&self) -> Option<UnixSocket> {
        self.unix_socket.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Takes the sockets for health checks. Returns an empty list on the second call.
    pub(crate) fn take_probes(&self) -> Vec<TcpListener> {
        std::mem::take(&mut *self.probes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Checks that a service could listen at `host`: the name resolves to an address of this machine which, unless
/// `guarded` by a client key or by explicit consent, is a loopback address.
///
/// # Errors
/// Returns the error [`Listener::bind`] would return, or [`Exit::Config`] for an unguarded host that other machines can
/// reach.
pub async fn check_host(host: &str, guarded: bool) -> Result<(), Exit> {
    if !guarded && let Some(ip) = resolve(host).await?.into_iter().find(|ip| !ip.to_canonical().is_loopback()) {
        return Err(Exit::Config(exposed(ip)));
    }
    // Port 0, because this process itself may already be listening on the configured port.
    Listener::bind(host, 0).await.map(drop)
}

/// Returns the error message for an address that other machines can reach without a client key.
#[must_use]
pub fn exposed(ip: IpAddr) -> String {
    format!(
        "{ip} can be reached from other machines, and no client key is configured: set CLIENT_KEYS or auth.client_keys, \
         for provider-router create a key (`provider-router key create`), listen on 127.0.0.1, or accept the risk with --insecure-no-auth"
    )
}

/// Resolves a host to the addresses to bind. For a name only the first address counts, because clients try that one
/// first.
///
/// # Errors
/// Returns [`Exit::Config`] when the name is unknown.
pub(crate) async fn resolve(host: &str) -> Result<Vec<IpAddr>, Exit> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse() {
        return Ok(vec![ip]);
    }
    let name = (host.to_owned(), 0);
    let found = tokio::task::spawn_blocking(move || name.to_socket_addrs().map(|mut found| found.next())).await;
    match found {
        Ok(Ok(Some(addr))) => Ok(vec![addr.ip()]),
        Ok(Ok(None)) => Err(Exit::Config(format!("cannot listen on `{host}`: it has no address"))),
        Ok(Err(error)) => Err(Exit::Config(format!("cannot listen on `{host}`: {error}"))),
        Err(error) => Err(Exit::Temporary(format!("cannot look up `{host}`: {error}"))),
    }
}

fn open(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // On Unix, SO_REUSEADDR allows binding while connections of the previous process linger in TIME_WAIT. On Windows
    // the same option would let two processes share the port. SO_REUSEPORT is never set: closing one of two sockets
    // drops the connections in its queue.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

fn bind_error(addr: SocketAddr, error: &io::Error) -> Exit {
    match error.kind() {
        ErrorKind::AddrInUse => Exit::PortInUse { port: addr.port(), holder: holder_of(addr) },
        ErrorKind::PermissionDenied => Exit::Permission(format!("not allowed to listen on {addr}: {error}")),
        ErrorKind::AddrNotAvailable => {
            Exit::Config(format!("cannot listen on {addr}: it is not an address of this machine"))
        }
        _ => Exit::Temporary(format!("cannot listen on {addr}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_held_port_is_refused_with_its_holder() {
        let first = Listener::bind("127.0.0.1", 0).await.unwrap();
        let port = first.local_addr().port();
        let exit = Listener::bind("127.0.0.1", port).await.unwrap_err();
        assert!(matches!(exit, Exit::PortInUse { port: held, .. } if held == port), "{exit}");
        if cfg!(target_os = "linux") {
            assert!(exit.to_string().contains(&format!("(pid {})", std::process::id())), "{exit}");
        }
    }

    #[tokio::test]
    async fn localhost_binds_one_port_on_every_address() {
        let listener = Listener::bind("localhost", 0).await.unwrap();
        let port = listener.local_addr().port();
        assert_ne!(port, 0);
        assert_eq!(listener.beyond_loopback(), None);
        let sockets = listener.take();
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap().port() == port));
        assert!(listener.take().is_empty());
    }

    #[tokio::test]
    async fn hosts_are_parsed() {
        assert_eq!(resolve("127.0.0.2").await.unwrap(), ["127.0.0.2".parse::<IpAddr>().unwrap()]);
        assert_eq!(resolve("[::1]").await.unwrap(), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
        assert_eq!(resolve("LocalHost").await.unwrap().len(), 2);
        assert_eq!(resolve("not a host").await.unwrap_err().code(), 78);
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_a_configuration_error() {
        // 192.0.2.0/24 is reserved for documentation (RFC 5737), so no machine has this address.
        assert_eq!(Listener::bind("192.0.2.1", 0).await.unwrap_err().code(), 78);
    }

    #[tokio::test]
    async fn a_host_is_validated_before_use() {
        for host in ["127.0.0.1", "localhost", "::1"] {
            assert_eq!(check_host(host, false).await, Ok(()), "{host}");
        }
        let exposed = check_host("0.0.0.0", false).await.unwrap_err();
        assert!(exposed.to_string().contains("CLIENT_KEYS"), "{exposed}");
        assert_eq!(check_host("0.0.0.0", true).await, Ok(()));
        assert_eq!(check_host("192.0.2.1", true).await.unwrap_err().code(), 78);
        assert_eq!(check_host("not a host", true).await.unwrap_err().code(), 78);
    }

    #[tokio::test]
    async fn unspecified_addresses_are_not_loopback() {
        let listener = Listener::bind("0.0.0.0", 0).await.unwrap();
        assert_eq!(listener.beyond_loopback(), Some(listener.local_addr()));
    }
}
