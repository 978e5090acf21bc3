//! Connections.

use super::call::{Call, Reply, selected};
use super::problem::Refusal;
use super::shape::{Kind, Member, Shape, fault, may, must};
use super::stored::{self, OWN_MEMBER};
use super::{Answer, Body, CHECKPOINT, FIELDS, Operation, PAGES};
use crate::broker::admin::kinds::CONNECTION;
use crate::broker::admin::objects::{self, Object};
use crate::broker::admin::{SealedValues, kept};
use crate::broker::live::{Known, Made};
use crate::connection::Connection;
use crate::connection::config::{ConnectionConfig, ConnectionKind, OAuth2Connection, OidcConnection, SamlConnection};
use crate::connection::database::DatabaseSettings;
use crate::connection::metadata::Members;
use crate::id;
use crate::saml::Binding;
use crate::store::Expect;
use crate::user::ProfileSync;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const EXAMPLE: &str = r#"{"id": "con_0123456789abcdef", "name": "acme", "display_name": "Acme Corp", "strategy": "samlp", "options": {"signInEndpoint": "https://idp.acme.example/sso"}, "enabled_clients": ["0123456789abcdef0123456789abcdef"], "realms": ["acme"], "is_domain_connection": false}"#;

const CLIENTS: Kind = Kind::List(&Kind::Text(1, 255), 10_000);

/// What a caller may set after the first members; null is as if it were not there, and in a change takes it away.
macro_rules! settings {
    ($($first:expr),*) => {
        &[
            $($first,)*
            may("display_name", Kind::OrNull(&Kind::Text(1, 128)), "For people"),
            may("options", Kind::OrNull(&Kind::Object), "By the strategy; docs/api.md has a table"),
            may("enabled_clients", Kind::OrNull(&CLIENTS), "Client ids of the applications whose users may come by it; none if it is not said"),
            may("is_domain_connection", Kind::OrNull(&Kind::Boolean), "Kept, without effect: every connection can be named by an application"),
            may("show_as_button", Kind::OrNull(&Kind::Boolean), "Kept, without effect"),
            may("realms", Kind::OrNull(&Kind::List(&Kind::Text(1, 128), 10)), "Kept, without effect"),
            may("metadata", Kind::OrNull(&Kind::Object), "Up to 10 texts of 255 characters"),
            OWN_MEMBER,
        ]
    };
}

const CREATE: Shape = Shape {
    name: "ConnectionCreate",
    members: settings!(
        must("name", Kind::Text(1, 128), "Letters, digits, - and _; it is a part of addresses"),
        must(
            "strategy",
            Kind::Text(1, 50),
            "samlp, oidc, oauth2, ad, a provider as google-oauth2 or github, auth0 for users that are kept here, custom for those that an endpoint keeps"
        )
    ),
    open: false,
    example: r#"{"name": "people", "strategy": "auth0", "enabled_clients": []}"#,
};

