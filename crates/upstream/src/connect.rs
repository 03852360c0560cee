//! Opens a connected, verified stream to a target.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use crate::error::{Error, ProxyError};
use crate::host_name::HostName;
use crate::policy::{AddressPolicy, is_metadata_name};
use crate::proxy::{self, Proxy, ProxyChoice};
use crate::stream::Stream;
use crate::target::Origin;
use crate::tls::Connectors;

/// Receive buffer of the operating system for a response that is not being read. It holds what a round trip can carry,
/// which allows some 2.5 MB/s from a provider that is 100 ms away, and more from nearer ones.
const RECEIVE_BUFFER_BYTES: u32 = 256 * 1024;

/// Maximum time for resolving a name only to check its addresses before a proxy resolves it again.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// The reason why no address could be connected to.
#[derive(Debug)]
struct DialError {
    /// The last address; `None` if there is none.
    address: Option<SocketAddr>,
    source: io::Error,
}

/// Resolves the name, checks the addresses, connects, and performs the TLS handshake; through `proxy` if there is one.
/// `due` only bounds single attempts, so that one unresponsive address does not use up the time of the others; the
/// caller bounds the whole call.
pub(crate) async fn open(
    origin: &Origin,
    proxy: Option<&Proxy>,
    own: &[SocketAddr],
    tls: &Arc<Connectors>,
    due: Instant,
) -> Result<Stream, Error> {
    if let Some(path) = &origin.socket {
        return local(path).await;
    }
    let tcp = match proxy {
        None => direct(origin, due).await?,
        Some(proxy) => {
            check_proxied(origin).await?;
            reach(proxy, origin, due).await?
        }
    };
    if let (Ok(local), Ok(peer)) = (tcp.local_addr(), tcp.peer_addr())
        && own.iter().any(|own| reaches(*own, local, peer))
    {
        return Err(Error::OwnAddress { address: peer });
    }
    let Some(server_name) = &origin.tls else { return Ok(Stream::plain(tcp)) };
    let mut tcp = tcp;
    if let Some(proxy) = proxy {
        proxy::connect(&mut tcp, proxy, origin).await.map_err(failure_of(proxy))?;
    }
    let connector = tls.of(&origin.files).await;
    let connector =
        connector.map_err(|source| Error::TlsFiles { host: origin.host.to_string(), source: Box::new(source) })?;
    let stream = connector
        .connect(server_name.clone(), tcp)
        .await
        .map_err(|source| Error::Tls { host: origin.host.to_string(), source })?;
    Ok(Stream::tls(stream))
}

/// Connects to a Unix socket.
#[cfg(unix)]
async fn local(path: &Path) -> Result<Stream, Error> {
    let connected = tokio::net::UnixStream::connect(path).await;
    connected.map(Stream::unix).map_err(|source| Error::ConnectSocket { path: path.to_owned(), source })
}

#[cfg(not(unix))]
async fn local(path: &Path) -> Result<Stream, Error> {
    Err(Error::ConnectSocket { path: path.to_owned(), source: io::ErrorKind::Unsupported.into() })
}

/// Connects to the origin itself.
async fn direct(origin: &Origin, due: Instant) -> Result<TcpStream, Error> {
    let host = origin.host.to_string();
    let resolved = resolve(&origin.host, origin.port).await;
    let addresses = resolved.map_err(|source| Error::Dns { host: host.clone(), source })?;
    let addresses = allowed(&host, &origin.policy, addresses)?;
    dial(&interleave(addresses), due).await.map_err(|error| match error.address {
        Some(address) => Error::Connect { address, source: error.source },
        None => Error::Dns { host, source: error.source },
    })
}

