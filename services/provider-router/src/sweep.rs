//! Actions of operators on the state of this process.

use crate::{cache::AnswerCache, catalog::Catalog, health};

/// Removes the answers that this process would give again. Returns how many there were.
pub(crate) fn clear_cache(cache: &AnswerCache) -> usize {
    let removed = cache.clear();
    tracing::info!(removed, "cache cleared");
    removed
}

/// Closes the breakers of this process, so that every target is tried again. Returns how many were not closed.
pub(crate) fn reset_breakers(catalog: &Catalog) -> usize {
    let (now, snapshot) = (health::now(), catalog.current());
    let mut closed = 0;
    for target in snapshot.providers().iter().flat_map(|provider| provider.targets()) {
        closed += usize::from(target.blocked(now).is_some());
        target.reset();
    }
    tracing::info!(closed, "breakers reset");
    closed
}
