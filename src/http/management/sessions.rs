//! Sessions, families of refresh tokens, and what users have granted. Tokens themselves are never shown: what is called an
//! id here opens nothing.

use super::call::{Call, Reply, bounds, paged};
use super::problem::Refusal;
use super::shape::{Kind, Member, Shape, may, must};
use super::users::existing;
use super::{Answer, Body, Operation, PAGES};
use crate::broker::sessions::{FoundFamily, FoundSession};
use crate::error::ErrorKind;
use crate::login::session::methods as login_methods;
use crate::store::{ConsentFilter, ConsentRecord, FamilyFilter, RefreshFamily};
use serde_json::{Value, json};

pub const SESSION: Shape = Shape {
    name: "Session",
    members: &[
        must("id", Kind::Text(1, 64), "The `sid` of its ID tokens"),
        must("user_id", Kind::Text(1, 6000), ""),
        must("created_at", Kind::Formatted("date-time", 40), ""),
        must("updated_at", Kind::Formatted("date-time", 40), ""),
        must("authenticated_at", Kind::Formatted("date-time", 40), "When the person signed in at the identity provider"),
        must("expires_at", Kind::Formatted("date-time", 40), ""),
        must("clients", Kind::List(&Kind::Object, 100), "Applications that were given something in it"),
        must("authentication", Kind::Object, ""),
        must("connection", Kind::Text(1, 128), "Name of the connection by which the person came"),
    ],
    open: false,
    example: r#"{"id": "5f0c1c0a3e0b4f0d9a6b7c8d9e0f1a2b5f0c1c0a3e0b4f0d9a6b7c8d9e0f1a2b", "user_id": "samlp|acme|jane", "created_at": "2026-11-21T09:00:00Z", "updated_at": "2026-11-21T09:00:00Z", "authenticated_at": "2026-11-21T09:00:00Z", "expires_at": "2026-11-21T17:00:00Z", "clients": [{"client_id": "notes"}], "authentication": {"methods": [{"name": "federated", "timestamp": "2026-11-21T09:00:00Z"}]}, "connection": "acme"}"#,
};

pub const REFRESH_TOKEN: Shape = Shape {
    name: "RefreshToken",
    members: &[
        must("id", Kind::Text(1, 64), "Opens nothing"),
        must("user_id", Kind::Text(1, 6000), ""),
        must("client_id", Kind::Text(1, 255), ""),
        must("session_id", Kind::Text(1, 64), ""),
        must("created_at", Kind::Formatted("date-time", 40), ""),
        must("last_exchanged_at", Kind::Formatted("date-time", 40), ""),
        must("expires_at", Kind::Formatted("date-time", 40), ""),
        must("rotating", Kind::Boolean, "Always: every use gives another token"),
        must("resource_servers", Kind::List(&Kind::Object, 10), "What it is for"),
    ],
    open: false,
    example: r#"{"id": "0f3b6f6d1f3e4c0b8a4d0c3f1e2d3c4b", "user_id": "samlp|acme|jane", "client_id": "notes", "session_id": "5f0c1c0a3e0b4f0d9a6b7c8d9e0f1a2b5f0c1c0a3e0b4f0d9a6b7c8d9e0f1a2b", "created_at": "2026-11-21T09:00:00Z", "last_exchanged_at": "2026-11-21T09:30:00Z", "expires_at": "2026-12-21T09:00:00Z", "rotating": true, "resource_servers": [{"scopes": "openid offline_access"}]}"#,
};

pub const GRANT: Shape = Shape {
    name: "Grant",
    members: &[
        must("id", Kind::Text(1, 64), "Of what the person agreed to, or of a refresh token"),
        must("clientID", Kind::Text(1, 255), ""),
        must("user_id", Kind::Text(1, 6000), ""),
        may("audience", Kind::Text(1, 2000), ""),
        must("scope", Kind::List(&Kind::Text(1, 1000), 1000), ""),
    ],
    open: false,
    example: r#"{"id": "0f3b6f6d1f3e4c0b8a4d0c3f1e2d3c4b", "clientID": "notes", "user_id": "samlp|acme|jane", "scope": ["openid", "offline_access"]}"#,
};

