//! What is trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::error::ConfigError;

/// A connector that trusts the built-in authorities, those of the operating system, and those in `extra_ca_file`.
///
/// The built-in ones make it work in a container without certificates, the operating system's behind a company's
/// inspecting proxy. Verification cannot be turned off: a server with its own certificate is what the file is for.
pub(crate) fn connector(extra_ca_file: Option<&Path>) -> Result<TlsConnector, ConfigError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "some certificates of the operating system cannot be read");
    }
    // Systems carry certificates that no verifier accepts; they are of no use, and no reason to stop.
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = extra_ca_file {
        for certificate in read(path)? {
            roots.add(certificate)?;
        }
    }
    // The provider is named here, so that it does not matter what else a process has installed.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_ca_file_is_an_error_and_not_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        assert!(matches!(connector(Some(&path)), Err(ConfigError::CaFile { .. })));
        std::fs::write(&path, "no certificate\n").unwrap();
        assert!(matches!(connector(Some(&path)), Err(ConfigError::CaFileEmpty(_))));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(matches!(connector(Some(&path)), Err(ConfigError::Tls(_))));
    }
}
