//! Refresh of this router's snapshot before a write is answered.

use http::{Response, header::CONTENT_LENGTH};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::refused::ManagementError;
use crate::{body::ResponseBody, catalog::Refresher};

/// Refreshes the snapshot after a write. If that fails, the response gets the field `warning`: the change is stored,
/// but this router does not follow it yet.
///
/// # Errors
/// Returns [`ManagementError::Unavailable`] if the snapshot cannot be refreshed and api-server breaks off its response.
pub(super) async fn refreshed(
    refresher: &Refresher,
    response: Response<ResponseBody>,
) -> Result<Response<ResponseBody>, ManagementError> {
    match refresher.refresh().await {
        Ok(()) => Ok(response),
        // `refresh` logs the failure itself, and `/health` reports it.
        Err(away) => warned(response, &away.not_in_effect()).await,
    }
}

async fn warned(response: Response<ResponseBody>, warning: &str) -> Result<Response<ResponseBody>, ManagementError> {
    let (mut head, body) = response.into_parts();
    let body = body.collect().await.map_err(|error| ManagementError::Unavailable(error.to_string()))?.to_bytes();
    let body = match serde_json::from_slice(&body) {
        Ok(Value::Object(mut answer)) => {
            answer.insert("warning".to_owned(), warning.into());
            Value::Object(answer).to_string().into()
        }
        // No management route answers a write with anything else.
        _ => body,
    };
    head.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(head, ResponseBody::whole(body)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use signalbox_core::secret::Secret;
    use signalbox_store::{Sealer, Store};
    use signalbox_upstream::AddressPolicy;

    use super::*;
    use crate::{
        catalog::{
            Catalog,
            tests::{Row, snapshot},
        },
        ledger::Ledger,
        prices::Prices,
        qwen_proxy::QwenProxy,
    };

    fn refresher(store: &Store) -> Refresher {
        let catalog = Arc::new(Catalog::new(snapshot(&[Row::ENABLED], None)));
        let qwen_proxy = QwenProxy::new(None, |_| None).unwrap();
        let sealer = Sealer::new(&Secret::new([1; 32]));
        Refresher::new(
            catalog,
            store.clone(),
            sealer,
            AddressPolicy::default(),
            Arc::default(),
            Prices::default(),
            Arc::new(Ledger::new(0)),
            qwen_proxy,
        )
    }

    async fn answered(refresher: &Refresher, body: &str) -> (String, bool) {
        let length = body.len();
        let response = Response::builder().header(CONTENT_LENGTH, length);
        let response = response.body(ResponseBody::whole(body.to_owned())).unwrap();
        let response = refreshed(refresher, response).await.unwrap();
        let has_length = response.headers().contains_key(CONTENT_LENGTH);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), has_length)
    }

    #[tokio::test]
    async fn a_change_that_is_loaded_is_answered_as_it_is() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        assert_eq!(answered(&refresher(&store), "{\"success\": true}").await, ("{\"success\": true}".to_owned(), true));
    }

    #[tokio::test]
    async fn a_change_that_cannot_be_loaded_is_answered_with_a_warning() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let refresher = refresher(&store);
        store.close().await;
        let (body, has_length) = answered(&refresher, "{\"success\": true}").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["success"], has_length), (&json!(true), false));
        assert!(body["warning"].as_str().unwrap().starts_with("The stored changes are not in effect yet: "), "{body}");
        assert_eq!(answered(&refresher, "not json").await.0, "not json");
    }
}
