//! Client keys of the table `api_keys`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use signalbox_core::schema::ApiKey;
use subtle::ConstantTimeEq as _;

use crate::caller::Caller;

/// Length of a digest in bytes.
const DIGEST: usize = 32;

/// The client keys of the table `api_keys`, by digest. Immutable: a change of the table makes a new value.
#[derive(Debug, Default)]
pub struct IssuedKeys {
    /// The keys, and the previous keys of those that were rotated, by the first half of the digest.
    by_digest: HashMap<u128, Arc<Issued>>,
    /// Ids of the rows.
    ids: HashSet<Arc<str>>,
}

#[derive(Debug)]
struct Issued {
    digest: [u8; DIGEST],
    caller: Caller,
    /// When the key ends to be valid, in Unix milliseconds.
    expires_at: Option<i64>,
    is_revoked: bool,
}

/// Result of the search for a digest.
#[derive(Debug)]
pub(super) enum KeyMatch<'a> {
    /// The key is valid.
    Valid(&'a Caller),
    /// The key, or its previous value after a rotation, is not valid any more.
    Expired,
    /// The key was revoked.
    Revoked,
}

// === impl IssuedKeys ===

impl IssuedKeys {
    /// Indexes the rows. A row whose digest cannot be read matches no key.
    #[must_use]
    pub fn new(keys: &[ApiKey]) -> Self {
        Self::default().with(keys, &[])
    }

    /// Returns the keys after a change: with the rows that were created or changed, and without those that are gone. All
    /// others are shared with these keys and not indexed again.
    #[must_use]
    pub fn with(&self, changed: &[ApiKey], gone: &[String]) -> Self {
        let touched: HashSet<&str> =
            changed.iter().map(|key| &*key.id).chain(gone.iter().map(String::as_str)).collect();
        let mut next = Self {
            by_digest: HashMap::with_capacity(self.by_digest.len() + changed.len()),
            ids: HashSet::with_capacity(self.ids.len() + changed.len()),
        };
        let kept = self.by_digest.iter().filter(|(_, issued)| !touched.contains(issued.caller.id()));
        next.by_digest.extend(kept.map(|(slot, issued)| (*slot, Arc::clone(issued))));
        next.ids.extend(self.ids.iter().filter(|id| !touched.contains(&***id)).map(Arc::clone));
        for key in changed {
            next.add(key);
        }
        next
    }

    fn add(&mut self, key: &ApiKey) {
        self.ids.insert((&*key.id).into());
        let caller = Caller::issued(key);
        let is_revoked = key.revoked_at.is_some();
        let mut add = |digest: &str, expires_at| {
            let Some(digest) = digest_of(digest) else {
                tracing::warn!(key = %key.id, "the digest of a client key cannot be read, the key is not accepted");
                return;
            };
            let issued = Issued { digest, caller: caller.clone(), expires_at, is_revoked };
            self.by_digest.insert(slot(&digest), Arc::new(issued));
        };
        if let Some(previous) = &key.previous_digest {
            // Without an end of its own, the previous key would be valid for ever.
            let until = key.previous_expires_at.unwrap_or(i64::MIN);
            add(previous, Some(key.expires_at.map_or(until, |expires_at| expires_at.min(until))));
        }
        add(&key.digest, key.expires_at);
    }

    /// Returns whether no key is defined. Keys that have expired or were revoked are defined until they are deleted, so
    /// that the end of the last key does not open the service.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Returns the number of defined keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Returns what is known of a key with this digest; `None` if there is no such key. The time of the comparison does
    /// not depend on the stored digests.
    pub(super) fn find(&self, digest: &[u8], now_ms: i64) -> Option<KeyMatch<'_>> {
        let digest: &[u8; DIGEST] = digest.try_into().ok()?;
        let issued = self.by_digest.get(&slot(digest))?;
        if !bool::from(issued.digest.ct_eq(digest)) {
            return None;
        }
        Some(if issued.is_revoked {
            KeyMatch::Revoked
        } else if issued.expires_at.is_some_and(|expires_at| expires_at <= now_ms) {
            KeyMatch::Expired
        } else {
            KeyMatch::Valid(&issued.caller)
        })
    }
}

/// Returns the first half of a digest.
fn slot(digest: &[u8; DIGEST]) -> u128 {
    let mut half = [0; DIGEST / 2];
    half.copy_from_slice(&digest[..DIGEST / 2]);
    u128::from_be_bytes(half)
}

