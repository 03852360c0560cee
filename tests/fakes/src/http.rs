//! A parser for single HTTP/1.1 requests.

use bytes::{Buf, Bytes, BytesMut};

use crate::wire::{Gone, Wire};

const HEAD_LIMIT: usize = 64 << 10;
const BODY_LIMIT: usize = 256 << 20;
const HEADERS: usize = 100;

/// A request that has been read completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path with the query.
    pub(crate) path: String,
    /// Header names in lower case, and values.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// Whether the client may send another request on this connection.
    pub(crate) keep_alive: bool,
}

/// Reasons why no request could be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoRequest {
    /// The client closed the connection, in the middle of a request or between two.
    Gone,
    /// The input is not valid HTTP or exceeds a limit.
    Bad(&'static str),
}

struct Head {
    request: Request,
    len: usize,
}

// === impl NoRequest ===

impl From<Gone> for NoRequest {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

// === impl Request ===

impl Request {
    /// Reads the next request of the connection.
    pub(crate) async fn read(wire: &mut Wire) -> Result<Self, NoRequest> {
        let Head { mut request, len } = loop {
            if let Some(head) = Head::parse(&wire.input)? {
                break head;
            }
            if wire.input.len() > HEAD_LIMIT {
                return Err(NoRequest::Bad("the head is too long"));
            }
            if wire.fill().await? == 0 {
                return Err(NoRequest::Gone);
            }
        };
        wire.input.advance(len);
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        request.body = match (request.header("transfer-encoding"), request.header("content-length")) {
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => read_chunked(wire).await?,
            (None, Some(len)) => {
                let len = len.parse().map_err(|_| NoRequest::Bad("content-length is not a number"))?;
                take(wire, len).await?
            }
            (None, None) => Bytes::new(),
            _ => return Err(NoRequest::Bad("the length of the body is ambiguous")),
        };
        Ok(request)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

// === impl Head ===

impl Head {
    fn parse(input: &[u8]) -> Result<Option<Self>, NoRequest> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let len = match parsed.parse(input) {
            Ok(httparse::Status::Complete(len)) => len,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(NoRequest::Bad("the head is not HTTP")),
        };
        let headers: Vec<(String, String)> = parsed
            .headers
            .iter()
            .map(|h| (h.name.to_ascii_lowercase(), String::from_utf8_lossy(h.value).into_owned()))
            .collect();
        let connection = headers.iter().find(|(name, _)| name == "connection").map(|(_, value)| value.as_str());
        let keep_alive = match parsed.version {
            Some(1) => connection.is_none_or(|value| !value.eq_ignore_ascii_case("close")),
            _ => false,
        };
        let (method, target) = (parsed.method.unwrap_or_default().to_owned(), parsed.path.unwrap_or_default());
        // A proxy gets the absolute form.
        let path = match target.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
            None => target.to_owned(),
        };
        Ok(Some(Self { request: Request { method, path, headers, body: Bytes::new(), keep_alive }, len }))
    }
}

/// Reads the next `len` bytes of the connection.
async fn take(wire: &mut Wire, len: usize) -> Result<Bytes, NoRequest> {
    if len > BODY_LIMIT {
        return Err(NoRequest::Bad("the body is too long"));
    }
    wire.input.reserve(len.saturating_sub(wire.input.len()));
    while wire.input.len() < len {
        if wire.fill().await? == 0 {
            return Err(NoRequest::Gone);
        }
    }
    Ok(wire.input.split_to(len).freeze())
}

async fn read_chunked(wire: &mut Wire) -> Result<Bytes, NoRequest> {
    let mut body = BytesMut::new();
    loop {
        let (line, size) = loop {
            match httparse::parse_chunk_size(&wire.input) {
                Ok(httparse::Status::Complete(found)) => break found,
                Ok(httparse::Status::Partial) if wire.input.len() > HEAD_LIMIT => {
                    return Err(NoRequest::Bad("a chunk extension is too long"));
                }
                Ok(httparse::Status::Partial) => {
                    if wire.fill().await? == 0 {
                        return Err(NoRequest::Gone);
                    }
                }
                Err(_) => return Err(NoRequest::Bad("a chunk size is not a number")),
            }
        };
        wire.input.advance(line);
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > BODY_LIMIT.saturating_sub(body.len()) {
            return Err(NoRequest::Bad("the body is too long"));
        }
        // Trailer sections are not supported: clients send none to a provider, and one would be rejected here.
        let chunk = take(wire, size + 2).await?;
        if !chunk.ends_with(b"\r\n") {
            return Err(NoRequest::Bad("a chunk does not end at its declared length"));
        }
        if size == 0 {
            return Ok(body.freeze());
        }
        body.extend_from_slice(&chunk[..size]);
    }
}
