//! The keys that sign ID tokens with RS256.

use super::call::{Call, Reply};
use super::problem::Refusal;
use super::shape::{Kind, Shape, may, must};
use super::stored;
use super::{Answer, Body, Operation};
use crate::broker::admin::signing::{self, SigningKey, SigningKeys};
use crate::clock::Timestamp;
use crate::keys::parse_certificate;
use openssl::hash::MessageDigest;
use serde_json::{Map, Value, json};

const KEY: Shape = Shape {
    name: "SigningKey",
    members: &[
        must("kid", Kind::Text(1, 100), "As in the JWKS"),
        must("cert", Kind::Text(1, 20_000), "Certificate, PEM"),
        must("current", Kind::Boolean, "It signs"),
        must("next", Kind::Boolean, "It is published, and will sign"),
        must("previous", Kind::Boolean, "It has signed, and is published as long as it is not revoked"),
        must("revoked", Kind::Boolean, "It is not published any more"),
        may("current_since", Kind::Formatted("date-time", 40), ""),
        may("current_until", Kind::Formatted("date-time", 40), ""),
        may("revoked_at", Kind::Formatted("date-time", 40), ""),
        may("fingerprint", Kind::Text(1, 100), "SHA-1 of the certificate"),
        may("thumbprint", Kind::Text(1, 100), "The same without colons"),
    ],
    open: true,
    example: r#"{"kid": "TqCnkYmpvzDjiRC6hE4Zb2M2_kdVlDtCPW1jAeBWXKU", "cert": "-----BEGIN CERTIFICATE-----..", "current": true, "next": false, "previous": false, "revoked": false}"#,
};

const CHANGED: Shape = Shape {
    name: "SigningKeyChanged",
    members: &[
        must("kid", Kind::Text(1, 100), ""),
        must("cert", Kind::Text(1, 20_000), "Certificate, PEM"),
        may("current_since", Kind::Formatted("date-time", 40), "It signs from then on"),
    ],
    open: true,
    example: r#"{"kid": "TqCnkYmpvzDjiRC6hE4Zb2M2_kdVlDtCPW1jAeBWXKU", "cert": "-----BEGIN CERTIFICATE-----.."}"#,
};

const ROTATE: Shape = Shape {
    name: "SigningKeyRotation",
    members: &[may("at_once", Kind::Boolean, "The next key signs now, though others may have our JWKS from before it was published")],
    open: false,
    example: r#"{"at_once": false}"#,
};

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Keys", GET "/keys/signing" "get_signing_keys" "List signing keys",
        &["read:signing_keys"], &[], Body::Nothing, (200, Answer::List(&KEY)), &[], list),
    operation!("Keys", GET "/keys/signing/{kid}" "get_signing_key" "Read a signing key",
        &["read:signing_keys"], &[], Body::Nothing, (200, Answer::One(&KEY)), &[404], get),
    operation!("Keys", POST "/keys/signing/rotate" "post_signing_keys" "Have the next key sign, as soon as it has been published for five minutes",
        &["create:signing_keys", "update:signing_keys"], &[], Body::OptionalJson(&ROTATE), (201, Answer::One(&CHANGED)), &[409], rotate),
    operation!("Keys", PUT "/keys/signing/{kid}/revoke" "put_signing_keys" "Revoke a previous signing key: what it has signed counts no more",
        &["update:signing_keys"], &[], Body::Nothing, (200, Answer::One(&CHANGED)), &[404, 409], revoke),
];

async fn list(call: Call) -> Result<Reply, Refusal> {
    let (keys, _) = signing::read(&call.gateway).await?;
    Ok(Reply::ok(keys.keys.iter().rev().map(|key| view(key, &keys, call.now)).collect()))
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    let (keys, _) = signing::read(&call.gateway).await?;
    let key = keys.keys.iter().find(|key| key.kid == call.name("kid")).ok_or_else(missing)?;
    Ok(Reply::ok(view(key, &keys, call.now)))
}

async fn rotate(call: Call) -> Result<Reply, Refusal> {
    let at_once = call.body.get("at_once") == Some(&Value::Bool(true));
    let key = signing::rotate(&call.state.live, at_once, call.by(), call.now).await?;
    Ok(Reply::created(changed(&key)))
}

async fn revoke(call: Call) -> Result<Reply, Refusal> {
    let key = signing::revoke(&call.state.live, call.name("kid"), call.by(), call.now).await?;
    Ok(Reply::ok(changed(&key)))
}

fn missing() -> Refusal {
    stored::missing("signing key", "inexistent_signing_key")
}

fn changed(key: &SigningKey) -> Value {
    let mut body = Map::new();
    body.insert("kid".to_owned(), key.kid.as_str().into());
    body.insert("cert".to_owned(), key.certificate.as_str().into());
    put_time(&mut body, "current_since", key.since);
    put_time(&mut body, "revoked_at", key.revoked_at);
    body.into()
}

fn view(key: &SigningKey, keys: &SigningKeys, now: Timestamp) -> Value {
    let is = |other: Option<&SigningKey>| other.is_some_and(|other| other.kid == key.kid);
    let (current, next) = (is(keys.current(now)), key.revoked_at.is_none() && key.since.is_none_or(|since| since > now.millis()));
    let mut body = changed(key).as_object().cloned().unwrap_or_default();
    body.extend([
        ("current".to_owned(), current.into()),
        ("next".to_owned(), next.into()),
        ("previous".to_owned(), (!current && !next).into()),
        ("revoked".to_owned(), key.revoked_at.is_some().into()),
    ]);
    let until = keys.keys.iter().filter_map(|other| other.since).filter(|since| key.since.is_some_and(|mine| *since > mine)).min();
    put_time(&mut body, "current_until", until);
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
