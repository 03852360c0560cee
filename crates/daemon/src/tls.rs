//! TLS on the listener: the certificate and its key, read again when their files change.
//!
//! # Theory
//! A listener with TLS decides by the first byte of each connection. A TLS handshake begins with 0x16, a plain HTTP
//! request with a letter. Plain requests are answered for clients on this machine only: health checks, the command line
//! and the services among each other need no certificate that is valid for `127.0.0.1`, and nothing leaves the machine.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use signalbox_upstream::pem_file;
use tokio_rustls::TlsAcceptor;

use crate::config::TlsConfig;
use crate::exit::Exit;

/// Interval at which the files are checked for changes.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The TLS identity of a listener.
#[derive(Debug)]
pub struct Tls {
    files: TlsConfig,
    current: RwLock<Arc<ServerConfig>>,
    /// State of the files when they were read at start-up.
    stamp: Stamp,
}

/// Last modification and size of both files; a file that cannot be examined has none.
type Stamp = [Option<(SystemTime, u64)>; 2];

// === impl Tls ===

impl Tls {
    /// Reads the files; returns `None` if TLS is off.
    ///
    /// # Errors
    /// Returns [`Exit::Config`] if a file cannot be read, or if the key does not belong to the certificate.
    pub fn load(files: &TlsConfig) -> Result<Option<Arc<Self>>, Exit> {
        if files.cert.as_os_str().is_empty() {
            return Ok(None);
        }
        let stamp = stamp(files);
        let current = RwLock::new(Arc::new(read(files).map_err(Exit::Config)?));
        Ok(Some(Arc::new(Self { files: files.clone(), current, stamp })))
    }

    /// Returns an acceptor with the present certificate.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Reads the files again whenever they have changed. Until new files are valid, the previous certificate is used.
    /// Never returns.
    pub(crate) async fn watch(&self) {
        let mut seen = self.stamp;
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let files = self.files.clone();
            let now = tokio::task::spawn_blocking(move || {
                let now = stamp(&files);
                (now != seen).then(|| (now, read(&files)))
            });
            let Ok(Some((now, loaded))) = now.await else { continue };
            seen = now;
            match loaded {
                Ok(config) => {
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
                    tracing::info!(cert = %self.files.cert.display(), "the TLS certificate was replaced");
                }
                Err(error) => tracing::warn!("{error}; the previous certificate stays in use"),
            }
        }
    }
}

fn stamp(files: &TlsConfig) -> Stamp {
    [&files.cert, &files.key].map(|path| {
        let data = fs::metadata(path).ok()?;
        Some((data.modified().ok()?, data.len()))
    })
}

/// Reads certificate and key; the error is for the user.
fn read(files: &TlsConfig) -> Result<ServerConfig, String> {
    let certificates =
        pem_file::certificates(&files.cert).map_err(|error| unusable("certificate", &files.cert, &error))?;
    if certificates.is_empty() {
        return Err(unusable("certificate", &files.cert, &"there is none in the file"));
    }
    let key = pem_file::private_key(&files.key).map_err(|error| unusable("private key", &files.key, &error))?;
    // An explicit crypto provider, independent of the one that the process has installed as default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config
        .and_then(|config| config.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|error| unusable("certificate", &files.cert, &with_key(&error, &files.key)))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn with_key(error: &rustls::Error, key: &Path) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => format!("the private key in {} does not belong to it", key.display()),
        error => error.to_string(),
    }
}

fn unusable(what: &str, path: &Path, why: &dyn Display) -> String {
    format!(
        "cannot use the TLS {what} in {}: {why}; TLS_CERT and TLS_KEY take PEM files that belong together",
        path.display()
    )
}

/// Returns whether the first byte of a connection begins a TLS handshake.
pub(crate) const fn is_handshake(first: u8) -> bool {
    first == 0x16
}

/// Returns the error for a handshake that was not completed in time.
pub(crate) fn too_slow() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str) -> TlsConfig {
        let identity = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let files = TlsConfig { cert: dir.join("cert.pem"), key: dir.join("key.pem") };
        fs::write(&files.cert, identity.cert.pem()).unwrap();
        fs::write(&files.key, identity.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn bad_files_are_named_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Tls::load(&TlsConfig::default()).unwrap().is_none());
        let files = write(dir.path(), "localhost");
        assert!(Tls::load(&files).unwrap().is_some());

        let other = tempfile::tempdir().unwrap();
        let mixed = TlsConfig { key: write(other.path(), "localhost").key, ..files.clone() };
        let missing = TlsConfig { cert: dir.path().join("none.pem"), ..files.clone() };
        let swapped = TlsConfig { cert: files.key.clone(), key: files.cert };
        for (files, told) in [(&mixed, "does not belong to it"), (&missing, "none.pem"), (&swapped, "there is none")] {
            let exit = Tls::load(files).unwrap_err();
            assert_eq!(exit.code(), 78);
            assert!(exit.to_string().contains(told) && exit.to_string().contains("TLS_KEY"), "{exit}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn new_files_are_used_and_bad_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let tls = Tls::load(&write(dir.path(), "localhost")).unwrap().unwrap();
        let current = || Arc::clone(&tls.current.read().unwrap());
        let first = current();
        let changed = async {
            fs::write(&tls.files.key, "no key at all").unwrap();
            tokio::time::sleep(CHECK_INTERVAL * 3).await;
            assert!(Arc::ptr_eq(&current(), &first), "the key is not valid");
            write(dir.path(), "other.test");
            while Arc::ptr_eq(&current(), &first) {
                tokio::time::sleep(CHECK_INTERVAL).await;
            }
        };
        tokio::select! {
            () = tls.watch() => {}
            () = changed => {}
        }
    }
}
