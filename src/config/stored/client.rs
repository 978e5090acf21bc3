//! Clients: applications, in Auth0's words.

use super::document::Document;
use super::{StoredObjects, checked, credentials, fault, samlp, text, without_effect};
use crate::broker::admin::{kinds, objects};
use crate::broker::live::{Checked, Fault, Known, Made};
use crate::broker::living::LivingApplication;
use crate::config::application;
use crate::config::context::Stored;
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The file's words and Auth0's.
const PLACES: &[(&str, &str)] = &[
    ("client_id", "/client_id"),
    ("name", "/name"),
    ("oidc.redirect_uris", "/callbacks"),
    ("oidc.post_logout_redirect_uris", "/allowed_logout_urls"),
    ("oidc.backchannel_logout_uri", "/oidc_logout/backchannel_logout_urls/0"),
    ("oidc.application_type", "/app_type"),
    ("oidc.grant_types", "/grant_types"),
    ("oidc.token_endpoint_auth_method", "/token_endpoint_auth_method"),
    ("oidc.id_token_signed_response_alg", "/jwt_configuration/alg"),
    ("oidc.id_token_lifetime", "/jwt_configuration/lifetime_in_seconds"),
    ("oidc.dpop_bound_access_tokens", "/require_proof_of_possession"),
    ("oidc.require_signed_request_object", "/signed_request_object/required"),
    ("oidc.client_secret", "/client_secret"),
    ("oidc.initiate_login_uri", "/initiate_login_uri"),
    ("oidc.first_party", "/is_first_party"),
    ("oidc.logo_uri", "/logo_uri"),
    ("oidc.require_pushed_authorization_requests", "/require_pushed_authorization_requests"),
];

/// Keys of `isthmus` that belong to `[[application]]`; the others belong to `[application.oidc]`.
const OUTER: &[&str] =
    &["enabled", "connections", "mapping", "legacy_profile", "dialect", "stale_profile_max", "reads_sealed", "saml", "api"];

/// Members that are kept, and mean nothing here.
const KEPT: &[(&str, &str)] = &[
    ("allowed_origins", "the endpoints for scripts answer every origin"),
    ("web_origins", "the endpoints for scripts answer every origin"),
    ("cross_origin_auth", "nobody gives a password to a page of an application"),
    ("cross_origin_authentication", "nobody gives a password to a page of an application"),
    ("cross_origin_loc", "nobody gives a password to a page of an application"),
    ("sso", "every application takes part in single sign-on"),
    ("sso_disabled", "every application takes part in single sign-on"),
    ("refresh_token", "refresh tokens rotate, and live as the gateway's lifetimes say"),
    ("custom_login_page_on", "pages are the gateway's own"),
    ("custom_login_page", "pages are the gateway's own"),
    ("form_template", "pages are the gateway's own"),
    ("organization_usage", "there are no organizations in this version"),
    ("organization_require_behavior", "there are no organizations in this version"),
    ("mobile", "it concerns native login only"),
    ("native_social_login", "it concerns native login only"),
    ("encryption_key", "it is SAML's there: see addons.samlp; for ID tokens set id_token_encrypted_response_alg of isthmus"),
];

