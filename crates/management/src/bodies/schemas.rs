//! Schemas of texts and values, as strict as the validation in `signalbox_core::text` and
//! `signalbox_core::provider_config`.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr, Schema,
        schema::{AdditionalProperties, AnyOfBuilder, Array, ArrayBuilder, Object, ObjectBuilder, SchemaType, Type},
    },
};

/// A line with at least one visible character: no control characters, line separators or bidirectional overrides.
pub(super) const NAME: &str = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*[^\s\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069][^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$";
/// A line, possibly empty.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$";
/// Lines: tabs, line feeds and carriage returns are allowed.
const PROSE: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$";
/// Maximum characters of a configuration or settings key.
const MAX_KEY: usize = 128;

pub(super) fn name() -> Object {
    text(NAME).build()
}

/// The key of a setting or of a provider's configuration.
pub(crate) struct Key;

impl ToSchema for Key {}

impl PartialSchema for Key {
    fn schema() -> RefOr<Schema> {
        text(NAME).max_length(Some(MAX_KEY)).into()
    }
}

pub(super) fn optional_prose() -> Object {
    text(PROSE).schema_type(SchemaType::Array(vec![Type::String, Type::Null])).build()
}

pub(super) fn lines() -> Array {
    ArrayBuilder::new().items(text(LINE)).build()
}

/// Returns the schema of a provider's configuration: any value but null under each key.
pub(super) fn config() -> Object {
    ObjectBuilder::new()
        .property_names(Some(text(NAME).max_length(Some(MAX_KEY))))
        .additional_properties(Some(AdditionalProperties::RefOr(sendable().into())))
        .build()
}

/// Returns the schema of a link's configuration: any object that can be sent to a provider, or null.
pub(super) fn link_config() -> Object {
    let nullable = AnyOfBuilder::new().item(ObjectBuilder::new().schema_type(Type::Null)).item(sendable());
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(vec![Type::Object, Type::Null]))
        .property_names(Some(text(LINE)))
        .additional_properties(Some(AdditionalProperties::RefOr(RefOr::T(nullable.into()))))
        .build()
}

/// Returns a reference to the schema of values that can be sent to a provider. api-server's document defines that
/// schema.
pub(super) fn sendable() -> Ref {
    Ref::from_schema_name("Sendable")
}

/// Returns the schema of any value but null; a text may have several lines.
pub(super) fn not_null() -> Schema {
    let types = vec![Type::Object, Type::Array, Type::Number, Type::Boolean];
    let other = ObjectBuilder::new().schema_type(SchemaType::Array(types));
    AnyOfBuilder::new().item(other).item(text(PROSE)).into()
}

pub(super) fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}
