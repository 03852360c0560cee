//! Values that several writers need.

use std::borrow::Cow;

use crate::field::Raw;
use crate::hub::{Cache, Json, Ttl};
use crate::out::Object;

/// Writes `prompt_cache_breakpoint`.
pub(crate) fn write_breakpoint(part: &mut Object<'_>, cache: Option<Cache>) {
    let Some(cache) = cache else { return };
    part.object("prompt_cache_breakpoint", |point| {
        point.str("mode", "explicit");
        match cache.ttl {
            Some(Ttl::Long) => point.str("ttl", "12h"),
            Some(Ttl::Short) => point.str("ttl", "30m"),
            None => {}
        }
    });
}

/// Writes `cache_control`.
pub(crate) fn write_cache_control(part: &mut Object<'_>, cache: Option<Cache>) {
    let Some(cache) = cache else { return };
    part.object("cache_control", |control| {
        control.str("type", "ephemeral");
        match cache.ttl {
            Some(Ttl::Long) => control.str("ttl", "1h"),
            Some(Ttl::Short) => control.str("ttl", "5m"),
            None => {}
        }
    });
}

/// Returns the JSON of the arguments of a call; `None` if they are not an object. No arguments are an empty object.
pub(crate) fn arguments_object(input: &str) -> Option<Cow<'_, str>> {
    let trimmed = input.trim_ascii();
    if trimmed.is_empty() {
        return Some(Cow::Borrowed("{}"));
    }
    let json = Json::parse(trimmed)?;
    if !json.is_object() {
        return None;
    }
    // Text that was repaired is written anew.
    Some(if json.as_str() == trimmed { Cow::Borrowed(trimmed) } else { Cow::Owned(json.as_str().to_owned()) })
}

/// Returns the only member `input` of the arguments of a function that stands for a custom tool.
pub(crate) fn unwrap_custom(arguments: &str) -> Option<String> {
    let json = Json::parse(arguments)?;
    Raw::document(json.as_str()).fields()?.string("input")
}

/// Returns the index of a block as the last part of its place.
pub(crate) fn block_at(at: &str, index: usize) -> String {
    format!("{at}.content.{index}")
}
