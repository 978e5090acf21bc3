//! The user as Logto's console and management API show it (S0).
//!
//! What the specification leaves open:
//! - S0-2 wants an identity to have exactly four keys, S0-3 wants five data of the provider to be kept. So an element of
//!   `identities` has the four, of which two are data of S0-3 (the provider's name, the unique id there); and
//!   `identity_details` has, in the same order, one object with all five data of each identity, those which the provider
//!   sent. The e-mail address is there only if the provider has verified it; a name that is only an identifier again, and
//!   a picture that normalizing made up, are not.
//! - `provider_type` is `social` or `enterprise`; `provider_name` is the social provider or, since there can be many, the
//!   enterprise connection. A database account is no identity at a provider, and so not listed (its data are the user's).
//! - `username` is there in every identity: the provider's user name, else the nickname, else the subject.
//! - The other members have the names of Logto's API, times in milliseconds. `custom_fields` and `identities` are always
//!   there, if empty.

use super::{IdentityView, Person, show};
use crate::profile::{Profile, normalize};
use serde_json::{Map, Value};

/// Logto's `profile`, which has the standard claims in its own spelling.
const PROFILE: &[(&str, &str)] = &[
    ("givenName", "given_name"),
    ("familyName", "family_name"),
    ("middleName", "middle_name"),
    ("nickname", "nickname"),
    ("preferredUsername", "preferred_username"),
    ("profile", "profile"),
    ("website", "website"),
    ("gender", "gender"),
    ("birthdate", "birthdate"),
    ("zoneinfo", "zoneinfo"),
    ("locale", "locale"),
];

const ADDRESS: &[(&str, &str)] = &[
    ("formatted", "address.formatted"),
    ("streetAddress", "address.street_address"),
    ("locality", "address.locality"),
    ("region", "address.region"),
    ("postalCode", "address.postal_code"),
    ("country", "address.country"),
];

/// The user.
pub fn user(person: &Person<'_>) -> Map<String, Value> {
    let mut user = Map::new();
    let known = person.profile;
    show(&mut user, "id", person.user_id);
    show(&mut user, "username", user_name(known));
    show(&mut user, "primaryEmail", known.str("email"));
    show(&mut user, "primaryPhone", known.str("phone_number"));
    show(&mut user, "name", known.str("name"));
    show(&mut user, "avatar", normalize::sent_picture(known));
    let mut profile = texts(known, PROFILE);
    let address = texts(known, ADDRESS);
    if !address.is_empty() {
        show(&mut profile, "address", address);
    }
    if !profile.is_empty() {
        show(&mut user, "profile", profile);
    }
    show(&mut user, "lastSignInAt", person.last_login.map(|time| time.millis()));
    show(&mut user, "createdAt", person.created_at.millis());
    show(&mut user, "updatedAt", person.updated_at.millis());
    show(&mut user, "isSuspended", person.blocked);
    let listed = || person.identities.iter().filter(|view| view.provider != super::DATABASE);
    user.insert("identities".to_owned(), listed().map(|view| Value::from(identity(view))).collect());
    show(&mut user, "identity_details", listed().map(|view| Value::from(details(view))).collect::<Value>());
    show(&mut user, "custom_fields", person.custom_fields.clone());
    user
}

/// An element of `identities`: exactly these four keys (S0-2).
pub fn identity(identity: &IdentityView<'_>) -> Map<String, Value> {
    let mut shown = Map::new();
    let user_name = user_name(identity.profile).or_else(|| identity.profile.str("nickname")).unwrap_or(identity.subject);
    show(&mut shown, "provider_type", if identity.is_social { "social" } else { "enterprise" });
    show(&mut shown, "provider_name", provider_name(identity));
    show(&mut shown, "social_identity_ref", identity.subject);
    show(&mut shown, "username", user_name);
    shown
}

/// What the provider sent of the five data of S0-3.
fn details(identity: &IdentityView<'_>) -> Map<String, Value> {
    let mut shown = Map::new();
    show(&mut shown, "provider_name", provider_name(identity));
    show(&mut shown, "social_identity_ref", identity.subject);
    show(&mut shown, "name", normalize::sent_name(identity.profile, identity.subject));
    if identity.profile.bool("email_verified") == Some(true) {
        show(&mut shown, "email", identity.profile.str("email"));
    }
    show(&mut shown, "avatar", normalize::sent_picture(identity.profile));
    shown
}

