//! The files of the console, by path.
//!
//! A console that `scripts/dashboard` has built brings compressed files along. The one under version control does not:
//! its files are compressed when a client first asks for them, and kept.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{LazyLock, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, header};

/// A file of the console.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: &'static str,
    pub(super) media_type: &'static str,
    /// Digest of the content.
    pub(super) digest: &'static str,
    pub(super) identity: &'static [u8],
    pub(super) gzip: Option<&'static [u8]>,
    pub(super) brotli: Option<&'static [u8]>,
}

/// Encodings in which a file may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
    Brotli,
}

// `INDEX`, the document, and `FILES`, all others in the order of their paths.
include!(concat!(env!("OUT_DIR"), "/console_files.rs"));

/// Files that were compressed here, by path: none of a file that does not become shorter.
static COMPRESSED: LazyLock<HashMap<&str, OnceLock<Option<Vec<u8>>>>> =
    LazyLock::new(|| FILES.iter().chain([&INDEX]).map(|file| (file.path, OnceLock::new())).collect());

/// Returns the file with this path. The document has none.
pub(super) fn get(path: &str) -> Option<&'static File> {
    FILES.binary_search_by(|file| file.path.cmp(path)).ok().and_then(|at| FILES.get(at))
}

/// Returns all files.
#[cfg(test)]
pub(super) fn all() -> &'static [File] {
    FILES
}

// === impl File ===

impl File {
    /// Returns the smallest content that the client accepts.
    pub(super) fn content(&self, headers: &HeaderMap) -> (Encoding, &'static [u8]) {
        let brotli = self.brotli.filter(|_| Encoding::Brotli.is_accepted(headers));
        let gzip = || {
            let accepted = Some(self).filter(|_| brotli.is_none() && Encoding::Gzip.is_accepted(headers))?;
            accepted.gzip.or_else(|| accepted.compressed())
        };
        brotli
            .map(|content| (Encoding::Brotli, content))
            .or_else(|| gzip().map(|content| (Encoding::Gzip, content)))
            .unwrap_or((Encoding::Identity, self.identity))
    }

    /// Returns the content as gzip, which is computed once.
    fn compressed(&self) -> Option<&'static [u8]> {
        let content = COMPRESSED.get(self.path)?.get_or_init(|| gzip(self.identity));
        content.as_deref()
    }
}

/// Returns the content as gzip, if that is shorter.
fn gzip(content: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to a vector cannot fail.
    encoder.write_all(content).ok()?;
    encoder.finish().ok().filter(|compressed| compressed.len() < content.len())
}

// === impl Encoding ===

impl Encoding {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// Returns the end of an entity tag, which differs between the encodings.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => "-gz",
            Self::Brotli => "-br",
        }
    }

    /// Returns whether the client names this encoding, with a weight other than zero.
    fn is_accepted(self, headers: &HeaderMap) -> bool {
        let named = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        named.flat_map(|value| value.split(',')).any(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(self.as_str()));
            let is_refused =
                parts.any(|part| part.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0_f32)));
            is_named && !is_refused
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const FILE: File = File {
        path: "/a.js",
        media_type: "text/javascript",
        digest: "0",
        identity: b"plain",
        gzip: Some(b"gz"),
        brotli: Some(b"br"),
    };

    #[test]
    fn the_smallest_accepted_encoding_is_sent() {
        let plain = File { gzip: None, brotli: None, ..FILE };
        for (accepted, file, expected) in [
            ("", &FILE, Encoding::Identity),
            ("gzip, deflate", &FILE, Encoding::Gzip),
            ("gzip, deflate, br, zstd", &FILE, Encoding::Brotli),
            ("GZIP;q=0.5, br;q=0", &FILE, Encoding::Gzip),
            ("gzip;q=0, br; q=0.000", &FILE, Encoding::Identity),
            ("gzip, br", &plain, Encoding::Identity),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accepted.parse().unwrap());
            assert_eq!(file.content(&headers).0, expected, "{accepted}");
        }
    }

    #[test]
    fn a_file_without_variants_is_compressed_once() {
        let plain = FILES.iter().max_by_key(|file| file.identity.len()).unwrap();
        let plain = File { gzip: None, brotli: None, ..*plain };
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, "gzip, deflate, br".parse().unwrap())]);
        let (encoding, content) = plain.content(&headers);
        assert!(encoding == Encoding::Gzip && content.len() < plain.identity.len() / 2, "{}", content.len());
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(content).read_to_end(&mut text).unwrap();
        assert!(text == plain.identity);
        assert!(std::ptr::eq(plain.content(&headers).1, content), "it is kept");
        assert_eq!(plain.content(&HeaderMap::new()), (Encoding::Identity, plain.identity));
    }

    #[test]
    fn a_file_that_does_not_become_shorter_is_sent_as_it_is() {
        assert_eq!(gzip(b"short"), None);
        assert_eq!(gzip(b""), None);
    }

    #[test]
    fn files_are_found_by_their_path() {
        assert!(FILES.iter().all(|file| get(file.path).is_some_and(|found| found.path == file.path)));
        for path in ["", "/", "/index", "/manifest.json", "/index.html.gz"] {
            assert!(get(path).is_none(), "{path}");
        }
        assert_eq!(INDEX.media_type, "text/html; charset=utf-8");
    }
}
