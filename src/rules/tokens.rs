//! The signed tokens that actions send along with a person, and read when the person comes back.

use super::api::View;
use crate::clock::Timestamp;
use crate::id;
use crate::oidc::jose;
use crate::secret::Secret;
use serde_json::{Map, Value};

/// Seconds that a token lives unless the script says otherwise, and the most that it may say.
const DEFAULT_LIFE: i64 = 15 * 60;
const MAX_LIFE: i64 = 24 * 60 * 60;
/// The parameter in which a token comes back.
const DEFAULT_PARAMETER: &str = "session_token";

/// `api.redirect.encodeToken`: the payload, with `iss`, `sub`, `iat`, `exp`, `jti` and `ip` of the gateway's.
pub(super) fn encode(options: &Map<String, Value>, view: &View, now: Timestamp) -> Result<String, String> {
    let life = options.get("expiresInSeconds").and_then(Value::as_i64).unwrap_or(DEFAULT_LIFE);
    if !(1..=MAX_LIFE).contains(&life) {
        return Err(format!("expiresInSeconds is between 1 and {MAX_LIFE}"));
    }
    let mut claims = match options.get("payload") {
        Some(Value::Object(payload)) => payload.clone(),
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err("the payload of a token is an object".to_owned()),
    };
    claims.insert("iss".to_owned(), view.login.issuer.as_str().into());
    claims.insert("sub".to_owned(), view.user_id.as_str().into());
    claims.insert("iat".to_owned(), now.seconds().into());
    claims.insert("exp".to_owned(), now.plus_seconds(life).seconds().into());
    claims.insert("jti".to_owned(), id::random_id().into());
    if let Some(ip) = &view.login.ip {
        claims.insert("ip".to_owned(), ip.as_str().into());
    }
    jose::sign_shared(&secret(options)?, &claims).map_err(|error| error.detail)
}

/// `api.redirect.validateToken`: the claims of the token that came back, if it is signed with the secret, for this user,
/// in force, and for this return: it must name its `state`, or it could be used again in another login.
pub(super) fn validate(options: &Map<String, Value>, view: &View, now: Timestamp) -> Result<Map<String, Value>, String> {
    let name = options.get("tokenParameterName").and_then(Value::as_str).unwrap_or(DEFAULT_PARAMETER);
    let Some((query, body)) = &view.login.returned else {
        return Err("api.redirect.validateToken is for onContinuePostLogin".to_owned());
    };
    let parameter = |name: &str| query.get(name).or_else(|| body.get(name)).and_then(Value::as_str);
    let token = parameter(name).ok_or_else(|| format!("the person came back without {name}"))?;
    let claims = jose::verify_shared(&secret(options)?, token).map_err(|error| error.detail)?;
    let expires_at = claims.get("exp").and_then(Value::as_i64).ok_or("the token does not say when it expires")?;
    if now.seconds() >= expires_at {
        return Err("the token has expired".to_owned());
    }
    if claims.get("sub").and_then(Value::as_str) != Some(&view.user_id) {
        return Err("the token is about somebody else".to_owned());
    }
    // What we sent along proves nothing when it comes back.
    if !view.login.issuer.is_empty() && claims.get("iss").and_then(Value::as_str) == Some(&view.login.issuer) {
        return Err("the token is the one that was sent along".to_owned());
    }
    match claims.get("state") {
        None => Err("the token does not name the return it is for: the page puts the state of its address into it".to_owned()),
        Some(state) if state.as_str().is_none() || state.as_str() != parameter("state") => {
            Err("the token belongs to another return".to_owned())
        }
        Some(_) => Ok(claims),
    }
}

fn secret(options: &Map<String, Value>) -> Result<Secret<String>, String> {
    let secret = options.get("secret").and_then(Value::as_str).ok_or("a token needs a secret")?;
    Ok(Secret::new(secret.to_owned()))
}
