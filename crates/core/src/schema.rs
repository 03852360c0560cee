//! Row types of all tables, in the order in which the tables depend on each other.
//!
//! Times are Unix milliseconds in UTC (`*_at`, `timestamp`) unless a field says otherwise. Identifiers are text. Fields
//! are named like their columns. The REST API has other names for four of them, those of the Node.js version:
//!
//! | column | REST field |
//! | --- | --- |
//! | `requests.request_body` | `openai_request` |
//! | `requests.upstream_request` | `qwen_request` |
//! | `responses.response_body` | `openai_response` |
//! | `responses.upstream_response` | `qwen_response` |

mod api_keys;
mod audit;
mod guard;
mod limits;
mod models;
mod provider_configs;
mod provider_models;
mod providers;
mod requests;
mod responses;
mod route_options;
mod routes;
mod routing;
mod sessions;
mod settings;

pub use api_keys::{ApiKey, ApiKeyFields, BudgetPeriod, KeyBudget, KeyGrant, NewApiKey};
pub use audit::AuditEntry;
pub use guard::{GuardAction, GuardRules};
pub use limits::{KeyLimits, LimitQueue, Priority};
pub use models::{Model, ModelUpdate, NewModel};
pub use provider_configs::{ConfigValue, ProviderConfig};
pub use provider_models::{LinkedModel, ProviderModel};
pub use providers::{NewProvider, Provider, ProviderUpdate};
pub use requests::{Request, RequestStatus};
pub use responses::{RequestCost, Response};
pub use route_options::{CacheScope, RouteCache};
pub use routes::{
    Ability, Hedge, Mirror, NewRoute, Resume, Route, RouteDeadlines, RoutePlan, RoutePolicy, RouteTarget, Sticky,
};
pub use routing::{AttemptRecord, CacheOutcome, CacheRecord, PlannedTarget, RoutingRecord, SkippedTarget};
pub use sessions::Session;
pub use settings::Setting;
