//! Connections: Auth0's `oauth2` as `[connection.oauth2]`, and its strategies for providers that are known here as
//! `[connection.social]`.

use super::connection::{OUTER, begun, made, names, unknown};
use super::document::Document;
use super::{StoredObjects, fault, oidc, text, without_effect};
use crate::broker::live::{Checked, Fault, Known};
use crate::config::connection;
use crate::config::connection::presets::{self, Preset};
use crate::config::context::Stored;
use serde_json::{Map, Value, json};

/// The file's words and Auth0's.
const OAUTH2: &[(&str, &str)] = &[
    ("name", "/name"),
    ("display_name", "/display_name"),
    ("domains", "/options/domain_aliases"),
    ("applications", "/enabled_clients"),
    ("profile_sync", "/options/set_user_root_attributes"),
    ("non_persistent_attrs", "/options/non_persistent_attrs"),
    ("oauth2.authorization_endpoint", "/options/authorizationURL"),
    ("oauth2.token_endpoint", "/options/tokenURL"),
    ("oauth2.client_id", "/options/client_id"),
    ("oauth2.client_secret", "/options/client_secret"),
    ("oauth2.scopes", "/options/scope"),
    ("oauth2.pkce", "/options/pkce_enabled"),
    ("oauth2.upstream_params", "/options/upstream_params"),
    ("oauth2.userinfo_endpoint", "/isthmus/userinfo_endpoint"),
    ("oauth2.subject", "/isthmus/subject"),
];

const SOCIAL: &[(&str, &str)] = &[
    ("name", "/name"),
    ("display_name", "/display_name"),
    ("domains", "/options/domain_aliases"),
    ("applications", "/enabled_clients"),
    ("profile_sync", "/options/set_user_root_attributes"),
    ("non_persistent_attrs", "/options/non_persistent_attrs"),
    ("social.preset", "/strategy"),
    ("social.client_id", "/options/client_id"),
    ("social.client_secret", "/options/client_secret"),
    ("social.scopes", "/options/scope"),
    ("social.upstream_params", "/options/upstream_params"),
    ("social.team_id", "/options/team_id"),
    ("social.key_id", "/options/kid"),
    ("social.private_key", "/options/app_secret"),
];

/// Options of both that have their meaning here.
const USED: &[&str] = &[
    "client_id",
    "client_secret",
    "scope",
    "upstream_params",
    "domain_aliases",
    "set_user_root_attributes",
    "non_persistent_attrs",
    "federated_connections_access_tokens",
];

/// Options of both that are kept, and mean nothing here.
const KEPT: &[(&str, &str)] = &[
    ("icon_url", "pages show monograms"),
    ("tenant_domain", "see domain_aliases"),
    ("useOauthSpecScope", "scopes are written as the standard says"),
    ("logoutUrl", "nobody is signed out there"),
    ("allowed_audiences", "tokens of native logins are not taken"),
    ("should_trust_email_verified_connection", "see `isthmus` for linking"),
    ("app_id", "the client id is enough"),
    ("app_domain", "see domain_aliases"),
    ("waad_protocol", "logins are by OpenID Connect"),
    ("identity_api", "there is one, v2.0"),
    ("max_groups_to_retrieve", "groups are those of the ID token"),
];

