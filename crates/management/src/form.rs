//! Reads a JSON body into a type whose fields keep their mistakes, so that the user can correct all of them at once.
//!
//! A request body is a struct of [`Field`]s that derives [`Deserialize`] and `ToSchema`: the same fields are read and
//! described. [`read`] fills it, and the [`Form`] checks the values and collects the mistakes.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_json::{Map, Number, Value};
use signalbox_core::provider_config::Mistake;
use signalbox_core::text::{NOT_A_LINE, NOT_PROSE, is_blank, is_line, is_prose};

use super::Error;
use super::mistake::FieldMistake;

/// A field of a request body. Deserialising it never fails; a struct of fields therefore reads every body.
///
/// A nullable field is a `Field<Option<T>>`. An optional field has `#[serde(default)]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// The body lacks the field.
    #[default]
    Absent,
    /// The field has a value of the right type.
    Valid(T),
    /// The field has a value of another type.
    Invalid,
}

/// The mistakes found so far, and the fields of the body that the type does not have.
#[derive(Debug, Default)]
pub struct Form {
    mistakes: Vec<FieldMistake>,
    unknown: Vec<String>,
}

/// Reads fields into a struct of [`Field`]s.
///
/// # Errors
/// [`Error::Validation`] if a field of `T` is not a [`Field`] and its value is invalid.
pub fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<(T, Form), Error> {
    let mut form = Form::default();
    let fields = Fields { fields, unknown: &mut form.unknown };
    let body = T::deserialize(fields).map_err(|error| Error::invalid(error.to_string()))?;
    Ok((body, form))
}

/// Deserialises a struct from those fields that it has.
struct Fields<'a> {
    fields: Map<String, Value>,
    unknown: &'a mut Vec<String>,
}

/// Deserialises a value, of which `null` is one: `serde_json` treats null as an absent option.
struct Present(Value);

struct FieldVisitor<T>(PhantomData<T>);

// === impl Field ===

impl<T> Field<T> {
    /// Returns the valid value, if any. Every value of a `Field<Value>` is valid.
    #[must_use]
    pub fn valid(self) -> Option<T> {
        match self {
            Self::Valid(value) => Some(value),
            Self::Absent | Self::Invalid => None,
        }
    }

