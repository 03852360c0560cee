use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http::{HeaderMap, Method, header};
use signalbox_core::secret::Secret;
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::peer::PeerAddr;

const OPEN: &str = "/health";
const PAGE: (&str, &str) = ("origin", "http://localhost:5173");
const EVIL: (&str, &str) = ("origin", "https://evil.example");
const ASKS: (&str, &str) = ("access-control-request-method", "POST");
const KEY: (&str, &str) = ("authorization", "Bearer sk-right");
const WRONG_KEY: (&str, &str) = ("x-api-key", "sk-wrong");

/// A policy whose refusals quote the refusal and the path.
struct Quoting;

/// A policy that answers every `OPTIONS`.
struct Lenient;

/// The entry in front of a service that counts its requests and answers 200.
struct Site<P> {
    layer: EntryLayer<P>,
    served: Arc<AtomicUsize>,
}

impl EntryPolicy for Quoting {
    type Body = String;

    fn is_open(&self, path: &str) -> bool {
        path == OPEN
    }

    fn refused(&self, refusal: Refusal, request: &Parts) -> Response<String> {
        let status = match &refusal {
            Refusal::HostOrigin(forbidden) => forbidden.status(),
            Refusal::Key(denied) => denied.status(),
        };
        let mut response = Response::new(format!("{}: {refusal}", request.uri.path()));
        *response.status_mut() = status;
        response
    }
}

impl EntryPolicy for Lenient {
    type Body = String;

    fn is_open(&self, _: &str) -> bool {
        false
    }

    fn refused(&self, refusal: Refusal, request: &Parts) -> Response<String> {
        Quoting.refused(refusal, request)
    }

    fn preflight_status<B>(&self, request: &Request<B>) -> Option<StatusCode> {
        (request.method() == Method::OPTIONS).then_some(StatusCode::OK)
    }
}

impl<P: EntryPolicy<Body = String>> Site<P> {
    fn new(policy: P) -> Self {
        let guard = HostOriginGuard::of("127.0.0.1", &[], &[]);
        let keys = ClientKeys::of(&[Secret::new("sk-right".to_owned())]);
        let layer = EntryLayer::new(Entry::new(Arc::new(guard), Arc::new(keys), policy));
        Self { layer, served: Arc::default() }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(()).unwrap();
        request.extensions_mut().insert(PeerAddr("192.0.2.1:5000".parse().unwrap()));
        let inner = service_fn(|_: Request<()>| async {
            tokio::task::yield_now().await;
            self.served.fetch_add(1, Relaxed);
            Ok::<_, Infallible>(Response::new("served".to_owned()))
        });
        let response = self.layer.layer(inner).oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status.as_u16(), head.headers, body)
    }

    async fn status(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        self.send(method, path, headers).await.0
    }

    fn served(&self) -> usize {
        self.served.load(Relaxed)
    }
}

fn reader(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|origin| origin.to_str().unwrap())
}

#[tokio::test]
async fn the_first_check_that_fails_answers() {
    let site = Site::new(Quoting);
    let foreign = ("host", "evil.example");
    for (method, headers, status) in [
        ("POST", &[foreign, EVIL, WRONG_KEY][..], 421),
        ("OPTIONS", &[foreign, PAGE, ASKS], 421),
        ("POST", &[EVIL, WRONG_KEY], 403),
        ("POST", &[EVIL, KEY], 403),
        ("OPTIONS", &[PAGE, ASKS, WRONG_KEY], 204),
        ("POST", &[PAGE, WRONG_KEY], 401),
        ("POST", &[PAGE], 401),
    ] {
        assert_eq!(site.status(method, "/", headers).await, status, "{method} {headers:?}");
    }
    assert_eq!(site.served(), 0);
    assert_eq!(site.status("POST", "/", &[PAGE, KEY]).await, 200);
    assert_eq!(site.served(), 1);
}

#[tokio::test]
async fn refusals_are_built_by_the_service_from_the_request() {
    let (_, _, body) = Site::new(Quoting).send("GET", "/path", &[]).await;
    assert!(body.starts_with("/path: ") && body.contains("API key"), "{body}");
}

#[tokio::test]
async fn preflights_need_no_key_and_do_not_reach_the_service() {
    let site = Site::new(Quoting);
    let (status, headers, body) = site.send("OPTIONS", "/", &[PAGE, ASKS]).await;
    assert_eq!((status, reader(&headers), body.as_str()), (204, Some(PAGE.1), ""));
    assert_eq!(site.status("OPTIONS", "/", &[PAGE]).await, 401, "this is no preflight");
    assert_eq!(Site::new(Lenient).status("OPTIONS", "/", &[]).await, 200);
    assert_eq!(site.served(), 0);
}

#[tokio::test]
async fn only_allowed_pages_may_read_refusals() {
    let site = Site::new(Quoting);
    for (method, headers, status, read) in [
        ("POST", &[EVIL][..], 403, None),
        ("GET", &[EVIL], 401, None),
        ("GET", &[EVIL, KEY], 200, None),
        ("OPTIONS", &[EVIL, ASKS], 204, None),
        ("GET", &[PAGE], 401, Some(PAGE.1)),
        ("GET", &[PAGE, KEY], 200, Some(PAGE.1)),
        ("GET", &[PAGE, ("host", "evil.example")], 421, Some(PAGE.1)),
    ] {
        let (got, answered, _) = site.send(method, "/", headers).await;
        assert_eq!((got, reader(&answered)), (status, read), "{method} {headers:?}");
    }
}

#[tokio::test]
async fn open_paths_need_no_key_but_the_right_host_and_origin() {
    let site = Site::new(Quoting);
    for (headers, status) in [(&[][..], 200), (&[WRONG_KEY], 200), (&[EVIL], 403), (&[("host", "evil.example")], 421)] {
        assert_eq!(site.status("POST", OPEN, headers).await, status, "{headers:?}");
    }
    assert_eq!(site.status("POST", "/health2", &[]).await, 401);
}

#[tokio::test]
async fn wrong_keys_are_throttled_and_right_ones_are_not() {
    let site = Site::new(Quoting);
    // Requests that do not get as far as the key do not count.
    for _ in 0..100 {
        assert_eq!(site.status("POST", "/", &[EVIL, WRONG_KEY]).await, 403);
        assert_eq!(site.status("OPTIONS", "/", &[ASKS, WRONG_KEY]).await, 204);
    }
    assert_eq!(site.status("POST", "/", &[WRONG_KEY]).await, 401);
    let mut last = 0;
    for _ in 0..100 {
        last = site.status("POST", "/", &[WRONG_KEY]).await;
    }
    assert_eq!(last, 429);
    assert_eq!(site.status("POST", "/", &[KEY]).await, 200);
    assert_eq!(site.status("POST", OPEN, &[WRONG_KEY]).await, 200);
}

#[test]
fn the_entry_adds_little_to_the_future_of_the_service() {
    let added = size_of::<EntryFuture<[u8; 4096], String>>() - 4096;
    assert!(added <= size_of::<Option<CorsOrigin>>() + 16, "{added}");
}