fn provider_name(identity: &IdentityView<'_>) -> String {
    if identity.is_social { identity.provider } else { identity.connection }.to_uppercase()
}

fn user_name(profile: &Profile) -> Option<&str> {
    profile.str("username").or_else(|| profile.str("preferred_username"))
}

fn texts(profile: &Profile, members: &[(&str, &str)]) -> Map<String, Value> {
    let mut shown = Map::new();
    for (name, field) in members {
        show(&mut shown, name, profile.str(field));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::samples::Sample;
    use super::*;
    use serde_json::json;

    fn facebook(profile: Value) -> Value {
        let mut sample = Sample::of(profile);
        sample.identities.clear();
        sample.add("facebook", "facebook", "5110888888888888", true);
        sample.with(|person| user(person).into())
    }

    #[test]
    fn s0_1_a_social_login_is_an_entry() {
        let user = facebook(json!({"name": "John Joe"}));
        assert_eq!(user["identities"].as_array().map(Vec::len), Some(1));
        assert_eq!(user["identities"][0]["social_identity_ref"], "5110888888888888");
    }

    #[test]
    fn s0_2_an_identity_has_exactly_these_keys() {
        for profile in [json!({}), json!({"username": "johnjoe", "email": "j@x", "email_verified": true, "picture": "https://p/1.png"})] {
            let user = facebook(profile);
            let keys: Vec<&String> = user["identities"][0].as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["provider_type", "provider_name", "social_identity_ref", "username"]);
            assert_eq!(user["identities"][0]["provider_type"], "social");
            assert_eq!(user["identities"][0]["provider_name"], "FACEBOOK");
        }
    }

    #[test]
    fn s0_3_each_of_the_five_is_kept_if_the_provider_sends_it() {
        let all =
            json!({"name": "John Joe", "email": "johnjoe@x.example", "email_verified": true, "picture": "https://example.com/avatar.png"});
        let five = json!({
            "provider_name": "FACEBOOK", "social_identity_ref": "5110888888888888", "name": "John Joe", "email": "johnjoe@x.example",
            "avatar": "https://example.com/avatar.png",
        });
        assert_eq!(facebook(all)["identity_details"], json!([five]));
    }

    #[test]
    fn s0_4_what_the_provider_did_not_send_is_no_error_and_absent() {
        let user = facebook(json!({"email": "johnjoe@x.example", "email_verified": false}));
        let details = &user["identity_details"][0];
        assert_eq!((details.get("email"), details.get("avatar")), (None, None), "unverified, and a picture that nobody sent");
        assert_eq!(user["primaryEmail"], "johnjoe@x.example");
        assert_eq!((user.get("avatar"), user.get("primaryPhone"), user.get("username")), (None, None, None));
    }

    #[test]
    fn s0_5_all_linked_identities_are_listed_in_their_order() {
        let mut sample = Sample::of(json!({}));
        sample.identities.clear();
        sample.add("wechat", "wechat", "O8sU", true);
        sample.add("database", "people", "7", false);
        sample.add("facebook", "facebook", "5110", true);
        sample.add("samlp", "acme", "jane", false);
        let user = sample.with(user);
        let pairs: Vec<(&str, &str)> = user["identities"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|entry| (entry["provider_type"].as_str().expect("text"), entry["provider_name"].as_str().expect("text")))
            .collect();
        assert_eq!(pairs, [("social", "WECHAT"), ("social", "FACEBOOK"), ("enterprise", "ACME")]);
    }

    #[test]
    fn s0_8_s0_14_custom_fields_are_shown_as_they_are() {
        let mut sample = Sample::of(json!({}));
        assert_eq!(sample.with(user)["custom_fields"], json!({}));
        let fields = json!({"customDataFoo": {"foo": "foo"}, "seen": [null, ""]});
        sample.custom_fields = fields.as_object().expect("an object").clone();
        assert_eq!(sample.with(user)["custom_fields"], fields);
    }
}
