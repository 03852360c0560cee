//! Polling of the cookies of an open browser window until they contain a login.

use std::collections::BTreeSet;
use std::time::Duration;

use signalbox_daemon::Exit;
use tokio::time::{MissedTickBehavior, interval};

use super::browser::{Browser, BrowserError};
use super::cookies::{self, Cookie, Login};

/// Polling interval.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum polls after a login while the page continues to set cookies; then the present cookies are used.
const MAX_SETTLING_POLLS: u32 = 10;

/// Waits for a login at `host`, and then until no further cookies are set.
pub(super) async fn watch(browser: &mut Browser, host: &str) -> Result<Login, Exit> {
    let mut polls = interval(POLL_INTERVAL);
    polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut opened = false;
    let mut watched = Settling::default();
    loop {
        polls.tick().await;
        match poll_browser(browser).await {
            Ok((0, _)) if opened => return Err(closed()),
            Ok((pages, jar)) => {
                opened |= pages > 0;
                if let Some(login) = watched.settled(cookies::login(&jar, host, super::now()), &jar) {
                    return Ok(login);
                }
            }
            // On most systems, closing the last window ends the browser.
            Err(BrowserError::Ended { .. }) if opened => return Err(closed()),
            Err(failure) => return Err(Exit::CannotOpen(failure.to_string())),
        }
    }
}

async fn poll_browser(browser: &mut Browser) -> Result<(usize, Vec<Cookie>), BrowserError> {
    Ok((browser.pages().await?, browser.cookies().await?))
}

fn closed() -> Exit {
    Exit::Temporary(
        "the window was closed before the login was completed; run this command again, or use --paste if the page \
         rejects this window"
            .to_owned(),
    )
}

/// Detector of two consecutive polls with the same cookies.
#[derive(Debug, Default)]
struct Settling {
    names: BTreeSet<String>,
    polls: u32,
}

// === impl Settling ===

impl Settling {
    fn settled(&mut self, login: Option<Login>, jar: &[Cookie]) -> Option<Login> {
        let Some(login) = login else {
            self.polls = 0;
            return None;
        };
        let names: BTreeSet<String> = jar.iter().map(|cookie| cookie.name.clone()).collect();
        let same = self.polls > 0 && names == self.names;
        self.names = names;
        self.polls += 1;
        (same || self.polls > MAX_SETTLING_POLLS).then_some(login)
    }
}

#[cfg(test)]
mod tests {
    use signalbox_core::secret::Secret;

    use super::*;

    fn jar(names: &[&str]) -> Vec<Cookie> {
        let cookie = |name: &&str| Cookie {
            name: (*name).to_owned(),
            value: Secret::new(String::new()),
            domain: String::new(),
            expires: -1.0,
        };
        names.iter().map(cookie).collect()
    }

    fn login() -> Option<Login> {
        Some(Login { token: Secret::new("t".into()), cookies: Secret::new("c".into()), expires_at: 1 })
    }

    #[test]
    fn a_login_is_accepted_once_cookies_stop_changing() {
        let mut settling = Settling::default();
        assert!(settling.settled(None, &jar(&["a"])).is_none());
        assert!(settling.settled(None, &jar(&["a"])).is_none(), "a visitor's cookies stop changing as well");
        assert!(settling.settled(login(), &jar(&["a", "token"])).is_none());
        assert!(settling.settled(login(), &jar(&["a", "b", "token"])).is_none());
        assert!(settling.settled(None, &jar(&["a", "b"])).is_none(), "logged out again");
        assert!(settling.settled(login(), &jar(&["a", "b", "token"])).is_none());
        assert!(settling.settled(login(), &jar(&["a", "b", "token"])).is_some());
    }

    #[test]
    fn changing_cookies_are_accepted_after_a_timeout() {
        let mut settling = Settling::default();
        let polls = (0..100).take_while(|n| settling.settled(login(), &jar(&[&n.to_string()])).is_none()).count();
        assert_eq!(polls, 10);
    }
}
