//! Signed-in browsers: an opaque id in a cookie stands for the control token.
//!
//! The page never keeps the token, and scripts cannot read the cookie. Browsers take all ports of a host for one site, so
//! that pages of other programs on this machine send the cookie, too: it counts only in requests of the own pages. The ids are kept as digests, in memory only: a
//! restart of api-server ends all sessions.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Name of the cookie.
const COOKIE: &str = "signalbox_session";
/// Time after which a session ends.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);
/// Maximum sessions at a time; the oldest ends first.
const MAX_SESSIONS: usize = 256;
/// Bytes of an id.
const ID_BYTES: usize = 32;

/// Open sessions. Clones share them.
#[derive(Clone, Debug)]
pub struct Sessions {
    /// When each session ends, by the digest of its id.
    ends: Arc<Mutex<HashMap<Vec<u8>, Instant>>>,
    /// Woken when sessions end early.
    ended: Arc<Notify>,
    /// Whether browsers reach this server only through TLS.
    secure: bool,
}

// === impl Sessions ===

impl Sessions {
    /// Creates an empty set. If `secure`, cookies are sent through TLS only.
    #[must_use]
    pub fn new(secure: bool) -> Self {
        Self { ends: Arc::default(), ended: Arc::default(), secure }
    }

    /// Returns whether browsers reach this server only through TLS.
    pub(crate) const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Opens a session, and returns the value of `Set-Cookie`; `None` if the system has no random numbers.
    pub(crate) fn open(&self) -> Option<HeaderValue> {
        let mut id = [0; ID_BYTES];
        SystemRandom::new().fill(&mut id).ok()?;
        let id = hex::encode(id);
        let now = Instant::now();
        self.with(|ends| {
            ends.retain(|_, end| *end > now);
            while ends.len() >= MAX_SESSIONS {
                let oldest = ends.iter().min_by_key(|(_, end)| **end).map(|(id, _)| id.clone());
                ends.remove(&oldest.unwrap_or_default());
            }
            ends.insert(digest_of(&id), now + LIFETIME);
        });
        self.ended.notify_waiters();
        self.cookie(&id, LIFETIME)
    }

    /// Returns whether the headers carry an open session, and are of a page of this server.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        is_of_own_page(headers) && self.end_of(headers).is_some()
    }

    /// Waits until no session in the headers is open.
    pub(crate) async fn ended(&self, headers: &HeaderMap) {
        loop {
            let mut changed = pin!(self.ended.notified());
            // Registered before the look, so that no end in between is missed.
            changed.as_mut().enable();
            let Some(end) = self.end_of(headers) else { return };
            tokio::select! {
                () = changed => {}
                () = sleep_until(end) => {}
            }
        }
    }

    /// Returns when the session in the headers ends; `None` if none is open.
    fn end_of(&self, headers: &HeaderMap) -> Option<Instant> {
        let now = Instant::now();
        let ids = presented(headers);
        self.with(|ends| ids.filter_map(|id| ends.get(&digest_of(id)).copied()).filter(|end| *end > now).max())
    }

    /// Ends the sessions in the headers, and returns the value of `Set-Cookie` that removes the cookie.
    pub(crate) fn close(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        self.with(|ends| {
            for id in presented(headers) {
                ends.remove(&digest_of(id));
            }
        });
        self.ended.notify_waiters();
        self.cookie("", Duration::ZERO)
    }

    fn cookie(&self, id: &str, lifetime: Duration) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let age = lifetime.as_secs();
        let text = format!("{COOKIE}={id}; HttpOnly; SameSite=Strict; Path=/; Max-Age={age}{secure}");
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Vec<u8>, Instant>) -> T) -> T {
        // Every step leaves the map valid.
        work(&mut self.ends.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns whether a request comes from a page of this server, or from no page.
fn is_of_own_page(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = |origin| signalbox_daemon::is_own_origin(origin, headers);
    // A page of another port may leave out the origin, but not the site.
    text("origin").is_none_or(is_own)
        && text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"))
}

/// Returns the ids in the cookies of a request.
fn presented(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
        .filter(|id| id.len() == 2 * ID_BYTES)
}

fn digest_of(id: &str) -> Vec<u8> {
    digest(&SHA256, id.as_bytes()).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_counts_only_on_own_pages() {
        let sessions = Sessions::new(false);
        let cookie = sessions.open().unwrap();
        for (name, value, is_admitted) in [
            ("origin", "http://localhost:3002", true),
            ("origin", "https://localhost:3002", true),
            ("origin", "http://localhost:9999", false),
            ("origin", "http://127.0.0.1:3002", false),
            ("origin", "null", false),
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
        ] {
            let mut headers = carrying(&cookie);
            headers.insert("host", HeaderValue::from_static("localhost:3002"));
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(sessions.admits(&headers), is_admitted, "{name}: {value}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_session_is_awaited() {
        let sessions = Sessions::new(false);
        let (first, second) = (carrying(&sessions.open().unwrap()), carrying(&sessions.open().unwrap()));
        let began = Instant::now();
        tokio::join!(sessions.ended(&first), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            sessions.close(&first);
        });
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        sessions.ended(&second).await;
        assert_eq!(began.elapsed(), LIFETIME);
        sessions.ended(&HeaderMap::new()).await;
    }

    /// Returns headers that carry the cookie back.
    fn carrying(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("theme=dark; {pair}").parse().unwrap());
        headers
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_twelve_hours() {
        let sessions = Sessions::new(false);
        let headers = carrying(&sessions.open().unwrap());
        assert!(sessions.admits(&headers) && sessions.clone().admits(&headers));
        tokio::time::advance(LIFETIME - Duration::from_secs(1)).await;
        assert!(sessions.admits(&headers));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!sessions.admits(&headers));
    }

    #[tokio::test]
    async fn signing_out_ends_this_session_only() {
        let sessions = Sessions::new(false);
        let (mine, other) = (carrying(&sessions.open().unwrap()), carrying(&sessions.open().unwrap()));
        let removed = sessions.close(&mine).unwrap();
        assert!(
            removed.to_str().unwrap().contains("signalbox_session=; ")
                && removed.to_str().unwrap().contains("Max-Age=0")
        );
        assert!(!sessions.admits(&mine) && sessions.admits(&other));
    }

    #[tokio::test]
    async fn scripts_cannot_read_the_cookie_and_other_sites_do_not_send_it() {
        for (secure, ending) in [(false, "Max-Age=43200"), (true, "; Secure")] {
            let cookie = Sessions::new(secure).open().unwrap();
            let text = cookie.to_str().unwrap();
            assert!(text.contains("; HttpOnly; SameSite=Strict; Path=/") && text.ends_with(ending), "{text}");
            assert!(cookie.is_sensitive());
        }
    }

    #[tokio::test]
    async fn made_up_ids_are_refused() {
        let sessions = Sessions::new(false);
        sessions.open().unwrap();
        for cookie in
            ["", "signalbox_session=", "signalbox_session=00", &format!("signalbox_session={}", "0".repeat(64))]
        {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, cookie.parse().unwrap());
            assert!(!sessions.admits(&headers), "{cookie}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_sessions_is_bounded() {
        let sessions = Sessions::new(false);
        let first = carrying(&sessions.open().unwrap());
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..MAX_SESSIONS {
            sessions.open().unwrap();
        }
        assert!(!sessions.admits(&first));
        assert_eq!(sessions.with(|ends| ends.len()), MAX_SESSIONS);
    }
}
