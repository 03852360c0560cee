//! TLS to providers: trusted certificates, and the certificates that clients show.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::error::ConfigError;
use crate::pem_file;
use crate::tls_error::webpki_error;

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

/// PEM files for the TLS connections of a target. They are read when a connection is opened, and again when they have
/// changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// Certificates that are trusted in addition to those of the client: authorities, or single servers.
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to the server, followed by its intermediate authorities.
    pub client_cert: Option<PathBuf>,
    /// The private key of the certificate.
    pub client_key: Option<PathBuf>,
}

/// The trusted certificates of a client, and the connectors that were built from them.
pub(crate) struct Connectors {
    roots: RootCertStore,
    pinned: Vec<CertificateDer<'static>>,
    usual: TlsConnector,
    /// Connectors of targets with files of their own, with the state of the files when they were read.
    with_files: Mutex<HashMap<TlsFiles, (Stamp, TlsConnector)>>,
}

/// Maximum number of connectors with files. Beyond it all are built anew.
const MAX_WITH_FILES: usize = 256;

/// Last modification and size of each file; a file that cannot be examined has none.
type Stamp = [Option<(SystemTime, u64)>; 3];

// === impl TlsFiles ===

impl TlsFiles {
    /// Returns whether there is no file.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ca.is_none() && self.client_cert.is_none() && self.client_key.is_none()
    }

    /// Reads the files and checks that they belong together. Blocks.
    ///
    /// # Errors
    /// [`ConfigError`] for the first file that cannot be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.ca.as_deref().map(read).transpose()?;
        self.identity()?.map(|(chain, key)| self.signer(chain, key)).transpose().map(drop)
    }

    /// Returns the certificate of the client and its key.
    fn identity(&self) -> Result<Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>, ConfigError> {
        match (&self.client_cert, &self.client_key) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => {
                let chain = pem_file::certificates(cert)
                    .map_err(|source| ConfigError::ClientCert { path: cert.clone(), source })?;
                if chain.is_empty() {
                    return Err(ConfigError::CaFileEmpty(cert.clone()));
                }
                let key = pem_file::private_key(key)
                    .map_err(|source| ConfigError::ClientKey { path: key.clone(), source })?;
                Ok(Some((chain, key)))
            }
            _ => Err(ConfigError::ClientPair),
        }
    }

    fn signer(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Arc<CertifiedKey>, ConfigError> {
        let provider = rustls::crypto::ring::default_provider();
        let signer = CertifiedKey::from_der(chain, key, &provider).map_err(|source| {
            let [cert, key] = [&self.client_cert, &self.client_key].map(|path| path.clone().unwrap_or_default());
            match webpki_error(&source) {
                Some(webpki::Error::UnsupportedCertVersion) => ConfigError::ClientCertVersion(cert),
                _ => ConfigError::ClientIdentity { cert, key, source },
            }
        })?;
        Ok(Arc::new(signer))
    }

    fn stamp(&self) -> Stamp {
        [&self.ca, &self.client_cert, &self.client_key].map(|path| {
            let data = std::fs::metadata(path.as_ref()?).ok()?;
            Some((data.modified().ok()?, data.len()))
        })
    }
}

// === impl Connectors ===

impl Connectors {
    /// Trusts the built-in authorities, those of the operating system, and the certificates in `extra_ca_file`, whether
    /// they are authorities or belong to a single server.
    ///
    /// The built-in authorities are for containers without certificates, those of the operating system for networks
    /// with an inspecting proxy. Verification cannot be disabled: use the file for servers with their own certificate.
    pub(crate) fn new(extra_ca_file: Option<&Path>) -> Result<Self, ConfigError> {
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
        let usual = build(roots.clone(), pinned.clone(), None)?;
        Ok(Self { roots, pinned, usual, with_files: Mutex::default() })
    }

    /// Returns the connector for targets with these files.
    pub(crate) async fn of(self: &Arc<Self>, files: &TlsFiles) -> Result<TlsConnector, ConfigError> {
        if files.is_empty() {
            return Ok(self.usual.clone());
        }
        let (this, files) = (Arc::clone(self), files.clone());
        let built = tokio::task::spawn_blocking(move || this.with_files(&files)).await;
        built.unwrap_or_else(|_| Err(ConfigError::Interrupted))
    }

    /// Returns the connector for these files, built anew if they have changed. If the new files are not valid, the
    /// previous connector is used.
    fn with_files(&self, files: &TlsFiles) -> Result<TlsConnector, ConfigError> {
        let stamp = files.stamp();
        let known = self.lock().get(files).cloned();
        if let Some((seen, connector)) = &known
            && *seen == stamp
        {
            return Ok(connector.clone());
        }
        let connector = match (self.read(files), known) {
            (Ok(connector), _) => connector,
            (Err(error), Some((_, previous))) => {
                tracing::warn!("{error}; the previous files stay in use");
                previous
            }
            (Err(error), None) => return Err(error),
        };
        let mut with_files = self.lock();
        if with_files.len() >= MAX_WITH_FILES {
            with_files.clear();
        }
        with_files.insert(files.clone(), (stamp, connector.clone()));
        Ok(connector)
    }