pub fn make(made_by: &StoredObjects, id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let mut document = Document::new("oidc", PLACES);
    document.set("client_id", id);
    for (path, member) in [
        ("name", "name"),
        ("oidc.redirect_uris", "callbacks"),
        ("oidc.post_logout_redirect_uris", "allowed_logout_urls"),
        ("oidc.grant_types", "grant_types"),
        ("oidc.token_endpoint_auth_method", "token_endpoint_auth_method"),
        ("oidc.initiate_login_uri", "initiate_login_uri"),
        ("oidc.first_party", "is_first_party"),
        ("oidc.logo_uri", "logo_uri"),
        ("oidc.require_pushed_authorization_requests", "require_pushed_authorization_requests"),
    ] {
        document.take(path, body.get(member));
    }
    let native = text(body, "app_type") == Some("native");
    document.set("oidc.application_type", if native { "native" } else { "web" });
    let jwt = body.get("jwt_configuration");
    document.take("oidc.id_token_signed_response_alg", jwt.and_then(|jwt| jwt.get("alg")));
    document.take("oidc.id_token_lifetime", jwt.and_then(|jwt| jwt.get("lifetime_in_seconds")));
    let (told_at, logout_faults) = backchannel(body);
    document.take("oidc.backchannel_logout_uri", told_at);
    let mut faults = document.own(body, OUTER);
    faults.extend(logout_faults);
    faults.extend(refused(body));
    faults.extend(credentials::translate(body, &mut document));
    faults.extend(samlp::translate(body, &mut document));
    faults.extend(samlp::addon(body).map(samlp::unknown).unwrap_or_default());
    let (attributes, lost) = samlp::table(made_by, id, body).unwrap_or_else(|wrong| {
        faults.push(wrong);
        (None, Vec::new())
    });
    let digests = kinds::secret_digests(body, known.now);
    let shared_secret = shared_secret(id, body, known, &mut faults);
    let stored =
        Stored { attributes: attributes.as_ref(), secret_digests: &digests, shared_secret: shared_secret.as_ref(), ..Stored::default() };
    let context = made_by.context(stored, known.now);
    let mut names: Vec<String> = known.gateway.connections.names().map(str::to_owned).collect();
    if known.again {
        let named = body.get("isthmus").and_then(|own| own.get("connections")).and_then(Value::as_array);
        names.extend(named.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    }
    match document.read(|section| application::read(&context, section, &names)) {
        Err(more) => Err(faults.into_iter().chain(more).collect()),
        Ok(_) if !faults.is_empty() => Err(faults),
        Ok((registered, mut warnings)) => {
            if registered.application.saml.is_some() || registered.living.is_some() {
                // That is about codes; who has no callback may well sign in by SAML.
                warnings.retain(|warning| warning.pointer != "/callbacks");
            }
            warnings.extend(lost);
            warnings.extend(without_effect(body, "", KEPT));
            warnings.extend(other_addons(body));
            let mut application = registered.application;
            if let Some(client) = &mut application.oidc {
                client.self_registered = kinds::self_registered(body);
            }
            let made = match registered.living {
                None => Made::Application(Arc::new(application)),
                Some(living) => LivingApplication::new(application, &living, &known.gateway.feeds)
                    .map(|application| Made::LivingApplication(Arc::new(application)))
                    .map_err(|error| vec![fault("", error.detail, "")])?,
            };
            Ok(checked(made, warnings))
        }
    }
}

/// The secret that the client makes MACs with.
fn shared_secret(id: &str, body: &Map<String, Value>, known: Known<'_>, faults: &mut Vec<Fault>) -> Option<Secret<String>> {
    let wanted = kinds::shares_secret(body);
    let Some(kept) = body.get(kinds::SHARED_SECRET).filter(|_| wanted) else {
        if wanted {
            let message = "there is no secret of which more than a digest is kept";
            faults.push(fault("/token_endpoint_auth_method", message, "give a `client_secret` along with this method"));
        }
        return None;
    };
    let opened = objects::open(kinds::CLIENT.name, id, kept, known.gateway.admin.sealer());
    opened.map_err(|error| faults.push(fault("/client_secret", &error.detail, "rotate the secret"))).ok()
}

/// Auth0 has a list for the one address to which logout tokens go.
fn backchannel(body: &Map<String, Value>) -> (Option<&Value>, Vec<Fault>) {
    let here = "/oidc_logout/backchannel_logout_urls";
    let listed = body.get("oidc_logout").and_then(|logout| logout.get("backchannel_logout_urls")).filter(|listed| !listed.is_null());
    match listed.map(Value::as_array) {
        None => (None, Vec::new()),
        Some(None) => (None, vec![fault(here, "must be a list", "write it with one address")]),
        Some(Some(addresses)) if addresses.len() > 1 => (None, vec![fault(here, "has more than one address", "keep one of them")]),
        Some(Some(addresses)) => (addresses.first(), Vec::new()),
    }
}

/// Add-ons are ways in which Auth0 speaks to applications; here it is SAML alone.
fn other_addons(body: &Map<String, Value>) -> Vec<Fault> {
    let addons = body.get("addons").and_then(Value::as_object).into_iter().flatten();
    let idle = |value: &Value| matches!(value, Value::Null | Value::Bool(false));
    let others = addons.filter(|(name, value)| !idle(value) && (*name != "samlp" || !value.is_object())).take(20);
    let told = others.map(|(name, _)| {
        let here = format!("/addons/{}", name.replace('~', "~0").replace('/', "~1"));
        fault(&here, "is kept, without effect: the only add-on here is samlp, an object", "")
    });
    told.collect()
}

/// What would be something else here than the caller thinks.
fn refused(body: &Map<String, Value>) -> Vec<Fault> {
    let mut faults = Vec::new();
    if body.get("oidc_conformant") == Some(&Value::Bool(false)) {
        faults.push(fault("/oidc_conformant", "only clients that keep to OpenID Connect are served", "set it to true, or leave it out"));
    }
    let alg = body.get("jwt_configuration").and_then(|jwt| jwt.get("alg")).and_then(Value::as_str);
    if alg == Some("HS256") {
        let message = "ID tokens signed with the client's secret (HS256) are not available";
        faults.push(fault("/jwt_configuration/alg", message, "use RS256, ES256 or EdDSA"));
    }
    let metadata = body.get("client_metadata").and_then(Value::as_object);
    if metadata.is_some_and(|metadata| metadata.len() > 10) {
        faults.push(fault("/client_metadata", "has more than 10 keys", "remove some"));
    }
    for (key, value) in metadata.into_iter().flatten() {
        let good = value.is_null() || value.as_str().is_some_and(|value| value.chars().count() <= 255);
        if !good || key.chars().count() > 255 {
            let here = format!("/client_metadata/{}", key.replace('~', "~0").replace('/', "~1"));
            faults.push(fault(&here, "keys and values are texts of 255 characters at most", "shorten it"));
        }
    }
    faults
}
