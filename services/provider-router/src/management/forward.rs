//! Forwarding of management requests to api-server over loopback.

use axum::body::Body;
use bytes::Bytes;
use http::request::{Builder, Parts};
use http::{HeaderName, Request, Response, header};
use signalbox_daemon::forwarded::{self as caller, FORWARDED};
use signalbox_daemon::{RequestBody, RequestContext, collect, instance::InstanceRecord};
use signalbox_upstream::{AddressPolicy, Deadlines, ProxyChoice, Target};
use tokio::time::Duration;

use super::Management;
use super::refused::ManagementError;
use crate::{api::error::ApiError, body::ResponseBody};

/// Request headers that api-server reads. `Origin` is left out, because this router has checked it already.
const FORWARDED_HEADERS: [HeaderName; 8] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::RANGE,
    HeaderName::from_static("x-api-key"),
];

/// Route of api-server that reads nothing, and asks for the control token where one is required.
const CHECK: &str = "/api/about";

/// Deadlines of a request to api-server, which is local and calls no provider for these routes.
const DEADLINES: Deadlines = Deadlines {
    connect: Duration::from_secs(2),
    headers: Duration::from_secs(30),
    idle: Duration::from_secs(30),
    total: Duration::from_secs(120),
};

/// Deadlines of a replay, which asks providers, several times if need be, and answers when all of them have.
const REPLAY_DEADLINES: Deadlines = Deadlines {
    headers: Duration::from_secs(3_600),
    idle: Duration::from_secs(600),
    total: Duration::from_secs(3_600),
    ..DEADLINES
};

impl Management {
    /// Forwards the request, and streams the answer back.
    ///
    /// # Errors
    /// Returns [`ManagementError::Unavailable`] if api-server does not answer, or the error of reading the request
    /// body.
    pub(super) async fn forward(
        &self,
        server: &InstanceRecord,
        request: Request<RequestBody>,
        path: &str,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let (head, body) = request.into_parts();
        let body = collect(&head.headers, body, self.max_body).await?;
        let sent = forwarded(&head).method(head.method).uri(path).body(body);
        let is_replay = path.split('?').next().is_some_and(|path| path.ends_with("/replay"));
        let deadlines = if is_replay { &REPLAY_DEADLINES } else { &DEADLINES };
        self.send(server, sent, deadlines).await
    }

    /// Asks an api-server that requires the control token whether the sender of a request has it. Returns the refusal
    /// of api-server; `None` if the sender is admitted.
    ///
    /// The token of api-server need not be that of the data directory.
    ///
    /// # Errors
    /// Returns [`ManagementError::Unavailable`] if api-server does not answer.
    pub(super) async fn refusal(
        &self,
        server: &InstanceRecord,
        head: &Parts,
    ) -> Result<Option<Response<ResponseBody>>, ApiError> {
        let asked = forwarded(head).uri(CHECK).body(Bytes::new());
        let response = self.send(server, asked, &DEADLINES).await?;
        Ok((!response.status().is_success()).then_some(response))
    }

    async fn send(
        &self,
        server: &InstanceRecord,
        request: http::Result<Request<Bytes>>,
        deadlines: &Deadlines,
    ) -> Result<Response<ResponseBody>, ApiError> {
        let away = |error: &dyn std::fmt::Display| ApiError::from(ManagementError::Unavailable(error.to_string()));
        let policy = AddressPolicy { allow_private: true, allow_loopback: true };
        let target =
            Target::parse(&format!("http://{}", server.reachable_addr()), &policy).map_err(|error| away(&error))?;
        let target = target.with_proxy(ProxyChoice::Direct);
        let request = request.map_err(|error| away(&error))?;
        let response = self.client.send(&target, request, deadlines).await.map_err(|error| away(&error))?;
        Ok(response.map(|body| ResponseBody::Api(Body::new(body))))
    }
}

/// Returns a request on behalf of another one, with the headers that api-server reads.
fn forwarded(head: &Parts) -> Builder {
    let mut forwarded = Request::builder().header(FORWARDED, caller::value(head.extensions.get()));
    for name in FORWARDED_HEADERS {
        for value in head.headers.get_all(&name) {
            forwarded = forwarded.header(&name, value);
        }
    }
    if let Some(headers) = forwarded.headers_mut() {
        let context = RequestContext::of(&head.extensions);
        context.add_trace(context.span(), headers);
    }
    forwarded
}
