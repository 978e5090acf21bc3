//! What is always in a profile, in what form some members are kept, and how long they may be.

use super::mapping::MappingError;
use super::{Birthdate, Profile};
use crate::id::gravatar_digest;
use serde::Serialize;

/// Octets of an e-mail address and of its local part (RFC 5321 4.5.3.1; details B).
const MAX_EMAIL: usize = 254;
const MAX_LOCAL_PART: usize = 64;
/// Characters, by field.
const MAX_CHARACTERS: &[(&str, usize)] = &[("name", MAX_NAME), ("nickname", MAX_NICKNAME), ("username", 128)];
const MAX_NAME: usize = 150;
const MAX_NICKNAME: usize = 350;
/// Digits of an E.164 number.
const MAX_PHONE_DIGITS: usize = 15;
/// Where Apple's relay addresses are.
const RELAY_DOMAIN: &str = "privaterelay.appleid.com";
/// In [`FilledIn::from`]: the person's identifier at the connection.
pub const SUBJECT: &str = "subject";

/// What [`normalize`] did beyond what was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Normalized {
    pub filled_in: Vec<FilledIn>,
    /// Fields whose value had no form that the profile can hold, and why. Never contains the value.
    pub dropped: Vec<(&'static str, &'static str)>,
}

/// A member that the gateway filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FilledIn {
    pub field: &'static str,
    /// The fields from which it was made, or [`SUBJECT`]. Empty: from none, it is the gateway's own word.
    pub from: &'static [&'static str],
}

/// Fills in `name`, `nickname`, `picture` and `user_id` (S1-1), `email_verified` and `proxied_email`; brings gender, birth
/// date and telephone number into the form of OpenID Connect; checks the limits. Says what it did.
///
/// `subject` is the person's identifier at the connection, of any length: the name of last resort.
pub fn normalize(profile: &mut Profile, user_id: &str, subject: &str) -> Result<Normalized, MappingError> {
    check_limits(profile)?;
    let mut done = Normalized::default();
    normalize_gender(profile);
    normalize_birthdate(profile, &mut done);
    normalize_phone_number(profile, &mut done);
    if profile.str("email").is_some() && profile.bool("email_verified").is_none() {
        // Details A: the identity provider's word; where there is none, false.
        done.fill(profile, "email_verified", false, &[]);
    }
    if let Some(email) = profile.str("email").filter(|email| is_relay(profile, email)).map(str::to_owned)
        && profile.str("proxied_email").is_none()
    {
        done.fill(profile, "proxied_email", email, &["email"]);
    }
    if profile.str("name").is_none() {
        let (name, from) = default_name(profile, subject);
        done.fill(profile, "name", name, from);
    }
    if profile.str("nickname").is_none() {
        let (nickname, from) = default_nickname(profile, subject);
        done.fill(profile, "nickname", nickname, from);
    }
    if profile.str("picture").is_none() {
        let (picture, from) = default_picture(profile);
        done.fill(profile, "picture", picture, from);
    }
    done.fill(profile, "user_id", user_id, &[]);
    Ok(done)
}

impl Normalized {
    fn fill(&mut self, profile: &mut Profile, field: &'static str, value: impl Into<serde_json::Value>, from: &'static [&'static str]) {
        put(profile, field, value);
        self.filled_in.push(FilledIn { field, from });
    }
}

/// A picture that somebody sent, and not the one that [`normalize`] fills in.
pub(super) fn sent_picture(profile: &Profile) -> Option<&str> {
    profile.str("picture").filter(|picture| *picture != default_picture(profile).0)
}

/// A name that says more than an identifier: not merely the user name, an address or the subject, with which [`normalize`]
/// fills in where there is no name.
pub(super) fn sent_name<'p>(profile: &'p Profile, subject: &str) -> Option<&'p str> {
    let name = profile.str("name")?;
    let identifiers = ["preferred_username", "username", "email", "upn"].into_iter().filter_map(|field| profile.str(field));
    let made_up = identifiers.chain([subject]).any(|identifier| name == shortened(identifier, MAX_NAME));
    (!made_up).then_some(name)
}

/// A nickname that is not the one that [`normalize`] fills in. A provider whose nickname is the same is not told apart.
pub(super) fn sent_nickname<'p>(profile: &'p Profile, subject: &str) -> Option<&'p str> {
    let (made_up, from) = default_nickname(profile, subject);
    // The name may itself have been made from the nickname.
    let is_sent = from == ["name"] && sent_name(profile, subject).is_some();
    profile.str("nickname").filter(|nickname| is_sent || *nickname != made_up)
}

/// `male`, `female`, or the text as it came. Read are words and ISO/IEC 5218, which is also schacGender.
pub(super) fn gender(text: &str) -> &str {
    match text.trim().to_ascii_lowercase().as_str() {
        "m" | "male" | "man" | "1" => "male",
        "f" | "female" | "woman" | "2" => "female",
        "u" | "unknown" | "0" => "unknown",
        "9" => "not applicable",
        _ => text,
    }
}

