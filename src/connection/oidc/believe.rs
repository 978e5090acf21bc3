//! From the answer of the browser to claims that may be believed.

use super::OidcConnection;
use super::remote::{Asking, Keys};
use crate::clock::Timestamp;
use crate::connection::config::CallbackAddress;
use crate::connection::oauth2;
use crate::login::PendingAuthn;
use crate::oidc::rp::{Check, ExpectedAnswer, ExpectedIdToken, IdTokenFacts, Provider, Rejection, TokenAnswer};
use crate::oidc::rp::{callback, id_token, userinfo};
use crate::oidc::{ClientSigningAlg, KeyManagementAlg, OidcKeys, Params, Verified, VerifyError, jose, verify_mac};
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Claims that speak of the token and not of the person.
const OF_THE_TOKEN: [&str; 12] = ["iss", "aud", "exp", "iat", "nbf", "jti", "nonce", "azp", "at_hash", "c_hash", "s_hash", "sid"];

/// What a login has brought.
pub(super) struct Believed {
    pub facts: IdTokenFacts,
    /// Of the person, from everywhere.
    pub claims: Map<String, Value>,
    /// What UserInfo said of them.
    pub userinfo: Map<String, Value>,
    /// As it was signed.
    pub id_token: Secret<String>,
    pub tokens: TokenAnswer,
}

/// A kind of token, for the names of the rules that its signature can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    IdToken,
    UserInfo,
    LogoutToken,
}

/// Which rule the signature of a token breaks.
enum Fault {
    Malformed { why: String },
    Algorithm { expected: String, found: String },
    UnknownKey { kid: Option<String> },
    Signature { why: String },
}

