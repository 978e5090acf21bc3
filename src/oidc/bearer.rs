//! Access tokens at a protected resource (RFC 6750, RFC 9449 7): reading them, and the challenge when they fail.

use super::dpop;
use super::opaque::AccessToken;
use super::params::Params;
use crate::error::{Error, ErrorKind, Result};

/// How a token was presented. `Dpop` promises a proof of possession beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Bearer,
    Dpop,
}

impl Scheme {
    /// The scheme of an `Authorization` header; where that is none of ours, the usual one.
    pub fn of(authorization: Option<&str>) -> Self {
        authorization.and_then(credentials).map_or(Self::Bearer, |(scheme, _)| scheme)
    }
}

/// A token as it was presented: whether it may be used so is not known yet.
#[derive(Clone, Debug)]
pub struct PresentedToken {
    pub token: AccessToken,
    pub scheme: Scheme,
}

/// Finds the access token of a request: in the `Authorization` header or in a form body. `None` when the request
/// carries none at all, which is answered by a challenge without an error code (RFC 6750 3.1).
pub fn access_token(authorization: Option<&str>, query: &Params, body: Option<&Params>) -> Result<Option<PresentedToken>> {
    // RFC 9700 4.3.2: access tokens do not travel in URLs, where logs and histories keep them.
    if query.get("access_token").is_some() || query.is_repeated("access_token") {
        return Err(Error::new(ErrorKind::InvalidRequest, "an access token in the URL is not accepted"));
    }
    let header = authorization.and_then(credentials);
    let form = body.and_then(|body| body.get("access_token")).map(|text| (Scheme::Bearer, text));
    let (scheme, text) = match (header, form) {
        (None, None) => return Ok(None),
        // RFC 6750 2: not more than one method in one request.
        (Some(_), Some(_)) => return Err(Error::new(ErrorKind::InvalidRequest, "the access token came by two ways")),
        (Some(found), None) | (None, Some(found)) => found,
    };
    AccessToken::parse(text).map(|token| Some(PresentedToken { token, scheme })).ok_or_else(invalid_token)
}

/// The error for a token that is malformed, unknown, expired or revoked: all look alike.
pub fn invalid_token() -> Error {
    Error::new(ErrorKind::InvalidToken, "the access token is not valid")
}

/// The `WWW-Authenticate` header (RFC 6750 3, RFC 9449 7.1). `None`: the request carried no token.
pub fn challenge(scheme: Scheme, error: Option<&Error>) -> String {
    let about_proof = error.is_some_and(|error| matches!(error.kind, ErrorKind::InvalidDpopProof | ErrorKind::UseDpopNonce));
    let dpop = scheme == Scheme::Dpop || about_proof;
    let mut challenge = if dpop { format!("DPoP {REALM}, algs=\"{}\"", algs()) } else { format!("Bearer {REALM}") };
    if let Some(error) = error {
        let description = super::authorization::description(&error.detail);
        challenge.push_str(&format!(", error=\"{}\", error_description=\"{description}\"", error.kind.wire().oauth));
        if error.kind == ErrorKind::InsufficientScope {
            challenge.push_str(", scope=\"openid\"");
        }
    }
    challenge
}

/// The status at a resource: what is a bad request at the token endpoint is a bad token here.
pub const fn status(error: &Error) -> u16 {
    match error.kind {
        ErrorKind::InvalidDpopProof | ErrorKind::UseDpopNonce => 401,
        _ => error.kind.wire().status,
    }
}

/// RFC 9110 11.1: the scheme's case does not matter.
fn credentials(authorization: &str) -> Option<(Scheme, &str)> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    let known = [("Bearer", Scheme::Bearer), ("DPoP", Scheme::Dpop)].into_iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
    known.map(|(_, scheme)| (scheme, credentials.trim_matches(' ')))
}

fn algs() -> String {
    dpop::ALGS.iter().map(|alg| alg.as_str()).collect::<Vec<_>>().join(" ")
}

const REALM: &str = "realm=\"userinfo\"";

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
            assert_eq!((found.token.digest(), found.scheme), (token.digest(), Scheme::Bearer));
        }
        let found = access_token(Some(&format!("dpop {}", token.expose())), &none, None).expect("read").expect("present");
        assert_eq!((found.token.digest(), found.scheme), (token.digest(), Scheme::Dpop));
        let form = params(&[("access_token", token.expose())]);
        assert_eq!(access_token(None, &none, Some(&form)).expect("read").expect("present").token.digest(), token.digest());
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
        let bearer = |error: Option<&Error>| challenge(Scheme::Bearer, error);
        assert_eq!(bearer(None), "Bearer realm=\"userinfo\"");
        assert_eq!(
            bearer(Some(&invalid_token())),
            "Bearer realm=\"userinfo\", error=\"invalid_token\", error_description=\"the access token is not valid\""
        );
        let told = challenge(Scheme::Dpop, Some(&invalid_token()));
        assert!(told.starts_with("DPoP realm=\"userinfo\", algs=\"ES256 ") && told.contains("error=\"invalid_token\""), "{told}");
        let told = bearer(Some(&Error::new(ErrorKind::UseDpopNonce, "x")));
        assert!(told.starts_with("DPoP ") && told.contains("error=\"use_dpop_nonce\""), "{told}");
        let hostile = bearer(Some(&Error::new(ErrorKind::InsufficientScope, "a\"\r\nSet-Cookie: b")));
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
