//! Validates `baseURL`: the address of a provider, in a form to which a path can be appended.

use serde_json::Value;
use url::{ParseError, Url};

use super::{AddressRule, not_a_reference};

/// Maximum bytes of a base URL.
const MAX_BYTES: usize = 2048;

/// Checks a trimmed base URL. An empty one means that there is no base URL.
pub(super) fn check(url: String, address: AddressRule<'_>) -> Result<Value, String> {
    if !url.is_empty() {
        not_a_reference(&url)?;
        match unix_socket(&url) {
            Some(rest) => well_formed_socket(rest)?,
            None => well_formed(&url)?,
        }
        address(&url).map_err(|why| format!("cannot be used: {why}"))?;
    }
    Ok(url.into())
}

fn well_formed(url: &str) -> Result<(), String> {
    let Some(rest) = after_scheme(url) else {
        return Err("must begin with http:// or https://, such as https://api.example.com/v1".to_owned());
    };
    if url.len() > MAX_BYTES {
        return Err(format!("must have at most {MAX_BYTES} bytes"));
    }
    if url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("must not contain blanks, line breaks or backslashes".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not contain a user name or password: put the key into apiKey or headers".to_owned());
    }
    if url.contains(['?', '#']) {
        return Err("must end with its path, without `?` or `#`: put keys into apiKey or headers".to_owned());
    }
    if authority.is_empty() {
        return Err(NO_HOST.to_owned());
    }
    let parsed = Url::parse(url).map_err(|error| match error {
        ParseError::InvalidPort => BAD_PORT.to_owned(),
        ParseError::EmptyHost => NO_HOST.to_owned(),
        error => format!("must name a host with a valid name or address: {error}"),
    })?;
    if parsed.host().is_none() {
        return Err(NO_HOST.to_owned());
    }
    if authority.ends_with(':') || parsed.port() == Some(0) {
        return Err(BAD_PORT.to_owned());
    }
    Ok(())
}

/// Returns the part of the URL of a Unix socket after `unix:`.
fn unix_socket(url: &str) -> Option<&str> {
    after_scheme(url).unwrap_or(url).strip_prefix("unix:")
}

fn well_formed_socket(rest: &str) -> Result<(), String> {
    let path = rest.split(":/").next().unwrap_or_default();
    if rest.len() > MAX_BYTES || !path.starts_with('/') || rest.contains(|c: char| c.is_control() || c.is_whitespace())
    {
        return Err("must name a Unix socket by its absolute path, such as unix:/run/model.sock:/v1".to_owned());
    }
    if rest.contains(['?', '#']) {
        return Err("must end with its path, without `?` or `#`: put keys into apiKey or headers".to_owned());
    }
    Ok(())
}

const NO_HOST: &str = "must name a host after http:// or https://";

const BAD_PORT: &str = "must have a port from 1 to 65535 after the colon, or none";

/// Returns the part of a URL after `http://` or `https://`.
fn after_scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")).then_some(rest)
}
