//! Laying over a profile what scripts have changed in a user (S4-19): for one transaction, never stored.
//!
//! Changes are written by Auth0's names, as scripts see the user. Of the metadata they name single members, so that what
//! scripts did not get to see, such as sealed values, stays as it is.

use crate::login::Scripted;
use crate::oidc::claims::is_reserved;
use crate::profile::{Field, Profile};
use crate::user::User;
use crate::user::metadata::Part;
use serde_json::{Map, Value};

/// What no script changes: whose the user is, and what the gateway itself says of it (S4-22).
const OF_THE_GATEWAY: &[&str] = &[
    "sub",
    "user_id",
    "identities",
    "created_at",
    "updated_at",
    "last_login",
    "last_ip",
    "logins_count",
    "blocked",
    "email_verified_by",
    "custom_fields",
];

const METADATA: [Part; 2] = [Part::UserMetadata, Part::AppMetadata];

/// The members that are different; `null` for those that are gone.
pub(super) fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    for (name, value) in after.iter().filter(|(name, value)| before.get(*name) != Some(value)) {
        match (Part::parse(name).filter(|part| METADATA.contains(part)), before.get(name), value) {
            (Some(_), was, Value::Object(is)) => {
                let nothing = Map::new();
                let was = was.and_then(Value::as_object).unwrap_or(&nothing);
                found.insert(name.clone(), Value::Object(differences(was, is)));
            }
            // Metadata are objects, or none.
            (Some(_), Some(Value::Object(was)), _) => {
                found.insert(name.clone(), gone(was));
            }
            (Some(_), ..) => {}
            (None, ..) => drop(found.insert(name.clone(), value.clone())),
        }
    }
    for (name, was) in before.iter().filter(|(name, _)| !after.contains_key(*name)) {
        let members = was.as_object().filter(|_| METADATA.iter().any(|part| part.name() == name));
        found.insert(name.clone(), members.map_or(Value::Null, gone));
    }
    found.retain(|name, _| !OF_THE_GATEWAY.contains(&name.as_str()));
    found
}

fn gone(members: &Map<String, Value>) -> Value {
    members.keys().map(|name| (name.clone(), Value::Null)).collect::<Map<_, _>>().into()
}

/// The profile with the changes.
pub(in crate::broker) fn changed_profile(members: &mut Map<String, Value>, changes: &Map<String, Value>) {
    let mut profile = Profile::from_map(std::mem::take(members));
    let (mut metadata_changes, mut additional) = (Vec::new(), Vec::new());
    for (name, value) in changes.iter().filter(|(name, _)| !OF_THE_GATEWAY.contains(&name.as_str())) {
        let field = if name == "phone_verified" { "phone_number_verified" } else { name.as_str() };
        match (metadata(name), Field::parse(field).filter(|known| !known.own && !field.contains('.'))) {
            (Some(_), _) => metadata_changes.push((name, value)),
            // A value that its field cannot take is not there for claims; the user that is shown whole has it all the same.
            (None, Some(field)) => {
                if profile.set(&field, value.clone()).is_err() {
                    let _ = profile.set(&field, Value::Null);
                }
            }
            (None, None) => additional.push((name, value)),
        }
    }
    *members = profile.into_map();
    // Additional attributes stand at the root of a user, and in one of two objects of a profile.
    for (name, value) in additional {
        let said = members.get("saml_data").is_some_and(|data| data.get(name).is_some());
        let place = if said { "saml_data" } else { "custom" };
        merge(members, place, &Value::Object(Map::from_iter([(name.clone(), value.clone())])));
    }
    for (name, value) in metadata_changes {
        merge(members, name, value);
    }
}

/// The free data with the changes.
pub(in crate::broker) fn changed_user(user: &mut User, changes: &Map<String, Value>) {
    for part in METADATA {
        if let Some(Value::Object(given)) = changes.get(part.name()) {
            merge_members(part.of_mut(user), given);
        }
    }
}

/// A user in Auth0's form with the changes, exactly as the scripts left it.
pub(in crate::broker) fn lay_over(shown: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (name, value) in changes.iter().filter(|(name, _)| !OF_THE_GATEWAY.contains(&name.as_str())) {
        match (metadata(name), value) {
            // They are in already.
            (Some(_), _) => {}
            (None, Value::Null) => drop(shown.shift_remove(name)),
            (None, value) => drop(shown.insert(name.clone(), value.clone())),
        }
    }
}

/// A user with changes that [`differences`] found, metadata member by member.
pub(super) fn laid_over(user: &Map<String, Value>, changes: &Map<String, Value>) -> Map<String, Value> {
    let mut user = user.clone();
    lay_over(&mut user, changes);
    for part in METADATA {
        if let Some(Value::Object(given)) = changes.get(part.name()) {
            let stored = user.entry(part.name()).or_insert_with(|| Value::Object(Map::new()));
            if let Some(stored) = stored.as_object_mut() {
                merge_members(stored, given);
            }
        }
    }
    user
}

