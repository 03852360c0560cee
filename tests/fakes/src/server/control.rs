//! The endpoints below `/_fake/`, with which another process scripts the fake and reads its call log.
//!
//! | Request | Body | Answer |
//! |---|---|---|
//! | `POST /_fake/script` | `{"model": …, "script": {"turns": […]}}` | `{"ok":true}`; 400 with the reason |
//! | `POST /_fake/release` | `{"model": …, "events": n}` | `{"ok":true}`; 404 if the model has no script |
//! | `GET /_fake/calls` | | `{"connections": n, "calls": […]}`, oldest first |
//! | `DELETE /_fake/calls` | | `{"ok":true}` |
//!
//! `fake-qwen` scripts kinds of calls instead of models: its bodies have `call` in place of `model`.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use super::{Shared, error};
use crate::{calls::Call, http::Request, script::Script};

/// Maximum bytes of a body that are shown; the length and checksum shown are those of the whole body.
const SHOWN: usize = 64 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(deserialize = "C: Default + Deserialize<'de>"))]
struct SetScript<C> {
    #[serde(alias = "call")]
    model: String,
    script: Script<C>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    #[serde(alias = "call")]
    model: String,
    events: u32,
}

pub(crate) fn answer<C>(request: &Request, shared: &Shared<C>) -> (u16, String)
where
    C: Clone + Default + DeserializeOwned,
{
    let ok = || (200, json!({"ok": true}).to_string());
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/_fake/script") => match serde_json::from_slice::<SetScript<C>>(&request.body) {
            Ok(set) => {
                shared.script(set.model, set.script);
                ok()
            }
            Err(reason) => (400, error("bad_script", &reason.to_string())),
        },
        ("POST", "/_fake/release") => match serde_json::from_slice::<Release>(&request.body) {
            Ok(release) => match shared.gate(&release.model) {
                Some(gate) => {
                    gate.release(release.events as usize);
                    ok()
                }
                None => (404, error("no_script", "This model has no script.")),
            },
            Err(reason) => (400, error("bad_release", &reason.to_string())),
        },
        ("GET", "/_fake/calls") => {
            let calls: Vec<_> = shared.calls.calls().iter().map(show).collect();
            (200, json!({"connections": shared.connections(), "calls": calls}).to_string())
        }
        ("DELETE", "/_fake/calls") => {
            shared.calls.clear();
            ok()
        }
        _ => (404, error("unknown_url", "POST script, POST release, GET calls, DELETE calls.")),
    }
}

fn show(call: &Call) -> serde_json::Value {
    let shown = &call.body[..call.body.len().min(SHOWN)];
    json!({
        "arrived": call.arrived,
        "method": call.method,
        "path": call.path,
        "headers": call.headers,
        "body": String::from_utf8_lossy(shown),
        "body_len": call.body.len(),
        "body_crc32": crc32fast::hash(&call.body),
        "model": call.model,
        "events_sent": call.events_sent,
        "ended": call.ended.map(|(order, _)| order),
        "end": call.end(),
    })
}