    /// Treats an absent field as invalid.
    #[must_use]
    pub fn or_invalid(self) -> Self {
        if matches!(self, Self::Absent) { Self::Invalid } else { self }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(FieldVisitor(PhantomData))
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_none<E>(self) -> Result<Field<T>, E> {
        Ok(Field::Absent)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field<T>, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Ok(T::deserialize(value).map_or(Field::Invalid, Field::Valid))
    }
}

// === impl Fields ===

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = serde_json::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let is_known = |(field, _): &(String, Value)| known.contains(&&**field);
        let (known, unknown): (Vec<_>, Vec<_>) = self.fields.into_iter().partition(is_known);
        self.unknown.extend(unknown.into_iter().map(|(field, _)| field));
        visitor.visit_map(MapDeserializer::new(known.into_iter().map(|(field, value)| (field, Present(value)))))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("only a struct can be read from the fields of a body"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

// === impl Present ===

impl<'de> Deserializer<'de> for Present {
    type Error = serde_json::Error;

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self.0)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        self.0.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl IntoDeserializer<'_, serde_json::Error> for Present {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

// === impl Form ===

impl Form {
    /// Adds a mistake: a sentence that begins with its field.
    pub fn mistake(&mut self, mistake: impl Into<FieldMistake>) {
        self.mistakes.push(mistake.into());
    }

    /// Adds mistakes found by another validation.
    pub(super) fn mistakes<'a, M: 'a>(&mut self, mistakes: &'a [M])
    where
        FieldMistake: From<&'a M>,
    {
        self.mistakes.extend(mistakes.iter().map(FieldMistake::from));
    }

    /// Adds the mistake of a failed check.
    pub(super) fn check(&mut self, checked: Result<(), Mistake>) {
        self.mistakes(checked.err().as_slice());
    }

    /// Ignores fields that some clients send although they are not used.
    pub fn ignore(&mut self, fields: &[&str]) {
        self.unknown.retain(|field| !fields.contains(&&**field));
    }

    /// Returns a text that must not be blank; `None` if the field is absent.
    pub fn text(&mut self, field: Field<String>, mistake: &str) -> Option<String> {
        self.valid(field, mistake).filter(|text| self.is_visible(text, mistake))
    }

    /// Returns a required text that must not be blank. Returns an empty text after a mistake, which [`Self::finish`]
    /// reports.
    pub fn required_text(&mut self, field: Field<String>, mistake: &str) -> String {
        self.text(field.or_invalid(), mistake).unwrap_or_default()
    }

    /// Returns a name: a text that must not be blank and must be a single line; `None` if the field is absent.
    pub(super) fn line(&mut self, name: &str, field: Field<String>, mistake: &str) -> Option<String> {
        let text = self.text(field, mistake)?;
        if !is_line(&text) {
            self.mistake(format!("{name} {NOT_A_LINE}"));
        }
        Some(text)
    }

    /// Returns a required name. Returns an empty text after a mistake, which [`Self::finish`] reports.
    pub(super) fn required_line(&mut self, name: &str, field: Field<String>, mistake: &str) -> String {
        self.line(name, field.or_invalid(), mistake).unwrap_or_default()
    }

    /// Returns a description or `null`.
    pub(super) fn prose_or_null(&mut self, name: &str, field: Field<Option<String>>) -> Option<Option<String>> {
        let given = self.valid(field, &format!("{name} must be a string or null"))?;
        if given.as_deref().is_some_and(|text| !is_prose(text)) {
            self.mistake(format!("{name} {NOT_PROSE}"));
        }
        Some(given)
    }

    /// Returns a boolean.
    pub fn boolean(&mut self, name: &str, field: Field<bool>) -> Option<bool> {
        self.valid(field, &format!("{name} must be a boolean"))
    }

    /// Returns an integer, which may be written as `5.0`.
    pub fn integer(&mut self, name: &str, field: Field<Number>) -> Option<i64> {
        let mistake = format!("{name} must be an integer");
        let number = self.valid(field, &mistake)?;
        let value = integer_of(&Value::Number(number));
        if value.is_none() {
            self.mistake(mistake);
        }
        value
    }

    /// Returns an object.
    pub fn object(&mut self, name: &str, field: Field<Map<String, Value>>) -> Option<Map<String, Value>> {
        self.valid(field, &format!("{name} must be an object"))
    }

    /// Returns a required object. Returns an empty object after a mistake, which [`Self::finish`] reports.
    pub fn required_object(&mut self, name: &str, field: Field<Map<String, Value>>) -> Map<String, Value> {
        self.object(name, field.or_invalid()).unwrap_or_default()
    }

    /// Returns a valid value; adds the mistake for an invalid one.
    pub fn valid<T>(&mut self, field: Field<T>, mistake: &str) -> Option<T> {
        match field {
            Field::Absent => None,
            Field::Valid(value) => Some(value),
            Field::Invalid => {
                self.mistake(mistake);
                None
            }
        }
    }

    fn is_visible(&mut self, text: &str, mistake: &str) -> bool {
        let is_visible = !is_blank(text);
        if !is_visible {
            self.mistake(mistake);
        }
        is_visible
    }

    /// Reports all mistakes. An unknown field is a mistake too, because it would be ignored silently.
    ///
    /// # Errors
    /// [`Error::Validation`] with every mistake.
    pub fn finish(self) -> Result<(), Error> {
        let mistakes = self.into_mistakes();
        if mistakes.is_empty() { Ok(()) } else { Err(Error::Validation(mistakes)) }
    }

    /// Reports all mistakes, with those that another validation found; returns what that one read.
    pub(super) fn finish_with<T>(mut self, read: Result<T, Vec<Mistake>>) -> Result<T, Error> {
        match read {
            Ok(value) => self.finish().map(|()| value),
            Err(mistakes) => {
                self.mistakes(&mistakes);
                Err(Error::Validation(self.into_mistakes()))
            }
        }
    }

    fn into_mistakes(mut self) -> Vec<FieldMistake> {
        let unknown = |field: &String| FieldMistake::new(field, format!("unknown field: {field}"));
        self.mistakes.extend(self.unknown.iter().map(unknown));
        self.mistakes
    }
}

/// Returns the fields that the body has as one document, for a validation that reads them itself.
pub(super) fn document_of<const LENGTH: usize>(fields: [(&str, Field<Value>); LENGTH]) -> Map<String, Value> {
    let given = |(name, field): (&str, Field<Value>)| Some((name.to_owned(), field.valid()?));
    fields.into_iter().filter_map(given).collect()
}

/// Returns the integer value of a number, if it is integral. JSON has only one number type, and some writers append
/// `.0` to integers.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
#[must_use]
pub fn integer_of(value: &Value) -> Option<i64> {
    /// Up to this magnitude an `f64` represents every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
    })
}

#[cfg(test)]
mod tests;
