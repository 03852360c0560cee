//! The answer of routes that have nothing to tell but that it is done.

use serde::Serialize;
use utoipa::ToSchema;

/// It is done.
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
