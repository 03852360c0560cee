//! Bodies of error responses. [`Error`](super::Error) builds them, and the OpenAPI document describes them.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::mistake::FieldMistake;

/// The reason why a request was refused or failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Failure {
    pub(super) error: FailureDetail,
}

/// The details of an error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FailureDetail {
    /// The message for the user.
    pub(super) message: Cow<'static, str>,
    /// `validation_error`, `not_found_error`, `conflict_error`, …
    pub(super) r#type: &'static str,
    /// `provider_not_found`, `model_exists`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) code: Option<&'static str>,
    /// Every mistake.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) errors: Option<Vec<String>>,
    /// The same mistakes, each with its field; with a conflict, the field whose value is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) details: Option<Vec<FieldMistake>>,
    /// Only with `version_changed`: the `ETag` of the present version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) version: Option<String>,
}

/// An invalid setting.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InvalidSetting {
    pub(super) error: &'static str,
    pub(super) message: String,
    /// Every mistake: of `value`, of `key`, or of the field of the body.
    pub(super) details: Vec<FieldMistake>,
}

/// A setting that has no value.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MissingSetting {
    pub(super) error: &'static str,
    pub(super) key: String,
    /// The reason, and what to do.
    pub(super) message: String,
}

/// A failed lifecycle command, with the state of both services. The Node.js version has this format.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleFailure {
    success: bool,
    status: &'static str,
    /// The reason.
    error: String,
    /// The reason, and what to do.
    message: String,
    /// `crashed`, `startup_timeout`, `PORT_IN_USE`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<&'static str>,
    #[schema(value_type = Map<String, Value>)]
    provider_router: Value,
    #[schema(value_type = Map<String, Value>)]
    qwen_proxy: Value,
}

/// A lifecycle command that failed because another process holds a port.
#[derive(Debug, Serialize, ToSchema)]
pub struct PortInUse {
    #[serde(flatten)]
    failure: LifecycleFailure,
    /// The port.
    port: u16,
    /// The process that holds it, if the operating system reports it.
    owner: Option<PortOwner>,
}

/// A process that holds a port.
#[derive(Debug, Serialize, ToSchema)]
pub struct PortOwner {
    /// The process id.
    pub pid: u32,
    /// The name of the program.
    pub name: String,
}

/// The schema of a response that has one of two formats. No value has this type.
#[derive(Debug)]
pub struct AnyOf<A, B>(PhantomData<(A, B)>);

/// The response to an invalid setting, or to an invalid body.
pub(super) type SettingRefusal = AnyOf<InvalidSetting, Failure>;

/// The response to a lifecycle command that was not carried out.
pub type Refusal = AnyOf<PortInUse, Failure>;

// === impl AnyOf ===

impl<A: ToSchema, B: ToSchema> PartialSchema for AnyOf<A, B> {
    fn schema() -> RefOr<Schema> {
        let [first, second] = [A::name(), B::name()].map(Ref::from_schema_name);
        AnyOfBuilder::new().item(first).item(second).into()
    }
}

impl<A: ToSchema, B: ToSchema> ToSchema for AnyOf<A, B> {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend([(A::name().into_owned(), A::schema()), (B::name().into_owned(), B::schema())]);
        A::schemas(schemas);
        B::schemas(schemas);
    }
}

// === impl LifecycleFailure ===

impl LifecycleFailure {
    /// Creates the body for this error and what to do about it, with the states of the two services as JSON.
    #[must_use]
    pub fn new(
        error: String,
        advice: &str,
        code: Option<&'static str>,
        [provider_router, qwen_proxy]: [Value; 2],
    ) -> Self {
        // The last lines of a log follow the first line.
        let (first, rest) = error.split_at(error.find('\n').unwrap_or(error.len()));
        let message = format!("{first}. {advice}{rest}");
        Self { success: false, status: "error", message, error, code, provider_router, qwen_proxy }
    }

    /// Returns the reason.
    pub(super) fn reason(&self) -> &str {
        &self.error
    }
}

// === impl PortInUse ===

impl PortInUse {
    /// Creates the body for this failure.
    #[must_use]
    pub fn new(failure: LifecycleFailure, port: u16, owner: Option<PortOwner>) -> Self {
        Self { failure, port, owner }
    }

    /// Returns the reason.
    pub(super) fn reason(&self) -> &str {
        self.failure.reason()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lifecycle_failure_says_what_to_do_before_the_lines_of_the_log() {
        for (error, message) in [
            ("it crashed", "it crashed. Start it again"),
            ("it crashed\nline 1\nline 2", "it crashed. Start it again\nline 1\nline 2"),
        ] {
            let failure = LifecycleFailure::new(error.to_owned(), "Start it again", None, [json!({}), json!({})]);
            assert_eq!((failure.reason(), &*failure.message), (error, message));
        }
    }
}
