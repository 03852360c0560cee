//! Parses the query string of a list: filters and the requested page.
//!
//! The parameters of a list are a struct of [`Parameter`]s that derives `Deserialize` and `IntoParams`: the same
//! parameters are read and described.

use std::collections::HashMap;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::{Error as ReadError, MapDeserializer};
use signalbox_store::{ListPage, Page, RowPosition};
use utoipa::ToSchema;

use super::Error;
use super::cursor::{self, Id, List};
use super::filters::Pages;
use super::mistake::FieldMistake;
use super::parameter::Parameter;

/// Maximum number of rows in a page.
const MAX_LIMIT: i64 = 1000;

pub(super) const CURSOR: &str = "cursor must be the next_cursor of a previous page of the same list";

/// Maximum number of values of a parameter that may be repeated.
const MAX_VALUES: usize = 50;

/// The parameters of a query string. Unknown parameters are ignored; of a repeated one, the last value applies, unless
/// it is [read](Query::texts) as a list.
#[derive(Debug, Default)]
pub struct Query {
    parameters: HashMap<String, String>,
    /// All parameters in their order, with repetitions.
    pairs: Vec<(String, String)>,
    mistakes: Vec<FieldMistake>,
}

/// The position of a page in its list, included in the response.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Position {
    total: i64,
    limit: i64,
    /// Number of skipped rows, counted from the cursor if there is one.
    offset: i64,
    has_more: bool,
    /// The cursor of the next page; null at the end.
    next_cursor: Option<String>,
}

// === impl Query ===

impl Query {
    /// Reads parameters into a struct of [`Parameter`]s. Those that it does not have are ignored.
    pub fn read<T: Default + DeserializeOwned>(&mut self) -> T {
        let pairs = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        T::deserialize(MapDeserializer::new(pairs)).unwrap_or_else(|error: ReadError| {
            self.mistakes.push(FieldMistake::of_request(error.to_string()));
            T::default()
        })
    }

