//! Table `routes`: the targets that serve a public model name, and how they are tried.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{GuardRules, KeyLimits, RouteCache};
use crate::Api;

/// A row of table `routes`. All fields but the id, the name and the times are stored as one JSON document.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Identifier.
    pub id: String,
    /// Public model name, unique; a single `*` matches any characters in its place.
    pub model: String,
    /// Whether requests are routed by it.
    pub enabled: bool,
    /// Targets and the way they are tried.
    pub plan: RoutePlan,
    /// Creation time.
    pub created_at: i64,
    /// Time of the last change.
    pub updated_at: i64,
}

/// The fields of a new route, or those that replace the fields of an existing one.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRoute {
    /// See [`Route::id`].
    pub id: String,
    /// See [`Route::model`].
    pub model: String,
    /// See [`Route::enabled`].
    pub enabled: bool,
    /// See [`Route::plan`].
    pub plan: RoutePlan,
}

/// Targets of a route and the way they are tried, as stored and as the REST API shows them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RoutePlan {
    /// Other names of the route.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Order in which the targets are tried.
    pub policy: RoutePolicy,
    /// Targets, in the order in which they were given; at least one.
    pub targets: Vec<RouteTarget>,
    /// Maximum number of attempts after the first one, over all targets. Unset: each target is tried once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u8>,
    /// Deadlines that replace those of the router.
    #[serde(skip_serializing_if = "RouteDeadlines::is_empty")]
    pub deadlines: RouteDeadlines,
    /// Continuation of a stream that broke after the client received a part of it.
    pub resume: Resume,
    /// Property of the request that keeps it at the same target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Whether a translation that loses a field is refused.
    pub strict: bool,
    /// Whether clients that lose their connection may fetch the rest of a stream.
    pub resumable: bool,
    /// Cache of its answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<RouteCache>,
    /// Rules for the content of requests and answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardRules>,
    /// Limits of the rate of its requests.
    #[serde(skip_serializing_if = "KeyLimits::is_empty")]
    pub limits: KeyLimits,
    /// Second attempt while the first one is slow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge: Option<Hedge>,
    /// Target that gets a copy of a share of the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mirror: Option<Mirror>,
}

/// When the next target is asked beside one that is slow. The first answer that begins counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hedge {
    /// Share of the answers of the first target that begin earlier, such as 0.95.
    pub quantile: f64,
    /// Minimum milliseconds to wait.
    pub min_ms: u64,
}

/// Target that gets a copy of a share of the requests of a route. Its answers are thrown away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Mirror {
    /// Id of the provider.
    pub provider: String,
    /// Name of the model at the provider.
    pub model: String,
    /// Share of the requests in percent.
    pub percent: f64,
}

/// Order in which the targets of a route are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RoutePolicy {
    /// The order in which they were given.
    #[default]
    Priority,
    /// At random, in proportion to their weights.
    Weighted,
    /// In turn.
    RoundRobin,
    /// The one with the fewest requests in flight first, relative to its weight.
    LeastBusy,
    /// The one with the lowest expected time to the first token first.
    Latency,
    /// The one with the lowest price for the request first; targets without a known price last.
    Cheapest,
}

/// A provider, and the model to ask it for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RouteTarget {
    /// Id of the provider.
    pub provider: String,
    /// Name of the model at the provider.
    pub model: String,
    /// Name of the provider's key, if it has several. Unset: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Share of the requests relative to the other targets, 1 to 1,000. Unset: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Fields that replace those of the same name in the body of the request.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, Value>))]
    pub params: Map<String, Value>,
    /// Tokens of context that the model holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u64>,
    /// Abilities that the model has; requests that need another one do not go to it. Unset: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can: Option<Vec<Ability>>,
    /// Name of the region in which the model runs, for requests that ask for a region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Maximum price in US dollars that a request may be expected to have at this target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_price_usd: Option<f64>,
    /// API in which the model is asked. Unset: that of the client, if provider and model have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<Api>,
}

/// Ability of a model that a request may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// Calls of tools.
    Tools,
    /// Images in the prompt.
    Vision,
    /// Answers that follow a JSON schema.
    JsonSchema,
}

/// Deadlines of a route, in milliseconds. Those that are unset are the router's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RouteDeadlines {
    /// Resolving the name, connecting and the TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u64>,
    /// From sending the request until the head of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers_ms: Option<u64>,
    /// From sending the request until the first token of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// Silence within a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u64>,
    /// The whole request, over all attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u64>,
}

/// Continuation of a stream that broke after the client received a part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Resume {
    /// None: the stream ends with an error event.
    #[default]
    Off,
    /// The next target is asked afresh, and its stream continues that of the client as long as its beginning is equal.
    Verbatim,
}

/// Property of a request that keeps it at the same target, so that the caches of providers stay warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Sticky {
    /// Its session.
    Session,
    /// The beginning of its prompt.
    Prefix,
}

// === impl RouteDeadlines ===

impl RouteDeadlines {
    /// Returns whether no deadline is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