const SESSIONS: Shape = Shape {
    name: "Sessions",
    members: &[must("sessions", Kind::List(&Kind::Record(&SESSION), 100), ""), may("next", Kind::Text(1, 1000), "")],
    open: false,
    example: r#"{"sessions": []}"#,
};

const REFRESH_TOKENS: Shape = Shape {
    name: "RefreshTokens",
    members: &[must("tokens", Kind::List(&Kind::Record(&REFRESH_TOKEN), 1000), ""), may("next", Kind::Text(1, 1000), "")],
    open: false,
    example: r#"{"tokens": []}"#,
};

/// Auth0 calls the same list otherwise where it is not asked for below a user.
const ALL_TOKENS: Shape = Shape {
    name: "AllRefreshTokens",
    members: &[must("refresh_tokens", Kind::List(&Kind::Record(&REFRESH_TOKEN), 1000), ""), may("next", Kind::Text(1, 1000), "")],
    open: false,
    example: r#"{"refresh_tokens": []}"#,
};

/// As Auth0's SDKs send them.
const TAKE: &[Member] = &[
    may("from", Kind::Text(0, 1000), "Go on after this, from the `next` of the answer before"),
    may("take", Kind::Integer(1, 100), "Items of an answer; 50 if it is not said"),
    may("include_totals", Kind::Boolean, "Has no effect: how many there are is not told"),
];

const OF_GRANTS: &[Member] = &[
    may("user_id", Kind::Text(1, 6000), "Only of this user"),
    may("client_id", Kind::Text(1, 255), "Only for this application"),
    may("audience", Kind::Text(1, 2000), "Only for this resource server"),
];

const OF_TOKENS: &[Member] =
    &[must("user_id", Kind::Text(1, 6000), "Whose they are"), may("client_id", Kind::Text(1, 255), "Only for this application")];

const REVOKE: Shape = Shape {
    name: "RevokeAccess",
    members: &[
        may("session_id", Kind::Text(1, 64), "Only this session; all of the user if it is not said"),
        may("preserve_refresh_tokens", Kind::Boolean, "true: refresh tokens live on"),
    ],
    open: false,
    example: r#"{"preserve_refresh_tokens": false}"#,
};

const OF_USER: &[Member] = &[must("user_id", Kind::Text(1, 6000), "Whose grants are revoked")];

#[rustfmt::skip]
pub const OPERATIONS: &[Operation] = &[
    operation!("Sessions", GET "/users/{id}/sessions" "get_sessions_for_user" "Living sessions of a user, the newest first",
        &["read:sessions"], &[TAKE], Body::Nothing, (200, Answer::One(&SESSIONS)), &[404], of_user),
    operation!("Sessions", DELETE "/users/{id}/sessions" "delete_sessions_for_user" "End all sessions of a user, and what was granted in them",
        &["delete:sessions"], &[], Body::Nothing, (202, Answer::Nothing), &[404], end_all),
    operation!("Sessions", GET "/sessions/{id}" "get_session" "Read a session",
        &["read:sessions"], &[], Body::Nothing, (200, Answer::One(&SESSION)), &[404], get),
    operation!("Sessions", DELETE "/sessions/{id}" "delete_session" "End a session, and what was granted in it",
        &["delete:sessions"], &[], Body::Nothing, (202, Answer::Nothing), &[404], end),
    operation!("Sessions", POST "/sessions/{id}/revoke" "revoke_session" "End a session, and what was granted in it",
        &["delete:sessions"], &[], Body::Nothing, (202, Answer::Nothing), &[404], end),
    operation!("Refresh tokens", GET "/refresh-tokens" "get_refresh_tokens" "Refresh tokens of a user, perhaps for one application",
        &["read:refresh_tokens"], &[TAKE, OF_TOKENS], Body::Nothing, (200, Answer::One(&ALL_TOKENS)), &[404], tokens),
    operation!("Refresh tokens", GET "/users/{id}/refresh-tokens" "get_refresh_tokens_for_user" "Refresh tokens of a user",
        &["read:refresh_tokens"], &[TAKE], Body::Nothing, (200, Answer::One(&REFRESH_TOKENS)), &[404], tokens_of_user),
    operation!("Refresh tokens", DELETE "/users/{id}/refresh-tokens" "delete_refresh_tokens_for_user" "Revoke all refresh tokens of a user",
        &["delete:refresh_tokens"], &[], Body::Nothing, (202, Answer::Nothing), &[404], revoke_all),
    operation!("Refresh tokens", GET "/refresh-tokens/{id}" "get_refresh_token" "Read a refresh token's state",
        &["read:refresh_tokens"], &[], Body::Nothing, (200, Answer::One(&REFRESH_TOKEN)), &[404], token),
    operation!("Refresh tokens", DELETE "/refresh-tokens/{id}" "delete_refresh_token" "Revoke a refresh token, and the access tokens of its grant",
        &["delete:refresh_tokens"], &[], Body::Nothing, (202, Answer::Nothing), &[404], revoke),
    operation!("Users", POST "/users/{id}/revoke-access" "user_revoke_access" "End sessions of a user and what was granted in them, or one session; or sessions only",
        &["delete:sessions"], &[], Body::OptionalJson(&REVOKE), (202, Answer::Nothing), &[404], revoke_access),
    operation!("Grants", GET "/grants" "get_grants" "What users have granted to applications: what they agreed to, and access while they are away",
        &["read:grants"], &[PAGES, OF_GRANTS], Body::Nothing, (200, Answer::Page(&GRANT, "grants")), &[], grants),
    operation!("Grants", DELETE "/grants" "delete_grants_by_user_id" "Revoke everything that a user has granted",
        &["delete:grants"], &[OF_USER], Body::Nothing, (204, Answer::Nothing), &[], revoke_grants),
    operation!("Grants", DELETE "/grants/{id}" "delete_grants_by_id" "Revoke a grant, and its tokens",
        &["delete:grants"], &[], Body::Nothing, (204, Answer::Nothing), &[], revoke_grant),
];

