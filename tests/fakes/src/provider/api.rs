//! The endpoints of a provider.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use serde_json::Value;

use super::{direct, models};
use crate::{
    chat::{self, whole},
    gate::Gate,
    http::Request,
    messages,
    play::{Answer, Over, Stage, Then},
    responses::{self, Store},
    script::{Body, Chat, Turn, names},
    server::{Api, Shared, control, error, send, send_events},
    surface::{Origin, Refusal, Surface},
    wire::Wire,
};

/// Name of the script for the count of tokens.
const COUNT_PATH: &str = "/v1/messages/count_tokens";
const RESPONSES_PATH: &str = "/v1/responses";

/// A provider, as its connections see it.
#[derive(Debug, Default)]
pub(super) struct Provider {
    pub(super) shared: Shared<Chat>,
    pub(super) key: RwLock<Option<String>>,
    /// Whether every answer is sent in an odd way.
    pub(super) is_rude: bool,
    store: Arc<Store>,
    numbers: AtomicU64,
}

/// The vendor whose headers and errors an endpoint has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vendor {
    OpenAi,
    Anthropic,
}

// === impl Api for Provider ===

impl Api for Provider {
    type Chat = Chat;

    fn shared(&self) -> &Shared<Chat> {
        &self.shared
    }

    async fn answer(&self, wire: &mut Wire, request: Request) -> Then {
        let path = request.path.split('?').next().unwrap_or_default().to_owned();
        if path.starts_with("/_fake/") {
            let (status, body) = control::answer(&request, &self.shared);
            return send(wire, status, &body).await.then;
        }
        let anthropic = path.starts_with("/v1/messages") || models::is_anthropic(&request);
        let vendor = if anthropic { Vendor::Anthropic } else { Vendor::OpenAi };
        let id = self.numbers.fetch_add(1, Ordering::SeqCst) + 1;
        if path.starts_with("/v1/") && !self.admits(&request, vendor) {
            return self.refuse(wire, request, vendor, id, &no_key(vendor)).await;
        }
        match (request.method.as_str(), path.as_str()) {
            ("POST", "/v1/chat/completions") => self.chat(wire, request).await,
            ("POST", "/v1/messages") => self.ask::<messages::Asked>(wire, request, id).await,
            ("POST", COUNT_PATH) => self.count(wire, request, id).await,
            ("POST", RESPONSES_PATH) => self.ask::<responses::Asked>(wire, request, id).await,
            ("POST", path) if direct::is_path(path) => {
                let path = path.to_owned();
                self.direct(wire, request, &path).await
            }
            ("GET", models::PATH) => models::answer(wire, request, &self.shared).await,
            ("GET", "/health") => self.plain(wire, request, 200, r#"{"status":"ok"}"#.to_owned()).await,
            (method, path) => {
                let (status, body) = match path.strip_prefix(RESPONSES_PATH).and_then(|rest| rest.strip_prefix('/')) {
                    Some(id) if method == "GET" && request.path.contains("stream=true") => {
                        return self.stored_events(wire, request, id).await;
                    }
                    Some(id) => self.stored(method, id),
                    None if vendor == Vendor::Anthropic => {
                        let refusal = Refusal { status: 404, ..Refusal::bad("Not Found") };
                        (404, messages::Asked::error(&refusal, &request_id(id)))
                    }
                    None => (404, error("unknown_url", "This path does not exist.")),
                };
                self.plain(wire, request, status, body).await
            }
        }
    }
}

// === impl Provider ===

impl Provider {
    pub(super) fn new(is_rude: bool) -> Self {
        Self { is_rude, ..Self::default() }
    }

    /// Returns whether a request has the required key, if any.
    fn admits(&self, request: &Request, vendor: Vendor) -> bool {
        let key = self.key.read().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = key.as_deref() else { return true };
        let bearer = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        bearer == Some(key) || (vendor == Vendor::Anthropic && request.header("x-api-key") == Some(key))
    }

    /// Answers a request that is not an answer of a model.
    async fn plain(&self, wire: &mut Wire, request: Request, status: u16, body: String) -> Then {
        let entry = self.shared.calls.begin(request, String::new());
        let over = send(wire, status, &body).await;
        self.shared.calls.end(&entry, over.end);
        over.then
    }

    /// Refuses a request with the error of the vendor.
    async fn refuse(&self, wire: &mut Wire, request: Request, vendor: Vendor, id: u64, refusal: &Refusal) -> Then {
        let model = model_of(&request);
        let body = match vendor {
            Vendor::Anthropic => messages::Asked::error(refusal, &request_id(id)),
            Vendor::OpenAi => refusal.openai(),
        };
        let turn = Turn { status: refusal.status, ..Turn::raw("application/json", body.clone()) };
        let answer = Answer::Whole { content_type: Some("application/json".into()), body };
        self.perform::<chat::Events>(wire, request, &model, (vendor.sign(turn, id), Gate::closed()), answer).await
    }

