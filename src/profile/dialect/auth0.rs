//! The user object as Auth0's Management API shows it (S1, S4, details B and C).
//!
//! What the specification leaves open:
//! - `identities[].user_id` is the subject at that connection, as our record keeps it (S1-10: unique at this connection).
//!   The root's `user_id` is `provider|connection|subject` for every strategy, where Auth0 has the connection's name only
//!   for the enterprise ones.
//! - Attributes that have no field of their own are at the root, as they are there (S4-2): the members of `custom` as
//!   they are; those of `saml_data` as a text if there was one value, as an array if there were several (details F). Such
//!   a member never takes a name that a profile field or the user object has; it then stays where it was, in `custom`
//!   or `saml_data`. So an attribute called `app_metadata`, or one that the mapping table left out, does not become it.
//! - `custom_fields` is not Auth0's and is not shown.
//! - The root's `updated_at` is when the user was changed here. In `profileData` it is the provider's claim.

use super::{DialectOptions, IdentityView, Person, Place, iso_8601, show};
use crate::profile::{Field, Profile, is_nothing};
use serde_json::{Map, Value};

/// Names of the user object that are no fields of a profile.
const OF_THE_USER: &[&str] = &["phone_verified"];

/// The user object.
pub fn user(person: &Person<'_>, options: &DialectOptions<'_>) -> Map<String, Value> {
    let mut user = Map::new();
    show(&mut user, "user_id", person.user_id);
    user.append(&mut attributes(person.profile));
    show(&mut user, "created_at", iso_8601(person.created_at));
    show(&mut user, "updated_at", iso_8601(person.updated_at));
    show(&mut user, "last_login", person.last_login.map(iso_8601));
    show(&mut user, "last_ip", person.last_ip);
    show(&mut user, "logins_count", person.logins_count);
    if person.blocked {
        show(&mut user, "blocked", true);
    }
    let places = std::iter::once(Place::Primary).chain(std::iter::repeat(Place::Linked));
    let identities: Vec<Value> = person.identities.iter().zip(places).map(|(view, place)| identity(view, place, options).into()).collect();
    show(&mut user, "identities", identities);
    for (name, metadata) in [("user_metadata", person.user_metadata), ("app_metadata", person.app_metadata)] {
        if !metadata.is_empty() {
            show(&mut user, name, metadata.clone());
        }
    }
    user
}

/// An element of `identities`.
pub fn identity(identity: &IdentityView<'_>, place: Place, options: &DialectOptions<'_>) -> Map<String, Value> {
    let mut shown = Map::new();
    show(&mut shown, "connection", identity.connection);
    show(&mut shown, "user_id", identity.subject);
    show(&mut shown, "provider", identity.provider);
    show(&mut shown, "isSocial", identity.is_social);
    if let (true, Some(tokens)) = (options.map_identities, identity.provider_tokens) {
        show(&mut shown, "access_token", tokens.access_token.expose().as_str());
        show(&mut shown, "refresh_token", tokens.refresh_token.as_ref().map(|token| token.expose().as_str()));
        show(&mut shown, "expires_in", tokens.expires_in(options.now));
        show(&mut shown, "scope", tokens.scope.as_deref());
    }
    if place == Place::Linked {
        show(&mut shown, "profileData", attributes(identity.profile));
    }
    shown
}

/// What a connection said, under Auth0's names.
fn attributes(profile: &Profile) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, value) in profile.as_map() {
        let own = Field::parse(name).is_some_and(|field| field.own);
        match name.as_str() {
            _ if own => {}
            "custom" | "saml_data" if value.is_object() => {}
            "phone_number_verified" => show(&mut shown, "phone_verified", value.clone()),
            name => show(&mut shown, name, value.clone()),
        }
    }
    spread(&mut shown, profile, "custom", |value| value);
    spread(&mut shown, profile, "saml_data", one_or_several);
    shown
}