    /// Takes a text; an empty one counts as absent.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.parameters.remove(name).filter(|text| !text.is_empty())
    }

    /// Returns the text of a parameter, also an empty one, which other readers take as absent.
    pub fn given(&mut self, name: &str) -> Option<String> {
        self.parameters.remove(name)
    }

    /// Refuses parameters that have not been taken, and those that are given twice.
    pub fn refuse_others(&mut self) {
        let mut unknown: Vec<String> = self.parameters.keys().cloned().collect();
        unknown.sort_unstable();
        for name in unknown {
            self.mistake(format!("{name} is not a parameter of this request"));
        }
        for at in 1..self.pairs.len() {
            let name = &self.pairs[at].0;
            if self.pairs[..at].iter().any(|(other, _)| other == name) {
                self.mistake(format!("{name} is given twice"));
            }
        }
    }

    /// Refuses parameters with other names than these, whether they have been taken or not.
    pub(super) fn refuse_unknown(&mut self, known: &[String]) {
        let mut unknown: Vec<&String> =
            self.pairs.iter().map(|(name, _)| name).filter(|name| !known.contains(name)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        let mistakes: Vec<String> =
            unknown.into_iter().map(|name| format!("{name} is not a parameter of this request")).collect();
        mistakes.into_iter().for_each(|mistake| self.mistake(mistake));
    }

    /// Returns the values of a parameter that may be repeated, each once; empty ones count as absent.
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for (_, value) in self.pairs.iter().filter(|(other, value)| other == name && !value.is_empty()) {
            if !texts.contains(value) {
                texts.push(value.clone());
            }
        }
        if texts.len() > MAX_VALUES {
            self.mistake(format!("{name} must have at most {MAX_VALUES} different values"));
        }
        texts
    }

    /// Returns one of these words; an empty text counts as absent.
    pub fn word(&mut self, name: &str, words: &[&'static str]) -> Option<&'static str> {
        let text = self.text(name)?;
        let word = words.iter().find(|word| **word == text).copied();
        if word.is_none() {
            self.mistake(format!("{name} must be one of: {}", words.join(", ")));
        }
        word
    }

    /// Takes `true` or `false`; an empty text counts as absent.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        let parameter = Parameter::new(self.parameters.remove(name));
        self.switch(name, parameter)
    }

    /// Returns `true` or `false`; an empty text counts as absent.
    pub(super) fn switch(&mut self, name: &str, parameter: Parameter<bool>) -> Option<bool> {
        let text = parameter.text()?;
        self.parsed(&text, format!("{name} must be true or false"))
    }

    /// Returns a time in milliseconds since 1970.
    pub(super) fn time(&mut self, name: &str, parameter: Parameter<i64>) -> Option<i64> {
        self.parsed(&parameter.raw()?, format!("{name} must be a time in milliseconds"))
    }

    /// Returns a number that is not negative.
    pub(super) fn amount(&mut self, name: &str, parameter: Parameter<i64>) -> Option<i64> {
        let amount = parameter.text()?.parse().ok().filter(|amount| *amount >= 0);
        if amount.is_none() {
            self.mistake(format!("{name} must be a number of at least 0"));
        }
        amount
    }

    /// Takes a number from 1 to `most`.
    pub fn count(&mut self, name: &str, default: usize, most: usize) -> usize {
        let Some(text) = self.parameters.remove(name) else { return default };
        let count = text.parse().ok().filter(|count| (1..=most).contains(count));
        if count.is_none() {
            self.mistake(format!("{name} must be between 1 and {most}"));
        }
        count.unwrap_or(default)
    }

    /// Takes `limit` (1 to 1000 if given) and `offset`.
    pub(super) fn page(&mut self, default_limit: i64) -> Page {
        let Pages { limit, offset } = self.read();
        let (limit, offset) = (limit.raw(), offset.raw());
        let limit =
            limit.map_or(Some(default_limit), |text| text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)));
        let offset = offset.map_or(Some(0), |text| text.parse().ok().filter(|offset| *offset >= 0));
        if limit.is_none() {
            self.mistake(format!("limit must be between 1 and {MAX_LIMIT}"));
        }
        if offset.is_none() {
            self.mistake("offset must be a non-negative number");
        }
        Page { limit: limit.unwrap_or(default_limit), offset: offset.unwrap_or_default() }
    }

    /// Takes `limit`, `offset`, and the row of `cursor` after which the page begins.
    pub(super) fn cursor_page<I: Id>(&mut self, list: List, default_limit: i64) -> (Page, Option<RowPosition<I>>) {
        let page = self.page(default_limit);
        let after = self.text("cursor").and_then(|text| {
            let after = list.parse(&text);
            if after.is_none() {
                self.mistake(CURSOR);
            }
            after
        });
        (page, after)
    }

    /// Takes `limit`, and `offset` plus the offset of `cursor`: for lists that users fill by hand.
    pub(super) fn offset_page(&mut self) -> Page {
        let place = self.text("cursor").map(|text| cursor::parse_offset(&text));
        if place == Some(None) {
            self.mistake(CURSOR);
        }
        let page = self.page(Page::ALL.limit);
        Page { offset: page.offset.saturating_add(place.flatten().unwrap_or_default()), ..page }
    }

    /// Adds a mistake: a sentence that begins with its parameter.
    pub fn mistake(&mut self, mistake: impl Into<FieldMistake>) {
        self.mistakes.push(mistake.into());
    }

    /// Reports all mistakes.
    ///
    /// # Errors
    /// [`Error::Validation`] with every mistake.
    pub fn finish(self) -> Result<(), Error> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(Error::Validation(self.mistakes)) }
    }

    fn of(pairs: Vec<(String, String)>) -> Self {
        Self { parameters: pairs.iter().cloned().collect(), pairs, mistakes: Vec::new() }
    }

    fn parsed<T: FromStr>(&mut self, text: &str, mistake: String) -> Option<T> {
        let value = text.parse().ok();
        if value.is_none() {
            self.mistake(mistake);
        }
        value
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(pairs)| Self::of(pairs))
            .map_err(|rejection| Error::invalid(rejection.to_string()))
    }
}

// === impl Position ===

impl Position {
    /// Removes the extra row that was [requested](one_more) to find out whether there are more. `cursor` returns the
    /// cursor of a row.
    pub(super) fn of<T>(list: &mut ListPage<T>, page: Page, cursor: impl FnOnce(&T) -> String) -> Self {
        let has_more = take_last(&mut list.items, page.limit);
        let next_cursor = list.items.last().filter(|_| has_more).map(cursor);
        Self { total: list.total, limit: page.limit, offset: page.offset, has_more, next_cursor }
    }
}

