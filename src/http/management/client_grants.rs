//! Client grants: what clients may have of resource servers by themselves.

use super::call::{Call, Reply};
use super::problem::Refusal;
use super::shape::{Kind, Member, Shape, fault, may, must};
use super::stored;
use super::{Answer, Body, CHECKPOINT, Operation, PAGES};
use crate::application::{ClientGrant, management};
use crate::broker::admin::kinds::{self, CLIENT_GRANT};
use crate::broker::admin::objects::{self, Object};
use crate::broker::live::{Fault, Made};
use crate::error::ErrorKind;
use crate::id;
use crate::store::Expect;
use serde_json::{Map, Value, json};

const SCOPE: Kind = Kind::List(&Kind::Text(1, 280), 1000);

const GRANT: Shape = Shape {
    name: "ClientGrant",
    members: &[
        must("id", Kind::Text(1, 100), ""),
        must("client_id", Kind::Text(1, 255), ""),
        must("audience", Kind::Text(1, 600), "Identifier of the resource server"),
        must("scope", SCOPE, ""),
        may(stored::OWN, Kind::Object, "source: file or api"),
    ],
    open: true,
    example: r#"{"id": "cgr_0123456789abcdef", "client_id": "0123456789abcdef0123456789abcdef", "audience": "https://login.example.org/api/v2/", "scope": ["read:users"]}"#,
};

const CREATE: Shape = Shape {
    name: "ClientGrantCreate",
    members: &[
        must("client_id", Kind::Text(1, 255), ""),
        must("audience", Kind::Text(1, 600), "Identifier of the resource server"),
        must("scope", SCOPE, "Of those that the resource server has"),
    ],
    open: false,
    example: r#"{"client_id": "0123456789abcdef0123456789abcdef", "audience": "https://login.example.org/api/v2/", "scope": ["read:users"]}"#,
};

const CHANGE: Shape = Shape {
    name: "ClientGrantChange",
    members: &[must("scope", SCOPE, "All that it has from now on")],
    open: false,
    example: r#"{"scope": ["read:users", "read:clients"]}"#,
};

const FILTERS: &[Member] = &[may("audience", Kind::Text(1, 600), "Only of this"), may("client_id", Kind::Text(1, 255), "Only of this")];

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Client grants", GET "/client-grants" "get_client_grants" "List client grants",
        &["read:client_grants"], &[PAGES, CHECKPOINT, FILTERS], Body::Nothing, (200, Answer::Page(&GRANT, "client_grants")), &[], list),
    operation!("Client grants", POST "/client-grants" "post_client_grants" "Grant a client scopes of a resource server",
        &["create:client_grants"], &[], Body::Json(&CREATE), (201, Answer::One(&GRANT)), &[404, 409], create),
    operation!("Client grants", GET "/client-grants/{id}" "get_client_grants_by_id" "Read a client grant",
        &["read:client_grants"], &[], Body::Nothing, (200, Answer::One(&GRANT)), &[404], get),
    operation!("Client grants", PATCH "/client-grants/{id}" "patch_client_grants_by_id" "Change the scopes of a client grant",
        &["update:client_grants"], &[], Body::Json(&CHANGE), (200, Answer::One(&GRANT)), &[404, 409, 412], change),
    operation!("Client grants", DELETE "/client-grants/{id}" "delete_client_grants_by_id" "Delete a client grant",
        &["delete:client_grants"], &[], Body::Nothing, (204, Answer::Nothing), &[404, 409, 412], delete),
];

async fn list(call: Call) -> Result<Reply, Refusal> {
    let mut grants: Vec<(String, Map<String, Value>)> = of_file(&call).map(|grant| (grant.id.clone(), from_file(grant))).collect();
    let stored = stored::all(&call.gateway, &CLIENT_GRANT).await?;
    grants.extend(stored.into_iter().map(|object| (object.id.clone(), view(object))));
    let is = |body: &Map<String, Value>, member: &str| {
        call.text(member).is_none_or(|wanted| body.get(member).and_then(Value::as_str) == Some(wanted))
    };
    grants.retain(|(_, body)| is(body, "audience") && is(body, "client_id"));
    grants.sort_by(|(a, _), (b, _)| a.cmp(b));
    let show = |(_, body): &(String, Map<String, Value>)| Value::Object(body.clone());
    Ok(Reply::ok(stored::listed(&call, "client_grants", &grants, |(id, _)| id.as_str(), show)))
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    if let Some(grant) = of_file(&call).find(|grant| grant.id == call.name("id")) {
        return Ok(Reply::ok(from_file(grant).into()));
    }
    let object = objects::read(&call.gateway, &CLIENT_GRANT, call.name("id")).await?.ok_or_else(missing)?;
    let version = object.version;
    Ok(Reply::versioned(200, view(object).into(), version))
}

