//! The management API, `/api/v2`.
//!
//! [`OPERATIONS`] lists every operation; the routes and the OpenAPI document are both made from it. [`run`] is the one way
//! in: token, scope, parameters and body are checked there, so that no operation can forget it. An operation gets a
//! [`Call`] and answers a [`Reply`].

/// A row of the table of operations; its work is an async function.
macro_rules! operation {
    ($tag:expr, $method:ident $path:literal $id:literal $summary:literal, $scopes:expr, $query:expr, $body:expr, $answer:expr, $refusals:expr, $work:path $(,)?) => {
        $crate::http::management::Operation {
            method: actix_web::http::Method::$method,
            path: $path,
            id: $id,
            tag: $tag,
            summary: $summary,
            scopes: $scopes,
            query: $query,
            body: $body,
            answer: $answer,
            refusals: $refusals,
            work: |call| Box::pin($work(call)),
        }
    };
}

pub mod actions;
pub mod attack_protection;
pub mod call;
pub mod client_grants;
pub mod clients;
pub mod connections;
pub mod explorer;
pub mod jobs;
pub mod keys;
pub mod logs;
pub mod openapi;
pub mod problem;
pub mod rate;
pub mod resource_servers;
pub mod rules;
pub mod sessions;
pub mod shape;
pub mod stats;
mod stored;
pub mod tenants;
pub mod tickets;
pub mod users;

use super::headers::Correlation;
use super::possession;
use super::state::State;
use super::{body, reply};
use crate::broker::api_access::ApiAccess;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::oidc::{Params, bearer};
use crate::store::{LogEvent, LogType};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ACCESS_CONTROL_MAX_AGE, ALLOW, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue,
};
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use call::{Call, Reply};
use problem::Refusal;
use rate::Verdict;
use serde_json::{Map, Value, json};
use shape::{Kind, Member, Shape, fault, pointer};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// An operation's work.
pub type Work = fn(Call) -> Pin<Box<dyn Future<Output = Result<Reply, Refusal>>>>;

/// One operation: how it is called, who may, and what does it.
pub struct Operation {
    pub method: Method,
    /// Below `/api/v2`, with `{names}`.
    pub path: &'static str,
    /// In the OpenAPI document.
    pub id: &'static str,
    pub tag: &'static str,
    pub summary: &'static str,
    /// Any one of these lets the caller in.
    pub scopes: &'static [&'static str],
    pub query: &'static [&'static [Member]],
    pub body: Body,
    /// Status and shape of the good answer.
    pub answer: (u16, Answer),
    /// Statuses of refusals beyond those that every operation has (400, 401, 403, 429, 503), and that every body brings (413,
    /// 415).
    pub refusals: &'static [u16],
    pub work: Work,
}

