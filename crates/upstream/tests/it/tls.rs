//! Tests which servers are trusted, and exchanges over TLS.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertifiedKey, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use signalbox_upstream::{Client, ClientConfig, Error, TlsFiles};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

use crate::server::{Peer, Server};
use crate::{NEVER, OK, client, get, post, read, read_all};

/// End of the error for a certificate that is not trusted.
const CA_FILE_ADVICE: &str = "; set `caFile` to the PEM file of its authority";

/// Returns the time `days` from now.
fn from_now(days: i64) -> SystemTime {
    let span = Duration::from_secs(days.unsigned_abs() * 24 * 60 * 60);
    if days < 0 { SystemTime::now() - span } else { SystemTime::now() + span }
}

/// A server's self-signed identity.
pub(crate) struct Identity(CertifiedKey<KeyPair>);

impl Identity {
    pub(crate) fn for_name(name: &str) -> Self {
        Self(rcgen::generate_simple_self_signed([name.to_owned()]).unwrap())
    }

    /// Creates a certificate like `openssl req -x509`: self-signed and marked as an authority, with the given validity
    /// in days relative to now.
    fn self_signed_authority(name: &str, days: std::ops::Range<i64>) -> Self {
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_before = from_now(days.start).into();
        params.not_after = from_now(days.end).into();
        let signing_key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&signing_key).unwrap();
        Self(CertifiedKey { cert, signing_key })
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.0.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.0.cert.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    /// Returns a client that trusts this identity.
    pub(crate) fn trusting_client(&self) -> Client {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(self.0.cert.pem().as_bytes()).unwrap();
        let config = ClientConfig { extra_ca_file: Some(file.path().to_owned()), ..ClientConfig::default() };
        Client::new(&config).unwrap()
    }
}

/// Returns the result of a client's request to a server with this identity under this URL.
async fn attempt(identity: &Identity, client: &Client, url: &str) -> Result<Vec<u8>, Error> {
    let server = Server::bind().await;
    let target = server.target_as(url);
    let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
        // A refused handshake fails on the server's side too; the test checks the client's side.
        let stream = identity.acceptor().accept(server.accept().await.0).await.ok()?;
        let mut peer = Peer(stream);
        peer.answer(OK).await;
        Some(peer)
    });
    Ok(read_all(answer?.into_body()).await)
}

#[tokio::test]
async fn a_configured_authority_is_trusted() {
    for name in ["localhost", "127.0.0.1"] {
        let identity = Identity::for_name(name);
        let body = attempt(&identity, &identity.trusting_client(), &format!("https://{name}")).await.unwrap();
        assert_eq!(body, b"ok");
    }
}

#[tokio::test]
async fn a_self_signed_authority_is_trusted_as_a_server_certificate() {
    for name in ["localhost", "127.0.0.1"] {
        let identity = Identity::self_signed_authority(name, -1..1);
        let body = attempt(&identity, &identity.trusting_client(), &format!("https://{name}")).await.unwrap();
        assert_eq!(body, b"ok");
    }
}

#[tokio::test]
async fn a_self_signed_authority_must_be_configured_valid_and_match_its_name() {
    let valid = Identity::self_signed_authority("localhost", -1..1);
    let twin = Identity::self_signed_authority("localhost", -1..1);
    for (identity, client, why) in [
        (&valid, client(), "it is not configured as trusted"),
        (&valid, twin.trusting_client(), "another authority with the same names is trusted"),
    ] {
        let error = attempt(identity, &client, "https://localhost").await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{why}: {error:?}");
        assert!(error.to_string().ends_with(CA_FILE_ADVICE), "{why}: {error}");
    }
    for (name, days, why) in [
        ("localhost", -2..-1, "it has expired"),
        ("localhost", 1..2, "it is not valid yet"),
        ("other.test", -1..1, "it has another name"),
    ] {
        let identity = Identity::self_signed_authority(name, days);
        let error = attempt(&identity, &identity.trusting_client(), "https://localhost").await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{why}: {error:?}");
    }
}

#[tokio::test]
async fn untrusted_and_mismatched_certificates_are_refused() {
    const OTHER_HOST: &str = "it is for another host";
    let (localhost, other) = (Identity::for_name("localhost"), Identity::for_name("other.test"));
    for (identity, client, why) in [
        (&localhost, client(), "it is not configured as trusted"),
        (&localhost, other.trusting_client(), "another certificate is trusted"),
        (&other, other.trusting_client(), OTHER_HOST),
    ] {
        let error = attempt(identity, &client, "https://localhost").await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{why}: {error:?}");
        // A file of authorities does not help against a wrong name.
        let is_untrusted = why != OTHER_HOST;
        assert_eq!(error.to_string().ends_with(CA_FILE_ADVICE), is_untrusted, "{why}: {error}");
        assert_eq!((error.code(), error.may_retry()), ("upstream_tls", true));
        assert_eq!(client.open_connections(), 0);
    }
}

