//! Opens a tunnel through a proxy with `CONNECT` (RFC 9110, section 9.3.6).

use std::fmt::Write as _;
use std::io;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::Proxy;
use crate::error::ProxyError;
use crate::target::Origin;

/// Maximum bytes of the head of the proxy's response.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Maximum number of informational responses (1xx) before the answer; regular proxies send none or one.
const MAX_INFORMATIONAL: usize = 8;

/// Maximum number of headers of the proxy's response.
const MAX_HEADERS: usize = 64;

/// Asks the proxy at the other end of `stream` to connect to `origin`. Afterwards, the stream leads to the origin.
pub(crate) async fn connect<S>(stream: &mut S, proxy: &Proxy, origin: &Origin) -> Result<(), ProxyError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let authority = origin.host.with_port(origin.port);
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n");
    if let Some(value) = proxy.authorization().and_then(|value| value.to_str().ok()) {
        let _ = write!(request, "proxy-authorization: {value}\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(ProxyError::Lost)?;
    stream.flush().await.map_err(ProxyError::Lost)?;

    let mut head = Vec::with_capacity(512);
    let mut informational = 0;
    loop {
        match parse(&head)? {
            // These precede the answer. 101 would be an answer, to an upgrade that was not requested.
            Some((status, end)) if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS => {
                informational += 1;
                if informational > MAX_INFORMATIONAL {
                    return Err(ProxyError::NoFinalResponse);
                }
                head.drain(..end);
            }
            Some((status, end)) => {
                judge(status)?;
                // The target speaks only after the client, so further bytes do not come from it.
                return if end == head.len() { Ok(()) } else { Err(ProxyError::NotHttp) };
            }
            None if head.len() > MAX_HEAD_BYTES => return Err(ProxyError::NotHttp),
            None => {
                if stream.read_buf(&mut head).await.map_err(ProxyError::Lost)? == 0 {
                    return Err(ProxyError::Lost(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
    }
}

/// Parses the head of a response into its status and its length; `None` if it is not complete.
fn parse(head: &[u8]) -> Result<Option<(StatusCode, usize)>, ProxyError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head).map_err(|_| ProxyError::NotHttp)? {
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(end) => {
            let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
            Ok(Some((status.ok_or(ProxyError::NotHttp)?, end)))
        }
    }
}

fn judge(status: StatusCode) -> Result<(), ProxyError> {
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(ProxyError::Credentials),
        status => Err(ProxyError::Refused(status)),
    }
}
