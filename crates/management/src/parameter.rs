//! A parameter of a query string.

use std::marker::PhantomData;

use serde::{Deserialize, Deserializer};

/// The text of a parameter whose values have this type. It is parsed by [`Query`](super::query::Query), which collects
/// the mistakes.
#[derive(Clone, Debug)]
pub(super) struct Parameter<T>(Option<String>, PhantomData<T>);

impl<T> Parameter<T> {
    pub(super) const fn new(text: Option<String>) -> Self {
        Self(text, PhantomData)
    }

    /// Returns the text as it was sent.
    pub(super) fn raw(self) -> Option<String> {
        self.0
    }

    /// Returns the text; an empty one counts as absent.
    pub(super) fn text(self) -> Option<String> {
        self.0.filter(|text| !text.is_empty())
    }
}

impl<T> Default for Parameter<T> {
    fn default() -> Self {
        Self::new(None)
    }
}

impl<'de, T> Deserialize<'de> for Parameter<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::new(Some(text)))
    }
}
