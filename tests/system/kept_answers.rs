//! Answers that a provider keeps, and the keys to which they belong.

use http::Method;
use serde_json::{Value, json};
use signalbox_harness::Answer;

use crate::{apis::Api, gateway::request_id};

const RESPONSES: &str = "/v1/responses";

fn continuing(id: &Value) -> Value {
    json!({"model": "fake/m", "input": "go on", "previous_response_id": id})
}

#[tokio::test]
async fn an_answer_that_a_provider_keeps_belongs_to_its_key() {
    let gateway = Api::Responses.gateway().await;
    let owner = gateway.client_with_key(&json!({"name": "owner"})).await;
    let other = gateway.client_with_key(&json!({"name": "other"})).await;
    let first: Answer = owner.post(RESPONSES, &json!({"model": "fake/m", "input": "seven"})).await.expect(200);
    gateway.stack.recorded(&request_id(&first)).await;
    let id = first.json()["id"].clone();
    let path = format!("{RESPONSES}/{}", id.as_str().unwrap());
    let calls = gateway.fake.calls_of("m").len();
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::GET, format!("{path}/input_items")),
        (Method::POST, format!("{path}/cancel")),
        (Method::DELETE, path.clone()),
    ] {
        let refused = other.request(method.clone(), &path, "").await;
        assert_eq!(refused.status, 404, "{method} {path}: {}", refused.text());
        assert!(refused.text().contains("is not stored"), "{}", refused.text());
    }
    let refused = other.post(RESPONSES, &continuing(&id)).await.expect(404);
    assert!(Api::Responses.error(&refused).contains("is not stored"), "{}", refused.text());
    let logged = gateway.stack.recorded(&request_id(&refused)).await;
    assert_eq!((&logged["status"], &logged["provider_id"]), (&json!("failed"), &Value::Null), "{logged}");
    assert_eq!(gateway.fake.calls_of("m").len(), calls, "the provider was not asked");

    assert_eq!(owner.get(&path).await.expect(200).json()["id"], id);
    owner.post(RESPONSES, &continuing(&id)).await.expect(200);
    // An id that the log does not know is left to the provider.
    let unknown = other.post(RESPONSES, &continuing(&json!("resp_68a1b2c3d4e5f60718293a4b5c6d7e8f90123456"))).await;
    assert!(unknown.status >= 400 && !unknown.text().contains("is not stored"), "{}", unknown.text());
    assert_eq!(gateway.fake.calls_of("m").len(), calls + 2);
    owner.delete(&path).await.expect(200);
    owner.get(&path).await.expect(404);
}
