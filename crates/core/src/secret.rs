//! Values that cannot be printed.

/// Placeholder shown in place of a secret. Writing it back leaves the secret unchanged.
pub const MASK: &str = "***MASKED***";

/// A value without `Display` and `Serialize`, whose `Debug` output is masked. Access requires an explicit
/// [`Secret::expose`].
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value. Call this only where the secret is sent or compared.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Secret<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// Returns whether a configuration key names a secret: its lower-cased name contains `key`, `secret`, `password`,
/// `token`, `cookie`, `authorization`, `webhook`, `hook_url` (its path is often a credential) or `headers` (custom headers
/// usually carry credentials), or it is `proxy` (the URL of a proxy may contain a password).
#[must_use]
pub fn is_sensitive_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    if key == "proxy" {
        return true;
    }
    ["key", "secret", "password", "token", "cookie", "authorization", "headers", "webhook", "hook_url"]
        .iter()
        .any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_only_the_mask() {
        assert_eq!(format!("{:?}", Secret::new("sk-canary")), MASK);
    }

    #[test]
    fn sensitive_keys_are_found_by_name() {
        for key in [
            "apiKey",
            "token",
            "cookies",
            "clientSecret",
            "Authorization",
            "headers",
            "webhook_url",
            "hook_url",
            "proxy",
        ] {
            assert!(is_sensitive_key(key), "{key}");
        }
        for key in ["baseURL", "timeout", "defaultModel", "proxy_mode"] {
            assert!(!is_sensitive_key(key), "{key}");
        }
    }
}
