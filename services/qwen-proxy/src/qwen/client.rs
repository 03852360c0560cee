//! Calls to chat.qwen.ai.
//!
//! A call is retried only if that can help and does not burden the site: when no connection could be made, or after a
//! status of 500 or more; then up to the configured number of times, with exponential back-off. Responses of the
//! firewall and of rate limits are final.

use std::{future::poll_fn, pin::Pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header, uri::PathAndQuery};
use http_body::Body as _;
use serde::Serialize;
use signalbox_upstream::{Body, Client, Deadlines, Target};
use tokio::time::{Duration, sleep};

use super::{
    event,
    events::{Events, Kind},
    failure::{Failure, classify_response, details},
    login::Login,
    wire::{Completion, NewChat, opened_chat},
};
use crate::metrics::{Endpoint, Metrics};

/// Maximum bytes of a request. The site's firewall rejects larger ones.
pub const MAX_REQUEST: usize = 128 << 10;

/// Maximum bytes of a response that is read as a whole.
const MAX_BODY: usize = 8 << 20;

/// Maximum bytes of a completion that comes as one body instead of as events.
const MAX_COMPLETION: usize = 64 << 20;

/// Maximum bytes read of an error response.
const MAX_ERROR_BODY: usize = 64 << 10;

/// Settings for access to the site.
#[derive(Clone, Debug)]
pub struct Access {
    /// Base URL of the site.
    pub target: Target,
    /// Value of the `User-Agent` header.
    pub user_agent: HeaderValue,
    /// Deadlines of a call.
    pub deadlines: Deadlines,
    /// Maximum retries of a call.
    pub max_retries: u32,
    /// Delay before the first retry; it doubles with each one.
    pub retry_delay: Duration,
    /// Maximum delay between retries.
    pub max_retry_delay: Duration,
}

/// Client of chat.qwen.ai.
#[derive(Debug)]
pub struct Qwen {
    client: Client,
    access: Access,
    metrics: Arc<Metrics>,
}

impl Qwen {
    /// Creates a client with these settings.
    #[must_use]
    pub const fn new(client: Client, access: Access, metrics: Arc<Metrics>) -> Self {
        Self { client, access, metrics }
    }

    /// Opens a chat and returns its id.
    ///
    /// # Errors
    /// Returns the failure reported by the site.
    pub async fn new_chat(&self, login: &Login, chat: &NewChat<'_>) -> Result<String, Failure> {
        let response = self.call(Endpoint::NewChat, login, Method::POST, "/api/v2/chats/new", json(chat)).await?;
        let body = self.whole(response, login).await?;
        let opened = opened_chat(&body);
        if opened.is_some() {
            self.metrics.opened();
        }
        opened.ok_or_else(|| Failure::Unreadable("missing chat ID in the response to a new chat".to_owned()))
    }

    /// Requests an answer. Returns its events once the site has begun to answer, and the request body for the log.
    ///
    /// # Errors
    /// Returns the failure reported by the site, or [`Failure::TooLong`] without sending the request.
    pub async fn complete(
        &self,
        login: &Login,
        chat_id: &str,
        ask: &Completion<'_>,
    ) -> Result<(Events, Bytes), Failure> {
        let body = checked(ask)?;
        let path = format!("/api/v2/chat/completions?chat_id={chat_id}");
        let response = self.call(Endpoint::Completion, login, Method::POST, &path, body.clone()).await?;
        let (head, upstream) = response.into_parts();
        let mut events = Events::new(upstream, login.clone());
        // Errors come with status 200 and any content type; so do events.
        let content_type = content_type(&head.headers);
        match events.kind().await? {
            Kind::Events => return Ok((events, body)),
            Kind::Nothing if content_type.is_empty() || content_type.starts_with("text/event-stream") => {
                return Ok((events, body));
            }
            Kind::Nothing | Kind::Text => {}
        }
        let (begun, mut upstream) = events.into_rest();
        let said = read(begun, &mut upstream, MAX_COMPLETION).await?;
        if let Some(failure) = classify_response(head.status, &content_type, None, &said) {
            return Err(failure.scrubbed(login));
        }
        let whole = event::whole(&said);
        if whole.is_empty() {
            let said = login.scrub(details(&said));
            return Err(Failure::Unreadable(format!("expected events, got {content_type:?}: {said}")));
        }
        Ok((Events::whole(upstream, login.clone(), whole.into_iter()), body))
    }