/// Returns the page extended by one row.
pub(super) fn one_more(page: Page) -> Page {
    Page { limit: page.limit.saturating_add(1), ..page }
}

/// Truncates the list to `limit` rows; returns whether it was longer.
pub(super) fn take_last<T>(items: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = items.len() > limit;
    items.truncate(limit);
    has_more
}

/// Returns the cursor of the next page of a list that users fill by hand; `None` at the end.
pub(super) fn next_offset_cursor(shown: usize, total: i64, page: Page) -> Option<String> {
    let end = page.offset.saturating_add(i64::try_from(shown).unwrap_or(i64::MAX));
    (end < total).then(|| cursor::offset_cursor(end))
}

#[cfg(test)]
mod tests {
    use super::super::filters::RequestFilter;
    use super::*;

    fn query(parameters: &[(&str, &str)]) -> Query {
        Query::of(parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn the_page_size_is_limited() {
        assert_eq!(query(&[]).page(50), Page { limit: 50, offset: 0 });
        assert_eq!(query(&[]).page(Page::ALL.limit), Page::ALL);
        assert_eq!(query(&[("limit", "7"), ("offset", "3")]).page(50), Page { limit: 7, offset: 3 });
        for (name, value) in [("limit", "0"), ("limit", "1001"), ("limit", ""), ("offset", "-1"), ("offset", "1.5")] {
            let mut query = query(&[(name, value)]);
            query.page(50);
            assert!(query.finish().is_err(), "{name}={value}");
        }
    }

    #[test]
    fn the_count_is_limited() {
        assert_eq!(query(&[]).count("lines", 50, 5000), 50);
        assert_eq!(query(&[("lines", "5000")]).count("lines", 50, 5000), 5000);
        for value in ["", "0", "5001", "-1", "1.5", "many", "99999999999999999999"] {
            let mut query = query(&[("lines", value)]);
            query.count("lines", 50, 5000);
            assert!(query.finish().is_err(), "{value}");
        }
    }

    #[test]
    fn filters_are_typed() {
        let mut query = query(&[("stream", "true"), ("start_date", "17"), ("model", ""), ("has_error", "maybe")]);
        assert_eq!(query.boolean("stream"), Some(true));
        let RequestFilter { start_date, .. } = query.read();
        assert_eq!(query.time("start_date", start_date), Some(17));
        assert_eq!(query.text("model"), None);
        assert_eq!(query.boolean("has_error"), None);
        assert!(query.finish().is_err());
    }

    #[test]
    fn a_repeated_parameter_is_a_list() {
        let mut query = query(&[("model", "a"), ("model", ""), ("model", "b"), ("model", "a"), ("min_ms", "-1")]);
        assert_eq!(query.texts("model"), ["a", "b"]);
        assert_eq!(query.text("model").as_deref(), Some("a"));
        assert!(query.texts("status").is_empty());
        let RequestFilter { min_ms, .. } = query.read();
        assert_eq!(query.amount("min_ms", min_ms), None);
        assert_eq!(query.word("view", &["short"]), None);
        assert_eq!(query.mistakes, ["min_ms must be a number of at least 0".into()]);
    }

    #[test]
    fn a_list_has_a_maximum_length() {
        let values: Vec<String> = (0..=MAX_VALUES).map(|value| value.to_string()).collect();
        let pairs: Vec<(&str, &str)> = values.iter().map(|value| ("model", &**value)).collect();
        let mut long = query(&pairs);
        long.texts("model");
        assert_eq!(long.mistakes, ["model must have at most 50 different values".into()]);
        assert_eq!(query(&pairs[1..]).texts("model").len(), MAX_VALUES);
    }

    #[test]
    fn the_last_page_has_no_cursor() {
        let page = Page { limit: 2, offset: 2 };
        let position = |items: &[i32]| {
            let mut list = ListPage { items: items.to_vec(), total: 9 };
            let position = Position::of(&mut list, page, |last| last.to_string());
            (list.items.len(), position.has_more, position.next_cursor)
        };
        assert_eq!(position(&[1, 2]), (2, false, None));
        assert_eq!(position(&[1, 2, 3]), (2, true, Some("2".to_owned())));
        assert_eq!(next_offset_cursor(2, 5, page), Some(cursor::offset_cursor(4)));
        assert_eq!(next_offset_cursor(2, 4, page), None);
    }
}
