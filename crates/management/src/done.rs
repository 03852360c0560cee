//! The response of routes that only report success.

use serde::Serialize;
use utoipa::ToSchema;

/// The request succeeded.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Done {
    success: bool,
    message: &'static str,
}

// === impl Done ===

impl Done {
    pub(super) const fn new(message: &'static str) -> Self {
        Self { success: true, message }
    }
}