/// The tenant of Microsoft's accounts that belong to no organization.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// The strategy `oauth2`.
pub fn oauth2(stored: &StoredObjects, id: &str, body: &Map<String, Value>, known: Known<'_>) -> Result<Checked, Vec<Fault>> {
    let options = options_of(body);
    let mut document = begun("oauth2", OAUTH2, body);
    let mut faults = common(&options, "oauth2", &mut document);
    for (path, option) in
        [("oauth2.authorization_endpoint", "authorizationURL"), ("oauth2.token_endpoint", "tokenURL"), ("oauth2.pkce", "pkce_enabled")]
    {
        document.take(path, options.get(option).filter(|value| !is_nothing(value)));
    }
    // Auth0 posts the secret.
    if options.get("client_secret").is_some_and(|secret| !is_nothing(secret)) && own(body, "token_endpoint_auth_method").is_none() {
        document.set("oauth2.token_endpoint_auth_method", "client_secret_post");
    }
    if let Some(script) = options.get("scripts").filter(|scripts| scripts.as_object().is_none_or(|scripts| !scripts.is_empty())) {
        let at = if script.get("fetchUserProfile").is_some() { "/options/scripts/fetchUserProfile" } else { "/options/scripts" };
        let help = "say in `isthmus` where the profile is (`userinfo_endpoint`, `more`) and where the subject is in it (`subject`), and map it by a table (`mapping`)";
        faults.push(fault(at, "scripts do not say here who somebody is", help));
    }
    let is_known = |name: &str| ["authorizationURL", "tokenURL", "pkce_enabled", "scripts", "authParams", "authParamsMap"].contains(&name);
    faults.extend(params(&options, &mut document));
    finished(stored, (id, body, &options), document, (faults, Vec::new()), is_known, known)
}

/// The strategy of a provider that is known here.
pub fn preset(
    stored: &StoredObjects,
    (id, strategy): (&str, &str),
    body: &Map<String, Value>,
    preset: &Preset,
    known: Known<'_>,
) -> Result<Checked, Vec<Fault>> {
    let options = options_of(body);
    let mut document = begun("social", SOCIAL, body);
    document.set("social.preset", preset.name);
    let mut faults = common(&options, "social", &mut document);
    document.take("social.upstream_params", options.get("upstream_params"));
    let (mut warnings, has_issuer) = (Vec::new(), own(body, "issuer").is_some());
    let mut mine: Vec<&str> = Vec::new();
    match (strategy, preset.name) {
        ("windowslive", _) if !has_issuer => document.set("social.issuer", microsoft(CONSUMERS)),
        (_, "microsoft") => {
            mine.extend(["tenantId", "useCommonEndpoint"]);
            let common = options.get("useCommonEndpoint") == Some(&Value::Bool(true));
            match text(&options, "tenantId").filter(|tenant| !tenant.is_empty()) {
                Some(tenant) => document.set("social.issuer", microsoft(tenant)),
                // A domain names nobody in an ID token: without the id everybody with an account could come.
                None if !common && !has_issuer => {
                    let help = "name the tenant by its id, or say `useCommonEndpoint` if people of every tenant are meant";
                    faults.push(fault("/options/tenantId", "is missing", help));
                }
                None => {}
            }
        }
        (_, "okta" | "auth0" | "keycloak") => {
            mine.push("domain");
            if let Some(domain) = text(&options, "domain").filter(|domain| !domain.is_empty()) {
                let slash = if preset.name == "auth0" { "/" } else { "" };
                document.set("social.issuer", format!("https://{domain}{slash}"));
            }
        }
        (_, "apple") => {
            mine.extend(["team_id", "kid", "app_secret"]);
            document.take("social.team_id", options.get("team_id"));
            document.take("social.key_id", options.get("kid"));
        }
        _ => {}
    }
    // Auth0 has a flag for each permission.
    for (name, value) in &options {
        let is_flag = value.is_boolean() && !mine.contains(&name.as_str()) && !KEPT.iter().any(|(kept, _)| kept == name);
        if is_flag && *value == Value::Bool(true) {
            let at = format!("/options/{}", super::document::escaped(name));
            warnings.push(fault(&at, "is kept, without effect: scopes are named in `scope`", ""));
        }
    }
    let is_known = |name: &str| mine.contains(&name) || options.get(name).is_some_and(Value::is_boolean);
    finished(stored, (id, body, &options), document, (faults, warnings), is_known, known)
}

