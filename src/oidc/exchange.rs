//! The token exchange request (RFC 8693 2.1): who shall be spoken for, by whom, and where.

use super::params::Params;
use super::scope::Scopes;
use super::token::{audience, scopes};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::Secret;
use serde_json::{Map, Value};

/// Parties that act one for another at most.
const LONGEST_CHAIN: usize = 4;

/// The kinds of tokens that are read and given (RFC 8693 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    AccessToken,
    /// An access token of ours that is a JWT, too; RFC 8693 3 lets one be asked for by this name.
    Jwt,
    IdToken,
}

impl TokenType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::AccessToken, Self::Jwt, Self::IdToken].into_iter().find(|known| known.as_str() == text)
    }
}

/// A token that speaks for somebody.
#[derive(Debug)]
pub struct Speaks {
    pub token: Secret<String>,
    pub kind: TokenType,
}

/// What is asked.
#[derive(Debug)]
pub struct ExchangeRequest {
    pub subject: Speaks,
    pub actor: Option<Speaks>,
    /// `AccessToken` or `Jwt`.
    pub requested: TokenType,
    pub audience: String,
    pub scopes: Option<Scopes>,
}

impl ExchangeRequest {
    pub fn parse(body: &Params) -> Result<Self> {
        let subject = speaks(body, "subject_token", "subject_token_type")?
            .ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "the parameter subject_token is missing"))?;
        let actor = speaks(body, "actor_token", "actor_token_type")?;
        let requested = match body.get("requested_token_type").map(TokenType::parse) {
            None => TokenType::AccessToken,
            Some(Some(kind @ (TokenType::AccessToken | TokenType::Jwt))) => kind,
            Some(_) => return Err(Error::new(ErrorKind::InvalidRequest, "this requested_token_type is not given")),
        };
        let audience =
            audience(body)?.ok_or_else(|| Error::new(ErrorKind::InvalidRequest, "the parameter audience (or resource) is missing"))?;
        Ok(Self { subject, actor, requested, audience, scopes: scopes(body)? })
    }
}

/// A token with its type; one without the other is refused (RFC 8693 2.1).
fn speaks(body: &Params, token: &'static str, kind: &'static str) -> Result<Option<Speaks>> {
    match (body.get(token), body.get(kind)) {
        (None, None) => Ok(None),
        (Some(text), Some(kind)) => {
            let kind = TokenType::parse(kind)
                .ok_or_else(|| Error::new(ErrorKind::InvalidRequest, format!("this type of {token} is not read here")))?;
            Ok(Some(Speaks { token: Secret::new(text.to_owned()), kind }))
        }
        (Some(_), None) => Err(Error::new(ErrorKind::InvalidRequest, format!("the parameter {kind} is missing"))),
        (None, Some(_)) => Err(Error::new(ErrorKind::InvalidRequest, format!("the parameter {token} is missing"))),
    }
}

/// RFC 8693 4.1: who acts now, before those who acted until now.
///
/// # Errors
/// When the chain is longer than anybody needs.
pub fn acting(actor: &str, before: Option<&Value>) -> Result<Value> {
    let mut length = 1;
    let mut next = before;
    while let Some(one) = next {
        length += 1;
        if length > LONGEST_CHAIN {
            return Err(Error::new(ErrorKind::InvalidRequest, format!("more than {LONGEST_CHAIN} parties act one for another")));
        }
        next = one.get("act");
    }
    let mut act = Map::from_iter([("sub".to_owned(), Value::from(actor))]);
    act.extend(before.map(|before| ("act".to_owned(), before.clone())));
    Ok(Value::Object(act))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing::params;
    use serde_json::json;

    const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";

    fn parsed(changes: &[(&str, &str)]) -> Result<ExchangeRequest> {
        let usual = [("subject_token", "x"), ("subject_token_type", ACCESS), ("audience", "https://api.example/")];
        let kept = usual.into_iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        ExchangeRequest::parse(&params(&kept.chain(changes.iter().copied()).collect::<Vec<_>>()))
    }

    #[test]
    fn each_token_comes_with_its_type() {
        let request = parsed(&[("actor_token", "y"), ("actor_token_type", TokenType::IdToken.as_str()), ("scope", "a")]).expect("read");
        assert_eq!((request.subject.kind, request.requested), (TokenType::AccessToken, TokenType::AccessToken));
        assert_eq!(request.actor.map(|actor| actor.kind), Some(TokenType::IdToken));
        for changes in [
            vec![("subject_token", "")],
            vec![("subject_token_type", "")],
            vec![("subject_token_type", "urn:ietf:params:oauth:token-type:saml2")],
            vec![("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            vec![("actor_token", "y")],
            vec![("actor_token_type", ACCESS)],
            vec![("requested_token_type", TokenType::IdToken.as_str())],
            vec![("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            vec![("audience", "")],
        ] {
            assert_eq!(parsed(&changes).expect_err("refused").kind, ErrorKind::InvalidRequest, "{changes:?}");
        }
        assert_eq!(parsed(&[("resource", "https://other.example/")]).expect_err("two").kind, ErrorKind::InvalidTarget);
    }

    #[test]
    fn the_chain_of_actors_grows_at_its_head_and_ends() {
        let mut chain = acting("one", None).expect("short");
        assert_eq!(chain, json!({ "sub": "one" }));
        chain = acting("two", Some(&chain)).expect("short");
        assert_eq!(chain, json!({ "sub": "two", "act": { "sub": "one" } }));
        for name in ["three", "four"] {
            chain = acting(name, Some(&chain)).expect("short");
        }
        assert_eq!(acting("five", Some(&chain)).expect_err("long").kind, ErrorKind::InvalidRequest);
    }

    #[test]
    fn tokens_do_not_print() {
        let request = parsed(&[("subject_token", "hunter2")]).expect("read");
        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
