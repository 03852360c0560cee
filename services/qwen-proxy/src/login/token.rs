//! The token of chat.qwen.ai, a JSON Web Token. Only its claims are read; the signature is not verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// Claims of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// Expiry in Unix seconds, if specified.
    pub(super) expires_at: Option<i64>,
    /// Whether it belongs to a logged-in user rather than a guest.
    pub(super) is_user: bool,
}

/// Decodes a token; `None` if the text is not a JSON Web Token.
pub(super) fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    // Some issuers add padding, although the standard forbids it.
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let payload: Value = serde_json::from_slice(&payload).ok().filter(Value::is_object)?;
    let is_somebody = [&payload["id"], &payload["sub"]].into_iter().any(identifies_user);
    let is_guest = payload["role"].as_str().is_some_and(|role| role.eq_ignore_ascii_case("guest"));
    let expires = match &payload["exp"] {
        Value::Null => None,
        Value::String(text) => Some(text.trim().parse().ok()?),
        number => Some(number.as_f64()?),
    };
    Some(Claims { expires_at: expires.and_then(seconds), is_user: is_somebody && !is_guest })
}

fn identifies_user(id: &Value) -> bool {
    match id {
        Value::String(id) => !id.trim().is_empty(),
        Value::Number(_) => true,
        _ => false,
    }
}

/// Converts to whole seconds; `None` outside the range of calendar dates, which indicates an invalid value.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
pub(super) fn seconds(seconds: f64) -> Option<i64> {
    /// The end of the year 9999.
    const MAX_UNIX_SECONDS: f64 = 253_402_300_799.0;
    (1.0..=MAX_UNIX_SECONDS).contains(&seconds).then_some(seconds as i64)
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// Returns a token with this payload and a dummy signature.
    pub(crate) fn token(payload: &Value) -> String {
        format!("eyJhbGciOiJIUzI1NiJ9.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(payload.to_string()))
    }

    #[test]
    fn a_token_contains_the_user_and_the_expiry() {
        for (payload, expires_at, is_user) in [
            (json!({"id": "u-1", "exp": 1_800_000_000, "last_password_change": 1}), Some(1_800_000_000), true),
            (json!({"sub": "u-1", "exp": 1_800_000_000.9}), Some(1_800_000_000), true),
            (json!({"id": 7}), None, true),
            (json!({"id": 7, "role": 3, "exp": "1800000000"}), Some(1_800_000_000), true),
            (json!({"id": "u-1", "role": "Guest"}), None, false),
            (json!({"id": " "}), None, false),
            (json!({"id": null, "exp": 0}), None, false),
            (json!({"id": "u-1", "exp": 1.0e300}), None, true),
            (json!({"id": "u-1", "exp": -5}), None, true),
        ] {
            assert_eq!(claims(&token(&payload)), Some(Claims { expires_at, is_user }), "{payload}");
        }
    }

    #[test]
    fn the_payload_is_base64url_with_or_without_padding() {
        // `??>` and `~~~` are encoded with `-` and `_` in this alphabet.
        let payload = json!({"id": "??>~~~??>", "exp": 1_800_000_000});
        let bare = token(&payload);
        assert!(bare.contains(['-', '_']), "{bare}");
        let (head, rest) = bare.split_once('.').unwrap();
        let (body, signature) = rest.split_once('.').unwrap();
        assert!(claims(&bare).is_some());
        assert_eq!(claims(&format!("{head}.{body}==.{signature}")), claims(&bare));
    }

    #[test]
    fn a_malformed_token_is_none() {
        for text in ["", "abc", "a.b", "a.b.c", "a.b.c.d", "..", "T2gA_umid-token", "a.W10.c", "a.e30", "a.\u{e9}.c"] {
            assert_eq!(claims(text), None, "{text}");
        }
        assert_eq!(claims(&token(&json!(["id"]))), None);
        assert_eq!(claims(&token(&json!({"id": "u", "exp": "soon"}))), None);
    }
}
