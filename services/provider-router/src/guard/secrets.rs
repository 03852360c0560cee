//! Credentials in a text, recognised by their form.

use std::ops::Range;

use After::{Any, NoWord};
use Alphabet::{Alphanumeric, Dotted, Upper, UrlSafe, Word};

/// Form of a credential: a prefix, and then characters of an alphabet.
struct Form {
    name: &'static str,
    prefix: &'static str,
    alphabet: Alphabet,
    /// Bytes after which it may begin.
    after: After,
    /// Minimum characters after the prefix.
    min: usize,
    /// Maximum characters after the prefix; a longer run is something else.
    max: usize,
}

/// Characters of a run.
#[derive(Clone, Copy, Debug)]
enum Alphabet {
    Alphanumeric,
    Upper,
    Word,
    UrlSafe,
    Dotted,
}

/// Number of alphabets.
const ALPHABETS: usize = 5;

/// Bytes after which a credential may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Any: the prefix occurs in no word.
    Any,
    /// All but letters and digits, because words end like the prefix (`task-`). An escape ends a word.
    NoWord,
}

/// Maximum characters of keys without a known length; a longer run is something else.
const LONG: usize = 512;
/// Maximum characters at each end of a run that are read for each prefix in it.
const MOST_READ: usize = 64;
/// Maximum characters of the kind of a private key in PEM. The standard kinds have at most 25.
const MAX_KIND: usize = 64;

/// Forms of credentials, those with a longer prefix before those that begin like them.
static FORMS: [Form; 25] = [
    Form { name: "Anthropic key", prefix: "sk-ant-", after: Any, alphabet: UrlSafe, min: 20, max: LONG },
    Form { name: "OpenAI key", prefix: "sk-proj-", after: Any, alphabet: UrlSafe, min: 20, max: LONG },
    Form { name: "API key", prefix: "sk-", after: NoWord, alphabet: UrlSafe, min: 32, max: LONG },
    Form { name: "Stripe key", prefix: "sk_live_", after: Any, alphabet: Alphanumeric, min: 16, max: LONG },
    Form { name: "Stripe key", prefix: "rk_live_", after: Any, alphabet: Alphanumeric, min: 16, max: LONG },
    Form { name: "GitHub token", prefix: "ghp_", after: Any, alphabet: Alphanumeric, min: 36, max: 255 },
    Form { name: "GitHub token", prefix: "gho_", after: Any, alphabet: Alphanumeric, min: 36, max: 255 },
    Form { name: "GitHub token", prefix: "ghu_", after: Any, alphabet: Alphanumeric, min: 36, max: 255 },
    Form { name: "GitHub token", prefix: "ghs_", after: Any, alphabet: Alphanumeric, min: 36, max: 255 },
    Form { name: "GitHub token", prefix: "ghr_", after: Any, alphabet: Alphanumeric, min: 36, max: 255 },
    Form { name: "GitHub token", prefix: "github_pat_", after: Any, alphabet: Word, min: 22, max: 255 },
    Form { name: "GitLab token", prefix: "glpat-", after: Any, alphabet: UrlSafe, min: 20, max: 255 },
    Form { name: "AWS key id", prefix: "AKIA", after: NoWord, alphabet: Upper, min: 16, max: 16 },
    Form { name: "AWS key id", prefix: "ASIA", after: NoWord, alphabet: Upper, min: 16, max: 16 },
    Form { name: "Google key", prefix: "AIza", after: NoWord, alphabet: UrlSafe, min: 35, max: 35 },
    Form { name: "Slack token", prefix: "xoxb-", after: Any, alphabet: UrlSafe, min: 20, max: 255 },
    Form { name: "Slack token", prefix: "xoxp-", after: Any, alphabet: UrlSafe, min: 20, max: 255 },
    Form { name: "Slack token", prefix: "xoxa-", after: Any, alphabet: UrlSafe, min: 20, max: 255 },
    Form { name: "Hugging Face token", prefix: "hf_", after: NoWord, alphabet: Alphanumeric, min: 30, max: 64 },
    Form { name: "npm token", prefix: "npm_", after: Any, alphabet: Alphanumeric, min: 36, max: 36 },
    Form { name: "Signalbox key", prefix: "sbx-", after: NoWord, alphabet: UrlSafe, min: 43, max: 43 },
    Form { name: "Groq key", prefix: "gsk_", after: Any, alphabet: Alphanumeric, min: 40, max: 128 },
    Form { name: "xAI key", prefix: "xai-", after: NoWord, alphabet: Alphanumeric, min: 40, max: 128 },
    Form { name: "SendGrid key", prefix: "SG.", after: NoWord, alphabet: Dotted, min: 60, max: 80 },
    Form { name: "signed token", prefix: "eyJ", after: Any, alphabet: Dotted, min: 40, max: 4_096 },
];

