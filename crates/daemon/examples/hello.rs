//! A minimal program on this crate, which greets, streams and fails on request. The integration tests run it; to run it
//! by hand, use `cargo run -p signalbox-daemon --example hello -- --port 0`.

use std::convert::Infallible;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Parser;
use futures_util::stream::{self, Stream, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::service::service_fn;
use serde::Deserialize;
use signalbox_daemon::{CommonArgs, Context, Exit, RequestBody, Shutdown, Spec};

type Body = UnsyncBoxBody<Bytes, Infallible>;

const SPEC: Spec = Spec {
    name: "hello",
    default_port: 3999,
    defaults: include_str!("hello.toml"),
    version: env!("CARGO_PKG_VERSION"),
    env_prefix: Some("HELLO_"),
    issues_keys: false,
};

/// Greets, streams and fails on request.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    common: CommonArgs,
    /// Text to answer with
    #[arg(long)]
    greeting: Option<String>,
}

/// The program's own sections.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    hello: Hello,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    greeting: String,
    mode: Mode,
}

/// Behaviour other than serving, for tests.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Serve,
    /// Panic at start.
    Panic,
    /// Block the thread that would notice a shutdown.
    Hang,
    /// Serve, and then never return.
    Linger,
}

fn main() -> ExitCode {
    let args: Args = match signalbox_daemon::parse_args() {
        Ok(args) => args,
        Err(code) => return code,
    };
    let mut overlay = toml::Table::new();
    if let Some(greeting) = args.greeting {
        overlay.insert("hello".to_owned(), toml::Table::from_iter([("greeting".to_owned(), greeting.into())]).into());
    }
    signalbox_daemon::run(SPEC, args.common, overlay, serve)
}

async fn serve(settings: Settings, context: Context) -> Result<(), Exit> {
    let hello = settings.hello;
    let mode = hello.mode;
    match mode {
        Mode::Serve | Mode::Linger => {}
        #[expect(clippy::panic, reason = "on request")]
        Mode::Panic => panic!("panicked at start, on request"),
        Mode::Hang => loop {
            std::thread::park();
        },
    }
    let announce = format!("Server listening on http://{}", context.listener.local_addr());
    let shutdown = context.shutdown.clone();
    let service = service_fn(move |request: Request<RequestBody>| answer(request, hello.clone(), shutdown.clone()));
    signalbox_daemon::serve(&context, &announce, service).await?;
    if let Mode::Linger = mode {
        std::future::pending::<()>().await;
    }
    Ok(())
}

#[expect(clippy::panic, reason = "on request")]
async fn answer(request: Request<RequestBody>, hello: Hello, shutdown: Shutdown) -> Result<Response<Body>, Infallible> {
    let body = match request.uri().path() {
        "/hello" => text(hello.greeting),
        "/panic" => panic!("panicked in a handler, on request"),
        // Ends by itself when the drain begins.
        "/until-draining" => streaming(async move { shutdown.draining().await }, "finished\n"),
        // Ends when it is cut.
        "/until-cut" => streaming(async move { shutdown.aborting().await }, "cut\n"),
        "/for-ever" => streaming(std::future::pending(), ""),
        _ => {
            let mut response = Response::new(text("not found".to_owned()));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    Ok(Response::new(body))
}

fn text(text: String) -> Body {
    Full::from(text).boxed_unsync()
}

/// Returns a body of `begun`, followed by `last` when `moment` is ready.
fn streaming(moment: impl Future<Output = ()> + Send + 'static, last: &'static str) -> Body {
    let frame = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
    let frames: std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>> =
        Box::pin(stream::iter([frame("begun\n")]).chain(stream::once(async move {
            moment.await;
            frame(last)
        })));
    StreamBody::new(frames).boxed_unsync()
}
