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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing::{self, params};

    fn token() -> AccessToken {
        AccessToken::issue(&crate::id::random_id()).expect("issued")
    }

    #[test]
    fn reads_the_header_or_the_form() {
        let token = token();
        let none = params(&[]);
        for header in [format!("Bearer {}", token.expose()), format!("bearer  {}", token.expose())] {
            let found = access_token(Some(&header), &none, None).expect("read").expect("present");
            assert_eq!(found.digest(), token.digest());
        }
        let form = params(&[("access_token", token.expose())]);
        assert_eq!(access_token(None, &none, Some(&form)).expect("read").expect("present").digest(), token.digest());
        assert!(access_token(None, &none, None).expect("read").is_none());
        assert!(access_token(Some("Basic YTpi"), &none, None).expect("read").is_none());
    }

    #[test]
    fn two_ways_at_once_are_refused() {
        let form = params(&[("access_token", token().expose())]);
        let header = format!("Bearer {}", token().expose());
        assert_eq!(access_token(Some(&header), &params(&[]), Some(&form)).expect_err("two").kind, ErrorKind::InvalidRequest);
    }

    #[test]
    fn a_token_in_the_url_is_refused() {
        for query in [params(&[("access_token", "x")]), params(&[("access_token", "x"), ("access_token", "y")])] {
            let header = format!("Bearer {}", token().expose());
            assert_eq!(access_token(Some(&header), &query, None).expect_err("in the URL").kind, ErrorKind::InvalidRequest);
        }
    }

    #[test]
    fn a_malformed_token_is_an_invalid_token() {
        for header in ["Bearer x", "Bearer ", "Bearer a b"] {
            assert_eq!(access_token(Some(header), &params(&[]), None).expect_err(header).kind, ErrorKind::InvalidToken, "{header}");
        }
    }

    #[test]
    fn challenges_tell_the_error_only_when_there_was_a_token() {
        assert_eq!(challenge(None), "Bearer realm=\"userinfo\"");
        assert_eq!(
            challenge(Some(&invalid_token())),
            "Bearer realm=\"userinfo\", error=\"invalid_token\", error_description=\"the access token is not valid\""
        );
        let hostile = challenge(Some(&Error::new(ErrorKind::InsufficientScope, "a\"\r\nSet-Cookie: b")));
        assert!(hostile.contains("scope=\"openid\"") && !hostile.contains(['\r', '\n']), "{hostile}");
    }

    #[test]
    fn hostile_octets_never_panic() {
        for octets in testing::hostile(5_000) {
            let text = String::from_utf8_lossy(&octets);
            let _ = access_token(Some(&text), &params(&[]), None);
            let _ = AccessToken::parse(&text);
        }
    }
}
