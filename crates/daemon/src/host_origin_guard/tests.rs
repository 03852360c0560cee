use proptest::prelude::*;

use super::*;

const EVIL: &str = "https://evil.example";

fn host_origin_guard() -> HostOriginGuard {
    HostOriginGuard::of("127.0.0.1", &["box.lan".to_owned()], &["https://named.example".to_owned()])
        .extra_origins(|origin, _, path| origin == "guest://one" && path == "/guests")
        .unsafe_subtree("/socket")
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(path).header("host", "box.lan");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn check(method: &str, path: &str, headers: &[(&str, &str)]) -> Result<(), Forbidden> {
    host_origin_guard().check(&request(method, path, headers))
}

#[test]
fn reads_are_open_and_writes_are_checked() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(check(method, "/", &[("origin", EVIL)]), Ok(()), "{method}");
        assert!(check(method, "/socket/", &[("origin", EVIL)]).is_err(), "{method}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
        assert_eq!(check(method, "/", &[("origin", EVIL)]), Err(Forbidden::ForeignOrigin(EVIL.to_owned())));
        for origin in [
            "https://named.example",
            "HTTPS://Named.example",
            "http://localhost:1",
            "https://box.lan",
            "http://box.lan",
        ] {
            assert_eq!(check(method, "/", &[("origin", origin)]), Ok(()), "{method} {origin}");
        }
        assert_eq!(check(method, "/", &[]), Ok(()), "programs");
    }
}

#[test]
fn fetch_metadata_is_checked_when_the_origin_is_hidden() {
    for (site, allowed) in [("cross-site", false), ("same-site", false), ("same-origin", true), ("none", true)] {
        assert_eq!(check("POST", "/", &[("sec-fetch-site", site)]).is_ok(), allowed, "{site}");
    }
    // If present, `Origin` is more specific and takes precedence.
    assert_eq!(check("POST", "/", &[("sec-fetch-site", "cross-site"), ("origin", "https://named.example")]), Ok(()));
}

#[test]
fn guests_may_call_their_path_only() {
    assert_eq!(check("POST", "/guests", &[("origin", "guest://one")]), Ok(()));
    for (path, origin) in [("/", "guest://one"), ("/guests/", "guest://one"), ("/guests", "guest://two")] {
        assert!(check("POST", path, &[("origin", origin)]).is_err(), "{path} {origin}");
    }
}

#[test]
fn only_allowed_pages_may_read_responses() {
    let read = |origin: &str, more: &[(&str, &str)]| {
        let headers: Vec<(&str, &str)> = [("origin", origin)].into_iter().chain(more.iter().copied()).collect();
        let mut headers_out = HeaderMap::new();
        if let Some(page) = host_origin_guard().cors_origin(&request("OPTIONS", "/", &headers)) {
            page.apply_cors(&mut headers_out);
        }
        headers_out
    };
    assert!(read(EVIL, &[]).is_empty() && read("null", &[]).is_empty());
    let headers = read("http://localhost:5173", &[("access-control-request-headers", "x-stainless-os")]);
    assert_eq!(headers["access-control-allow-origin"], "http://localhost:5173");
    assert_eq!(headers["access-control-allow-headers"], "x-stainless-os");
    assert!(headers["access-control-allow-methods"].to_str().unwrap().contains("PATCH"));
    // Private Network Access: pages from public networks are never granted access to this service.
    assert!(!headers.contains_key("access-control-allow-private-network"));
}

#[test]
fn refusals_name_the_setting_and_quote_at_most_an_excerpt() {
    let host = "x".repeat(5000);
    let refused =
        HostOriginGuard::of("127.0.0.1", &[], &[]).check(&Request::get("/").header("host", host).body(()).unwrap());
    let refused = refused.unwrap_err();
    assert_eq!((refused.status().as_u16(), refused.code()), (421, "host_not_allowed"));
    assert!(refused.to_string().contains("ALLOWED_HOSTS") && refused.to_string().len() < 300, "{refused}");
    let refused = check("POST", "/", &[("origin", EVIL)]).unwrap_err();
    assert!(refused.status() == 403 && refused.to_string().contains("ALLOWED_ORIGINS"), "{refused}");
}

proptest! {
    #[test]
    fn i18_any_host_and_any_origin_is_allowed_or_refused(
        host in proptest::collection::vec(any::<u8>(), 0..40),
        origin in proptest::collection::vec(any::<u8>(), 0..40),
        name in "[a-zA-Z0-9.:@%/\\[\\]-]{0,30}",
    ) {
        for (host, origin) in [(&host[..], &origin[..]), (name.as_bytes(), b"null"), (b"box.lan", name.as_bytes())] {
            let (Ok(host), Ok(origin)) = (HeaderValue::from_bytes(host), HeaderValue::from_bytes(origin)) else { continue };
            let request = Request::post("/").header("host", host).header("origin", origin).body(()).unwrap();
            if host_origin_guard().check(&request).is_ok() {
                prop_assert!(host_origin_guard().cors_origin(&request).is_some(), "a page that may write may also read the answer");
            }
        }
    }
}
