//! Client of the running api-server.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use serde_json::Value;
use signalbox_upstream::loopback::{self, MAX_BODY};

use super::installation::Installation;
use crate::instance::{InstanceRecord, reachable};

/// Timeout of a request. The server answers from memory, or reports that it cannot.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends `GET path` to the running api-server.
pub(super) async fn get(installation: &Installation, server: &InstanceRecord, path: &str) -> anyhow::Result<Value> {
    send(installation, server, Method::GET, path).await
}

/// Sends a request without a body, and returns the JSON of the response.
pub(super) async fn send(
    installation: &Installation,
    server: &InstanceRecord,
    method: Method,
    path: &str,
) -> anyhow::Result<Value> {
    let addr = reachable(server.addr);
    let mut request = Request::builder().method(&method).uri(path);
    if let Some(token) = installation.token()? {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    let answer = loopback::send_request(addr, request.body(Bytes::new())?, MAX_BODY, REQUEST_TIMEOUT).await;
    let answer = answer.with_context(|| format!("api-server at {addr} does not answer"))?;
    let body = answer.body();
    match answer.status() {
        status if status.is_success() => {
            serde_json::from_slice(body).with_context(|| format!("api-server at {addr} did not answer JSON"))
        }
        StatusCode::UNAUTHORIZED => {
            bail!("api-server rejected the control token; set API_TOKEN to the token it was started with")
        }
        status => bail!("api-server answered {status} to {method} {path}: {}", String::from_utf8_lossy(body)),
    }
}