    /// Answers a request of Messages or Responses.
    async fn ask<S: Surface>(&self, wire: &mut Wire, request: Request, id: u64) -> Then {
        let vendor = if request.path.starts_with(RESPONSES_PATH) { Vendor::OpenAi } else { Vendor::Anthropic };
        let json = Some("application/json".to_owned());
        let (model, asked) = match self.check(&request, id, S::check) {
            Ok(checked) => checked,
            Err(refusal) => {
                // A provider that is down judges no request.
                let model = model_of(&request);
                let (turn, gate) = self.turn(&model);
                if !matches!(turn.body, Body::Error) || turn.status < 500 {
                    return self.refuse(wire, request, vendor, id, &refusal).await;
                }
                let body = S::error(&Refusal::scripted(turn.status), &request_id(id));
                let answer = Answer::Whole { content_type: json, body };
                return self.perform::<S::Events>(wire, request, &model, (vendor.sign(turn, id), gate), answer).await;
            }
        };
        let (turn, gate) = self.turn(&model);
        let answer = match &turn.body {
            Body::Chat(chat) if asked.streams() && turn.status == 200 => Answer::Stream(asked.events(chat)),
            Body::Chat(chat) => Answer::Whole { content_type: json, body: asked.whole(chat) },
            Body::Error => {
                let body = S::error(&Refusal::scripted(turn.status), &request_id(id));
                Answer::Whole { content_type: json, body }
            }
            Body::Raw { content_type, body } => {
                Answer::Whole { content_type: content_type.clone(), body: body.clone() }
            }
        };
        self.perform(wire, request, &model, (vendor.sign(turn, id), gate), answer).await
    }

    /// Parses a request and judges it. Returns its model, too.
    fn check<T>(
        &self,
        request: &Request,
        number: u64,
        judge: impl FnOnce(Value, &Origin<'_>) -> Result<T, Refusal>,
    ) -> Result<(String, T), Refusal> {
        let body: Value = serde_json::from_slice(&request.body)
            .map_err(|reason| Refusal::bad(format!("The body is not valid JSON: {reason}")))?;
        let model = body["model"].as_str().unwrap_or_default().to_owned();
        let origin = Origin { request, number, store: &self.store };
        Ok((model, judge(body, &origin)?))
    }

    /// Answers a count of tokens. It takes no turn of the model's script, but has one of its own.
    async fn count(&self, wire: &mut Wire, request: Request, id: u64) -> Then {
        let model = match self.check(&request, id, |body, origin| messages::check_count(&body, origin)) {
            Ok((model, ())) => model,
            Err(refusal) => return self.refuse(wire, request, Vendor::Anthropic, id, &refusal).await,
        };
        let named = || (names::turn(&model).unwrap_or_default(), Gate::closed());
        let (turn, gate) = self.shared.next_turn(COUNT_PATH).unwrap_or_else(named);
        let json = Some("application/json".to_owned());
        let answer = match &turn.body {
            Body::Chat(chat) => Answer::Whole { content_type: json, body: messages::count(&chat.tokens) },
            Body::Error => {
                let body = messages::Asked::error(&Refusal::scripted(turn.status), &request_id(id));
                Answer::Whole { content_type: json, body }
            }
            Body::Raw { content_type, body } => {
                Answer::Whole { content_type: content_type.clone(), body: body.clone() }
            }
        };
        self.perform::<chat::Events>(wire, request, &model, (Vendor::Anthropic.sign(turn, id), gate), answer).await
    }

    async fn chat(&self, wire: &mut Wire, request: Request) -> Then {
        let body = request.body.clone();
        let asked = match serde_json::from_slice::<chat::Asked<'_>>(&body) {
            Ok(asked) => asked,
            Err(reason) => {
                return self.plain(wire, request, 400, error("invalid_json", &reason.to_string())).await;
            }
        };
        let (turn, gate) = self.turn(&asked.model);
        let json = Some("application/json".to_owned());
        let answer = match &turn.body {
            Body::Chat(chat) if asked.streams() && turn.status == 200 => {
                Answer::Stream(chat::Events::new(&asked, chat))
            }
            Body::Chat(chat) => Answer::Whole { content_type: json, body: whole(&asked, chat) },
            Body::Error => Answer::Whole { content_type: json, body: Refusal::scripted(turn.status).openai() },
            Body::Raw { content_type, body } => {
                Answer::Whole { content_type: content_type.clone(), body: body.clone() }
            }
        };
        self.perform(wire, request, &asked.model, (turn, gate), answer).await
    }

