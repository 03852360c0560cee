//! Who we are at chat.qwen.ai.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use signalbox_core::secret::{MASK, Secret};

const TOKEN: HeaderName = HeaderName::from_static("bx-umidtoken");

/// The headers of a login, and where they come from.
#[derive(Clone, Debug)]
pub struct Login {
    /// Where it comes from.
    pub source: Source,
    token: Secret<String>,
    cookies: Secret<String>,
}

/// Where a login comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The database: the row's number, and whether it is known to have failed the last time.
    Stored {
        /// The row.
        id: i64,
        /// Its last use failed.
        failed: bool,
    },
    /// The configuration or the environment.
    Configured,
    /// Nobody has logged in.
    Guest,
}

// === impl Login ===

impl Login {
    /// A login of these values; an empty one is not sent.
    #[must_use]
    pub const fn new(source: Source, token: Secret<String>, cookies: Secret<String>) -> Self {
        Self { source, token, cookies }
    }

    /// Adds the headers. A value that no header can carry is left out; the site will say that something is missing.
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

    /// The text without any part of the login: sites repeat in their errors what they were sent.
    #[must_use]
    pub fn scrub(&self, text: String) -> String {
        let cookies = self.cookies.expose().split(';').filter_map(|cookie| cookie.split_once('='));
        let values =
            cookies.map(|(_, value)| value.trim()).chain([self.cookies.expose().trim(), self.token.expose().trim()]);
        // A value of a few characters is no secret, and its letters occur everywhere.
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
    fn only_what_there_is_is_sent() {
        let mut headers = HeaderMap::new();
        login(" t ", "a=1; b=2\n").add_to(&mut headers);
        assert!(headers["bx-umidtoken"] == "t" && headers["cookie"] == "a=1; b=2");
        assert!(!format!("{headers:?}").contains("a=1"));
        let mut headers = HeaderMap::new();
        login("", "a\nb").add_to(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn no_part_of_it_is_repeated() {
        let login = login("canary-token", "x=1; token=canary-cookie");
        let said = login.scrub("bad canary-token in x=1; token=canary-cookie, canary-cookie".into());
        assert!(!said.contains("canary") && said.contains("bad ***MASKED***"), "{said}");
        assert!(!format!("{login:?}").contains("canary"));
    }
}
