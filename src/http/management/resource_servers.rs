//! Resource servers: what access tokens are for.

use super::call::{Call, Reply};
use super::problem::Refusal;
use super::shape::{Kind, Member, Shape, may, must};
use super::stored::{self, OWN_MEMBER};
use super::{Answer, Body, CHECKPOINT, Operation, PAGES};
use crate::application::{ResourceServer, management};
use crate::broker::admin::kinds::{CLIENT_GRANT, RESOURCE_SERVER};
use crate::broker::admin::objects::{self, Object};
use crate::broker::live::Fault;
use crate::id;
use crate::store::Expect;
use serde_json::{Map, Value, json};

/// The id of the management API itself.
const SYSTEM: &str = "api";

const SCOPE: Shape = Shape {
    name: "ResourceServerScope",
    members: &[must("value", Kind::Text(1, 280), ""), may("description", Kind::Text(0, 500), "For people")],
    open: false,
    example: r#"{"value": "read:notes", "description": "Read notes"}"#,
};
const SCOPES: Kind = Kind::List(&Kind::Record(&SCOPE), 1000);

/// What a caller may set after the first members; null is as if it were not there, and in a change takes it away.
macro_rules! settings {
    ($($first:expr),*) => {
        &[
            $($first,)*
            may("name", Kind::OrNull(&Kind::Text(1, 200)), "For people"),
            may("scopes", Kind::OrNull(&SCOPES), ""),
            may("signing_alg", Kind::OrNull(&Kind::Text(1, 20)), "Signs access tokens that are JWTs: RS256, PS256, ES256, ES384 or EdDSA"),
            may("token_lifetime", Kind::OrNull(&Kind::Integer(1, 2_592_000)), "Seconds; 86400 if it is not said"),
            may("token_lifetime_for_web", Kind::OrNull(&Kind::Integer(1, 2_592_000)), "Kept, without effect"),
            may("allow_offline_access", Kind::OrNull(&Kind::Boolean), "Refresh tokens may be had for it"),
            may("token_dialect", Kind::OrNull(&Kind::Text(1, 50)), "rfc9068_profile or access_token: access tokens are JWTs; without it they are opaque"),
            may("enforce_policies", Kind::OrNull(&Kind::Boolean), "Kept, without effect"),
            may("skip_consent_for_verifiable_first_party_clients", Kind::OrNull(&Kind::Boolean), "Kept, without effect"),
            may("consent_policy", Kind::OrNull(&Kind::Text(0, 100)), "Kept, without effect"),
            may("authorization_details", Kind::OrNull(&Kind::List(&Kind::Object, 100)), "Kept, without effect"),
            may("token_encryption", Kind::OrNull(&Kind::Object), "Kept, without effect"),
            may("proof_of_possession", Kind::OrNull(&Kind::Object), "Kept, without effect: it is said of each client"),
            OWN_MEMBER,
        ]
    };
}

const CREATE: Shape = Shape {
    name: "ResourceServerCreate",
    members: settings!(must("identifier", Kind::Text(1, 600), "What tokens name as their audience")),
    open: false,
    example: r#"{"identifier": "https://notes.example/api", "name": "Notes", "scopes": [{"value": "read:notes"}]}"#,
};

const CHANGE: Shape = Shape { name: "ResourceServerChange", members: settings!(), open: false, example: r#"{"token_lifetime": 3600}"# };

const SERVER: Shape = Shape {
    name: "ResourceServer",
    members: &[
        must("id", Kind::Text(1, 100), ""),
        must("identifier", Kind::Text(1, 600), ""),
        must("name", Kind::Text(1, 600), ""),
        must("is_system", Kind::Boolean, "The management API itself"),
        must("scopes", SCOPES, ""),
        must("token_lifetime", Kind::Integer(1, 2_592_000), "Seconds"),
        must("allow_offline_access", Kind::Boolean, ""),
        may(stored::OWN, Kind::Object, "source: file or api; warnings"),
    ],
    open: true,
    example: r#"{"id": "0123456789abcdef01234567", "identifier": "https://notes.example/api", "name": "Notes", "is_system": false, "scopes": [{"value": "read:notes"}], "token_lifetime": 86400, "allow_offline_access": false}"#,
};

const FILTERS: &[Member] = &[may("identifiers", Kind::Text(1, 5000), "Only of these, with commas")];

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Resource servers", GET "/resource-servers" "get_resource_servers" "List resource servers",
        &["read:resource_servers"], &[PAGES, CHECKPOINT, FILTERS], Body::Nothing,
        (200, Answer::Page(&SERVER, "resource_servers")), &[], list),
    operation!("Resource servers", POST "/resource-servers" "post_resource_servers" "Make a resource server",
        &["create:resource_servers"], &[], Body::Json(&CREATE), (201, Answer::One(&SERVER)), &[409], create),
    operation!("Resource servers", GET "/resource-servers/{id}" "get_resource_servers_by_id" "Read a resource server, by its id or its identifier",
        &["read:resource_servers"], &[], Body::Nothing, (200, Answer::One(&SERVER)), &[404], get),
    operation!("Resource servers", PATCH "/resource-servers/{id}" "patch_resource_servers_by_id" "Change a resource server, by a JSON merge patch",
        &["update:resource_servers"], &[], Body::Json(&CHANGE), (200, Answer::One(&SERVER)), &[404, 409, 412], change),
    operation!("Resource servers", DELETE "/resource-servers/{id}" "delete_resource_servers_by_id" "Delete a resource server and the grants for it",
        &["delete:resource_servers"], &[], Body::Nothing, (204, Answer::Nothing), &[404, 409, 412], delete),
];

