//! Table `settings`: what may change while everything runs.

/// A row of `settings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Dotted: `server.port`, `logging.level`, `active_provider`.
    pub key: String,
    /// Text; integers without decimals, booleans as `true` and `false`.
    pub value: String,
    /// When it was last changed.
    pub updated_at: i64,
}
