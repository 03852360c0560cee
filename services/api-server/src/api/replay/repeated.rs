//! Several replays of one request, one after the other, to compare their times and outcomes.

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::BodyExt as _;
use serde::Serialize;
use signalbox_daemon::REQUEST_ID;
use tokio::time::Instant;

use super::note;
use crate::api::playground::unanswered;
use crate::api::{App, Error};

/// The outcomes of several replays. Their answers are in the log.
#[derive(Debug, Serialize)]
pub(super) struct Replays {
    /// The `request_id` of the request that was repeated.
    replay_of: String,
    /// In their order.
    replays: Vec<Replay>,
}

/// The outcome of a replay.
#[derive(Debug, Serialize)]
struct Replay {
    /// Its id in the log; null if the router did not answer.
    request_id: Option<String>,
    /// The status of the response; null if the router did not answer.
    status_code: Option<u16>,
    /// Milliseconds until the last byte.
    duration_ms: u64,
    /// Whether the response came to its end.
    complete: bool,
    /// Reason for which the router did not answer. No further replay is sent then.
    error: Option<String>,
}

/// Sends a body this number of times, and reads each answer to its end.
pub(super) async fn repeated(
    app: &App,
    (path, body, accept): (&str, Bytes, Option<HeaderValue>),
    replay_of: String,
    times: u8,
) -> Result<Replays, Error> {
    let mut replays = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        let answer = match app.router.infer(path, body.clone(), accept.clone()).await {
            Ok(answer) => answer,
            Err(error) if replays.is_empty() => return Err(unanswered(error)),
            Err(error) => {
                let (duration_ms, error) = (millis(begun), Some(error.to_string()));
                replays.push(Replay { request_id: None, status_code: None, duration_ms, complete: false, error });
                break;
            }
        };
        let request_id = answer.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).map(str::to_owned);
        let status_code = Some(answer.status().as_u16());
        note(app, request_id.as_deref(), &replay_of).await;
        let mut body = answer.into_body();
        let mut complete = true;
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                complete = false;
                break;
            }
        }
        replays.push(Replay { request_id, status_code, duration_ms: millis(begun), complete, error: None });
    }
    Ok(Replays { replay_of, replays })
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