async fn of_user(call: Call) -> Result<Reply, Refusal> {
    let user = existing(&call, call.name("id")).await?;
    let found = call.gateway.sessions_of(&user.user_id, call.now).await?;
    let (page, next) = taken(&call, &found, |found| found.session.sid.as_str());
    Ok(Reply::ok(listed("sessions", page.iter().map(session_shown).collect(), next)))
}

async fn end_all(call: Call) -> Result<Reply, Refusal> {
    let user = existing(&call, call.name("id")).await?;
    // More than are listed may have been made meanwhile, and are not asked about.
    let (kept, mut ended) = call.gateway.kept_sessions_of(&user.user_id).await;
    for session in kept {
        ended = ended.and(call.gateway.end_session(&session, call.now).await);
    }
    ended?;
    Ok(Reply::Empty(202))
}

async fn get(call: Call) -> Result<Reply, Refusal> {
    Ok(Reply::ok(session_shown(&session(&call).await?)))
}

async fn end(call: Call) -> Result<Reply, Refusal> {
    let missing = || Refusal::new(ErrorKind::NotFound, "There is no such session.").with_code("inexistent_session");
    let session = call.gateway.kept_session(call.name("id")).await?.ok_or_else(missing)?;
    call.gateway.end_session(&session, call.now).await?;
    Ok(Reply::Empty(202))
}

async fn tokens(call: Call) -> Result<Reply, Refusal> {
    let user = existing(&call, call.text("user_id").unwrap_or_default()).await?;
    let mut found = call.gateway.families_of(&user.user_id, call.now).await?;
    found.retain(|found| call.text("client_id").is_none_or(|client_id| client_id == found.family.client_id));
    let (page, next) = taken(&call, &found, |found| found.family.grant_id.as_str());
    Ok(Reply::ok(listed("refresh_tokens", page.iter().map(token_shown).collect(), next)))
}

async fn revoke_access(call: Call) -> Result<Reply, Refusal> {
    let user = existing(&call, call.name("id")).await?;
    let only = call.body.get("session_id").and_then(Value::as_str);
    let keeps = call.body.get("preserve_refresh_tokens") == Some(&Value::Bool(true));
    let (mut found, mut ended) = call.gateway.kept_sessions_of(&user.user_id).await;
    found.retain(|session| only.is_none_or(|sid| sid == session.sid));
    if only.is_some() && found.is_empty() {
        ended?;
        return Err(Refusal::new(ErrorKind::NotFound, "The user has no such session.").with_code("inexistent_session"));
    }
    for session in &found {
        ended = ended.and(match keeps {
            true => call.gateway.forget_session(session, call.now).await,
            false => call.gateway.end_session(session, call.now).await,
        });
    }
    if only.is_none() && !keeps {
        ended = ended.and(call.gateway.end_families(&user.user_id, None, call.now).await);
    }
    ended?;
    Ok(Reply::Empty(202))
}

