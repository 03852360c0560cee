//! One document of prices, indexed.

use std::collections::HashMap;

use crate::Price;
use crate::name::{Names, matches};

/// Where a layer of prices comes from. A later one wins over an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerKind {
    /// The prices that the program contains, or a newer edition of them.
    Shipped,
    /// A file of the operator.
    File,
    /// The management API.
    Api,
}

/// A document of prices that has no mistakes.
#[derive(Clone, Debug)]
pub struct Layer {
    pub(crate) kind: LayerKind,
    /// The `version` of the document; empty if it has none, which only overrides may.
    pub(crate) version: Box<str>,
    /// A digest of the prices, 12 hexadecimal digits.
    pub(crate) digest: Box<str>,
    pub(crate) prices: Vec<Price>,
    /// Rows of single providers, by id.
    pub(crate) by_id: HashMap<Box<str>, Scope>,
    /// Rows of provider types.
    pub(crate) by_type: HashMap<Box<str>, Scope>,
    /// Rows of all providers.
    pub(crate) any: Scope,
    pub(crate) resellers: Resellers,
}

/// By provider type: the provider types whose prices it passes on, by the vendor in the names of its models.
pub(crate) type Resellers = HashMap<Box<str>, HashMap<Box<str>, Box<str>>>;

/// The provider, model and time that a price is looked up for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) provider_type: &'a str,
    pub(crate) provider_id: &'a str,
    pub(crate) names: Names<'a>,
    /// The provider type of the vendor and its names of the model, if the provider passes on the vendor's prices.
    pub(crate) of_vendor: Option<(&'a str, Names<'a>)>,
    /// Unix time in milliseconds.
    pub(crate) at: i64,
}

/// The rows of a provider, a provider type or of all providers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// Indices of rows by name; the first one that is valid counts.
    pub(crate) names: HashMap<Box<str>, Vec<usize>>,
    /// Patterns; those with the most characters that are not wildcards come first.
    pub(crate) patterns: Vec<(Box<str>, Vec<usize>)>,
}

// === impl Layer ===

impl Layer {
    /// Returns where the layer comes from.
    #[must_use]
    pub const fn kind(&self) -> LayerKind {
        self.kind
    }

    /// Returns the prices in the order of the document.
    #[must_use]
    pub fn prices(&self) -> &[Price] {
        &self.prices
    }

    /// Returns whether the layer changes nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.prices.is_empty() && self.resellers.is_empty()
    }

    /// Finds the price of a model: first among the rows of the provider, then of its type, then of all providers, then
    /// of the type of the vendor whose prices the provider passes on.
    pub(crate) fn find(&self, wanted: &Wanted<'_>) -> Option<&Price> {
        let find = |scope: &Scope, names: &Names<'_>| {
            scope.find(names, |row| self.prices.get(row).filter(|price| price.is_valid_at(wanted.at)))
        };
        None.or_else(|| find(self.by_id.get(wanted.provider_id)?, &wanted.names))
            .or_else(|| find(self.by_type.get(wanted.provider_type)?, &wanted.names))
            .or_else(|| find(&self.any, &wanted.names))
            .or_else(|| {
                let (vendor_type, names) = wanted.of_vendor.as_ref()?;
                find(self.by_type.get(*vendor_type)?, names)
            })
    }
}

// === impl Scope ===

impl Scope {
    /// Returns the first valid row: by name, then by pattern.
    fn find<'p>(&self, names: &Names<'_>, valid: impl Fn(usize) -> Option<&'p Price>) -> Option<&'p Price> {
        let first = |rows: &[usize]| rows.iter().find_map(|row| valid(*row));
        names.iter().find_map(|name| first(self.names.get(name)?)).or_else(|| {
            let of_pattern = |name: &str| {
                self.patterns.iter().filter(|(pattern, _)| matches(pattern, name)).find_map(|(_, rows)| first(rows))
            };
            names.iter().find_map(of_pattern)
        })
    }

    /// Sorts patterns and rows so that the first match is the most precise one.
    pub(crate) fn sort(&mut self, prices: &[Price]) {
        let literals = |pattern: &str| pattern.bytes().filter(|byte| !matches!(byte, b'*' | b'?')).count();
        self.patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(literals(pattern)));
        for rows in self.names.values_mut().chain(self.patterns.iter_mut().map(|(_, rows)| rows)) {
            rows.sort_by_key(|row| prices.get(*row).is_some_and(|price| price.hours.is_none()));
        }
    }
}