/// The preset that a strategy means, by Auth0's name or by ours.
pub fn preset_of(strategy: &str) -> Option<&'static Preset> {
    let other = [("windowslive", "microsoft"), ("weixin", "wechat")];
    let name = other.iter().find(|(theirs, _)| *theirs == strategy).map_or(strategy, |(_, ours)| ours);
    presets::named(name).or_else(|| presets::of_strategy(name))
}

/// What both have.
fn common(options: &Map<String, Value>, section: &str, document: &mut Document) -> Vec<Fault> {
    for (path, option) in
        [("domains", "domain_aliases"), ("profile_sync", "set_user_root_attributes"), ("non_persistent_attrs", "non_persistent_attrs")]
    {
        document.take(path, options.get(option));
    }
    document.take(&format!("{section}.client_id"), options.get("client_id").filter(|value| !is_nothing(value)));
    let tokens = options.get("federated_connections_access_tokens").and_then(|tokens| tokens.get("active"));
    document.take(&format!("{section}.store_tokens"), tokens);
    match options.get("scope").filter(|scope| !is_nothing(scope)) {
        None => {}
        Some(Value::String(scope)) => {
            let scopes: Vec<toml::Value> = scope.split_ascii_whitespace().map(toml::Value::from).collect();
            document.set(&format!("{section}.scopes"), scopes);
        }
        Some(scopes @ Value::Array(_)) => document.take(&format!("{section}.scopes"), Some(scopes)),
        Some(_) => return vec![fault("/options/scope", "is neither a text nor a list of texts", "")],
    }
    Vec::new()
}

/// `authParams` and `authParamsMap`, the older words for `upstream_params`.
fn params(options: &Map<String, Value>, document: &mut Document) -> Vec<Fault> {
    let mut all = options.get("upstream_params").and_then(Value::as_object).cloned().unwrap_or_default();
    if options.get("upstream_params").is_some_and(|params| !params.is_null() && !params.is_object()) {
        return vec![fault("/options/upstream_params", "must be an object", "")];
    }
    for (option, word) in [("authParams", "value"), ("authParamsMap", "alias")] {
        for (name, value) in options.get(option).and_then(Value::as_object).into_iter().flatten() {
            if all.insert(name.clone(), json!({ word: value })).is_some() {
                let at = format!("/options/{option}/{}", super::document::escaped(name));
                return vec![fault(&at, "stands elsewhere, too", "remove one of them")];
            }
        }
    }
    if !all.is_empty() {
        document.take("oauth2.upstream_params", Some(&Value::Object(all)));
    }
    Vec::new()
}

/// Reads what was written.
fn finished(
    stored: &StoredObjects,
    (id, body, options): (&str, &Map<String, Value>, &Map<String, Value>),
    mut document: Document,
    (mut faults, mut warnings): (Vec<Fault>, Vec<Fault>),
    is_known: impl Fn(&str) -> bool,
    known: Known<'_>,
) -> Result<Checked, Vec<Fault>> {
    faults.extend(document.own(body, OUTER));
    faults.extend(oidc::file_only(body));
    faults.extend(unknown(options, |name| is_known(name) || USED.contains(&name) || KEPT.iter().any(|(kept, _)| *kept == name)));
    let secret = oidc::secret(options, "client_secret", id, known, &mut faults);
    let key = oidc::secret(options, "app_secret", id, known, &mut faults);
    warnings.extend(without_effect(options, "/options", KEPT));
    let names = names(body, known);
    let context = stored.context(Stored { shared_secret: secret.as_ref(), key: key.as_ref(), ..Stored::default() }, known.now);
    let read = document.read(|section| connection::read(&context, section, &names));
    made(read, (faults, warnings), known)
}

fn options_of(body: &Map<String, Value>) -> Map<String, Value> {
    body.get("options").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn own<'b>(body: &'b Map<String, Value>, name: &str) -> Option<&'b Value> {
    body.get("isthmus")?.get(name)
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn microsoft(tenant: &str) -> String {
    format!("https://login.microsoftonline.com/{tenant}/v2.0")
}
