//! Requests in flight, the activity and the alerts of the router, as a [`Runtime`](crate::Runtime) reports them.
//!
//! provider-router serialises these types on its routes for api-server, which reads them and shows them to clients.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A request that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InFlightRequest {
    /// Its UUID, as in the log.
    pub request_id: String,
    /// When it arrived, in milliseconds since 1970.
    pub timestamp: i64,
    /// `POST`.
    pub method: String,
    /// The path, such as `/v1/chat/completions`.
    pub path: String,
    /// The requested model.
    pub model: String,
    /// Whether a stream was requested.
    pub stream: bool,
    /// The session that the client named.
    pub session_id: Option<String>,
    /// The id of the key that the request was authenticated with.
    pub key_id: Option<String>,
    /// The provider that is asked now; null before the first attempt.
    pub provider_id: Option<String>,
    /// The name of the model at that provider.
    pub upstream_model: Option<String>,
    /// The number of attempts so far.
    pub attempts: i64,
    /// `queued` until a limit admits it, `waiting` for the beginning of an answer, or `answering`.
    pub phase: Phase,
    /// Milliseconds since it arrived.
    pub elapsed_ms: i64,
    /// Milliseconds until the answer began.
    pub first_byte_ms: Option<i64>,
    /// The bytes of the answer so far.
    pub response_bytes: u64,
}

/// Progress of a request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = InFlightPhase)]
pub enum Phase {
    /// A limit or a budget is used up, and the request waits until there is room again. Its beginning is not logged yet.
    Queued,
    /// No provider has answered yet.
    Waiting,
    /// The answer is being relayed.
    Answering,
}

/// Effect of the cancellation of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// The request ends now, or has ended because it was cancelled before.
    Cancelled,
    /// The request has ended by itself a moment ago.
    Ended,
    /// The request is neither in flight nor among those that ended last.
    Unknown,
}

/// Effect of an action on the state of all router processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Things that it removed or reset, in all processes together.
    pub count: u64,
    /// Processes that it reached: all of them.
    pub routers: u64,
}

/// The address that a running router was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedWith {
    /// Host.
    pub host: String,
    /// Port; 0 means any.
    pub port: u16,
    /// Port on which it answers, which differs if `port` was in use.
    pub actual_port: Option<u16>,
}

/// The beginning or the end of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LiveEvent {
    /// A request has begun.
    Started(Box<InFlightRequest>),
    /// A request has ended.
    Ended(Box<EndedRequest>),
    /// This number of events was left out, because their reader was too slow.
    Missed(u64),
}

/// A request that has ended. Its costs are in the log once it is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRequest {
    /// The request at its end.
    #[serde(flatten)]
    pub request: InFlightRequest,
    /// `completed`, `failed`, …
    pub status: String,
    /// The status of the response; null if it did not begin.
    pub status_code: Option<u16>,
    /// Milliseconds until the last byte.
    pub duration_ms: i64,
    /// Tokens of the prompt, if the provider reported them.
    pub prompt_tokens: Option<i64>,
    /// Tokens of the answer, if the provider reported them.
    pub completion_tokens: Option<i64>,
    /// The reason of a failure.
    pub error: Option<String>,
}

/// Counters of a router process. Those that count events only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Changes with each process.
    pub instance: String,
    /// Requests that have not ended.
    pub in_flight: u64,
    /// Requests that have begun.
    pub requests: u64,
    /// Requests that have ended.
    pub ended: u64,
    /// Requests that have failed.
    pub errors: u64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
    /// The requests that ended last, the newest last.
    pub latencies: Vec<Latency>,
    /// The loaded providers.
    pub providers: Vec<ProviderActivity>,
}

/// Times of a request that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Milliseconds until the last byte of the answer.
    pub duration_ms: u32,
    /// Milliseconds until its first byte; null if there was none.
    pub first_byte_ms: Option<u32>,
}

/// State of a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderActivity {
    /// Id of the provider.
    pub id: String,
    /// Whether its last request succeeded.
    pub healthy: bool,
    /// The worst breaker among its models.
    pub breaker: Breaker,
    /// Milliseconds until it is tried again, if any of its models is left out.
    pub cooldown_ms: Option<u64>,
    /// Attempts that have not ended.
    pub in_flight: u64,
}

/// State of a breaker, in ascending order of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Breaker {
    /// Requests pass.
    Closed,
    /// One request is let through, to try.
    HalfOpen,
    /// No request passes.
    Open,
}

/// A change that operators are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alert {
    /// The breaker of a target has changed.
    Breaker(BreakerChange),
    /// A provider had less of a prompt in its cache than of the turn before.
    PromptCache(PromptCacheFall),
    /// This number of alerts was left out, because their reader was too slow.
    Missed(u64),
}

/// A change of the breaker of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BreakerChange {
    /// Id of the provider.
    pub provider_id: String,
    /// Name of the model at the provider; null for all that the catalogue does not know.
    pub model: Option<String>,
    /// Name of the provider's key; null if the provider has only one.
    pub key: Option<String>,
    /// New state.
    pub state: BreakerState,
    /// Milliseconds until the target is tried again: of `open` and `ejected`.
    pub cooldown_ms: Option<u64>,
    /// When it changed, in milliseconds since 1970.
    pub timestamp: i64,
}

/// State of the breaker of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// The target has failed too often and is left out until the cool-down is over.
    Open,
    /// The cool-down is over, and one request tries the target.
    HalfOpen,
    /// The target is used again.
    Closed,
    /// The provider has asked to wait (`Retry-After`), and the target is left out for that time.
    Ejected,
}

/// A fall of the share of a prompt that the provider had cached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PromptCacheFall {
    /// UUID of the request whose share fell. Its detail names the cause.
    pub request_id: String,
    /// Requested model.
    pub model: String,
    /// Id of the provider that answered.
    pub provider_id: Option<String>,
    /// Share of the prompt that was read from the cache, from 0 to 1.
    pub share: f64,
    /// Share of the turn before.
    pub previous_share: f64,
    /// Tokens that were cached for the turn before and are not for this one.
    pub lost_tokens: i64,
    /// When the request arrived, in milliseconds since 1970.
    pub timestamp: i64,
}
