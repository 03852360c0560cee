//! From a model name to the providers that may answer, in the order in which they are tried. Pure.
//!
//! A name is looked up in this order; the first rule that finds somebody decides:
//! 1. `provider/model`, when `provider` is the id of an enabled provider: that one, with `model` as the name it is given.
//! 2. A model that providers are linked to: all of them, highest priority first.
//! 3. The provider that the setting `active_provider` names: it gets every other name as it is.
//! 4. Providers without any linked model: they may know names that nobody has told us.
//!
//! Without a name, the default model of the active provider is meant.

use std::sync::Arc;

use crate::{catalog::Snapshot, provider::Provider};

/// A provider to try, and the name it knows the model by.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The provider.
    pub provider: Arc<Provider>,
    /// What `model` is to say in the request it gets.
    pub model: String,
}

/// Nobody can answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No provider has the model.
    #[error("The model `{0}` does not exist: no provider is linked to it. `GET /v1/models` lists what there is.")]
    UnknownModel(String),
    /// The request names no model, and there is no default.
    #[error("`model` is missing, and no active provider has a default model")]
    MissingModel,
}

/// Who may answer a request for `model`, in order; never empty.
///
/// # Errors
/// [`RouteError`] when nobody can.
pub fn candidates(snapshot: &Snapshot, model: Option<&str>) -> Result<Vec<Candidate>, RouteError> {
    let candidate =
        |provider: &Arc<Provider>, model: &str| Candidate { provider: Arc::clone(provider), model: model.into() };
    let Some(model) = model else {
        let provider = snapshot.active().ok_or(RouteError::MissingModel)?;
        let model = provider.default_model.as_deref().ok_or(RouteError::MissingModel)?;
        return Ok(vec![candidate(provider, model)]);
    };
    if let Some((provider, name)) = model.split_once('/')
        && let Some(provider) = snapshot.provider(provider)
        && !name.is_empty()
    {
        return Ok(vec![candidate(provider, snapshot.upstream_name(provider, name))]);
    }
    let linked = snapshot.linked(model);
    if !linked.is_empty() {
        return Ok(linked.iter().map(|link| candidate(&link.provider, &link.upstream_model)).collect());
    }
    if let Some(provider) = snapshot.active() {
        return Ok(vec![candidate(provider, model)]);
    }
    let open: Vec<Candidate> = snapshot.open().iter().map(|provider| candidate(provider, model)).collect();
    if open.is_empty() { Err(RouteError::UnknownModel(model.into())) } else { Ok(open) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::tests::{Row, snapshot};

    fn tried(rows: &[Row<'_>], active: Option<&str>, model: Option<&str>) -> Result<Vec<String>, RouteError> {
        let found = candidates(&snapshot(rows, active), model)?;
        Ok(found.iter().map(|candidate| format!("{}:{}", candidate.provider.id, candidate.model)).collect())
    }

    const ROWS: &[Row<'_>] = &[
        Row {
            id: "first",
            priority: 10,
            models: &[("gpt", Some("gpt-upstream")), ("only-first", None)],
            ..Row::ENABLED
        },
        Row { id: "second", priority: 5, models: &[("gpt", None)], ..Row::ENABLED },
        Row { id: "off", priority: 99, models: &[("gpt", None), ("hidden", None)], enabled: false },
        Row { id: "open", priority: 1, models: &[], ..Row::ENABLED },
    ];

    #[test]
    fn a_linked_model_goes_to_its_providers_by_priority() {
        assert_eq!(tried(ROWS, None, Some("gpt")).unwrap(), ["first:gpt-upstream", "second:gpt"]);
    }

    #[test]
    fn a_prefix_names_the_provider() {
        assert_eq!(tried(ROWS, None, Some("second/any/thing")).unwrap(), ["second:any/thing"]);
        assert_eq!(tried(ROWS, None, Some("first/gpt")).unwrap(), ["first:gpt-upstream"]);
        assert_eq!(tried(ROWS, None, Some("vendor/model")).unwrap(), ["open:vendor/model"]);
        assert_eq!(tried(ROWS, None, Some("first/")).unwrap(), ["open:first/"]);
    }

    #[test]
    fn an_unknown_model_goes_to_the_active_provider_else_to_the_open_ones() {
        assert_eq!(tried(ROWS, Some("second"), Some("new")).unwrap(), ["second:new"]);
        assert_eq!(tried(ROWS, Some("off"), Some("new")).unwrap(), ["open:new"]);
        assert_eq!(tried(ROWS, None, Some("hidden")).unwrap(), ["open:hidden"]);
        assert_eq!(tried(&ROWS[..3], None, Some("new")), Err(RouteError::UnknownModel("new".into())));
    }

    #[test]
    fn no_model_means_the_default_of_the_active_provider() {
        assert_eq!(tried(ROWS, Some("first"), None).unwrap(), ["first:gpt-upstream"]);
        assert_eq!(tried(ROWS, Some("open"), None), Err(RouteError::MissingModel));
        assert_eq!(tried(ROWS, None, None), Err(RouteError::MissingModel));
    }
}