/// What an operation reads.
pub enum Body {
    Nothing,
    Json(&'static Shape),
    /// A JSON object or nothing.
    OptionalJson(&'static Shape),
    /// `multipart/form-data`, read by the operation itself.
    Multipart(&'static Shape),
}

/// What an operation answers.
pub enum Answer {
    Nothing,
    One(&'static Shape),
    List(&'static Shape),
    /// A list, or with `include_totals` an object with it under this name.
    Page(&'static Shape, &'static str),
    /// Anything that JSON can say.
    Any,
}

/// `page`, `per_page`, `include_totals`.
pub const PAGES: &[Member] = &[
    shape::may("page", Kind::Integer(0, 1_000_000), "Number of the page, from 0"),
    shape::may("per_page", Kind::Integer(1, 100), "Items of a page; 50 if it is not said"),
    shape::may("include_totals", Kind::Boolean, "Answer an object with the list and the total"),
];

/// `from`, `take`.
pub const CHECKPOINT: &[Member] = &[
    shape::may("from", Kind::Text(0, 1000), "Go on after this, from the `next` of the answer before"),
    shape::may("take", Kind::Integer(1, 100), "Items of an answer; 50 if it is not said"),
];

/// `fields`, `include_fields`.
pub const FIELDS: &[Member] = &[
    shape::may("fields", Kind::Text(0, 1000), "Members to include or leave out, with commas"),
    shape::may("include_fields", Kind::Boolean, "false: the members of `fields` are left out"),
];

/// Every list of operations there is.
pub const OPERATIONS: &[&[Operation]] = &[
    users::OPERATIONS,
    sessions::OPERATIONS,
    logs::OPERATIONS,
    jobs::OPERATIONS,
    tickets::OPERATIONS,
    stats::OPERATIONS,
    connections::OPERATIONS,
    clients::OPERATIONS,
    client_grants::OPERATIONS,
    resource_servers::OPERATIONS,
    rules::OPERATIONS,
    actions::OPERATIONS,
    attack_protection::BRUTE_FORCE,
    attack_protection::THROTTLING,
    attack_protection::BREACHED,
    keys::OPERATIONS,
    tenants::OPERATIONS,
];

/// Below the issuer, without a slash at the end.
const BASE: &str = "/api/v2";

/// Bytes of a JSON body at most: an application's metadata or a rule fits.
const BODY_LIMIT: usize = 1024 * 1024;

/// Bytes of a query at most.
const QUERY_LIMIT: usize = 16 * 1024;

/// Every operation.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().copied().flatten()
}

/// Routes of all operations, of the OpenAPI document and of the page to try calls.
pub fn routes(config: &mut ServiceConfig) {
    let mut paths: BTreeMap<&'static str, Vec<&'static Operation>> = BTreeMap::new();
    for operation in operations() {
        paths.entry(operation.path).or_default().push(operation);
    }
    // Fixed segments before parameters: the first that matches is taken.
    let mut paths: Vec<_> = paths.into_iter().collect();
    paths.sort_by_key(|(path, _)| path.replace('{', "\u{10ffff}"));
    for (path, operations) in paths {
        let methods: Vec<&str> = operations.iter().map(|operation| operation.method.as_str()).collect();
        let allow = format!("{}, OPTIONS", methods.join(", "));
        let mut resource = web::resource(format!("{BASE}{path}"));
        for operation in operations {
            let work = move |request: HttpRequest, payload: Payload, state: Data<State>| answer(operation, request, payload, state);
            resource = resource.route(web::route().method(operation.method.clone()).to(work));
        }
        let methods = allow.clone();
        resource = resource.route(web::route().method(Method::OPTIONS).to(move || preflight(methods.clone())));
        config.service(resource.default_service(web::to(move |request: HttpRequest| not_allowed(request, allow.clone()))));
    }
    config
        .route(jobs::DOWNLOAD, web::get().to(jobs::download))
        .route("/api/v2/openapi.json", web::get().to(openapi::document))
        .route("/api/v2/", web::get().to(explorer::page))
        .route("/assets/api.js", web::get().to(explorer::script));
}

async fn not_allowed(request: HttpRequest, allow: String) -> HttpResponse {
    let refusal = Refusal::new(ErrorKind::MethodNotAllowed, format!("this address takes {allow}"));
    let mut response = problem::render(&request, &refusal);
    if let Ok(value) = HeaderValue::from_str(&allow) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

async fn preflight(methods: String) -> HttpResponse {
    let mut response = HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, methods))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, if-match, auth0-client, dpop"))
        .insert_header((ACCESS_CONTROL_MAX_AGE, "600"))
        .finish();
    readable_by_scripts(&mut response);
    response
}

/// The API lives by tokens, never by cookies, so any origin may read its answers.
fn readable_by_scripts(response: &mut HttpResponse) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    let exposed =
        "x-correlation-id, etag, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, retry-after, dpop-nonce, www-authenticate";
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
}

async fn answer(operation: &'static Operation, request: HttpRequest, payload: Payload, state: Data<State>) -> HttpResponse {
    let mut seen = Seen::default();
    let result = Box::pin(run(operation, request.clone(), payload, state.clone(), &mut seen)).await;
    record(operation, &request, &state, &seen, result.as_ref());
    let mut response = match result {
        Ok(Reply::Json { status, body, version }) => {
            let mut builder = reply::status(status);
            if let Some(version) = version {
                builder.insert_header((ETAG, format!("\"{version}\"")));
            }
            builder.insert_header((CONTENT_TYPE, "application/json")).body(body.to_string())
        }
        Ok(Reply::Empty(status)) => reply::status(status).finish(),
        Ok(Reply::Raw(response)) => response,
        Err(refusal) => problem::render(&request, &refusal),
    };
    if let Some(verdict) = seen.verdict {
        verdict.write(response.headers_mut(), Timestamp::now().seconds());
    }
    readable_by_scripts(&mut response);
    // Whoever sends proofs gets the nonce for the next one.
    if request.headers().contains_key("dpop") { possession::with_nonce(response, &state, Timestamp::now()) } else { response }
}

/// What became known of a call on its way in.
#[derive(Default)]
struct Seen {
    access: Option<ApiAccess>,
    verdict: Option<Verdict>,
}

/// Notes what changed something, or was to. A call without a valid token is nobody's.
fn record(operation: &Operation, request: &HttpRequest, state: &State, seen: &Seen, result: Result<&Reply, &Refusal>) {
    let Some(access) = seen.access.as_ref().filter(|_| operation.method != Method::GET) else { return };
    let kind = if result.is_ok() { LogType::ApiOperation } else { LogType::FailedApiOperation };
    let gateway = state.gateway();
    let path = request.path();
    let mut details = json!({
        "operation": operation.id, "method": operation.method.as_str(), "path": path, "correlation_id": Correlation::of(request).get(),
    });
    if let (Some(members), Err(refusal)) = (details.as_object_mut(), result) {
        members.insert("error".to_owned(), refusal.error.detail.as_str().into());
        members.insert("diagnostic".to_owned(), refusal.error.kind.wire().code.into());
    }
    gateway.log.record(LogEvent {
        description: Some(operation.summary.to_owned()),
        client_id: Some(access.client_id.clone()),
        client_name: gateway.application(&access.client_id).map(|application| application.name.clone()),
        user_id: access.user_id.clone(),
        audience: Some(gateway.management_audience()),
        details: Some(details),
        ..LogEvent::new(kind, Timestamp::now())
    });
}

/// The one way in.
async fn run(
    operation: &'static Operation,
    request: HttpRequest,
    mut payload: Payload,
    state: Data<State>,
    seen: &mut Seen,
) -> Result<Reply, Refusal> {
    let now = Timestamp::now();
    let gateway = state.gateway();
    let access = authenticate(&request, &state, &gateway, now).await?;
    // A person who calls too often is in nobody else's way.
    let who = access.user_id.as_ref().map_or_else(|| access.client_id.clone(), |user_id| format!("{} {user_id}", access.client_id));
    let verdict = state.rates.take(&who, Instant::now());
    (seen.access, seen.verdict) = (Some(access.clone()), Some(verdict));
    verdict.check()?;
    if !operation.scopes.iter().any(|scope| access.scopes.contains(scope)) {
        let message = format!("Insufficient scope, expected any of: {}", operation.scopes.join(", "));
        return Err(Refusal::new(ErrorKind::InsufficientScope, message).with_status(403).with_code("insufficient_scope"));
    }
    let query = query(operation, request.query_string())?;
    let (body, payload) = match operation.body {
        Body::Nothing => (Value::Null, None),
        Body::Json(shape) => (json_body(&request, &mut payload, shape).await?, None),
        Body::OptionalJson(shape) => match body::is_there(&request) || request.headers().contains_key(CONTENT_TYPE) {
            true => (json_body(&request, &mut payload, shape).await?, None),
            false => (Value::Object(Map::new()), None),
        },
        Body::Multipart(_) => (Value::Null, Some(payload)),
    };
    let path = request.match_info().iter().map(|(name, value)| (name.to_owned(), decoded(value))).collect();
    let correlation_id = Correlation::of(&request).get();
    (operation.work)(Call { request, state, gateway, access, path, query, body, payload, correlation_id, now }).await
}

async fn authenticate(
    request: &HttpRequest,
    state: &State,
    gateway: &crate::broker::Gateway,
    now: Timestamp,
) -> Result<ApiAccess, Refusal> {
    let query = Params::parse_noting_repeats(request.query_string().as_bytes()).map_err(Refusal::from)?;
    let authorization = match request.headers().get(AUTHORIZATION) {
        None => None,
        Some(value) => Some(value.to_str().map_err(|_| Error::new(ErrorKind::InvalidRequest, "the Authorization header is not text"))?),
    };
    let token = bearer::access_token(authorization, &query, None).map_err(|error| Refusal::from(error).with_code("invalid_token"))?;
    let missing = || Refusal::new(ErrorKind::InvalidToken, "Missing authentication: a bearer token is needed").with_code("missing_token");
    let token = token.ok_or_else(missing)?;
    let shown = possession::shown(request, state)?;
    let refuse = |error: Error| {
        let status = bearer::status(&error);
        Refusal::from(error).with_code("invalid_token").with_status(status)
    };
    gateway.api_access(&token, &shown, now).await.map_err(refuse)
}

/// Query parameters by the operation's list, typed; unknown and repeated ones are refused.
fn query(operation: &Operation, text: &str) -> Result<Map<String, Value>, Refusal> {
    if text.len() > QUERY_LIMIT {
        return Err(Refusal::new(ErrorKind::InvalidRequest, format!("the query has more than {QUERY_LIMIT} bytes")).with_status(414));
    }
    let mut values = Map::new();
    let mut faults = Vec::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let member = operation.query.iter().copied().flatten().find(|member| member.name == name);
        match member {
            None => faults.push(fault(&pointer("", &name), "is not a parameter of this operation")),
            Some(_) if values.contains_key(name.as_ref()) => faults.push(fault(&pointer("", &name), "is there more than once")),
            Some(member) => drop(values.insert(name.into_owned(), typed(&member.kind, &value))),
        }
    }
    for member in operation.query.iter().copied().flatten() {
        let shape = Shape { name: "", members: std::slice::from_ref(member), open: true, example: "" };
        faults.extend(shape.check(&Value::Object(values.clone())));
    }
    match faults.is_empty() {
        true => Ok(values),
        false => Err(Refusal::from(faults).with_code("invalid_query_string")),
    }
}

/// A parameter's text as its kind wants it; what does not fit stays a text, and is refused as such.
fn typed(kind: &Kind, text: &str) -> Value {
    match kind {
        Kind::Boolean => text.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
        Kind::Integer(..) => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
        _ => Value::from(text),
    }
}

async fn json_body(request: &HttpRequest, payload: &mut Payload, shape: &Shape) -> Result<Value, Refusal> {
    // One without a type is none of it: what a browser sends for somebody else's page without asking is never taken.
    if !body::is_like_json(request) {
        return Err(Refusal::new(ErrorKind::UnsupportedMediaType, "the body must be application/json"));
    }
    let value = body::json(request, payload, BODY_LIMIT).await.map_err(|error| Refusal::from(error).with_code("invalid_body"))?;
    let faults = shape.check(&value);
    if faults.is_empty() { Ok(value) } else { Err(faults.into()) }
}

/// A parameter of a path: the router leaves some characters encoded.
fn decoded(value: &str) -> String {
    match Params::parse_noting_repeats(format!("v={}", value.replace('+', "%2B").replace('&', "%26")).as_bytes()) {
        Ok(params) => params.text("v").unwrap_or_default(),
        Err(_) => value.to_owned(),
    }
}
