//! Clients: applications.

mod addon;
mod shapes;

use super::call::{Call, Reply, selected};
use super::problem::Refusal;
use super::stored;
use super::{Answer, Body, CHECKPOINT, FIELDS, Operation, PAGES};
use crate::application::Application;
use crate::broker::admin::kinds::{self, CLIENT, CLIENT_GRANT};
use crate::broker::admin::objects;
use crate::broker::live::{Known, Made};
use crate::error::ErrorKind;
use crate::id;
use crate::oidc::{ApplicationType, ClientFacts, TokenEndpointAuthMethod};
use crate::secret::Secret;
use crate::store::Expect;
use serde_json::{Map, Value, json};
use shapes::{CHANGE, CLIENT_SHAPE, CREATE, CREDENTIAL, FILTERS, ROTATE};
use std::sync::Arc;

/// Seconds that the secret before is accepted after a rotation, where the caller does not say.
const GRACE: u64 = 3600;

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Clients", GET "/clients" "get_clients" "List clients",
        &["read:clients", "read:client_keys"], &[FIELDS, PAGES, CHECKPOINT, FILTERS], Body::Nothing,
        (200, Answer::Page(&CLIENT_SHAPE, "clients")), &[], list),
    operation!("Clients", POST "/clients" "post_clients" "Make a client",
        &["create:clients"], &[], Body::Json(&CREATE), (201, Answer::One(&CLIENT_SHAPE)), &[409], create),
    operation!("Clients", GET "/clients/{id}" "get_clients_by_id" "Read a client",
        &["read:clients", "read:client_keys"], &[FIELDS], Body::Nothing, (200, Answer::One(&CLIENT_SHAPE)), &[404], get),
    operation!("Clients", PATCH "/clients/{id}" "patch_clients_by_id" "Change a client, by a JSON merge patch",
        &["update:clients"], &[], Body::Json(&CHANGE), (200, Answer::One(&CLIENT_SHAPE)), &[404, 409, 412], change),
    operation!("Clients", DELETE "/clients/{id}" "delete_clients_by_id" "Delete a client and its grants",
        &["delete:clients"], &[], Body::Nothing, (204, Answer::Nothing), &[404, 409, 412], delete),
    operation!("Clients", POST "/clients/{id}/rotate-secret" "post_rotate_secret" "Give a client another secret; the one before is accepted for a while",
        &["update:client_keys"], &[], Body::OptionalJson(&ROTATE), (200, Answer::One(&CLIENT_SHAPE)), &[404, 409, 412], rotate),
    operation!("Clients", GET "/clients/{id}/credentials" "get_client_credentials" "Public keys of a client: there are none in this version",
        &["read:client_keys", "read:clients"], &[], Body::Nothing, (200, Answer::List(&CREDENTIAL)), &[404], credentials),
];

async fn list(call: Call) -> Result<Reply, Refusal> {
    let mut clients: Vec<(String, Map<String, Value>)> =
        of_file(&call).map(|application| (application.client_id.clone(), from_file(&call, application))).collect();
    for object in stored::all(&call.gateway, &CLIENT).await? {
        if !clients.iter().any(|(id, _)| *id == object.id) {
            let body = view(&object.id, object.body);
            clients.push((object.id, body));
        }
    }
    clients.retain(|(_, body)| is_wanted(&call, body));
    clients.sort_by(|(a, _), (b, _)| a.cmp(b));
    let show = |(_, body): &(String, Map<String, Value>)| Value::Object(body.clone());
    Ok(Reply::ok(stored::listed(&call, "clients", &clients, |(id, _)| id.as_str(), show)))
}

fn is_wanted(call: &Call, body: &Map<String, Value>) -> bool {
    let first_party = body.get("is_first_party") != Some(&Value::Bool(false));
    let app_type = body.get("app_type").and_then(Value::as_str).unwrap_or_default();
    call.flag("is_global") != Some(true)
        && call.flag("is_first_party").is_none_or(|wanted| wanted == first_party)
        && call.text("app_type").is_none_or(|wanted| wanted.split(',').any(|wanted| wanted.trim() == app_type))
}

async fn create(call: Call) -> Result<Reply, Refusal> {
    let mut body = stored::body_of(&call);
    let given = take_secret(&mut body);
    usual(&mut body);
    let secret = given.unwrap_or_else(|| kinds::new_secret(&body));
    kinds::add_secret(&mut body, &secret, 0, call.now);
    let id = id::random_id();
    let (object, warnings) = objects::write(&call.state.live, &CLIENT, &id, body, Expect::Nothing, call.by(), call.now).await?;
    let mut body = view(&id, object.body);
    body.insert("client_secret".to_owned(), secret.expose().as_str().into());
    stored::warned(&mut body, &warnings);
    Ok(Reply::versioned(201, body.into(), object.version))
}

