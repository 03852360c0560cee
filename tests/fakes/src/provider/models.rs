//! The list of models, in the form of the vendor that is asked.

use serde_json::json;

use crate::{
    chat::Events,
    http::Request,
    play::{Answer, Stage, Then},
    script::{Body, Chat},
    server::{Shared, send},
    wire::Wire,
};

/// Path of the list, which is also the name of its script.
pub(super) const PATH: &str = "/v1/models";

const MODELS: &str = r#"{"object":"list","data":[{"id":"fake-echo","object":"model","created":1700000000,"owned_by":"fake"},{"id":"fake-60x100","object":"model","created":1700000000,"owned_by":"fake"}]}"#;

/// Returns whether a request follows Anthropic's API.
pub(super) fn is_anthropic(request: &Request) -> bool {
    request.header("anthropic-version").is_some()
}

/// Sends the list of models, unless a script for [`PATH`] replaces it.
pub(super) async fn answer(wire: &mut Wire, request: Request, shared: &Shared<Chat>) -> Then {
    let models = if is_anthropic(&request) { anthropic() } else { MODELS.to_owned() };
    let entry = shared.calls.begin(request, PATH.to_owned());
    let over = match shared.next_turn(PATH) {
        None => send(wire, 200, &models).await,
        Some((turn, gate)) => {
            let (content_type, body) = match &turn.body {
                Body::Raw { content_type, body } => (content_type.clone(), body.clone()),
                Body::Chat(_) | Body::Error => (Some("application/json".into()), models),
            };
            let stage = Stage { wire, turn: &turn, gate: &gate, calls: &shared.calls, entry: &entry };
            stage.perform(Answer::<Events>::Whole { content_type, body }).await
        }
    };
    shared.calls.end(&entry, over.end);
    over.then
}

fn anthropic() -> String {
    let models = ["fake-echo", "fake-60x100"].map(|id| {
        json!({
            "type": "model", "id": id, "display_name": id, "created_at": "2023-11-14T22:13:20Z",
            "max_input_tokens": 200_000, "max_tokens": 64_000, "lifecycle": "active",
        })
    });
    json!({"data": models, "has_more": false, "first_id": "fake-echo", "last_id": "fake-60x100"}).to_string()
}
