//! From the cookies of a browser, or from a pasted header, to what requests to chat.qwen.ai carry.

#[cfg(any(unix, test))]
use serde::Deserialize;
use signalbox_core::secret::Secret;

use super::token::{self, Claims};

/// Holds the person's token; a visitor may have one, too, but nobody's.
const TOKEN: &str = "token";
/// Wins over the token in the header of that name, as chat.qwen.ai's own page has it.
const UMID: &str = "bx-umidtoken";
/// How long a login is taken to hold where nothing says so: 30 days.
const ASSUMED: i64 = 30 * 24 * 60 * 60;

/// A cookie as the browser tells it, where there is one that we can open.
#[cfg(any(unix, test))]
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Cookie {
    pub(super) name: String,
    pub(super) value: Secret<String>,
    /// With a dot in front, it goes to the hosts below, too.
    pub(super) domain: String,
    /// Unix seconds; -1 for one that ends with the browser.
    #[serde(default)]
    pub(super) expires: f64,
}

/// A login, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) token: Secret<String>,
    /// All cookies as one header.
    pub(super) cookies: Secret<String>,
    /// Unix seconds.
    pub(super) expires_at: i64,
}

/// Why a pasted text is no login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Mistake {
    #[error(
        "nothing was given: copy the value of the `cookie` request header of chat.qwen.ai from the browser's developer tools (Network tab)"
    )]
    Empty,
    #[error("this is no cookie header: it looks like `name=value; name=value`, on one line")]
    NoHeader,
    #[error(
        "the cookies have no `token` of a person: log in at chat.qwen.ai first, then copy the `cookie` request header again"
    )]
    Guest,
    #[error(
        "the login in these cookies has ended: log in at chat.qwen.ai again, then copy the `cookie` request header again"
    )]
    Expired,
}

/// The login in a browser's cookies. `None` until somebody has logged in at `host`: a visitor has cookies, too.
///
/// Taken is what the browser itself would send to `host`.
#[cfg(any(unix, test))]
pub(super) fn login(jar: &[Cookie], host: &str, now: i64) -> Option<Login> {
    let sent: Vec<&Cookie> = jar.iter().filter(|cookie| goes_to(cookie, host)).collect();
    let pairs: Vec<(&str, &str)> =
        sent.iter().map(|cookie| (cookie.name.as_str(), cookie.value.expose().as_str())).collect();
    let ends = sent.iter().filter_map(|cookie| token::seconds(cookie.expires)).max();
    assemble(&pairs, ends, now).ok()
}

/// The login in a pasted header, with or without `Cookie:` in front.
pub(super) fn pasted(text: &str, now: i64) -> Result<Login, Mistake> {
    let text = text.trim();
    let bare = match text.split_at_checked("cookie:".len()) {
        Some((name, value)) if name.eq_ignore_ascii_case("cookie:") => value.trim(),
        _ => text,
    };
    if bare.is_empty() {
        return Err(Mistake::Empty);
    }
    if !bare.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Mistake::NoHeader);
    }
    let pairs = bare.split(';').map(str::trim).filter(|pair| !pair.is_empty());
    let pairs: Option<Vec<(&str, &str)>> = pairs.map(|pair| pair.split_once('=')).collect();
    let pairs = pairs.ok_or(Mistake::NoHeader)?;
    if pairs.iter().any(|(name, _)| name.is_empty() || name.contains(' ')) {
        return Err(Mistake::NoHeader);
    }
    assemble(&pairs, None, now)
}

/// `ends` is when the last cookie does, for tokens that do not say when they do.
fn assemble(pairs: &[(&str, &str)], ends: Option<i64>, now: i64) -> Result<Login, Mistake> {
    let value_of = |name: &str| pairs.iter().find(|(known, value)| *known == name && !value.is_empty());
    let (_, token) = value_of(TOKEN).ok_or(Mistake::Guest)?;
    let claims = token::claims(token).filter(|claims| claims.is_user).ok_or(Mistake::Guest)?;
    let sent = value_of(UMID).map_or(*token, |(_, umid)| umid);
    let expires_at = expiry(claims, ends, now);
    if expires_at <= now {
        return Err(Mistake::Expired);
    }
    let header: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(Login { token: Secret::new(sent.to_owned()), cookies: Secret::new(header.join("; ")), expires_at })
}

/// The token knows best. It is always the person's: whatever is sent in its place says nothing about the login.
fn expiry(claims: Claims, ends: Option<i64>, now: i64) -> i64 {
    claims.expires_at.or(ends).unwrap_or(now + ASSUMED)
}

