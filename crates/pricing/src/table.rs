//! The price table: the shipped prices and the overrides of the operator.

use std::sync::{Arc, LazyLock};

use crate::layer::Wanted;
use crate::name::{MAX_NAME_BYTES, Names};
use crate::{Layer, LayerKind, Mistakes, Price};

/// The prices that the program contains.
const SHIPPED: &str = include_str!("../data/prices.json");

/// Rows of LiteLLM's price map for models that [`SHIPPED`] does not have.
const IMPORTED: &str = include_str!("../data/imported.json");

/// An immutable table of prices. Layers are shared between tables, so that composing a new one is cheap.
#[derive(Clone, Debug)]
pub struct Table {
    /// The layers; the one that wins comes first.
    layers: Vec<Arc<Layer>>,
    version: Box<str>,
}

// === impl Table ===

impl Table {
    /// Returns the shipped prices, which are read once per process.
    ///
    /// # Errors
    /// Returns all mistakes of the shipped documents; a test ensures that they have none.
    pub fn shipped() -> Result<Self, Mistakes> {
        static LAYER: LazyLock<Result<Arc<Layer>, Mistakes>> =
            LazyLock::new(|| Layer::from_json_with_rows(LayerKind::Shipped, SHIPPED, IMPORTED).map(Arc::new));
        LAYER.as_ref().map(|layer| Self::new(vec![Arc::clone(layer)])).map_err(Clone::clone)
    }

    /// Composes a table in which a layer replaces that of the same kind. The order of calls does not matter.
    #[must_use]
    pub fn with(&self, layer: Layer) -> Self {
        let mut layers = self.without(layer.kind).layers;
        layers.push(Arc::new(layer));
        Self::new(layers)
    }

    /// Composes a table without a layer.
    #[must_use]
    pub fn without(&self, kind: LayerKind) -> Self {
        Self::new(self.layers.iter().filter(|layer| layer.kind != kind).cloned().collect())
    }

    fn new(mut layers: Vec<Arc<Layer>>) -> Self {
        layers.sort_by_key(|layer| std::cmp::Reverse(layer.kind));
        let version = version(&layers).into();
        Self { layers, version }
    }

    /// Returns the version: that of the shipped prices, and a digest of each override, such as
    /// `2026-11-29+file.0a1b2c3d4e5f+api.5e4d3c2b1a09`. Tables with the same version find the same prices.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the layers; the one that wins comes first.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.layers.iter().map(Arc::as_ref)
    }

    /// Finds the price of a model at a Unix time in milliseconds, without allocating.
    ///
    /// `model` is the name that the provider is asked for. An override wins over the shipped price; within a layer, a
    /// row for the provider wins over one for its type, and that over one for all providers. Within these, a name wins
    /// over a pattern. At a reseller, `vendor/model` has the price of the vendor if nothing else is found. Names of more
    /// than [`MAX_NAME_BYTES`] bytes have no price.
    ///
    /// Names are compared without regard to upper and lower case: first as they are, then without a date or `-latest`
    /// at their end, then without everything up to the last `/`, then without both. A suffix after a colon stays.
    #[must_use]
    pub fn find(&self, provider_type: &str, provider_id: &str, model: &str, at: i64) -> Option<&Price> {
        let mut buffer = [0; MAX_NAME_BYTES];
        let names = Names::new(model, &mut buffer)?;
        let of_vendor = names.vendor().and_then(|(vendor, names)| {
            let vendor_type = self.layers.iter().find_map(|layer| layer.resellers.get(provider_type)?.get(vendor))?;
            Some((&**vendor_type, names))
        });
        let wanted = Wanted { provider_type, provider_id, names, of_vendor, at };
        self.layers.iter().find_map(|layer| layer.find(&wanted))
    }
}

/// Composes the version of some layers.
fn version(layers: &[Arc<Layer>]) -> String {
    let mut version = String::new();
    for layer in layers.iter().rev() {
        match layer.kind {
            LayerKind::Shipped => version.push_str(&layer.version),
            LayerKind::File if !layer.is_empty() => version = format!("{version}+file.{}", layer.digest),
            LayerKind::Api if !layer.is_empty() => version = format!("{version}+api.{}", layer.digest),
            LayerKind::File | LayerKind::Api => {}
        }
    }
    version
}