/// What a client has where its maker does not say otherwise.
fn usual(body: &mut Map<String, Value>) {
    let app_type = body.get("app_type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let public = matches!(app_type.as_str(), "native" | "spa");
    let method = if public { "none" } else { "client_secret_post" };
    if !body.contains_key("client_authentication_methods") {
        body.entry("token_endpoint_auth_method").or_insert_with(|| method.into());
    }
    let public = body.get("token_endpoint_auth_method").and_then(Value::as_str) == Some("none");
    let grants = match app_type.as_str() {
        "non_interactive" => json!(["client_credentials"]),
        _ if public => json!(["authorization_code", "refresh_token"]),
        _ => json!(["authorization_code", "refresh_token", "client_credentials"]),
    };
    body.entry("grant_types").or_insert(grants);
    body.entry("oidc_conformant").or_insert(Value::Bool(true));
    body.entry("is_first_party").or_insert(Value::Bool(true));
    body.entry("jwt_configuration").or_insert_with(|| json!({ "alg": "RS256" }));
}

/// The secret of the body, which is not to be kept there.
fn take_secret(body: &mut Map<String, Value>) -> Option<Secret<String>> {
    match body.remove("client_secret") {
        Some(Value::String(secret)) => Some(Secret::new(secret)),
        _ => None,
    }
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    let id = call.name("id");
    if let Some(application) = of_file(&call).find(|application| application.client_id == id) {
        return Ok(Reply::ok(selected(&call, from_file(&call, application).into())));
    }
    let object = objects::read(&call.gateway, &CLIENT, id).await?.ok_or_else(missing)?;
    let known = Known { gateway: &call.gateway, now: call.now, again: true };
    let warnings =
        call.state.live.maker().make(CLIENT.name, id, &object.body, known).map_or_else(|faults| faults, |checked| checked.warnings);
    let mut body = view(id, object.body);
    stored::warned(&mut body, &warnings);
    Ok(Reply::versioned(200, selected(&call, body.into()), object.version))
}

async fn change(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    let mut patch = stored::patch_of(&call);
    let given = patch.get("client_secret").is_some_and(Value::is_string);
    // Whoever gives a client a secret, or takes the need for one away, can act as that client; and sealed values and whole
    // profiles are not for whoever changes a client's name.
    let own = patch.get("isthmus").and_then(Value::as_object);
    let telling = ["reads_sealed", "legacy_profile"].iter().any(|name| own.is_some_and(|own| own.contains_key(*name)));
    let proving = proves(&patch);
    if (given || telling || proving || patch.contains_key("token_endpoint_auth_method")) && !call.may("update:client_keys") {
        let message = "Insufficient scope: update:client_keys is needed to change how a client proves itself, and for \
                       reads_sealed and legacy_profile";
        return Err(Refusal::new(ErrorKind::InsufficientScope, message).with_status(403).with_code("insufficient_scope"));
    }
    if given || proving {
        no_more_than_own(&call)?;
    }
    let secret = take_secret(&mut patch);
    let mut body = object.body;
    stored::merge(&mut body, &patch);
    if let Some(secret) = &secret {
        kinds::add_secret(&mut body, secret, 0, call.now);
    }
    kinds::share_secret(&mut body, secret.as_ref());
    write(&call, body, expect, None).await
}

async fn rotate(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    let grace = call.body.get("grace_seconds").and_then(Value::as_u64).unwrap_or(GRACE);
    no_more_than_own(&call)?;
    let mut body = object.body;
    let secret = kinds::new_secret(&body);
    kinds::add_secret(&mut body, &secret, grace, call.now);
    write(&call, body, expect, Some(&secret)).await
}

/// Does the change say by which keys or certificates the client proves who it is?
fn proves(patch: &Map<String, Value>) -> bool {
    let own = patch.get("isthmus").and_then(Value::as_object);
    let by_own = own.is_some_and(|own| own.keys().any(|name| name.starts_with("jwks") || name.starts_with("tls_client_auth")));
    by_own || ["client_authentication_methods", "signed_request_object"].iter().any(|name| patch.contains_key(*name))
}

/// Whoever sets the secret or the keys of a client can act as it: only where that gives nothing more at the management API.
fn no_more_than_own(call: &Call) -> Result<(), Refusal> {
    let grant = call.gateway.client_grants.get(&(call.name("id").to_owned(), call.gateway.management_audience()));
    match grant.and_then(|grant| grant.scopes.iter().find(|scope| !call.may(scope))) {
        None => Ok(()),
        Some(scope) => {
            let message = format!("Insufficient scope: this client may use the management API for {scope}, and the caller may not");
            Err(Refusal::new(ErrorKind::InsufficientScope, message).with_status(403).with_code("insufficient_scope"))
        }
    }
}

async fn write(call: &Call, body: Map<String, Value>, expect: Expect, secret: Option<&Secret<String>>) -> Result<Reply, Refusal> {
    let id = call.name("id");
    let (object, warnings) = objects::write(&call.state.live, &CLIENT, id, body, expect, call.by(), call.now).await?;
    let mut body = view(id, object.body);
    if let Some(secret) = secret {
        body.insert("client_secret".to_owned(), secret.expose().as_str().into());
    }
    stored::warned(&mut body, &warnings);
    Ok(Reply::versioned(200, body.into(), object.version))
}

async fn delete(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    let mut grants = stored::all(&call.gateway, &CLIENT_GRANT).await?;
    grants.retain(|grant| grant.body.get("client_id").and_then(Value::as_str) == Some(object.id.as_str()));
    let grants: Vec<_> = grants.into_iter().map(|grant| (&CLIENT_GRANT, grant)).collect();
    objects::delete_with(&call.state.live, (&CLIENT, &object.id, expect), &grants, call.by(), call.now).await?;
    Ok(Reply::Empty(204))
}

async fn credentials(call: Call) -> Result<Reply, Refusal> {
    if !call.gateway.applications.contains_key(call.name("id")) {
        return Err(missing());
    }
    Ok(Reply::ok(json!([])))
}

/// The client that the path names, if it can be changed here.
async fn existing(call: &Call) -> Result<objects::Object, Refusal> {
    let id = call.name("id");
    if of_file(call).any(|application| application.client_id == id) {
        return Err(stored::read_only("client"));
    }
    objects::read(&call.gateway, &CLIENT, id).await?.ok_or_else(missing)
}

fn missing() -> Refusal {
    stored::missing("client", "inexistent_client")
}

fn of_file(call: &Call) -> impl Iterator<Item = &Arc<Application>> {
    call.state.live.of_file().iter().filter_map(|made| match made {
        Made::Application(application) => Some(application),
        Made::LivingApplication(living) => Some(living.registered()),
        _ => None,
    })
}

fn view(id: &str, mut body: Map<String, Value>) -> Map<String, Value> {
    body.remove(kinds::SECRETS);
    let source = if body.remove(kinds::REGISTRATION).is_some() { "registration" } else { "api" };
    let mut body = stored::made_by(source, stored::shown("client_id", id, body));
    body.entry("name").or_insert_with(|| id.into());
    body.insert("global".to_owned(), Value::Bool(false));
    body
}

/// What the file says, in Auth0's words.
fn from_file(call: &Call, registered: &Arc<Application>) -> Map<String, Value> {
    // What metadata say of it stands in the snapshot.
    let living = call.gateway.applications.get(&registered.client_id).filter(|_| registered.by_metadata.is_some());
    let application = living.unwrap_or(registered);
    let mut own = Map::new();
    own.insert("enabled".to_owned(), application.enabled.into());
    own.insert("mapping".to_owned(), application.mapping.name().into());
    if let Some(connections) = &application.connections {
        own.insert("connections".to_owned(), json!(connections));
    }
    let mut body = json!({
        "client_id": application.client_id,
        "name": application.name,
        "global": false,
        "oidc_conformant": true,
        "is_first_party": application.oidc.as_ref().is_none_or(|client| client.first_party),
        stored::OWN: own,
    });
    if let (Some(facts), Some(members)) = (&application.oidc, body.as_object_mut()) {
        members.extend(as_client(facts));
    }
    if let (Some(saml), Some(members)) = (&application.saml, body.as_object_mut()) {
        addon::show(saml, members);
    }
    if let (Some(by_metadata), Some(members)) = (&application.by_metadata, body.as_object_mut()) {
        addon::show_source(by_metadata, members);
    }
    stored::made_by("file", body.as_object().cloned().unwrap_or_default())
}

fn as_client(facts: &ClientFacts) -> Map<String, Value> {
    let app_type = match (facts.application_type, facts.token_endpoint_auth_method) {
        (ApplicationType::Native, _) => "native",
        (_, TokenEndpointAuthMethod::None) => "spa",
        _ => "regular_web",
    };
    let grants: Vec<&str> = facts.grant_types.iter().map(|grant| grant.as_str()).collect();
    let shown = json!({
        "app_type": if grants == ["client_credentials"] { "non_interactive" } else { app_type },
        "callbacks": facts.redirect_uris,
        "allowed_logout_urls": facts.post_logout_redirect_uris,
        "grant_types": grants,
        "token_endpoint_auth_method": facts.token_endpoint_auth_method.as_str(),
        "jwt_configuration": { "alg": facts.id_token_signed_response_alg.as_str() },
    });
    shown.as_object().cloned().unwrap_or_default()
}
