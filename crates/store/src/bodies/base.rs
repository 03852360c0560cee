//! The part that two bodies share.

/// The part that a body shares with an earlier one: conversations resend their history.
///
/// This is a hint: if the earlier request is no longer in the log, or the lengths do not fit, the body is stored whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The UUID of the earlier request.
    pub request_id: String,
    /// Number of equal bytes at the beginning of both bodies.
    pub prefix: usize,
    /// Number of equal bytes at the end of both bodies.
    pub suffix: usize,
}
