//! The `ETag` of a response, and the `If-Match` of a change, so that no change is overwritten by one that was made from
//! an older state.

use std::convert::Infallible;
use std::future::Future;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{HeaderMap, IF_MATCH};
use http::request::Parts;
use serde::Serialize;
use signalbox_store::{Error as StoreError, catalog};

use super::error::{ResourceKind, StoreErrorExt as _};
use super::version::Version;
use super::{App, Error};

/// Attempts if other resources change between the check and the write.
const ATTEMPTS: usize = 5;

/// A response with the version of the resource.
#[derive(Debug)]
pub(super) struct Versioned<T>(pub(super) Version, pub(super) T);

/// The header `If-Match`: the versions for which a change is meant. Without it, a change is made in any case.
#[derive(Debug, Default)]
pub(super) struct IfMatch(Option<Vec<String>>);

// === impl Versioned ===

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let headers: HeaderMap = Version::header(&self.0.tag()).into_iter().collect();
        (headers, Json(self.1)).into_response()
    }
}

// === impl IfMatch ===

impl IfMatch {
    /// Makes a change if the client means the present version of the resource. `present` reads that version, `write`
    /// makes the change; both may run several times, but at most one change is made.
    ///
    /// # Errors
    /// [`Error::Changed`] with the present version, or an error of `present` or `write`.
    pub(super) async fn guard<T, V, W>(
        &self,
        app: &App,
        present: impl Fn() -> V,
        write: impl Fn() -> W,
    ) -> Result<T, Error>
    where
        V: Future<Output = Result<Version, Error>>,
        W: Future<Output = Result<T, Error>>,
    {
        let Some(tags) = &self.0 else { return write().await };
        for _ in 0..ATTEMPTS {
            let version = catalog::version(&app.store).await?;
            let present = present().await?;
            if !present.matches(tags) {
                return Err(Error::Changed { version: present.tag() });
            }
            match catalog::only_at(version, write()).await {
                Err(Error::Store(StoreError::Stale)) => {}
                done => return done,
            }
        }
        let message = "The configuration kept changing, and nothing was written; try again".to_owned();
        Err(Error::Conflict { code: "configuration_changed", message })
    }

    /// Deletes a resource if the client means its present version. `present` and `delete` are as for [`Self::guard`].
    ///
    /// # Errors
    /// As [`Self::guard`], and [`Error::Missing`].
    pub(super) async fn delete<V, W>(
        &self,
        app: &App,
        (what, id): (ResourceKind, &str),
        present: impl Fn() -> V,
        delete: impl Fn() -> W,
    ) -> Result<(), Error>
    where
        V: Future<Output = Result<Version, Error>>,
        W: Future<Output = Result<(), StoreError>>,
    {
        self.guard(app, present, || async { delete().await.or_missing(what, id) }).await
    }

    /// Reads the values of the header: tags in quotes, separated by commas. Quotes may be missing. A value that is no
    /// tag names no version.
    fn read(headers: &HeaderMap) -> Self {
        if !headers.contains_key(IF_MATCH) {
            return Self(None);
        }
        let values = headers.get_all(IF_MATCH).iter().filter_map(|value| value.to_str().ok());
        let tags = values.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_matches('"').to_owned());
        Self(Some(tags.collect()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn matches(version: &Version, values: &[&str]) -> bool {
        let headers =
            values.iter().map(|value| (IF_MATCH, HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect();
        version.matches(&IfMatch::read(&headers).0.unwrap())
    }

    #[test]
    fn a_version_is_matched_by_its_tag_or_its_time() {
        let version = Version::of(17, &"content");
        let tag = format!("\"{}\"", version.tag());
        for given in [&*tag, version.tag().as_str(), "*", "17", "\"17\"", "\"1\", \"17\"", "\"17\","] {
            assert!(matches(&version, &[given]), "{given}");
        }
        for given in ["\"16\"", "\"17-0000000000000000\"", "W/\"17\"", "", "\"\"", ",", "\u{e9}", "\"\"\"17 1"] {
            assert!(!matches(&version, &[given]), "{given}");
        }
        assert!(matches(&version, &["\"1\"", "\"17\""]));
        assert!(IfMatch::read(&HeaderMap::new()).0.is_none());
    }

    #[test]
    fn changes_in_the_same_millisecond_have_different_versions() {
        assert_ne!(Version::of(17, &"a"), Version::of(17, &"b"));
        assert_ne!(Version::of(17, &"a"), Version::of(18, &"a"));
        assert_eq!(Version::of(17, &"a").tag(), Version::of(17, &"a").tag());
    }
}
