//! Credentials in a text, recognised by their form.

use std::ops::Range;

/// Form of a credential: a prefix, and then characters of an alphabet.
struct Form {
    name: &'static str,
    prefix: &'static str,
    alphabet: fn(u8) -> bool,
    /// Minimum characters after the prefix.
    min: usize,
    /// Maximum characters after the prefix; a longer run is something else.
    max: usize,
}

/// Maximum characters of keys without a known length. It bounds the work: a run is read again for each prefix in it.
const LONG: usize = 512;

/// Forms of credentials, those with a longer prefix before those that begin like them.
static FORMS: [Form; 25] = [
    Form { name: "Anthropic key", prefix: "sk-ant-", alphabet: url_safe, min: 20, max: LONG },
    Form { name: "OpenAI key", prefix: "sk-proj-", alphabet: url_safe, min: 20, max: LONG },
    Form { name: "API key", prefix: "sk-", alphabet: url_safe, min: 32, max: LONG },
    Form { name: "Stripe key", prefix: "sk_live_", alphabet: alphanumeric, min: 16, max: LONG },
    Form { name: "Stripe key", prefix: "rk_live_", alphabet: alphanumeric, min: 16, max: LONG },
    Form { name: "GitHub token", prefix: "ghp_", alphabet: alphanumeric, min: 36, max: 255 },
    Form { name: "GitHub token", prefix: "gho_", alphabet: alphanumeric, min: 36, max: 255 },
    Form { name: "GitHub token", prefix: "ghu_", alphabet: alphanumeric, min: 36, max: 255 },
    Form { name: "GitHub token", prefix: "ghs_", alphabet: alphanumeric, min: 36, max: 255 },
    Form { name: "GitHub token", prefix: "ghr_", alphabet: alphanumeric, min: 36, max: 255 },
    Form { name: "GitHub token", prefix: "github_pat_", alphabet: word, min: 22, max: 255 },
    Form { name: "GitLab token", prefix: "glpat-", alphabet: url_safe, min: 20, max: 255 },
    Form { name: "AWS key id", prefix: "AKIA", alphabet: upper, min: 16, max: 16 },
    Form { name: "AWS key id", prefix: "ASIA", alphabet: upper, min: 16, max: 16 },
    Form { name: "Google key", prefix: "AIza", alphabet: url_safe, min: 35, max: 35 },
    Form { name: "Slack token", prefix: "xoxb-", alphabet: url_safe, min: 20, max: 255 },
    Form { name: "Slack token", prefix: "xoxp-", alphabet: url_safe, min: 20, max: 255 },
    Form { name: "Slack token", prefix: "xoxa-", alphabet: url_safe, min: 20, max: 255 },
    Form { name: "Hugging Face token", prefix: "hf_", alphabet: alphanumeric, min: 30, max: 64 },
    Form { name: "npm token", prefix: "npm_", alphabet: alphanumeric, min: 36, max: 36 },
    Form { name: "Signalbox key", prefix: "sbx-", alphabet: url_safe, min: 43, max: 43 },
    Form { name: "Groq key", prefix: "gsk_", alphabet: alphanumeric, min: 40, max: 128 },
    Form { name: "xAI key", prefix: "xai-", alphabet: alphanumeric, min: 40, max: 128 },
    Form { name: "SendGrid key", prefix: "SG.", alphabet: dotted, min: 60, max: 80 },
    Form { name: "signed token", prefix: "eyJ", alphabet: dotted, min: 40, max: 4_096 },
];

const KEY_BEGIN: &str = "-----BEGIN ";
const KEY_WORD: &str = "PRIVATE KEY-----";
const KEY_END: &str = "-----END ";

/// Adds the places of credentials in `text`, with their names.
pub(super) fn find(text: &str, found: &mut Vec<(Range<usize>, &'static str)>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let is_start = is_boundary(bytes, at);
        match is_start.then(|| begins_at(text, at)).flatten() {
            Some((end, name)) => {
                found.push((at..end, name));
                at = end;
            }
            None => at += 1,
        }
    }
}

/// Returns the end and the name of the credential that begins here.
fn begins_at(text: &str, at: usize) -> Option<(usize, &'static str)> {
    let rest = text.as_bytes().get(at..)?;
    if rest.starts_with(KEY_BEGIN.as_bytes()) {
        return private_key(text, at).map(|end| (end, "private key"));
    }
    FORMS.iter().find_map(|form| {
        let run = rest.strip_prefix(form.prefix.as_bytes())?;
        let len = run.iter().take(form.max + 1).take_while(|byte| (form.alphabet)(**byte)).count();
        let trimmed = run[..len].iter().rev().take_while(|byte| matches!(byte, b'.' | b'-' | b'_')).count();
        let len = len - trimmed;
        let is_ended = run.get(len).is_none_or(|next| !next.is_ascii_alphanumeric());
        let is_form = form.prefix != "eyJ" || is_signed_token(&run[..len]);
        let is_credential = (form.min..=form.max).contains(&len) && is_ended && is_form && has_variety(&run[..len]);
        is_credential.then_some((at + form.prefix.len() + len, form.name))
    })
}

