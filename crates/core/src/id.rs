//! Creates and validates identifiers.

use std::time::SystemTime;

use sha1::{Digest as _, Sha1};
use uuid::{Builder, NoContext, Timestamp, Uuid};

/// Creates a request id: a version 7 UUID, so that ids sort by creation time. A clock before 1970 counts as 1970.
#[must_use]
pub fn request_id() -> Uuid {
    if SystemTime::now() < SystemTime::UNIX_EPOCH {
        return Uuid::new_v7(Timestamp::from_unix(NoContext, 0, 0));
    }
    Uuid::now_v7()
}

/// Returns the hash of a text within `namespace`, 32 hexadecimal digits. The hash is a version 5 UUID (RFC 9562).
#[must_use]
pub fn hash(namespace: &Uuid, text: &str) -> String {
    let digest = Sha1::new().chain_update(namespace.as_bytes()).chain_update(text).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_sha1_bytes(bytes).into_uuid().simple().to_string()
}

/// Returns whether `id` may name a resource in a URL or a table: 1 to 128 of `A-Z a-z 0-9 . _ : / @ + -`, without `..`.
///
/// Model names contain slashes and colons (`qwen/qwen3:free`), so both are allowed here. Provider ids are narrower, see
/// [`check_provider_id`].
#[must_use]
pub fn is_resource_id(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && !id.contains("..")
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/@+-".contains(&b))
}

/// Characters that ids of models may have, for messages.
const MODEL_ID: &str = "must have 1 to 128 letters, digits and the characters - . _ : / @ +";

/// Checks the id of a new model: a [resource id](is_resource_id), and not the name of a route.
///
/// # Errors
/// Returns the mistake, without its subject.
pub fn check_model_id(id: &str) -> Result<(), &'static str> {
    if id == "sync" {
        return Err("must be another one: `sync` belongs to the route /api/models/sync");
    }
    if is_resource_id(id) { Ok(()) } else { Err(MODEL_ID) }
}

/// Last segment of `/api/providers/types`, which a provider of this id would collide with.
const RESERVED: &str = "types";

/// Checks the id of a new provider: 1 to 128 lowercase letters, digits and hyphens, and not the name of a route.
///
/// # Errors
/// Returns the mistake, without its subject.
pub fn check_provider_id(id: &str) -> Result<(), &'static str> {
    if id == RESERVED {
        return Err("must be another one: `types` belongs to the route /api/providers/types");
    }
    if is_slug(id) { Ok(()) } else { Err("must contain only lowercase letters, numbers, and hyphens") }
}

/// Returns whether `id` has 1 to 128 lowercase letters, digits and hyphens.
#[must_use]
pub fn is_slug(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_no_id_of_a_route() {
        assert!(check_model_id("sync-2").is_ok() && check_model_id("a/sync").is_ok());
        assert!(check_model_id("sync").unwrap_err().contains("/api/models/sync"));
        assert!(check_model_id("a b").unwrap_err().contains("1 to 128"));
    }

    #[test]
    fn resource_ids_contain_allowed_characters_only() {
        for good in ["gpt-4o", "qwen/qwen3-max:free", "a", "A_b.c"] {
            assert!(is_resource_id(good), "{good}");
        }
        for bad in ["", "a b", "../x", "a..b", "a\0", "é", "a%2f", &"x".repeat(129)] {
            assert!(!is_resource_id(bad), "{bad}");
        }
    }

    #[test]
    fn a_hash_is_a_version_5_uuid() {
        // The example of RFC 9562, appendix A.4.
        assert_eq!(hash(&Uuid::NAMESPACE_DNS, "www.example.com"), "2ed6657de927568b95e12665a8aea6a2");
    }

    #[test]
    fn slugs_are_lowercase() {
        assert!(is_slug("lm-studio-2"));
        for bad in ["", "Lm", "a_b", "a/b"] {
            assert!(!is_slug(bad) && check_provider_id(bad).is_err(), "{bad}");
        }
        assert!(check_provider_id("type").is_ok() && check_provider_id("types-2").is_ok());
        assert!(check_provider_id("types").unwrap_err().contains("/api/providers/types"));
    }
}
