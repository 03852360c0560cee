//! Matching of tags in incomplete text.

use crate::tools::tool::{Tool, is_name_byte};

/// Result of matching a tag at the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagMatch {
    Yes,
    No,
    /// The text is too short to decide.
    Partial,
}

/// Returns the name of the parameter whose opening tag `rest` begins with: a declared one, or any other that is
/// `allowed`.
pub(super) fn parameter<'a>(
    rest: &'a str,
    tool: &'a Tool,
    allowed: impl Fn(&str) -> bool,
) -> Result<&'a str, TagMatch> {
    let declared = tool.parameters.iter().map(|parameter| (match_tag(rest, &parameter.opening), &*parameter.name));
    match (first(declared), element(rest)) {
        (Ok(name), _) => Ok(name),
        (_, Ok(name)) if allowed(name) => Ok(name),
        (Err(TagMatch::Partial), _) | (_, Err(TagMatch::Partial)) => Err(TagMatch::Partial),
        _ => Err(TagMatch::No),
    }
}

/// Returns the name of the parameter, a declared one or `current`, whose closing tag `rest` begins with.
pub(super) fn closing<'a>(rest: &str, tool: &'a Tool, current: &'a str) -> Result<&'a str, TagMatch> {
    let Some(inside) = rest.strip_prefix("</") else { return Err(match_tag(rest, "</")) };
    let names = tool.parameters.iter().map(|parameter| &*parameter.name).chain([current]);
    first(names.map(|name| match inside.strip_prefix(name) {
        Some(end) => (match_tag(end, ">"), name),
        None => (match_tag(inside, name), name),
    }))
}

/// Returns the first name that matches; otherwise `Partial` if any may match with more input, else `No`.
fn first<'a>(mut candidates: impl Iterator<Item = (TagMatch, &'a str)>) -> Result<&'a str, TagMatch> {
    let mut best = TagMatch::No;
    let found = candidates.find(|(match_tag, _)| {
        if *match_tag == TagMatch::Partial {
            best = TagMatch::Partial;
        }
        *match_tag == TagMatch::Yes
    });
    found.map(|(_, name)| name).ok_or(best)
}

pub(super) fn match_tag(text: &str, tag: &str) -> TagMatch {
    if text.starts_with(tag) {
        TagMatch::Yes
    } else if tag.starts_with(text) {
        TagMatch::Partial
    } else {
        TagMatch::No
    }
}

/// Maximum bytes of an undeclared parameter's name, equal to the limit for names of tools.
const MAX_NAME: usize = 128;

/// Returns the name of the element whose opening tag `text` begins with, for any name.
fn element(text: &str) -> Result<&str, TagMatch> {
    let Some(inside) = text.strip_prefix('<') else {
        return Err(if text.is_empty() { TagMatch::Partial } else { TagMatch::No });
    };
    let end = inside.bytes().take(MAX_NAME + 1).position(|byte| !is_name_byte(byte));
    let end = end.unwrap_or_else(|| inside.len().min(MAX_NAME + 1));
    match inside.as_bytes().get(end) {
        None if end <= MAX_NAME => Err(TagMatch::Partial),
        Some(b'>') if (1..=MAX_NAME).contains(&end) => Ok(&inside[..end]),
        _ => Err(TagMatch::No),
    }
}
