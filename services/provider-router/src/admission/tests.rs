use serde_json::json;
use signalbox_core::schema::{ApiKey, BudgetPeriod, KeyBudget, KeyGrant, KeyLimits, RequestStatus};
use signalbox_core::{Api, key_document::SURFACES, token_classes::TokenClasses};
use signalbox_pricing::{Layer, LayerKind};

use super::*;
use crate::ledger::Budgets;

fn key(grant: KeyGrant) -> ApiKey {
    ApiKey {
        id: "k".to_owned(),
        name: "a key".to_owned(),
        hint: String::new(),
        digest: String::new(),
        previous_digest: None,
        previous_expires_at: None,
        grant,
        expires_at: None,
        revoked_at: None,
        created_at: 0,
        updated_at: 0,
    }
}

fn list(items: &[&str]) -> Option<Vec<String>> {
    Some(items.iter().map(|item| (*item).to_owned()).collect())
}

#[test]
fn models_and_apis_are_checked() {
    let caller = Caller::issued(&key(KeyGrant {
        models: list(&["gpt-*"]),
        surfaces: list(&["chat", "responses"]),
        ..KeyGrant::default()
    }));
    let check = |surface, model| check(Some(&caller), surface, model).map_err(|refused| refused.to_string());
    assert_eq!(check("chat", Some("gpt-5")), Ok(()));
    assert!(check("chat", Some("claude")).unwrap_err().contains("may not use the model `claude`"));
    assert!(check("chat", None).is_err(), "a default model that is unknown is not allowed");
    assert!(check("messages", Some("gpt-5")).unwrap_err().contains("`messages`"));
    assert_eq!(super::check(None, "messages", None), Ok(()));
}

#[test]
fn every_api_can_be_allowed_to_a_key() {
    for direct in DirectApi::ALL {
        assert!(SURFACES.contains(&direct.permission()), "{direct:?}");
    }
    for api in Api::ALL {
        assert!(SURFACES.contains(&api.as_str()), "{api}");
    }
}

