//! Ids of tool calls in the form that the target accepts.

use std::collections::{HashMap, HashSet, VecDeque};

/// The digits of ids that are letters and digits only.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The form of ids at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdForm {
    /// ASCII letters, digits, `_` and `-`: at most so many.
    AtMost(usize),
    /// ASCII letters and digits: exactly so many.
    Exactly(usize),
}

/// Maps ids of tool calls to ids that the target accepts, and that differ within a request. The same conversation
/// always gets the same ids.
#[derive(Debug)]
pub(crate) struct IdMap {
    form: IdForm,
    known: HashMap<String, CallIds>,
    used: HashSet<String>,
}

/// The forms of an id, of which some providers and clients give several calls the same.
#[derive(Debug, Default)]
struct CallIds {
    newest: String,
    /// Calls that have no result yet, oldest first.
    waiting: VecDeque<String>,
}

// === impl IdForm ===

impl IdForm {
    /// Returns the form of the `number`th id, counted from 1, that begins as `id`.
    fn of(self, id: &str, number: u64) -> String {
        match self {
            Self::AtMost(max) => {
                let clean = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
                let base: String = id.chars().take(max).map(clean).collect();
                let base = if base.is_empty() { "call".to_owned() } else { base };
                if number == 1 {
                    return base;
                }
                let suffix = format!("_{number}");
                base.chars().take(max.saturating_sub(suffix.len())).chain(suffix.chars()).collect()
            }
            Self::Exactly(len) => {
                let is_one = id.len() == len && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if is_one && number == 1 {
                    return id.to_owned();
                }
                let mut rest = hash(id, number);
                let digit = |rest: &mut u64| {
                    let digit = DIGITS.get(usize::try_from(*rest % 62).unwrap_or_default());
                    *rest /= 62;
                    digit.copied().map_or('0', char::from)
                };
                (0..len).map(|_| digit(&mut rest)).collect()
            }
        }
    }
}

/// Returns a hash that is the same in every process: FNV-1a.
fn hash(id: &str, number: u64) -> u64 {
    let bytes = id.bytes().chain(number.to_le_bytes());
    bytes.fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

// === impl IdMap ===

impl IdMap {
    pub(crate) fn new(form: IdForm) -> Self {
        Self { form, known: HashMap::new(), used: HashSet::new() }
    }

    /// Returns the id of a call in the form of the target.
    pub(crate) fn call(&mut self, id: &str) -> String {
        let mut number = 1;
        let short = loop {
            let short = self.form.of(id, number);
            if self.used.insert(short.clone()) {
                break short;
            }
            number += 1;
        };
        let known = self.known.entry(id.to_owned()).or_default();
        known.newest.clone_from(&short);
        known.waiting.push_back(short.clone());
        short
    }

    /// Returns the id of the call that a result answers: the oldest one with this id that has no result.
    pub(crate) fn result(&mut self, id: &str) -> String {
        match self.known.get_mut(id) {
            Some(known) => known.waiting.pop_front().unwrap_or_else(|| known.newest.clone()),
            None => {
                let short = self.call(id);
                self.known.entry(id.to_owned()).or_default().waiting.clear();
                short
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_distinct_and_results_find_their_calls() {
        let mut ids = IdMap::new(IdForm::AtMost(64));
        assert_eq!(ids.call("call_1"), "call_1");
        assert_eq!(ids.call("a.b"), "a_b");
        assert_eq!(ids.call("a:b"), "a_b_2");
        assert_eq!(ids.call("a.b"), "a_b_3");
        assert_eq!([ids.result("a.b"), ids.result("a.b"), ids.result("a.b")], ["a_b", "a_b_3", "a_b_3"]);
        assert_eq!((ids.result("a:b"), ids.result("other")), ("a_b_2".to_owned(), "other".to_owned()));
        assert_eq!(ids.call(&"x".repeat(100)).len(), 64);
        assert_eq!(ids.call(""), "call");
    }

    #[test]
    fn ids_of_an_exact_length_are_letters_and_digits() {
        let made = || {
            let mut ids = IdMap::new(IdForm::Exactly(9));
            let calls =
                ["toolu_01", "", "abcDEF123", "abcDEF123", "a.b", "a:b", &"x".repeat(100)].map(|id| ids.call(id));
            (calls, [ids.result("abcDEF123"), ids.result("abcDEF123"), ids.result("toolu_01")])
        };
        let (calls, results) = made();
        for id in &calls {
            assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        }
        assert_eq!(calls.iter().collect::<HashSet<_>>().len(), calls.len(), "{calls:?}");
        assert_eq!(calls[2], "abcDEF123");
        assert_eq!(results, [&*calls[2], &*calls[3], &*calls[0]]);
        assert_eq!(made().0, calls, "the same conversation has the same ids");
    }
}
