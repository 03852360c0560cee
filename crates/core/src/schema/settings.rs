//! Table `settings`: options that can be changed at run time.

/// A row of `settings`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Dotted: `server.port`, `logging.level`, `active_provider`.
    pub key: String,
    /// The value as text: integers without decimals, booleans as `true` and `false`.
    pub value: String,
    /// When the setting was last changed.
    pub updated_at: i64,
}