#[tokio::test]
async fn a_server_without_tls_is_a_tls_error() {
    let server = Server::bind().await;
    let target = server.target_as("https://127.0.0.1");
    let client = client();
    let (answer, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
        server.accept().await.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let error = answer.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn a_tls_connection_is_reused_and_carries_large_bodies() {
    let identity = Identity::for_name("localhost");
    let client = identity.trusting_client();
    let server = Server::bind().await;
    let target = server.target_as("https://localhost");
    let question = vec![b'q'; 5 << 20];
    let serve = async {
        let mut peer = Peer(identity.acceptor().accept(server.accept().await.0).await.unwrap());
        for _ in 0..2 {
            let body = peer.request().await.body;
            peer.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes()).await;
            peer.write(&body).await;
        }
        peer
    };
    let ask = async {
        for _ in 0..2 {
            let answer = client.send(&target, post(&target, "/", question.clone()), &NEVER).await.unwrap();
            assert!(read_all(answer.into_body()).await == question);
        }
    };
    tokio::join!(ask, serve);
    assert_eq!(client.open_connections(), 1);
}

#[tokio::test]
async fn only_close_notify_ends_a_body_of_unknown_length() {
    let identity = Identity::for_name("localhost");
    let client = identity.trusting_client();
    let server = Server::bind().await;
    let target = server.target_as("https://localhost");
    for proper in [true, false] {
        let (answer, ()) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
            let mut peer = Peer(identity.acceptor().accept(server.accept().await.0).await.unwrap());
            peer.answer(b"HTTP/1.1 200 OK\r\n\r\nhello").await;
            if proper {
                peer.0.shutdown().await.unwrap();
            }
        });
        let (bytes, end) = read(answer.unwrap().into_body()).await;
        assert_eq!(bytes, b"hello");
        assert_eq!(end.is_ok(), proper);
        assert!(proper || matches!(end, Err(Error::Truncated { .. })), "{end:?}");
    }
}

/// Returns an acceptor that requires a certificate of `client`.
fn mutual(server: &Identity, client: &Identity) -> TlsAcceptor {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(client.0.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::try_from(server.0.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![server.0.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn a_target_has_an_authority_and_a_certificate_of_its_own() {
    let (identity, own) = (Identity::for_name("localhost"), Identity::for_name("client"));
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let ca = write("ca.pem", identity.0.cert.pem());
    let client_cert = write("cert.pem", own.0.cert.pem());
    let client_key = write("key.pem", own.0.signing_key.serialize_pem());
    let (server, client) = (Server::bind().await, client());
    let acceptor = mutual(&identity, &own);
    let bare = server.target_as("https://localhost");
    let trusting = bare.with_tls_files(TlsFiles { ca: ca.clone(), ..TlsFiles::default() });
    let known = bare.with_tls_files(TlsFiles { ca, client_cert, client_key });
    for (target, works) in [(&bare, false), (&trusting, false), (&known, true), (&known, true)] {
        let reused = client.idle_connections() > 0;
        let asked = client.send(target, get(target, "/"), &NEVER);
        let (answer, _) = tokio::join!(asked, async {
            if reused {
                return None;
            }
            let stream = acceptor.accept(server.accept().await.0).await.ok()?;
            let mut peer = Peer(stream);
            peer.answer(OK).await;
            tokio::spawn(async move { peer.answer(OK).await });
            Some(())
        });
        assert_eq!(answer.is_ok(), works, "{target:?}: {answer:?}");
        if let Ok(answer) = answer {
            read_all(answer.into_body()).await;
        }
    }
    // Files that are gone are reported when a connection is opened, and the connection works when they are back.
    let missing = dir.path().join("none.pem");
    let target = bare.with_tls_files(TlsFiles { ca: Some(missing.clone()), ..TlsFiles::default() });
    let error = client.send(&target, get(&target, "/"), &NEVER);
    let (error, _peer) = tokio::join!(error, server.accept());
    let error = error.unwrap_err();
    assert_eq!((error.code(), error.may_retry()), ("upstream_tls", true));
    assert!(error.to_string().contains("none.pem"), "{error}");
    std::fs::write(&missing, identity.0.cert.pem()).unwrap();
    let (answer, _peer) = tokio::join!(client.send(&target, get(&target, "/"), &NEVER), async {
        let mut peer = Peer(identity.acceptor().accept(server.accept().await.0).await.unwrap());
        peer.answer(OK).await;
        peer
    });
    assert_eq!(read_all(answer.unwrap().into_body()).await, b"ok");
}
