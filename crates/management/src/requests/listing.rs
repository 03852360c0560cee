//! Reads the filters and the position of a list of requests, and describes the page that was found.
//!
//! A page is read forwards, after a row, or backwards, before a row. The store reads in one direction only, so a page
//! that is read backwards is read in the reverse order and then turned around.

use serde::Serialize;
use signalbox_core::schema::RequestStatus;
use signalbox_store::requests::{Filter, Order};
use signalbox_store::{Page, RowPosition};
use utoipa::ToSchema;

use super::MAX_SEARCH_CHARS;
use crate::cursor;
use crate::filters::{RequestFilter, RequestOrder};
use crate::query::{self, Query, take_last};

/// The requested page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) page: Page,
    /// Whether the page ends before the row of the cursor.
    is_backwards: bool,
}

/// The position of a page in the list of requests.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Span {
    /// The number of requests on all pages; null with `count=false`.
    total: Option<i64>,
    limit: i64,
    /// Number of skipped rows, counted from the cursor if there is one.
    offset: i64,
    /// Whether there are more requests in the direction that was read.
    has_more: bool,
    /// The cursor of the next page; null at the end.
    next_cursor: Option<String>,
    /// Only with `view=short`: the cursor of the page before, which may also have requests that arrived since; null if
    /// this page is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_cursor: Option<Option<String>>,
}

/// Reads filters, order, page and cursor.
pub(super) fn read(query: &mut Query) -> (Filter, Listing) {
    let filter = filter(query);
    let page = query.page(50);
    let (mut after, mut is_backwards) = (None, false);
    if let Some(text) = query.text("cursor") {
        let before = cursor::REQUESTS_BEFORE.parse(&text);
        is_backwards = before.is_some();
        after = cursor::REQUESTS.parse(&text).or(before);
        if after.is_none() {
            query.mistake(query::CURSOR);
        }
    }
    let order = if is_backwards { reverse(filter.order) } else { filter.order };
    (Filter { order, after, ..filter }, Listing { page, is_backwards })
}

/// Reads the text that is searched in bodies.
pub(super) fn search_text(query: &mut Query) -> Option<String> {
    let text = query.text("q")?;
    if text.chars().count() > MAX_SEARCH_CHARS {
        query.mistake(format!("q must have at most {MAX_SEARCH_CHARS} characters"));
    }
    Some(text)
}

/// Reads filters and order.
pub(super) fn filter(query: &mut Query) -> Filter {
    let given: RequestFilter = query.read();
    let RequestOrder { order } = query.read();
    let order = match order.text().as_deref() {
        None | Some("desc") => Order::Newest,
        Some("asc") => Order::Oldest,
        Some(_) => {
            query.mistake("order must be one of: asc, desc");
            Order::default()
        }
    };
    let filter = Filter {
        session_id: given.session_id.text(),
        models: query.texts("model"),
        stream: query.switch("stream", given.stream),
        start: query.time("start_date", given.start_date),
        end: query.time("end_date", given.end_date),
        statuses: statuses(query),
        provider_ids: query.texts("provider_id"),
        key_id: given.key.text(),
        path: given.path.text(),
        min_ms: query.amount("min_ms", given.min_ms),
        max_ms: query.amount("max_ms", given.max_ms),
        has_error: query.switch("has_error", given.has_error),
        error: given.error.text(),
        order,
        after: None,
    };
    if filter.error.as_ref().is_some_and(|text| text.chars().count() > MAX_SEARCH_CHARS) {
        query.mistake(format!("error must have at most {MAX_SEARCH_CHARS} characters"));
    }
    filter
}

/// Reads statuses.
pub(crate) fn statuses(query: &mut Query) -> Vec<RequestStatus> {
    let words = query.texts("status");
    let statuses: Vec<_> = words.iter().filter_map(|word| RequestStatus::parse(word)).collect();
    if statuses.len() < words.len() {
        let words: Vec<&str> = RequestStatus::ALL.iter().map(|(_, word)| *word).collect();
        query.mistake(format!("status must be one of: {}", words.join(", ")));
    }
    statuses
}

const fn reverse(order: Order) -> Order {
    match order {
        Order::Newest => Order::Oldest,
        Order::Oldest => Order::Newest,
    }
}

// === impl Listing ===

impl Listing {
    /// Returns the page extended by one row, which tells whether there are more.
    pub(super) fn with_one_more(&self) -> Page {
        query::one_more(self.page)
    }

    /// Removes the extra row, puts the rows in the order of the list, and returns their position.
    pub(super) fn span<T>(
        &self,
        rows: &mut Vec<T>,
        total: Option<i64>,
        position: impl Fn(&T) -> RowPosition<i64>,
    ) -> Span {
        let has_more = take_last(rows, self.page.limit);
        let last = rows.last().filter(|_| has_more).map(&position);
        self.found(rows, total, last, position)
    }

    /// Puts the rows in the order of the list, and returns their position. `onward` is the row from which reading
    /// continues in the same direction, if there are more.
    pub(super) fn found<T>(
        &self,
        rows: &mut [T],
        total: Option<i64>,
        onward: Option<RowPosition<i64>>,
        position: impl Fn(&T) -> RowPosition<i64>,
    ) -> Span {
        let has_more = onward.is_some();
        if self.is_backwards {
            rows.reverse();
        }
        let (first, last) = (rows.first().map(&position), rows.last().map(&position));
        let (previous, next) = if self.is_backwards { (onward.or(first), last) } else { (first, onward) };
        Span {
            total,
            limit: self.page.limit,
            offset: self.page.offset,
            has_more,
            next_cursor: next.map(|row| cursor::REQUESTS.text(&row)),
            prev_cursor: Some(previous.map(|row| cursor::REQUESTS_BEFORE.text(&row))),
        }
    }
}

// === impl Span ===

impl Span {
    /// Leaves `prev_cursor` out.
    pub(super) fn without_previous(self) -> Self {
        Self { prev_cursor: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(rows: &[i64], is_backwards: bool) -> (Vec<i64>, Span) {
        let listing = Listing { page: Page { limit: 2, offset: 0 }, is_backwards };
        let mut rows = rows.to_vec();
        let span = listing.span(&mut rows, None, |id| RowPosition { at: 0, id: *id });
        (rows, span)
    }

    fn cursors(span: &Span) -> (Option<String>, Option<String>) {
        let end = |cursor: &String| format!("{}{}", &cursor[..1], cursor[31..].trim_start_matches('0'));
        (span.prev_cursor.as_ref().unwrap().as_ref().map(end), span.next_cursor.as_ref().map(end))
    }

    #[test]
    fn a_page_leads_to_its_neighbours() {
        let some = |text: &str| Some(text.to_owned());
        let (rows, page) = span(&[9, 8, 7], false);
        assert_eq!((rows, page.has_more, cursors(&page)), (vec![9, 8], true, (some("b9"), some("q8"))));
        let (rows, page) = span(&[9, 8], false);
        assert_eq!((rows, page.has_more, cursors(&page)), (vec![9, 8], false, (some("b9"), None)));
        // Read backwards from row 6.
        let (rows, page) = span(&[7, 8, 9], true);
        assert_eq!((rows, page.has_more, cursors(&page)), (vec![8, 7], true, (some("b8"), some("q7"))));
        let (rows, page) = span(&[7], true);
        assert_eq!((rows, page.has_more, cursors(&page)), (vec![7], false, (some("b7"), some("q7"))));
        let (rows, page) = span(&[], true);
        assert_eq!((rows, page.has_more, cursors(&page)), (vec![], false, (None, None)));
    }
}
