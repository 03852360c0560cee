//! The digest that is the same for equal requests.

use http::HeaderMap;
use ring::digest;
use signalbox_core::{
    Api,
    json::Reader,
    schema::{CacheScope, GuardRules, RouteCache},
};
use signalbox_daemon::Caller;

use super::canonical;
use crate::{catalog::Route, direct::DirectApi, envelope::Envelope};

/// Digest of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u8; 32]);

/// Fields that do not change the answer: who asks, how the log is labelled, and how the provider's own cache is used.
/// Whether the answer is a stream, and whether it has token counts, is added to the key separately.
const TRANSPORT_FIELDS: [&str; 7] =
    ["stream", "stream_options", "user", "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"];
/// The same for Responses, whose answers repeat all other fields of the request.
const TRANSPORT_FIELDS_OF_RESPONSES: [&str; 2] = ["stream", "stream_options"];
/// Headers that change the answer, or the account that pays for it.
const HEADERS: [&str; 3] = ["openai-beta", "openai-organization", "openai-project"];
/// Prefixes of such headers.
const HEADER_PREFIXES: [&str; 2] = ["anthropic-", "x-openrouter-"];
/// Prefix of the headers with which clients steer the router.
const OWN_HEADERS: &str = "x-signalbox-";

/// The parts of a request on which its key depends.
#[derive(Clone, Copy, Debug)]
pub struct CachedRequest<'a> {
    /// Its route, which has a cache.
    pub route: &'a Route,
    /// Client that sent it.
    pub caller: Option<&'a Caller>,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a [u8],
    /// Fields of the body.
    pub envelope: &'a Envelope,
    /// Rules by which its answer is judged. An answer that was judged by other rules is never given to it.
    pub rules: Option<&'a GuardRules>,
}

/// Returns the digest of a request; `None` if its answer must not be given again: it continues a stored answer or
/// conversation, runs in the background, or is a compaction or a stream of an API that is not translated.
#[must_use]
pub fn key(request: CachedRequest<'_>, terms: &RouteCache) -> Option<Key> {
    let CachedRequest { route, caller, headers, body, envelope, rules } = request;
    if envelope.previous.is_some() || !is_cached(envelope) {
        return None;
    }
    let is_of_responses = envelope.api == Api::Responses || envelope.is_of_responses;
    let unread: &[&str] = if is_of_responses { &TRANSPORT_FIELDS_OF_RESPONSES } else { &TRANSPORT_FIELDS };
    let (mut members, mut is_bound, mut stores, mut refers) = (Vec::new(), false, true, false);
    Reader::new(body).object(|name, value| {
        if unread.contains(&name) {
            return value.skip();
        }
        let mut canonical = Vec::new();
        canonical::write(value, &mut canonical)?;
        is_bound |= match name {
            "conversation" | "previous_response_id" | "container" => canonical != b"null",
            "background" => canonical == b"true",
            _ => false,
        };
        stores &= name != "store" || canonical != b"false";
        refers |= is_of_responses && name == "input" && refers_to_items(&canonical);
        members.push((name.to_owned(), canonical));
        Some(())
    })?;
    if is_bound {
        return None;
    }
    // A stored answer of Responses can be continued only by the key that asked for it, an item of an earlier answer is
    // found only by its key, and a hook judges by the key.
    let is_judged = rules.is_some_and(|rules| rules.hook);
    let is_of_key = is_of_responses && stores || refers || is_judged;
    let scope = if is_of_key { CacheScope::Key } else { terms.scope };
    let surface = envelope.direct.map_or(envelope.api.as_str(), DirectApi::as_str);
    let form = match (envelope.stream, envelope.include_usage) {
        (false, _) => "whole",
        (true, false) => "stream",
        (true, true) => "stream with usage",
    };
    let mut digest = Digest(digest::Context::new(&digest::SHA256));
    digest.add(surface.as_bytes());
    digest.add(form.as_bytes());
    digest.add(route.id.as_bytes());
    digest.add(&route.version().to_le_bytes());
    // Serialising a structure of numbers and words cannot fail.
    digest.add(&serde_json::to_vec(&rules).unwrap_or_default());
    // An answer that has lost a field in the translation is not given to a key that does not allow it.
    digest.add(&[u8::from(caller.is_some_and(|caller| caller.grant().strict))]);
    for part in shared_by(scope, caller) {
        digest.add(part.as_bytes());
    }
    // A provider of the same API gets it.
    digest.add(envelope.query.as_deref().unwrap_or_default().as_bytes());
    for (name, value) in headers {
        let name = name.as_str();
        let is_part = HEADERS.contains(&name) || HEADER_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if is_part || name.starts_with(OWN_HEADERS) {
            digest.add(name.as_bytes());
            digest.add(value.as_bytes());
        }
    }
    let mut canonical = Vec::with_capacity(body.len());
    canonical::write_members(members, &mut canonical);
    digest.add(&canonical);
    Some(digest.finish())
}

/// Returns whether a list of items names items of earlier answers by their id. The type of a reference may be left out.
fn refers_to_items(input: &[u8]) -> bool {
    let mut refers = false;
    // A value that is no list has no items.
    let _ = Reader::new(input).array(|item| {
        if item.peek()? != b'{' {
            return item.skip();
        }
        let (mut kind, mut has_id, mut has_role) = (None, false, false);
        item.fields(|name, value| {
            let raw = value.raw()?;
            match &*name {
                "type" => kind = Some(raw),
                "id" => has_id = true,
                "role" => has_role = true,
                _ => {}
            }
            Some(())
        })?;
        refers |= match kind {
            None | Some(b"null") => has_id && !has_role,
            Some(kind) => kind == b"\"item_reference\"",
        };
        Some(())
    });
    refers
}

/// Returns whether answers of this form are kept.
fn is_cached(envelope: &Envelope) -> bool {
    match envelope.direct {
        None => true,
        Some(DirectApi::Compact) => false,
        Some(_) => !envelope.stream,
    }
}

/// Returns the kind and the name of the group of callers that share answers.
fn shared_by(scope: CacheScope, caller: Option<&Caller>) -> [&str; 2] {
    match (scope, caller) {
        (CacheScope::All, _) => ["all", ""],
        (CacheScope::Owner, Some(caller)) if caller.owner().is_some() => ["owner", caller.owner().unwrap_or_default()],
        (_, Some(caller)) => ["key", caller.id()],
        (_, None) => ["open", ""],
    }
}

/// Digest of parts, each preceded by its length.
struct Digest(digest::Context);

impl Digest {
    fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    fn finish(self) -> Key {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.finish().as_ref());
        Key(key)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
impl Key {
    pub(super) const fn of(byte: u8) -> Self {
        Self([byte; 32])
    }
}
