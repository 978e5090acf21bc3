//! The kinds of objects that the management API and the command line keep, and the secrets of clients.
//!
//! Bodies have Auth0's member names; what they mean is read in `config/stored`.

use super::objects::ObjectKind;
use crate::clock::Timestamp;
use crate::id;
use crate::oidc::SelfRegistered;
use crate::secret::Secret;
use serde_json::{Map, Value, json};

pub const CONNECTION: ObjectKind = ObjectKind {
    name: "connection",
    secrets: &[
        "/options/client_secret",
        "/options/app_secret",
        "/options/bind_password",
        "/isthmus/custom/secret",
        "/isthmus/custom/previous_secret",
    ],
    unique: Some("name"),
};

/// The id is the client id. Secrets are kept as digests only, in [`SECRETS`]; but for clients that make MACs with theirs
/// the present one is kept sealed, in [`SHARED_SECRET`].
pub const CLIENT: ObjectKind = ObjectKind { name: "client", secrets: &["/shared_secret"], unique: None };

/// One for a client and an audience: [`GRANT_KEY`] is made of both.
pub const CLIENT_GRANT: ObjectKind = ObjectKind { name: "client_grant", secrets: &[], unique: Some(GRANT_KEY) };

pub const RESOURCE_SERVER: ObjectKind = ObjectKind { name: "resource_server", secrets: &[], unique: Some("identifier") };

/// One object, with the id `settings`.
pub const TENANT: ObjectKind = ObjectKind { name: "tenant", secrets: &[], unique: None };

/// One object for each protection, by its name.
pub const ATTACK_PROTECTION: ObjectKind = ObjectKind { name: "attack_protection", secrets: &[], unique: None };

/// What allows clients to register; the id is the digest of the token.
pub const REGISTRATION_TOKEN: ObjectKind = ObjectKind { name: "registration_token", secrets: &[], unique: None };

/// The member of a client that registered itself with what is ours to know of that: never given out.
pub const REGISTRATION: &str = "registration";

/// The member of a client with digests of its secrets and when each ends: never given out.
pub const SECRETS: &str = "secrets";

/// The member of a client with its present secret, sealed: never given out.
pub const SHARED_SECRET: &str = "shared_secret";

/// A member of a client grant that is never given out.
pub const GRANT_KEY: &str = "key";

/// Secrets that a client can have at once: the present one, and those that are still accepted.
const MOST_SECRETS: usize = 5;

/// What no two client grants share.
pub fn grant_key(client_id: &str, audience: &str) -> String {
    format!("{client_id} for {audience}")
}

/// Gives a client another secret. Those that it has are accepted for `grace` more seconds.
pub fn add_secret(body: &mut Map<String, Value>, secret: &Secret<String>, grace: u64, now: Timestamp) {
    let end = now.plus_seconds(i64::try_from(grace).unwrap_or(i64::MAX / 1_000_000));
    let mut secrets = vec![json!({ "digest": id::digest(secret.expose()) })];
    for mut known in secrets_of(body).filter(|known| grace > 0 && ends(known).is_none_or(|at| at > now)).take(MOST_SECRETS - 1) {
        if let Some(members) = known.as_object_mut() {
            let at = members.get("ends").and_then(Value::as_i64).map_or(end.millis(), |at| at.min(end.millis()));
            members.insert("ends".to_owned(), at.into());
        }
        secrets.push(known);
    }
    body.insert(SECRETS.to_owned(), secrets.into());
    share_secret(body, Some(secret));
}

/// Does this client make MACs with its secret, so that it must be known here?
pub fn shares_secret(body: &Map<String, Value>) -> bool {
    let own = body.get("isthmus").and_then(|own| own.get("request_object_signing_alg")).and_then(Value::as_str);
    let method = body.get("token_endpoint_auth_method").and_then(Value::as_str);
    method == Some("client_secret_jwt") || own.is_some_and(|alg| alg.starts_with("HS"))
}

