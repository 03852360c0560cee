//! Selects the providers that may serve a model, in routing order. Has no side effects.
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

use crate::{catalog::Snapshot, provider::Provider};

/// Type of provider that accepts a request without a model name.
const TYPE_WITH_DEFAULT: &str = "qwen-proxy";

/// A provider to try, and the model name to send to it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The provider to try.
    pub provider: Arc<Provider>,
    /// Value of `model` in the request to the provider; `None` sends the request unchanged, without a name.
    pub model: Option<String>,
}

/// Reason why no provider can serve a request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No enabled provider serves the model.
    #[error(
        "The model `{0}` does not exist: no enabled provider serves it. `GET /v1/models` lists the available models."
    )]
    UnknownModel(String),
    /// The request names no model, and there is no default.
    #[error("`model` is missing, and {0}.")]
    MissingModel(NoDefault),
}

/// Reason why there is no default model, with advice for the user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDefault {
    /// The setting `active_provider` is not set.
    #[error("no provider is active. Name a model, or set `active_provider` to the id of a provider")]
    NoneActive,
    /// The setting names a provider that is disabled or does not exist.
    #[error(
        "the active provider `{0}` is not enabled. Name a model, enable it, or set `active_provider` to another one"
    )]
    NotEnabled(String),
    /// The active provider has no default model.
    #[error("the active provider `{0}` has no default. Name a model, or set `defaultModel` in its configuration")]
    NotSet(String),
}

/// Returns the providers that may serve a request for `model`, in routing order; never empty.
///
/// # Errors
/// Returns a [`RouteError`] if there are none.
pub fn candidates(snapshot: &Snapshot, model: Option<&str>) -> Result<Vec<Candidate>, RouteError> {
    let Some(model) = model else { return for_default_model(snapshot) };
    if let Some((provider, name)) = model.split_once('/')
        && let Some(provider) = snapshot.provider(provider)
        && !name.is_empty()
    {
        // Some providers list their models with their own name as a prefix.
        let name = if snapshot.serves(provider, model) { model } else { name };
        return Ok(vec![candidate(snapshot, provider, name)]);
    }
    let first = snapshot.active().filter(|active| snapshot.is_open(active) || snapshot.serves(active, model));
    let found = for_model(snapshot, model, first);
    if found.is_empty() { Err(RouteError::UnknownModel(model.into())) } else { Ok(found) }
}

/// Returns the active provider with its default model, followed by the other providers linked to that model.
fn for_default_model(snapshot: &Snapshot) -> Result<Vec<Candidate>, RouteError> {
    let none = || snapshot.chosen().map_or(NoDefault::NoneActive, |id| NoDefault::NotEnabled(id.into()));
    let active = snapshot.active().ok_or_else(|| RouteError::MissingModel(none()))?;
    match &active.default_model {
        Some(model) => Ok(for_model(snapshot, model, Some(active))),
        None if active.row.kind == TYPE_WITH_DEFAULT => {
            Ok(vec![Candidate { provider: Arc::clone(active), model: None }])
        }
        None => Err(RouteError::MissingModel(NoDefault::NotSet(active.id.clone()))),
    }
}

/// Returns `first` and the providers linked to the model; without any of these, the providers that list the model, then
/// those without links.
fn for_model(snapshot: &Snapshot, model: &str, first: Option<&Arc<Provider>>) -> Vec<Candidate> {
    let linked = snapshot.linked(model);
    let mut found: Vec<Candidate> = Vec::with_capacity(linked.len() + 1);
    let mut add = |provider: &Arc<Provider>| {
        if !found.iter().any(|candidate| Arc::ptr_eq(&candidate.provider, provider)) {
            found.push(candidate(snapshot, provider, model));
        }
    };
    if first.is_none() && linked.is_empty() {
        snapshot.listing(model).iter().chain(snapshot.open()).for_each(&mut add);
    } else {
        first.into_iter().chain(linked.iter().map(|link| &link.provider)).for_each(&mut add);
    }
    found
}

fn candidate(snapshot: &Snapshot, provider: &Arc<Provider>, model: &str) -> Candidate {
    Candidate { provider: Arc::clone(provider), model: Some(snapshot.upstream_name(provider, model).to_owned()) }
}

#[cfg(test)]
mod tests;
