//! Normalisation of request paths.

use http::Uri;
use http::uri::PathAndQuery;

/// Joins repeated slashes in the path into one; the query is left unchanged.
///
/// Clients append `/v1/chat/completions` to a base URL that ends in a slash. Routing, authentication and the origin
/// check all run after this, so they see the same path.
pub(super) fn join_slashes(uri: &mut Uri) {
    let path = uri.path();
    if !path.as_bytes().windows(2).any(|pair| pair == b"//") {
        return;
    }
    let mut joined = String::with_capacity(uri.path_and_query().map_or(0, |whole| whole.as_str().len()));
    for char in path.chars() {
        if char != '/' || !joined.ends_with('/') {
            joined.push(char);
        }
    }
    if let Some(query) = uri.query() {
        joined.push('?');
        joined.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    // Removing slashes cannot make a path invalid.
    parts.path_and_query = PathAndQuery::try_from(joined).ok();
    if let Ok(joined) = Uri::from_parts(parts) {
        *uri = joined;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_slashes_are_merged_and_the_rest_is_unchanged() {
        for (before, after) in [
            ("/v1/models", "/v1/models"),
            ("//v1/chat/completions", "/v1/chat/completions"),
            ("/v1//chat///completions?x=//y", "/v1/chat/completions?x=//y"),
            ("/v1/models//?", "/v1/models/?"),
            ("////", "/"),
            ("/a%2F%2Fb//c", "/a%2F%2Fb/c"),
            ("http://host:1//v1//models", "http://host:1/v1/models"),
            ("*", "*"),
        ] {
            let mut uri: Uri = before.parse().unwrap();
            join_slashes(&mut uri);
            assert_eq!(uri.to_string(), after, "{before}");
        }
    }
}
