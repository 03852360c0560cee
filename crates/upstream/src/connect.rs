//! From a target to a connected, verified stream.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::error::Error;
use crate::stream::Stream;
use crate::target::{HostName, Origin};

/// What the operating system may hold of a response that nobody reads: as much as a round trip can carry, so some 2.5 MB/s
/// from a provider that is 100 ms away, and more from nearer ones.
const RECEIVE_BUFFER_BYTES: u32 = 256 * 1024;

/// Resolves, checks, connects and shakes hands. `due` bounds single attempts, so that one silent address does not use up
/// the time of the others; bounding the whole is the caller's.
pub(crate) async fn open(
    origin: &Origin,
    own: &[SocketAddr],
    tls: &TlsConnector,
    due: Instant,
) -> Result<Stream, Error> {
    let addresses = allowed(origin, resolve(origin).await?)?;
    let tcp = dial(origin, &interleave(addresses), due).await?;
    if let (Ok(local), Ok(peer)) = (tcp.local_addr(), tcp.peer_addr())
        && own.iter().any(|own| leads_to(*own, local, peer))
    {
        return Err(Error::Own { address: peer });
    }
    let Some(server_name) = &origin.tls else { return Ok(Stream::plain(tcp)) };
    let stream = tls
        .connect(server_name.clone(), tcp)
        .await
        .map_err(|source| Error::Tls { host: origin.host.to_string(), source })?;
    Ok(Stream::tls(stream))
}

async fn resolve(origin: &Origin) -> Result<Vec<SocketAddr>, Error> {
    let name = match &origin.host {
        HostName::Address(address) => return Ok(vec![SocketAddr::new(*address, origin.port)]),
        HostName::Name(name) => name,
    };
    let resolved = tokio::net::lookup_host((name.as_str(), origin.port)).await;
    Ok(resolved.map_err(|source| Error::Dns { host: name.clone(), source })?.collect())
}

/// Whether a connection from `local` to `peer` leads to the socket that listens on `own` in this process.
fn leads_to(own: SocketAddr, local: SocketAddr, peer: SocketAddr) -> bool {
    let [own_ip, local_ip, peer_ip] = [own, local, peer].map(|address| address.ip().to_canonical());
    // A socket on all addresses is reached by any of this machine's, which then is the connection's own one as well.
    own.port() == peer.port() && (own_ip == peer_ip || own_ip.is_unspecified() && local_ip == peer_ip)
}

/// The addresses that may be called; an error when there is none.
fn allowed(origin: &Origin, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Error> {
    let mut refused = None;
    let allowed: Vec<SocketAddr> = addresses
        .into_iter()
        .filter(|address| match origin.policy.check(address.ip()) {
            Ok(()) => true,
            Err(reason) => {
                refused.get_or_insert(reason);
                false
            }
        })
        .collect();
    match refused {
        Some(source) if allowed.is_empty() => Err(Error::Policy { host: origin.host.to_string(), source }),
        _ => Ok(allowed),
    }
}

/// Both families in turns, beginning with the resolver's favourite: where one of them leads nowhere, the second attempt
/// already is of the other.
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

/// Tries the addresses in order; each but the last may use an equal share of the time that is left.
async fn dial(origin: &Origin, addresses: &[SocketAddr], due: Instant) -> Result<TcpStream, Error> {
    let no_address = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut failure = Error::Dns { host: origin.host.to_string(), source: no_address };
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
        // Without `nodelay` a small request can wait for the acknowledgement of the one before.
        match attempt.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
            Ok(stream) => return Ok(stream),
            Err(source) => failure = Error::Connect { address, source },
        }
    }
    Err(failure)
}

/// Connects one socket. Its receive buffer is bounded before the first byte comes: left to itself, the kernel grows it to
/// megabytes for a provider that sends fast, and a client that then stops reading pins them.
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::AddressPolicy;

    fn origin(policy: AddressPolicy) -> Origin {
        Origin { host: HostName::Name("provider.test".into()), port: 443, tls: None, policy }
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
            assert_eq!(leads_to(address(own), address(local), address(peer)), leads, "{own} {local} {peer}");
        }
    }

    #[test]
    fn families_take_turns_and_nothing_is_lost() {
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
    fn a_name_is_worth_what_it_resolves_to() {
        let origin = origin(AddressPolicy::default());
        let mixed = allowed(&origin, addresses(&["169.254.169.254", "1.1.1.1", "fe80::1"])).unwrap();
        assert_eq!(mixed, addresses(&["1.1.1.1"]));
        let error = allowed(&origin, addresses(&["169.254.169.254", "::"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "provider.test is not called: the address 169.254.169.254 is link-local, which is not allowed"
        );
        assert!(error.may_retry());
    }

    #[tokio::test]
    async fn a_name_without_address_is_a_dns_error() {
        // No resolver asks anybody about a name with an empty label.
        let nobody = Origin { host: HostName::Name("no..such".into()), ..origin(AddressPolicy::default()) };
        let error = resolve(&nobody).await.unwrap_err();
        assert!(matches!(error, Error::Dns { .. }), "{error:?}");
        assert_eq!((error.code(), error.may_retry()), ("upstream_dns", true));
    }

    #[tokio::test]
    async fn the_second_address_is_tried_when_the_first_refuses() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let due = Instant::now() + std::time::Duration::from_secs(5);
        let origin = origin(AddressPolicy::default());
        let stream = dial(&origin, &[closed, good], due).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let error = dial(&origin, &[closed], due).await.unwrap_err();
        assert_eq!(error.code(), "upstream_connect");
        assert_eq!(dial(&origin, &[], due).await.unwrap_err().code(), "upstream_dns");
    }
}
