//! The keys that sign ID tokens, and those that SAML signs and decrypts with.

use super::call::{Call, Reply};
use super::problem::Refusal;
use super::shape::{Kind, Shape, may, must};
use super::stored;
use super::{Answer, Body, Operation};
use crate::broker::admin::signing::{self, GRACE_DAYS, Rotation, SigningKey, SigningKeys, When};
use crate::clock::Timestamp;
use crate::error::ErrorKind;
use crate::keys::{Purpose, parse_certificate};
use openssl::hash::MessageDigest;
use serde_json::{Map, Value, json};

const KEY: Shape = Shape {
    name: "SigningKey",
    members: &[
        must("kid", Kind::Text(1, 100), "As in the JWKS; for SAML the SHA-256 of the public key"),
        must("cert", Kind::Text(1, 20_000), "Certificate, PEM"),
        must("purpose", Kind::OneOf(PURPOSES), "What it is for"),
        must("state", Kind::OneOf(&["active", "next", "previous", "over", "revoked"]), "Where it stands"),
        must("current", Kind::Boolean, "It signs"),
        must("next", Kind::Boolean, "It is published, and will sign"),
        must("previous", Kind::Boolean, "It has signed, and is published as long as it is not revoked"),
        must("revoked", Kind::Boolean, "It is not published any more"),
        may("current_since", Kind::Formatted("date-time", 40), ""),
        may("current_until", Kind::Formatted("date-time", 40), ""),
        may("kept_until", Kind::Formatted("date-time", 40), "A previous SAML key is good until then"),
        may("published_at", Kind::Formatted("date-time", 40), ""),
        may("expires_at", Kind::Formatted("date-time", 40), "The end of its certificate"),
        may("revoked_at", Kind::Formatted("date-time", 40), ""),
        may("fingerprint", Kind::Text(1, 100), "SHA-1 of the certificate"),
        may("thumbprint", Kind::Text(1, 100), "The same without colons"),
    ],
    open: true,
    example: r#"{"kid": "TqCnkYmpvzDjiRC6hE4Zb2M2_kdVlDtCPW1jAeBWXKU", "cert": "-----BEGIN CERTIFICATE-----..", "purpose": "oidc-rs256", "state": "active", "current": true, "next": false, "previous": false, "revoked": false}"#,
};

const CHANGED: Shape = Shape {
    name: "SigningKeyChanged",
    members: &[
        must("kid", Kind::Text(1, 100), ""),
        must("cert", Kind::Text(1, 20_000), "Certificate, PEM"),
        must("purpose", Kind::OneOf(PURPOSES), "What it is for"),
        may("current_since", Kind::Formatted("date-time", 40), "It signs from then on"),
    ],
    open: true,
    example: r#"{"kid": "TqCnkYmpvzDjiRC6hE4Zb2M2_kdVlDtCPW1jAeBWXKU", "cert": "-----BEGIN CERTIFICATE-----..", "purpose": "oidc-rs256"}"#,
};

const ROTATE: Shape = Shape {
    name: "SigningKeyRotation",
    members: &[
        may("purpose", Kind::OneOf(PURPOSES), "What the key is for; oidc-rs256 if it is not said"),
        may("at_once", Kind::Boolean, "The next key signs now, though others may have our JWKS or metadata from before it was published"),
        may("activate_at", Kind::Formatted("date-time", 40), "The next key signs from then on; a time that was given before is changed"),
        may("publish_only", Kind::Boolean, "The next key is published and signs only after another call"),
        may("grace_days", Kind::Integer(0, 3650), "How long the SAML key before it stays good afterwards; 30 if it is not said"),
    ],
    open: false,
    example: r#"{"at_once": false}"#,
};

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Keys", GET "/keys/signing" "get_signing_keys" "List signing keys",
        &["read:signing_keys"], &[&[may("purpose", Kind::OneOf(LISTED), "Keys for this; those of RS256 if it is not said")]], Body::Nothing, (200, Answer::List(&KEY)), &[], list),
    operation!("Keys", GET "/keys/signing/{kid}" "get_signing_key" "Read a signing key",
        &["read:signing_keys"], &[], Body::Nothing, (200, Answer::One(&KEY)), &[404], get),
    operation!("Keys", POST "/keys/signing/rotate" "post_signing_keys" "Have the next key sign, as soon as it has been published long enough: five minutes, or seven days for SAML",
        &["create:signing_keys", "update:signing_keys"], &[], Body::OptionalJson(&ROTATE), (201, Answer::One(&CHANGED)), &[409], rotate),
    operation!("Keys", PUT "/keys/signing/{kid}/revoke" "put_signing_keys" "Revoke a previous signing key: what it has signed counts no more",
        &["update:signing_keys"], &[], Body::Nothing, (200, Answer::One(&CHANGED)), &[404, 409], revoke),
];

/// What keys are for, by the names that files and commands have too.
const PURPOSES: &[&str] = &[
    "oidc-rs256",
    "oidc-es256",
    "oidc-eddsa",
    "oidc-ps256",
    "oidc-es384",
    "oidc-enc-rsa",
    "oidc-enc-ec",
    "saml-signing",
    "saml-signing-es256",
    "saml-signing-es384",
    "saml-signing-es512",
    "saml-encryption",
];

