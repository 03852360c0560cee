//! The authentication of requests to chat.qwen.ai.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use signalbox_core::secret::{MASK, Secret};

const TOKEN: HeaderName = HeaderName::from_static("bx-umidtoken");

/// Authentication headers of a login, with their source.
#[derive(Clone, Debug)]
pub struct Login {
    /// Source of the login.
    pub source: Source,
    token: Secret<String>,
    cookies: Secret<String>,
}

/// Source of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A row of the database.
    Stored {
        /// Id of the row.
        id: i64,
        /// Whether its last use failed.
        failed: bool,
    },
    /// The configuration or the environment.
    Configured,
    /// No login: guest access.
    Guest,
}

// === impl Login ===

impl Login {
    /// Creates a login from these values; an empty one is not sent.
    #[must_use]
    pub const fn new(source: Source, token: Secret<String>, cookies: Secret<String>) -> Self {
        Self { source, token, cookies }
    }

    /// Adds the headers. A value that is not valid in a header is omitted; the site then reports a missing login.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        for (name, value) in [(TOKEN, &self.token), (header::COOKIE, &self.cookies)] {
            let value = value.expose().trim();
            if let Ok(mut value) = HeaderValue::from_str(value)
                && !value.is_empty()
            {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
    }

    /// Masks all parts of the login in a text, because the site may quote a request in its errors.
    #[must_use]
    pub fn scrub(&self, text: String) -> String {
        let cookies = self.cookies.expose().split(';').filter_map(|cookie| cookie.split_once('='));
        let values =
            cookies.map(|(_, value)| value.trim()).chain([self.cookies.expose().trim(), self.token.expose().trim()]);
        // Values shorter than 8 bytes are not secret, and would match everywhere.
        values.filter(|value| value.len() >= 8).fold(text, |text, value| match text.contains(value) {
            true => text.replace(value, MASK),
            false => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(token: &str, cookies: &str) -> Login {
        Login::new(Source::Configured, Secret::new(token.into()), Secret::new(cookies.into()))
    }

    #[test]
    fn only_present_credentials_are_sent() {
        let mut headers = HeaderMap::new();
        login(" t ", "a=1; b=2\n").add_to(&mut headers);
        assert!(headers["bx-umidtoken"] == "t" && headers["cookie"] == "a=1; b=2");
        assert!(!format!("{headers:?}").contains("a=1"));
        let mut headers = HeaderMap::new();
        login("", "a\nb").add_to(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn no_part_of_the_login_is_repeated() {
        let login = login("canary-token", "x=1; token=canary-cookie");
        let said = login.scrub("bad canary-token in x=1; token=canary-cookie, canary-cookie".into());
        assert!(!said.contains("canary") && said.contains("bad ***MASKED***"), "{said}");
        assert!(!format!("{login:?}").contains("canary"));
    }
}
