//! Conversion of browser cookies, or of a pasted header, to a login for requests to chat.qwen.ai.

#[cfg(any(unix, test))]
use serde::Deserialize;
use signalbox_core::secret::Secret;

use super::token::{self, Claims};

/// Cookie with the user's token. Visitors may have such a cookie too, with a guest token.
const TOKEN: &str = "token";
/// Cookie whose value takes precedence over the token in the header of the same name, as on chat.qwen.ai's own page.
const UMID: &str = "bx-umidtoken";
/// Assumed lifetime in seconds of a login without an expiry: 30 days.
const ASSUMED_LIFETIME_S: i64 = 30 * 24 * 60 * 60;

/// A cookie as reported by the browser.
#[cfg(any(unix, test))]
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Cookie {
    pub(super) name: String,
    pub(super) value: Secret<String>,
    /// With a leading dot, the cookie is also sent to subdomains.
    pub(super) domain: String,
    /// Expiry in Unix seconds; -1 for a session cookie.
    #[serde(default)]
    pub(super) expires: f64,
}

/// A login ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) token: Secret<String>,
    /// All cookies in the format of the header.
    pub(super) cookies: Secret<String>,
    /// Expiry in Unix seconds.
    pub(super) expires_at: i64,
}

/// Reason why a pasted text is not a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PasteError {
    #[error(
        "no input was given; copy the value of the `cookie` request header of chat.qwen.ai from the browser's \
         developer tools (Network tab)"
    )]
    Empty,
    #[error("the input is not a cookie header, which has the form `name=value; name=value` on one line")]
    NoHeader,
    #[error(
        "the cookies contain no `token` of a user; log in at chat.qwen.ai, then copy the `cookie` request header again"
    )]
    Guest,
    #[error(
        "the login in these cookies has expired; log in at chat.qwen.ai again, then copy the `cookie` request header \
         again"
    )]
    Expired,
}

/// Extracts the login from a browser's cookies. Returns `None` until a user has logged in at `host`; visitors have
/// cookies too.
///
/// The result contains the cookies that the browser itself would send to `host`.
#[cfg(any(unix, test))]
pub(super) fn login(jar: &[Cookie], host: &str, now: i64) -> Option<Login> {
    let sent: Vec<&Cookie> = jar.iter().filter(|cookie| goes_to(cookie, host)).collect();
    let pairs: Vec<(&str, &str)> =
        sent.iter().map(|cookie| (cookie.name.as_str(), cookie.value.expose().as_str())).collect();
    let ends = sent.iter().filter_map(|cookie| token::seconds(cookie.expires)).max();
    assemble(&pairs, ends, now).ok()
}

/// Parses a pasted header, with or without the leading `Cookie:`.
pub(super) fn pasted(text: &str, now: i64) -> Result<Login, PasteError> {
    let text = text.trim();
    let bare = match text.split_at_checked("cookie:".len()) {
        Some((name, value)) if name.eq_ignore_ascii_case("cookie:") => value.trim(),
        _ => text,
    };
    if bare.is_empty() {
        return Err(PasteError::Empty);
    }
    if !bare.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(PasteError::NoHeader);
    }
    let pairs = bare.split(';').map(str::trim).filter(|pair| !pair.is_empty());
    let pairs: Option<Vec<(&str, &str)>> = pairs.map(|pair| pair.split_once('=')).collect();
    let pairs = pairs.ok_or(PasteError::NoHeader)?;
    if pairs.iter().any(|(name, _)| name.is_empty() || name.contains(' ')) {
        return Err(PasteError::NoHeader);
    }
    assemble(&pairs, None, now)
}

/// Builds a login. `ends` is the latest expiry of the cookies, used for tokens without one.
fn assemble(pairs: &[(&str, &str)], ends: Option<i64>, now: i64) -> Result<Login, PasteError> {
    let value_of = |name: &str| pairs.iter().find(|(known, value)| *known == name && !value.is_empty());
    let (_, token) = value_of(TOKEN).ok_or(PasteError::Guest)?;
    let claims = token::claims(token).filter(|claims| claims.is_user).ok_or(PasteError::Guest)?;
    let sent = value_of(UMID).map_or(*token, |(_, umid)| umid);
    let expires_at = expiry(claims, ends, now);
    if expires_at <= now {
        return Err(PasteError::Expired);
    }
    let header: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(Login { token: Secret::new(sent.to_owned()), cookies: Secret::new(header.join("; ")), expires_at })
}

