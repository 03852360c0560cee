//! The implied route of a model without a route in the catalogue: the providers that may serve it, in order.
//!
//! `provider/model` names an enabled provider, and `model` is the model name sent to it; no other provider is tried. A
//! request for any other name goes
//! 1. to the active provider (setting `active_provider`), if it serves the model or may serve it;
//! 2. to the providers linked to the model, highest priority first;
//! 3. if there are none of these, to the providers whose own list contains the model, then to those that may serve it.
//!
//! A provider *serves* the models linked to it and those in its own list. It *may serve* any model while no model is
//! linked to it; after that, only its links and its list count.
//!
//! A request without a model name means the default model of the active provider: `defaultModel` of its configuration,
//! or else its default link. A qwen-proxy without either receives the request unchanged, and applies its own default.

use std::sync::Arc;

use super::{Candidate, NoDefault, Reason, RouteError};
use crate::{catalog::Snapshot, provider::Provider};

/// Type of provider that accepts a request without a model name.
const TYPE_WITH_DEFAULT: &str = "qwen-proxy";

/// Returns the providers that may serve a request for `model`, in routing order; never empty.
///
/// # Errors
/// Returns a [`RouteError`] if there are none.
pub(super) fn candidates(snapshot: &Snapshot, model: Option<&str>) -> Result<Vec<Candidate>, RouteError> {
    let Some(model) = model else { return for_default_model(snapshot) };
    if let Some((provider, name)) = named(snapshot, model) {
        return Ok(vec![candidate(snapshot, provider, name, Reason::Named)]);
    }
    let first = snapshot.active().filter(|active| snapshot.is_open(active) || snapshot.serves(active, model));
    let found = for_model(snapshot, model, first);
    if found.is_empty() { Err(RouteError::UnknownModel(model.into())) } else { Ok(found) }
}

/// Returns the enabled provider that a name of the form `provider/model` begins with, and the name of the model.
pub(super) fn named<'a>(snapshot: &'a Snapshot, model: &'a str) -> Option<(&'a Arc<Provider>, &'a str)> {
    let (provider, name) = model.split_once('/')?;
    let provider = snapshot.provider(provider).filter(|_| !name.is_empty())?;
    // Some providers list their models with their own name as a prefix.
    Some((provider, if snapshot.serves(provider, model) { model } else { name }))
}

/// Returns the active provider with its default model, followed by the other providers linked to that model.
fn for_default_model(snapshot: &Snapshot) -> Result<Vec<Candidate>, RouteError> {
    let none = || match snapshot.chosen() {
        None => NoDefault::NoneActive,
        Some(id) if snapshot.rows().iter().any(|row| row.id == id) => NoDefault::NotEnabled(id.into()),
        Some(id) => NoDefault::Unknown(id.into()),
    };
    let active = snapshot.active().ok_or_else(|| RouteError::MissingModel(none()))?;
    match &active.default_model {
        Some(model) => Ok(for_model(snapshot, model, Some(active))),
        None if active.row.kind == TYPE_WITH_DEFAULT => Ok(vec![Candidate::new(active, None, Reason::Active)]),
        None => Err(RouteError::MissingModel(NoDefault::NotSet(active.id.clone()))),
    }
}

/// Returns `first` and the providers linked to the model; without any of these, the providers that list the model, then
/// those without links.
fn for_model(snapshot: &Snapshot, model: &str, first: Option<&Arc<Provider>>) -> Vec<Candidate> {
    let linked = snapshot.linked(model);
    let mut found: Vec<Candidate> = Vec::with_capacity(linked.len() + 1);
    let mut add = |provider: &Arc<Provider>, reason| {
        if !found.iter().any(|candidate| Arc::ptr_eq(&candidate.provider, provider)) {
            found.push(candidate(snapshot, provider, model, reason));
        }
    };
    if first.is_none() && linked.is_empty() {
        snapshot.listing(model).iter().for_each(|provider| add(provider, Reason::Listing));
        snapshot.open().iter().for_each(|provider| add(provider, Reason::Open));
    } else {
        first.into_iter().for_each(|provider| add(provider, Reason::Active));
        linked.iter().for_each(|link| add(&link.provider, Reason::Linked));
    }
    found
}

fn candidate(snapshot: &Snapshot, provider: &Arc<Provider>, model: &str, reason: Reason) -> Candidate {
    Candidate::new(provider, Some(snapshot.upstream_name(provider, model).to_owned()), reason)
}

#[cfg(test)]
mod tests;
