//! Table `models`: the names that requests may ask for.

/// A row of `models`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name in requests.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// `chat`, `completion`, `vision`, `tool-call`, …
    pub capabilities: Vec<String>,
    /// When it was made.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: i64,
}

/// What it takes to make a model.
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

/// A change of a model: `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelUpdate {
    /// See [`Model::name`].
    pub name: Option<String>,
    /// See [`Model::description`]; `Some(None)` clears it.
    pub description: Option<Option<String>>,
    /// See [`Model::capabilities`].
    pub capabilities: Option<Vec<String>>,
}
