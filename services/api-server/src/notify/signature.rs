//! Message signatures: prove the sender of a message, and reveal replayed ones.

use ring::hmac;

/// Returns the header `X-Signalbox-Signature`: `t=<seconds since 1970>,v1=<HMAC-SHA256 in hex>`, computed over the
/// time, a full stop and the body.
#[must_use]
pub fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    format!("t={seconds},v1={}", hex::encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected value: `printf '17.{}' | openssl dgst -sha256 -hmac secret`
    #[test]
    fn the_signature_matches_other_implementations() {
        let expected = "t=17,v1=8af83b0673ef7fdabfca93bc1f9c0893a4de95938051a9959b16f9e2a9e16802";
        assert_eq!(sign("secret", 17, b"{}"), expected);
        assert_ne!(sign("secret", 18, b"{}"), expected.replace("17", "18"), "the time is part of the signature");
    }
}