async fn tokens_of_user(call: Call) -> Result<Reply, Refusal> {
    let user = existing(&call, call.name("id")).await?;
    let found = call.gateway.families_of(&user.user_id, call.now).await?;
    let (page, next) = taken(&call, &found, |found| found.family.grant_id.as_str());
    Ok(Reply::ok(listed("tokens", page.iter().map(token_shown).collect(), next)))
}

async fn revoke_all(call: Call) -> Result<Reply, Refusal> {
    let user = existing(&call, call.name("id")).await?;
    call.gateway.end_families(&user.user_id, None, call.now).await?;
    Ok(Reply::Empty(202))
}

async fn token(call: Call) -> Result<Reply, Refusal> {
    Ok(Reply::ok(token_shown(&family(&call).await?)))
}

async fn revoke(call: Call) -> Result<Reply, Refusal> {
    let found = stored_family(&call).await?;
    call.gateway.end_family(&found.grant_id).await?;
    Ok(Reply::Empty(202))
}

async fn grants(call: Call) -> Result<Reply, Refusal> {
    let (offset, limit) = bounds(&call);
    let text = |name: &str| call.text(name).map(str::to_owned);
    let filter = FamilyFilter { grant_id: None, user_id: text("user_id"), client_id: text("client_id"), offset, limit };
    let agreed = ConsentFilter {
        consent_id: None,
        user_id: text("user_id"),
        client_id: text("client_id"),
        audience: text("audience"),
        offset,
        limit,
    };
    let consents = call.gateway.directory.consents(&agreed).await?;
    // What people have agreed to comes first, and refresh tokens behind it.
    let (offset, limit) = (offset.saturating_sub(consents.total), limit.saturating_sub(consents.consents.len()));
    let filter = FamilyFilter { offset, limit, ..filter };
    let (found, total) = match call.text("audience") {
        None => call.gateway.families(&filter, call.now).await?,
        // The store does not know audiences: those of the first thousand are looked through.
        Some(audience) => {
            let all = FamilyFilter { offset: 0, limit: LOOKED_THROUGH, ..filter };
            let (found, _) = call.gateway.families(&all, call.now).await?;
            let found: Vec<FoundFamily> = found.into_iter().filter(|found| found.audience.as_deref() == Some(audience)).collect();
            let total = found.len();
            (found.into_iter().skip(offset).take(limit).collect(), total)
        }
    };
    let shown = consents.consents.iter().map(consent_shown).chain(found.iter().map(grant_shown)).collect();
    Ok(Reply::ok(paged(&call, "grants", shown, total + consents.total)))
}

async fn revoke_grants(call: Call) -> Result<Reply, Refusal> {
    let user_id = call.text("user_id").unwrap_or_default().to_owned();
    let withdrawn = call.gateway.withdraw_consents_of(&user_id, call.now).await;
    withdrawn.and(call.gateway.end_families(&user_id, None, call.now).await)?;
    Ok(Reply::Empty(204))
}

async fn revoke_grant(call: Call) -> Result<Reply, Refusal> {
    let filter = ConsentFilter { consent_id: Some(call.name("id").to_owned()), limit: 1, ..ConsentFilter::default() };
    if let Some(consent) = call.gateway.directory.consents(&filter).await?.consents.first() {
        call.gateway.withdraw_consent(consent, call.now).await?;
        return Ok(Reply::Empty(204));
    }
    match stored_family(&call).await {
        Ok(found) => call.gateway.end_family(&found.grant_id).await?,
        Err(refusal) if refusal.error.kind == ErrorKind::NotFound => {}
        Err(refusal) => return Err(refusal),
    }
    Ok(Reply::Empty(204))
}

const LOOKED_THROUGH: usize = 1000;