const CHANGE: Shape =
    Shape { name: "ConnectionChange", members: settings!(), open: false, example: r#"{"display_name": "Acme Corporation"}"# };

const CONNECTION_SHAPE: Shape = Shape {
    name: "Connection",
    members: &[
        must("id", Kind::Text(1, 100), ""),
        must("name", Kind::Text(1, 128), ""),
        must("strategy", Kind::Text(1, 50), ""),
        may("display_name", Kind::Text(0, 128), "For people"),
        may("options", Kind::Object, ""),
        may("enabled_clients", Kind::List(&Kind::Text(1, 255), 100_000), ""),
        may("realms", Kind::List(&Kind::Text(1, 128), 10), ""),
        may("is_domain_connection", Kind::Boolean, ""),
        may("show_as_button", Kind::Boolean, ""),
        may("metadata", Kind::Object, ""),
        may(stored::OWN, Kind::Object, "Settings beyond Auth0's; source: file or api; warnings"),
    ],
    open: true,
    example: EXAMPLE,
};

const FILTERS: &[Member] = &[
    may("strategy", Kind::Text(1, 200), "Only of this"),
    may("name", Kind::Text(1, 128), "Only the one of this name"),
    may("domain_alias", Kind::Text(1, 255), "Only the one that is responsible for this e-mail domain"),
];

const BY_EMAIL: &[Member] = &[must("email", Kind::Text(1, 320), "Whose user is to be deleted")];

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Connections", GET "/connections" "get_connections" "List connections",
        &["read:connections"], &[FIELDS, PAGES, CHECKPOINT, FILTERS], Body::Nothing,
        (200, Answer::Page(&CONNECTION_SHAPE, "connections")), &[], list),
    operation!("Connections", POST "/connections" "post_connections" "Make a connection",
        &["create:connections"], &[], Body::Json(&CREATE), (201, Answer::One(&CONNECTION_SHAPE)), &[409], create),
    operation!("Connections", GET "/connections/{id}" "get_connections_by_id" "Read a connection",
        &["read:connections"], &[FIELDS], Body::Nothing, (200, Answer::One(&CONNECTION_SHAPE)), &[404], get),
    operation!("Connections", PATCH "/connections/{id}" "patch_connections_by_id" "Change a connection, by a JSON merge patch: options that are not named stay",
        &["update:connections"], &[], Body::Json(&CHANGE), (200, Answer::One(&CONNECTION_SHAPE)), &[404, 409, 412], change),
    operation!("Connections", DELETE "/connections/{id}" "delete_connections_by_id" "Delete a connection; its users stay, and cannot come by it any more",
        &["delete:connections"], &[], Body::Nothing, (204, Answer::Nothing), &[404, 409, 412], delete),
    operation!("Connections", GET "/connections/{id}/status" "get_status" "Can people sign in by it? 404 if not",
        &["read:connections"], &[], Body::Nothing, (200, Answer::Nothing), &[404], status),
    operation!("Connections", DELETE "/connections/{id}/users" "delete_users_by_email" "Delete the users of a connection that have an e-mail address",
        &["delete:users"], &[BY_EMAIL], Body::Nothing, (204, Answer::Nothing), &[404], delete_user),
];

async fn list(call: Call) -> Result<Reply, Refusal> {
    let mut all: Vec<(String, Map<String, Value>)> = of_file(&call).map(|config| (id_of(config), from_file(&call, config))).collect();
    let names: Vec<String> = of_file(&call).map(|config| config.name.clone()).collect();
    for object in stored::all(&call.gateway, &CONNECTION).await? {
        let hidden = object.body.get("name").and_then(Value::as_str).is_some_and(|name| names.iter().any(|known| known == name));
        if !hidden {
            all.push((object.id.clone(), view(&object)));
        }
    }
    all.retain(|(_, body)| is_wanted(&call, body));
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    let show = |(_, body): &(String, Map<String, Value>)| Value::Object(body.clone());
    Ok(Reply::ok(stored::listed(&call, "connections", &all, |(id, _)| id.as_str(), show)))
}

fn is_wanted(call: &Call, body: &Map<String, Value>) -> bool {
    let is = |member: &str| call.text(member).is_none_or(|wanted| body.get(member).and_then(Value::as_str) == Some(wanted));
    let aliases = || body.get("options").and_then(|options| options.get("domain_aliases")).and_then(Value::as_array).into_iter().flatten();
    let alias =
        call.text("domain_alias").is_none_or(|wanted| aliases().filter_map(Value::as_str).any(|alias| alias.eq_ignore_ascii_case(wanted)));
    is("strategy") && is("name") && alias
}

async fn create(call: Call) -> Result<Reply, Refusal> {
    let body = stored::body_of(&call);
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    if call.gateway.connections.config(name).is_some() {
        return Err(stored::conflict("There is a connection of this name already."));
    }
    check_clients(&call)?;
    check_secrets(&body)?;
    let id = format!("con_{}", id::random_id().get(..16).unwrap_or_default());
    let written = objects::write(&call.state.live, &CONNECTION, &id, body, Expect::Nothing, call.by(), call.now).await?;
    Ok(answered(201, written.0, &written.1))
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    let id = call.name("id");
    if let Some(config) = of_file(&call).find(|config| id_of(config) == id) {
        return Ok(Reply::ok(selected(&call, from_file(&call, config).into())));
    }
    let object = objects::read(&call.gateway, &CONNECTION, id).await?.ok_or_else(missing)?;
    let known = Known { gateway: &call.gateway, now: call.now, again: true };
    let made = call.state.live.maker().make(CONNECTION.name, id, &object.body, known);
    let mut body = view(&object);
    stored::warned(&mut body, &made.map_or_else(|faults| faults, |checked| checked.warnings));
    Ok(Reply::versioned(200, selected(&call, body.into()), object.version))
}