const LISTED: &[&str] = &[
    "all",
    "oidc-rs256",
    "oidc-es256",
    "oidc-eddsa",
    "oidc-ps256",
    "oidc-es384",
    "oidc-enc-rsa",
    "oidc-enc-ec",
    "saml-signing",
    "saml-signing-es256",
    "saml-signing-es384",
    "saml-signing-es512",
    "saml-encryption",
];

async fn list(call: Call) -> Result<Reply, Refusal> {
    let purposes = match call.text("purpose") {
        Some("all") => Purpose::ALL.to_vec(),
        named => vec![purpose(named)],
    };
    let mut views = Vec::new();
    for purpose in purposes {
        let (keys, _) = signing::read(&call.gateway, purpose).await?;
        views.extend(keys.keys.iter().rev().map(|key| view(key, purpose, &keys, call.now)));
    }
    Ok(Reply::ok(views.into()))
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    let (purpose, keys) = signing::find(&call.gateway, call.name("kid")).await?.ok_or_else(missing)?;
    let key = keys.keys.iter().find(|key| key.kid == call.name("kid")).ok_or_else(missing)?;
    Ok(Reply::ok(view(key, purpose, &keys, call.now)))
}

async fn rotate(call: Call) -> Result<Reply, Refusal> {
    let purpose = purpose(call.body.get("purpose").and_then(Value::as_str));
    let key = signing::rotate(&call.state.live, purpose, rotation(&call.body)?, call.by(), call.now).await?;
    Ok(Reply::created(changed(&key, purpose)))
}

async fn revoke(call: Call) -> Result<Reply, Refusal> {
    let (purpose, key) = signing::revoke(&call.state.live, call.name("kid"), call.by(), call.now).await?;
    Ok(Reply::ok(changed(&key, purpose)))
}

/// Auth0 knows one kind of signing key.
fn purpose(named: Option<&str>) -> Purpose {
    named.and_then(Purpose::from_name).unwrap_or(Purpose::OidcRs256)
}

fn rotation(body: &Value) -> Result<Rotation, Refusal> {
    let is_set = |member: &str| body.get(member) == Some(&Value::Bool(true));
    let time = body.get("activate_at").and_then(Value::as_str);
    let when = match (is_set("at_once"), is_set("publish_only"), time) {
        (false, false, None) => When::Published,
        (true, false, None) => When::AtOnce,
        (false, true, None) => When::Later,
        (false, false, Some(time)) => {
            let time = Timestamp::parse(time);
            When::At(time.ok_or_else(|| Refusal::new(ErrorKind::InvalidRequest, "activate_at is no time with its zone (RFC 3339)"))?)
        }
        _ => return Err(Refusal::new(ErrorKind::InvalidRequest, "at_once, activate_at and publish_only contradict each other")),
    };
    Ok(Rotation { when, grace_days: body.get("grace_days").and_then(Value::as_i64).unwrap_or(GRACE_DAYS) })
}

fn missing() -> Refusal {
    stored::missing("signing key", "inexistent_signing_key")
}

fn changed(key: &SigningKey, purpose: Purpose) -> Value {
    let mut body = Map::new();
    body.insert("kid".to_owned(), key.kid.as_str().into());
    body.insert("cert".to_owned(), key.certificate.as_str().into());
    body.insert("purpose".to_owned(), purpose.name().into());
    put_time(&mut body, "current_since", key.since);
    put_time(&mut body, "revoked_at", key.revoked_at);
    body.into()
}

fn view(key: &SigningKey, purpose: Purpose, keys: &SigningKeys, now: Timestamp) -> Value {
    let is = |other: Option<&SigningKey>| other.is_some_and(|other| other.kid == key.kid);
    let (current, next) = (is(keys.current(now)), key.revoked_at.is_none() && key.since.is_none_or(|since| since > now.millis()));
    let mut body = changed(key, purpose).as_object().cloned().unwrap_or_default();
    body.extend([
        ("state".to_owned(), keys.standing(key, now).name().into()),
        ("current".to_owned(), current.into()),
        ("next".to_owned(), next.into()),
        ("previous".to_owned(), (!current && !next).into()),
        ("revoked".to_owned(), key.revoked_at.is_some().into()),
    ]);
    let until = keys.keys.iter().filter_map(|other| other.since).filter(|since| key.since.is_some_and(|mine| *since > mine)).min();
    put_time(&mut body, "current_until", until);
    put_time(&mut body, "kept_until", key.until);
    put_time(&mut body, "published_at", Some(key.published_at));
    put_time(&mut body, "expires_at", key.not_after().map(Timestamp::millis));
    if let Some(digest) = parse_certificate(&key.certificate).ok().and_then(|certificate| certificate.digest(MessageDigest::sha1()).ok()) {
        let octets: Vec<String> = digest.iter().map(|octet| format!("{octet:02X}")).collect();
        body.insert("fingerprint".to_owned(), octets.join(":").into());
        body.insert("thumbprint".to_owned(), octets.concat().into());
    }
    json!(body)
}

fn put_time(body: &mut Map<String, Value>, name: &str, millis: Option<i64>) {
    // The keys of the files have signed since nobody knows when.
    if let Some(millis) = millis.filter(|millis| *millis > 0) {
        body.insert(name.to_owned(), Timestamp::from_millis(millis).to_string().into());
    }
}