/// The claims of scripts that may stand in a whole profile: whose it is they do not say.
pub(in crate::broker) fn of_the_profile(claims: &Map<String, Value>) -> Map<String, Value> {
    claims.iter().filter(|(name, _)| !OF_THE_GATEWAY.contains(&name.as_str())).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Claims with those that scripts have set. What the protocol says about itself no script can.
pub(in crate::broker) fn with_claims(claims: &mut Map<String, Value>, scripted: &Map<String, Value>) {
    for (name, value) in scripted.iter().filter(|(name, _)| !is_reserved(name)) {
        match value {
            Value::Null => drop(claims.shift_remove(name)),
            value => drop(claims.insert(name.clone(), value.clone())),
        }
    }
}

/// Paths of a profile that are not recorded where they are released: the trace has them, masked, with the script's run.
pub(in crate::broker) fn changed_names(scripted: &Scripted) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in scripted.user.keys() {
        let known = match name.as_str() {
            "phone_verified" => "phone_number_verified",
            known if Field::parse(known).is_some() => known,
            _ => {
                names.push(format!("saml_data.{name}"));
                names.push(format!("custom.{name}"));
                continue;
            }
        };
        names.push(known.to_owned());
    }
    names
}

fn metadata(name: &str) -> Option<Part> {
    METADATA.into_iter().find(|part| part.name() == name)
}

fn merge(members: &mut Map<String, Value>, name: &str, given: &Value) {
    let Value::Object(given) = given else { return };
    let stored = members.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !stored.is_object() {
        *stored = Value::Object(Map::new());
    }
    if let Value::Object(stored) = stored {
        merge_members(stored, given);
    }
    if members.get(name).and_then(Value::as_object).is_some_and(Map::is_empty) {
        members.shift_remove(name);
    }
}

fn merge_members(stored: &mut Map<String, Value>, given: &Map<String, Value>) {
    for (name, value) in given {
        match value {
            Value::Null => drop(stored.shift_remove(name)),
            value => drop(stored.insert(name.clone(), value.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    fn changed(before: Value, after: Value) -> Map<String, Value> {
        differences(&object(before), &object(after))
    }

    #[test]
    fn s4_22_what_the_gateway_says_of_a_user_is_no_scripts_to_change() {
        let before = json!({"user_id": "samlp|acme|jane", "identities": [{"user_id": "jane"}], "blocked": false, "name": "Jane"});
        let after = json!({"user_id": "x", "identities": [], "blocked": true, "logins_count": 7, "name": "J"});
        let changes = changed(before, after);
        assert_eq!(Value::Object(changes.clone()), json!({"name": "J"}));
        let mut shown = object(json!({"user_id": "a", "identities": [1]}));
        lay_over(&mut shown, &object(json!({"user_id": "b", "identities": [], "name": "J"})));
        assert_eq!(Value::Object(shown), json!({"user_id": "a", "identities": [1], "name": "J"}));
    }

    #[test]
    fn s4_19_changes_reach_the_profile_by_its_own_names() {
        let before = json!({"email": "a@b", "building": "A", "user_metadata": {"hobby": "chess", "old": 1}, "nickname": "j"});
        let after = json!({
            "email": "c@d", "building": "B", "team": "blue", "roles": ["admin"], "phone_verified": true,
            "user_metadata": {"hobby": "go"}, "app_metadata": {"plan": "gold"}
        });
        let mut profile = object(json!({
            "email": "a@b", "nickname": "j", "saml_data": {"building": ["A"]}, "user_metadata": {"hobby": "chess", "old": 1, "sealed": {"$sealed": "x"}}
        }));
        changed_profile(&mut profile, &changed(before, after));
        assert_eq!(
            Value::Object(profile),
            json!({
                "email": "c@d", "saml_data": {"building": "B"}, "custom": {"team": "blue"}, "roles": ["admin"], "phone_number_verified": true,
                "user_metadata": {"hobby": "go", "sealed": {"$sealed": "x"}}, "app_metadata": {"plan": "gold"}
            })
        );
    }

    #[test]
    fn metadata_that_are_taken_away_lose_only_what_the_script_saw() {
        let changes = changed(json!({"app_metadata": {"plan": "gold"}, "user_metadata": {"a": 1}}), json!({"user_metadata": 7}));
        let mut profile = object(json!({"app_metadata": {"plan": "gold", "key": {"$sealed": "x"}}, "user_metadata": {"a": 1}}));
        changed_profile(&mut profile, &changes);
        assert_eq!(Value::Object(profile), json!({"app_metadata": {"key": {"$sealed": "x"}}}));
    }

    #[test]
    fn no_script_can_speak_for_the_protocol() {
        let mut claims = object(json!({"sub": "jane", "email": "a@b", "name": "Jane"}));
        with_claims(&mut claims, &object(json!({"sub": "x", "iss": "y", "email": null, "https://acme.example/tier": 1})));
        assert_eq!(Value::Object(claims), json!({"sub": "jane", "name": "Jane", "https://acme.example/tier": 1}));
    }
}
