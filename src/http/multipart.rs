//! `multipart/form-data` (RFC 7578), read part by part while it arrives, in bounded memory.

use super::body::next_chunk;
use crate::error::{Error, ErrorKind, Result};
use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, BytesMut, Payload};
use std::time::Duration;

/// For the next bytes of a body.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of the headers of a part.
const HEAD: usize = 8 * 1024;

/// Parts of one body.
const MOST_PARTS: usize = 50;

/// A body that arrives.
pub struct Multipart {
    payload: Payload,
    buffer: BytesMut,
    /// A line end, two hyphens and the boundary.
    delimiter: Vec<u8>,
    /// Bytes of the whole body that may still come.
    left: u64,
    parts: usize,
}

impl Multipart {
    /// A body of at most `limit` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::UnsupportedMediaType`] for one that is something else.
    pub fn new(request: &HttpRequest, payload: Payload, limit: u64) -> Result<Self> {
        let declared = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let boundary =
            boundary(declared).ok_or_else(|| Error::new(ErrorKind::UnsupportedMediaType, "the body must be multipart/form-data"))?;
        // The first delimiter may stand at the very beginning.
        let buffer = BytesMut::from(&b"\r\n"[..]);
        Ok(Self { payload, buffer, delimiter: format!("\r\n--{boundary}").into_bytes(), left: limit, parts: 0 })
    }

    /// The name of the next part; what was not read of the one before is left out. `None`: there are no more.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for a body that breaks the rules or off.
    pub async fn next_part(&mut self) -> Result<Option<String>> {
        while self.next_bytes().await?.is_some() {}
        // The delimiter is at the beginning of the buffer.
        let _ = self.buffer.split_to(self.delimiter.len().min(self.buffer.len()));
        while self.buffer.len() < 2 {
            self.fill().await?;
        }
        if self.buffer.starts_with(b"--") {
            return Ok(None);
        }
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return Err(wrong("has too many parts"));
        }
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.buffer.len() > HEAD {
                return Err(wrong("has a part with too many headers"));
            }
            self.fill().await?;
        };
        let head = self.buffer.split_to(end);
        let head = std::str::from_utf8(&head).map_err(|_| wrong("has a part whose headers are not text"))?;
        name_of(head).map(Some).ok_or_else(|| wrong("has a part without a name"))
    }

    /// More of the part; `None` at its end.
    ///
    /// # Errors
    /// Those of [`Self::next_part`].
    pub async fn next_bytes(&mut self) -> Result<Option<Bytes>> {
        loop {
            match find(&self.buffer, &self.delimiter) {
                Some(0) => return Ok(None),
                Some(at) => return Ok(Some(self.buffer.split_to(at).freeze())),
                None => {}
            }
            // The end may be the beginning of a delimiter.
            let whole = self.buffer.len().saturating_sub(self.delimiter.len() - 1);
            if whole > 0 {
                return Ok(Some(self.buffer.split_to(whole).freeze()));
            }
            self.fill().await?;
        }
    }

    /// A part that is a short text.
    ///
    /// # Errors
    /// Those of [`Self::next_part`]; and for more than `limit` bytes.
    pub async fn text(&mut self, limit: usize) -> Result<String> {
        let mut text = Vec::new();
        while let Some(bytes) = self.next_bytes().await? {
            if text.len() + bytes.len() > limit {
                return Err(wrong("has a field that is too long"));
            }
            text.extend_from_slice(&bytes);
        }
        String::from_utf8(text).map_err(|_| wrong("has a field that is not text"))
    }

    async fn fill(&mut self) -> Result<()> {
        let slow = |_| Error::new(ErrorKind::InvalidRequest, "the body did not arrive in time");
        let chunk = tokio::time::timeout(PATIENCE, next_chunk(&mut self.payload)).await.map_err(slow)?;
        let chunk = chunk.ok_or_else(|| wrong("ends too early"))?.map_err(|error| wrong("cannot be read").because(error.to_string()))?;
        self.left = u64::try_from(chunk.len())
            .ok()
            .and_then(|length| self.left.checked_sub(length))
            .ok_or_else(|| Error::new(ErrorKind::PayloadTooLarge, "the body is too large"))?;
        self.buffer.extend_from_slice(&chunk);
        Ok(())
    }
}

