//! The files of the console, by path.

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
        let variants = [(Encoding::Brotli, self.brotli), (Encoding::Gzip, self.gzip)];
        variants
            .into_iter()
            .find_map(|(encoding, content)| {
                content.filter(|_| encoding.is_accepted(headers)).map(|found| (encoding, found))
            })
            .unwrap_or((Encoding::Identity, self.identity))
    }
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
    fn files_are_found_by_their_path() {
        assert!(FILES.iter().all(|file| get(file.path).is_some_and(|found| found.path == file.path)));
        for path in ["", "/", "/index", "/manifest.json", "/index.html.gz"] {
            assert!(get(path).is_none(), "{path}");
        }
        assert_eq!(INDEX.media_type, "text/html; charset=utf-8");
    }
}
