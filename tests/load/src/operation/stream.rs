//! A stream of 100 chunks, from a provider that writes all of it before the router reads, so that the router always
//! reads it in the same pieces.

use std::{
    future::poll_fn,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    thread,
};

use anyhow::Context as _;
use hyper::{Method, Request, Uri};
use provider_router::relay::{Relay, Source};
use signalbox_core::Api;
use signalbox_upstream::{AddressPolicy, Client, ClientConfig, Deadlines, Target};
use tokio::time::Duration;

use super::{CHUNKS, Log};
use crate::{mock, prompt::Kind};

/// Requests and relays a stream of `api` `times` times.
pub(super) async fn relay(log: &Log, api: Api, times: u64) -> anyhow::Result<()> {
    let body = &super::body(api, Kind::Short);
    let port = provider(api, body.len(), times)?;
    let target = Target::parse(&format!("http://127.0.0.1:{port}/v1"), &AddressPolicy::default())?;
    let path = target.path(api.path())?;
    let client = Client::new(&ClientConfig {
        max_idle_per_target: 1,
        idle_timeout: Duration::from_secs(60),
        ..ClientConfig::default()
    })?;
    let limit = Duration::from_secs(60);
    let deadlines = Deadlines { connect: limit, headers: limit, idle: limit, total: limit };
    for _ in 0..times {
        let mut exchange = log.begin(api, body)?;
        let mut request = Request::new(body.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from(path.clone());
        let response = client.send(&target, request, &deadlines).await?;
        exchange.head(200, true);
        let source = Source::Upstream(response.into_body());
        let mut relay = Relay::new((Vec::new(), source), exchange, api, 1);
        let mut frames = 0_u32;
        while let Some(frame) = poll_fn(|cx| relay.poll_frame(cx)).await {
            frame.map_err(|error| anyhow::anyhow!("the relay failed: {error}"))?;
            frames += 1;
        }
        anyhow::ensure!(frames > CHUNKS, "only {frames} frames arrived");
    }
    Ok(())
}

/// Serves `times` requests on one connection, each answered with one write.
fn provider(api: Api, body_len: usize, times: u64) -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let answer = answer(api);
    thread::Builder::new()
        .spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let (mut input, mut len) = ([0; 8192], 0);
            for _ in 0..times {
                // A request consists of its head, an empty line and the body.
                let whole = |input: &[u8]| {
                    memchr::memmem::find(input, b"\r\n\r\n").is_some_and(|at| input.len() == at + 4 + body_len)
                };
                while !whole(&input[..len]) {
                    len += stream.read(&mut input[len..])?;
                }
                len = 0;
                stream.write_all(&answer)?;
            }
            Ok(())
        })
        .context("cannot start the thread of the provider")?;
    Ok(port)
}

fn answer(api: Api) -> Vec<u8> {
    let mut answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    if api != Api::Chat {
        for event in mock::stream(api, CHUNKS).split_inclusive("\n\n") {
            answer.extend_from_slice(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes());
        }
        answer.extend_from_slice(b"0\r\n\r\n");
        return answer;
    }
    let mut event = |text: &str| {
        let event = format!("{:x}\r\ndata: {text}\n\n\r\n", text.len() + 8);
        answer.extend_from_slice(event.as_bytes());
    };
    let chunk = |delta: &str, finish: &str| {
        format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"mock-100x0","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
        )
    };
    for _ in 0..CHUNKS {
        event(&chunk(r#"{"content":"word "}"#, "null"));
    }
    event(&chunk("{}", r#""stop""#));
    event("[DONE]");
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}