/// Connects to the proxy. A proxy that belongs to the target must obey the policy of the target, so that it is not a
/// way around it; the proxy of the environment was chosen by the operator and may be in a private network.
async fn reach(proxy: &Proxy, origin: &Origin, due: Instant) -> Result<TcpStream, Error> {
    let policy = match origin.proxy {
        ProxyChoice::Proxy(_) => origin.policy,
        ProxyChoice::Environment | ProxyChoice::Direct => AddressPolicy::default(),
    };
    let failure = failure_of(proxy);
    let addresses = match resolve(proxy.host(), proxy.port()).await {
        Ok(addresses) => allowed(&format!("the proxy {proxy}"), &policy, addresses)?,
        Err(source) => return Err(failure(ProxyError::Connect(source))),
    };
    dial(&interleave(addresses), due).await.map_err(|error| failure(ProxyError::Connect(error.source)))
}

fn failure_of(proxy: &Proxy) -> impl Fn(ProxyError) -> Error + '_ {
    |source| Error::Proxy { proxy: proxy.to_string(), source }
}

/// Checks a host that a proxy resolves. Addresses were checked when the URL was parsed. The names of metadata services
/// are never allowed. Other names are resolved here only if the policy is a strict one, because networks with proxies
/// often resolve no public names: a name that resolves must have allowed addresses only, and one that does not is left
/// to the proxy.
async fn check_proxied(origin: &Origin) -> Result<(), Error> {
    let HostName::Name(name) = &origin.host else { return Ok(()) };
    if is_metadata_name(name) {
        return Err(Error::PolicyName { host: name.clone() });
    }
    if !origin.policy.is_strict() {
        return Ok(());
    }
    let Ok(Ok(addresses)) = tokio::time::timeout(CHECK_TIMEOUT, resolve(&origin.host, origin.port)).await else {
        return Ok(());
    };
    for address in addresses {
        origin.policy.check(address.ip()).map_err(|source| Error::Policy { host: name.clone(), source })?;
    }
    Ok(())
}

async fn resolve(host: &HostName, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host {
        HostName::Address(address) => Ok(vec![SocketAddr::new(*address, port)]),
        HostName::Name(name) => Ok(tokio::net::lookup_host((name.as_str(), port)).await?.collect()),
    }
}

/// Returns whether a connection from `local` to `peer` leads to the socket that listens on `own` in this process.
fn reaches(own: SocketAddr, local: SocketAddr, peer: SocketAddr) -> bool {
    let [own_ip, local_ip, peer_ip] = [own, local, peer].map(|address| address.ip().to_canonical());
    // A socket bound to the unspecified address accepts connections to every local address; source and destination
    // address of such a connection are equal.
    own.port() == peer.port() && (own_ip == peer_ip || own_ip.is_unspecified() && local_ip == peer_ip)
}

/// Returns the addresses that may be called; an error if there are none.
fn allowed(host: &str, policy: &AddressPolicy, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Error> {
    let mut refused = None;
    let allowed: Vec<SocketAddr> = addresses
        .into_iter()
        .filter(|address| match policy.check(address.ip()) {
            Ok(()) => true,
            Err(reason) => {
                refused.get_or_insert(reason);
                false
            }
        })
        .collect();
    match refused {
        Some(source) if allowed.is_empty() => Err(Error::Policy { host: host.to_owned(), source }),
        _ => Ok(allowed),
    }
}

/// Interleaves both address families, beginning with the one that the resolver prefers, so that the second attempt
/// already uses the other family if one of them does not work.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (favourite, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut other = other.into_iter();
    let mut ordered = Vec::with_capacity(favourite.len() + other.len());
    for address in favourite {
        ordered.push(address);
        ordered.extend(other.next());
    }
    ordered.extend(other);
    ordered
}

/// Tries the addresses in order; each attempt but the last gets an equal share of the remaining time.
async fn dial(addresses: &[SocketAddr], due: Instant) -> Result<TcpStream, DialError> {
    let no_address = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut failure = DialError { address: None, source: no_address };
    let mut attempts_left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for &address in addresses {
        let connecting = connect(address);
        let attempt = if attempts_left > 1 {
            let share = due.saturating_duration_since(Instant::now()) / attempts_left;
            tokio::time::timeout(share, connecting).await.unwrap_or_else(|elapsed| Err(elapsed.into()))
        } else {
            connecting.await
        };
        attempts_left -= 1;
        // Without `nodelay`, a small request may wait for the acknowledgement of the previous one.
        match attempt.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => return Ok(stream),
            Err(source) => failure = DialError { address: Some(address), source },
        }
    }
    Err(failure)
}