/// Is everything within the limits of a profile? The error names the first member that is not.
pub fn check_limits(profile: &Profile) -> Result<(), MappingError> {
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
    for (field, limit) in MAX_CHARACTERS {
        if profile.str(field).is_some_and(|text| text.chars().count() > *limit) {
            return Err(MappingError::limit(field, format!("is longer than {limit} characters")));
        }
    }
    Ok(())
}

fn normalize_gender(profile: &mut Profile) {
    if let Some(gender) = profile.str("gender").map(|text| gender(text).to_owned()) {
        put(profile, "gender", gender);
    }
}

/// A text of which day and month would have to be guessed is no birth date and is dropped: an application may rely on
/// the form (OpenID Connect Core 5.1). Whoever wants the text as it came maps it to `custom`.
fn normalize_birthdate(profile: &mut Profile, done: &mut Normalized) {
    let Some(text) = profile.str("birthdate") else { return };
    match Birthdate::parse(text) {
        Some(date) => put(profile, "birthdate", date.to_string()),
        None => {
            put(profile, "birthdate", serde_json::Value::Null);
            done.dropped.push(("birthdate", "is not a date of the form YYYY-MM-DD"));
        }
    }
}

/// An international number loses its visual separators (RFC 3966 5.1.1), after which it is E.164. Any other form, such as a
/// national number or one with an extension, stays as it came, but then nobody has verified an E.164 number.
fn normalize_phone_number(profile: &mut Profile, done: &mut Normalized) {
    let Some(text) = profile.str("phone_number") else { return };
    let plain: String = text.trim().chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    if is_e164(&plain) {
        put(profile, "phone_number", plain);
    } else if profile.bool("phone_number_verified") == Some(true) {
        done.fill(profile, "phone_number_verified", false, &[]);
    }
}

/// `^\+[0-9]{1,15}$` (details B).
fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    (1..=MAX_PHONE_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// S2-19: there is a relay address where the e-mail address was asked for at all (there is one), and the person allowed it
/// and chose the relay: the provider says so, or the domain does.
fn is_relay(profile: &Profile, email: &str) -> bool {
    profile.bool("is_private_email") == Some(true)
        || email.rsplit_once('@').is_some_and(|(_, domain)| domain.eq_ignore_ascii_case(RELAY_DOMAIN))
}

fn default_name(profile: &Profile, subject: &str) -> (String, &'static [&'static str]) {
    let (name, from): (_, &'static [&'static str]) = match (profile.str("given_name"), profile.str("family_name")) {
        (Some(given), Some(family)) => (format!("{given} {family}"), &["given_name", "family_name"]),
        (Some(given), None) => (given.to_owned(), &["given_name"]),
        (None, Some(family)) => (family.to_owned(), &["family_name"]),
        (None, None) => {
            let (name, from) = first(profile, &[&["preferred_username"], &["username"], &["nickname"], &["email"], &["upn"]])
                .unwrap_or((subject, &[SUBJECT]));
            (name.to_owned(), from)
        }
    };
    (shortened(&name, MAX_NAME), from)
}

/// S1-2: the local part of the e-mail address.
fn default_nickname(profile: &Profile, subject: &str) -> (String, &'static [&'static str]) {
    let local_part = profile.str("email").and_then(|email| email.rsplit_once('@')).map(|(local, _)| (local, &["email"] as &[_]));
    let (nickname, from) = local_part
        .or_else(|| first(profile, &[&["preferred_username"], &["username"], &["given_name"], &["name"]]))
        .unwrap_or((subject, &[SUBJECT]));
    (shortened(nickname, MAX_NICKNAME), from)
}

/// S1-3: the Gravatar image of the e-mail address; without one, Gravatar's figure for nobody in particular.
fn default_picture(profile: &Profile) -> (String, &'static [&'static str]) {
    match profile.str("email") {
        Some(email) => (format!("https://www.gravatar.com/avatar/{}?s=480&r=pg&d=mp", gravatar_digest(email)), &["email"]),
        None => ("https://www.gravatar.com/avatar/?s=480&d=mp".to_owned(), &[]),
    }
}

