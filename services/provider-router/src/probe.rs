//! Requests a provider's list of models, which costs no tokens and shows whether the provider is reachable and accepts
//! the credentials.
//!
//! The REST API, the command line and the router itself all use this function, so that their results agree.

mod words;

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use signalbox_upstream::{Client, Deadlines, Error};

use self::words::{kind, words};
use crate::{provider::Remote, relay::Source};

/// Maximum bytes of a list of models.
const MAX_LIST: usize = 8 << 20;

/// Keys under which providers return the models of their list.
const LIST_KEYS: [&str; 3] = ["data", "models", "result"];

/// Maximum bytes of an error body that are searched for its message.
const MAX_ERROR: usize = 64 << 10;

/// Returns the provider's own list, as it was sent: JSON that may be a list of models.
///
/// # Errors
/// Returns the reason as text, with the provider's own message if there is one, and with its credentials masked.
pub(crate) async fn list_models(client: &Client, deadlines: &Deadlines, remote: &Remote) -> Result<Bytes, String> {
    let listed = ask(client, deadlines, remote).await;
    listed.map_err(|reason| remote.masker.mask_text(&reason).into_owned())
}

async fn ask(client: &Client, deadlines: &Deadlines, remote: &Remote) -> Result<Bytes, String> {
    probe(client, deadlines, remote).await.map_err(|error| error.to_string())?.list
}

/// The answer to a request for the list of models.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Status of the answer.
    pub(crate) status: StatusCode,
    /// Headers of the answer.
    pub(crate) headers: HeaderMap,
    /// The list, or the reason why there is none, with the provider's credentials masked.
    pub(crate) list: Result<Bytes, String>,
}

/// Asks for the list of models.
///
/// # Errors
/// Returns the error of the exchange if there is no answer.
pub(crate) async fn probe(client: &Client, deadlines: &Deadlines, remote: &Remote) -> Result<Probe, Error> {
    let response = client.send(&remote.target, remote.models(), deadlines).await?;
    let (head, body) = response.into_parts();
    let mut source = Source::Upstream(body);
    let list = if head.status.is_success() {
        match read(&mut source, MAX_LIST).await {
            Ok((list, true)) => judged(list),
            Ok((_, false)) => Err(format!("its list is larger than {MAX_LIST} bytes")),
            Err(reason) => Err(reason),
        }
    } else {
        // If the error body cannot be read, the status is reported without it.
        let (error, _) = read(&mut source, MAX_ERROR).await.unwrap_or_default();
        Err(refusal(head.status, &error))
    };
    let list = list.map_err(|reason| remote.masker.mask_text(&reason).into_owned());
    Ok(Probe { status: head.status, headers: head.headers, list })
}

/// Reads a body until it exceeds `most` bytes. Returns the bytes, and whether they are the whole body.
async fn read(source: &mut Source, most: usize) -> Result<(Bytes, bool), String> {
    let mut all = BytesMut::new();
    while let Some(bytes) = poll_fn(|cx| source.poll_data(cx)).await.transpose().map_err(|e| e.to_string())? {
        all.extend_from_slice(&bytes);
        if all.len() > most {
            return Ok((all.freeze(), false));
        }
    }
    Ok((all.freeze(), true))
}

/// Formats an error response for the user.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    let hint = match status.as_u16() {
        401 | 403 => ". Check apiKey or headers",
        404 => ". Check the path of baseURL",
        _ => "",
    };
    match words(body) {
        Some(words) => format!("it answered with status {status}: {words}{hint}"),
        None => format!("it answered with status {status}{hint}"),
    }
}

/// Returns the list unless it is an error with a success status, or not a list.
fn judged(list: Bytes) -> Result<Bytes, String> {
    let value: serde_json::Value =
        serde_json::from_slice(&list).map_err(|error| format!("its list is not JSON: {error}"))?;
    let is_full = |frame: &&str| value.get(frame).is_some_and(|inside| inside.is_array() || inside.is_object());
    if LIST_KEYS.iter().any(is_full) || value.is_array() {
        return Ok(list);
    }
    if let Some(words) = words(&list) {
        return Err(format!("it answered with an error: {words}"));
    }
    match &value {
        // An empty list, or an object with the models' names as keys.
        serde_json::Value::Object(fields)
            if LIST_KEYS.iter().any(|frame| fields.contains_key(*frame))
                || (!fields.is_empty() && fields.values().all(serde_json::Value::is_object)) =>
        {
            Ok(list)
        }
        other => Err(format!("its answer is not a model list, but {}", kind(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successful_answer_is_a_list() {
        for list in [
            r#"{"object":"list","data":[{"id":"m"}]}"#,
            r#"{"data":[],"error":null}"#,
            r#"{"data":null}"#,
            r#"[{"id":"m"}]"#,
            "[]",
            r#"{"models":[{"name":"m"}]}"#,
            r#"{"m":{"owned_by":"x"}}"#,
        ] {
            assert!(judged(Bytes::from_static(list.as_bytes())).is_ok(), "{list}");
        }
        for (list, told) in [
            (r#"{"error":{"message":"no such key","code":401}}"#, "it answered with an error: no such key"),
            (r#"{"error":"quota is used up"}"#, "it answered with an error: quota is used up"),
            (r#"{"error":{"code":5}}"#, "it answered with an error: {\"code\":5}"),
            (r#"{"data":null,"error":{"message":"down"}}"#, "it answered with an error: down"),
            (r#"{"detail":"Not authenticated"}"#, "it answered with an error: Not authenticated"),
            (r#"{"code":"InvalidApiKey","message":"no key"}"#, "it answered with an error: no key"),
            ("{}", "its answer is not a model list, but an object without a list"),
            (r#"{"status":"ok"}"#, "its answer is not a model list, but an object without a list"),
            ("7", "its answer is not a model list, but a number"),
            ("null", "its answer is not a model list, but null"),
            ("true", "its answer is not a model list, but a boolean"),
            (r#""ok""#, "its answer is not a model list, but a string"),
            ("<html>", "its list is not JSON"),
            ("", "its list is not JSON"),
        ] {
            let error = judged(Bytes::from_static(list.as_bytes())).unwrap_err();
            assert!(error.starts_with(told), "{list}: {error}");
        }
    }

    #[test]
    fn a_refusal_contains_the_message_and_a_hint() {
        for (status, body, told) in [
            (401, r#"{"error":{"message":"bad key"}}"#, "status 401 Unauthorized: bad key. Check apiKey or headers"),
            (403, "", "status 403 Forbidden. Check apiKey or headers"),
            (404, "not here", "status 404 Not Found: not here. Check the path of baseURL"),
            (404, "<html><body>nginx</body></html>", "status 404 Not Found. Check the path of baseURL"),
            (500, r#"{"message":"boom"}"#, "status 500 Internal Server Error: boom"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(refusal(status, body.as_bytes()), format!("it answered with {told}"), "{body}");
        }
    }
}
