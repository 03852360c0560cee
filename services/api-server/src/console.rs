//! The web console: its files, which are built into the program.
//!
//! # Layout
//! - `files`: the table that `build.rs` writes, and the choice of an encoding.
//! - `prefix`: the path of a reverse proxy.
//! - `sessions`: signed-in browsers.
//!
//! # Theory
//! The page is public, data is not: it asks for the control token itself, where one is required. Every address of a page
//! gets the same document, in which the console shows that page. So an address that is no file gets it, too, if a
//! browser opens it as a page; everything else is refused as before. What the files are called depends on their
//! content, so that browsers keep them for ever; an unknown one is never answered with the document, from which an old
//! page would see nothing but an error of syntax.

mod files;
mod prefix;
mod sessions;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};

use self::files::{Encoding, File, INDEX};
use self::prefix::Prefix;
pub use self::sessions::Sessions;

/// Path of the files whose names depend on their content.
const ASSETS: &str = "/assets/";

/// Paths that belong to the APIs: no page is below them.
const RESERVED: [&str; 5] = ["/api", "/v1", "/socket.io", "/docs", "/openapi.json"];

/// Content security policy of the page: its own files, requests to its own server, and no text becomes code. The named
/// policy lets it start its own worker.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
    font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; frame-ancestors 'none'; \
    base-uri 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types signalbox-worker";

/// Headers of every response of the console.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Response to a proxy whose `X-Forwarded-Prefix` cannot be used.
const MALFORMED_PREFIX: &str = "X-Forwarded-Prefix must be one absolute path of letters, digits, '.', '_', '~' and '-', \
    such as /signalbox\n";

/// Returns whether a request is answered by the console.
pub(crate) fn serves<B>(request: &Request<B>) -> bool {
    file_for(request).is_some()
}

/// Returns the response to a request that no route has taken, or `None` if it is not for the console.
pub(crate) fn respond<B>(request: &Request<B>) -> Option<Response> {
    let file = file_for(request)?;
    let (method, headers) = (request.method(), request.headers());
    if file.path != INDEX.path {
        return Some(of_file(file, method, headers));
    }
    Some(match Prefix::of(headers) {
        Ok(prefix) if prefix.is_root() => of_file(file, method, headers),
        Ok(prefix) => document_below(&prefix, method, headers),
        Err(prefix::Malformed) => malformed_prefix(),
    })
}

/// Returns the version of the built console, for pages that are older.
pub(crate) fn build() -> &'static str {
    INDEX.digest
}

fn file_for<B>(request: &Request<B>) -> Option<&'static File> {
    let path = request.uri().path();
    if !matches!(*request.method(), Method::GET | Method::HEAD) || is_reserved(path) {
        return None;
    }
    let is_page = !path.starts_with(ASSETS) && accepts_html(request.headers());
    files::get(path).or_else(|| is_page.then_some(&INDEX))
}

fn is_reserved(path: &str) -> bool {
    RESERVED
        .iter()
        .any(|reserved| path.strip_prefix(reserved).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Returns whether a browser opens a page: other clients accept anything, but name no HTML.
fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/html")
    })
}

/// Returns a file in the smallest encoding that the client accepts.
fn of_file(file: &'static File, method: &Method, headers: &HeaderMap) -> Response {
    let (encoding, content) = file.content(headers);
    let tag = format!("\"{}{}\"", file.digest, encoding.suffix());
    let mut response = response(file, &tag, Bytes::from_static(content), method, headers);
    if response.status() == StatusCode::OK && encoding != Encoding::Identity {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.as_str()));
    }
    response
}

/// Returns the document for a console below a path, uncompressed.
fn document_below(prefix: &Prefix, method: &Method, headers: &HeaderMap) -> Response {
    let document = prefix.applied_to(&String::from_utf8_lossy(INDEX.identity));
    let tag = format!("\"{}@{}\"", INDEX.digest, prefix.as_str());
    response(&INDEX, &tag, document.into(), method, headers)
}

