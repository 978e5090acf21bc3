//! Questions about users.

use super::factors::AUTHENTICATOR;
use super::{Caller, refusal};
use crate::broker::admin::{SealedValues, UserRecord};
use crate::connection::config::ConnectionConfig;
use crate::error::{Error, ErrorKind};
use crate::http::management::call::{Call, Reply, bounds, paged, selected};
use crate::http::management::problem::Refusal;
use crate::profile::ProviderTokens;
use crate::profile::dialect::{Dialect, DialectOptions, render};
use crate::store::UserQuery;
use crate::user::factors::FactorKind;
use crate::user::search::{self, Filter, IdentityField, SearchError, Sort, Test};
use crate::user::{PersonView, User};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// Users with one address that are listed.
const SAME_ADDRESS: usize = 100;

pub async fn get(call: Call) -> Result<Reply, Refusal> {
    let caller = Caller::of(&call, super::READ).await?;
    let record = call.gateway.admin.user_record(call.name("id"), SealedValues::Absent).await.map_err(refusal)?;
    let tokens = if caller == Caller::Program { provider_tokens(&call, &record.user).await? } else { Vec::new() };
    let shown = selected(&call, shown_with(&call, &record, tokens));
    Ok(Reply::versioned(200, shown, record.user.updated_at.millis()))
}

/// What providers gave, for who may read it and asks for it.
async fn provider_tokens(call: &Call, user: &User) -> Result<Vec<Option<ProviderTokens>>, Refusal> {
    let listed = call.text("fields").is_some_and(|fields| fields.split(',').any(|name| name.trim() == "identities"));
    let asked = match call.text("fields").filter(|fields| !fields.is_empty()) {
        Some(_) => listed == (call.flag("include_fields") != Some(false)),
        None => true,
    };
    let is_auth0 = call.text("dialect").and_then(Dialect::parse).unwrap_or_default() == Dialect::Auth0;
    if !(asked && is_auth0 && call.may("read:user_idp_tokens")) {
        return Ok(Vec::new());
    }
    let connections = &call.gateway.connections;
    let keeps = |name: &str| connections.config(name).is_some_and(ConnectionConfig::stores_tokens);
    Ok(call.gateway.admin.provider_tokens(user, keeps, call.by(), call.now).await?)
}

pub async fn list(call: Call) -> Result<Reply, Refusal> {
    if call.query.contains_key("from") || call.query.contains_key("take") {
        return checkpoint(call).await;
    }
    let wrong = |name: &str, error: &SearchError| {
        let message = format!("{name}, character {}: {}", error.position, error.message);
        let too_long = error.fault == search::Fault::TooLong;
        Refusal::new(ErrorKind::InvalidRequest, message).with_status(if too_long { 414 } else { 400 }).with_code("invalid_query_string")
    };
    let mut filters = Vec::new();
    if let Some(q) = call.text("q") {
        filters.push(search::parse(q).map_err(|error| wrong("q", &error))?);
    }
    filters.extend(call.text("connection").map(|name| Filter::Identity(IdentityField::Connection, Test::Is(name.to_owned()))));
    let sort = call.text("sort").map(Sort::parse).transpose().map_err(|error| wrong("sort", &error))?.unwrap_or_default();
    let (offset, limit) = bounds(&call);
    let filter = if filters.is_empty() { None } else { Some(Filter::All(filters)) };
    let query = UserQuery { filter, sort, offset, limit, count: call.flag("include_totals") == Some(true) };
    let refused = |error: Error| match error.kind {
        ErrorKind::InvalidRequest => Refusal::from(error).with_code("invalid_query_string"),
        _ => error.into(),
    };
    let found = call.gateway.directory.find_users(&query).await.map_err(refused)?;
    let total = found.total.and_then(|total| usize::try_from(total).ok()).unwrap_or(0);
    let users = all_shown(&call, found.users).await?;
    Ok(Reply::ok(paged(&call, "users", users, total)))
}

