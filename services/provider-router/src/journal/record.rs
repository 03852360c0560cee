//! Records of the journal, and their encoding.
//!
//! ```text
//! record  = length: u32 LE of payload · crc32: u32 LE of the segment's generation (u64 LE) and payload · payload
//! payload = kind: u8 · request id: 16 bytes · rest
//! rest    = Begin, End: length: u32 LE of head · head (JSON) · body bytes      Part: body bytes
//! ```
//! The head is JSON, so that a record can be read by eye and fields can be added; the body has the bytes as sent on the
//! wire. A record is either complete or absent. The checksum covers the generation, so that records from an earlier use
//! of a recycled segment are invalid.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use signalbox_core::{
    openai::Usage,
    schema::{RequestStatus, RoutingRecord},
};
use uuid::Uuid;

use super::Bodies;

/// Bytes of length and checksum.
pub(crate) const FRAME_LEN: usize = 8;
/// Bytes of kind and request id.
const PREFIX_LEN: usize = 17;
/// Maximum bytes of a payload, given by its length field. Everything that can be written can be read.
const MAX_PAYLOAD: usize = u32::MAX as usize;
/// Maximum of `limits.max_body`. A request fits into a record even if its model name, which the head repeats, is as
/// long as its body.
pub(crate) const MAX_BODY: u64 = 1 << 30;
const _: () = assert!(2 * MAX_BODY + (16 << 20) <= MAX_PAYLOAD as u64, "a request might not fit into a record");

/// Head of a `Begin` record: the request on arrival.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Time of arrival, in Unix milliseconds.
    pub received_at: i64,
    /// Path of the request.
    pub path: String,
    /// Model that the client asked for.
    pub model: String,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Session named by the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Id of the answer that the request continues, as the client wrote it; absent in journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Id of the client key; absent in journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Head of an `End` record: the outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Outcome of the request.
    #[serde(with = "status_word")]
    pub status: RequestStatus,
    /// Time of the end, in Unix milliseconds.
    pub ended_at: i64,
    /// Provider that responded or was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Type of that provider; absent in journals of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_type: Option<String>,
    /// Model name sent to the provider, if it differs from the requested one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_model: Option<String>,
    /// API in which the request was sent to the provider, if it differs from the client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_as: Option<Box<SentAs>>,
    /// Whether the provider was asked for token counts that the client did not ask for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counted: bool,
    /// HTTP status sent to the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// Milliseconds from arrival to the last byte.
    pub duration_ms: i64,
    /// Milliseconds from arrival to the first byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ms: Option<i64>,
    /// Number of providers tried.
    pub attempts: i64,
    /// Expected cost of attempts that were cancelled for another one, in nano-dollars.
    #[serde(default, skip_serializing_if = "is_no_cost")]
    pub cancelled_nanos: i64,
    /// How the cost is estimated if the answer has no token counts; absent unless the answer broke off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<CostEstimate>,
    /// Error message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the response is an event stream.
    pub streamed: bool,
    /// Whether the response was longer than the part kept in the journal.
    #[serde(default)]
    pub truncated: bool,
    /// Metadata that the kept response lacks: it was truncated, or its client did not ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Box<Summary>>,
    /// Number of `Part` records before this one; absent in journals of earlier versions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parts: usize,
    /// Plan and attempts of the request, if it had a route or more than one attempt; absent in journals of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<RoutingRecord>>,
    /// Fields that the target set in the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Box<Map<String, Value>>>,
}

impl End {
    /// Returns the time of arrival, in Unix milliseconds, by which prices are chosen.
    pub(crate) const fn began_at(&self) -> i64 {
        self.ended_at.saturating_sub(self.duration_ms)
    }
}

/// Origin of the estimated cost of an answer that broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CostEstimate {
    /// Nano-dollars by which limits and budgets were settled.
    Nanos(i64),
    /// The lengths of the request and of the answer, which are both kept in full.
    Bodies,
}

/// The form in which a translated request was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentAs {
    /// Name of the provider's API.
    pub api: String,
    /// Type of the provider, on which the form depends.
    pub kind: String,
    /// Text of the header `x-signalbox-translation`; empty until there is an answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub translation: String,
    /// Whether the request was not translated, but sent without the thinking of other providers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
    /// Whether the provider refuses streams that are asked for their token counts, so that this one was not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_uncounted: bool,
    /// Indices in `input` of the items that were left out because only another account can read them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<usize>,
}

// === impl SentAs ===

impl SentAs {
    /// Returns the form as it is kept in this detail: without the list of what the translation lost, which has names of
    /// fields and tools, if nothing of the bodies is kept.
    #[must_use]
    pub fn kept(mut self, bodies: Bodies) -> Self {
        if bodies == Bodies::Off
            && let Some(end) = self.translation.find(';')
        {
            self.translation.truncate(end);
        }
        self
    }
}