const KEY_BEGIN: &str = "-----BEGIN ";
const KEY_WORD: &str = "PRIVATE KEY-----";
const KEY_END: &str = "-----END ";

/// Whether a form begins with this byte.
static BEGINS: [bool; 256] = begins();

/// The runs that were read last: one for each alphabet, and two parts of a signed token. A run is read once, however many
/// prefixes it contains.
#[derive(Default)]
struct Runs([Range<usize>; ALPHABETS + 2]);

/// Places of the second and the third part of a signed token among the [`Runs`].
const CLAIMS: usize = ALPHABETS;
const SIGNATURE: usize = ALPHABETS + 1;

/// Adds the places of credentials in `text`, with their names. The time is proportional to the length of the text.
pub(super) fn find(text: &str, found: &mut Vec<(Range<usize>, &'static str)>) {
    let (bytes, mut runs, mut at) = (text.as_bytes(), Runs::default(), 0);
    while let Some(skipped) = bytes[at..].iter().position(|byte| BEGINS[usize::from(*byte)]) {
        at += skipped;
        match begins_at(text, at, &mut runs) {
            Some((end, name)) => {
                found.push((at..end, name));
                at = end;
            }
            None => at += 1,
        }
    }
}

/// Returns the end and the name of the credential that begins here.
fn begins_at(text: &str, at: usize, runs: &mut Runs) -> Option<(usize, &'static str)> {
    let bytes = text.as_bytes();
    let rest = &bytes[at..];
    if rest.starts_with(KEY_BEGIN.as_bytes()) {
        return private_key(text, at).map(|end| (end, "private key"));
    }
    let first = rest.first()?;
    let begun = FORMS.iter().filter(|form| form.prefix.as_bytes()[0] == *first);
    let mut begun = begun.filter(|form| rest.starts_with(form.prefix.as_bytes()));
    begun.find_map(|form| {
        if form.after == NoWord && !is_word_boundary(bytes, at) {
            return None;
        }
        let start = at + form.prefix.len();
        let end = runs.end(bytes, start, form.alphabet, form.alphabet as usize).min(start + form.max + 1);
        let tail = bytes[start..end].iter().rev().take(MOST_READ);
        let end = end - tail.take_while(|byte| matches!(byte, b'.' | b'-' | b'_')).count();
        let is_ended = bytes.get(end).is_none_or(|next| !next.is_ascii_alphanumeric());
        let is_credential = (form.min..=form.max).contains(&(end - start)) && is_ended;
        let is_form = form.prefix != "eyJ" || is_signed_token(bytes, start..end, runs);
        (is_credential && is_form && has_variety(&bytes[start..end])).then_some((end, form.name))
    })
}

const fn begins() -> [bool; 256] {
    let (mut begins, mut n) = ([false; 256], 0);
    while n < FORMS.len() {
        begins[FORMS[n].prefix.as_bytes()[0] as usize] = true;
        n += 1;
    }
    begins[KEY_BEGIN.as_bytes()[0] as usize] = true;
    begins
}

// === impl Runs ===

impl Runs {
    /// Returns the end of the run of this alphabet that begins at `start`, and keeps the run in `place`.
    fn end(&mut self, bytes: &[u8], start: usize, alphabet: Alphabet, place: usize) -> usize {
        let run = &mut self.0[place];
        if !run.contains(&start) {
            let len = bytes[start..].iter().take_while(|byte| alphabet.has(**byte)).count();
            *run = start..start + len;
        }
        run.end
    }
}

// === impl Alphabet ===

impl Alphabet {
    const fn has(self, byte: u8) -> bool {
        match self {
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::UrlSafe => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
        }
    }
}

/// Returns the end of a private key in PEM; of one that is cut, the end of the text. Its lines may be those of a text
/// within a text, where a line ends with an escape.
fn private_key(text: &str, at: usize) -> Option<usize> {
    let kind = &text.as_bytes()[at + KEY_BEGIN.len()..];
    let is_kind = |byte: &&u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b' ' | b'-');
    let len = kind.iter().take(MAX_KIND).take_while(is_kind).count();
    if !kind[..len].windows(KEY_WORD.len()).any(|word| word == KEY_WORD.as_bytes()) {
        return None;
    }
    let Some(end) = text[at..].find(KEY_END) else { return Some(text.len()) };
    let tail = &text[at + end + KEY_END.len()..];
    Some(tail.find("-----").map_or(text.len(), |dashes| at + end + KEY_END.len() + dashes + 5))
}