impl OidcConnection {
    pub(super) async fn believed(
        &self,
        keys: &OidcKeys,
        params: &Params,
        pending: &PendingAuthn,
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<Believed, Rejection> {
        let settings = &self.settings;
        let provider = self.remote.provider(now).await?;
        let asking = Asking { provider: &provider, keys, now };
        let shared = settings.callback == CallbackAddress::Shared;
        let expected = ExpectedAnswer { issuer: Some(&settings.issuer), response_iss: provider.response_iss, shared };
        let code = callback::read(params, expected, checks)?.code;
        let oidc = pending.oidc.as_ref().ok_or(Rejection::IdTokenNonce { present: false })?;
        let tokens = self.remote.redeem(asking, &code, &self.redirect_uri, &oidc.code_verifier).await?;
        let id_token = tokens.id_token.as_ref().ok_or(Rejection::IdTokenMissing)?;
        let decrypted = opened(keys, id_token.expose(), settings.id_token_encryption);
        let decrypted = decrypted.map_err(|why| Rejection::IdTokenDecryption { why })?;
        let allowed = settings.id_token_algs.clone().unwrap_or_else(|| id_token::algorithms(&provider.id_token_algs));
        let verified = self.verified(Kind::IdToken, &provider, &decrypted, &allowed, now, checks).await?;
        let expected = ExpectedIdToken {
            issuer: &settings.issuer,
            client_id: &settings.client_id,
            nonce: &oidc.nonce,
            access_token: Some(tokens.access_token.expose()),
            asked_at: pending.sent_at,
            fresh: pending.force_authn,
            max_age: pending.max_age,
            contexts: &pending.authn_context,
            skew: settings.clock_skew,
            now,
        };
        let facts = id_token::check(verified, &expected, checks)?;
        // Of a provider of many tenants: the answer and the ID token are of the same one.
        if let Some(found) = params.get("iss").filter(|found| *found != facts.issuer) {
            return Err(Rejection::ResponseIssuer { expected: Some(facts.issuer.clone()), found: Some(callback::short(found)) });
        }
        let (mut claims, userinfo) = self.claims(asking, &facts, &tokens, checks).await?;
        if settings.apple.is_some() {
            oauth2::name_of_first_answer(params, &mut claims);
        }
        let id_token = Secret::new(decrypted.into_owned());
        Ok(Believed { facts, claims, userinfo, id_token, tokens })
    }

    /// The signature of a token, by the provider's keys as they are now.
    pub(super) async fn verified(
        &self,
        kind: Kind,
        provider: &Provider,
        token: &str,
        allowed: &[ClientSigningAlg],
        now: Timestamp,
        checks: &mut Vec<Check>,
    ) -> Result<Verified, Rejection> {
        let rules = kind.rules();
        let refuse = |fault: Fault| kind.rejection(fault);
        let received = jose::Received::parse(token).map_err(|error| refuse(Fault::Malformed { why: error.detail }))?;
        let (named, wanted) = (received.header.get("alg").and_then(Value::as_str).unwrap_or("none"), names(allowed));
        let alg = received.alg(allowed).map_err(|_| Fault::Algorithm { expected: wanted.clone(), found: callback::short(named) });
        checks.push(Check { name: rules.alg, passed: alg.is_ok(), expected: wanted, found: callback::short(named) });
        let wrong = |error: crate::error::Error| Fault::Signature { why: error.detail };
        let of = |error| match error {
            VerifyError::UnknownKey => Fault::UnknownKey { kid: received.kid().map(callback::short) },
            VerifyError::Refused(error) => wrong(error),
        };
        let verified = if alg.map_err(refuse)?.is_asymmetric() {
            match self.remote.keys(provider, Keys::Kept, now).await?.verify(token, allowed) {
                Err(VerifyError::UnknownKey) => self.remote.keys(provider, Keys::Newer, now).await?.verify(token, allowed).map_err(of),
                verified => verified.map_err(of),
            }
        } else {
            let missing = || Fault::Signature { why: "there is no secret to make MACs with".to_owned() };
            let secret = self.settings.client_secret.as_ref().ok_or_else(missing);
            secret.and_then(|secret| verify_mac(secret, token, allowed).map_err(wrong))
        };
        let (passed, found) = (verified.is_ok(), if verified.is_ok() { "good" } else { "not good" });
        let expected = "one by the provider's keys".to_owned();
        checks.push(Check { name: rules.signature, passed, expected, found: found.to_owned() });
        verified.map_err(refuse)
    }

    /// What the ID token says of the person, and what UserInfo adds; where both say something, UserInfo's is newer. And that
    /// alone.
    async fn claims(
        &self,
        asking: Asking<'_>,
        facts: &IdTokenFacts,
        tokens: &TokenAnswer,
        checks: &mut Vec<Check>,
    ) -> Result<(Map<String, Value>, Map<String, Value>), Rejection> {
        let (mut claims, mut userinfo) = (facts.claims.clone(), Map::new());
        if let (true, Some(endpoint)) = (self.settings.userinfo && self.apart.needs_userinfo(), &asking.provider.userinfo_endpoint) {
            let answer = self.remote.userinfo(endpoint, &tokens.access_token).await?;
            let told = self.told(asking, &answer.content_type, &answer.body, checks).await?;
            // Core 5.3.2: or somebody else's answer takes the place of the person's.
            let same = told.get("sub").and_then(Value::as_str) == Some(facts.subject.as_str());
            let found = if same { "that of the ID token" } else { "another or none" };
            checks.push(Check { name: "userinfo-sub", passed: same, expected: "that of the ID token".to_owned(), found: found.to_owned() });
            if !same {
                return Err(Rejection::UserInfoSubject);
            }
            userinfo.extend(told.into_iter().filter(|(_, value)| !value.is_null()));
            claims.extend(userinfo.clone());
        }
        claims.retain(|name, _| !OF_THE_TOKEN.contains(&name.as_str()));
        Ok((claims, userinfo))
    }

    /// UserInfo as an object, out of JSON or of a JWT (Core 5.3.2).
    async fn told(
        &self,
        asking: Asking<'_>,
        content_type: &str,
        body: &[u8],
        checks: &mut Vec<Check>,
    ) -> Result<Map<String, Value>, Rejection> {
        let (settings, Asking { provider, keys, now }) = (&self.settings, asking);
        let refuse = |why: &str| Rejection::UserInfo { why: why.to_owned() };
        let object = |text: &[u8]| serde_json::from_slice(text).map_err(|_| refuse("it is no JSON object"));
        if content_type != "application/jwt" {
            // What was registered as signed or encrypted is not believed otherwise.
            if settings.userinfo_alg.is_some() || settings.userinfo_encryption.is_some() {
                return Err(refuse("it is not signed or encrypted as it is registered"));
            }
            return object(body);
        }
        let text = std::str::from_utf8(body).map_err(|_| refuse("it is no JWT"))?.trim();
        let opened =
            opened(keys, text, settings.userinfo_encryption).map_err(|why| Rejection::Token { rule: "userinfo-decryption", why })?;
        if settings.userinfo_alg.is_none() && opened.trim_start().starts_with('{') {
            return object(opened.as_bytes());
        }
        let allowed = match settings.userinfo_alg {
            Some(alg) => vec![alg],
            None => settings.id_token_algs.clone().unwrap_or_else(|| id_token::algorithms(&provider.id_token_algs)),
        };
        let verified = self.verified(Kind::UserInfo, provider, &opened, &allowed, now, checks).await?;
        userinfo::check(verified, &settings.issuer, &settings.client_id, checks)
    }
}

/// The names of these rules.
struct Rules {
    malformed: &'static str,
    alg: &'static str,
    key: &'static str,
    signature: &'static str,
}

impl Kind {
    const fn rules(self) -> Rules {
        match self {
            Self::IdToken => {
                Rules { malformed: "id-token-malformed", alg: "id-token-alg", key: "id-token-key", signature: "id-token-signature" }
            }
            Self::UserInfo => Rules { malformed: "userinfo", alg: "userinfo-alg", key: "userinfo-key", signature: "userinfo-signature" },
            Self::LogoutToken => Rules {
                malformed: "logout-token-malformed",
                alg: "logout-token-alg",
                key: "logout-token-key",
                signature: "logout-token-signature",
            },
        }
    }

