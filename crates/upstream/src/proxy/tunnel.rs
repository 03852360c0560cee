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
    loop {
        if stream.read_buf(&mut head).await.map_err(ProxyError::Lost)? == 0 {
            return Err(ProxyError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(&head).map_err(|_| ProxyError::NotHttp)?;
        let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
        match (parsed, status) {
            (httparse::Status::Complete(end), Some(status)) => match judge(status) {
                // The target speaks only after the client, so further bytes do not come from it.
                Ok(()) if end != head.len() => return Err(ProxyError::NotHttp),
                judged => return judged,
            },
            (httparse::Status::Complete(_), None) => return Err(ProxyError::NotHttp),
            (httparse::Status::Partial, _) if head.len() > MAX_HEAD_BYTES => return Err(ProxyError::NotHttp),
            (httparse::Status::Partial, _) => {}
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
