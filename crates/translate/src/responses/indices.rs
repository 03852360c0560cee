//! The indices of items, whatever a provider makes of them.

use std::collections::BTreeMap;

/// First index of items whose own index another item has.
const FIRST_OWN_INDEX: u32 = 1 << 16;

/// The indices of items by their ids: some providers give several items the same index, or number them otherwise in the
/// whole response.
#[derive(Debug, Default)]
pub(super) struct Indices(BTreeMap<String, u32>);

// === impl Indices ===

impl Indices {
    /// Returns the index of the item with this id: the provider's, unless another item has it. An item without an id
    /// keeps the provider's.
    pub(super) fn get(&mut self, index: u32, id: Option<String>) -> u32 {
        let Some(id) = id.filter(|id| !id.is_empty()) else { return index };
        if let Some(known) = self.0.get(&id) {
            return *known;
        }
        let is_taken = self.0.values().any(|known| *known == index);
        let own = u32::try_from(self.0.len()).unwrap_or_default().saturating_add(FIRST_OWN_INDEX);
        let index = if is_taken { own } else { index };
        self.0.insert(id, index);
        index
    }
}