#[test]
fn models_beside_the_first_are_checked() {
    let caller = Caller::issued(&key(KeyGrant { models: list(&["cheap-*"]), ..KeyGrant::default() }));
    for (body, refused) in [
        (r#"{"model":"cheap-1"}"#, None),
        (r#"{"models":["cheap-1","cheap-2"],"x":{"models":["dear"]}}"#, None),
        (r#"{"models":["cheap-1",7,"dear"]}"#, Some("dear")),
        (r#"{"models":"dear"}"#, None),
    ] {
        let refused = refused.map_or(Ok(()), |model: &str| Err(NotAllowed::Model(model.to_owned())));
        assert_eq!(check_fallbacks(Some(&caller), body.as_bytes()), refused, "{body}");
        assert_eq!(check_fallbacks(Some(&Caller::issued(&key(KeyGrant::default()))), body.as_bytes()), Ok(()));
        assert_eq!(check_fallbacks(None, body.as_bytes()), Ok(()));
    }
}

#[test]
fn a_key_for_some_apis_reads_only_what_belongs_to_them() {
    let limited = Caller::issued(&key(KeyGrant { surfaces: list(&["responses"]), ..KeyGrant::default() }));
    for (path, allowed) in [
        ("/", true),
        ("/health/ready", true),
        ("/v1/models", true),
        ("/v1/models/org/model", true),
        ("/v1/models/sync", false),
        ("/v1/models/sync/p", false),
        ("/v1/responses/resp_1", true),
        ("/v1/responses/input_tokens", true),
        ("/v1/messages/count_tokens", false),
        ("/v1/providers", false),
        ("/metrics", false),
        // Checked when the body has been read.
        ("/v1/embeddings", true),
    ] {
        assert_eq!(check_path(Some(&limited), path).is_ok(), allowed, "{path}");
        assert_eq!(check_path(Some(&Caller::issued(&key(KeyGrant::default()))), path), Ok(()), "{path}");
        assert_eq!(check_path(None, path), Ok(()), "{path}");
    }
}

/// Prices of a dollar per token.
fn prices() -> Prices {
    let prices = Prices::shipped().unwrap();
    let document =
        r#"{"prices":[{"id":"dear","provider_id":"p","match":["m"],"base":{"in":"1000000","out":"1000000"}}]}"#;
    Layer::from_json(LayerKind::Api, document).unwrap();
    prices.update(None, Some(document));
    prices
}

const TARGET: Target<'static> = Target { provider_type: "openai", provider_id: "p", model: "m", params: None };
const UNKNOWN: Target<'static> = Target { provider_type: "openai", provider_id: "p", model: "who knows", params: None };

fn estimate(targets: &[Target<'_>], input: u64, max_output: u64) -> Estimate {
    let demand = Demand { input, output: Some(max_output), choices: 1, ..Demand::default() };
    estimated(prices().current().as_deref(), demand, targets, 1_800_000_000_000).1
}

#[test]
fn the_most_expensive_target_is_reserved() {
    let dear = Estimate { tokens: 15, nanos: 15_000_000_000, is_unpriced: false };
    assert_eq!(estimate(&[TARGET], 10, 5), dear);
    assert_eq!(estimate(&[UNKNOWN, TARGET], 10, 5), Estimate { is_unpriced: true, ..dear });
    assert_eq!(estimate(&[UNKNOWN], 10, 5), Estimate { tokens: 15, nanos: 0, is_unpriced: true });
    let params = json!({"max_tokens": 90, "n": 2});
    let longer = Target { params: params.as_object(), ..TARGET };
    let expected = Estimate { tokens: 190, nanos: 190_000_000_000, is_unpriced: false };
    assert_eq!(estimate(&[TARGET, longer], 10, 5), expected, "the target asks for more");
}

fn end(status: RequestStatus, status_code: Option<u16>) -> End {
    End {
        status,
        ended_at: 1_800_000_000_000,
        provider_id: Some("p".to_owned()),
        provider_type: Some("openai".to_owned()),
        upstream_model: None,
        sent_as: None,
        counted: false,
        status_code,
        duration_ms: 0,
        first_byte_ms: None,
        attempts: 1,
        cancelled_nanos: 0,
        estimate: None,
        error: None,
        streamed: false,
        truncated: false,
        summary: None,
        plan: None,
        params: None,
        parts: 0,
    }
}

/// Returns the tokens and dollars that are left of 1,000 each after a request with this end.
async fn left(end: End, usage: Option<Usage>, answer_tokens: u64) -> (u64, bool) {
    let grant = KeyGrant {
        limits: KeyLimits { tpm: Some(1_000), ..KeyLimits::default() },
        budget: Some(KeyBudget { amount_usd: 20.0, period: BudgetPeriod::Day }),
        ..KeyGrant::default()
    };
    let key = key(grant);
    let caller = Caller::issued(&key);
    let ledger = Arc::new(Ledger::new(usize::MAX));
    ledger.update(std::slice::from_ref(&key), &Budgets::default(), &[]);
    let asked = Asked {
        body: br#"{"max_tokens":30,"a":"bcd"}"#,
        model: Some("m"),
        choices: 1,
        is_answered: true,
        earlier_tokens: 0,
        route: None,
        latest: Instant::now(),
    };
    let prices = prices();
    let reserve = || reserve(&ledger, &prices, Some(&caller), asked, &[TARGET]);
    let admitted = reserve().await.unwrap().unwrap();
    assert_eq!(admitted.quotas().tokens.unwrap().remaining, 1_000 - 36);
    let is_broken = !matches!(end.status, RequestStatus::Completed) && end.status_code == Some(200);
    let is_counted = usage.is_some_and(|usage| count(usage.completion_tokens) >= answer_tokens);
    let estimated = admitted.settle(&end, usage, answer_tokens);
    assert_eq!(estimated.is_some(), is_broken && !is_counted, "{end:?} {usage:?}");
    match reserve().await {
        Ok(again) => (again.unwrap().quotas().tokens.unwrap().remaining + 36, true),
        Err(denial) => {
            assert!(matches!(denial, Denial::Spent { .. }), "{denial:?}");
            (0, false)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_settled_by_its_usage_or_by_its_length() {
    let done = || end(RequestStatus::Completed, Some(200));
    assert_eq!(left(done(), Some(Usage::new(3, 4)), 1_000).await, (993, true));
    assert_eq!(left(done(), Some(Usage::new(10, 10)), 1_000).await, (0, false), "20 dollars are spent");
    // Without counts, 6 tokens of the prompt and those of the answer, at most those reserved.
    assert_eq!(left(end(RequestStatus::ClientDisconnected, Some(200)), None, 10).await, (984, true));
    assert_eq!(left(end(RequestStatus::ClientDisconnected, Some(200)), None, 1_000).await, (0, false));
    // Counts from the beginning of a stream that broke off are less than it has.
    let first = Some(Usage::new(3, 1));
    assert_eq!(left(end(RequestStatus::Truncated, Some(200)), first, 10).await, (987, true));
    assert_eq!(left(end(RequestStatus::Truncated, Some(200)), first, 1_000).await, (0, false), "20 dollars are spent");
    assert_eq!(left(end(RequestStatus::Truncated, Some(200)), Some(Usage::new(3, 4)), 2).await, (993, true));
    // Cached tokens have no price here, and cost as much as others.
    let classes = TokenClasses { cache_read: 9, ..TokenClasses::default() };
    let cached = Usage { classes, ..Usage::new(9, 1) };
    assert_eq!(left(done(), Some(cached), 0).await, (990, true));
    let cached = Usage { classes, ..Usage::new(19, 1) };
    assert_eq!(left(done(), Some(cached), 0).await, (0, false), "20 dollars are spent");
    // No answer, no cost.
    assert_eq!(left(end(RequestStatus::Failed, Some(502)), None, 1_000).await, (1_000, true));
    let nobody = End { provider_id: None, ..end(RequestStatus::Cancelled, None) };
    assert_eq!(left(nobody, None, 0).await, (1_000, true));
}