    fn read(&self, files: &TlsFiles) -> Result<TlsConnector, ConfigError> {
        let (mut roots, mut pinned) = (self.roots.clone(), self.pinned.clone());
        for certificate in files.ca.as_deref().map(read).transpose()?.unwrap_or_default() {
            roots.add(certificate.clone())?;
            pinned.push(certificate);
        }
        let identity = files.identity()?.map(|(chain, key)| files.signer(chain, key)).transpose()?;
        build(roots, pinned, identity)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TlsFiles, (Stamp, TlsConnector)>> {
        self.with_files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn build(
    roots: RootCertStore,
    pinned: Vec<CertificateDer<'static>>,
    identity: Option<Arc<CertifiedKey>>,
) -> Result<TlsConnector, ConfigError> {
    // An explicit crypto provider, independent of the one that the process has installed as default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { authorities, pinned }));
    let mut config = match identity {
        Some(identity) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates =
        pem_file::certificates(path).map_err(|source| ConfigError::CaFile { path: path.to_owned(), source })?;
    if certificates.is_empty() { Err(ConfigError::CaFileEmpty(path.to_owned())) } else { Ok(certificates) }
}

/// Returns whether the only problem of a server's certificate is that it is marked as an authority. webpki checks the
/// validity period first, so the certificate is within it.
fn is_authority_only(error: &rustls::Error) -> bool {
    matches!(webpki_error(error), Some(webpki::Error::CaUsedAsEndEntity))
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
        assert!(matches!(Connectors::new(Some(&path)).map(drop), Err(ConfigError::CaFile { .. })));
        std::fs::write(&path, "no certificate\n").unwrap();
        assert!(matches!(Connectors::new(Some(&path)).map(drop), Err(ConfigError::CaFileEmpty(_))));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(matches!(Connectors::new(Some(&path)).map(drop), Err(ConfigError::Tls(_))));
    }

    /// Turns a certificate into one of X.509 version 1, whose DER lacks the field for the version.
    fn of_version_1(der: &[u8]) -> Vec<u8> {
        const VERSION_3: [u8; 5] = [0xa0, 3, 2, 1, 2];
        // The certificate and its first part are sequences with two bytes for the length.
        assert_eq!((&der[..2], &der[4..6], &der[8..13]), (&[0x30, 0x82][..], &[0x30, 0x82][..], &VERSION_3[..]));
        let shorter = |length: &[u8]| (u16::from_be_bytes([length[0], length[1]]) - 5).to_be_bytes();
        [&der[..2], &shorter(&der[2..4]), &der[4..6], &shorter(&der[6..8]), &der[13..]].concat()
    }

    #[test]
    fn a_client_certificate_of_version_1_is_refused_with_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        // Long enough for two bytes of length.
        let names = ["a".repeat(60), "b".repeat(60), "c".repeat(60)];
        let identity = rcgen::generate_simple_self_signed(names).unwrap();
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| dir.path().join(name));
        let old = of_version_1(identity.cert.der());
        std::fs::write(&cert, pem_of(&old)).unwrap();
        std::fs::write(&key, identity.signing_key.serialize_pem()).unwrap();
        let files = TlsFiles { ca: None, client_cert: Some(cert), client_key: Some(key) };
        let error = files.check().unwrap_err();
        assert!(matches!(error, ConfigError::ClientCertVersion(_)), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("cert.pem has X.509 version 1; version 3 is needed"), "{said}");
    }

    fn pem_of(der: &[u8]) -> String {
        use base64::Engine as _;

        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn bad_client_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let [one, other] = ["one", "other"].map(|name| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap());
        let cert = write("cert.pem", &one.cert.pem());
        let key = write("key.pem", &one.signing_key.serialize_pem());
        let other_key = write("other.pem", &other.signing_key.serialize_pem());
        let none = Some(dir.path().join("none.pem"));
        let check = |client_cert: &Option<PathBuf>, client_key: &Option<PathBuf>| {
            TlsFiles { ca: None, client_cert: client_cert.clone(), client_key: client_key.clone() }.check()
        };
        assert!(check(&cert, &key).is_ok() && check(&None, &None).is_ok());
        for (cert, key, told) in [
            (&cert, &other_key, "does not belong to the certificate"),
            (&none, &key, "none.pem"),
            (&cert, &none, "none.pem"),
            (&key, &key, "no certificate"),
            (&cert, &cert, "private key in"),
            (&cert, &None, "clientCert and clientKey belong together"),
            (&None, &key, "clientCert and clientKey belong together"),
        ] {
            let error = check(cert, key).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