async fn change(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    check_clients(&call)?;
    let (mut body, patch) = (object.body, stored::patch_of(&call));
    check_secrets(&patch)?;
    stored::merge(&mut body, &patch);
    let written = objects::write(&call.state.live, &CONNECTION, &object.id, body, expect, call.by(), call.now).await?;
    Ok(answered(200, written.0, &written.1))
}

async fn delete(call: Call) -> Result<Reply, Refusal> {
    let object = existing(&call).await?;
    let expect = stored::expected(&call, &object)?;
    objects::delete(&call.state.live, &CONNECTION, &object.id, expect, call.by(), call.now).await?;
    Ok(Reply::Empty(204))
}

async fn status(call: Call) -> Result<Reply, Refusal> {
    let name = name_of(&call).await?;
    match call.gateway.connections.enabled(&name) {
        Some(_) => Ok(Reply::Empty(200)),
        None => Err(stored::missing("connection by which people can sign in", "connection_offline")),
    }
}

async fn delete_user(call: Call) -> Result<Reply, Refusal> {
    let name = name_of(&call).await?;
    let admin = &call.gateway.admin;
    for record in admin.users_by_email(call.text("email").unwrap_or_default(), 100, SealedValues::Absent).await? {
        if record.user.primary().is_some_and(|primary| primary.identity.connection == name) {
            call.gateway.end_everything_of(&record.user.user_id, call.now).await?;
            call.gateway.delete_accounts_of(&record.user.user_id, call.now).await?;
            admin.delete_user(&record.user.user_id, call.by(), call.now).await?;
        }
    }
    Ok(Reply::Empty(204))
}

