//! Calls to chat.qwen.ai.
//!
//! A call is repeated only where that can help and cannot annoy: when no connection could be made, or after a status of
//! 500 or more; then a few times with growing pauses. What the firewall or a limit has said stands.

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
    failure::{Failure, details, judge},
    login::Login,
    wire::{Completion, NewChat, opened_chat},
};
use crate::metrics::{Endpoint, Metrics};

/// The firewall turns larger requests away.
pub const MAX_REQUEST: usize = 128 << 10;

/// Maximum bytes of an answer that is read whole.
const MAX_WHOLE: usize = 8 << 20;

/// Maximum bytes of a completion that comes whole instead of as events.
const MAX_COMPLETION: usize = 64 << 20;

/// A refusal is read up to here.
const MAX_REFUSAL: usize = 64 << 10;

/// How to reach the site.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where it is.
    pub target: Target,
    /// What browser we say we are.
    pub user_agent: HeaderValue,
    /// How long it may take.
    pub deadlines: Deadlines,
    /// How often a call is repeated.
    pub max_retries: u32,
    /// The first pause before a repetition; each one doubles it.
    pub retry_delay: Duration,
    /// The longest pause.
    pub max_retry_delay: Duration,
}

/// The client of chat.qwen.ai.
#[derive(Debug)]
pub struct Qwen {
    client: Client,
    access: Access,
    metrics: Arc<Metrics>,
}

impl Qwen {
    /// A client that goes this way.
    #[must_use]
    pub const fn new(client: Client, access: Access, metrics: Arc<Metrics>) -> Self {
        Self { client, access, metrics }
    }

    /// Opens a chat; answers its id.
    ///
    /// # Errors
    /// What the site said instead.
    pub async fn new_chat(&self, login: &Login, chat: &NewChat<'_>) -> Result<String, Failure> {
        let response = self.call(Endpoint::NewChat, login, Method::POST, "/api/v2/chats/new", json(chat)).await?;
        let body = self.whole(response, login).await?;
        let opened = opened_chat(&body);
        if opened.is_some() {
            self.metrics.opened();
        }
        opened.ok_or_else(|| Failure::Unreadable("missing chat ID in the answer to a new chat".to_owned()))
    }

    /// Asks for an answer: its events, once the site has begun to answer. Answers with what was sent, too, for the log.
    ///
    /// # Errors
    /// What the site said instead; [`Failure::TooLong`] without having asked.
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
        // Refusals come with status 200 and any content type; events do, too.
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
        if let Some(failure) = judge(head.status, &content_type, None, &said) {
            return Err(failure.scrubbed(login));
        }
        let whole = event::whole(&said);
        if whole.is_empty() {
            let said = login.scrub(details(&said));
            return Err(Failure::Unreadable(format!("events were expected, {content_type:?} came: {said}")));
        }
        Ok((Events::whole(upstream, login.clone(), whole.into_iter()), body))
    }

    /// The list of models, as the site has it.
    ///
    /// # Errors
    /// What the site said instead.
    pub async fn models(&self, login: &Login) -> Result<Bytes, Failure> {
        let response = self.call(Endpoint::Models, login, Method::GET, "/api/models", Bytes::new()).await?;
        self.whole(response, login).await
    }

    /// Sends a request until there is the head of an answer whose status is no failure.
    async fn call(
        &self,
        endpoint: Endpoint,
        login: &Login,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Body>, Failure> {
        let path =
            self.access.target.path(path).map_err(|error| Failure::Unreadable(format!("a bad path: {error}")))?;
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
            tracing::info!(endpoint = endpoint.as_str(), code = failure.code(), "chat.qwen.ai is asked again");
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
        let body = read(Bytes::new(), &mut body, MAX_WHOLE).await?;
        match judge(head.status, &content_type(&head.headers), None, &body) {
            Some(failure) => Err(failure.scrubbed(login)),
            None => Ok(body),
        }
    }
}

/// The request as it is sent, if the firewall lets it through.
///
/// # Errors
/// [`Failure::TooLong`].
pub fn checked(ask: &Completion<'_>) -> Result<Bytes, Failure> {
    let body = json(ask);
    if body.len() > MAX_REQUEST {
        return Err(Failure::TooLong { size: body.len(), limit: MAX_REQUEST });
    }
    Ok(body)
}

/// Passes an answer whose status is good; reads what another one says.
async fn refusal(response: Response<Body>) -> Result<Response<Body>, Failure> {
    if response.status().is_success() {
        return Ok(response);
    }
    let (head, mut body) = response.into_parts();
    let said = read(Bytes::new(), &mut body, MAX_REFUSAL).await.unwrap_or_default();
    let unreadable = || Failure::Unreadable(format!("HTTP {}", head.status.as_u16()));
    Err(judge(head.status, &content_type(&head.headers), retry_after(&head.headers), &said).unwrap_or_else(unreadable))
}

/// Reads `limit` bytes at most.
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
    // There are only texts and numbers in it.
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn content_type(headers: &HeaderMap) -> String {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase()
}

/// Seconds to wait; the site gives no dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