    /// Answers a request of an API without a grammar of its own.
    async fn direct(&self, wire: &mut Wire, request: Request, path: &str) -> Then {
        let body = serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
        let model = body["model"].as_str().unwrap_or_default().to_owned();
        let (turn, gate) = self.turn(&model);
        let (content_type, body) = match &turn.body {
            Body::Raw { content_type, body } => (content_type.clone(), body.clone()),
            Body::Error => (Some("application/json".to_owned()), Refusal::scripted(turn.status).openai()),
            Body::Chat(_) => (Some("application/json".to_owned()), direct::answer(path, &body).to_string()),
        };
        let answer = Answer::Whole { content_type, body };
        self.perform::<chat::Events>(wire, request, &model, (turn, gate), answer).await
    }

    /// Returns the turn of the next call of a model. Precedence: the script, then the model name, then an echo.
    fn turn(&self, model: &str) -> (Turn, Gate) {
        if let Some(next) = self.shared.next_turn(model) {
            return next;
        }
        if let Some(script) = names::script(model) {
            self.shared.script(model.to_owned(), script);
            if let Some(next) = self.shared.next_turn(model) {
                return next;
            }
        }
        (names::turn(model).unwrap_or_default(), Gate::closed())
    }

    async fn perform<S>(
        &self,
        wire: &mut Wire,
        request: Request,
        model: &str,
        (turn, gate): (Turn, Gate),
        answer: Answer<S>,
    ) -> Then
    where
        S: crate::play::Stream<Piece: Send + Sync> + Send + Sync,
    {
        let calls = &self.shared.calls;
        // A router asks for no coding and decodes every one; a program of a test without this header decodes none.
        let may_decode = request.header("accept-encoding") == Some("identity");
        let turn = if self.is_rude { turn.rude(may_decode) } else { turn };
        let entry = calls.begin(request, model.to_owned());
        let stage = Stage { wire, turn: &turn, gate: &gate, calls, entry: &entry };
        let Over { end, then } = stage.perform(answer).await;
        calls.end(&entry, end);
        then
    }

    /// Answers with the last event of a stored response. A place after it is refused in an error event, which quotes the
    /// key of the client.
    async fn stored_events(&self, wire: &mut Wire, request: Request, id: &str) -> Then {
        let Some(response) = self.store.response(id) else {
            let (status, body) = self.stored("GET", id);
            return self.plain(wire, request, status, body).await;
        };
        let is_beyond = request.path.split(['?', '&']).any(|pair| pair.starts_with("starting_after="));
        let event = if is_beyond {
            let key = request.header("authorization").unwrap_or_default();
            serde_json::json!({"type": "error", "message": format!("no such event for {key}"), "code": "not_found"})
        } else {
            serde_json::json!({"type": "response.completed", "sequence_number": 0, "response": response})
        };
        let body = format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
        let entry = self.shared.calls.begin(request, String::new());
        let over = send_events(wire, &body).await;
        self.shared.calls.end(&entry, over.end);
        over.then
    }

    /// Answers a request for a stored response.
    fn stored(&self, method: &str, id: &str) -> (u16, String) {
        let deleted = || serde_json::json!({"id": id, "object": "response", "deleted": true});
        let found = match method {
            "GET" => self.store.response(id),
            "DELETE" => self.store.delete(id).then(deleted),
            _ => None,
        };
        match found {
            Some(found) => (200, found.to_string()),
            None => {
                let refusal = Refusal { status: 404, ..Refusal::bad(format!("Response with id '{id}' not found.")) };
                (404, refusal.openai())
            }
        }
    }
}

// === impl Vendor ===

impl Vendor {
    /// Adds the header that names the request.
    fn sign(self, turn: Turn, id: u64) -> Turn {
        let name = if self == Self::Anthropic { "request-id" } else { "x-request-id" };
        if turn.headers.iter().any(|(known, _)| known == name) { turn } else { turn.header(name, &request_id(id)) }
    }
}

fn request_id(id: u64) -> String {
    format!("req_fake{id:016}")
}

/// Returns the model that a request names; empty if it names none.
fn model_of(request: &Request) -> String {
    let body = serde_json::from_slice::<Value>(&request.body).ok();
    body.and_then(|body| body["model"].as_str().map(str::to_owned)).unwrap_or_default()
}

fn no_key(vendor: Vendor) -> Refusal {
    let (message, code) = match vendor {
        Vendor::Anthropic => ("invalid x-api-key", None),
        Vendor::OpenAi => ("Incorrect API key provided.", Some("invalid_api_key")),
    };
    Refusal { status: 401, message: message.into(), param: None, code }
}