/// Returns whether a run after `eyJ` has the three parts of a JSON web token.
fn is_signed_token(bytes: &[u8], run: Range<usize>, runs: &mut Runs) -> bool {
    let claims = runs.end(bytes, run.start, UrlSafe, UrlSafe as usize) + 1;
    if claims - 1 - run.start < 10 || claims > run.end || !bytes[claims..].starts_with(b"eyJ") {
        return false;
    }
    let signature = runs.end(bytes, claims, UrlSafe, CLAIMS) + 1;
    signature - 1 - claims >= 10
        && signature + 10 <= run.end
        && runs.end(bytes, signature, UrlSafe, SIGNATURE) >= run.end
}

/// Returns whether a run is more than a placeholder such as `xxxxxxxx`.
fn has_variety(run: &[u8]) -> bool {
    let (mut seen, mut count) = ([false; 256], 0);
    run.iter().take(MOST_READ).any(|byte| {
        count += usize::from(!std::mem::replace(&mut seen[usize::from(*byte)], true));
        count >= 6
    })
}

/// Returns whether no word goes on here: the byte before is no letter and no digit, or ends an escape.
fn is_word_boundary(bytes: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| bytes[before]) else { return true };
    !before.is_ascii_alphanumeric() || is_after_escape(bytes, at)
}

/// Returns whether an escape ends before `at`: `\n`, `\t` and `\r` and `\u003d`, as in JSON within a text, `\x3d`, or
/// `%3D`, as in URLs and forms.
pub(super) fn is_after_escape(bytes: &[u8], at: usize) -> bool {
    let before = &bytes[..at];
    let is_hex = |len: usize, mark: &[u8]| {
        let Some((mark_and_before, digits)) = before.len().checked_sub(len).map(|at| before.split_at(at)) else {
            return false;
        };
        mark_and_before.ends_with(mark) && digits.iter().all(u8::is_ascii_hexdigit)
    };
    before.ends_with(b"\\n")
        || before.ends_with(b"\\t")
        || before.ends_with(b"\\r")
        || is_hex(2, b"%")
        || is_hex(2, b"\\x")
        || is_hex(4, b"\\u")
}

/// Returns the number of digits of the escape whose mark (`%`, `\x` or `\u`) ends before `at`; 0 if there is none.
pub(super) fn escape_digits(bytes: &[u8], at: usize) -> usize {
    let digits = match &bytes[..at] {
        [.., b'%'] | [.., b'\\', b'x'] => 2,
        [.., b'\\', b'u'] => 4,
        _ => return 0,
    };
    let is_escape = bytes.get(at..at + digits).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    if is_escape { digits } else { 0 }
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
            format!("task-{}", run(48)),
            format!("XAKIA{}", "Q3EGRIE5ABCDZ7WX"),
            format!("ghp_{}", run(20)),
            format!("eyJ{}", run(60)),
            format!("eyJ{}.{}.{}", run(20), run(20), run(20)),
            format!("eyJ{}.eyJ{}.{}.{}", run(20), run(20), run(20), run(20)),
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
    fn what_stands_before_a_credential_does_not_hide_it() {
        let (github, plain) = (format!("ghp_{}", run(36)), format!("sk-{}", run(48)));
        for before in ["KEY_", "_", "token", "url%3D", "a\\u003d", "\\x3d", "{\\n", "q=", "“"] {
            assert_eq!(found(&format!("{before}{github}&x")), [(&*github, "GitHub token")], "{before}");
            if before != "token" {
                assert_eq!(found(&format!("{before}{plain}&x")), [(&*plain, "API key")], "{before}");
            }
        }
        let token = format!("eyJ{}.eyJ{}.{}", run(20), run(20), run(30));
        assert_eq!(found(&format!("jwt_{token}.")), [(&*token, "signed token")]);
        let key = format!("sbx-{}", run(43));
        assert_eq!(found(&format!("KEY_{key}-")), [(&*key, "Signalbox key")]);
    }

    #[test]
    fn repeated_prefixes_do_not_multiply_the_work() {
        // If each prefix had its run read again, this would read some ten thousand million bytes.
        for part in ["sk-", "eyJ", "-eyJ", "-sbx-", ".SG.", "-----BEGIN ", "xoxb-", "eyJ.", "sk-----------"] {
            assert_eq!(found(&part.repeat(1_000_000 / part.len())), [], "{part}");
        }
        let heads = "eyJ".repeat(1_000);
        assert_eq!(found(&format!("{heads}.eyJ.eyJ ").repeat(300)), []);
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