fn malformed_prefix() -> Response {
    let mut response = Response::new(Body::from(MALFORMED_PREFIX));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn response(file: &'static File, tag: &str, content: Bytes, method: &Method, headers: &HeaderMap) -> Response {
    let is_known = matches_tag(headers, tag);
    let length = content.len();
    let body = if is_known || *method == Method::HEAD { Body::empty() } else { Body::from(content) };
    let mut response = Response::new(body);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let fields = response.headers_mut();
    for (name, value) in HEADERS {
        fields.insert(name, HeaderValue::from_static(value));
    }
    let vary = if file.path == INDEX.path { "Accept-Encoding, X-Forwarded-Prefix" } else { "Accept-Encoding" };
    fields.insert(header::VARY, HeaderValue::from_static(vary));
    let is_named_by_content = file.path.starts_with(ASSETS);
    let cache = if is_named_by_content { "public, max-age=31536000, immutable" } else { "no-cache" };
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    // Digests are hexadecimal, and paths plain.
    if let Ok(tag) = HeaderValue::try_from(tag) {
        fields.insert(header::ETAG, tag);
    }
    if !is_known {
        fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// Returns whether the client has this representation already.
fn matches_tag(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known.flat_map(|value| value.split(',')).any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> Option<Response> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        respond(&request.body(()).unwrap())
    }

    fn header_of<'a>(response: &'a Response, name: &str) -> &'a str {
        response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    fn an_asset() -> &'static File {
        let is_script = |file: &&File| file.path.starts_with(ASSETS) && file.path.ends_with(".js");
        // The longest one, which compresses in any case.
        files::all().iter().filter(is_script).max_by_key(|file| file.identity.len()).unwrap()
    }

    #[test]
    fn files_are_compressed_for_clients_that_accept_it() {
        let path = an_asset().path;
        let compressed = ask("GET", path, &[("accept-encoding", "gzip, deflate")]).unwrap();
        assert_eq!(header_of(&compressed, "content-encoding"), "gzip");
        let length: usize = header_of(&compressed, "content-length").parse().unwrap();
        assert!(length < an_asset().identity.len(), "{length}");
        let plain = ask("GET", path, &[("accept-encoding", "gzip;q=0")]).unwrap();
        assert_eq!(header_of(&plain, "content-encoding"), "");
        assert_ne!(header_of(&plain, "etag"), header_of(&compressed, "etag"));
        assert_eq!(header_of(&compressed, "vary"), "Accept-Encoding");
        let tag = header_of(&compressed, "etag").to_owned();
        let known = ask("GET", path, &[("accept-encoding", "gzip"), ("if-none-match", &tag)]).unwrap();
        assert_eq!(known.status(), 304);
    }

    #[test]
    fn pages_get_the_document_under_a_strict_policy() {
        for path in ["/", "/requests/01a22a6f?tab=raw", "/no/such/page", "/apiary", "/..%2f..%2fetc/passwd"] {
            let response = ask("GET", path, &[("accept", BROWSER)]).unwrap();
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(header_of(&response, "content-type"), "text/html; charset=utf-8", "{path}");
            assert_eq!(header_of(&response, "cache-control"), "no-cache");
            for part in
                ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "require-trusted-types-for"]
            {
                assert!(header_of(&response, "content-security-policy").contains(part), "{part}");
            }
            assert_eq!(header_of(&response, "x-content-type-options"), "nosniff");
        }
    }

    #[test]
    fn other_clients_and_the_apis_are_not_answered() {
        for (method, path, accept) in [
            ("GET", "/", "*/*"),
            ("GET", "/", "application/json"),
            ("POST", "/", BROWSER),
            ("GET", "/api", BROWSER),
            ("GET", "/api/no-such-route", BROWSER),
            ("GET", "/v1/models", BROWSER),
            ("GET", "/socket.io/", BROWSER),
            ("GET", "/openapi.json", BROWSER),
            ("GET", "/assets/old-12345678.js", BROWSER),
            ("GET", "/assets/../index.html", BROWSER),
            ("GET", "/index.html", "*/*"),
            ("GET", "/manifest.json", "*/*"),
        ] {
            assert!(ask(method, path, &[("accept", accept)]).is_none(), "{method} {path} {accept}");
        }
    }

    #[test]
    fn assets_are_kept_for_ever() {
        let asset = an_asset();
        let response = ask("GET", asset.path, &[]).unwrap();
        assert_eq!(header_of(&response, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(header_of(&response, "content-length"), asset.identity.len().to_string());
        assert_eq!(header_of(&response, "content-encoding"), "");
        assert_eq!(header_of(&response, "vary"), "Accept-Encoding");
    }

    #[test]
    fn a_known_representation_is_not_sent_again() {
        let first = ask("GET", "/", &[("accept", BROWSER)]).unwrap();
        let tag = header_of(&first, "etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let response = ask("GET", "/", &[("accept", BROWSER), ("if-none-match", &known)]).unwrap();
            assert_eq!(response.status(), 304, "{known}");
            assert!(response.headers().get("content-length").is_none() && header_of(&response, "etag") == tag);
        }
        let changed = ask("GET", "/", &[("accept", BROWSER), ("if-none-match", "\"other\"")]).unwrap();
        assert_eq!(changed.status(), 200);
    }

    #[test]
    fn a_proxy_names_the_path_of_the_console() {
        let headers = [("accept", BROWSER), ("accept-encoding", "gzip, br"), ("x-forwarded-prefix", "/signalbox")];
        let (below, root) = (ask("GET", "/logs", &headers).unwrap(), ask("GET", "/logs", &headers[..2]).unwrap());
        assert_eq!((below.status(), root.status()), (StatusCode::OK, StatusCode::OK));
        assert_ne!(header_of(&below, "etag"), header_of(&root, "etag"));
        assert_eq!(header_of(&below, "content-encoding"), "", "it is not the compressed document");
        let expected = Prefix::of(&HeaderMap::from_iter([(
            HeaderName::from_static(prefix::HEADER),
            HeaderValue::from_static("/signalbox"),
        )]))
        .unwrap()
        .applied_to(std::str::from_utf8(INDEX.identity).unwrap());
        assert!(expected.contains("src=\"/signalbox/assets/"), "{expected}");
        assert_eq!(header_of(&below, "content-length"), expected.len().to_string());
        for response in [&below, &root] {
            assert!(header_of(response, "vary").contains("X-Forwarded-Prefix"));
            assert!(header_of(response, "content-security-policy").contains("default-src 'none'"));
        }
        let tag = header_of(&below, "etag").to_owned();
        let known: Vec<_> = headers.into_iter().chain([("if-none-match", tag.as_str())]).collect();
        assert_eq!(ask("GET", "/logs", &known).unwrap().status(), StatusCode::NOT_MODIFIED);
        // Files are the same below every path.
        assert_eq!(ask("GET", an_asset().path, &headers[1..]).unwrap().status(), StatusCode::OK);
    }

    #[test]
    fn a_path_that_is_none_is_refused() {
        let response = ask("GET", "/", &[("accept", BROWSER), ("x-forwarded-prefix", "/\"onload=")]).unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(header_of(&response, "content-type"), "text/plain; charset=utf-8");
        assert_eq!(header_of(&response, "cache-control"), "no-store");
    }

    #[test]
    fn head_has_the_headers_only() {
        use axum::body::HttpBody as _;
        let (get, head) =
            (ask("GET", "/", &[("accept", BROWSER)]).unwrap(), ask("HEAD", "/", &[("accept", BROWSER)]).unwrap());
        assert_eq!(get.headers(), head.headers());
        assert!(head.body().is_end_stream() && !get.body().is_end_stream());
    }

    #[test]
    fn the_document_names_only_files_that_exist() {
        let document = std::str::from_utf8(INDEX.identity).unwrap();
        let mut named = 0;
        for attribute in ["src=\"", "href=\""] {
            for rest in document.split(attribute).skip(1) {
                let path = rest.split('"').next().unwrap();
                assert!(files::get(path).is_some(), "{path}");
                named += 1;
            }
        }
        assert!(named >= 3, "{document}");
        // The policy forbids both.
        assert!(!document.contains("<style") && !document.contains("<script>"), "{document}");
    }
}
