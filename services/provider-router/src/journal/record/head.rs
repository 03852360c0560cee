//! Heads of records: a request on arrival, and its outcome.
//!
//! They are JSON. A field that is added has a default, so that journals of earlier versions can be read.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use signalbox_core::{
    openai::Usage,
    schema::{RequestStatus, RoutingRecord},
};

use crate::journal::Bodies;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
