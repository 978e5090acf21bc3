//! One call of the management API: what every operation gets, and what it may answer.

use super::connections;
use super::problem::Refusal;
use crate::broker::Gateway;
use crate::broker::admin::{By, kinds, objects};
use crate::broker::api_access::ApiAccess;
use crate::clock::Timestamp;
use crate::connection::config::ConnectionConfig;
use crate::error::ErrorKind;
use crate::http::state::State;
use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A call that was let in: authenticated, in scope, of the right shape.
pub struct Call {
    pub request: HttpRequest,
    pub state: Data<State>,
    /// One snapshot for the whole call.
    pub gateway: Arc<Gateway>,
    pub access: ApiAccess,
    /// Parameters of the path, decoded.
    pub path: BTreeMap<String, String>,
    /// Parameters of the query, by the operation's list.
    pub query: Map<String, Value>,
    /// The body, by the operation's shape; null where there is none.
    pub body: Value,
    /// What was not read, for operations that read it themselves.
    pub payload: Option<Payload>,
    pub correlation_id: String,
    pub now: Timestamp,
}

/// An answer.
pub enum Reply {
    Json {
        status: u16,
        body: Value,
        version: Option<i64>,
    },
    Empty(u16),
    /// Made by the operation itself.
    Raw(actix_web::HttpResponse),
}

impl Reply {
    pub const fn ok(body: Value) -> Self {
        Self::Json { status: 200, body, version: None }
    }

    pub const fn created(body: Value) -> Self {
        Self::Json { status: 201, body, version: None }
    }

    /// With an ETag of this version.
    pub const fn versioned(status: u16, body: Value, version: i64) -> Self {
        Self::Json { status, body, version: Some(version) }
    }
}

impl Call {
    /// Who does it, for audit logs.
    pub fn by(&self) -> By<'_> {
        By { actor: self.access.actor(), correlation_id: &self.correlation_id }
    }

    /// A parameter of the path.
    pub fn name(&self, parameter: &str) -> &str {
        self.path.get(parameter).map(String::as_str).unwrap_or_default()
    }

    pub fn text(&self, parameter: &str) -> Option<&str> {
        self.query.get(parameter).and_then(Value::as_str)
    }

    pub fn flag(&self, parameter: &str) -> Option<bool> {
        self.query.get(parameter).and_then(Value::as_bool)
    }

    pub fn number(&self, parameter: &str) -> Option<usize> {
        self.query.get(parameter).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok())
    }

    /// The version that `If-Match` names (RFC 9110 13.1.1); `None` where the caller does not care.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] for one that this API never gave.
    pub fn expected_version(&self) -> Result<Option<i64>, Refusal> {
        let Some(header) = self.request.headers().get("if-match") else { return Ok(None) };
        let text = header.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(None);
        }
        let version = text.trim_start_matches("W/").trim_matches('"').parse().ok();
        let unknown =
            || Refusal::new(ErrorKind::Conflict, "If-Match names no version of this").with_status(412).with_code("precondition_failed");
        version.map(Some).ok_or_else(unknown)
    }

    /// Does the token have this scope?
    pub fn may(&self, scope: &str) -> bool {
        self.access.scopes.contains(scope)
    }
}

/// The name of the connection that has this id, or is meant by its name.
pub async fn connection_name(call: &Call, id_or_name: &str) -> Result<String, Refusal> {
    let stored = objects::read(&call.gateway, &kinds::CONNECTION, id_or_name).await?;
    if let Some(name) = stored.as_ref().and_then(|object| object.body.get("name")).and_then(Value::as_str) {
        return Ok(name.to_owned());
    }
    let is_meant = |config: &&ConnectionConfig| connections::id_of(config) == id_or_name;
    let of_file = call.gateway.connections.configs().find(|config| id_or_name.starts_with("con_") && is_meant(config));
    Ok(of_file.map_or(id_or_name, |config| config.name.as_str()).to_owned())
}

/// A page of a list, as `page`, `per_page` and `include_totals` ask for it: a list, or an object with the list under `name`
/// and where it begins, its bounds and the total.
pub fn paged(call: &Call, name: &str, items: Vec<Value>, total: usize) -> Value {
    let (start, limit) = bounds(call);
    if call.flag("include_totals") == Some(true) {
        return json!({ "start": start, "limit": limit, "length": items.len(), "total": total, name: items });
    }
    Value::Array(items)
}

/// The first item and the number of items that `page` and `per_page` ask for.
pub fn bounds(call: &Call) -> (usize, usize) {
    let per_page = call.number("per_page").unwrap_or(50);
    (call.number("page").unwrap_or(0).saturating_mul(per_page), per_page)
}

/// The page of a list that is at hand.
pub fn cut(call: &Call, items: impl IntoIterator<Item = Value>) -> (Vec<Value>, usize) {
    let (start, limit) = bounds(call);
    let (mut page, mut total) = (Vec::new(), 0);
    for (index, item) in items.into_iter().enumerate() {
        total = index + 1;
        if index >= start && page.len() < limit {
            page.push(item);
        }
    }
    (page, total)
}

/// Only, or all but, the members that `fields` and `include_fields` name.
pub fn selected(call: &Call, value: Value) -> Value {
    let Some(fields) = call.text("fields").filter(|fields| !fields.is_empty()) else { return value };
    let names: Vec<&str> = fields.split(',').map(str::trim).collect();
    let include = call.flag("include_fields") != Some(false);
    match value {
        Value::Object(members) => members.into_iter().filter(|(name, _)| names.contains(&name.as_str()) == include).collect(),
        other => other,
    }
}
