//! The spellings in which a secret is searched for.

/// Minimum bytes of a secret that is also searched for in other spellings; those of a shorter one occur by chance.
const MIN_RESPELLED: usize = 8;

/// Digits of base64, without the last two, which depend on the alphabet.
const BASE64: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Returns a secret and, if it is long enough, its other spellings.
pub(super) fn spellings(secret: String) -> Vec<String> {
    if secret.len() < MIN_RESPELLED {
        return vec![secret];
    }
    let (lower, upper) = (secret.to_lowercase(), secret.to_uppercase());
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut spellings = vec![lower, upper, hex.to_uppercase(), hex];
    // Within a longer text, such as `Bearer KEY`, the secret begins at any of three places of a group of digits.
    for before in 0..3 {
        spellings.extend([*b"+/", *b"-_"].map(|last| base64(before, secret.as_bytes(), last)));
    }
    spellings.insert(0, secret);
    spellings
}

/// Encodes bytes in base64 without padding. `before` is the number of bytes, at most 2, that precede them in their
/// group of three; `last` has the digits for 62 and 63. Digits that also depend on the bytes around are left out.
fn base64(before: usize, bytes: &[u8], last: [u8; 2]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3);
    let (mut bits, mut len) = (0_u32, 0_u32);
    for byte in std::iter::repeat_n(&0, before).chain(bytes) {
        bits = ((bits << 8) | u32::from(*byte)) & 0xffff;
        len += 8;
        while len >= 6 {
            len -= 6;
            let digit = ((bits >> len) & 0x3f) as usize;
            let digit = BASE64.get(digit).copied().unwrap_or_else(|| last[usize::from(digit == 63)]);
            text.push(char::from(digit));
        }
    }
    // One byte before takes part in the first two digits, two bytes in the first three.
    let shared = if before == 0 { 0 } else { before + 1 };
    text.split_off(shared.min(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_depend_on_the_bytes_around_are_left_out() {
        for (before, text) in [(0, "aGVsbG"), (1, "hlbGxv"), (2, "oZWxsb")] {
            assert_eq!(base64(before, b"hello", *b"+/"), text, "{before}");
        }
    }
}
