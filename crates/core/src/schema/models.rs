//! Table `models`: the model names that requests may use.

/// A row of `models`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name in requests.
    pub id: String,
    /// The name shown to users.
    pub name: String,
    /// The description shown to users.
    pub description: Option<String>,
    /// `chat`, `completion`, `vision`, `tool-call`, …
    pub capabilities: Vec<String>,
    /// When the model was created.
    pub created_at: i64,
    /// When the model was last changed.
    pub updated_at: i64,
}

/// The fields of a new model.
#[derive(Clone, Debug)]
pub struct NewModel {
    /// See [`Model::id`].
    pub id: String,
    /// See [`Model::name`].
    pub name: String,
    /// See [`Model::description`].
    pub description: Option<String>,
    /// See [`Model::capabilities`].
    pub capabilities: Vec<String>,
}

/// A change of a model: `None` leaves a field unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelUpdate {
    /// See [`Model::name`].
    pub name: Option<String>,
    /// See [`Model::description`]; `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// See [`Model::capabilities`].
    pub capabilities: Option<Vec<String>>,
}
