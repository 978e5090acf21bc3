//! The account and the Identity object of SAP Customer Data Cloud, formerly Gigya (S2, details M).
//!
//! `MEMBERS` is the table: their member, our field, the form. What has no field is not there; a value that cannot take
//! the form is not there either. What the specification leaves open:
//! - `provider` is unique together with `providerUID`, so a kind of provider of which there can be many carries the name of
//!   its connection, in lower case: `saml-acme` (as Gigya itself names them), `oidc-acme`, `ldap-acme`. Accounts of a
//!   database connection are `site`, Gigya's name for its own.
//! - `providerUIDSig` comes with the time that was signed, as `signatureTimestamp`: Unix seconds in a text, the name and the
//!   type that Gigya's SDKs have for the time of `UIDSignature`. With signing on, the account has these two also.
//! - `nickname` is the provider's, else first and last name, else the name. The ones that our profile has for want of
//!   others are not shown, nor is the made-up picture.
//! - `address` is the street, else the whole address in one text; the rest of it has members of its own.
//! - `phones` is the list, else the one telephone number. Where Gigya has an array of objects and the provider sent mere
//!   texts, each becomes the principal member of an object: `{"number": "+431"}`.
//! - `missingPermissions` is joined by comma and space, as in Gigya's own sample, `languages` and `honors` by a comma.
//! - An account shows the identity of the login in question, or else of the latest login; all only if asked for. Its
//!   times are in milliseconds, as Gigya answers them, only `lastLoginTime` is in seconds (S2-10).
//! - `data` are the custom fields. The metadata objects, registration and consent have no place here.

use super::{DATABASE, DialectOptions, IdentityView, Person, iso_8601, show};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::keys::PartnerSecret;
use crate::profile::{Birthdate, Profile, is_nothing, normalize};
use crate::secret::Secret;
use serde_json::{Map, Value, json};

/// `likes` has at most these many (S2-15).
const MAX_LIKES: usize = 100;

