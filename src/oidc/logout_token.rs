//! What applications are told of a session's end: logout tokens (OpenID Connect Back-Channel Logout 1.0) and addresses for
//! hidden frames (Front-Channel Logout 1.0). Sending them lives elsewhere.

use super::client::ClientFacts;
use super::jose::OidcKeys;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::id;
use serde_json::{Map, Value, json};
use url::Url;

/// `typ` of a logout token (Back-Channel Logout 2.4).
const LOGOUT_JWT: &str = "logout+jwt";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Seconds that a logout token is valid, as section 2.4 recommends at most.
const LIFETIME: i64 = 120;

/// A signed logout token for one client, with an id of its own.
///
/// # Errors
/// When the key cannot sign.
pub fn logout_token(keys: &OidcKeys, issuer: &str, client: &ClientFacts, subject: &str, sid: &str, now: Timestamp) -> Result<String> {
    let claims = json!({
        "iss": issuer,
        "aud": client.client_id,
        "sub": subject,
        "sid": sid,
        "iat": now.seconds(),
        "exp": now.seconds() + LIFETIME,
        "jti": id::random_id(),
        // Back-Channel Logout 2.4: this event and no nonce, so that nobody takes it for an ID token.
        "events": { EVENT: {} },
    });
    let claims: Map<String, Value> = claims.as_object().cloned().unwrap_or_default();
    keys.signer(client.id_token_signed_response_alg)?.of_type(LOGOUT_JWT)?.sign(&claims)
}

/// What an application has said to a logout token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// The token was understood, and refused: another one of the same kind would be as well.
    No,
    /// It may be another time.
    NotNow,
}

/// Reads the status of the answer to a logout token.
pub const fn taken(status: u16) -> Taken {
    match status {
        // Back-Channel Logout 2.8: 200; some frameworks answer 204.
        200 | 204 => Taken::Yes,
        // The same: 400 where the token was invalid or the logout failed.
        400 => Taken::No,
        _ => Taken::NotNow,
    }
}

/// The address of the frame that tells a client; `None` where it has none.
///
/// # Errors
/// When what is registered is no address.
pub fn frontchannel_address(issuer: &str, client: &ClientFacts, sid: &str) -> Result<Option<Url>> {
    let Some(registered) = &client.frontchannel_logout_uri else { return Ok(None) };
    let mut url = Url::parse(registered)
        .map_err(|error| Error::new(ErrorKind::Misconfigured, "a frontchannel_logout_uri is no address").because(error))?;
    // Front-Channel Logout 2: both together, or neither.
    if client.frontchannel_logout_session_required {
        url.query_pairs_mut().append_pair("iss", issuer).append_pair("sid", sid);
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keyring;
    use crate::oidc::testing::{ISSUER, client};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn a_logout_token_is_no_id_token() {
        let place = tempfile::tempdir().expect("a directory");
        let keys = OidcKeys::new(&Keyring::open_or_create(place.path()).expect("keys")).expect("prepared");
        let now = Timestamp::from_seconds(1_700_000_000);
        let token = logout_token(&keys, ISSUER, &client(), "samlp|acme|jane", "sid-1", now).expect("signed");
        let part = |number: usize| -> Value {
            let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(number).expect("a part")).expect("base64url");
            serde_json::from_slice(&bytes).expect("JSON")
        };
        assert_eq!(part(0)["typ"], "logout+jwt");
        let claims = part(1);
        assert_eq!((&claims["iss"], &claims["aud"], &claims["sub"]), (&ISSUER.into(), &"notes".into(), &"samlp|acme|jane".into()));
        assert_eq!((&claims["sid"], &claims["iat"], &claims["exp"]), (&"sid-1".into(), &1_700_000_000.into(), &1_700_000_120.into()));
        assert_eq!(claims["events"], json!({ EVENT: {} }));
        assert!(claims.get("nonce").is_none());
        assert!(keys.public().verify_hint(&token, ISSUER).is_err(), "it proves nothing as a hint");
        let again = logout_token(&keys, ISSUER, &client(), "samlp|acme|jane", "sid-1", now).expect("signed");
        assert_ne!(token, again, "every token has its own jti");
    }

    #[test]
    fn only_400_is_final_among_refusals() {
        assert_eq!([200, 204].map(taken), [Taken::Yes; 2]);
        assert_eq!(taken(400), Taken::No);
        for status in [0, 100, 201, 202, 301, 302, 401, 403, 404, 408, 429, 500, 501, 502, 503] {
            assert_eq!(taken(status), Taken::NotNow, "{status}");
        }
    }

    #[test]
    fn a_frame_names_issuer_and_session_only_where_the_client_wants_both() {
        let mut client = client();
        assert_eq!(frontchannel_address(ISSUER, &client, "s").expect("none"), None);
        client.frontchannel_logout_uri = Some("https://notes.example/out?x=1".to_owned());
        let plain = frontchannel_address(ISSUER, &client, "s").expect("an address").expect("registered");
        assert_eq!(plain.as_str(), "https://notes.example/out?x=1");
        client.frontchannel_logout_session_required = true;
        let named = frontchannel_address(ISSUER, &client, "s&t").expect("an address").expect("registered");
        let pairs: Vec<_> = named.query_pairs().into_owned().collect();
        assert_eq!(pairs, [("x", "1"), ("iss", ISSUER), ("sid", "s&t")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
