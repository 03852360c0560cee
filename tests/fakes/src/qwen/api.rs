//! The endpoints of the site.
//!
//! In addition to the control endpoints of all fakes below `/_fake/` (see `server/control.rs`; `call` is `models`,
//! `new_chat` or `completion`):
//!
//! | Request | Body | Answer |
//! |---|---|---|
//! | `POST /_fake/forget` | | `{"ok":true}`; all chats are forgotten |
//! | `POST /_fake/token` | `{"token": …}` | `{"ok":true}`; only this token is accepted, or any if null |
//! | `GET /_fake/complaints` | | `[…]`, the errors found in requests |

use std::sync::PoisonError;

use serde_json::{Value, json};

use crate::{
    gate::Gate,
    http::Request,
    play::{Answer, Stage, Then},
    script::Body,
    server::{Api, Shared, control, error, send},
    wire::Wire,
};

use super::{
    Endpoint, Reply, Site, Turn,
    answer::{Events, tokens, whole},
    chats::{Exchange, Lost},
    form, gatekeeper,
    mind::{Heard, Thought, answer as think},
    trouble,
};

// === impl Api for Site ===

impl Api for Site {
    type Chat = Reply;

    fn shared(&self) -> &Shared<Reply> {
        &self.shared
    }

    async fn answer(&self, wire: &mut Wire, request: Request) -> Then {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if path.starts_with("/_fake/") {
            let (status, body) = self.control(&request);
            return send(wire, status, &body).await.then;
        }
        let Some(endpoint) = Endpoint::of(&request.method, path) else {
            let body = error("unknown_url", "This path does not exist.");
            let entry = self.shared.calls.begin(request, String::new());
            let over = send(wire, 404, &body).await;
            self.shared.calls.end(&entry, over.end);
            return over.then;
        };
        let chat_id = query.split('&').find_map(|pair| pair.strip_prefix("chat_id=")).unwrap_or_default().to_owned();
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let model = body["model"].as_str().or_else(|| body["models"][0].as_str()).unwrap_or_default().to_owned();
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let away = gatekeeper::turned_away(endpoint, &request, token.as_deref()).map(|turn| (turn, Gate::closed()));
        let entry = self.shared.calls.begin(request, model.clone());
        let (turn, gate) = away.or_else(|| self.shared.next_turn(endpoint.name())).unwrap_or_else(|| {
            let turn = trouble::turn(endpoint, &model).unwrap_or_default();
            (turn, Gate::closed())
        });
        let answer = self.prepare(endpoint, &turn, &body, &chat_id);
        let stage = Stage { wire, turn: &turn, gate: &gate, calls: &self.shared.calls, entry: &entry };
        let over = stage.perform(answer).await;
        self.shared.calls.end(&entry, over.end);
        over.then
    }
}

// === impl Site ===

impl Site {
    pub(super) fn accept_only(&self, token: Option<String>) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    fn prepare(&self, endpoint: Endpoint, turn: &Turn, body: &Value, chat_id: &str) -> Answer<Events> {
        let reply = match &turn.body {
            Body::Chat(reply) => reply,
            Body::Error => {
                let body = error("server_error", "The fake responds with an error, as scripted.");
                return Answer::Whole { content_type: Some("application/json".into()), body };
            }
            Body::Raw { content_type, body } => {
                return Answer::Whole { content_type: content_type.clone(), body: body.clone() };
            }
        };
        match endpoint {
            Endpoint::Models => json_answer(models()),
            Endpoint::NewChat => match form::new_chat(body).as_slice() {
                [] => {
                    let data = json!({"id": self.chats.open()});
                    json_answer(
                        json!({"success": true, "request_id": super::chats::new_id(), "data": data}).to_string(),
                    )
                }
                wrong => self.complain(wrong),
            },
            Endpoint::Completion => self.complete(reply, body, chat_id),
        }
    }