/// Returns the expiry of the login: that of the user's token, if it has one. The token sent in its place
/// (`bx-umidtoken`) says nothing about the login.
fn expiry(claims: Claims, ends: Option<i64>, now: i64) -> i64 {
    claims.expires_at.or(ends).unwrap_or(now + ASSUMED_LIFETIME_S)
}

/// Returns `true` if a browser sends this cookie to `host`.
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
    fn visitor_cookies_are_no_login() {
        let guest = token(&json!({"id": "g-1", "role": "guest", "exp": NOW + 1000}));
        for value in ["", "abc", &guest, &users(Some(NOW))] {
            let jar = [cookie("aui", "x", ".qwen.ai", -1.0), cookie("token", value, HOST, -1.0)];
            assert_eq!(login(&jar, HOST, NOW), None, "{value}");
        }
        assert_eq!(login(&[cookie("bx-umidtoken", "T2gA", ".qwen.ai", -1.0)], HOST, NOW), None);
        assert_eq!(login(&[], HOST, NOW), None);
    }

    #[test]
    fn a_login_expires_with_its_token_or_last_cookie_or_after_thirty_days() {
        let far = f64::from(i32::MAX);
        for (exp, ends, expires_at) in [
            (Some(NOW + 5), far, NOW + 5),
            (None, far, i64::from(i32::MAX)),
            (None, -1.0, NOW + ASSUMED_LIFETIME_S),
            (None, 0.0, NOW + ASSUMED_LIFETIME_S),
        ] {
            let jar = [cookie("token", &users(exp), HOST, -1.0), cookie("aui", "x", ".qwen.ai", ends)];
            assert_eq!(login(&jar, HOST, NOW).unwrap().expires_at, expires_at, "{exp:?} {ends}");
        }
    }

    #[test]
    fn the_umid_token_is_first_and_does_not_set_the_expiry() {
        let jar = [
            cookie("bx-umidtoken", "T2gA", ".qwen.ai", f64::from(i32::MAX)),
            cookie("token", &users(Some(NOW + 5)), HOST, -1.0),
        ];
        let login = login(&jar, HOST, NOW).unwrap();
        assert_eq!((login.token.expose().as_str(), login.expires_at), ("T2gA", NOW + 5));
    }

    #[test]
    fn cookies_are_taken_in_the_order_of_the_browser() {
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
    fn a_pasted_header_may_contain_its_name() {
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
    fn an_invalid_login_is_rejected_with_a_hint() {
        let (users, old) = (users(Some(NOW + 5)), users(Some(NOW - 5)));
        for (text, mistake) in [
            (String::new(), PasteError::Empty),
            ("cookie: ".to_owned(), PasteError::Empty),
            (users.clone(), PasteError::NoHeader),
            (format!("a=1; {users}"), PasteError::NoHeader),
            (format!("=1; token={users}"), PasteError::NoHeader),
            (format!("a b=1; token={users}"), PasteError::NoHeader),
            (format!("a=1\ntoken={users}"), PasteError::NoHeader),
            (format!("a=\u{e9}; token={users}"), PasteError::NoHeader),
            ("a=1; b=2".to_owned(), PasteError::Guest),
            ("token=; b=2".to_owned(), PasteError::Guest),
            (format!("token={old}"), PasteError::Expired),
        ] {
            assert_eq!(pasted(&text, NOW), Err(mistake), "{text}");
        }
    }

    #[test]
    fn debug_output_hides_the_login() {
        let jar = [cookie("token", &users(None), HOST, -1.0)];
        let shown = format!("{jar:?} {:?}", login(&jar, HOST, NOW));
        assert!(!shown.contains("eyJ"), "{shown}");
    }

    proptest! {
        #[test]
        fn i18_any_pasted_text_is_handled(text in any::<String>(), name in "[!-~]{0,9}", value in "[ -~]{0,40}") {
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
