//! Users in the management API: each operation and each rule.

mod identities;
mod own;
mod reading;
mod sdks;
mod sessions;
mod writing;

use super::{Api, good};
use crate::harness::app::Tokens;
use crate::harness::browser::Browser;
use crate::harness::idp::Person;
use crate::profile::World;
use serde_json::{Value, json};

/// A user id as a segment of a path.
pub fn at(user_id: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(user_id.as_bytes()).collect();
    format!("/users/{}", encoded.replace('+', "%20"))
}

/// Two connections whose people are known elsewhere, of which the second lets root attributes be edited.
pub async fn world() -> World {
    World::new(&[("acme", ""), ("globex", "profile_sync = \"on_first_login\"")]).await
}

/// A connection whose people are kept here.
pub async fn people(api: &Api<'_>) -> Value {
    api.make("/connections", &json!({"name": "people", "strategy": "auth0"})).await
}

/// A login with these scopes of the management API.
pub async fn own_token(world: &World, connection: &str, person: &Person, scope: &str) -> Tokens {
    let audience = format!("{}/api/v2/", world.gateway.issuer());
    let browser = Browser::new();
    let request = world.ask(&browser, connection, &[("audience", &audience), ("scope", &format!("openid {scope}"))]).await;
    world.redeem(world.answer(&browser, connection, &request, person).await).await
}

/// The same API with somebody else's token.
pub fn with_token<'g>(api: &Api<'g>, token: &str) -> Api<'g> {
    Api { gateway: api.gateway, client_id: String::new(), client_secret: String::new(), token: token.to_owned() }
}

/// A user of `people`.
pub async fn made(api: &Api<'_>, user_id: &str, email: &str, more: Value) -> Value {
    let mut body = json!({"connection": "people", "user_id": user_id, "email": email});
    body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    good(&api.post("/users", &body).await, 201)
}
