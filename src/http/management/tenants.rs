//! Settings of the whole gateway, which Auth0 calls a tenant.

use super::call::{Call, Reply, selected};
use super::problem::Refusal;
use super::shape::{Kind, Shape, may, must};
use super::stored;
use super::{Answer, Body, FIELDS, Operation};
use crate::broker::admin::kinds::TENANT;
use crate::broker::admin::objects::{self, Object};
use crate::broker::live::Known;
use crate::store::Expect;
use serde_json::{Map, Value};

/// The id of the one object.
const ID: &str = "settings";

const TEXT: Kind = Kind::OrNull(&Kind::Text(0, 2048));

const CHANGE: Shape = Shape {
    name: "TenantSettingsChange",
    members: &[
        may("session_lifetime", Kind::OrNull(&Kind::Integer(1, 720)), "Hours that a session lives"),
        may("idle_session_lifetime", Kind::OrNull(&Kind::Number), "Kept, without effect"),
        may("friendly_name", TEXT, "Kept, without effect"),
        may("picture_url", TEXT, "Kept, without effect"),
        may("support_email", TEXT, "Kept, without effect"),
        may("support_url", TEXT, "Kept, without effect"),
        may("default_redirection_uri", TEXT, "Kept, without effect"),
        may("default_directory", TEXT, "Kept, without effect"),
        may("default_audience", TEXT, "Kept, without effect"),
        may("sandbox_version", TEXT, "Kept, without effect"),
        may("flags", Kind::OrNull(&Kind::Object), "Kept, without effect"),
        may("enabled_locales", Kind::OrNull(&Kind::List(&Kind::Text(1, 20), 100)), "Kept, without effect"),
        may("allowed_logout_urls", Kind::OrNull(&Kind::List(&Kind::Text(1, 2048), 100)), "Kept, without effect"),
        may("session_cookie", Kind::OrNull(&Kind::Object), "Kept, without effect"),
        may("error_page", Kind::OrNull(&Kind::Object), "Kept, without effect"),
        may("change_password", Kind::OrNull(&Kind::Object), "Kept, without effect"),
        may("guardian_mfa_page", Kind::OrNull(&Kind::Object), "Kept, without effect"),
        may(stored::OWN, Kind::Object, "source and warnings are not read"),
    ],
    open: false,
    example: r#"{"session_lifetime": 12}"#,
};

const SETTINGS: Shape = Shape {
    name: "TenantSettings",
    members: &[
        must("session_lifetime", Kind::Number, "Hours that a session lives"),
        may(stored::OWN, Kind::Object, "source: file where nothing is stored; warnings"),
    ],
    open: true,
    example: r#"{"session_lifetime": 8}"#,
};

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Tenants", GET "/tenants/settings" "tenant_settings_route" "Read the settings of this gateway",
        &["read:tenant_settings"], &[FIELDS], Body::Nothing, (200, Answer::One(&SETTINGS)), &[], get),
    operation!("Tenants", PATCH "/tenants/settings" "patch_settings" "Change the settings of this gateway, by a JSON merge patch",
        &["update:tenant_settings"], &[], Body::Json(&CHANGE), (200, Answer::One(&SETTINGS)), &[409, 412], change),
];

async fn get(call: Call) -> Result<Reply, Refusal> {
    let object = objects::read(&call.gateway, &TENANT, ID).await?;
    Ok(answered(&call, object))
}

async fn change(call: Call) -> Result<Reply, Refusal> {
    let object = objects::read(&call.gateway, &TENANT, ID).await?;
    let expect = object.as_ref().map_or(Ok(Expect::Nothing), |object| stored::expected(&call, object))?;
    let mut body = object.map(|object| object.body).unwrap_or_default();
    stored::merge(&mut body, &stored::patch_of(&call));
    let (object, _) = objects::write(&call.state.live, &TENANT, ID, body, expect, call.by(), call.now).await?;
    Ok(answered(&call, Some(object)))
}

fn answered(call: &Call, object: Option<Object>) -> Reply {
    let source = if object.is_some() { "api" } else { "file" };
    let version = object.as_ref().map(|object| object.version);
    let body = object.map(|object| object.body).unwrap_or_default();
    // After a change this call's own snapshot is the one before.
    let gateway = call.state.gateway();
    let known = Known { gateway: &gateway, now: call.now, again: true };
    let made = call.state.live.maker().make(TENANT.name, ID, &body, known);
    let mut body: Map<String, Value> = stored::made_by(source, body);
    body.entry("session_lifetime").or_insert_with(|| hours(gateway.lifetimes.session));
    stored::warned(&mut body, &made.map_or_else(|faults| faults, |checked| checked.warnings));
    Reply::Json { status: 200, body: selected(call, body.into()), version }
}

fn hours(seconds: u64) -> Value {
    if seconds.is_multiple_of(3600) {
        return (seconds / 3600).into();
    }
    #[expect(clippy::cast_precision_loss, reason = "a session lives some days at most")]
    let hours = seconds as f64 / 3600.0;
    hours.into()
}