async fn session(call: &Call) -> Result<FoundSession, Refusal> {
    let missing = || Refusal::new(ErrorKind::NotFound, "The session does not exist.").with_code("inexistent_session");
    call.gateway.session_by_sid(call.name("id"), call.now).await?.ok_or_else(missing)
}

async fn family(call: &Call) -> Result<FoundFamily, Refusal> {
    call.gateway.families(&named(call), call.now).await?.0.pop().ok_or_else(missing_family)
}

/// For ending it, whether or not the rest of it can be read.
async fn stored_family(call: &Call) -> Result<RefreshFamily, Refusal> {
    call.gateway.directory.families(&named(call), call.now).await?.families.pop().ok_or_else(missing_family)
}

fn named(call: &Call) -> FamilyFilter {
    FamilyFilter { grant_id: Some(call.name("id").to_owned()), limit: 1, ..FamilyFilter::default() }
}

fn missing_family() -> Refusal {
    Refusal::new(ErrorKind::NotFound, "The refresh token does not exist.").with_code("inexistent_refresh_token")
}

/// The part of a list that `from` and `take` ask for, and where it goes on.
fn taken<'f, T>(call: &Call, found: &'f [T], id: impl Fn(&T) -> &str) -> (&'f [T], Option<String>) {
    let after = call.text("from").filter(|from| !from.is_empty());
    let start = after.and_then(|after| found.iter().position(|item| id(item) == after)).map_or(0, |at| at + 1);
    let rest = found.get(start..).unwrap_or_default();
    let page = rest.get(..call.number("take").unwrap_or(50)).unwrap_or(rest);
    let next = page.last().filter(|_| page.len() < rest.len()).map(|last| id(last).to_owned());
    (page, next)
}

fn listed(name: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut body = json!({ name: items });
    if let (Some(members), Some(next)) = (body.as_object_mut(), next) {
        members.insert("next".to_owned(), next.into());
    }
    body
}

fn session_shown(found: &FoundSession) -> Value {
    let session = &found.session;
    let expires_at = session.upstream.not_on_or_after.map_or(session.expires_at, |end| end.min(session.expires_at));
    let methods = login_methods(&session.amr).iter().map(|name| json!({ "name": name, "timestamp": session.auth_time.to_string() }));
    let methods: Vec<Value> = methods.collect();
    let clients: Vec<Value> = found.clients.iter().map(|client_id| json!({ "client_id": client_id })).collect();
    json!({
        "id": session.sid, "user_id": session.user_id, "created_at": session.created_at.to_string(),
        "updated_at": session.created_at.to_string(), "authenticated_at": session.auth_time.to_string(),
        "expires_at": expires_at.to_string(), "clients": clients,
        "authentication": { "methods": methods },
        "connection": session.identity.connection,
    })
}

fn token_shown(found: &FoundFamily) -> Value {
    let FoundFamily { family, sid, scopes, audience } = found;
    let mut server = json!({ "scopes": scopes.to_string() });
    if let (Some(members), Some(audience)) = (server.as_object_mut(), audience) {
        members.insert("audience".to_owned(), audience.as_str().into());
    }
    json!({
        "id": family.grant_id, "user_id": family.user_id, "client_id": family.client_id, "session_id": sid,
        "created_at": family.created_at.to_string(), "last_exchanged_at": family.rotated_at.to_string(),
        "expires_at": family.expires_at.to_string(), "rotating": true, "resource_servers": [server],
    })
}

fn consent_shown(consent: &ConsentRecord) -> Value {
    let mut shown = json!({
        "id": consent.consent_id, "clientID": consent.client_id, "user_id": consent.user_id, "scope": consent.scopes,
    });
    if let (Some(members), false) = (shown.as_object_mut(), consent.audience.is_empty()) {
        members.insert("audience".to_owned(), consent.audience.as_str().into());
    }
    shown
}

fn grant_shown(found: &FoundFamily) -> Value {
    let mut shown = json!({
        "id": found.family.grant_id, "clientID": found.family.client_id, "user_id": found.family.user_id,
        "scope": found.scopes.iter().collect::<Vec<_>>(),
    });
    if let (Some(members), Some(audience)) = (shown.as_object_mut(), &found.audience) {
        members.insert("audience".to_owned(), audience.as_str().into());
    }
    shown
}
