//! Scopes: a set of words in the order in which they were asked for.

use super::client::ClientFacts;
use super::names::GrantType;
use crate::error::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

pub const OPENID: &str = "openid";
pub const OFFLINE_ACCESS: &str = "offline_access";

/// What discovery advertises, and what a client without a list of its own may have.
pub const STANDARD_SCOPES: &[&str] = &[OPENID, "profile", "email", "address", "phone", "groups", OFFLINE_ACCESS];

/// A set of scopes. Displays as the parameter: words with single spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// RFC 6749 3.3: scope tokens of `%x21 / %x23-5B / %x5D-7E`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut scopes: Vec<String> = Vec::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if !word.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
                return Err(Error::new(ErrorKind::InvalidScope, "scope has a character that scopes cannot have"));
            }
            if !scopes.iter().any(|known| known == word) {
                scopes.push(word.to_owned());
            }
        }
        Ok(Self(scopes))
    }

    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|known| known == scope)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Adds scopes that are not there yet.
    pub fn extend(&mut self, others: &Self) {
        for scope in others.iter() {
            if !self.contains(scope) {
                self.0.push(scope.to_owned());
            }
        }
    }

    /// What `client` may have of these. Core 3.1.2.1: scopes that are not understood are ignored.
    #[must_use]
    pub fn allowed_for(&self, client: &ClientFacts) -> Self {
        let allowed =
            |scope: &&String| client.may_have_scope(scope) && (*scope != OFFLINE_ACCESS || client.may_use(GrantType::RefreshToken));
        Self(self.0.iter().filter(allowed).cloned().collect())
    }

    /// RFC 6749 6: a refresh may ask for less than was granted, never for more.
    pub fn narrow(&self, asked: Option<&Self>) -> Result<Self> {
        match asked {
            None => Ok(self.clone()),
            Some(asked) if asked.iter().all(|scope| self.contains(scope)) => Ok(asked.clone()),
            Some(_) => Err(Error::new(ErrorKind::InvalidScope, "the scope is wider than what was granted")),
        }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl<'a> FromIterator<&'a str> for Scopes {
    fn from_iter<I: IntoIterator<Item = &'a str>>(words: I) -> Self {
        Self(words.into_iter().map(str::to_owned).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing;

    #[test]
    fn unknown_scopes_are_ignored_and_offline_access_needs_the_refresh_grant() {
        let mut client = testing::client();
        let asked = Scopes::parse("openid admin offline_access email").expect("scopes");
        assert_eq!(asked.allowed_for(&client).to_string(), "openid offline_access email");
        client.grant_types = vec![GrantType::AuthorizationCode];
        assert_eq!(asked.allowed_for(&client).to_string(), "openid email");
        client.scopes = Some(vec!["admin".to_owned()]);
        assert_eq!(asked.allowed_for(&client).to_string(), "admin");
    }

    #[test]
    fn a_refresh_cannot_widen_the_scope() {
        let granted = Scopes::parse("openid email").expect("scopes");
        let narrow = |asked: &str| granted.narrow(Some(&Scopes::parse(asked).expect("scopes")));
        assert_eq!(granted.narrow(None).expect("the same"), granted);
        assert_eq!(narrow("email").expect("less").to_string(), "email");
        assert_eq!(narrow("email phone").expect_err("more").kind, ErrorKind::InvalidScope);
    }

    #[test]
    fn scope_characters_are_those_of_the_grammar() {
        for text in ["a\"b", "a\\b", "ä", "a\tb"] {
            assert_eq!(Scopes::parse(text).expect_err(text).kind, ErrorKind::InvalidScope, "{text:?}");
        }
    }
}
