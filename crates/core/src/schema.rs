//! Row types of all tables, in the order in which the tables depend on each other.
//!
//! Times are Unix milliseconds in UTC (`*_at`, `timestamp`) unless a field says otherwise. Identifiers are text. The
//! columns of the Node.js version keep their names, so that an existing file can be migrated in place.

mod audit;
mod models;
mod provider_configs;
mod provider_models;
mod providers;
mod requests;
mod responses;
mod sessions;
mod settings;

pub use audit::AuditEntry;
pub use models::{Model, ModelUpdate, NewModel};
pub use provider_configs::{ConfigValue, ProviderConfig};
pub use provider_models::{LinkedModel, ProviderModel};
pub use providers::{NewProvider, Provider, ProviderUpdate};
pub use requests::{Request, RequestStatus};
pub use responses::Response;
pub use sessions::Session;
pub use settings::Setting;
