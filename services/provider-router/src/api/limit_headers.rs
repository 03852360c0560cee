//! Headers that tell a client what is left of its limits, in the form of its API.

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use signalbox_core::Api;
use tokio::time::Duration;

use crate::ledger::{Quota, Quotas};

/// Names of the headers of one limit: the limit, what is left, and when all of it is left again.
type Names = [HeaderName; 3];

const OPENAI: [Names; 2] = [
    [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
];
const ANTHROPIC: [Names; 2] = [
    [
        HeaderName::from_static("anthropic-ratelimit-requests-limit"),
        HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    ],
    [
        HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
        HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    ],
];

/// Adds the headers for a client of `api` at `now_ms`. They replace those of the provider, which are about its limits.
pub(super) fn add(headers: &mut HeaderMap, quotas: &Quotas, api: Api, now_ms: i64) {
    let names = if api == Api::Messages { ANTHROPIC } else { OPENAI };
    for (quota, [limit, remaining, reset]) in [quotas.requests, quotas.tokens].into_iter().zip(names) {
        let Some(quota) = quota else { continue };
        headers.insert(limit, quota.limit.into());
        headers.insert(remaining, quota.remaining.into());
        if let Some(value) = reset_at(&quota, api, now_ms) {
            headers.insert(reset, value);
        }
    }
}

/// Anthropic names a time, OpenAI a duration such as `1m2.5s`.
fn reset_at(quota: &Quota, api: Api, now_ms: i64) -> Option<HeaderValue> {
    let text = if api == Api::Messages {
        let millis = i64::try_from(quota.reset.as_millis()).ok()?;
        // Whole seconds, rounded up, as Anthropic does.
        let at = now_ms.checked_add(millis)?.checked_add(999)? / 1000;
        Timestamp::from_second(at).ok()?.to_string()
    } else {
        duration(quota.reset)
    };
    HeaderValue::try_from(text).ok()
}

fn duration(reset: Duration) -> String {
    let (minutes, millis) = (reset.as_secs() / 60, reset.as_millis() % 60_000);
    let minutes = if minutes == 0 { String::new() } else { format!("{minutes}m") };
    match (millis / 1000, millis % 1000) {
        (0, rest) if rest > 0 && minutes.is_empty() => format!("{rest}ms"),
        (seconds, 0) => format!("{minutes}{seconds}s"),
        (seconds, rest) => {
            let fraction = format!("{rest:03}");
            format!("{minutes}{seconds}.{}s", fraction.trim_end_matches('0'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas(reset: u64) -> Quotas {
        let quota = |limit| Some(Quota { limit, remaining: 3, reset: Duration::from_millis(reset) });
        Quotas { requests: quota(10), tokens: quota(500) }
    }

    fn headers(api: Api, quotas: &Quotas) -> Vec<String> {
        let mut headers = HeaderMap::from_iter([(OPENAI[0][0].clone(), HeaderValue::from_static("of the provider"))]);
        add(&mut headers, quotas, api, 1_000);
        headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn each_api_has_its_own_form() {
        let openai = headers(Api::Chat, &quotas(61_500));
        for expected in [
            "x-ratelimit-limit-requests: 10",
            "x-ratelimit-remaining-tokens: 3",
            "x-ratelimit-limit-tokens: 500",
            "x-ratelimit-reset-tokens: 1m1.5s",
        ] {
            assert!(openai.iter().any(|header| header == expected), "{expected} in {openai:?}");
        }
        let anthropic = headers(Api::Messages, &quotas(1_500));
        for expected in [
            "anthropic-ratelimit-requests-limit: 10",
            "anthropic-ratelimit-tokens-remaining: 3",
            "anthropic-ratelimit-tokens-reset: 1970-01-01T00:00:03Z",
        ] {
            assert!(anthropic.iter().any(|header| header == expected), "{expected} in {anthropic:?}");
        }
        assert_eq!(headers(Api::Responses, &Quotas::default()), ["x-ratelimit-limit-requests: of the provider"]);
    }

    #[test]
    fn durations_are_short() {
        for (millis, text) in
            [(0, "0s"), (20, "20ms"), (1_000, "1s"), (60_000, "1m0s"), (60_020, "1m0.02s"), (1_250, "1.25s")]
        {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }
}
