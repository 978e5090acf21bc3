//! Reading bodies: bounded, of the expected type.

use crate::error::{Error, ErrorKind, Result};
use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::web::{Bytes, BytesMut, Payload};
use serde_json::Value;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

/// For a whole body; whoever sends slower only holds a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a form (`application/x-www-form-urlencoded`) of at most `limit` bytes.
pub async fn form(request: &HttpRequest, payload: &mut Payload, limit: usize) -> Result<Bytes> {
    if !has_type(request, "application/x-www-form-urlencoded") {
        return Err(Error::new(ErrorKind::UnsupportedMediaType, "the body must be application/x-www-form-urlencoded"));
    }
    read(request, payload, limit).await
}

/// Reads a JSON text of at most `limit` bytes, for a request that [`is_json`], or [`is_like_json`].
pub async fn json(request: &HttpRequest, payload: &mut Payload, limit: usize) -> Result<Value> {
    let body = read(request, payload, limit).await?;
    serde_json::from_slice(&body).map_err(|error| Error::new(ErrorKind::InvalidRequest, "the body is not JSON").because(error))
}

/// Reads a text of at most `limit` bytes, of whatever type it is said to be.
pub async fn text(request: &HttpRequest, payload: &mut Payload, limit: usize) -> Result<String> {
    let body = read(request, payload, limit).await?;
    String::from_utf8(body.into())
        .map_err(|error| Error::new(ErrorKind::InvalidRequest, "the body is not UTF-8").because(error.utf8_error()))
}

pub fn is_json(request: &HttpRequest) -> bool {
    has_type(request, "application/json")
}

/// The same, or a type that is JSON by its suffix (RFC 6839 3.1), as `application/merge-patch+json`.
pub fn is_like_json(request: &HttpRequest) -> bool {
    let of_suffix = |name: &str| name.strip_suffix("+json").is_some_and(|kind| !kind.is_empty());
    let declared = media_type(request).to_ascii_lowercase();
    declared.strip_prefix("application/").is_some_and(|name| name == "json" || of_suffix(name))
}

/// Is there a body, of whatever type? HTTP/1.1 says so by one of two headers (RFC 9112 6.3).
pub fn is_there(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

/// SOAP 1.1 6: envelopes are `text/xml`.
pub fn is_xml(request: &HttpRequest) -> bool {
    has_type(request, "text/xml")
}

fn has_type(request: &HttpRequest, expected: &str) -> bool {
    media_type(request).eq_ignore_ascii_case(expected)
}

/// Without parameters.
fn media_type(request: &HttpRequest) -> &str {
    let declared = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim()
}

async fn read(request: &HttpRequest, payload: &mut Payload, limit: usize) -> Result<Bytes> {
    let too_large = || Error::new(ErrorKind::PayloadTooLarge, format!("the body has more than {limit} bytes"));
    let declared =
        request.headers().get("content-length").and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let slow = |_| Error::new(ErrorKind::InvalidRequest, "the body did not arrive in time");
    tokio::time::timeout(PATIENCE, collect(payload, limit, too_large)).await.map_err(slow)?
}

async fn collect(payload: &mut Payload, limit: usize, too_large: impl Fn() -> Error) -> Result<Bytes> {
    let mut body = BytesMut::new();
    while let Some(chunk) = next_chunk(payload).await {
        let chunk = chunk.map_err(|error| Error::new(ErrorKind::InvalidRequest, "the body cannot be read").because(error.to_string()))?;
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

pub(super) async fn next_chunk(payload: &mut Payload) -> Option<Result<Bytes, actix_web::error::PayloadError>> {
    poll_fn(|context| futures_core::Stream::poll_next(Pin::new(&mut *payload), context)).await
}