/// Whether a browser sends this cookie to `host`.
#[cfg(any(unix, test))]
fn goes_to(cookie: &Cookie, host: &str) -> bool {
    match cookie.domain.strip_prefix('.') {
        Some(domain) => {
            host.eq_ignore_ascii_case(domain)
                || host.len() > domain.len()
                    && host.to_ascii_lowercase().ends_with(&format!(".{}", domain.to_ascii_lowercase()))
        }
        None => host.eq_ignore_ascii_case(&cookie.domain),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::token::tests::token;
    use super::*;

    const NOW: i64 = 1_700_000_000;
    const HOST: &str = "chat.qwen.ai";

    fn cookie(name: &str, value: &str, domain: &str, expires: f64) -> Cookie {
        Cookie { name: name.into(), value: Secret::new(value.into()), domain: domain.into(), expires }
    }

    fn users(exp: Option<i64>) -> String {
        token(&json!({"id": "u-1", "exp": exp}))
    }

    #[test]
    fn a_visitor_has_not_logged_in() {
        let guest = token(&json!({"id": "g-1", "role": "guest", "exp": NOW + 1000}));
        for value in ["", "abc", &guest, &users(Some(NOW))] {
            let jar = [cookie("aui", "x", ".qwen.ai", -1.0), cookie("token", value, HOST, -1.0)];
            assert_eq!(login(&jar, HOST, NOW), None, "{value}");
        }
        assert_eq!(login(&[cookie("bx-umidtoken", "T2gA", ".qwen.ai", -1.0)], HOST, NOW), None);
        assert_eq!(login(&[], HOST, NOW), None);
    }

    #[test]
    fn the_login_holds_until_the_token_ends_else_the_last_cookie_else_thirty_days() {
        let far = f64::from(i32::MAX);
        for (exp, ends, expires_at) in [
            (Some(NOW + 5), far, NOW + 5),
            (None, far, i64::from(i32::MAX)),
            (None, -1.0, NOW + ASSUMED),
            (None, 0.0, NOW + ASSUMED),
        ] {
            let jar = [cookie("token", &users(exp), HOST, -1.0), cookie("aui", "x", ".qwen.ai", ends)];
            assert_eq!(login(&jar, HOST, NOW).unwrap().expires_at, expires_at, "{exp:?} {ends}");
        }
    }

    #[test]
    fn the_umid_token_goes_first_and_does_not_say_when_the_login_ends() {
        let jar = [
            cookie("bx-umidtoken", "T2gA", ".qwen.ai", f64::from(i32::MAX)),
            cookie("token", &users(Some(NOW + 5)), HOST, -1.0),
        ];
        let login = login(&jar, HOST, NOW).unwrap();
        assert_eq!((login.token.expose().as_str(), login.expires_at), ("T2gA", NOW + 5));
    }

    #[test]
    fn what_the_browser_would_send_is_taken_in_its_order() {
        let users = users(None);
        let jar = [
            cookie("a", "1", ".qwen.ai", -1.0),
            cookie("token", &users, "chat.qwen.ai", -1.0),
            cookie("other", "x", "passport.qwen.ai", -1.0),
            cookie("evil", "x", ".notqwen.ai", -1.0),
            cookie("parent", "x", "qwen.ai", -1.0),
            cookie("b", "2=3", ".CHAT.qwen.ai", -1.0),
        ];
        assert_eq!(login(&jar, HOST, NOW).unwrap().cookies.expose(), &format!("a=1; token={users}; b=2=3"));
    }

    #[test]
    fn a_header_may_be_pasted_as_it_is_copied() {
        let users = users(Some(NOW + 5));
        let header = format!("aui=x; token={users}; empty=");
        for text in
            [header.clone(), format!("Cookie: {header}"), format!("  cookie:{header}\r\n"), format!("{header};")]
        {
            let login = pasted(&text, NOW).unwrap();
            assert_eq!((login.cookies.expose(), login.token.expose()), (&header, &users), "{text}");
            assert_eq!(login.expires_at, NOW + 5);
        }
    }

    #[test]
    fn what_is_no_login_says_what_to_do() {
        let (users, old) = (users(Some(NOW + 5)), users(Some(NOW - 5)));
        for (text, mistake) in [
            (String::new(), Mistake::Empty),
            ("cookie: ".to_owned(), Mistake::Empty),
            (users.clone(), Mistake::NoHeader),
            (format!("a=1; {users}"), Mistake::NoHeader),
            (format!("=1; token={users}"), Mistake::NoHeader),
            (format!("a b=1; token={users}"), Mistake::NoHeader),
            (format!("a=1\ntoken={users}"), Mistake::NoHeader),
            (format!("a=\u{e9}; token={users}"), Mistake::NoHeader),
            ("a=1; b=2".to_owned(), Mistake::Guest),
            ("token=; b=2".to_owned(), Mistake::Guest),
            (format!("token={old}"), Mistake::Expired),
        ] {
            assert_eq!(pasted(&text, NOW), Err(mistake), "{text}");
        }
    }

    #[test]
    fn nothing_of_it_can_be_printed() {
        let jar = [cookie("token", &users(None), HOST, -1.0)];
        let shown = format!("{jar:?} {:?}", login(&jar, HOST, NOW));
        assert!(!shown.contains("eyJ"), "{shown}");
    }

    proptest! {
        #[test]
        fn i18_anything_can_be_pasted(text in any::<String>(), name in "[!-~]{0,9}", value in "[ -~]{0,40}") {
            let person = token(&json!({"id": "u", "exp": NOW + 60}));
            for text in [text, format!("cookie: token={value}"), format!("token={person}; {name}={value}")] {
                if let Ok(login) = pasted(&text, NOW) {
                    prop_assert!(http::HeaderValue::from_str(login.cookies.expose()).is_ok(), "{text}");
                    prop_assert!(http::HeaderValue::from_str(login.token.expose()).is_ok(), "{text}");
                }
            }
        }
    }
}
