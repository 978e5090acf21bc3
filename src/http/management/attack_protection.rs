//! Settings against attacks on passwords, in Auth0's words. They are kept and mean nothing: what guards passwords is always on,
//! and set in the configuration file.

use super::call::{Call, Reply};
use super::problem::Refusal;
use super::shape::{Kind, Shape, may};
use super::stored;
use super::{Answer, Body, Operation};
use crate::broker::admin::kinds::ATTACK_PROTECTION;
use crate::broker::admin::objects;
use crate::broker::live::Known;
use crate::store::Expect;
use actix_web::http::Method;
use serde_json::{Map, Value, json};

const SHIELDS: Kind = Kind::List(&Kind::Text(1, 50), 10);
const ADDRESSES: Kind = Kind::List(&Kind::Text(1, 100), 100);

macro_rules! with_own {
    ($($member:expr),* $(,)?) => { &[$($member,)* may(stored::OWN, Kind::Object, "source and warnings")] };
}

const BRUTE_FORCE_SHAPE: Shape = Shape {
    name: "BruteForceProtection",
    members: with_own![
        may("enabled", Kind::Boolean, ""),
        may("shields", SHIELDS, "block, user_notification"),
        may("allowlist", ADDRESSES, "Addresses that are let through"),
        may("mode", Kind::OneOf(&["count_per_identifier_and_ip", "count_per_identifier"]), ""),
        may("max_attempts", Kind::Integer(1, 100), ""),
    ],
    open: false,
    example: r#"{"enabled": true, "max_attempts": 10}"#,
};

const THROTTLING_SHAPE: Shape = Shape {
    name: "SuspiciousIpThrottling",
    members: with_own![
        may("enabled", Kind::Boolean, ""),
        may("shields", SHIELDS, "block, admin_notification"),
        may("allowlist", ADDRESSES, "Addresses that are let through"),
        may("stage", Kind::Object, "pre-login, pre-user-registration, pre-custom-token-exchange"),
    ],
    open: false,
    example: r#"{"enabled": true, "allowlist": ["192.0.2.1"]}"#,
};

const BREACHED_SHAPE: Shape = Shape {
    name: "BreachedPasswordDetection",
    members: with_own![
        may("enabled", Kind::Boolean, ""),
        may("shields", SHIELDS, "block, user_notification, admin_notification"),
        may("admin_notification_frequency", Kind::List(&Kind::OneOf(&["immediately", "daily", "weekly", "monthly"]), 4), ""),
        may("method", Kind::OneOf(&["standard", "enhanced"]), ""),
        may("stage", Kind::Object, "pre-user-registration, pre-change-password"),
    ],
    open: false,
    example: r#"{"enabled": false, "method": "standard"}"#,
};

/// Reading and changing one protection.
macro_rules! operations {
    ($name:literal, $id:literal, $summary:literal, $shape:ident, $usual:expr) => {
        [
            Operation {
                method: Method::GET,
                path: concat!("/attack-protection/", $name),
                id: concat!("get_", $id),
                tag: "Attack protection",
                summary: concat!("Read the settings of ", $summary),
                scopes: &["read:attack_protection"],
                query: &[],
                body: Body::Nothing,
                answer: (200, Answer::One(&$shape)),
                refusals: &[],
                work: |call| Box::pin(async move { get(&call, $name, $usual).await }),
            },
            Operation {
                method: Method::PATCH,
                path: concat!("/attack-protection/", $name),
                id: concat!("patch_", $id),
                tag: "Attack protection",
                summary: concat!("Change the settings of ", $summary, ": kept, without effect in this version"),
                scopes: &["update:attack_protection"],
                query: &[],
                body: Body::Json(&$shape),
                answer: (200, Answer::One(&$shape)),
                refusals: &[409, 412],
                work: |call| Box::pin(async move { change(&call, $name, $usual).await }),
            },
        ]
    };
}

pub const BRUTE_FORCE: &[Operation] = &operations!(
    "brute-force-protection",
    "brute_force_protection",
    "brute force protection",
    BRUTE_FORCE_SHAPE,
    json!({ "enabled": false, "shields": [], "allowlist": [], "mode": "count_per_identifier_and_ip", "max_attempts": 10 })
);
pub const THROTTLING: &[Operation] = &operations!(
    "suspicious-ip-throttling",
    "suspicious_ip_throttling",
    "suspicious IP throttling",
    THROTTLING_SHAPE,
    json!({ "enabled": false, "shields": [], "allowlist": [] })
);
pub const BREACHED: &[Operation] = &operations!(
    "breached-password-detection",
    "breached_password_detection",
    "breached password detection",
    BREACHED_SHAPE,
    json!({ "enabled": false, "shields": [], "admin_notification_frequency": [], "method": "standard" })
);

async fn get(call: &Call, name: &str, usual: Value) -> Result<Reply, Refusal> {
    let object = objects::read(&call.gateway, &ATTACK_PROTECTION, name).await?;
    let (body, version) = object.map_or_else(|| (Map::new(), None), |object| (object.body, Some(object.version)));
    Ok(answered(call, name, usual, body, version))
}

async fn change(call: &Call, name: &str, usual: Value) -> Result<Reply, Refusal> {
    let object = objects::read(&call.gateway, &ATTACK_PROTECTION, name).await?;
    let expect = object.as_ref().map_or(Ok(Expect::Nothing), |object| stored::expected(call, object))?;
    let mut body = object.map(|object| object.body).unwrap_or_default();
    stored::merge(&mut body, &stored::patch_of(call));
    let (object, _) = objects::write(&call.state.live, &ATTACK_PROTECTION, name, body, expect, call.by(), call.now).await?;
    Ok(answered(call, name, usual, object.body, Some(object.version)))
}

fn answered(call: &Call, name: &str, usual: Value, stored_body: Map<String, Value>, version: Option<i64>) -> Reply {
    let known = Known { gateway: &call.gateway, now: call.now, again: true };
    let made = call.state.live.maker().make(ATTACK_PROTECTION.name, name, &stored_body, known);
    let mut body = usual.as_object().cloned().unwrap_or_default();
    body.extend(stored_body);
    let mut body = stored::made_by("api", body);
    stored::warned(&mut body, &made.map_or_else(|faults| faults, |checked| checked.warnings));
    Reply::Json { status: 200, body: body.into(), version }
}
