//! Reasons why a request has no target.

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
    /// Every target that can be used is excluded by a condition or by what the request asks for.
    #[error("No target of `{model}` fits this request: {reasons}. Change the request, or the conditions of the route.")]
    NoMatch {
        /// Name of the route or of the model.
        model: String,
        /// The targets, with the reasons why they do not fit.
        reasons: String,
    },
    /// The providers of all targets are at their limits.
    #[error("Every target of `{model}` is at a limit: {reasons}. Try again in {} s.", .wait_ms.div_ceil(1_000))]
    AtLimit {
        /// Name of the route or of the model.
        model: String,
        /// The targets, with the reasons why they cannot be asked.
        reasons: String,
        /// Milliseconds after which one of them may be asked again.
        wait_ms: u64,
    },
    /// No target of the route can be used.
    #[error("The route `{model}` has no usable target: {reasons}. Change the route, or enable its providers.")]
    NoTarget {
        /// Name of the route.
        model: String,
        /// The targets, with the reasons why they cannot be used.
        reasons: String,
    },
}

/// Reason why there is no default model, with advice for the user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDefault {
    /// The setting `active_provider` is not set.
    #[error("no provider is active. Name a model, or set `active_provider` to the id of a provider")]
    NoneActive,
    /// The setting names a provider that does not exist, such as one that was deleted.
    #[error("the active provider `{0}` does not exist. Name a model, or set `active_provider` to another provider")]
    Unknown(String),
    /// The setting names a provider that is disabled.
    #[error(
        "the active provider `{0}` is not enabled. Name a model, enable it, or set `active_provider` to another one"
    )]
    NotEnabled(String),
    /// The active provider has no default model.
    #[error("the active provider `{0}` has no default. Name a model, or set `defaultModel` in its configuration")]
    NotSet(String),
}
