//! The path below which a reverse proxy shows the console.
//!
//! The proxy removes the path from requests, and names it in `X-Forwarded-Prefix`. Only the document needs it: every
//! other file of the console names its neighbours relatively, and the program derives the path from its own address.

use http::HeaderMap;

/// Name of the header.
pub(super) const HEADER: &str = "x-forwarded-prefix";

/// Maximum bytes of a path.
const MAX: usize = 256;

/// Path such as `/signalbox`; empty at the root.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Prefix(String);

/// The header is not one path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

// === impl Prefix ===

impl Prefix {
    /// Reads the header; a request without it is for the root.
    ///
    /// # Errors
    /// Fails if there are several values, or one that is not an absolute path of letters, digits, `.`, `_`, `~` and
    /// `-`: it becomes a part of the document.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Malformed> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(Self::default()) };
        if values.next().is_some() {
            return Err(Malformed);
        }
        let path = value.to_str().map_err(|_| Malformed)?.trim();
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return Ok(Self::default());
        }
        let rest = path.strip_prefix('/').ok_or(Malformed)?;
        if path.len() > MAX || !rest.split('/').all(is_segment) {
            return Err(Malformed);
        }
        Ok(Self(path.to_owned()))
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a document whose links begin below this path.
    pub(super) fn applied_to(&self, document: &str) -> String {
        ["src=\"/", "href=\"/"].into_iter().fold(document.to_owned(), |text, attribute| {
            let (name, _) = attribute.split_at(attribute.len() - 1);
            text.replace(attribute, &format!("{name}{}/", self.0))
        })
    }
}

fn is_segment(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-');
    !matches!(text, "" | "." | "..") && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&str]) -> Result<String, Malformed> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, value.parse().unwrap());
        }
        Prefix::of(&headers).map(|prefix| prefix.as_str().to_owned())
    }

    #[test]
    fn one_plain_path_is_accepted() {
        for (value, path) in [
            ("", ""),
            ("/", ""),
            (" /signalbox ", "/signalbox"),
            ("/signalbox/", "/signalbox"),
            ("/tools/signal_box-2.0~a", "/tools/signal_box-2.0~a"),
        ] {
            assert_eq!(read(&[value]).as_deref(), Ok(path), "{value}");
        }
        assert_eq!(read(&[]).as_deref(), Ok(""));
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("/{}", "a".repeat(MAX));
        for value in [
            "signalbox",
            "//other.example",
            "/a//b",
            "/a/../b",
            "/.",
            "/a, /b",
            "/a\"><script>",
            "/a b",
            "/%2e%2e",
            "https://other.example/",
            "/é",
            &long,
        ] {
            assert_eq!(read(&[value]), Err(Malformed), "{value}");
        }
        assert_eq!(read(&["/a", "/b"]), Err(Malformed));
    }

    #[test]
    fn the_links_of_a_document_begin_below_it() {
        let document = r#"<link href="/favicon.svg"><script src="/assets/a.js"></script><a href="https://x/">"#;
        assert_eq!(
            Prefix("/a/b".to_owned()).applied_to(document),
            r#"<link href="/a/b/favicon.svg"><script src="/a/b/assets/a.js"></script><a href="https://x/">"#
        );
        assert_eq!(Prefix::default().applied_to(document), document);
    }
}
