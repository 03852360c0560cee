//! From a model name to the providers that may answer, in the order in which they are tried. Pure.
//!
//! `provider/model` names an enabled provider, and `model` is the name it is given; nobody else is tried. Any other name goes
//! 1. to the active provider (setting `active_provider`), if it serves the model, or may serve it;
//! 2. to the providers that are linked to the model, highest priority first;
//! 3. if there is none of these: to the providers whose own list names the model, then to those that may serve it.
//!
//! A provider *serves* the models it is linked to and those that its own list names. It *may serve* any model while it is
//! linked to none; once it has links, they and its list say what it has.
//!
//! A request without a name means the default model of the active provider: `defaultModel` of its configuration, else its
//! default link. A qwen-proxy without either gets the request as it is, and takes its own default.

use std::sync::Arc;

use crate::{catalog::Snapshot, provider::Provider};

/// The kind of provider that knows what to do with a request that names no model.
const HAS_A_DEFAULT: &str = "qwen-proxy";

/// A provider to try, and the name it knows the model by.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The value of `model` in the request it gets; `None` leaves the request as it is, without a name.
    pub model: Option<String>,
}

/// Why no provider can answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No provider has the model.
    #[error("The model `{0}` does not exist: no enabled provider serves it. `GET /v1/models` lists what there is.")]
    UnknownModel(String),
    /// The request names no model, and there is no default.
    #[error("`model` is missing, and {0}.")]
    MissingModel(NoDefault),
}

/// Why there is no default model, and what to do about it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDefault {
    /// The setting `active_provider` is not set.
    #[error("no provider is active. Name a model, or set `active_provider` to the id of a provider")]
    NoneActive,
    /// The setting names a provider that is not enabled, or is not there.
    #[error(
        "the active provider `{0}` is not enabled. Name a model, enable it, or set `active_provider` to another one"
    )]
    NotEnabled(String),
    /// The active provider has no default model.
    #[error("the active provider `{0}` has no default. Name a model, or set `defaultModel` in its configuration")]
    NotSet(String),
}

/// Returns who may answer a request for `model`, in the order in which they are tried; never empty.
///
/// # Errors
/// [`RouteError`] when no provider can.
pub fn candidates(snapshot: &Snapshot, model: Option<&str>) -> Result<Vec<Candidate>, RouteError> {
    let Some(model) = model else { return unnamed(snapshot) };
    if let Some((provider, name)) = model.split_once('/')
        && let Some(provider) = snapshot.provider(provider)
        && !name.is_empty()
    {
        // Some providers list their models with their own name in front.
        let name = if snapshot.serves(provider, model) { model } else { name };
        return Ok(vec![candidate(snapshot, provider, name)]);
    }
    let first = snapshot.active().filter(|active| snapshot.is_open(active) || snapshot.serves(active, model));
    let found = named(snapshot, model, first);
    if found.is_empty() { Err(RouteError::UnknownModel(model.into())) } else { Ok(found) }
}

/// The active provider, asked for its default model; behind it, whoever is linked to that.
fn unnamed(snapshot: &Snapshot) -> Result<Vec<Candidate>, RouteError> {
    let none = || snapshot.chosen().map_or(NoDefault::NoneActive, |id| NoDefault::NotEnabled(id.into()));
    let active = snapshot.active().ok_or_else(|| RouteError::MissingModel(none()))?;
    match &active.default_model {
        Some(model) => Ok(named(snapshot, model, Some(active))),
        None if active.row.kind == HAS_A_DEFAULT => Ok(vec![Candidate { provider: Arc::clone(active), model: None }]),
        None => Err(RouteError::MissingModel(NoDefault::NotSet(active.id.clone()))),
    }
}

/// `first`, then those that are linked to the model; without any of these, those that offer it, then those that may have it.
fn named(snapshot: &Snapshot, model: &str, first: Option<&Arc<Provider>>) -> Vec<Candidate> {
    let linked = snapshot.linked(model);
    let mut found: Vec<Candidate> = Vec::with_capacity(linked.len() + 1);
    let mut add = |provider: &Arc<Provider>| {
        if !found.iter().any(|candidate| Arc::ptr_eq(&candidate.provider, provider)) {
            found.push(candidate(snapshot, provider, model));
        }
    };
    if first.is_none() && linked.is_empty() {
        snapshot.offering(model).iter().chain(snapshot.open()).for_each(&mut add);
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
