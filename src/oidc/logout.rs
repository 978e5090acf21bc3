//! OpenID Connect RP-Initiated Logout: the request, and where the browser may go afterwards.
//!
//! Ending the session and telling the others live elsewhere.

use super::client::ClientFacts;
use super::jose::IdTokenHint;
use super::params::Params;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use url::form_urlencoded;

/// RP-Initiated Logout 2. The hint is still to be verified by `PublicKeys::verify_hint`.
#[derive(Clone, Debug)]
pub struct LogoutRequest {
    pub id_token_hint: Option<Secret<String>>,
    pub logout_hint: Option<String>,
    pub ui_locales: Vec<String>,
    client_id: Option<String>,
    post_logout_redirect_uri: Option<String>,
    state: Option<String>,
}

impl LogoutRequest {
    pub fn parse(params: &Params) -> Result<Self> {
        params.refuse_repeats()?;
        Ok(Self {
            id_token_hint: params.text("id_token_hint").map(Secret::new),
            logout_hint: params.text("logout_hint"),
            ui_locales: params.words("ui_locales"),
            client_id: params.text("client_id"),
            post_logout_redirect_uri: params.text("post_logout_redirect_uri"),
            state: params.text("state"),
        })
    }

    /// The client that asks: for looking up its facts.
    pub fn client_id<'a>(&'a self, hint: Option<&'a IdTokenHint>) -> Result<Option<&'a str>> {
        match (self.client_id.as_deref(), hint.map(IdTokenHint::client_id)) {
            // RP-Initiated Logout 2: client_id and the audience of the hint must match.
            (Some(named), Some(hinted)) if named != hinted => {
                Err(Error::new(ErrorKind::InvalidRequest, "the id_token_hint was issued to another client"))
            }
            (named, hinted) => Ok(hinted.or(named)),
        }
    }

    /// What to do. `client` are the facts of [`Self::client_id`], if there is such a client.
    ///
    /// # Errors
    /// For our own page: the request contradicts itself, or names a place that is not registered.
    pub fn decide(&self, hint: Option<&IdTokenHint>, client: Option<&ClientFacts>) -> Result<LogoutDecision> {
        let asking = self.client_id(hint)?;
        let client = client.filter(|client| asking == Some(client.client_id.as_str()));
        let after = match &self.post_logout_redirect_uri {
            None => AfterLogout::OwnPage,
            Some(asked) => AfterLogout::Redirect(self.registered(asked, client)?),
        };
        // RP-Initiated Logout 2 and 6: without the proof of an ID token anybody may have made this link.
        let confirmation = if hint.is_some() { Confirmation::NotNeeded } else { Confirmation::AskUser };
        Ok(LogoutDecision { after, confirmation, client_id: asking.map(str::to_owned) })
    }

    /// RP-Initiated Logout 3: only where the client registered, by exact comparison; `state` goes along.
    fn registered(&self, asked: &str, client: Option<&ClientFacts>) -> Result<String> {
        let known = client.is_some_and(|client| client.post_logout_redirect_uris.iter().any(|registered| registered == asked));
        if !known || asked.contains('#') {
            return Err(Error::new(ErrorKind::InvalidRedirectUri, "the post_logout_redirect_uri is not registered for this client"));
        }
        let Some(state) = &self.state else {
            return Ok(asked.to_owned());
        };
        let separator = if asked.contains('?') { '&' } else { '?' };
        let state = form_urlencoded::Serializer::new(String::new()).append_pair("state", state).finish();
        Ok(format!("{asked}{separator}{state}"))
    }
}

/// What follows from a logout request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutDecision {
    pub after: AfterLogout,
    pub confirmation: Confirmation,
    pub client_id: Option<String>,
}

/// Where the browser goes when the session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterLogout {
    Redirect(String),
    OwnPage,
}

/// Whether the person must be asked before the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    AskUser,
    NotNeeded,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeyKind, PrivateKey};
    use crate::oidc::SigningAlg;
    use crate::oidc::jose::{IdTokenSigner, PublicKeys};
    use crate::oidc::testing::{ISSUER, client, params};
    use serde_json::json;

    const BYE: &str = "https://notes.example/bye";

    fn hint(client_id: &str) -> IdTokenHint {
        let key = PrivateKey::generate(KeyKind::Ed25519).expect("a key");
        let claims = json!({ "iss": ISSUER, "sub": "jane", "aud": client_id }).as_object().cloned().unwrap_or_default();
        let token = IdTokenSigner::new(&key, SigningAlg::EdDSA).and_then(|signer| signer.sign(&claims)).expect("signed");
        PublicKeys::new([(&key, SigningAlg::EdDSA)]).and_then(|keys| keys.verify_hint(&token, ISSUER)).expect("ours")
    }

    fn request(pairs: &[(&str, &str)]) -> LogoutRequest {
        LogoutRequest::parse(&params(pairs)).expect("read")
    }

    #[test]
    fn goes_back_only_where_the_client_registered() {
        let decision = request(&[("post_logout_redirect_uri", BYE), ("state", "a b")])
            .decide(Some(&hint("notes")), Some(&client()))
            .expect("registered");
        assert_eq!(decision.after, AfterLogout::Redirect(format!("{BYE}?state=a+b")));
        assert_eq!(decision.confirmation, Confirmation::NotNeeded);
        for uri in [
            "https://notes.example/bye/",
            "https://notes.example/bye?x",
            "https://notes.example/bye#",
            "https://evil.example/",
            "//evil.example",
        ] {
            let error = request(&[("post_logout_redirect_uri", uri)]).decide(Some(&hint("notes")), Some(&client())).expect_err(uri);
            assert_eq!(error.kind, ErrorKind::InvalidRedirectUri, "{uri}");
        }
    }

    #[test]
    fn a_client_that_nobody_named_gives_no_address() {
        assert!(request(&[("post_logout_redirect_uri", BYE)]).decide(None, Some(&client())).is_err());
        assert!(request(&[("post_logout_redirect_uri", BYE), ("client_id", "other")]).decide(None, Some(&client())).is_err());
        assert!(request(&[("post_logout_redirect_uri", BYE), ("client_id", "notes")]).decide(None, None).is_err());
    }

    #[test]
    fn without_a_hint_the_person_is_asked() {
        let decision =
            request(&[("post_logout_redirect_uri", BYE), ("client_id", "notes")]).decide(None, Some(&client())).expect("registered");
        assert_eq!((decision.after, decision.confirmation), (AfterLogout::Redirect(BYE.to_owned()), Confirmation::AskUser));
        let decision = request(&[]).decide(None, None).expect("in order");
        assert_eq!((decision.after, decision.confirmation, decision.client_id), (AfterLogout::OwnPage, Confirmation::AskUser, None));
    }

    #[test]
    fn a_hint_for_another_client_is_refused() {
        let request = request(&[("client_id", "notes"), ("post_logout_redirect_uri", BYE)]);
        assert_eq!(request.client_id(Some(&hint("wiki"))).expect_err("mismatch").kind, ErrorKind::InvalidRequest);
        assert_eq!(request.decide(Some(&hint("wiki")), Some(&client())).expect_err("mismatch").kind, ErrorKind::InvalidRequest);
    }

    #[test]
    fn repeated_parameters_are_refused() {
        assert!(LogoutRequest::parse(&params(&[("state", "a"), ("state", "b")])).is_err());
    }
}