/// Parses the 64 hexadecimal digits of a digest.
fn digest_of(hex: &str) -> Option<[u8; DIGEST]> {
    let mut digest = [0; DIGEST];
    if hex.len() != 2 * DIGEST {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let nibble = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(nibble(pair[0])? << 4 | nibble(pair[1])?).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
pub(super) mod tests {
    use ring::digest::{SHA256, digest};
    use signalbox_core::schema::KeyGrant;

    use super::*;

    /// Returns the digest of a key as the table has it.
    pub(in crate::auth) fn hex(key: &str) -> String {
        digest(&SHA256, key.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn key(id: &str, digest: &str, grant: KeyGrant) -> ApiKey {
        ApiKey {
            id: id.to_owned(),
            name: format!("name of {id}"),
            hint: "sbx-".to_owned(),
            digest: digest.to_owned(),
            previous_digest: None,
            previous_expires_at: None,
            grant,
            expires_at: None,
            revoked_at: None,
            created_at: 0,
            updated_at: 0,
        }
    }

    fn find<'a>(keys: &'a IssuedKeys, secret: &str, now_ms: i64) -> Option<KeyMatch<'a>> {
        keys.find(digest(&SHA256, secret.as_bytes()).as_ref(), now_ms)
    }

    fn state(keys: &IssuedKeys, secret: &str, now_ms: i64) -> &'static str {
        match find(keys, secret, now_ms) {
            None => "unknown",
            Some(KeyMatch::Valid(_)) => "valid",
            Some(KeyMatch::Expired) => "expired",
            Some(KeyMatch::Revoked) => "revoked",
        }
    }

    #[test]
    fn keys_are_found_by_their_digest() {
        let rows = [
            key("a", &hex("one"), KeyGrant::default()),
            ApiKey { expires_at: Some(10), ..key("b", &hex("two"), KeyGrant::default()) },
            ApiKey { revoked_at: Some(5), ..key("c", &hex("three"), KeyGrant::default()) },
            key("d", "no digest", KeyGrant::default()),
            key("e", &"\u{e9}".repeat(32), KeyGrant::default()),
        ];
        let keys = IssuedKeys::new(&rows);
        assert_eq!(keys.len(), 5);
        let Some(KeyMatch::Valid(caller)) = find(&keys, "one", 0) else { panic!("valid") };
        assert_eq!((caller.id(), caller.name()), ("a", "name of a"));
        assert_eq!([state(&keys, "two", 9), state(&keys, "two", 10)], ["valid", "expired"]);
        assert_eq!([state(&keys, "three", 0), state(&keys, "four", 0)], ["revoked", "unknown"]);
        assert!(keys.find(b"short", 0).is_none());
    }

    #[test]
    fn a_rotated_key_is_valid_until_the_end_of_the_overlap() {
        let rotated = ApiKey {
            previous_digest: Some(hex("old")),
            previous_expires_at: Some(100),
            ..key("a", &hex("new"), KeyGrant::default())
        };
        let keys = IssuedKeys::new(std::slice::from_ref(&rotated));
        assert_eq!([state(&keys, "old", 99), state(&keys, "old", 100)], ["valid", "expired"]);
        assert_eq!(state(&keys, "new", 100), "valid");
        let ends_before = IssuedKeys::new(&[ApiKey { expires_at: Some(50), ..rotated.clone() }]);
        assert_eq!(state(&ends_before, "old", 50), "expired");
        let no_end = IssuedKeys::new(&[ApiKey { previous_expires_at: None, ..rotated.clone() }]);
        assert_eq!(state(&no_end, "old", 0), "expired");
        let revoked = IssuedKeys::new(&[ApiKey { revoked_at: Some(1), ..rotated }]);
        assert_eq!([state(&revoked, "old", 0), state(&revoked, "new", 0)], ["revoked", "revoked"]);
    }

    #[test]
    fn the_end_of_the_last_key_does_not_open_the_service() {
        assert!(IssuedKeys::default().is_empty());
        let revoked = ApiKey { revoked_at: Some(0), ..key("a", &hex("one"), KeyGrant::default()) };
        assert!(!IssuedKeys::new(&[revoked]).is_empty());
    }

    #[test]
    fn a_lookup_among_ten_thousand_keys_compares_one_digest() {
        let rows: Vec<ApiKey> =
            (0..10_000).map(|n| key(&n.to_string(), &hex(&n.to_string()), KeyGrant::default())).collect();
        let keys = IssuedKeys::new(&rows);
        // Every key has a slot of its own, so a lookup never compares with another key.
        assert_eq!(keys.by_digest.len(), rows.len());
        for n in [0, 4_321, 9_999] {
            let Some(KeyMatch::Valid(caller)) = find(&keys, &n.to_string(), 0) else { panic!("{n}") };
            assert_eq!(caller.id(), n.to_string());
        }
        assert!(find(&keys, "10000", 0).is_none());
    }

    #[test]
    fn a_change_of_one_key_leaves_the_others_as_they_are() {
        let row = |id: &str| key(id, &hex(id), KeyGrant::default());
        let before = IssuedKeys::new(&["a", "b", "c", "d"].map(row));
        let rotated =
            ApiKey { digest: hex("new"), previous_digest: Some(hex("b")), previous_expires_at: Some(100), ..row("b") };
        let revoked = ApiKey { revoked_at: Some(1), ..row("c") };
        let after = before.with(&[rotated, revoked, row("e")], &["d".to_owned(), "unknown".to_owned()]);
        let states = |keys, now_ms| ["a", "b", "c", "d", "e", "new"].map(|secret| state(keys, secret, now_ms));
        assert_eq!(states(&after, 99), ["valid", "valid", "revoked", "unknown", "valid", "valid"]);
        assert_eq!(states(&before, 99), ["valid", "valid", "valid", "valid", "unknown", "unknown"]);
        assert_eq!((before.len(), after.len()), (4, 4));
        let shared =
            |slot: &u128| before.by_digest.get(slot).is_some_and(|issued| Arc::ptr_eq(issued, &after.by_digest[slot]));
        assert_eq!(after.by_digest.keys().filter(|slot| shared(slot)).count(), 1, "only `a` is as it was");
        // The former secret of a key that was given a new one ends with its row.
        let again = after.with(&[row("b")], &[]);
        assert_eq!([state(&again, "new", 0), state(&again, "b", 0)], ["unknown", "valid"]);
        assert!(again.with(&[], &["a", "b", "c", "e"].map(str::to_owned)).is_empty());
    }
}