fn wrong(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("the multipart body {problem}"))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|byte| *byte == first)?;
        if bytes.get(at..)?.starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

fn boundary(content_type: &str) -> Option<String> {
    let mut parts = content_type.split(';');
    if !parts.next()?.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parts.find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_owned())
    })?;
    // RFC 2046 5.1.1
    ((1..=70).contains(&boundary.len()) && boundary.bytes().all(|byte| (0x20..=0x7e).contains(&byte))).then_some(boundary)
}

fn name_of(head: &str) -> Option<String> {
    let line = head.split("\r\n").find(|line| line.get(..20).is_some_and(|name| name.eq_ignore_ascii_case("content-disposition:")))?;
    line.split(';').skip(1).find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        name.eq_ignore_ascii_case("name").then(|| value.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::FromRequest as _;
    use actix_web::test::TestRequest;

    async fn read(content_type: &str, body: &[u8], limit: u64) -> Result<Vec<(String, Vec<u8>)>> {
        let request = TestRequest::default().insert_header((CONTENT_TYPE, content_type)).set_payload(body.to_vec());
        let (request, mut payload) = request.to_http_parts();
        let payload = Payload::from_request(&request, &mut payload).await.expect("a payload");
        let mut multipart = Multipart::new(&request, payload, limit)?;
        let mut parts = Vec::new();
        while let Some(name) = multipart.next_part().await? {
            let mut content = Vec::new();
            while let Some(bytes) = multipart.next_bytes().await? {
                content.extend_from_slice(&bytes);
            }
            parts.push((name, content));
        }
        Ok(parts)
    }

    const TYPE: &str = "multipart/form-data; boundary=\"x-y\"";

    #[actix_web::test]
    async fn parts_are_read_whatever_is_in_them() {
        let body =
            b"--x-y\r\nContent-Disposition: form-data; name=\"users\"; filename=\"a.json\"\r\nContent-Type: application/json\r\n\r\n\
            a\r\n--x-\r\n\0b\r\n--x-y\r\ncontent-disposition: form-data; name=upsert\r\n\r\ntrue\r\n--x-y\r\n\
            Content-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--x-y--\r\n";
        let parts = read(TYPE, body, 10_000).await.expect("read");
        let expected = [("users", &b"a\r\n--x-\r\n\0b"[..]), ("upsert", b"true"), ("empty", b"")];
        assert_eq!(parts, expected.map(|(name, content)| (name.to_owned(), content.to_vec())));
    }

    #[actix_web::test]
    async fn what_breaks_the_rules_is_refused() {
        let good = b"--x-y\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x-y--";
        assert_eq!(read(TYPE, good, 10_000).await.expect("read").len(), 1);
        assert_eq!(read(TYPE, good, 20).await.expect_err("too large").kind, ErrorKind::PayloadTooLarge);
        for end in 0..good.len() {
            assert_eq!(read(TYPE, &good[..end], 10_000).await.expect_err("torn").kind, ErrorKind::InvalidRequest, "{end}");
        }
        for content_type in ["application/json", "multipart/form-data", "multipart/form-data; boundary="] {
            assert_eq!(read(content_type, good, 10_000).await.expect_err(content_type).kind, ErrorKind::UnsupportedMediaType);
        }
        let nameless = b"--x-y\r\nContent-Type: text/plain\r\n\r\nb\r\n--x-y--";
        assert!(read(TYPE, nameless, 10_000).await.is_err());
        let endless = [b"--x-y\r\n".to_vec(), vec![b'a'; HEAD + 100]].concat();
        assert!(read(TYPE, &endless, 100_000).await.is_err());
    }
}