async fn list(call: Call) -> Result<Reply, Refusal> {
    let mut servers = vec![(SYSTEM.to_owned(), system(&call))];
    servers.extend(stored::all(&call.gateway, &RESOURCE_SERVER).await?.into_iter().map(|object| (object.id.clone(), view(object))));
    let identifier = |body: &Map<String, Value>| body.get("identifier").and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(wanted) = call.text("identifiers") {
        let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
        servers.retain(|(_, body)| wanted.contains(&identifier(body).as_str()));
    }
    servers.sort_by(|(a, _), (b, _)| a.cmp(b));
    let show = |(_, body): &(String, Map<String, Value>)| Value::Object(body.clone());
    Ok(Reply::ok(stored::listed(&call, "resource_servers", &servers, |(id, _)| id.as_str(), show)))
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    if is_system(&call) {
        return Ok(Reply::ok(system(&call).into()));
    }
    let object = existing(&call).await?;
    let version = object.version;
    Ok(Reply::versioned(200, view(object).into(), version))
}

async fn create(call: Call) -> Result<Reply, Refusal> {
    let mut body = stored::body_of(&call);
    let identifier = body.get("identifier").and_then(Value::as_str).unwrap_or_default();
    if identifier == call.gateway.management_audience() {
        return Err(stored::conflict("This is the identifier of the management API."));
    }
    let name = identifier.to_owned();
    body.entry("name").or_insert_with(|| name.into());
    let id = id::random_id().get(..24).unwrap_or_default().to_owned();
    let written = objects::write(&call.state.live, &RESOURCE_SERVER, &id, body, Expect::Nothing, call.by(), call.now).await?;
    Ok(answered(201, written.0, &written.1))
}

async fn change(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    let mut body = object.body;
    stored::merge(&mut body, &stored::patch_of(&call));
    let written = objects::write(&call.state.live, &RESOURCE_SERVER, &object.id, body, expect, call.by(), call.now).await?;
    Ok(answered(200, written.0, &written.1))
}

async fn delete(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    let mut grants = stored::all(&call.gateway, &CLIENT_GRANT).await?;
    grants.retain(|grant| grant.body.get("audience") == object.body.get("identifier"));
    let grants: Vec<_> = grants.into_iter().map(|grant| (&CLIENT_GRANT, grant)).collect();
    objects::delete_with(&call.state.live, (&RESOURCE_SERVER, &object.id, expect), &grants, call.by(), call.now).await?;
    Ok(Reply::Empty(204))
}

fn is_system(call: &Call) -> bool {
    let id = call.name("id");
    id == SYSTEM || id == call.gateway.management_audience()
}

/// The resource server that the path names by its id or its identifier.
async fn existing(call: &Call) -> Result<Object, Refusal> {
    if is_system(call) {
        let message = "This is the management API itself: it cannot be changed.";
        return Err(Refusal::new(crate::error::ErrorKind::Conflict, message).with_code("system_resource_server"));
    }
    let named = call.name("id");
    let id = call.gateway.resource_servers.get(named).map_or(named, |server: &std::sync::Arc<ResourceServer>| server.id.as_str());
    objects::read(&call.gateway, &RESOURCE_SERVER, id)
        .await?
        .ok_or_else(|| stored::missing("resource server", "inexistent_resource_server"))
}

fn answered(status: u16, object: Object, warnings: &[Fault]) -> Reply {
    let version = object.version;
    let mut body = view(object);
    stored::warned(&mut body, warnings);
    Reply::versioned(status, body.into(), version)
}

fn view(object: Object) -> Map<String, Value> {
    let mut body = stored::shown("id", &object.id, object.body);
    let identifier = body.get("identifier").cloned().unwrap_or_default();
    for (member, usual) in [
        ("name", identifier),
        ("scopes", json!([])),
        ("signing_alg", json!("RS256")),
        ("token_lifetime", json!(crate::application::TOKEN_LIFETIME)),
        ("allow_offline_access", Value::Bool(false)),
        ("skip_consent_for_verifiable_first_party_clients", Value::Bool(true)),
    ] {
        body.entry(member).or_insert(usual);
    }
    body.insert("is_system".to_owned(), Value::Bool(false));
    body
}

/// The management API.
fn system(call: &Call) -> Map<String, Value> {
    let scope = |(value, description): &(&str, &str)| json!({ "value": value, "description": description });
    let scopes: Vec<Value> = management::SCOPES.iter().chain(management::CURRENT_USER_SCOPES).map(scope).collect();
    let body = json!({
        "id": SYSTEM,
        "identifier": call.gateway.management_audience(),
        "name": "Isthmus management API",
        "is_system": true,
        "scopes": scopes,
        "signing_alg": "RS256",
        "token_lifetime": call.gateway.lifetimes.access_token,
        "allow_offline_access": false,
        "skip_consent_for_verifiable_first_party_clients": true,
    });
    stored::made_by("system", body.as_object().cloned().unwrap_or_default())
}