/// Returns the end of a private key in PEM; of one that is cut, the end of the text. Its lines may be those of a text
/// within a text, where a line ends with an escape.
fn private_key(text: &str, at: usize) -> Option<usize> {
    let kind = &text.as_bytes()[at + KEY_BEGIN.len()..];
    let len = kind.iter().take_while(|byte| byte.is_ascii_uppercase() || matches!(byte, b' ' | b'-')).count();
    if !kind[..len].windows(KEY_WORD.len()).any(|word| word == KEY_WORD.as_bytes()) {
        return None;
    }
    let Some(end) = text[at..].find(KEY_END) else { return Some(text.len()) };
    let tail = &text[at + end + KEY_END.len()..];
    Some(tail.find("-----").map_or(text.len(), |dashes| at + end + KEY_END.len() + dashes + 5))
}

/// Returns whether a run after `eyJ` has the three parts of a JSON web token.
fn is_signed_token(run: &[u8]) -> bool {
    let parts: Vec<&[u8]> = run.split(|byte| *byte == b'.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.len() >= 10) && parts[1].starts_with(b"eyJ")
}

/// Returns whether a run is more than a placeholder such as `xxxxxxxx`.
fn has_variety(run: &[u8]) -> bool {
    let mut seen = [false; 256];
    run.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count() >= 6
}

/// Returns whether a credential may begin here: not within a word, but behind the letter of an escape such as `\n`, as
/// in JSON within a text.
fn is_boundary(bytes: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| bytes[before]) else { return true };
    is_after_escape(bytes, at) || !(before.is_ascii_alphanumeric() || before == b'_')
}

/// Returns whether the two bytes before `at` are an escape such as `\n`.
pub(super) fn is_after_escape(bytes: &[u8], at: usize) -> bool {
    at >= 2 && bytes[at - 2] == b'\\' && matches!(bytes[at - 1], b'n' | b't' | b'r')
}

const fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

const fn upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

const fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

const fn url_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

const fn dotted(byte: u8) -> bool {
    url_safe(byte) || byte == b'.'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<(&str, &'static str)> {
        let mut all = Vec::new();
        find(text, &mut all);
        all.into_iter().map(|(range, name)| (&text[range], name)).collect()
    }

    /// Returns a run of this length. Built at run time, so that scanners of repositories find no credential.
    fn run(len: usize) -> String {
        "aB3dE6gH9jK2mN5pQ8sT1vW4xY7z".chars().cycle().take(len).collect()
    }

    #[test]
    fn credentials_are_found_with_their_exact_end() {
        let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----", run(64));
        let token = format!("eyJ{}.eyJ{}.{}", run(20), run(20), run(30));
        for (secret, name) in [
            (format!("sk-ant-api03-{}", run(40)), "Anthropic key"),
            (format!("sk-proj-{}", run(40)), "OpenAI key"),
            (format!("sk-{}", run(48)), "API key"),
            (format!("ghp_{}", run(36)), "GitHub token"),
            (format!("AKIA{}", "Q3EGRIE5ABCDZ7WX"), "AWS key id"),
            (format!("AIza{}", run(35)), "Google key"),
            (format!("xoxb-12345678901-{}", run(24)), "Slack token"),
            (token, "signed token"),
            (pem, "private key"),
        ] {
            for text in [
                secret.clone(),
                format!("key={secret}"),
                format!("my key is \"{secret}\", ok?"),
                format!("é {secret}. Next"),
            ] {
                assert_eq!(found(&text), [(&*secret, name)], "{text}");
            }
        }
    }

    #[test]
    fn other_text_is_left_alone() {
        for text in [
            "risk-free and task-oriented".to_owned(),
            "sk-learn".to_owned(),
            format!("sk-{}", "x".repeat(48)),
            format!("AKIA{}", run(20)),
            format!("mask-{}", run(48)),
            format!("_ghp_{}", run(36)),
            format!("ghp_{}", run(20)),
            format!("eyJ{}", run(60)),
            "-----BEGIN PUBLIC KEY-----\nabc".to_owned(),
            "-----BEGIN".to_owned(),
            String::new(),
        ] {
            assert_eq!(found(&text), [], "{text}");
        }
        let cut = format!("see -----BEGIN PRIVATE KEY-----\n{}", run(64));
        assert_eq!(found(&cut), [(&cut[4..], "private key")]);
        let two = format!("ghp_{} ghp_{}", run(36), run(36));
        assert_eq!(found(&two).len(), 2);
    }

    #[test]
    fn repeated_prefixes_do_not_multiply_the_work() {
        // Without a bound of each run, this reads some ten thousand million bytes.
        for prefix in ["sk-", "-eyJ", "-sbx-", ".SG."] {
            assert_eq!(found(&prefix.repeat(250_000 / prefix.len())), [], "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn ranges_are_ordered_and_within_the_text(text in "(sk-|ghp_|eyJ|-----BEGIN |PRIVATE KEY-----|\n|[a-zA-Z0-9._é-]{0,50}){0,8}") {
            let mut all = Vec::new();
            find(&text, &mut all);
            let mut end = 0;
            for (range, _) in all {
                prop_assert!(range.start >= end && range.end > range.start);
                prop_assert!(text.get(range.clone()).is_some());
                end = range.end;
            }
        }
    }
}