/// From one user id to the next, through all there are.
async fn checkpoint(call: Call) -> Result<Reply, Refusal> {
    let wrong = |message: &str| Refusal::new(ErrorKind::InvalidRequest, message).with_code("invalid_query_string");
    if ["q", "sort"].iter().any(|name| call.query.contains_key(*name)) {
        return Err(wrong("from and take do not go with q and sort"));
    }
    let after = call.text("from").filter(|from| !from.is_empty()).map(|from| {
        let bytes = URL_SAFE_NO_PAD.decode(from).ok();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| wrong("from is no `next` of an answer"))
    });
    let take = call.number("take").unwrap_or(50);
    let mut users = call.gateway.directory.users_after(after.transpose()?.as_deref(), call.text("connection"), take + 1).await?;
    let more = users.len() > take;
    users.truncate(take);
    let next = users.last().filter(|_| more).map(|user| URL_SAFE_NO_PAD.encode(&user.user_id));
    let mut body = json!({ "users": all_shown(&call, users).await? });
    if let (Some(members), Some(next)) = (body.as_object_mut(), next) {
        members.insert("next".to_owned(), next.into());
    }
    Ok(Reply::ok(body))
}

pub async fn by_email(call: Call) -> Result<Reply, Refusal> {
    let email = call.text("email").unwrap_or_default();
    let records = call.gateway.admin.users_by_email(email, SAME_ADDRESS, SealedValues::Absent).await?;
    Ok(Reply::ok(records.iter().map(|record| selected(&call, shown(&call, record))).collect()))
}

pub async fn no_roles(call: Call) -> Result<Reply, Refusal> {
    nothing(&call, "roles").await
}

pub async fn no_permissions(call: Call) -> Result<Reply, Refusal> {
    nothing(&call, "permissions").await
}

pub async fn no_organizations(call: Call) -> Result<Reply, Refusal> {
    nothing(&call, "organizations").await
}

/// An empty list of somebody who is there.
async fn nothing(call: &Call, name: &str) -> Result<Reply, Refusal> {
    existing(call, call.name("id")).await?;
    Ok(Reply::ok(paged(call, name, Vec::new(), 0)))
}

/// # Errors
/// 404 `inexistent_user`.
pub async fn existing(call: &Call, user_id: &str) -> Result<User, Refusal> {
    let missing = || refusal(Error::new(ErrorKind::NotFound, "The user does not exist."));
    call.gateway.directory.user(user_id).await?.ok_or_else(missing)
}

/// A user as the answer to a call, with its version.
pub fn answer(call: &Call, status: u16, record: &UserRecord) -> Reply {
    Reply::versioned(status, selected(call, shown(call, record)), record.user.updated_at.millis())
}

/// A user in the form that was asked for.
pub fn shown(call: &Call, record: &UserRecord) -> Value {
    shown_with(call, record, Vec::new())
}

fn shown_with(call: &Call, record: &UserRecord, tokens: Vec<Option<ProviderTokens>>) -> Value {
    let dialect = call.text("dialect").and_then(Dialect::parse).unwrap_or_default();
    let include_all_identities = call.flag("includeAllIdentities").unwrap_or(dialect != Dialect::Gigya);
    let sign_ids = call.gateway.gigya.as_ref();
    let map_identities = !tokens.is_empty();
    let options = DialectOptions { include_all_identities, map_identities, sign_ids, ..DialectOptions::new(call.now) };
    let view = PersonView::new(&record.user, record.profile.clone().unwrap_or_default(), None).with_tokens(tokens);
    let mut members: Map<String, Value> = render(dialect, &view.person(), &options);
    // Auth0 has no such thing; S0-14 wants it seen.
    if dialect == Dialect::Auth0 && !record.user.custom_fields.is_empty() {
        members.insert("custom_fields".to_owned(), Value::Object(record.user.custom_fields.clone()));
    }
    if let Some(app) = record.factors.iter().find(|factor| dialect == Dialect::Auth0 && factor.kind == FactorKind::Totp) {
        members.insert("multifactor".to_owned(), json!([AUTHENTICATOR]));
        members.insert("multifactor_last_modified".to_owned(), app.created_at.to_string().into());
    }
    Value::Object(members)
}

async fn all_shown(call: &Call, users: Vec<User>) -> Result<Vec<Value>, Refusal> {
    let mut all = Vec::with_capacity(users.len());
    for user in users {
        let record = call.gateway.admin.record(user, SealedValues::Absent).await;
        all.push(selected(call, shown(call, &record?)));
    }
    Ok(all)
}
