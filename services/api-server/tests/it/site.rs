//! The whole server in this process, over a database of its own, without sockets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api_server::app::{About, App};
use api_server::audit;
use api_server::console::Sessions;
use api_server::doctor::Doctor;
use api_server::events::{self, Broadcaster, LogTails};
use api_server::extensions::Extensions;
use api_server::fleet::{self, Closer, Programs};
use api_server::logs::{LogDir, LogOutput};
use api_server::process_stats::ProcessMeter;
use api_server::router_client::RouterClient;
use api_server::server::{self, ServerLayers};
use api_server::supervisor::{Limits, Resources};
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;
use signalbox_core::secret::Secret;
use signalbox_daemon::admin::ShutdownControl;
use signalbox_daemon::config::{AccessLog, AuthConfig};
use signalbox_daemon::{ClientKeys, REQUEST_ID, RequestContext, ServiceSigner, Shutdown, TokenRequirement};
use signalbox_harness::postgres::Postgres;
use signalbox_store::{Sealer, Store};
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// A server with its resources.
pub(crate) struct Site {
    pub(crate) store: Store,
    router: Router,
    closer: Option<Closer>,
    /// `None` once [`Self::publish`] was called.
    broadcaster: Option<(App, Broadcaster, LogTails)>,
    /// Data directory.
    pub(crate) dir: TempDir,
}

/// A response, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null if the body is empty.
    pub(crate) body: Value,
}

/// Runs functions that take a [`Site`] as tests, on each kind of database.
macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $test() {
                crate::site::on_sqlite(super::$test).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $test() {
                crate::site::on_postgres(super::$test).await;
            })+
        }
    };
}

pub(crate) use on_both;

pub(crate) async fn on_sqlite(test: impl AsyncFnOnce(&Site)) {
    let site = Site::new().await;
    test(&site).await;
    site.close().await;
}

pub(crate) async fn on_postgres(test: impl AsyncFnOnce(&Site)) {
    let Some(postgres) = Postgres::launch().await else { return };
    let dir = tempfile::tempdir().unwrap();
    let site = Site::over(&postgres.create_database().await, dir, &[], no_programs()).await;
    test(&site).await;
    site.close().await;
}

/// Returns children that become ready.
pub(crate) fn test_children() -> Programs {
    let child = test_child();
    Programs::at(child.clone(), child)
}

/// Returns the path of the example `supervised_child`, which cargo builds together with the tests.
pub(crate) fn test_child() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let child = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples/supervised_child");
    assert!(child.exists(), "{} is missing; run `cargo build -p api-server --examples`", child.display());
    child
}

/// Returns the configuration of a fleet on any ports, without a grace period for orphans.
pub(crate) fn fleet_config(dir: &TempDir, programs: Programs) -> fleet::Config {
    fleet::Config {
        programs,
        host: "127.0.0.1".to_owned(),
        router_port: 0,
        qwen_port: 0,
        workers: 1,
        guarded: false,
        auto_port: false,
        data_dir: dir.path().to_owned(),
        args: Vec::new(),
        env: Vec::new(),
        secrets: Vec::new(),
        limits: Limits::default(),
        router_resources: Resources::default(),
        qwen_resources: Resources::default(),
        orphan_grace: Duration::ZERO,
        key: None,
    }
}

fn no_programs() -> Programs {
    Programs::at("/nonexistent/provider-router", "/nonexistent/qwen-proxy")
}