/// Puts the members of an object beside it, where their names are free.
fn spread(shown: &mut Map<String, Value>, profile: &Profile, object: &str, form: fn(Value) -> Value) {
    let Some(Value::Object(members)) = profile.as_map().get(object) else { return };
    let mut stay = Map::new();
    for (name, value) in members.iter().filter(|(_, value)| !is_nothing(value)) {
        let taken = shown.contains_key(name) || Field::parse(name).is_some() || OF_THE_USER.contains(&name.as_str());
        if taken {
            stay.insert(name.clone(), value.clone());
        } else {
            shown.insert(name.clone(), form(value.clone()));
        }
    }
    if !stay.is_empty() {
        shown.insert(object.to_owned(), Value::Object(stay));
    }
}

fn one_or_several(value: Value) -> Value {
    match value {
        Value::Array(mut values) if values.len() == 1 => values.pop().unwrap_or_default(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Sample, options};
    use super::*;
    use serde_json::json;

    fn shown(members: Value) -> Value {
        Sample::of(members).with(|person| user(person, &options()).into())
    }

    #[test]
    fn s1_10_an_identity_has_connection_is_social_provider_and_user_id() {
        let sample = Sample::of(json!({}));
        let shown = sample.with(|person| user(person, &options())["identities"].clone());
        assert_eq!(shown, json!([{"connection": "acme", "isSocial": false, "provider": "samlp", "user_id": "jane"}]));
    }

    #[test]
    fn s4_2_additional_attributes_are_at_the_root_and_never_take_a_name() {
        let user = shown(json!({
            "email": "jane@acme.example", "groups": ["staff"],
            "custom": {"badge": [7], "email": "forged@x", "colour": "blue"},
            "saml_data": {"colour": ["red"], "building": ["A"], "floor": ["1", "2"], "app_metadata": ["admin"], "phone_verified": ["true"]},
        }));
        assert_eq!(user["groups"], json!(["staff"]));
        assert_eq!(user["email"], "jane@acme.example");
        assert_eq!((&user["badge"], &user["colour"]), (&json!([7]), &json!("blue")));
        assert_eq!((&user["building"], &user["floor"]), (&json!("A"), &json!(["1", "2"])));
        assert_eq!(user["custom"], json!({"email": "forged@x"}));
        assert_eq!(user["saml_data"], json!({"colour": ["red"], "app_metadata": ["admin"], "phone_verified": ["true"]}));
        assert_eq!((user.get("app_metadata"), user.get("phone_verified")), (None, None));
    }

    #[test]
    fn s1_7_what_is_empty_is_absent() {
        let user = shown(json!({}));
        for name in ["app_metadata", "user_metadata", "blocked", "last_ip", "last_login", "email", "phone_verified"] {
            assert_eq!(user.get(name), None, "{name}");
        }
    }

    #[test]
    fn details_b_phone_verified_is_our_phone_number_verified() {
        let user = shown(json!({"phone_number": "+431", "phone_number_verified": true}));
        assert_eq!((&user["phone_number"], &user["phone_verified"]), (&json!("+431"), &json!(true)));
        assert_eq!(user.get("phone_number_verified"), None);
    }

    #[test]
    fn s3_2_state_comes_from_the_gateway_and_not_from_a_connection() {
        let user =
            shown(json!({"blocked": false, "logins_count": 99, "last_ip": "192.0.2.1", "app_metadata": {"plan": "gold"}, "user_id": "x"}));
        assert_eq!(user["logins_count"], 1);
        assert_eq!(user["user_id"], "samlp|acme|jane");
        assert_eq!((user.get("last_ip"), user.get("app_metadata"), user.get("blocked")), (None, None, None));
    }

    #[test]
    fn s4_9_a_providers_token_is_shown_only_when_asked_for() {
        let sample = Sample::of(json!({})).with_token("ya29.secret");
        let token = |map_identities| {
            let options = DialectOptions { map_identities, ..options() };
            sample.with(|person| user(person, &options)["identities"][0].get("access_token").cloned())
        };
        assert_eq!((token(false), token(true)), (None, Some(json!("ya29.secret"))));
    }
}