/// The first of these fields that is there; each stands in a list of its own, which is then what was used.
fn first<'p>(profile: &'p Profile, fields: &[&'static [&'static str]]) -> Option<(&'p str, &'static [&'static str])> {
    fields.iter().find_map(|field| Some((profile.str(field.first()?)?, *field)))
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
    use serde_json::{Map, json};

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
    fn s2_3_subjects_of_any_length_are_taken() {
        let subject = "o".repeat(5000);
        let mut profile = Profile::new();
        normalize(&mut profile, &format!("wechat|wechat|{subject}"), &subject).expect("a long subject is no fault");
        assert!(profile.str("user_id").is_some_and(|user_id| user_id.ends_with(&subject)));
        assert_eq!((profile.str("name").map(str::len), profile.str("nickname").map(str::len)), (Some(MAX_NAME), Some(MAX_NAME)));
        assert_eq!((sent_name(&profile, &subject), sent_nickname(&profile, &subject)), (None, None));
    }

    #[test]
    fn details_b_a_username_has_at_most_128_characters() {
        assert!(!refused(json!({"username": "ü".repeat(128)})));
        assert!(refused(json!({"username": "ü".repeat(129)})));
    }

    #[test]
    fn details_b_only_an_e164_number_can_be_verified() {
        for (sent, kept) in [("+4315880", "+4315880"), ("+43 (1) 588-01", "+43158801"), ("+1.425.555.1212", "+14255551212")] {
            let profile = normalized(json!({"phone_number": sent, "phone_number_verified": true}));
            assert_eq!(profile.str("phone_number"), Some(kept));
            assert_eq!(profile.bool("phone_number_verified"), Some(true), "{sent}");
        }
        for other in ["01 58801", "+1 (604) 555-1234;ext=5678", "+", "+1234567890123456", "+43x", "tel:+431"] {
            let profile = normalized(json!({"phone_number": other, "phone_number_verified": true}));
            assert_eq!(profile.str("phone_number"), Some(other), "it is kept as it came");
            assert_eq!(profile.bool("phone_number_verified"), Some(false), "{other}");
            assert_eq!(normalized(json!({"phone_number": other})).get("phone_number_verified"), None, "{other}");
        }
    }

    #[test]
    fn s2_13_gender_is_kept_in_the_words_of_openid_connect() {
        for (sent, kept) in [("M", "male"), ("Woman", "female"), ("1", "male"), ("2", "female"), ("0", "unknown"), ("9", "not applicable")]
        {
            assert_eq!(normalized(json!({"gender": sent})).str("gender"), Some(kept), "{sent}");
        }
        assert_eq!(normalized(json!({"gender": "diverse"})).str("gender"), Some("diverse"));
        assert_eq!(normalized(json!({})).get("gender"), None);
    }

    #[test]
    fn s2_14_a_birth_date_is_kept_in_the_form_of_openid_connect_or_not_at_all() {
        assert_eq!(normalized(json!({"birthdate": "19660412"})).str("birthdate"), Some("1966-04-12"));
        let mut profile = Profile::from_map(Map::from_iter([("birthdate".to_owned(), json!("04/05/1966"))]));
        let done = normalize(&mut profile, "u", "s").expect("within the limits");
        assert_eq!(profile.get("birthdate"), None);
        assert_eq!(done.dropped, [("birthdate", "is not a date of the form YYYY-MM-DD")]);
    }

    #[test]
    fn s2_19_a_relay_address_is_also_the_proxied_email() {
        for members in [json!({"email": "x7@PrivateRelay.AppleID.com"}), json!({"email": "j@relay.example", "is_private_email": true})] {
            let profile = normalized(members);
            assert!(profile.str("email").is_some());
            assert_eq!(profile.get("proxied_email"), profile.get("email"));
        }
        for members in [
            json!({"email": "j@apple.example"}),
            json!({"email": "j@apple.example", "is_private_email": false}),
            json!({"email": "j@privaterelay.appleid.com.evil.example"}),
            json!({"is_private_email": true}),
        ] {
            assert_eq!(normalized(members.clone()).get("proxied_email"), None, "{members}");
        }
    }

    #[test]
    fn what_was_filled_in_is_told_and_recognized() {
        let mut profile = Profile::from_map(Map::from_iter([("email".to_owned(), json!("jane.doe@x"))]));
        let done = normalize(&mut profile, "samlp|acme|jane", "jane").expect("within the limits");
        let from = |field: &str| done.filled_in.iter().find(|filled| filled.field == field).map(|filled| filled.from);
        assert_eq!(from("name"), Some(&["email"] as &[_]));
        assert_eq!(from("nickname"), Some(&["email"] as &[_]));
        assert_eq!(from("picture"), Some(&["email"] as &[_]));
        assert_eq!((from("email_verified"), from("user_id")), (Some(&[] as &[_]), Some(&[] as &[_])));
        assert_eq!((from("email"), from("proxied_email")), (None, None));
        assert_eq!((sent_picture(&profile), sent_nickname(&profile, "jane")), (None, None));
        let again = normalize(&mut profile, "samlp|acme|jane", "jane").expect("within the limits");
        assert_eq!(again.filled_in.len(), 1, "only the user_id is set again");

        let sent = normalized(json!({"nickname": "J", "picture": "https://p/x.png"}));
        assert_eq!((sent_picture(&sent), sent_nickname(&sent, "jane")), (Some("https://p/x.png"), Some("J")));
        assert_eq!(sent_name(&sent, "jane"), Some("J"));
        for nameless in [json!({}), json!({"email": "j@x"}), json!({"upn": "j@x"}), json!({"username": "j", "email": "k@x"})] {
            let profile = normalized(nameless.clone());
            assert_eq!((sent_name(&profile, "jane"), sent_nickname(&profile, "jane")), (None, None), "{nameless}");
        }
    }

    #[test]
    fn s4_10_user_id_is_provider_and_unique_id() {
        // `normalize` keeps the form that `user::Identity::user_id_for_new_user` gives, whatever a table said.
        assert_eq!(normalized(json!({"user_id": "forged"})).str("user_id"), Some("samlp|acme|jane"));
    }
}
