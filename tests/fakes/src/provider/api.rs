//! The endpoints of an OpenAI-compatible provider.

use crate::{
    chat::{Asked, Events, whole},
    gate::Gate,
    http::Request,
    play::{Answer, Stage, Then},
    script::{Body, Chat, Turn, names},
    server::{Api, Shared, control, error, send},
    wire::Wire,
};

/// Name of the script for the list of models.
pub(super) const MODELS_PATH: &str = "/v1/models";

const MODELS: &str = r#"{"object":"list","data":[{"id":"fake-echo","object":"model","created":1700000000,"owned_by":"fake"},{"id":"fake-60x100","object":"model","created":1700000000,"owned_by":"fake"}]}"#;

// === impl Api for Shared ===

impl Api for Shared<Chat> {
    type Chat = Chat;

    fn shared(&self) -> &Self {
        self
    }

    async fn answer(&self, wire: &mut Wire, request: Request) -> Then {
        let path = request.path.split('?').next().unwrap_or_default();
        if path.starts_with("/_fake/") {
            let (status, body) = control::answer(&request, self);
            return send(wire, status, &body).await.then;
        }
        let (status, body) = match (request.method.as_str(), path) {
            ("POST", "/v1/chat/completions") => return chat(wire, request, self).await,
            ("GET", MODELS_PATH) => return models(wire, request, self).await,
            ("GET", "/health") => (200, r#"{"status":"ok"}"#.to_owned()),
            _ => (404, error("unknown_url", "This path does not exist.")),
        };
        let entry = self.calls.begin(request, String::new());
        let over = send(wire, status, &body).await;
        self.calls.end(&entry, over.end);
        over.then
    }
}

/// Sends the list of models, unless a script for [`MODELS_PATH`] replaces it.
async fn models(wire: &mut Wire, request: Request, shared: &Shared<Chat>) -> Then {
    let entry = shared.calls.begin(request, MODELS_PATH.to_owned());
    let over = match shared.next_turn(MODELS_PATH) {
        None => send(wire, 200, MODELS).await,
        Some((turn, gate)) => {
            let (content_type, body) = match &turn.body {
                Body::Raw { content_type, body } => (content_type.clone(), body.clone()),
                Body::Chat(_) => (Some("application/json".into()), MODELS.to_owned()),
            };
            let stage = Stage { wire, turn: &turn, gate: &gate, calls: &shared.calls, entry: &entry };
            stage.perform(Answer::<Events>::Whole { content_type, body }).await
        }
    };
    shared.calls.end(&entry, over.end);
    over.then
}

async fn chat(wire: &mut Wire, request: Request, shared: &Shared<Chat>) -> Then {
    let body = request.body.clone();
    let asked = match serde_json::from_slice::<Asked<'_>>(&body) {
        Ok(asked) => asked,
        Err(reason) => {
            let entry = shared.calls.begin(request, String::new());
            let over = send(wire, 400, &error("invalid_json", &reason.to_string())).await;
            shared.calls.end(&entry, over.end);
            return over.then;
        }
    };
    let entry = shared.calls.begin(request, asked.model.clone().into_owned());
    // Precedence: the script, then the model name, then an echo.
    let scripted = shared.next_turn(&asked.model);
    let (turn, gate) = scripted.unwrap_or_else(|| (names::turn(&asked.model).unwrap_or_default(), Gate::closed()));
    let stage = Stage { wire, turn: &turn, gate: &gate, calls: &shared.calls, entry: &entry };
    let over = stage.perform(answer(&turn, &asked)).await;
    shared.calls.end(&entry, over.end);
    over.then
}

fn answer(turn: &Turn, asked: &Asked<'_>) -> Answer<Events> {
    match &turn.body {
        Body::Chat(chat) if asked.streams() && turn.status == 200 => Answer::Stream(Events::new(asked, chat)),
        Body::Chat(chat) => Answer::Whole { content_type: Some("application/json".into()), body: whole(asked, chat) },
        Body::Raw { content_type, body } => Answer::Whole { content_type: content_type.clone(), body: body.clone() },
    }
}
