//! Selects requests.

use signalbox_core::schema::RequestStatus;

use crate::statement::{Filtered, Statement};
use crate::tables::usage_hours;
use crate::transaction::Transaction;
use crate::{Error, Page, RowPosition};

/// Selects requests. `None` and an empty list match all; filters combine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Requests of this session.
    pub session_id: Option<String>,
    /// Requests for one of these models.
    pub models: Vec<String>,
    /// Requests for a stream, or not for a stream.
    pub stream: Option<bool>,
    /// Requests that arrived at this time or later.
    pub start: Option<i64>,
    /// Requests that arrived at this time or earlier.
    pub end: Option<i64>,
    /// Requests with one of these statuses.
    pub statuses: Vec<RequestStatus>,
    /// Requests answered or last tried by one of these providers.
    pub provider_ids: Vec<String>,
    /// Requests of this client key.
    pub key_id: Option<String>,
    /// Requests to this path.
    pub path: Option<String>,
    /// Requests whose answer took this many milliseconds or more.
    pub min_ms: Option<i64>,
    /// Requests whose answer took this many milliseconds or less.
    pub max_ms: Option<i64>,
    /// Requests with an error, or without.
    pub has_error: Option<bool>,
    /// Requests with this text in their error, ignoring the case of ASCII letters.
    pub error: Option<String>,
    /// The order of the requests.
    pub order: Order,
    /// Returns only requests after this one, in the order; the total still counts all.
    pub after: Option<RowPosition<i64>>,
}

/// The order of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
}

/// The columns of answers. The subqueries are scalar, because a planner must not begin with `responses` and sort: the
/// requests are read in the order of their index until the page is full.
const AT_LEAST: &str = "(SELECT responses.duration_ms FROM responses WHERE responses.id = requests.id) >= ?";
const AT_MOST: &str = "(SELECT responses.duration_ms FROM responses WHERE responses.id = requests.id) <= ?";
const FAILED: &str = "(SELECT responses.error FROM responses WHERE responses.id = requests.id) IS NOT NULL";
const NOT_FAILED: &str = "(SELECT responses.error FROM responses WHERE responses.id = requests.id) IS NULL";
const ERROR: &str = "(SELECT CASE WHEN responses.error LIKE ? ESCAPE '!' OR LOWER(responses.error) LIKE ? ESCAPE '!'
     THEN 1 END FROM responses WHERE responses.id = requests.id) IS NOT NULL";

/// Returns the number of requests on all pages.
pub(super) async fn total(tx: &mut Transaction, filter: &Filter) -> Result<i64, Error> {
    if !filter.is_summed() {
        return tx.total(filtered(filter).all("SELECT COUNT(*) AS total FROM requests")).await;
    }
    let mut sums = Filtered::default();
    sums.and_any("model", &filter.models);
    sums.and_any("status", filter.statuses.iter().map(|status| status.as_str()));
    sums.and_any("provider_id", &filter.provider_ids);
    tx.total(sums.all(usage_hours::REQUESTS)).await
}

/// Returns `head` for the ids of one page, in the order of the filter.
pub(super) fn page_of<'a>(filter: &'a Filter, head: &'static str, page: Page) -> Statement<'a> {
    let (after, order) = match filter.order {
        Order::Newest => {
            ("(requests.timestamp, requests.id) < (?, ?)", " ORDER BY requests.timestamp DESC, requests.id DESC")
        }
        Order::Oldest => ("(requests.timestamp, requests.id) > (?, ?)", " ORDER BY requests.timestamp, requests.id"),
    };
    let mut filtered = filtered(filter);
    if let Some(RowPosition { at, id }) = &filter.after {
        filtered.and_pair(after, (*at, *id));
    }
    filtered.page_of(head, ("SELECT requests.id FROM requests", order), order, page)
}

fn filtered(filter: &Filter) -> Filtered<'_> {
    let mut filtered = Filtered::default();
    filtered.and_if("requests.session_id = ?", filter.session_id.as_deref());
    filtered.and_any("requests.model", &filter.models);
    filtered.and_if("requests.stream = ?", filter.stream);
    filtered.and_if("requests.timestamp >= ?", filter.start);
    filtered.and_if("requests.timestamp <= ?", filter.end);
    filtered.and_any("requests.status", filter.statuses.iter().map(|status| status.as_str()));
    filtered.and_any("requests.provider_id", &filter.provider_ids);
    filtered.and_if("requests.key_id = ?", filter.key_id.as_deref());
    filtered.and_if("requests.path = ?", filter.path.as_deref());
    filtered.and_if(AT_LEAST, filter.min_ms);
    filtered.and_if(AT_MOST, filter.max_ms);
    match filter.has_error {
        Some(true) => filtered.and_fixed(FAILED),
        Some(false) => filtered.and_fixed(NOT_FAILED),
        None => {}
    }
    if let Some(text) = &filter.error {
        filtered.and_pair(ERROR, (containing(text), containing(&text.to_ascii_lowercase())));
    }
    filtered
}

/// Returns the pattern of texts that contain this one, with `!` as its escape character.
fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for char in text.chars() {
        if matches!(char, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(char);
    }
    pattern.push('%');
    pattern
}

// === impl Filter ===

impl Filter {
    /// Returns whether the hourly sums tell how many requests match. In them, an empty provider means that there was
    /// none.
    fn is_summed(&self) -> bool {
        let Self { session_id, models: _, stream, start, end, statuses: _, provider_ids, key_id, .. } = self;
        let Self { path, min_ms, max_ms, has_error, error, order: _, after: _, .. } = self;
        let by_row = [session_id, key_id, path, error].iter().any(|text| text.is_some())
            || [start, end, min_ms, max_ms].iter().any(|number| number.is_some())
            || stream.is_some()
            || has_error.is_some();
        !by_row && !provider_ids.iter().any(String::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_its_text_literally() {
        assert_eq!(containing("100 %_!"), "%100 !%!_!!%");
        assert_eq!(containing(""), "%%");
    }
}
