//! Certificates and keys from PEM files, of regular files of a bounded size only: a device or a pipe in their place
//! would be read without end.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Maximum bytes of a file; the authorities of an operating system have a quarter of a mebibyte.
const MAX_BYTES: u64 = 4 << 20;

/// Reads all certificates of a file. Blocks.
///
/// # Errors
/// Fails if the file cannot be read, is no regular file or too large, or is not valid PEM.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(&read(path)?).collect()
}

/// Reads the first private key of a file. Blocks.
///
/// # Errors
/// As [`certificates`]; also fails if there is no private key.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, pem::Error> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
}

fn read(path: &Path) -> Result<Vec<u8>, pem::Error> {
    let refused = |why: &str| pem::Error::Io(io::Error::new(ErrorKind::InvalidInput, why));
    // Before opening, because opening a pipe waits for a writer.
    if !std::fs::metadata(path).map_err(pem::Error::Io)?.is_file() {
        return Err(refused("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(pem::Error::Io)?;
    if bytes.len() as u64 > MAX_BYTES { Err(refused("it has more than 4 MiB")) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let large = dir.path().join("large.pem");
        File::create(&large).unwrap().set_len(MAX_BYTES + 1).unwrap();
        let device = Path::new("/dev/zero");
        for (path, told) in [(&*large, "4 MiB"), (device, "regular file"), (dir.path(), "regular file")] {
            if path.exists() {
                assert!(certificates(path).unwrap_err().to_string().contains(told), "{}", path.display());
                assert!(private_key(path).is_err());
            }
        }
        assert!(certificates(&dir.path().join("none.pem")).is_err());
    }
}
