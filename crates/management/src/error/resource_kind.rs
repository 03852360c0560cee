//! Names and codes of the resources that can be missing.

/// The kinds of resource that can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants name the resources")]
pub enum ResourceKind {
    Provider,
    Model,
    Link,
    ConfigKey,
    Session,
    Request,
    Response,
    Body,
    Credential,
    Route,
    Key,
    Log,
}

// === impl ResourceKind ===

impl ResourceKind {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Provider => "provider_not_found",
            Self::Model => "model_not_found",
            Self::Link => "model_not_linked",
            Self::ConfigKey => "config_key_not_found",
            Self::Session => "session_not_found",
            Self::Request => "request_not_found",
            Self::Response => "response_not_found",
            Self::Body => "body_not_found",
            Self::Credential => "credential_not_found",
            Self::Route => "configured_route_not_found",
            Self::Key => "key_not_found",
            Self::Log => "log_not_found",
        }
    }

    /// Returns what to do about a resource that does not exist: the second sentence of the message.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Provider => "List the providers to see which exist",
            Self::Model => "List the models to see which exist",
            Self::Link => "Link the model to the provider first",
            Self::ConfigKey => "Read the configuration of the provider to see which keys it has",
            Self::Session => "It may have expired; list the sessions to see which exist",
            Self::Request => "It may be deleted, or too new for the log; list the requests to see which exist",
            Self::Response => "It may be deleted, or not have ended; list the responses to see which exist",
            Self::Body => "It was not kept, or was deleted; read the request to see which bodies it has",
            Self::Credential => "List the credentials to see which exist",
            Self::Route => "List the routes to see which models have one",
            Self::Key => "List the keys to see which exist",
            Self::Log => "Use the name of a service: api-server, provider-router or qwen-proxy",
        }
    }
}

impl std::fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Provider => "Provider",
            Self::Model => "Model",
            Self::Link => "Model link",
            Self::ConfigKey => "Configuration key",
            Self::Session => "Session",
            Self::Request => "Request",
            Self::Response => "Response",
            Self::Body => "Body",
            Self::Credential => "Credential",
            Self::Route => "Route",
            Self::Key => "Key",
            Self::Log => "Log",
        })
    }
}
