//! Models and log entries as several resources show them.
//!
//! The dashboard of the Node.js version calls `JSON.parse` on `capabilities` and `.match()` on `description`. Therefore
//! all routes that show a model return capabilities as a JSON array *in a string*, and a description that is never
//! null.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use signalbox_core::schema::{LinkedModel, Model, Request, RequestCost, Response};
use signalbox_core::token_classes::TokenClasses;
use signalbox_pricing::Money;
use signalbox_store::{Store, usage};
use utoipa::ToSchema;

/// The columns of a model.
#[derive(Debug, Serialize, ToSchema)]
struct ModelFields {
    id: String,
    name: String,
    description: String,
    /// A JSON array in a string.
    capabilities: String,
    created_at: i64,
    updated_at: i64,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelView {
    #[serde(flatten)]
    fields: ModelFields,
    status: &'static str,
}

/// A model as served by one provider.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LinkedModelView {
    #[serde(flatten)]
    model: ModelFields,
    is_default: bool,
    #[schema(value_type = Value)]
    provider_config: Option<Box<RawValue>>,
}

/// A logged request. Bodies are JSON, not text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LoggedRequest {
    id: i64,
    request_id: String,
    session_id: String,
    timestamp: i64,
    method: String,
    path: String,
    model: String,
    stream: bool,
    status: &'static str,
    provider_id: Option<String>,
    /// The client key: its id, or `config-1` and so on for a key of the configuration; null if none was asked for.
    key_id: Option<String>,
    /// The present name of the key; its id if it is deleted or belongs to the configuration.
    key_name: Option<String>,
    /// The client's body.
    #[schema(value_type = Value)]
    request_body: SharedJson,
    /// The body sent to the provider, if it differs.
    #[schema(value_type = Value)]
    upstream_request: SharedJson,
    /// As `request_body`.
    #[schema(value_type = Value, deprecated)]
    openai_request: SharedJson,
    /// As `upstream_request`.
    #[schema(value_type = Value, deprecated)]
    qwen_request: SharedJson,
    created_at: i64,
}

/// A logged answer. Bodies are JSON, not text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LoggedResponse {
    #[serde(flatten)]
    fields: ResponseFields,
    /// The provider's answer, if it is stored separately; only imported rows have one.
    #[schema(value_type = Value)]
    upstream_response: Option<SharedJson>,
    /// The answer as one body, or the error.
    #[schema(value_type = Value)]
    response_body: Option<SharedJson>,
    /// As `upstream_response`.
    #[schema(value_type = Value, deprecated)]
    qwen_response: Option<SharedJson>,
    /// As `response_body`.
    #[schema(value_type = Value, deprecated)]
    openai_response: Option<SharedJson>,
}

/// JSON that appears under two names: its own, and that of the Node.js version. It may be long, so it is not copied.
#[derive(Clone, Debug)]
struct SharedJson(Arc<Box<RawValue>>);

/// A logged answer without its bodies.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResponseFields {
    id: i64,
    request_id: i64,
    session_id: String,
    response_id: String,
    timestamp: i64,
    parent_id: Option<String>,
    completion_tokens: Option<i64>,
    prompt_tokens: Option<i64>,
    total_tokens: Option<i64>,
    tokens: Option<TokensByClass>,
    cost: Option<CostView>,
    /// `hit` if it came from the cache of the route.
    cache: Option<&'static str>,
    translation: Option<String>,
    finish_reason: Option<String>,
    error: Option<String>,
    duration_ms: Option<i64>,
    first_byte_ms: Option<i64>,
    status_code: Option<i64>,
    provider_id: Option<String>,
    attempts: i64,
    truncated: bool,
    created_at: i64,
}

/// The cost of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cost)]
pub(super) struct CostView {
    /// In dollars; null if it is unknown, which is not zero.
    amount_usd: Option<f64>,
    /// `reported` by the provider, `computed` from the tokens and the price table, `estimated` from the length of an
    /// answer that broke off, `cache` if the answer was given again, or `unknown: ` and a word for the reason.
    origin: String,
    /// The version of the price table that was used.
    price_version: Option<String>,
}

/// The tokens of an answer by what they cost. No token is in two classes; those of the prompt add up to
/// `prompt_tokens`, the others to `completion_tokens`.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokensByClass {
    /// Prompt tokens that are in none of the other classes.
    input: i64,
    /// Prompt tokens that were read from a cache.
    cache_read: i64,
    /// Prompt tokens that were written to a cache with the short lifetime, or with one that is not reported.
    cache_write_short: i64,
    /// Prompt tokens that were written to a cache with the long lifetime.
    cache_write_long: i64,
    /// Audio tokens of the prompt.
    input_audio: i64,
    /// Image tokens of the prompt, where the provider reports them.
    input_image: i64,
    /// Tokens of the answer that are in none of the other classes.
    output: i64,
    /// Reasoning tokens.
    reasoning: i64,
    /// Audio tokens of the answer.
    output_audio: i64,
    /// Image tokens of the answer.
    output_image: i64,
    /// Whether the provider's counts contradicted each other, so that some were changed.
    adjusted: bool,
}

/// Converts nano-dollars to dollars, with the fewest digits that denote the amount.
pub(super) fn dollars(nanos: i64) -> f64 {
    let amount = Money::from_nanos(u64::try_from(nanos).unwrap_or_default());
    // Every decimal number is a double.
    amount.to_string().parse().unwrap_or_default()
}

