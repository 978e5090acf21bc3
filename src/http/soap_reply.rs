//! Answers in SOAP, whichever service gives them.

use super::reply;
use crate::error::{Error, ErrorKind};
use crate::saml::soap::{self, FaultCode};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse};

/// An envelope.
pub fn envelope(status: StatusCode, envelope: String) -> HttpResponse {
    // SAML Bindings 3.2.3.2: nobody on the way keeps it.
    let headers = ((CONTENT_TYPE, soap::CONTENT_TYPE), (CACHE_CONTROL, "no-cache, no-store"));
    HttpResponse::build(status).insert_header(headers.0).insert_header(headers.1).body(envelope)
}

/// A fault for a request that could not be dealt with.
pub fn failed(request: &HttpRequest, error: &Error) -> HttpResponse {
    reply::log_error(request, error);
    let (code, status) = match error.kind {
        ErrorKind::StoreUnavailable => (FaultCode::Server, StatusCode::SERVICE_UNAVAILABLE),
        ErrorKind::TooManyRequests => (FaultCode::Server, StatusCode::TOO_MANY_REQUESTS),
        ErrorKind::PayloadTooLarge => (FaultCode::Client, StatusCode::PAYLOAD_TOO_LARGE),
        ErrorKind::InvalidRequest => (FaultCode::Client, StatusCode::INTERNAL_SERVER_ERROR),
        _ => (FaultCode::Server, StatusCode::INTERNAL_SERVER_ERROR),
    };
    envelope(status, soap::fault(code, error.kind.wire().title))
}
