//! Computes the common prefix and the common suffix of two byte strings.
//!
//! Conversations resend their history, so long bodies are mostly alike: whole blocks are compared first, which is fast.

const BLOCK_BYTES: usize = 256;

/// Returns the length in bytes of the common prefix of `a` and `b`.
#[must_use]
pub fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let blocks =
        a.chunks_exact(BLOCK_BYTES).zip(b.chunks_exact(BLOCK_BYTES)).take_while(|(a, b)| a == b).count() * BLOCK_BYTES;
    blocks + a[blocks..].iter().zip(&b[blocks..]).take_while(|(a, b)| a == b).count()
}

/// Returns the length in bytes of the common suffix of `a` and `b`.
#[must_use]
pub fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.rchunks_exact(BLOCK_BYTES).zip(b.rchunks_exact(BLOCK_BYTES)).take_while(|(a, b)| a == b).count()
        * BLOCK_BYTES;
    let (a, b) = (&a[..a.len() - blocks], &b[..b.len() - blocks]);
    blocks + a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn common_ends_are_found_at_any_length() {
        let a = "0123456789".repeat(100);
        for length in [0, 1, 255, 256, 257, 999, 1000] {
            let b = a[..length].to_owned() + "x";
            assert_eq!(common_prefix(a.as_bytes(), b.as_bytes()), length);
            let b = "x".to_owned() + &a[a.len() - length..];
            assert_eq!(common_suffix(a.as_bytes(), b.as_bytes()), length);
        }
    }

    proptest! {
        #[test]
        fn matches_a_bytewise_comparison(same in 0..800_usize, a in "[ab]{0,40}", b in "[ab]{0,40}") {
            let same = vec![b'x'; same];
            let (front_a, front_b) = ([&same, a.as_bytes()].concat(), [&same, b.as_bytes()].concat());
            let counted = front_a.iter().zip(&front_b).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(common_prefix(&front_a, &front_b), counted);
            let (back_a, back_b) = ([a.as_bytes(), &same].concat(), [b.as_bytes(), &same].concat());
            let counted = back_a.iter().rev().zip(back_b.iter().rev()).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(common_suffix(&back_a, &back_b), counted);
        }
    }
}