/// The name of the connection that the path names, whoever made it.
async fn name_of(call: &Call) -> Result<String, Refusal> {
    let id = call.name("id");
    if let Some(config) = of_file(call).find(|config| id_of(config) == id) {
        return Ok(config.name.clone());
    }
    let object = objects::read(&call.gateway, &CONNECTION, id).await?.ok_or_else(missing)?;
    Ok(object.body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Only clients that are there are enabled; one that goes later does no harm.
fn check_clients(call: &Call) -> Result<(), Refusal> {
    let named = call.body.get("enabled_clients").and_then(Value::as_array).into_iter().flatten().enumerate();
    let unknown = named.filter(|(_, id)| !id.as_str().is_some_and(|id| call.gateway.applications.contains_key(id)));
    let faults: Vec<_> = unknown.map(|(index, _)| fault(&format!("/enabled_clients/{index}"), "is no client that is known here")).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
}

/// Secrets come as texts.
fn check_secrets(body: &Map<String, Value>) -> Result<(), Refusal> {
    let faults = kept::misplaced(&CONNECTION, body);
    if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
}

/// The connection that the path names, if it can be changed here.
async fn existing(call: &Call) -> Result<Object, Refusal> {
    let id = call.name("id");
    if of_file(call).any(|config| id_of(config) == id) {
        return Err(stored::read_only("connection"));
    }
    objects::read(&call.gateway, &CONNECTION, id).await?.ok_or_else(missing)
}

fn missing() -> Refusal {
    stored::missing("connection", "inexistent_connection")
}

fn answered(status: u16, object: Object, warnings: &[crate::broker::live::Fault]) -> Reply {
    let mut body = view(&object);
    stored::warned(&mut body, warnings);
    Reply::versioned(status, body.into(), object.version)
}

fn view(object: &Object) -> Map<String, Value> {
    let mut body = stored::shown("id", &object.id, object.body.clone());
    let name = body.get("name").cloned().unwrap_or_default();
    for (member, usual) in [
        ("display_name", name.clone()),
        ("options", json!({})),
        ("enabled_clients", json!([])),
        ("realms", json!([name])),
        ("is_domain_connection", Value::Bool(false)),
        ("show_as_button", Value::Bool(false)),
    ] {
        body.entry(member).or_insert(usual);
    }
    body
}

fn of_file(call: &Call) -> impl Iterator<Item = &ConnectionConfig> {
    call.state.live.of_file().iter().filter_map(|made| match made {
        Made::Connection(connection) => Some(Arc::<dyn Connection>::as_ref(connection).config()),
        _ => None,
    })
}

/// The id of a connection of the file: always the same for a name.
pub(super) fn id_of(config: &ConnectionConfig) -> String {
    format!("con_{}", id::digest(&config.name).get(..16).unwrap_or_default())
}

/// What the file says, in Auth0's words.
fn from_file(call: &Call, config: &ConnectionConfig) -> Map<String, Value> {
    let everybody = || {
        let mut all: Vec<String> = call.gateway.applications.keys().cloned().collect();
        all.sort();
        all
    };
    let sync = match config.profile.sync {
        ProfileSync::OnEachLogin => "on_each_login",
        ProfileSync::OnFirstLogin => "on_first_login",
        ProfileSync::NeverOnLogin => "never_on_login",
    };
    let (mut options, entity_id) = match &config.kind {
        ConnectionKind::Saml(saml) => samlp_options(saml),
        ConnectionKind::Oidc(oidc) => (oidc_options(oidc), None),
        // What is secret of it is left out with the rest.
        ConnectionKind::Ldap(_) => (Map::new(), None),
        ConnectionKind::Database(database) => (database_options(database), None),
        ConnectionKind::OAuth2(oauth2) => (oauth2_options(oauth2), None),
    };
    options.insert("domain_aliases".to_owned(), json!(config.domains));
    options.insert("set_user_root_attributes".to_owned(), sync.into());
    options.insert("non_persistent_attrs".to_owned(), json!(config.profile.non_persistent));
    let mut own = json!({ "enabled": config.enabled, "mapping": config.mapping.name(), "link_only": config.profile.link_only });
    if let (Some(members), Some(entity_id)) = (own.as_object_mut(), entity_id) {
        members.insert("entity_id".to_owned(), entity_id.into());
    }
    let body = json!({
        "id": id_of(config),
        "name": config.name,
        "display_name": config.display_name,
        "strategy": config.strategy(),
        "options": options,
        "enabled_clients": config.applications.clone().unwrap_or_else(everybody),
        "realms": [config.name],
        "is_domain_connection": false,
        "show_as_button": false,
        stored::OWN: own,
    });
    stored::made_by("file", body.as_object().cloned().unwrap_or_default())
}

fn samlp_options(saml: &SamlConnection) -> (Map<String, Value>, Option<&str>) {
    let binding = match saml.request_binding {
        Binding::Post => "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST",
        _ => "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect",
    };
    let mut options = Map::new();
    if let Some(endpoint) = saml.idp.sso_endpoints.iter().find(|endpoint| endpoint.binding == saml.request_binding) {
        options.insert("signInEndpoint".to_owned(), endpoint.location.as_str().into());
    }
    if let Some(entity_id) = &saml.sp_entity_id {
        options.insert("entityId".to_owned(), entity_id.as_str().into());
    }
    if let Some(living) = saml.living.as_ref().filter(|living| living.members == Members::One) {
        options.insert("metadataUrl".to_owned(), living.source.shown().into());
    }
    options.insert("protocolBinding".to_owned(), binding.into());
    options.insert("signSAMLRequest".to_owned(), (saml.sign_requests || saml.idp.want_authn_requests_signed).into());
    let entity_id = Some(saml.idp.entity_id.as_str()).filter(|_| saml.living.is_none());
    (options, entity_id.or_else(|| saml.living.as_ref()?.source.expects.as_deref()))
}

fn database_options(database: &DatabaseSettings) -> Map<String, Value> {
    let policy = &database.policy;
    let options = json!({
        "disable_signup": !database.sign_up,
        "requires_username": database.names.username,
        "brute_force_protection": true,
        "password_complexity_options": { "min_length": policy.min_length },
        "password_no_personal_info": { "enable": policy.personal },
        "password_dictionary": { "enable": policy.common, "dictionary": policy.words },
    });
    options.as_object().cloned().unwrap_or_default()
}

/// Without the secret.
fn oauth2_options(oauth2: &OAuth2Connection) -> Map<String, Value> {
    let mut options = Map::new();
    options.insert("authorizationURL".to_owned(), oauth2.authorization_endpoint.as_str().into());
    options.insert("tokenURL".to_owned(), oauth2.token_endpoint.as_str().into());
    options.insert("client_id".to_owned(), oauth2.client_id.as_str().into());
    options.insert("scope".to_owned(), oauth2.scopes.join(" ").into());
    options
}

/// Without the secret.
fn oidc_options(oidc: &OidcConnection) -> Map<String, Value> {
    let mut options = Map::new();
    options.insert("type".to_owned(), "back_channel".into());
    options.insert("discovery_url".to_owned(), oidc.metadata.as_str().into());
    options.insert("issuer".to_owned(), oidc.issuer.text().into());
    options.insert("client_id".to_owned(), oidc.client_id.as_str().into());
    options.insert("scope".to_owned(), oidc.scopes.join(" ").into());
    options
}
