//! Access checks: the firewall in front of the site, and the site's own login.

use crate::http::Request;

use super::{Endpoint, Turn, trouble};

/// Maximum body size in bytes; the firewall takes a longer body for an attack.
pub(super) const LONGEST: usize = 128 << 10;

/// Returns the answer to a request that is refused, or `None` if it is accepted. `token` is the only accepted token, if
/// set.
pub(super) fn turned_away(endpoint: Endpoint, request: &Request, token: Option<&str>) -> Option<Turn> {
    let browser = request.header("user-agent").is_some_and(|agent| agent.starts_with("Mozilla/"));
    let cookies = request.header("cookie").is_some_and(|cookies| cookies.contains('='));
    let umidtoken = request.header("bx-umidtoken").filter(|token| !token.is_empty());
    // The firewall requires no token for the list of models, but does require a browser with cookies.
    let known = endpoint == Endpoint::Models || umidtoken.is_some();
    if !(browser && cookies && known) || request.body.len() > LONGEST {
        return Some(trouble::waf_page());
    }
    (endpoint != Endpoint::Models && token.is_some() && token != umidtoken).then(|| trouble::status(401))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn request(headers: &[(&str, &str)], body: usize) -> Request {
        Request {
            method: "POST".into(),
            path: "/api/v2/chats/new".into(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            body: Bytes::from(vec![b' '; body]),
            keep_alive: true,
        }
    }

    const AGENT: (&str, &str) = ("user-agent", "Mozilla/5.0 (X11)");
    const COOKIE: (&str, &str) = ("cookie", "token=a; x-ap=b");
    const TOKEN: (&str, &str) = ("bx-umidtoken", "T2gA");

    #[test]
    fn only_a_logged_in_browser_is_accepted() {
        let away = |headers: &[_], body| turned_away(Endpoint::NewChat, &request(headers, body), None);
        assert_eq!(away(&[AGENT, COOKIE, TOKEN], LONGEST), None);
        assert_eq!(away(&[AGENT, COOKIE, TOKEN], LONGEST + 1), Some(trouble::waf_page()));
        for headers in [
            vec![COOKIE, TOKEN],
            vec![AGENT, TOKEN],
            vec![AGENT, COOKIE],
            vec![("user-agent", "curl/8"), COOKIE, TOKEN],
            vec![AGENT, ("cookie", ""), TOKEN],
            vec![AGENT, COOKIE, ("bx-umidtoken", "")],
        ] {
            assert_eq!(away(&headers, 0), Some(trouble::waf_page()), "{headers:?}");
        }
        assert_eq!(turned_away(Endpoint::Models, &request(&[AGENT, COOKIE], 0), None), None);
    }

    #[test]
    fn a_wrong_token_is_rejected() {
        let request = request(&[AGENT, COOKIE, TOKEN], 0);
        assert_eq!(turned_away(Endpoint::Completion, &request, Some("T2gA")), None);
        assert_eq!(turned_away(Endpoint::Completion, &request, Some("new")), Some(trouble::status(401)));
    }
}