/// The form that a field takes.
#[derive(Clone, Copy, Debug)]
enum Form {
    Text,
    Flag,
    Number,
    Integer,
    /// The texts of a list, joined by this.
    Joined(&'static str),
    /// A list of objects; what is none becomes this member of one.
    Objects(&'static str),
    Object,
}

/// Members of an Identity and of an account's profile: name, field, form. Those that take more than this are in
/// [`person_members`].
#[rustfmt::skip]
const MEMBERS: &[(&str, &str, Form)] = &[
    ("thumbnailURL", "thumbnail", Form::Text), ("firstName", "given_name", Form::Text), ("lastName", "family_name", Form::Text),
    ("age", "age", Form::Number), ("email", "email", Form::Text), ("country", "address.country", Form::Text),
    ("state", "address.region", Form::Text), ("city", "address.locality", Form::Text), ("zip", "address.postal_code", Form::Text),
    ("profileURL", "profile", Form::Text), ("locale", "locale", Form::Text), ("timezone", "zoneinfo", Form::Text),
    ("hometown", "hometown", Form::Text), ("languages", "languages", Form::Joined(",")), ("honors", "honors", Form::Joined(",")),
    ("education", "education", Form::Objects("school")), ("publications", "publications", Form::Objects("title")),
    ("patents", "patents", Form::Objects("title")), ("certifications", "certifications", Form::Objects("name")),
    ("work", "work", Form::Objects("company")), ("skills", "skills", Form::Objects("skill")), ("favorites", "favorites", Form::Object),
    ("likes", "likes", Form::Objects("name")), ("professionalHeadline", "headline", Form::Text), ("bio", "bio", Form::Text),
    ("industry", "industry", Form::Text), ("specialties", "specialties", Form::Text), ("religion", "religion", Form::Text),
    ("politicalView", "political_view", Form::Text), ("interestedIn", "interested_in", Form::Text),
    ("relationshipStatus", "relationship_status", Form::Text), ("followersCount", "followers_count", Form::Integer),
    ("followingCount", "following_count", Form::Integer), ("verified", "email_verified", Form::Flag), ("samlData", "saml_data", Form::Object),
];

/// Members of an Identity only.
const OF_AN_IDENTITY: &[(&str, &str, Form)] =
    &[("proxiedEmail", "proxied_email", Form::Text), ("missingPermissions", "missing_permissions", Form::Joined(", "))];

/// Signs identifiers as Gigya does with `signIDs` (S2-5): HMAC-SHA-1 under the partner's secret, which is decoded first.
#[derive(Clone, Debug)]
pub struct GigyaSigner(PartnerSecret);

impl GigyaSigner {
    /// From the secret in BASE64, as the partner has it.
    pub fn from_base64(secret: &Secret<String>) -> Result<Self> {
        PartnerSecret::from_base64(secret).map(Self)
    }

    /// `providerUIDSig`. `provider` as it is shown.
    pub fn sign_provider_uid(&self, time: Timestamp, provider: &str, provider_uid: &str) -> Result<String> {
        self.0.hmac_sha1(&format!("{}_{provider}_{provider_uid}", time.seconds()))
    }

    /// `UIDSignature`.
    pub fn sign_uid(&self, time: Timestamp, uid: &str) -> Result<String> {
        self.0.hmac_sha1(&format!("{}_{uid}", time.seconds()))
    }
}

/// The account, as `accounts.getAccountInfo` answers it.
pub fn account(person: &Person<'_>, options: &DialectOptions<'_>) -> Map<String, Value> {
    let mut account = Map::new();
    show(&mut account, "UID", person.user_id);
    sign(&mut account, "UIDSignature", options, |signer| signer.sign_uid(options.now, person.user_id));
    let login = login_identity(person);
    if let Some(login) = login.and_then(|at| person.identities.get(at)) {
        show(&mut account, "loginProvider", provider(login));
        show(&mut account, "loginProviderUID", login.subject);
    }
    show(&mut account, "socialProviders", providers(person));
    show(&mut account, "isActive", !person.blocked);
    show(&mut account, "isVerified", person.profile.bool("email_verified") == Some(true));
    time(&mut account, "created", Some(person.created_at));
    time(&mut account, "lastLogin", person.last_login);
    time(&mut account, "lastUpdated", Some(person.updated_at));
    let subject = person.identities.first().map_or("", |primary| primary.subject);
    show(&mut account, "profile", person_members(person.profile, subject));
    let shown = person.identities.iter().enumerate().filter(|(at, _)| options.include_all_identities || Some(*at) == login);
    let identities: Vec<Value> = shown
        .map(|(at, view)| {
            // Exactly one identity began a session (S2-6), whatever the views say.
            let is_login_identity = view.is_login_identity && Some(at) == login;
            identity(&IdentityView { is_login_identity, ..view.clone() }, options).into()
        })
        .collect();
    show(&mut account, "identities", identities);
    show(&mut account, "data", person.custom_fields.clone());
    account
}

/// The Identity object.
pub fn identity(identity: &IdentityView<'_>, options: &DialectOptions<'_>) -> Map<String, Value> {
    let mut shown = Map::new();
    let provider = provider(identity);
    sign(&mut shown, "providerUIDSig", options, |signer| signer.sign_provider_uid(options.now, &provider, identity.subject));
    show(&mut shown, "provider", provider);
    show(&mut shown, "providerUID", identity.subject);
    show(&mut shown, "mappedProviderUIDs", mapped_provider_uids(identity.profile));
    show(&mut shown, "isLoginIdentity", identity.is_login_identity);
    show(&mut shown, "allowsLogin", identity.allows_login);
    if options.include_all_identities {
        show(&mut shown, "isExpiredSession", identity.expired_session);
    }
    show(&mut shown, "lastLoginTime", identity.last_login.seconds());
    time(&mut shown, "lastUpdated", Some(identity.last_updated));
    shown.append(&mut person_members(identity.profile, identity.subject));
    add_members(&mut shown, identity.profile, OF_AN_IDENTITY);
    shown
}

/// The birth date in our form from Gigya's three numbers (S2-14). `None` when there is no such day, or nothing to tell.
pub fn birthdate_from_parts(day: Option<u32>, month: Option<u32>, year: Option<u32>) -> Option<String> {
    Birthdate::from_parts(day, month, year).map(|date| date.to_string())
}

/// The provider's name in lower case (S2-2).
fn provider(identity: &IdentityView<'_>) -> String {
    let name = match identity.provider {
        social if identity.is_social => social.to_owned(),
        DATABASE => "site".to_owned(),
        "samlp" => format!("saml-{}", identity.connection),
        other => format!("{other}-{}", identity.connection),
    };
    name.to_lowercase()
}

/// Each provider once, in the order of the identities.
fn providers(person: &Person<'_>) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in person.identities.iter().map(provider) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(",")
}

/// Where in `identities` the one of the login stands: of the session in question, else of the latest login.
fn login_identity(person: &Person<'_>) -> Option<usize> {
    let identities = || person.identities.iter().enumerate();
    let of_the_session = identities().find(|(_, view)| view.is_login_identity);
    // Of several at the same time, the first.
    let latest = || identities().rev().max_by_key(|(_, view)| view.last_login);
    of_the_session.or_else(latest).map(|(at, _)| at)
}

/// A signature and the time that it signs; neither, if signing is off.
fn sign(object: &mut Map<String, Value>, name: &str, options: &DialectOptions<'_>, sign: impl Fn(&GigyaSigner) -> Result<String>) {
    let Some(signature) = options.sign_ids.and_then(|signer| sign(signer).ok()) else { return };
    show(object, name, signature);
    show(object, "signatureTimestamp", options.now.seconds().to_string());
}

/// `created` in ISO 8601 and `createdTimestamp` in milliseconds.
fn time(object: &mut Map<String, Value>, name: &str, time: Option<Timestamp>) {
    show(object, name, time.map(iso_8601));
    show(object, &format!("{name}Timestamp"), time.map(Timestamp::millis));
}

/// What is known of a person, in an Identity and in an account's profile alike.
fn person_members(profile: &Profile, subject: &str) -> Map<String, Value> {
    let mut shown = Map::new();
    show(&mut shown, "nickname", nickname(profile, subject));
    show(&mut shown, "photoURL", normalize::sent_picture(profile));
    show(&mut shown, "gender", profile.str("gender").map(gender));
    let born = profile.str("birthdate").and_then(Birthdate::parse);
    show(&mut shown, "birthDay", born.and_then(Birthdate::day));
    show(&mut shown, "birthMonth", born.and_then(Birthdate::month));
    show(&mut shown, "birthYear", born.and_then(Birthdate::year));
    show(&mut shown, "address", first_text(profile, &["address.street_address", "address.formatted"]));
    show(&mut shown, "username", first_text(profile, &["username", "preferred_username"]));
    show(&mut shown, "phones", phones(profile));
    add_members(&mut shown, profile, MEMBERS);
    if let Some(Value::Array(likes)) = shown.get_mut("likes") {
        likes.truncate(MAX_LIKES);
    }
    shown
}

fn add_members(shown: &mut Map<String, Value>, profile: &Profile, members: &[(&str, &str, Form)]) {
    for (name, field, form) in members {
        show(shown, name, profile.get(field).and_then(|value| form.of(value)));
    }
}

impl Form {
    fn of(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Text, Value::String(_)) | (Self::Flag, Value::Bool(_)) | (Self::Number, Value::Number(_)) => Some(value.clone()),
            (Self::Integer, Value::Number(number)) => integer(number).map(Value::from),
            (Self::Joined(separator), Value::Array(items)) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                Some(texts.join(separator).into())
            }
            (Self::Objects(member), Value::Array(items)) => {
                Some(items.iter().filter(|item| !is_nothing(item)).map(|item| object(member, item)).collect())
            }
            (Self::Object, Value::Object(_)) => Some(value.clone()),
            _ => None,
        }
    }
}

