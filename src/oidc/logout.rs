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

    /// What to do. `client` are the facts of [`Self::client_id`], if there is such a client. `hint` is what was verified of the
    /// ID token, which may have expired; one that could not be verified, such as an encrypted one, or one whose key is gone,
    /// is none. `ui_locales` decides nothing here.
    ///
    /// # Errors
    /// For our own page: the request contradicts itself, or names a place that is not registered.
    pub fn decide(&self, hint: Option<&IdTokenHint>, client: Option<&ClientFacts>, present: &Present<'_>) -> Result<LogoutDecision> {
        let asking = self.client_id(hint)?;
        let client = client.filter(|client| asking == Some(client.client_id.as_str()));
        let after = match &self.post_logout_redirect_uri {
            None => AfterLogout::OwnPage,
            Some(asked) => AfterLogout::Redirect(self.registered(asked, client)?),
        };
        let confirmation = match &present.session {
            None => Confirmation::NotNeeded,
            Some(session) if self.is_wanted(hint, session, client.is_some() && present.own_page) => Confirmation::NotNeeded,
            Some(_) => Confirmation::AskUser,
        };
        Ok(LogoutDecision { after, confirmation, client_id: asking.map(str::to_owned) })
    }

    // RP-Initiated Logout 2 and 6: without an ID token of the person who is signed in, anybody may have made this link. Which
    // of the person's sessions it was given in does not matter: an application may hold one of a session that has expired.
    fn is_wanted(&self, hint: Option<&IdTokenHint>, session: &SignedIn<'_>, own_page: bool) -> bool {
        let proven =
            hint.map_or(own_page, |hint| hint.subject() == session.subject || hint.sid().is_some_and(|sid| session.sids.contains(&sid)));
        // RP-Initiated Logout 2: logout_hint says who is to be signed out. It proves nothing, but it may say: somebody else.
        let meant = self.logout_hint.as_deref().is_none_or(|hint| {
            session.names.contains(&hint) || session.sids.contains(&hint) || session.user_id == hint || session.subject == hint
        });
        proven && meant
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

/// Who sends the request, as far as that is known.
#[derive(Clone, Debug, Default)]
pub struct Present<'a> {
    /// The session of the browser.
    pub session: Option<SignedIn<'a>>,
    /// The browser says that it comes from a page of the client.
    pub own_page: bool,
}