/// Connects one socket. Its receive buffer is bounded before the first byte arrives: by default the kernel enlarges it
/// to megabytes for a fast provider, and that memory stays in use when the client stops reading.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::TlsFiles;

    fn origin(policy: AddressPolicy) -> Origin {
        Origin {
            host: HostName::Name("provider.test".into()),
            port: 443,
            tls: None,
            policy,
            proxy: ProxyChoice::default(),
            files: TlsFiles::default(),
            socket: None,
        }
    }

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| SocketAddr::new(address.parse().unwrap(), 443)).collect()
    }

    #[test]
    fn a_listening_socket_is_recognised_by_address_and_port() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (own, local, peer, leads) in [
            ("127.0.0.1:3001", "127.0.0.1:50000", "127.0.0.1:3001", true),
            ("127.0.0.1:3001", "127.0.0.1:50000", "[::ffff:127.0.0.1]:3001", true),
            ("127.0.0.1:3001", "127.0.0.1:50000", "127.0.0.1:3000", false),
            ("127.0.0.1:3001", "127.0.0.1:50000", "127.0.0.2:3001", false),
            ("[::1]:3001", "127.0.0.1:50000", "127.0.0.1:3001", false),
            ("0.0.0.0:3001", "10.0.0.7:50000", "10.0.0.7:3001", true),
            ("[::]:3001", "10.0.0.7:50000", "10.0.0.7:3001", true),
            ("0.0.0.0:3001", "10.0.0.7:50000", "10.0.0.8:3001", false),
        ] {
            assert_eq!(reaches(address(own), address(local), address(peer)), leads, "{own} {local} {peer}");
        }
    }

    #[test]
    fn address_families_alternate_and_no_address_is_lost() {
        for (given, ordered) in [
            (&["::1", "::2", "::3", "1.1.1.1"][..], &["::1", "1.1.1.1", "::2", "::3"][..]),
            (&["1.1.1.1", "::1", "::2"], &["1.1.1.1", "::1", "::2"]),
            (&["1.1.1.1", "1.1.1.2"], &["1.1.1.1", "1.1.1.2"]),
            (&[], &[]),
        ] {
            assert_eq!(interleave(addresses(given)), addresses(ordered));
        }
    }

    #[test]
    fn a_name_is_judged_by_its_addresses() {
        let policy = AddressPolicy::default();
        let mixed = allowed("provider.test", &policy, addresses(&["169.254.169.254", "1.1.1.1", "fe80::1"])).unwrap();
        assert_eq!(mixed, addresses(&["1.1.1.1"]));
        let error = allowed("provider.test", &policy, addresses(&["169.254.169.254", "::"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot connect to provider.test: the address 169.254.169.254 is link-local, which is not allowed"
        );
        assert!(error.may_retry());
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_a_dns_error() {
        // Resolvers reject a name with an empty label without sending a query.
        let nobody = Origin { host: HostName::Name("no..such".into()), ..origin(AddressPolicy::default()) };
        let error = direct(&nobody, Instant::now()).await.unwrap_err();
        assert!(matches!(error, Error::Dns { .. }), "{error:?}");
        assert_eq!((error.code(), error.may_retry()), ("upstream_dns", true));
    }

    #[tokio::test]
    async fn the_second_address_is_tried_when_the_first_refuses() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let due = Instant::now() + std::time::Duration::from_secs(5);
        let stream = dial(&[closed, good], due).await.ok().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert_eq!(dial(&[closed], due).await.unwrap_err().address, Some(closed));
        assert_eq!(dial(&[], due).await.unwrap_err().address, None);
    }
}