/// Metadata from the end of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Token usage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Finish reason of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde defines the signature")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde defines the signature")]
const fn is_no_cost(nanos: &i64) -> bool {
    *nanos == 0
}

mod status_word {
    use serde::{Deserialize, Deserializer, Serializer};
    use signalbox_core::schema::RequestStatus;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde defines the signature")]
    pub(super) fn serialize<S: Serializer>(status: &RequestStatus, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(status.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RequestStatus, D::Error> {
        let word = String::deserialize(deserializer)?;
        RequestStatus::parse(&word).ok_or_else(|| serde::de::Error::custom(format!("unknown status {word:?}")))
    }
}

/// Kind of a record; the first byte of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Begin = 1,
    Part = 2,
    End = 3,
}

impl Kind {
    fn of(number: u8) -> Option<Self> {
        [Self::Begin, Self::Part, Self::End].into_iter().find(|kind| *kind as u8 == number)
    }
}

/// A decoded record; `head` and `body` borrow from the payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JournalRecord<'a> {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    /// Empty in a [`Kind::Part`] record.
    head: &'a [u8],
    pub(crate) body: &'a [u8],
}

/// Encodes a record up to its body, which the writer appends without a copy.
///
/// Clears and fills `scratch`, so that a writer does not allocate per record. The checksum is left out; [`seal`] adds
/// it.
///
/// # Errors
/// Returns [`io::ErrorKind::FileTooLarge`] if the record would be longer than 4 GiB.
pub(crate) fn encode(
    scratch: &mut Vec<u8>,
    kind: Kind,
    id: Uuid,
    head: Option<&impl Serialize>,
    body: &[u8],
) -> io::Result<()> {
    scratch.clear();
    scratch.extend_from_slice(&[0; FRAME_LEN]);
    scratch.push(kind as u8);
    scratch.extend_from_slice(id.as_bytes());
    if let Some(head) = head {
        let at = scratch.len();
        scratch.extend_from_slice(&[0; 4]);
        // Serialising strings and numbers to memory cannot fail.
        let _ = serde_json::to_writer(&mut *scratch, head);
        let len = length(scratch.len() - at - 4)?;
        scratch[at..at + 4].copy_from_slice(&len);
    }
    let len = length((scratch.len() - FRAME_LEN).saturating_add(body.len()))?;
    scratch[..4].copy_from_slice(&len);
    Ok(())
}

/// Adds the checksum to an encoded record that is appended to a segment of this generation.
pub(crate) fn seal(front: &mut [u8], body: &[u8], generation: u64) {
    let crc = checksum(generation, &[&front[FRAME_LEN..], body]);
    front[4..FRAME_LEN].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(generation: u64, parts: &[&[u8]]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&generation.to_le_bytes());
    for part in parts {
        crc.update(part);
    }
    crc.finalize()
}

fn length(len: usize) -> io::Result<[u8; 4]> {
    Ok(u32::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?.to_le_bytes())
}

/// Result of decoding the beginning of `bytes`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded<'a> {
    /// A complete record, and its length in bytes.
    JournalRecord(JournalRecord<'a>, usize),
    /// The beginning of a record of at least this total length in bytes.
    Incomplete(usize),
    /// Not a record: the end of the written part, a torn tail, or damage.
    Invalid,
}

/// Decodes the record at the beginning of `bytes`, from a segment of this generation.
pub(crate) fn decode(bytes: &[u8], generation: u64) -> Decoded<'_> {
    let Some((len, rest)) = take_u32(bytes) else { return Decoded::Incomplete(FRAME_LEN) };
    let Some((crc, rest)) = take_u32(rest) else { return Decoded::Incomplete(FRAME_LEN) };
    let len = len as usize;
    if !(PREFIX_LEN..=MAX_PAYLOAD).contains(&len) || rest.first().is_some_and(|&kind| Kind::of(kind).is_none()) {
        return Decoded::Invalid;
    }
    let Some(payload) = rest.get(..len) else { return Decoded::Incomplete(FRAME_LEN + len) };
    if checksum(generation, &[payload]) != crc {
        return Decoded::Invalid;
    }
    parse(payload).map_or(Decoded::Invalid, |record| Decoded::JournalRecord(record, FRAME_LEN + len))
}

/// Returns the length of a complete record that may begin here, judging by its length and kind only.
pub(crate) fn plausible(bytes: &[u8]) -> Option<usize> {
    let (len, rest) = take_u32(bytes)?;
    let len = len as usize;
    let kind = *rest.get(4)?;
    let whole = (PREFIX_LEN..=rest.len() - 4).contains(&len);
    (whole && Kind::of(kind).is_some()).then_some(FRAME_LEN + len)
}

