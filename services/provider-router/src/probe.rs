//! Asking a provider which models it has: it costs no tokens, and tells whether the provider can be reached and accepts us.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use signalbox_upstream::{Client, Deadlines};

use crate::{provider::OpenAi, relay::Source};

/// A list of models larger than this is none.
const MAX_LIST: usize = 8 << 20;

/// A provider's own list, as it sent it: JSON, if nothing else.
///
/// # Errors
/// Why there is none, in words.
pub(crate) async fn list_models(client: &Client, deadlines: &Deadlines, openai: &OpenAi) -> Result<Bytes, String> {
    let response = client.send(&openai.target, openai.models(), deadlines).await.map_err(|e| e.to_string())?;
    let (head, body) = response.into_parts();
    if !head.status.is_success() {
        return Err(format!("it answered with status {}", head.status));
    }
    let (mut source, mut list) = (Source::Upstream(body), BytesMut::new());
    while let Some(bytes) = poll_fn(|cx| source.poll_data(cx)).await.transpose().map_err(|e| e.to_string())? {
        list.extend_from_slice(&bytes);
        if list.len() > MAX_LIST {
            return Err(format!("its list is larger than {MAX_LIST} bytes"));
        }
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&list).map_err(|error| format!("its list is not JSON: {error}"))?;
    Ok(list.freeze())
}
