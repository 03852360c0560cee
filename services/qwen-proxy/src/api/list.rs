//! Query parameters and JSON format of the lists of logged requests and responses.

use std::collections::HashMap;

use axum::extract::Query;
use serde::Serialize;
use serde_json::{Value, json};
use signalbox_store::{ListPage, Page};

use super::error::ApiError;

/// Maximum entries of a page.
const MAX_LIMIT: i64 = 1000;

/// Parameters of a query. Unknown ones are ignored.
pub(super) type Parameters = Query<HashMap<String, String>>;

/// Parses `limit` and `offset`.
pub(super) fn page(Query(parameters): &Parameters, default_limit: i64) -> Result<Page, ApiError> {
    let limit = number(parameters, "limit", default_limit).filter(|limit| (1..=MAX_LIMIT).contains(limit));
    let limit = limit.ok_or_else(|| mistake("invalid_limit", format!("limit must be between 1 and {MAX_LIMIT}")))?;
    let offset = number(parameters, "offset", 0).filter(|offset| *offset >= 0);
    let offset = offset.ok_or_else(|| mistake("invalid_offset", "offset must be a non-negative number"))?;
    Ok(Page { limit, offset })
}

/// Parses `start_date` and `end_date`, in Unix milliseconds.
pub(super) fn dates(Query(parameters): &Parameters) -> Result<(Option<i64>, Option<i64>), ApiError> {
    let date = |name: &str| match text(parameters, name).map(str::parse) {
        None => Ok(None),
        Some(Ok(time)) => Ok(Some(time)),
        Some(Err(_)) => Err(mistake("invalid_date", format!("{name} must be a time in milliseconds"))),
    };
    match (date("start_date")?, date("end_date")?) {
        (Some(start), Some(end)) if start > end => {
            Err(mistake("invalid_date_range", "start_date must not be after end_date"))
        }
        dates => Ok(dates),
    }
}

/// Returns a text parameter; an empty one counts as absent.
pub(super) fn text<'a>(parameters: &'a HashMap<String, String>, name: &str) -> Option<&'a str> {
    parameters.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

/// Parses the numeric id in a path.
pub(super) fn id(text: &str) -> Result<i64, ApiError> {
    text.parse().ok().filter(|id| *id > 0).ok_or_else(|| mistake("invalid_id", format!("`{text}` must be a number")))
}

/// Formats a page of a list.
pub(super) fn listed<T: Serialize>(list: &ListPage<T>, page: Page) -> Value {
    let end = page.offset.saturating_add(i64::try_from(list.items.len()).unwrap_or(i64::MAX));
    json!({
        "object": "list",
        "data": list.items,
        "total": list.total,
        "limit": page.limit,
        "offset": page.offset,
        "has_more": end < list.total,
    })
}

/// Returns an object with one more member.
pub(super) fn with(mut object: Value, name: &str, member: Value) -> Value {
    if let Value::Object(members) = &mut object {
        members.insert(name.to_owned(), member);
    }
    object
}

/// Parses a column that contains JSON. Invalid JSON is returned as a string.
pub(super) fn as_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

pub(super) fn mistake(code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::Parameter { code, message: message.into() }
}

fn number(parameters: &HashMap<String, String>, name: &str, default: i64) -> Option<i64> {
    text(parameters, name).map_or(Some(default), |text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(parameters: &[(&str, &str)]) -> Parameters {
        Query(parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn page_limits_are_checked() {
        assert_eq!(page(&query(&[]), 50).unwrap(), Page { limit: 50, offset: 0 });
        assert_eq!(page(&query(&[("limit", "7"), ("offset", "3")]), 50).unwrap(), Page { limit: 7, offset: 3 });
        for (name, value) in [("limit", "0"), ("limit", "1001"), ("limit", "x"), ("offset", "-1"), ("offset", "1.5")] {
            let error = page(&query(&[(name, value)]), 50).unwrap_err();
            assert_eq!(error.code(), format!("invalid_{name}"), "{value}");
        }
    }

    #[test]
    fn start_date_must_not_be_after_end_date() {
        assert_eq!(dates(&query(&[("start_date", "1"), ("end_date", "")])).unwrap(), (Some(1), None));
        for (start, end, code) in [("2", "1", "invalid_date_range"), ("x", "1", "invalid_date")] {
            let error = dates(&query(&[("start_date", start), ("end_date", end)])).unwrap_err();
            assert_eq!(error.code(), code);
        }
    }

    #[test]
    fn the_last_page_has_no_more() {
        let page = Page { limit: 2, offset: 2 };
        assert_eq!(listed(&ListPage { items: vec![1, 2], total: 4 }, page)["has_more"], false);
        assert_eq!(listed(&ListPage { items: vec![1, 2], total: 5 }, page)["has_more"], true);
    }
}