    /// Returns the list of models in the site's format.
    ///
    /// # Errors
    /// Returns the failure reported by the site.
    pub async fn models(&self, login: &Login) -> Result<Bytes, Failure> {
        let response = self.call(Endpoint::Models, login, Method::GET, "/api/models", Bytes::new()).await?;
        self.whole(response, login).await
    }

    /// Sends a request, with retries, and returns the response head once its status is a success.
    async fn call(
        &self,
        endpoint: Endpoint,
        login: &Login,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Body>, Failure> {
        let path =
            self.access.target.path(path).map_err(|error| Failure::Unreadable(format!("invalid path: {error}")))?;
        let mut pause = self.access.retry_delay;
        let mut retries = self.access.max_retries;
        loop {
            let request = self.request(login, method.clone(), path.clone(), body.clone());
            let (failure, repeat) = match self.client.send(&self.access.target, request, &self.access.deadlines).await {
                Ok(response) => {
                    self.metrics.called(endpoint, response.status().as_u16());
                    let repeat = response.status().is_server_error();
                    match refusal(response).await {
                        Ok(response) => return Ok(response),
                        Err(failure) => (failure.scrubbed(login), repeat),
                    }
                }
                Err(error) => {
                    self.metrics.called(endpoint, 0);
                    let repeat = error.may_retry();
                    (error.into(), repeat)
                }
            };
            if !repeat || retries == 0 {
                return Err(failure);
            }
            tracing::info!(endpoint = endpoint.as_str(), code = failure.code(), "retrying a call to chat.qwen.ai");
            retries -= 1;
            sleep(pause).await;
            pause = (pause * 2).min(self.access.max_retry_delay);
        }
    }

    fn request(&self, login: &Login, method: Method, path: PathAndQuery, body: Bytes) -> Request<Bytes> {
        let mut headers = HeaderMap::new();
        login.add_to(&mut headers);
        headers.insert(header::USER_AGENT, self.access.user_agent.clone());
        if !body.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let mut request = Request::new(body);
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, Uri::from(path), headers);
        request
    }

    async fn whole(&self, response: Response<Body>, login: &Login) -> Result<Bytes, Failure> {
        let (head, mut body) = response.into_parts();
        let body = read(Bytes::new(), &mut body, MAX_BODY).await?;
        match classify_response(head.status, &content_type(&head.headers), None, &body) {
            Some(failure) => Err(failure.scrubbed(login)),
            None => Ok(body),
        }
    }
}

/// Serialises a request and checks its size.
///
/// # Errors
/// Returns [`Failure::TooLong`] if the site's firewall would reject it.
pub fn checked(ask: &Completion<'_>) -> Result<Bytes, Failure> {
    let body = json(ask);
    if body.len() > MAX_REQUEST {
        return Err(Failure::TooLong { size: body.len(), limit: MAX_REQUEST });
    }
    Ok(body)
}

/// Returns a response with a success status; converts any other into a failure.
async fn refusal(response: Response<Body>) -> Result<Response<Body>, Failure> {
    if response.status().is_success() {
        return Ok(response);
    }
    let (head, mut body) = response.into_parts();
    let said = read(Bytes::new(), &mut body, MAX_ERROR_BODY).await.unwrap_or_default();
    let unreadable = || Failure::Unreadable(format!("HTTP {}", head.status.as_u16()));
    Err(classify_response(head.status, &content_type(&head.headers), retry_after(&head.headers), &said)
        .unwrap_or_else(unreadable))
}

/// Reads the body up to `limit` bytes; the rest is dropped.
async fn read(begun: Bytes, body: &mut Body, limit: usize) -> Result<Bytes, Failure> {
    let mut whole = BytesMut::from(&*begun);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        if let Ok(data) = frame.map_err(Failure::from)?.into_data() {
            let room = limit.saturating_sub(whole.len());
            whole.extend_from_slice(&data[..data.len().min(room)]);
            if room < data.len() {
                break;
            }
        }
    }
    Ok(whole.freeze())
}

fn json(value: &impl Serialize) -> Bytes {
    // Serialising strings and numbers never fails.
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase()
}

/// Parses `Retry-After` in seconds; the site sends no dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
