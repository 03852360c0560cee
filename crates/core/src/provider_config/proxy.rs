//! Validates `proxy`: the HTTP proxy of a provider, or `off`.

use serde_json::Value;
use url::Url;

use super::{AddressRule, not_a_reference};

/// Checks a trimmed value. An empty one means the proxy of the environment. Host and port must obey the rule for
/// addresses, so that a proxy is not a way around it.
pub(super) fn check(proxy: String, address: AddressRule<'_>) -> Result<Value, String> {
    not_a_reference(&proxy)?;
    if proxy.is_empty() || proxy.eq_ignore_ascii_case("off") || proxy.eq_ignore_ascii_case("none") {
        return Ok(proxy.to_ascii_lowercase().into());
    }
    let wrong = || WRONG.to_owned();
    // The parser of URLs would drop tabs and line ends silently.
    if proxy.contains(char::is_control) {
        return Err(wrong());
    }
    let url = if proxy.contains("://") { Url::parse(&proxy) } else { Url::parse(&format!("http://{proxy}")) };
    let mut url = url.map_err(|_| wrong())?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if url.scheme() != "http" || url.host().is_none() || !is_bare || url.port() == Some(0) {
        return Err(wrong());
    }
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| wrong())?;
    address(url.as_str()).map_err(|why| format!("cannot be used: {why}"))?;
    Ok(proxy.into())
}

const WRONG: &str =
    "must be http://host:port, http://user:password@host:port, or off; other kinds of proxies are not supported";