/// A random secret for this client. MACs by HS512 need 64 octets (RFC 7518 3.2).
pub fn new_secret(body: &Map<String, Value>) -> Secret<String> {
    Secret::new(if shares_secret(body) { id::random_token() + &id::random_token() } else { id::random_token() })
}

/// Keeps the secret itself, to be sealed, where that is needed; call it after the settings of the client are as they will be.
pub fn share_secret(body: &mut Map<String, Value>, secret: Option<&Secret<String>>) {
    if !shares_secret(body) {
        body.remove(SHARED_SECRET);
    } else if let Some(secret) = secret {
        body.insert(SHARED_SECRET.to_owned(), secret.expose().as_str().into());
    }
}

/// Digests of the secrets that a client has now.
pub fn secret_digests(body: &Map<String, Value>, now: Timestamp) -> Vec<String> {
    let living = secrets_of(body).filter(|known| ends(known).is_none_or(|at| at > now));
    living.filter_map(|known| known.get("digest").and_then(Value::as_str).map(str::to_owned)).collect()
}

/// When a client registered itself, and whether it was ever used; `None`: an operator made it.
pub fn self_registered(body: &Map<String, Value>) -> Option<SelfRegistered> {
    let own = body.get(REGISTRATION)?.as_object()?;
    let at = own.get("at").and_then(Value::as_i64).map(Timestamp::from_seconds)?;
    Some(SelfRegistered { at, used: own.get("used") == Some(&Value::Bool(true)) })
}

/// When the next secret of a client ends.
pub fn next_end(body: &Map<String, Value>, now: Timestamp) -> Option<Timestamp> {
    secrets_of(body).filter_map(|known| ends(&known)).filter(|at| *at > now).min()
}

fn secrets_of(body: &Map<String, Value>) -> impl Iterator<Item = Value> {
    body.get(SECRETS).and_then(Value::as_array).cloned().unwrap_or_default().into_iter()
}

fn ends(secret: &Value) -> Option<Timestamp> {
    secret.get("ends").and_then(Value::as_i64).map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_before_is_accepted_for_a_while() {
        let (mut body, start) = (Map::new(), Timestamp::from_seconds(1000));
        let (first, second, third) = (Secret::new("one".to_owned()), Secret::new("two".to_owned()), Secret::new("three".to_owned()));
        add_secret(&mut body, &first, 60, start);
        assert_eq!(secret_digests(&body, start), [id::digest("one")]);
        assert_eq!(next_end(&body, start), None);
        add_secret(&mut body, &second, 60, start);
        assert_eq!(secret_digests(&body, start), [id::digest("two"), id::digest("one")]);
        assert_eq!(next_end(&body, start), Some(Timestamp::from_seconds(1060)));
        assert_eq!(secret_digests(&body, Timestamp::from_seconds(1060)), [id::digest("two")]);
        // A longer grace later does not prolong what was to end.
        add_secret(&mut body, &third, 600, Timestamp::from_seconds(1030));
        assert_eq!(secret_digests(&body, Timestamp::from_seconds(1061)), [id::digest("three"), id::digest("two")]);
        add_secret(&mut body, &first, 0, Timestamp::from_seconds(1062));
        assert_eq!(secret_digests(&body, Timestamp::from_seconds(1062)), [id::digest("one")]);
    }

    #[test]
    fn a_secret_is_kept_for_clients_that_make_macs_with_it() {
        let now = Timestamp::from_seconds(1000);
        let mut body = Map::from_iter([("token_endpoint_auth_method".to_owned(), Value::from("client_secret_jwt"))]);
        add_secret(&mut body, &Secret::new("one".to_owned()), 0, now);
        assert_eq!(body.get(SHARED_SECRET), Some(&Value::from("one")));
        body.insert("token_endpoint_auth_method".to_owned(), "client_secret_post".into());
        add_secret(&mut body, &Secret::new("two".to_owned()), 0, now);
        assert!(!body.contains_key(SHARED_SECRET) && !Value::Object(body).to_string().contains("two"));
        assert_eq!(CLIENT.secrets, [format!("/{SHARED_SECRET}")], "it is sealed before it is stored");
    }
}
