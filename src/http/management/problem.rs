//! Errors of the management API: `application/problem+json` (RFC 9457), with the members that Auth0's SDKs read.

use super::shape::{Kind, Shape, may, must};
use crate::broker::admin::objects::NotWritten;
use crate::broker::live::Fault;
use crate::error::{Error, ErrorKind};
use crate::http::headers::Correlation;
use crate::http::reply;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value, json};

/// Its body, for the OpenAPI document.
pub const PROBLEM: Shape = Shape {
    name: "Problem",
    members: &[
        must("type", Kind::Text(1, 200), "Which problem, as a URN"),
        must("title", Kind::Text(1, 200), "For people"),
        must("status", Kind::Integer(400, 599), "The HTTP status"),
        must("detail", Kind::Text(0, 4000), "What is wrong this time"),
        must("code", Kind::Text(9, 9), "Stable diagnostic code, such as ISTH-1001"),
        must("correlation_id", Kind::Text(1, 64), "Under which the log knows this call"),
        may("faults", Kind::List(&Kind::Record(&FAULT), 50), "Everything that is wrong with the request"),
        must("statusCode", Kind::Integer(400, 599), "The HTTP status"),
        must("error", Kind::Text(1, 100), "The status in words"),
        must("message", Kind::Text(0, 4000), "The detail"),
        must("errorCode", Kind::Text(1, 100), "For programs, as Auth0 names it"),
    ],
    open: true,
    example: r#"{"type": "urn:isthmus:problem:not-found", "title": "There is nothing here", "status": 404, "detail": "The user does not exist.", "code": "ISTH-6001", "correlation_id": "0123456789abcdef", "statusCode": 404, "error": "Not Found", "message": "The user does not exist.", "errorCode": "inexistent_user"}"#,
};

const FAULT: Shape = Shape {
    name: "Fault",
    members: &[
        must("pointer", Kind::Text(0, 2000), "Where: a JSON pointer into the body or the query (RFC 6901)"),
        must("message", Kind::Text(0, 2000), "What is wrong"),
        must("help", Kind::Text(0, 2000), "What to do about it"),
    ],
    open: false,
    example: r#"{"pointer": "/options/signingCert", "message": "is no certificate", "help": "write it in PEM"}"#,
};

/// A refused call.
#[derive(Debug)]
pub struct Refusal {
    pub error: Error,
    /// The HTTP status, where it is not that of the error's kind.
    pub status: Option<u16>,
    /// Auth0's `errorCode`, where there is one for this.
    pub code: Option<&'static str>,
    pub faults: Vec<Fault>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, status: None, code: None, faults: Vec::new() }
    }
}

impl From<Vec<Fault>> for Refusal {
    fn from(faults: Vec<Fault>) -> Self {
        let told: Vec<String> = faults.iter().take(5).map(|fault| format!("{} {}", name_of(&fault.pointer), fault.message)).collect();
        let error = Error::new(ErrorKind::InvalidRequest, told.join("; "));
        Self { error, status: None, code: Some("invalid_body"), faults }
    }
}

impl From<NotWritten> for Refusal {
    fn from(refused: NotWritten) -> Self {
        match refused {
            NotWritten::Faults(faults) => faults.into(),
            NotWritten::Error(error) => error.into(),
        }
    }
}

impl Refusal {
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Error::new(kind, detail).into()
    }

    #[must_use]
    pub const fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

/// The one rendering of refused calls.
pub fn render(request: &HttpRequest, refusal: &Refusal) -> HttpResponse {
    let wire = refusal.error.kind.wire();
    let status = refusal.status.unwrap_or_else(|| status_of(refusal.error.kind));
    reply::log_error(request, &refusal.error);
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error");
    let detail = cut(if refusal.error.detail.is_empty() { wire.title } else { &refusal.error.detail });
    let mut body = Map::new();
    body.insert("type".to_owned(), format!("urn:isthmus:problem:{}", wire.problem).into());
    body.insert("title".to_owned(), wire.title.into());
    body.insert("status".to_owned(), status.into());
    body.insert("detail".to_owned(), detail.into());
    body.insert("code".to_owned(), wire.code.into());
    body.insert("correlation_id".to_owned(), Correlation::of(request).get().into());
    if !refusal.faults.is_empty() {
        let told = |fault: &Fault| json!({ "pointer": cut(&fault.pointer), "message": cut(&fault.message), "help": cut(&fault.help) });
        let faults = refusal.faults.iter().take(MOST_FAULTS).map(told);
        body.insert("faults".to_owned(), faults.collect());
    }
    // What Auth0's SDKs read.
    body.insert("statusCode".to_owned(), status.into());
    body.insert("error".to_owned(), reason.into());
    body.insert("message".to_owned(), detail.into());
    body.insert("errorCode".to_owned(), refusal.code.unwrap_or(wire.problem).into());
    let mut builder = reply::status(status);
    reply::retry_after(&mut builder, status, None);
    let mut response = builder.insert_header((CONTENT_TYPE, "application/problem+json")).body(Value::Object(body).to_string());
    use ErrorKind::{InsufficientScope, InvalidDpopProof, InvalidToken, UseDpopNonce};
    if matches!(refusal.error.kind, InvalidToken | InsufficientScope | InvalidDpopProof | UseDpopNonce) {
        let dpop = matches!(refusal.error.kind, InvalidDpopProof | UseDpopNonce);
        let challenge = format!("{} realm=\"management\", error=\"{}\"", if dpop { "DPoP" } else { "Bearer" }, wire.oauth);
        if let Ok(value) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
    }
    response
}

/// A kind that means one thing to an OAuth client and another to a REST client.
const fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::ProtectedAttribute | ErrorKind::InvalidUserData => 400,
        _ => kind.wire().status,
    }
}

/// What is wrong may be as long as the request itself; its beginning tells enough.
fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(MOST_CHARACTERS).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default()
}

/// Of one text in an answer.
const MOST_CHARACTERS: usize = 2000;
/// Faults that one answer tells.
const MOST_FAULTS: usize = 50;

/// `/a/b` as people write it.
fn name_of(pointer: &str) -> String {
    match pointer.strip_prefix('/') {
        None => "the body".to_owned(),
        Some(path) => path.replace('/', ".").replace("~1", "/").replace("~0", "~"),
    }
}
