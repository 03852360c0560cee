//! The query of a request, as far as a provider gets it.

use http::{Uri, uri::PathAndQuery};
use signalbox_core::secret::is_sensitive_key;

/// Parameter of this gateway.
const EXPLAIN: &str = "explain";

/// Returns the parameters that are meant for the provider, as the client wrote them: not the gateway's own, and none that
/// may be a credential, because clients have credentials of the gateway only.
#[must_use]
pub fn forwarded_query(query: Option<&str>) -> Option<String> {
    let is_forwarded = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        // An encoded name could hide that of a credential.
        !name.is_empty() && name != EXPLAIN && !name.contains('%') && !is_sensitive_key(name)
    };
    let pairs: Vec<&str> = query?.split('&').filter(is_forwarded).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

/// Adds a query to the address of a request, which has none.
pub fn add_query(uri: &mut Uri, query: &str) {
    if let Ok(path) = PathAndQuery::try_from(format!("{}?{query}", uri.path())) {
        *uri = Uri::from(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_the_gateway_and_credentials_stay_here() {
        for (query, expected) in [
            (None, None),
            (Some(""), None),
            (Some("beta=true"), Some("beta=true")),
            (Some("a=1&beta=%20x&flag&a=2"), Some("a=1&beta=%20x&flag&a=2")),
            (Some("explain=dry-run&beta=true"), Some("beta=true")),
            (Some("key=canary&api-key=canary&access_token=canary&v=1&%6bey=canary"), Some("v=1")),
            (Some("explain=dry-run"), None),
            (Some("&&=x&"), None),
        ] {
            assert_eq!(forwarded_query(query).as_deref(), expected, "{query:?}");
        }
    }

    #[test]
    fn a_query_follows_the_path() {
        let mut uri = Uri::from_static("/v1/messages");
        add_query(&mut uri, "beta=true");
        assert_eq!(uri, "/v1/messages?beta=true");
    }
}
