//! Bearer access tokens at a protected resource (RFC 6750): reading them, and the challenge when they fail.

use super::opaque::AccessToken;
use super::params::Params;
use crate::error::{Error, ErrorKind, Result};

/// Finds the access token of a request: in the `Authorization` header or in a form body. `None` when the request
/// carries none at all, which is answered by a challenge without an error code (RFC 6750 3.1).
pub fn access_token(authorization: Option<&str>, query: &Params, body: Option<&Params>) -> Result<Option<AccessToken>> {
    // RFC 9700 4.3.2: access tokens do not travel in URLs, where logs and histories keep them.
    if query.get("access_token").is_some() || query.is_repeated("access_token") {
        return Err(Error::new(ErrorKind::InvalidRequest, "an access token in the URL is not accepted"));
    }
    let header = authorization.and_then(bearer_credentials);
    let form = body.and_then(|body| body.get("access_token"));
    let text = match (header, form) {
        (None, None) => return Ok(None),
        // RFC 6750 2: not more than one method in one request.
        (Some(_), Some(_)) => return Err(Error::new(ErrorKind::InvalidRequest, "the access token came by two ways")),
        (Some(text), None) | (None, Some(text)) => text,
    };
    AccessToken::parse(text).map(Some).ok_or_else(invalid_token)
}

/// The error for a token that is malformed, unknown, expired or revoked: all look alike.
pub fn invalid_token() -> Error {
    Error::new(ErrorKind::InvalidToken, "the access token is not valid")
}

/// The `WWW-Authenticate` header (RFC 6750 3). `None`: the request carried no token.
pub fn challenge(error: Option<&Error>) -> String {
    let Some(error) = error else {
        return CHALLENGE.to_owned();
    };
    let scope = if error.kind == ErrorKind::InsufficientScope { ", scope=\"openid\"" } else { "" };
    let description = super::authorization::description(&error.detail);
    format!("{CHALLENGE}, error=\"{}\", error_description=\"{description}\"{scope}", error.kind.wire().oauth)
}

/// RFC 9110 11.1: the scheme's case does not matter.
fn bearer_credentials(authorization: &str) -> Option<&str> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(credentials.trim_matches(' '))
}

const CHALLENGE: &str = "Bearer realm=\"userinfo\"";
