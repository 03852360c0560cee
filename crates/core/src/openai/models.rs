//! Types of `GET /v1/models`.

use serde::{Deserialize, Serialize};

/// The list of models in OpenAI's format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// The models.
    pub data: Vec<Model>,
}

/// One entry of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The name that requests use.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// Unix time in seconds.
    pub created: i64,
    /// The provider that serves the model.
    pub owned_by: String,
}

impl ModelList {
    /// Creates a list of `data`.
    #[must_use]
    pub fn new(data: Vec<Model>) -> Self {
        Self { object: "list".into(), data }
    }
}

impl Model {
    /// Creates an entry of the list; `created` is in seconds.
    #[must_use]
    pub fn new(id: &str, created: i64, owned_by: &str) -> Self {
        Self { id: id.into(), object: "model".into(), created, owned_by: owned_by.into() }
    }
}
