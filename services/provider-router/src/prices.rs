//! The price table in effect.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use signalbox_pricing::{Layer, LayerKind, Mistakes, Table};

/// The price table, shared by its readers and the task that replaces it. Empty until [`Prices::shipped`].
#[derive(Clone, Debug, Default)]
pub struct Prices(Arc<ArcSwapOption<Table>>);

// === impl Prices ===

impl Prices {
    /// Reads the shipped prices.
    ///
    /// # Errors
    /// Returns the mistakes of the shipped document; a test of the table ensures that it has none.
    pub fn shipped() -> Result<Self, Mistakes> {
        Table::shipped().map(|table| Self(Arc::new(ArcSwapOption::from_pointee(table))))
    }

    /// Returns the table in effect.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Table>> {
        self.0.load_full()
    }

    /// Replaces the operator's overrides with a JSON document, or removes them. The last table stays in effect if the
    /// document has mistakes: only another version of the program can have written it.
    pub fn set_overrides(&self, document: Option<&str>) {
        let Some(table) = self.current() else { return };
        let composed = match document.map(|document| Layer::from_json(LayerKind::Api, document)) {
            None => table.without(LayerKind::Api),
            Some(Ok(layer)) => table.with(layer),
            Some(Err(mistakes)) => {
                tracing::warn!(%mistakes, "stored prices cannot be read, the last known prices stay in use");
                return;
            }
        };
        if composed.version() != table.version() {
            tracing::info!(version = composed.version(), "prices changed");
        }
        self.0.store(Some(Arc::new(composed)));
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
        prices.set_overrides(Some(r#"{"prices":[{"id":"openai/a","base":{"in":"1","out":"2"}}]}"#));
        let first = version();
        assert!(first.starts_with(&format!("{shipped}+api.")), "{first}");
        prices.set_overrides(Some(r#"{"prices":[{"id":"a"}]}"#));
        assert_eq!(version(), first);
        prices.set_overrides(Some(r#"{"prices":[{"id":"openai/a","base":{"in":"2","out":"2"}}]}"#));
        assert_ne!(version(), first);
        prices.set_overrides(None);
        assert_eq!(version(), shipped);
    }
}
