//! The base URL of a Unix socket: `unix:/run/model.sock`, or `unix:/run/model.sock:/v1` with the path of the API behind
//! it. This is the notation of nginx's `proxy_pass`, with or without `http://` in front.

use http::uri::PathAndQuery;

use super::TargetError;

/// Returns what follows `unix:`, if the URL is that of a Unix socket.
pub(super) fn after_scheme(base_url: &str) -> Option<&str> {
    let url = base_url.trim();
    let scheme_end = url.find(':')?;
    let rest =
        if url[..scheme_end].eq_ignore_ascii_case("http") { url[scheme_end..].strip_prefix("://")? } else { url };
    rest.strip_prefix("unix:")
}

/// Splits what follows `unix:` into the path of the socket and the base path, without a trailing slash.
pub(super) fn split(rest: &str) -> Result<(&str, String), TargetError> {
    let (path, base) = match rest.split_once(":/") {
        Some((path, base)) => (path, format!("/{base}")),
        None => (rest, String::new()),
    };
    let base = base.trim_end_matches('/').to_owned();
    if base.contains(['?', '#']) {
        return Err(TargetError::QueryOrFragment);
    }
    let is_path = path.starts_with('/') && !path.ends_with('/') && !path.contains('\0');
    if is_path && PathAndQuery::try_from(format!("{base}/")).is_ok() {
        Ok((path, base))
    } else {
        Err(TargetError::Socket)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::{AddressPolicy, Target};

    #[test]
    fn a_unix_socket_has_a_path_behind_it() {
        for (url, base) in [
            ("unix:/run/model.sock", "/"),
            ("unix:///run/model.sock:/v1", "/v1"),
            ("http://unix:/run/model.sock:/v1/", "/v1"),
            ("unix:/run/model.sock:/", "/"),
        ] {
            let target = Target::parse(url, &AddressPolicy::default()).unwrap();
            assert!(target.authority().ends_with("/run/model.sock"), "{url}: {}", target.authority());
            assert_eq!(target.path("").unwrap(), base, "{url}");
        }
        let strict = AddressPolicy { allow_private: false, ..AddressPolicy::default() };
        assert_eq!(Target::parse("unix:/run/x.sock", &strict).unwrap_err(), TargetError::SocketDenied);
    }
}