/// Parses a record that was decoded before, without verifying its checksum again.
pub(crate) fn decoded(bytes: &[u8]) -> Option<JournalRecord<'_>> {
    parse(bytes.get(FRAME_LEN..)?)
}

fn parse(payload: &[u8]) -> Option<JournalRecord<'_>> {
    let (&kind, rest) = payload.split_first()?;
    let kind = Kind::of(kind)?;
    let (id, rest) = rest.split_at_checked(16)?;
    let id = Uuid::from_slice(id).ok()?;
    if kind == Kind::Part {
        return Some(JournalRecord { id, kind, head: &[], body: rest });
    }
    let (head_len, rest) = take_u32(rest)?;
    let (head, body) = rest.split_at_checked(head_len as usize)?;
    Some(JournalRecord { id, kind, head, body })
}

impl JournalRecord<'_> {
    /// Returns the head of a `Begin` record; `None` for other kinds, or if the head cannot be parsed.
    pub(crate) fn begin(&self) -> Option<Begin> {
        (self.kind == Kind::Begin).then(|| serde_json::from_slice(self.head).ok()).flatten()
    }

    /// Returns the head of an `End` record; `None` for other kinds, or if the head cannot be parsed.
    pub(crate) fn end(&self) -> Option<End> {
        (self.kind == Kind::End).then(|| serde_json::from_slice(self.head).ok()).flatten()
    }
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*head), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GENERATION: u64 = 42;

    fn begin() -> Begin {
        Begin {
            received_at: 1,
            path: "/v1/chat/completions".into(),
            model: "m".into(),
            stream: true,
            session: None,
            previous: None,
            key: None,
        }
    }

    fn whole(kind: Kind, head: Option<&Begin>, body: &[u8]) -> Vec<u8> {
        let mut scratch = Vec::new();
        encode(&mut scratch, kind, Uuid::from_u128(7), head, body).unwrap();
        seal(&mut scratch, body, GENERATION);
        scratch.extend_from_slice(body);
        scratch
    }

    #[test]
    fn a_translation_is_kept_without_names_if_no_body_is() {
        let sent = |translation: &str| SentAs {
            api: "chat".into(),
            kind: "openai".into(),
            translation: translation.to_owned(),
            is_cut: false,
            is_uncounted: false,
            cut: Vec::new(),
        };
        for (bodies, translation, expected) in [
            (Bodies::Off, "messages-chat; tools.canary=dropped; x=altered", "messages-chat"),
            (Bodies::Off, "messages-chat", "messages-chat"),
            (Bodies::Off, "", ""),
            (Bodies::Redact, "messages-chat; x=dropped", "messages-chat; x=dropped"),
            (Bodies::Full, "messages-chat; x=dropped", "messages-chat; x=dropped"),
        ] {
            assert_eq!(sent(translation).kept(bodies), sent(expected), "{bodies:?}");
        }
    }

    #[test]
    fn records_round_trip() {
        let bytes = whole(Kind::Begin, Some(&begin()), b"{}");
        let Decoded::JournalRecord(record, len) = decode(&bytes, GENERATION) else { panic!("a record") };
        assert_eq!((record.id, record.begin(), record.end()), (Uuid::from_u128(7), Some(begin()), None));
        assert_eq!((record.body, len), (b"{}".as_slice(), bytes.len()));
        assert_eq!(decoded(&bytes), Some(record));
    }

    #[test]
    fn a_record_of_another_generation_is_ignored() {
        let bytes = whole(Kind::Begin, Some(&begin()), b"{}");
        assert_eq!(decode(&bytes, GENERATION + 1), Decoded::Invalid);
    }

    #[test]
    fn zeroes_are_not_a_record() {
        assert_eq!(decode(&[0; 64], GENERATION), Decoded::Invalid);
    }

    proptest! {
        #[test]
        fn any_truncated_record_is_incomplete(body in proptest::collection::vec(any::<u8>(), 0..64), cut in any::<prop::sample::Index>()) {
            let bytes = whole(Kind::Part, None, &body);
            let cut = cut.index(bytes.len());
            prop_assert!(matches!(decode(&bytes[..cut], GENERATION), Decoded::Incomplete(needs) if needs > cut));
        }

        #[test]
        fn any_flipped_bit_is_detected(body in proptest::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut bytes = whole(Kind::Begin, Some(&begin()), &body);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(!matches!(decode(&bytes, GENERATION), Decoded::JournalRecord(..)));
        }
    }
}
