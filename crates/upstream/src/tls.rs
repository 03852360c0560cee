//! Verifies the certificates of servers.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::error::ConfigError;

/// Trusts certificates issued by the authorities, and the certificates of `extra_ca_file` themselves.
///
/// `openssl req -x509` marks its certificates as authorities, and webpki refuses an authority as a server certificate.
/// A certificate that the user has configured, byte for byte, is accepted nevertheless, for its names and within its
/// validity.
#[derive(Debug)]
struct Verifier {
    authorities: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

/// Returns a connector that trusts the built-in authorities, those of the operating system, and the certificates in
/// `extra_ca_file`, whether they are authorities or belong to a single server.
///
/// The built-in authorities are for containers without certificates, those of the operating system for networks with an
/// inspecting proxy. Verification cannot be disabled: use the file for servers with their own certificate.
pub(crate) fn connector(extra_ca_file: Option<&Path>) -> Result<TlsConnector, ConfigError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "some certificates of the operating system cannot be read");
    }
    // Some systems contain certificates that no verifier accepts; they are ignored.
    roots.add_parsable_certificates(native.certs);
    let pinned = extra_ca_file.map(read).transpose()?.unwrap_or_default();
    for certificate in &pinned {
        roots.add(certificate.clone())?;
    }
    // An explicit crypto provider, independent of the one that the process has installed as default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { authorities, pinned }))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    let certificates = certificates.map_err(|source| ConfigError::CaFile { path: path.to_owned(), source })?;
    if certificates.is_empty() { Err(ConfigError::CaFileEmpty(path.to_owned())) } else { Ok(certificates) }
}

/// Returns whether the only problem of a server's certificate is that it is marked as an authority. webpki checks the
/// validity period first, so the certificate is within it.
fn is_authority_only(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

// === impl Verifier ===

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let vouched = self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match vouched {
            Err(error) if is_authority_only(&error) && self.pinned.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            vouched => vouched,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authorities.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_ca_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        assert!(matches!(connector(Some(&path)), Err(ConfigError::CaFile { .. })));
        std::fs::write(&path, "no certificate\n").unwrap();
        assert!(matches!(connector(Some(&path)), Err(ConfigError::CaFileEmpty(_))));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(matches!(connector(Some(&path)), Err(ConfigError::Tls(_))));
    }
}
