//! Errors of TLS that rustls passes on from webpki, and advice for users.

use std::io;

use rustls::CertificateError;

/// Returns the error of webpki for which rustls has no variant of its own.
pub(crate) fn webpki_error(error: &rustls::Error) -> Option<&webpki::Error> {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else { return None };
    other.0.downcast_ref()
}

/// Returns what to do about a failed handshake, as the end of an error message; empty if that is not known.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|error| error.downcast_ref()) else { return "" };
    match (error, webpki_error(error)) {
        // The signature is wrong if an authority of the same name, but with another key, is trusted.
        (rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature), _)
        | (_, Some(webpki::Error::CaUsedAsEndEntity)) => "; set `caFile` to the PEM file of its authority",
        (_, Some(webpki::Error::UnsupportedCertVersion)) => "; its certificate must have X.509 version 3",
        _ => "",
    }
}
