//! What is always in a profile, and how long its members may be.

use super::Profile;
use super::mapping::MappingError;
use crate::id::gravatar_digest;

/// Octets of an e-mail address and of its local part (RFC 5321 4.5.3.1; details B).
const MAX_EMAIL: usize = 254;
const MAX_LOCAL_PART: usize = 64;
/// Characters.
const MAX_NAME: usize = 150;
const MAX_NICKNAME: usize = 350;

/// Fills in `name`, `nickname`, `picture` and `user_id` (S1-1) and `email_verified`, and checks the limits.
///
/// `subject` is the person's identifier at the connection: the name of last resort.
pub fn normalize(profile: &mut Profile, user_id: &str, subject: &str) -> Result<(), MappingError> {
    check_limits(profile)?;
    if profile.str("email").is_some() && profile.bool("email_verified").is_none() {
        // Details A: the identity provider's word; where there is none, false.
        put(profile, "email_verified", false);
    }
    if profile.str("name").is_none() {
        let name = default_name(profile, subject);
        put(profile, "name", shortened(&name, MAX_NAME));
    }
    if profile.str("nickname").is_none() {
        let nickname = default_nickname(profile, subject);
        put(profile, "nickname", shortened(&nickname, MAX_NICKNAME));
    }
    if profile.str("picture").is_none() {
        let picture = default_picture(profile);
        put(profile, "picture", picture);
    }
    put(profile, "user_id", user_id);
    Ok(())
}

fn check_limits(profile: &Profile) -> Result<(), MappingError> {
    if let Some(email) = profile.str("email") {
        let Some((local, domain)) = email.rsplit_once('@') else {
            return Err(MappingError::limit("email", "is not an e-mail address".into()));
        };
        let blank = email.chars().any(|c| c.is_whitespace() || c.is_control());
        if local.is_empty() || domain.is_empty() || blank {
            return Err(MappingError::limit("email", "is not an e-mail address".into()));
        }
        if email.len() > MAX_EMAIL || local.len() > MAX_LOCAL_PART {
            let text = format!("is longer than {MAX_EMAIL} octets, or its local part longer than {MAX_LOCAL_PART}");
            return Err(MappingError::limit("email", text));
        }
    }
    for (field, limit) in [("name", MAX_NAME), ("nickname", MAX_NICKNAME)] {
        if profile.str(field).is_some_and(|text| text.chars().count() > limit) {
            return Err(MappingError::limit(field, format!("is longer than {limit} characters")));
        }
    }
    Ok(())
}

fn default_name(profile: &Profile, subject: &str) -> String {
    let parts: Vec<&str> = ["given_name", "family_name"].into_iter().filter_map(|field| profile.str(field)).collect();
    if !parts.is_empty() {
        return parts.join(" ");
    }
    first(profile, &["preferred_username", "username", "nickname", "email", "upn"]).unwrap_or(subject).to_owned()
}

/// S1-2: the local part of the e-mail address.
fn default_nickname(profile: &Profile, subject: &str) -> String {
    let local_part = profile.str("email").and_then(|email| email.rsplit_once('@')).map(|(local, _)| local);
    local_part.or_else(|| first(profile, &["preferred_username", "username", "given_name", "name"])).unwrap_or(subject).to_owned()
}

/// S1-3: the Gravatar image of the e-mail address; without one, Gravatar's figure for nobody in particular.
fn default_picture(profile: &Profile) -> String {
    match profile.str("email") {
        Some(email) => format!("https://www.gravatar.com/avatar/{}?s=480&r=pg&d=mp", gravatar_digest(email)),
        None => "https://www.gravatar.com/avatar/?s=480&d=mp".to_owned(),
    }
}

fn first<'p>(profile: &'p Profile, fields: &[&str]) -> Option<&'p str> {
    fields.iter().find_map(|field| profile.str(field))
}

fn shortened(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}

fn put(profile: &mut Profile, field: &str, value: impl Into<serde_json::Value>) {
    // The fields named in this file are known, and get values of their kinds.
    let _ = profile.set_named(field, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn normalized(members: serde_json::Value) -> Profile {
        let mut profile = Profile::from_map(members.as_object().expect("an object").clone());
        normalize(&mut profile, "samlp|acme|jane", "jane").expect("within the limits");
        profile
    }

    fn refused(members: serde_json::Value) -> bool {
        let mut profile = Profile::from_map(members.as_object().expect("an object").clone());
        normalize(&mut profile, "samlp|acme|jane", "jane").is_err()
    }

    #[test]
    fn s1_1_name_nickname_picture_and_user_id_are_always_there() {
        let profile = normalized(json!({}));
        assert_eq!(profile.str("name"), Some("jane"));
        assert_eq!(profile.str("nickname"), Some("jane"));
        assert_eq!(profile.str("user_id"), Some("samlp|acme|jane"));
        assert!(profile.str("picture").is_some_and(|url| url.starts_with("https://")));
    }

    #[test]
    fn s1_2_the_nickname_is_the_local_part_of_the_email() {
        assert_eq!(normalized(json!({"email": "jane.doe@x"})).str("nickname"), Some("jane.doe"));
        assert_eq!(normalized(json!({"email": "jane.doe@x", "nickname": "J"})).str("nickname"), Some("J"));
    }

    #[test]
    fn s1_3_the_picture_is_the_gravatar_of_the_email() {
        // printf myemailaddress@example.com | md5sum
        let gravatar = "https://www.gravatar.com/avatar/0bc83cb571cd1c50ba6f3e8a78ef1346?s=480&r=pg&d=mp";
        assert_eq!(normalized(json!({"email": "MyEmailAddress@example.com"})).str("picture"), Some(gravatar));
        assert_eq!(normalized(json!({"email": "a@b", "picture": "https://p/x.png"})).str("picture"), Some("https://p/x.png"));
    }

    #[test]
    fn s1_7_what_the_provider_did_not_send_is_absent() {
        let profile = normalized(json!({"email": null, "given_name": ""}));
        for field in ["email", "email_verified", "given_name", "family_name"] {
            assert_eq!(profile.get(field), None, "{field}");
        }
    }

    #[test]
    fn details_a_an_email_is_unverified_unless_the_provider_says_so() {
        assert_eq!(normalized(json!({"email": "a@b"})).bool("email_verified"), Some(false));
        assert_eq!(normalized(json!({"email": "a@b", "email_verified": true})).bool("email_verified"), Some(true));
    }

    #[test]
    fn details_b_limits_are_errors_for_what_was_sent_and_cuts_for_what_was_made_up() {
        assert!(!refused(json!({"email": format!("{}@{}.example", "a".repeat(64), "b".repeat(100))})));
        assert!(refused(json!({"email": format!("{}@b.example", "a".repeat(65))})));
        assert!(refused(json!({"email": format!("a@{}", "b".repeat(253))})));
        for email in ["jane", "@b", "a@", "a b@c", "a\n@c"] {
            assert!(refused(json!({"email": email})), "{email}");
        }
        assert!(refused(json!({"name": "x".repeat(151)})));
        assert!(refused(json!({"nickname": "x".repeat(351)})));
        let mut profile = Profile::new();
        normalize(&mut profile, "u", &"é".repeat(300)).expect("a long subject is no fault");
        assert_eq!(profile.str("name").map(|name| name.chars().count()), Some(150));
    }

    #[test]
    fn s4_10_user_id_is_provider_and_unique_id() {
        // `normalize` keeps the form that `user::Identity::user_id_for_new_user` gives, whatever a table said.
        assert_eq!(normalized(json!({"user_id": "forged"})).str("user_id"), Some("samlp|acme|jane"));
    }
}
