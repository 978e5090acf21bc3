//! What scripts see of a login: `user` and `context` of rules, `event` of actions, under Auth0's names.

use super::{Caller, Situation};
use crate::application::Application;
use crate::broker::Gateway;
use crate::clock::Timestamp;
use crate::oidc::Params;
use crate::profile::Profile;
use crate::profile::dialect::{Dialect, DialectOptions, render};
use crate::user::{Identity, PersonView, User};
use serde_json::{Map, Value, json};

/// Parameters that scripts do not get to see: codes, tokens, secrets, and what binds an answer to its request.
const HIDDEN: &[&str] = &[
    "access_token",
    "assertion",
    "client_assertion",
    "client_secret",
    "code",
    "code_challenge",
    "code_verifier",
    "id_token",
    "id_token_hint",
    "nonce",
    "password",
    "refresh_token",
    "request",
    "state",
    "subject_token",
    "token",
];

/// Parameters that a script gets to see at most.
const MOST_PARAMETERS: usize = 50;

/// The user in Auth0's form, with both metadata even where they are empty.
pub(super) fn user(user: &User, profile: Map<String, Value>, login: &Identity, now: Timestamp) -> Map<String, Value> {
    let view = PersonView::new(user, Profile::from_map(profile), Some(login));
    let options = DialectOptions { include_all_identities: true, ..DialectOptions::new(now) };
    let mut shown = render(Dialect::Auth0, &view.person(), &options);
    for name in ["user_metadata", "app_metadata"] {
        shown.entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
    shown
}

/// `context`, without what is not known: a member that Auth0 has and that does not apply is absent.
pub(super) fn context(gateway: &Gateway, situation: &Situation<'_>, user: &User) -> Map<String, Value> {
    let Situation { application, identity, .. } = *situation;
    let resumed = situation.resume.as_ref();
    let (query, body) = resumed.map_or((&situation.query, &situation.body), |resume| (&resume.query, &resume.body));
    let mut request = Map::from_iter([
        ("hostname".to_owned(), Value::from(host(&gateway.issuer))),
        ("query".to_owned(), Value::Object(query.clone())),
        ("body".to_owned(), Value::Object(body.clone())),
        ("geoip".to_owned(), Value::Object(geoip(situation.caller))),
    ]);
    put(&mut request, "ip", situation.caller.and_then(|caller| caller.ip).map(|ip| ip.to_string()));
    put(&mut request, "userAgent", situation.caller.and_then(|caller| caller.user_agent.clone()));
    let protocol = if resumed.is_some() { "redirect-callback" } else { situation.protocol };
    let context = json!({
        "tenant": host(&gateway.issuer),
        "clientID": application.client_id,
        "clientName": application.name,
        "clientMetadata": {},
        "connection": identity.connection,
        "connectionID": identity.connection,
        "connectionStrategy": identity.provider,
        "connectionOptions": { "domain_aliases": domains(gateway, identity) },
        "connectionMetadata": {},
        "samlConfiguration": {},
        "protocol": protocol,
        "stats": { "loginsCount": logins(user) },
        "sso": { "with_auth0": situation.single_sign_on, "with_dbconn": false, "current_clients": [application.client_id] },
        "accessToken": { "scope": scopes(situation) },
        "idToken": {},
        "sessionID": situation.sid,
        "request": request,
        "authentication": { "methods": methods(situation) },
        "authorization": { "roles": [] },
    });
    members(context)
}

/// `event`, without `user`, `secrets` and `configuration`.
pub(super) fn event(gateway: &Gateway, situation: &Situation<'_>, user: &User) -> Map<String, Value> {
    let Situation { application, identity, .. } = *situation;
    let resumed = situation.resume.as_ref();
    let (query, body) = resumed.map_or((&situation.query, &situation.body), |resume| (&resume.query, &resume.body));
    let mut event = members(json!({
        "client": client(application),
        "connection": {
            "id": identity.connection, "name": identity.connection, "strategy": identity.provider, "metadata": {},
        },
        "request": request(gateway, situation.caller, query, body),
        "stats": { "logins_count": logins(user) },
        "tenant": { "id": host(&gateway.issuer) },
        "authorization": { "roles": [] },
        "authentication": { "methods": methods(situation) },
        "transaction": transaction(situation),
    }));
    if situation.protocol == REFRESH {
        put(&mut event, "refresh_token", Some(json!({ "session_id": situation.sid, "client_id": application.client_id })));
    } else {
        put(&mut event, "session", Some(json!({ "id": situation.sid })));
    }
    put(&mut event, "resource_server", situation.audience.map(|identifier| json!({ "identifier": identifier })));
    event
}

/// `context.protocol` of a refresh.
pub(in crate::broker) const REFRESH: &str = "oauth2-refresh-token";

/// `event.client`.
pub(super) fn client(application: &Application) -> Value {
    json!({ "client_id": application.client_id, "name": application.name, "metadata": {} })
}

/// `event.request`.
pub(super) fn request(gateway: &Gateway, caller: Option<&Caller>, query: &Map<String, Value>, body: &Map<String, Value>) -> Value {
    let mut request = Map::from_iter([
        ("hostname".to_owned(), Value::from(host(&gateway.issuer))),
        ("query".to_owned(), Value::Object(query.clone())),
        ("body".to_owned(), Value::Object(body.clone())),
        ("geoip".to_owned(), Value::Object(geoip(caller))),
    ]);
    let Some(caller) = caller else { return Value::Object(request) };
    put(&mut request, "ip", caller.ip.map(|ip| ip.to_string()));
    put(&mut request, "method", Some(caller.method.clone()));
    put(&mut request, "user_agent", caller.user_agent.clone());
    let language = caller.language.as_deref().and_then(|accepted| accepted.split([',', ';']).next()).map(str::trim);
    put(&mut request, "language", language.filter(|language| !language.is_empty()));
    Value::Object(request)
}

/// `event.transaction`.
fn transaction(situation: &Situation<'_>) -> Value {
    let text = |name: &str| situation.query.get(name).and_then(Value::as_str);
    let words = |name: &str| text(name).map(|text| text.split_whitespace().collect::<Vec<_>>()).unwrap_or_default();
    let asked_scopes: Vec<&str> = situation.scopes.iter().collect();
    let mut transaction = members(json!({
        "id": situation.correlation_id,
        "protocol": situation.protocol,
        "requested_scopes": asked_scopes,
        "acr_values": situation.asked.map(|asked| asked.acr_values.clone()).unwrap_or_default(),
        "prompt": words("prompt"),
        "ui_locales": words("ui_locales"),
        "response_type": words("response_type"),
    }));
    put(&mut transaction, "login_hint", situation.asked.and_then(|asked| asked.login_hint.clone()));
    put(&mut transaction, "redirect_uri", situation.redirect_uri);
    put(&mut transaction, "response_mode", text("response_mode"));
    Value::Object(transaction)
}

/// Parameters without those that are secret, and without repeated ones.
pub(in crate::broker) fn query_of(raw: &[u8]) -> Map<String, Value> {
    let mut shown = Map::new();
    let Ok(params) = Params::parse_noting_repeats(raw) else { return shown };
    for (name, value) in params.iter().filter(|(name, _)| !HIDDEN.contains(name)).take(MOST_PARAMETERS) {
        shown.entry(name).or_insert_with(|| Value::from(value));
    }
    shown
}

pub(super) fn host(issuer: &str) -> String {
    url::Url::parse(issuer).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

/// What the connection is responsible for.
fn domains(gateway: &Gateway, identity: &Identity) -> Vec<String> {
    gateway.connections.enabled(&identity.connection).map(|connection| connection.config().domains.clone()).unwrap_or_default()
}

fn geoip(caller: Option<&Caller>) -> Map<String, Value> {
    let mut geoip = Map::new();
    if let Some(country) = caller.and_then(|caller| caller.country.as_deref()) {
        for name in ["country_code", "countryCode"] {
            put(&mut geoip, name, Some(country));
        }
    }
    geoip
}

fn methods(situation: &Situation<'_>) -> Value {
    crate::login::session::methods(situation.amr)
        .iter()
        .map(|name| json!({ "name": name, "timestamp": situation.auth_time.to_string() }))
        .collect()
}

fn scopes(situation: &Situation<'_>) -> Vec<String> {
    situation.scopes.iter().map(str::to_owned).collect()
}

/// Logins that an identity provider vouched for: neither single sign-on nor `prompt=none` counts.
fn logins(user: &User) -> i64 {
    user.identities.iter().map(|stored| stored.logins_count).sum()
}

fn put(members: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value.into());
    }
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_script_sees_codes_tokens_or_secrets() {
        let mut raw = String::from("scope=openid&custom=1&twice=1&twice=2&prompt=none");
        for name in HIDDEN {
            raw += &format!("&{name}=hidden");
        }
        let shown = query_of(raw.as_bytes());
        assert_eq!(Value::Object(shown), json!({"scope": "openid", "custom": "1", "prompt": "none"}));
    }
}