    fn rejection(self, fault: Fault) -> Rejection {
        let rules = self.rules();
        let what = match self {
            Self::IdToken => "the ID token",
            Self::UserInfo => "UserInfo",
            Self::LogoutToken => "the logout token",
        };
        let (rule, why) = match fault {
            Fault::Malformed { why } => (rules.malformed, format!("{what} cannot be read: {why}")),
            Fault::Algorithm { expected, found } => (rules.alg, format!("{what} is signed with `{found}`, not {expected}")),
            Fault::UnknownKey { kid } => {
                let kid = kid.map_or_else(|| "none".to_owned(), |kid| format!("`{kid}`"));
                (rules.key, format!("the provider publishes no key {kid} for {what}"))
            }
            Fault::Signature { why } => (rules.signature, format!("{what}'s signature is wrong: {why}")),
        };
        Rejection::Token { rule, why }
    }
}

/// What is in an encrypted token; one that is none where none is expected.
pub(super) fn opened<'a>(keys: &OidcKeys, token: &'a str, registered: Option<KeyManagementAlg>) -> Result<Cow<'a, str>, String> {
    let Some(alg) = registered else {
        let refused = || Err("the connection is not registered for encrypted ones".to_owned());
        return if jose::jwe::is_jwe(token) { refused() } else { Ok(Cow::Borrowed(token)) };
    };
    if !jose::jwe::is_jwe(token) {
        return Err("it is not encrypted".to_owned());
    }
    let found = jose::jwe::alg(token).ok_or_else(|| "its header cannot be read".to_owned())?;
    if found != alg.as_str() {
        return Err(format!("it is encrypted with `{}`, not {}", callback::short(&found), alg.as_str()));
    }
    let inside = keys.decrypt(token).map_err(|error| error.detail)?;
    String::from_utf8(inside).map(Cow::Owned).map_err(|_| "what is inside is no text".to_owned())
}

fn names(algs: &[ClientSigningAlg]) -> String {
    algs.iter().map(|alg| alg.as_str()).collect::<Vec<_>>().join(", ")
}