fn integer(number: &serde_json::Number) -> Option<i64> {
    // A count that came as 12.0 is one; doubles count exactly up to 2^53.
    let whole = |float: &f64| float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0;
    number.as_i64().or_else(|| number.as_f64().filter(whole).map(|float| float as i64))
}

fn object(member: &str, item: &Value) -> Value {
    if item.is_object() { item.clone() } else { json!({ member: item }) }
}

/// S2-7.
fn nickname(profile: &Profile, subject: &str) -> Option<String> {
    if let Some(nickname) = normalize::sent_nickname(profile, subject) {
        return Some(nickname.to_owned());
    }
    let names: Vec<&str> = ["given_name", "family_name"].into_iter().filter_map(|field| profile.str(field)).collect();
    if names.is_empty() { normalize::sent_name(profile, subject).map(str::to_owned) } else { Some(names.join(" ")) }
}

/// S2-13.
fn gender(text: &str) -> &'static str {
    match normalize::gender(text) {
        "male" => "m",
        "female" => "f",
        _ => "u",
    }
}

fn first_text<'p>(profile: &'p Profile, fields: &[&str]) -> Option<&'p str> {
    fields.iter().find_map(|field| profile.str(field).filter(|text| !text.trim().is_empty()))
}

fn phones(profile: &Profile) -> Option<Value> {
    let several = profile.get("phones").and_then(|phones| Form::Objects("number").of(phones)).filter(|phones| !is_nothing(phones));
    several.or_else(|| profile.str("phone_number").map(|number| json!([{ "number": number }])))
}

/// S2-4: our `{provider_uid, api_key}`.
fn mapped_provider_uids(profile: &Profile) -> Option<Value> {
    let items = profile.get("mapped_provider_uids")?.as_array()?;
    let mapped = items.iter().filter_map(|item| {
        let mut shown = Map::new();
        show(&mut shown, "providerUID", item.get("provider_uid").and_then(Value::as_str));
        show(&mut shown, "apiKey", item.get("api_key").and_then(Value::as_str));
        (!shown.is_empty()).then_some(Value::Object(shown))
    });
    Some(mapped.collect())
}

#[cfg(test)]
#[path = "gigya_tests.rs"]
mod tests;
