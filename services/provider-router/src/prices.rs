//! The price table in effect.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use signalbox_pricing::{Layer, LayerKind, Mistakes, Table};

/// The price table, shared by its readers and the task that replaces it. Empty until [`Prices::shipped`].
#[derive(Clone, Debug, Default)]
pub struct Prices {
    table: Arc<ArcSwapOption<Table>>,
    /// The operator's documents as they were read last, imported prices first.
    documents: Arc<Mutex<[Option<Box<str>>; 2]>>,
}

// === impl Prices ===

impl Prices {
    /// Reads the shipped prices.
    ///
    /// # Errors
    /// Returns the mistakes of the shipped document; a test of the table ensures that it has none.
    pub fn shipped() -> Result<Self, Mistakes> {
        Table::shipped()
            .map(|table| Self { table: Arc::new(ArcSwapOption::from_pointee(table)), documents: Arc::default() })
    }

    /// Returns the table in effect.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Table>> {
        self.table.load_full()
    }

    /// Replaces the imported prices and the overrides with JSON documents, or removes them. A document with mistakes
    /// changes nothing: only another version of the program can have written it. Documents that have not changed since
    /// the last call are not read again.
    pub fn update(&self, imported: Option<&str>, overrides: Option<&str>) {
        let Some(table) = self.current() else { return };
        let mut composed = Table::clone(&table);
        let mut known = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        for (known, (kind, document)) in
            known.iter_mut().zip([(LayerKind::File, imported), (LayerKind::Api, overrides)])
        {
            if known.as_deref() == document {
                continue;
            }
            *known = document.map(Into::into);
            match document.map(|document| Layer::from_json(kind, document)) {
                None => composed = composed.without(kind),
                Some(Ok(layer)) => composed = composed.with(layer),
                Some(Err(mistakes)) => {
                    tracing::warn!(%mistakes, "stored prices cannot be read, the last known prices stay in use");
                }
            }
        }
        if composed.version() != table.version() {
            tracing::info!(version = composed.version(), "prices changed");
            self.table.store(Some(Arc::new(composed)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_replace_each_other_and_mistakes_change_nothing() {
        let prices = Prices::shipped().unwrap();
        let version = || prices.current().unwrap().version().to_owned();
        let shipped = version();
        prices.update(None, Some(r#"{"prices":[{"id":"openai/a","base":{"in":"1","out":"2"}}]}"#));
        let first = version();
        assert!(first.starts_with(&format!("{shipped}+api.")), "{first}");
        prices.update(None, Some(r#"{"prices":[{"id":"a"}]}"#));
        assert_eq!(version(), first);
        prices.update(None, Some(r#"{"prices":[{"id":"openai/a","base":{"in":"2","out":"2"}}]}"#));
        assert_ne!(version(), first);
        prices.update(Some(r#"{"prices":[{"id":"openai/a","base":{"in":"2","out":"2"}}]}"#), None);
        assert!(version().starts_with(&format!("{shipped}+file.")), "{}", version());
        prices.update(None, None);
        assert_eq!(version(), shipped);
    }
}
