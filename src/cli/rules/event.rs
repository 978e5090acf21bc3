//! A login to rehearse scripts on: written down as JSON, or made again from the trace of one that happened.

use crate::connection::outbound;
use crate::login::{Trace, TraceStep};
use crate::rules::LoginInput;
use serde_json::{Map, Value, json};
use std::path::Path;
use url::Url;

/// The login.
pub struct Event {
    pub issuer: String,
    user: Map<String, Value>,
    context: Map<String, Value>,
    event: Map<String, Value>,
}

impl Event {
    pub fn input(&self) -> LoginInput {
        LoginInput { user: self.user.clone(), context: self.context.clone(), event: self.event.clone(), resume: None, no_redirect: false }
    }
}

/// From a file: `{"user": {..}, "context": {..}, "event": {..}}`.
pub fn written(path: &Path) -> Result<Event, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| format!("{name} is not JSON: {error}"))?;
    let members = value.as_object().ok_or_else(|| format!("{name} is not a JSON object"))?;
    if let Some(unknown) = members.keys().find(|name| !["user", "context", "event"].contains(&name.as_str())) {
        return Err(format!("{name} has {unknown}, and a login is user, context and event"));
    }
    let object = |member: &str| members.get(member).and_then(Value::as_object).cloned().unwrap_or_default();
    let user = object("user");
    if !user.get("user_id").is_some_and(Value::is_string) {
        return Err(format!("{name} has no user with a user_id"));
    }
    Ok(Event { issuer: "https://login.example.org".to_owned(), user, context: object("context"), event: object("event") })
}

/// From the operations listener of the running gateway. A trace has no metadata, and nothing that is not to be kept.
pub async fn recorded(gateway: &str, correlation_id: &str) -> Result<Event, String> {
    let base = Url::parse(gateway).map_err(|error| format!("{gateway} is no address: {error}"))?;
    let url = base.join(&format!("/traces/{correlation_id}")).map_err(|error| error.to_string())?;
    let client = outbound::client().map_err(|error| error.to_string())?;
    let answer = client.get(url.clone()).header("accept", "application/json").send().await.map_err(|error| format!("{url}: {error}"))?;
    match answer.status().as_u16() {
        200 => {}
        404 => return Err(format!("nothing is recorded of the login {correlation_id}")),
        status => return Err(format!("{url} answers with status {status}")),
    }
    let text = outbound::text(answer).await.map_err(|error| error.to_string())?;
    let trace: Trace = serde_json::from_str(&text).map_err(|error| format!("{url} is no trace: {error}"))?;
    of_trace(&trace, correlation_id).ok_or_else(|| "the login did not come as far as its user, so no rule ran".to_owned())
}

fn of_trace(trace: &Trace, correlation_id: &str) -> Option<Event> {
    let steps = || trace.entries.iter().map(|entry| &entry.event);
    let user_id = steps().rev().find_map(|step| match step {
        TraceStep::User { user_id, .. } => Some(user_id.clone()),
        _ => None,
    })?;
    let profile = steps().rev().find_map(|step| match step {
        TraceStep::Profile { profile } => profile.value().as_object().cloned(),
        _ => None,
    })?;
    let (application, parameters) = steps().find_map(|step| match step {
        TraceStep::RequestIn { application, parameters } => Some((application.clone(), parameters.clone())),
        _ => None,
    })?;
    let connection = steps().find_map(|step| match step {
        TraceStep::Received { connection, .. } => Some(connection.clone()),
        _ => None,
    })?;
    let mut parts = user_id.splitn(3, '|');
    let (strategy, subject) = (parts.next().unwrap_or_default().to_owned(), parts.nth(1).unwrap_or_default().to_owned());
    let query: Map<String, Value> =
        parameters.into_iter().filter(|(_, value)| value != "(present)").map(|(name, value)| (name, value.into())).collect();
    let scopes: Vec<String> =
        query.get("scope").and_then(Value::as_str).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let request = json!({ "query": query, "body": {}, "geoip": {} });
    let object = |value: Value| value.as_object().cloned().unwrap_or_default();
    Some(Event {
        issuer: "https://login.example.org".to_owned(),
        user: user(&user_id, profile, json!([{ "connection": connection, "provider": strategy, "user_id": subject, "isSocial": false }])),
        context: object(json!({
            "clientID": application, "clientName": application, "clientMetadata": {}, "connection": connection, "connectionID": connection,
            "connectionStrategy": strategy, "connectionOptions": {}, "connectionMetadata": {}, "samlConfiguration": {},
            "protocol": "oidc-basic-profile", "stats": { "loginsCount": 1 }, "accessToken": { "scope": scopes }, "idToken": {},
            "request": request, "authentication": { "methods": [] }, "authorization": { "roles": [] },
        })),
        event: object(json!({
            "client": { "client_id": application, "name": application, "metadata": {} },
            "connection": { "id": connection, "name": connection, "strategy": strategy, "metadata": {} },
            "request": request, "stats": { "logins_count": 1 }, "authorization": { "roles": [] }, "authentication": { "methods": [] },
            "transaction": { "id": correlation_id, "protocol": "oidc-basic-profile", "requested_scopes": scopes, "acr_values": [], "prompt": [] },
        })),
    })
}

/// Additional attributes stand at the root of a user, where their names are free.
fn user(user_id: &str, mut profile: Map<String, Value>, identities: Value) -> Map<String, Value> {
    for object in ["custom", "saml_data"] {
        if let Some(Value::Object(members)) = profile.shift_remove(object) {
            for (name, value) in members {
                let single = value.as_array().filter(|values| values.len() == 1).and_then(|values| values.first()).cloned();
                profile.entry(name).or_insert(single.unwrap_or(value));
            }
        }
    }
    for (name, value) in
        [("user_id", user_id.into()), ("identities", identities), ("user_metadata", json!({})), ("app_metadata", json!({}))]
    {
        profile.insert(name.to_owned(), value);
    }
    profile
}