    fn complete(&self, reply: &Reply, body: &Value, chat_id: &str) -> Answer<Events> {
        let asked = match form::completion(body, chat_id) {
            Ok(asked) => asked,
            Err(wrong) => return self.complain(&wrong),
        };
        let before = match self.chats.before(&asked.chat_id, asked.parent_id.as_deref()) {
            Ok(before) => before,
            Err(Lost::Chat) => return refuse("Not_Found", &format!("The chat {chat_id} is not exist.")),
            Err(Lost::Parent(parent)) => {
                return refuse("Bad_Request", &format!("Invalid input chat parent_id {parent} is not exist."));
            }
        };
        let chain = Exchange::chain(before.as_ref());
        let system = chain.iter().filter_map(|exchange| exchange.system.as_deref()).chain(asked.system.as_deref());
        let user = chain.iter().map(|exchange| exchange.user.as_str()).chain([asked.user.as_str()]);
        let number = self.shared.calls.tick();
        let heard = Heard { system: system.collect(), user: user.collect(), number };
        let answers = chain.iter().map(|exchange| exchange.answer.as_str());
        let input = heard.system.iter().chain(&heard.user).copied().chain(answers).map(tokens).sum();
        let mut thought = think(&heard);
        if asked.parent_id.is_some() && asked.system.is_some() {
            // The site answers such a request with an empty text; the cause is unknown, but it always does.
            self.note("a system message was sent after the first turn");
            thought = Thought::default();
        }
        thought.text = reply.text.clone().unwrap_or(thought.text);
        thought.thinking = reply.thinking.clone().unwrap_or(thought.thinking);
        let answer = thought.text.clone();
        let ids = self.chats.keep(chat_id, Exchange { before, system: asked.system, user: asked.user, answer });
        if asked.stream {
            return Answer::Stream(Events::new(chat_id, &ids, &thought, reply, input));
        }
        json_answer(whole(&thought, &ids))
    }

    fn complain(&self, wrong: &[String]) -> Answer<Events> {
        let wrong = wrong.join("; ");
        self.note(&wrong);
        refuse("Bad_Request", &wrong)
    }

    fn note(&self, complaint: &str) {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).push(complaint.to_owned());
    }

    fn control(&self, request: &Request) -> (u16, String) {
        let ok = || (200, json!({"ok": true}).to_string());
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/_fake/forget") => {
                self.chats.forget();
                ok()
            }
            ("POST", "/_fake/token") => match serde_json::from_slice::<Value>(&request.body) {
                Ok(body) if body.get("token").is_some_and(|token| token.is_string() || token.is_null()) => {
                    self.accept_only(body["token"].as_str().map(str::to_owned));
                    ok()
                }
                _ => (400, error("bad_token", "The body must be {\"token\": TEXT} or {\"token\": null}.")),
            },
            ("GET", "/_fake/complaints") => {
                let complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
                (200, json!(*complaints).to_string())
            }
            _ => control::answer(request, &self.shared),
        }
    }
}

fn json_answer(body: String) -> Answer<Events> {
    Answer::Whole { content_type: Some("application/json".into()), body }
}

fn refuse(code: &str, details: &str) -> Answer<Events> {
    let data = json!({"code": code, "details": details});
    json_answer(json!({"success": false, "request_id": super::chats::new_id(), "data": data}).to_string())
}

fn models() -> String {
    let model = |id: &str, context: u32, visitors: bool, active: bool| {
        let capabilities = json!({
            "vision": id.contains("vl"), "document": true, "video": false, "audio": false, "citations": false,
            "thinking": true, "thinking_budget": true,
        });
        let abilities = json!({"vision": u8::from(id.contains("vl")), "document": 1, "thinking": 4});
        let meta = json!({
            "profile_image_url": "/static/favicon.png", "description": format!("Model {id} of the fake."),
            "short_description": id, "capabilities": capabilities, "abilities": abilities,
            "max_context_length": context, "max_generation_length": 32_768,
            "chat_type": ["t2t", "search"], "modality": ["text"],
        });
        let info = json!({
            "id": id, "user_id": "system", "base_model_id": null, "name": id, "meta": meta, "access_control": null,
            "is_active": active, "is_visitor_active": visitors, "created_at": 1_700_000_000, "updated_at": 1_700_000_000,
        });
        json!({
            "id": id, "name": id, "object": "model", "owned_by": "qwen", "info": info, "preset": true, "action_ids": [],
        })
    };
    let data = [
        model("qwen3-max", 262_144, true, true),
        model("qwen3-coder-plus", 1_048_576, true, true),
        model("qwen3-vl-plus", 262_144, false, true),
        model("qwen-retired", 32_768, false, false),
    ];
    json!({"data": data}).to_string()
}
