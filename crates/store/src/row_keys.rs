//! Keys of the rows of the log: the number of a row, or its UUID.

/// The key of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestKey {
    /// The number of the row.
    Id(i64),
    /// The UUID in `request_id`.
    Uuid(String),
}

/// The key of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseKey {
    /// The number of the row, which equals that of its request.
    Id(i64),
    /// The UUID in `response_id`, which equals the `request_id` of its request.
    Uuid(String),
}