async fn create(call: Call) -> Result<Reply, Refusal> {
    let mut body = stored::body_of(&call);
    let text = |member: &str| call.body.get(member).and_then(Value::as_str).unwrap_or_default();
    let (client_id, audience) = (text("client_id"), text("audience"));
    if !call.gateway.applications.contains_key(client_id) {
        return Err(stored::missing("client", "inexistent_client"));
    }
    let faults = unknown_scopes(&call, audience);
    if !faults.is_empty() {
        return Err(faults.into());
    }
    own_scopes_only(&call, audience)?;
    if call.gateway.client_grants.contains_key(&(client_id.to_owned(), audience.to_owned())) {
        return Err(stored::conflict("There is a grant of this client for this audience already: change its scopes."));
    }
    body.insert(kinds::GRANT_KEY.to_owned(), kinds::grant_key(client_id, audience).into());
    let id = format!("cgr_{}", id::random_id());
    let (object, _) = objects::write(&call.state.live, &CLIENT_GRANT, &id, body, Expect::Nothing, call.by(), call.now).await?;
    let version = object.version;
    Ok(Reply::versioned(201, view(object).into(), version))
}

async fn change(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    let mut body = object.body;
    let faults = unknown_scopes(&call, body.get("audience").and_then(Value::as_str).unwrap_or_default());
    if !faults.is_empty() {
        return Err(faults.into());
    }
    own_scopes_only(&call, body.get("audience").and_then(Value::as_str).unwrap_or_default())?;
    stored::merge(&mut body, &stored::patch_of(&call));
    let (object, _) = objects::write(&call.state.live, &CLIENT_GRANT, &object.id, body, expect, call.by(), call.now).await?;
    let version = object.version;
    Ok(Reply::versioned(200, view(object).into(), version))
}

async fn delete(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    objects::delete(&call.state.live, &CLIENT_GRANT, &object.id, expect, call.by(), call.now).await?;
    Ok(Reply::Empty(204))
}

/// Scopes of the body that the resource server does not have.
fn unknown_scopes(call: &Call, audience: &str) -> Vec<Fault> {
    let server = call.gateway.resource_servers.get(audience);
    let management = audience == call.gateway.management_audience();
    if server.is_none() && !management {
        return vec![fault("/audience", "is no resource server that is known here")];
    }
    let has = |scope: &str| {
        server.is_some_and(|server| server.has_scope(scope)) || management && management::SCOPES.iter().any(|(known, _)| *known == scope)
    };
    let asked = call.body.get("scope").and_then(Value::as_array).into_iter().flatten().enumerate();
    let unknown = asked.filter(|(_, scope)| !scope.as_str().is_some_and(has));
    unknown.map(|(index, _)| fault(&format!("/scope/{index}"), "is no scope of this resource server")).collect()
}

/// Nobody gives scopes of the management API that it does not have itself.
fn own_scopes_only(call: &Call, audience: &str) -> Result<(), Refusal> {
    if audience != call.gateway.management_audience() {
        return Ok(());
    }
    let mut asked = call.body.get("scope").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    match asked.find(|scope| !call.may(scope)) {
        None => Ok(()),
        Some(scope) => {
            let message = format!("Insufficient scope: whoever grants {scope} needs it");
            Err(Refusal::new(ErrorKind::InsufficientScope, message).with_status(403).with_code("insufficient_scope"))
        }
    }
}

async fn existing(call: &Call) -> Result<Object, Refusal> {
    if of_file(call).any(|grant| grant.id == call.name("id")) {
        return Err(stored::read_only("client grant"));
    }
    objects::read(&call.gateway, &CLIENT_GRANT, call.name("id")).await?.ok_or_else(missing)
}

fn missing() -> Refusal {
    stored::missing("client grant", "inexistent_client_grant")
}

fn of_file(call: &Call) -> impl Iterator<Item = &ClientGrant> {
    call.state.live.of_file().iter().filter_map(|made| match made {
        Made::ClientGrant(grant) => Some(grant),
        _ => None,
    })
}

fn view(object: Object) -> Map<String, Value> {
    let mut body = object.body;
    body.remove(kinds::GRANT_KEY);
    stored::shown("id", &object.id, body)
}

fn from_file(grant: &ClientGrant) -> Map<String, Value> {
    let body = json!({ "id": grant.id, "client_id": grant.client_id, "audience": grant.audience, "scope": grant.scopes });
    stored::made_by("file", body.as_object().cloned().unwrap_or_default())
}
