//! Secrets of which a text has only a part, because a provider quotes them without their beginning or their end.

use std::ops::Range;

use memchr::memmem;

/// Minimum bytes of a secret that is also found without a quarter of it. Keys of one vendor begin alike, but shorter.
const MIN_QUARTERED: usize = 32;
/// Minimum bytes of a secret that is also found without one character; shorter texts occur by chance.
const MIN_SHORTENED: usize = 12;

/// A secret without its beginning or its end.
#[derive(Clone)]
pub(super) struct Shortened {
    secret: String,
    /// Place of the part that a text must have. What it has around it is masked, too.
    core: Range<usize>,
}

// === impl Shortened ===

impl Shortened {
    /// Returns the parts by which a secret is found: without up to a quarter of it at either end, or one character if it
    /// has fewer than 32 bytes.
    pub(super) fn of(secret: &str) -> Vec<Self> {
        let (start, end) = match secret.len() {
            ..MIN_SHORTENED => return Vec::new(),
            len @ ..MIN_QUARTERED => {
                let last = secret.char_indices().next_back().map_or(len, |(at, _)| at);
                (secret.char_indices().nth(1).map_or(0, |(at, _)| at), last)
            }
            len => (secret.floor_char_boundary(len / 4), secret.ceil_char_boundary(len - len / 4)),
        };
        [start..secret.len(), 0..end].map(|core| Self { secret: secret.to_owned(), core }).into()
    }

    /// Returns the places in `text`, each as long as the text has the secret there.
    pub(super) fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let secret = self.secret.as_bytes();
        let core = &secret[self.core.clone()];
        let places = memmem::find_iter(text, core).map(|at| {
            let (before, after) = (&secret[..self.core.start], &secret[self.core.end..]);
            let behind = at + core.len();
            let len_before = common(before.iter().rev(), text[..at].iter().rev());
            let len_after = common(after.iter(), text[behind..].iter());
            // Half a character would leave a text that is no UTF-8.
            let start = self.secret.ceil_char_boundary(self.core.start - len_before);
            let end = self.secret.floor_char_boundary(self.core.end + len_after);
            at - (self.core.start - start)..behind + (end - self.core.end)
        });
        places.collect()
    }
}

/// Returns the number of bytes with which both begin.
fn common<'a>(one: impl Iterator<Item = &'a u8>, other: impl Iterator<Item = &'a u8>) -> usize {
    one.zip(other).take_while(|(one, other)| one == other).count()
}