/// Returns a column as JSON. A body that is not JSON becomes a string. Valid JSON is not copied, because a body may be
/// long.
pub(super) fn as_json(text: String) -> Box<RawValue> {
    if serde_json::from_str::<IgnoredAny>(&text).is_err() {
        // A string can always be written as JSON.
        return serde_json::value::to_raw_value(&text).unwrap_or_default();
    }
    RawValue::from_string(text).unwrap_or_default()
}

// === impl ModelFields ===

impl From<Model> for ModelFields {
    fn from(model: Model) -> Self {
        Self {
            id: model.id,
            name: model.name,
            description: model.description.unwrap_or_default(),
            capabilities: Value::from(model.capabilities).to_string(),
            created_at: model.created_at,
            updated_at: model.updated_at,
        }
    }
}

// === impl ModelView ===

impl From<Model> for ModelView {
    fn from(model: Model) -> Self {
        Self { fields: model.into(), status: "active" }
    }
}

// === impl LinkedModelView ===

impl From<LinkedModel> for LinkedModelView {
    fn from(linked: LinkedModel) -> Self {
        Self { model: linked.model.into(), is_default: linked.is_default, provider_config: linked.config.map(as_json) }
    }
}

// === impl LoggedRequest ===

impl From<Request> for LoggedRequest {
    fn from(row: Request) -> Self {
        let [request_body, upstream_request] = [row.request_body, row.upstream_request].map(SharedJson::of);
        Self {
            id: row.id,
            request_id: row.request_id,
            session_id: row.session_id,
            timestamp: row.timestamp,
            method: row.method,
            path: row.path,
            model: row.model,
            stream: row.stream,
            status: row.status.as_str(),
            provider_id: row.provider_id,
            key_name: row.key_id.clone(),
            key_id: row.key_id,
            openai_request: request_body.clone(),
            qwen_request: upstream_request.clone(),
            request_body,
            upstream_request,
            created_at: row.created_at,
        }
    }
}

impl LoggedRequest {
    /// Fills in the names of the keys.
    ///
    /// # Errors
    /// See [`signalbox_store::Error`].
    pub(super) async fn name_keys<'a>(
        store: &Store,
        requests: impl Iterator<Item = &'a mut Self>,
    ) -> Result<(), signalbox_store::Error> {
        let requests: Vec<&mut Self> = requests.filter(|request| request.key_id.is_some()).collect();
        let names = usage::key_names(store, requests.iter().filter_map(|request| request.key_id.as_deref())).await?;
        for request in requests {
            if let Some(name) = request.key_id.as_ref().and_then(|id| names.get(id)) {
                request.key_name = Some(name.clone());
            }
        }
        Ok(())
    }
}

// === impl CostView ===

impl From<RequestCost> for CostView {
    fn from(cost: RequestCost) -> Self {
        Self { amount_usd: cost.nanos.map(dollars), origin: cost.origin, price_version: cost.price_version }
    }
}

// === impl TokensByClass ===

impl TokensByClass {
    const fn new(prompt: i64, completion: i64, classes: TokenClasses) -> Self {
        Self {
            input: classes.uncached_input(prompt),
            cache_read: classes.cache_read,
            cache_write_short: classes.cache_write_short,
            cache_write_long: classes.cache_write_long,
            input_audio: classes.input_audio,
            input_image: classes.input_image,
            output: classes.other_output(completion),
            reasoning: classes.reasoning,
            output_audio: classes.output_audio,
            output_image: classes.output_image,
            adjusted: classes.is_adjusted,
        }
    }
}

// === impl LoggedResponse ===

impl From<Response> for LoggedResponse {
    fn from(mut row: Response) -> Self {
        let [upstream_response, response_body] =
            [row.upstream_response.take(), row.response_body.take()].map(|text| text.map(SharedJson::of));
        Self {
            fields: row.into(),
            qwen_response: upstream_response.clone(),
            openai_response: response_body.clone(),
            upstream_response,
            response_body,
        }
    }
}

// === impl SharedJson ===

impl SharedJson {
    /// Reads a column; see [`as_json`].
    fn of(text: String) -> Self {
        Self(Arc::new(as_json(text)))
    }
}

impl Serialize for SharedJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

// === impl ResponseFields ===

impl From<Response> for ResponseFields {
    fn from(row: Response) -> Self {
        Self {
            id: row.id,
            request_id: row.request_id,
            session_id: row.session_id,
            response_id: row.response_id,
            timestamp: row.timestamp,
            parent_id: row.parent_id,
            completion_tokens: row.completion_tokens,
            prompt_tokens: row.prompt_tokens,
            total_tokens: row.total_tokens,
            tokens: row.token_classes.map(|classes| {
                TokensByClass::new(
                    row.prompt_tokens.unwrap_or_default(),
                    row.completion_tokens.unwrap_or_default(),
                    classes,
                )
            }),
            cache: row.cost.as_ref().filter(|cost| cost.origin == RequestCost::CACHE).map(|_| "hit"),
            cost: row.cost.map(CostView::from),
            translation: row.translation,
            finish_reason: row.finish_reason,
            error: row.error,
            duration_ms: row.duration_ms,
            first_byte_ms: row.first_byte_ms,
            status_code: row.status_code,
            provider_id: row.provider_id,
            attempts: row.attempts,
            truncated: row.truncated,
            created_at: row.created_at,
        }
    }
}