/// Who is signed in.
#[derive(Clone, Debug)]
pub struct SignedIn<'a> {
    pub user_id: &'a str,
    /// What the client calls the user.
    pub subject: String,
    /// Names of the session, and of those in whose place it stands.
    pub sids: Vec<&'a str>,
    /// By what else a `logout_hint` may call the person or the session.
    pub names: Vec<&'a str>,
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

    /// Of a token that expired long ago, as all of them may have.
    fn hint(client_id: &str) -> IdTokenHint {
        let key = PrivateKey::generate(KeyKind::Ed25519).expect("a key");
        let claims = json!({ "iss": ISSUER, "sub": "jane", "aud": client_id, "exp": 1 }).as_object().cloned().unwrap_or_default();
        let token = IdTokenSigner::new(&key, SigningAlg::EdDSA).and_then(|signer| signer.sign(&claims)).expect("signed");
        PublicKeys::new([(&key, SigningAlg::EdDSA)]).and_then(|keys| keys.verify_hint(&token, ISSUER)).expect("ours")
    }

    fn request(pairs: &[(&str, &str)]) -> LogoutRequest {
        LogoutRequest::parse(&params(pairs)).expect("read")
    }

    fn decide(pairs: &[(&str, &str)], hint: Option<&IdTokenHint>, present: &Present<'_>) -> Result<LogoutDecision> {
        let request = request(pairs);
        let client = request.client_id(hint)?.filter(|client_id| *client_id == "notes").map(|_| client());
        request.decide(hint, client.as_ref(), present)
    }

    fn signed_in(user_id: &str) -> Present<'_> {
        Present {
            session: Some(SignedIn { user_id, subject: user_id.to_owned(), sids: vec!["sid-1"], names: vec!["jane@acme.example"] }),
            own_page: false,
        }
    }

    const URI: (&str, &str) = ("post_logout_redirect_uri", BYE);
    const CLIENT: (&str, &str) = ("client_id", "notes");

    /// What it is, parameters, hint, who sends it, and what follows.
    type Case<'a> = (
        &'a str,
        &'a [(&'a str, &'a str)],
        Option<&'a IdTokenHint>,
        &'a Present<'a>,
        std::result::Result<(AfterLogout, Confirmation), ErrorKind>,
    );

    #[test]
    fn what_ends_at_once_what_is_asked_first_and_where_it_goes() {
        use Confirmation::{AskUser, NotNeeded};
        let (own, others) = (hint("notes"), hint("wiki"));
        let (jane, zoe, nobody) = (signed_in("jane"), signed_in("zoe"), Present::default());
        let on_page = Present { own_page: true, ..signed_in("jane") };
        let back = || AfterLogout::Redirect(BYE.to_owned());
        let here = || AfterLogout::OwnPage;
        let refused = |kind| Err::<(AfterLogout, Confirmation), _>(kind);
        let table: [Case<'_>; 26] = [
            ("nothing at all", &[], None, &jane, Ok((here(), AskUser))),
            ("nothing, nobody signed in", &[], None, &nobody, Ok((here(), NotNeeded))),
            ("a client by name", &[CLIENT], None, &jane, Ok((here(), AskUser))),
            ("a client by name, and back", &[CLIENT, URI], None, &jane, Ok((back(), AskUser))),
            ("the same, nobody signed in", &[CLIENT, URI], None, &nobody, Ok((back(), NotNeeded))),
            ("a page of the client", &[CLIENT, URI], None, &on_page, Ok((back(), NotNeeded))),
            ("a page of nobody who is named", &[], None, &on_page, Ok((here(), AskUser))),
            ("back to whom", &[URI], None, &jane, refused(ErrorKind::InvalidRedirectUri)),
            ("back to whom, nobody signed in", &[URI], None, &nobody, refused(ErrorKind::InvalidRedirectUri)),
            ("a hint", &[], Some(&own), &jane, Ok((here(), NotNeeded))),
            ("a hint, and back", &[URI], Some(&own), &jane, Ok((back(), NotNeeded))),
            ("a hint and its client", &[CLIENT, URI], Some(&own), &jane, Ok((back(), NotNeeded))),
            ("a hint of another person", &[URI], Some(&own), &zoe, Ok((back(), AskUser))),
            ("a hint, nobody signed in", &[URI], Some(&own), &nobody, Ok((back(), NotNeeded))),
            ("a hint of another client", &[], Some(&others), &jane, Ok((here(), NotNeeded))),
            ("another client's hint opens no way back here", &[URI], Some(&others), &jane, refused(ErrorKind::InvalidRedirectUri)),
            ("a hint that contradicts", &[CLIENT], Some(&others), &jane, refused(ErrorKind::InvalidRequest)),
            ("the same, nobody signed in", &[CLIENT], Some(&others), &nobody, refused(ErrorKind::InvalidRequest)),
            (
                "another person's hint, a page of the client",
                &[CLIENT],
                Some(&own),
                &Present { own_page: true, ..zoe.clone() },
                Ok((here(), AskUser)),
            ),
            ("a hint that could not be verified", &[("id_token_hint", "x.y.z")], None, &jane, Ok((here(), AskUser))),
            ("the same, with a client", &[("id_token_hint", "x.y.z"), CLIENT, URI], None, &jane, Ok((back(), AskUser))),
            ("an encrypted one", &[("id_token_hint", "a.b.c.d.e"), URI], None, &jane, refused(ErrorKind::InvalidRedirectUri)),
            ("a logout_hint that fits", &[("logout_hint", "jane@acme.example")], Some(&own), &jane, Ok((here(), NotNeeded))),
            ("one that names somebody else", &[("logout_hint", "zoe")], Some(&own), &jane, Ok((here(), AskUser))),
            ("one that fits proves nothing", &[("logout_hint", "sid-1"), CLIENT], None, &jane, Ok((here(), AskUser))),
            (
                "languages and a state without an address",
                &[("ui_locales", "de en"), ("state", "s")],
                Some(&own),
                &jane,
                Ok((here(), NotNeeded)),
            ),
        ];
        for (what, pairs, hint, present, expected) in table {
            let decided = decide(pairs, hint, present).map(|decision| (decision.after, decision.confirmation));
            assert_eq!(decided.map_err(|error| error.kind), expected, "{what}");
        }
    }

    #[test]
    fn goes_back_only_where_the_client_registered() {
        let decision = request(&[("post_logout_redirect_uri", BYE), ("state", "a b")])
            .decide(Some(&hint("notes")), Some(&client()), &signed_in("jane"))
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
            let error = request(&[("post_logout_redirect_uri", uri)])
                .decide(Some(&hint("notes")), Some(&client()), &signed_in("jane"))
                .expect_err(uri);
            assert_eq!(error.kind, ErrorKind::InvalidRedirectUri, "{uri}");
        }
    }

    #[test]
    fn a_client_that_is_not_the_one_named_gives_no_address() {
        let nobody = Present::default();
        for (pairs, client) in [(vec![URI], Some(client())), (vec![URI, ("client_id", "other")], Some(client())), (vec![URI, CLIENT], None)]
        {
            assert!(request(&pairs).decide(None, client.as_ref(), &nobody).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn a_hint_for_another_client_is_refused() {
        let request = request(&[("client_id", "notes"), ("post_logout_redirect_uri", BYE)]);
        assert_eq!(request.client_id(Some(&hint("wiki"))).expect_err("mismatch").kind, ErrorKind::InvalidRequest);
        assert_eq!(
            request.decide(Some(&hint("wiki")), Some(&client()), &Present::default()).expect_err("mismatch").kind,
            ErrorKind::InvalidRequest
        );
    }

    #[test]
    fn repeated_parameters_are_refused() {
        assert!(LogoutRequest::parse(&params(&[("state", "a"), ("state", "b")])).is_err());
    }
}