/// Replaces the times in a body, which vary, by 0.
pub(crate) fn timeless(mut body: Value) -> Value {
    match &mut body {
        Value::Object(fields) => {
            for (key, value) in fields {
                let known = matches!(key.as_str(), "created_at" | "updated_at");
                *value = if known && value.is_i64() { 0.into() } else { timeless(value.take()) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = timeless(item.take())),
        _ => {}
    }
    body
}

// === impl Site ===

impl Site {
    /// Creates a server over a new SQLite file.
    pub(crate) async fn new() -> Self {
        Self::with(&[], no_programs()).await
    }

    /// Creates a server over a new SQLite file, with these client keys and children.
    pub(crate) async fn with(keys: &[&str], programs: Programs) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", dir.path().display());
        Self::over(&url, dir, keys, programs).await
    }

    /// Creates a server over a new SQLite file, beside a router at this port that requires this key.
    pub(crate) async fn beside(port: u16, key: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db", dir.path().display());
        Self::assembled(&url, dir, &[], no_programs(), (port, Some(Secret::new(key.to_owned())))).await
    }

    async fn over(url: &str, dir: TempDir, keys: &[&str], programs: Programs) -> Self {
        Self::assembled(url, dir, keys, programs, (1, None)).await
    }

    async fn assembled(
        url: &str,
        dir: TempDir,
        keys: &[&str],
        programs: Programs,
        (router_port, router_key): (u16, Option<Secret<String>>),
    ) -> Self {
        let store = Store::open(url).await.unwrap();
        let children = fleet_config(&dir, programs);
        let doctor = Doctor::of(&children);
        let (fleet, closer) = fleet::launch(children);
        let router = RouterClient::new(
            fleet.clone(),
            "127.0.0.1",
            router_port,
            router_key,
            ServiceSigner::new(&Secret::new([1; 32])),
        );
        let sealer = Sealer::new(&Secret::new([7; 32]));
        let management = signalbox_management::App {
            store: store.clone(),
            sealer: sealer.clone(),
            runtime: Arc::new(router.clone()),
            router_host: "127.0.0.1".to_owned(),
            router_port: 3001,
            body_limit: 64 * 1024,
            guarded: false,
        };
        let client_keys = keys.iter().map(|key| Secret::new((*key).to_owned())).collect();
        let keys = Arc::new(ClientKeys::new(&AuthConfig { client_keys, insecure_no_auth: false }));
        let app = App {
            management,
            store: store.clone(),
            router,
            fleet,
            meter: ProcessMeter::default(),
            sealer,
            reloads: tokio::sync::broadcast::Sender::new(16),
            extensions: Extensions::default(),
            logs: LogDir::of(dir.path()),
            keys: Arc::clone(&keys),
            sessions: Sessions::new(false),
            doctor,
            about: Arc::new(About { instance: "box".to_owned(), boot_id: "boot".to_owned() }),
            control: ShutdownControl::with_tokens(TokenRequirement::of(dir.path(), false, false), ClientKeys::of(&[])),
            shutdown: Shutdown::new(),
        };
        let (auditor, writer) = audit::open(store.clone(), std::time::Duration::ZERO, dir.path());
        // The task ends with the last auditor.
        tokio::spawn(writer.run(CancellationToken::new()));
        let layers = ServerLayers {
            auditor,
            host_origin_guard: Arc::new(server::host_origin_guard("127.0.0.1", &[], &[]).unwrap()),
            keys,
        };
        let (sockets, broadcaster, tails) =
            events::open(&app, Arc::clone(&layers.keys), Arc::clone(&layers.host_origin_guard));
        let broadcaster = Some((app.clone(), broadcaster, tails));
        Self { store, router: server::app(app, &layers, sockets), closer: Some(closer), broadcaster, dir }
    }

    pub(crate) async fn close(mut self) {
        self.close_fleet().await;
        self.store.close().await;
    }

    /// Publishes events until the returned token is cancelled; `written` supplies the log lines. Returns when the tables
    /// are watched: every later change has an event.
    pub(crate) async fn publish(&mut self, written: broadcast::Receiver<Arc<LogOutput>>) -> CancellationToken {
        let closing = CancellationToken::new();
        let (app, broadcaster, tails) = self.broadcaster.take().unwrap();
        let reloads = app.reloads.clone();
        tokio::spawn(events::publish(app, broadcaster, tails, written, closing.clone()));
        // The watch subscribes after its first look at the tables.
        while reloads.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        closing
    }

    /// Begins the shutdown, as a signal does.
    pub(crate) fn drain(&self) {
        self.broadcaster.as_ref().unwrap().0.shutdown.trigger();
    }

    /// Closes the fleet as in a shutdown: the children are gone, requests are still served.
    pub(crate) async fn close_fleet(&mut self) {
        if let Some(closer) = self.closer.take() {
            closer.close().await;
        }
    }

    /// Sends a request as it is; as the listener does, gives it an id, which the response carries.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        let context = RequestContext::new(AccessLog::Off);
        request.extensions_mut().insert(context.clone());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (mut head, body) = response.into_parts();
        head.headers.insert(REQUEST_ID, context.id().to_string().parse().unwrap());
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// Sends a request, and returns the response as it arrives.
    pub(crate) async fn open(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a request, and returns a response that need not be JSON, with its headers.
    pub(crate) async fn whole(&self, request: Request<Body>) -> (u16, HeaderMap, String) {
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
    }

    /// Sends a request, and returns a response that is not JSON.
    pub(crate) async fn text(&self, request: Request<Body>) -> (u16, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:3002");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }
}

// === impl Answer ===

impl Answer {
    /// Returns the body of a response with this status, without times.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        timeless(self.body)
    }

    /// Returns the mistakes of a refused request.
    #[track_caller]
    pub(crate) fn mistakes(self) -> Vec<String> {
        let error = self.expect(400)["error"].take();
        assert_eq!((&error["type"], &error["message"]), (&"validation_error".into(), &"Validation failed".into()));
        serde_json::from_value(error["errors"].clone()).unwrap()
    }

    /// Returns the code of an error with this status.
    #[track_caller]
    pub(crate) fn code(self, status: u16) -> String {
        self.expect(status)["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}
