//! `null-proxy PORT UPSTREAM_PORT`: the minimal reverse proxy of hyper and hyper-util.
//!
//! It forwards everything unchanged over pooled connections and neither reads nor records anything. Its cost is that of
//! the HTTP stack; all other targets are measured against it.

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{CONNECTION, HOST, HeaderMap, UPGRADE},
    http::uri::{Authority, PathAndQuery, Scheme},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use signalbox_load::descriptors;
use tokio::{
    net::TcpSocket,
    time::{Duration, sleep},
};

#[global_allocator]
static ALLOCATOR: signalbox_daemon::Allocator = signalbox_daemon::ALLOCATOR;

const BACKLOG: u32 = 4096;

type Upstream = Client<HttpConnector, Incoming>;
type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

fn main() -> anyhow::Result<()> {
    let mut ports = std::env::args().skip(1).map(|port| port.parse::<u16>());
    let mut port = |which: &'static str| ports.next().context(which)?.context(which);
    let (port, upstream) = (port("which port?")?, port("the port of the upstream is required")?);
    descriptors::raise_limit().context("cannot raise the limit of open files")?;
    // One worker thread per available core, as in every service of this stack.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(port, upstream))
}

async fn serve(port: u16, upstream: u16) -> anyhow::Result<()> {
    let upstream: Authority = format!("127.0.0.1:{upstream}").parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Upstream = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_max_idle_per_host(usize::MAX)
        .build(connector);
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into()).with_context(|| format!("cannot listen on {port}"))?;
    let listener = socket.listen(BACKLOG)?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely out of file descriptors: pause instead of spinning.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        stream.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), upstream.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| forward(request, client.clone(), upstream.clone()));
            // Connection errors are counted by the client.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

async fn forward(
    mut request: Request<Incoming>,
    client: Upstream,
    upstream: Authority,
) -> Result<Answer, hyper::http::Error> {
    let path = request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::builder().scheme(Scheme::HTTP).authority(upstream).path_and_query(path).build()?;
    end_to_end(request.headers_mut());
    // The upstream client sets its own.
    request.headers_mut().remove(HOST);
    match client.request(request).await {
        Ok(mut answer) => {
            end_to_end(answer.headers_mut());
            Ok(answer.map(BodyExt::boxed_unsync))
        }
        Err(error) => {
            let body = Full::new(Bytes::from(error.to_string())).map_err(|never| match never {});
            Response::builder().status(StatusCode::BAD_GATEWAY).body(body.boxed_unsync())
        }
    }
}

/// Removes hop-by-hop headers.
fn end_to_end(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    headers.remove(UPGRADE);
    headers.remove("keep-alive");
}
