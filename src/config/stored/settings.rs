//! Settings of the whole gateway, and those against attacks.

use super::{checked, fault, without_effect};
use crate::broker::admin::signing::{self, SigningKeys};
use crate::broker::live::{Checked, Fault, Known, Made, Settings};
use crate::oidc::AlgKeys;
use serde_json::{Map, Value};
use std::sync::Arc;

const KEPT: &[(&str, &str)] = &[
    ("idle_session_lifetime", "a session ends by its lifetime, used or not"),
    ("default_redirection_uri", "who comes without an application sees the gateway's own page"),
    ("picture_url", "pages show no picture in this version"),
    ("support_email", "pages show no address in this version"),
    ("support_url", "pages show no address in this version"),
    ("friendly_name", "pages show no name of the gateway in this version"),
    ("flags", "none of them is known here"),
    ("enabled_locales", "pages are in English in this version"),
    ("sandbox_version", "scripts run in one version"),
    ("default_directory", "no connection is the default"),
    ("default_audience", "no audience is the default"),
    ("session_cookie", "the session cookie ends with its session"),
    ("error_page", "pages of errors are the gateway's own"),
    ("change_password", "the page for another password looks as all pages do"),
    ("guardian_mfa_page", "the page for a second factor looks as all pages do"),
    ("allowed_logout_urls", "list them at the client"),
];

/// The tenant's settings.
pub fn tenant(body: &Map<String, Value>) -> Checked {
    let hours = body.get("session_lifetime").and_then(Value::as_f64).filter(|hours| hours.is_finite() && *hours > 0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a session may last")]
    let session = hours.map(|hours| (hours * 3600.0).round().clamp(60.0, 30.0 * 86_400.0) as u64);
    checked(Made::Settings(Settings { session }), without_effect(body, "", KEPT))
}

/// Brute force, suspicious addresses, known passwords.
pub fn attack_protection(_body: &Map<String, Value>) -> Checked {
    checked(
        Made::Nothing,
        vec![fault(
            "",
            "is kept, without effect: wrong passwords are counted always, and common ones refused",
            "see [limits] of the configuration file, and the rules for passwords of each database",
        )],
    )
}

/// Keys that sign and decrypt; `id` says what for.
pub fn signing_keys(id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let purpose = signing::purpose_of(id).ok_or_else(|| vec![fault("", format!("there are no keys for {id}"), "")])?;
    let prepared = SigningKeys::read(body).and_then(|keys| keys.prepare(&known.gateway.keyring, purpose, known.now));
    let made = prepared.and_then(|keys| {
        let keys = Arc::new(keys);
        Ok(if purpose.is_saml() { Made::SamlKeys(keys) } else { Made::OidcKeys(Arc::new(AlgKeys::new(&keys)?)) })
    });
    match made {
        Ok(made) => Ok(checked(made, Vec::new())),
        Err(error) => Err(vec![fault("", error.detail, "nodes that share a directory share the keyring's files")]),
    }
}
