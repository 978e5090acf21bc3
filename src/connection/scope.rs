//! Scoped attributes: what may stand behind the `@`, where metadata says so.
//!
//! A value such as `staff@example.org` claims something about `example.org`; `shibmd:Scope` in an identity provider's
//! metadata lists the scopes that it may speak for. Without any the connection is trusted for what it sends.

use crate::error::{Error, ErrorKind, Result};
use crate::saml::Scope;
use regex_lite::Regex;

/// Names of the attributes whose values have a scope (eduPerson; SAML Subject Identifier Attributes 3).
const SCOPED: &[&str] = &[
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.9",
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.13",
    "urn:oasis:names:tc:SAML:attribute:subject-id",
    "urn:oasis:names:tc:SAML:attribute:pairwise-id",
    "urn:mace:dir:attribute-def:eduPersonPrincipalName",
    "urn:mace:dir:attribute-def:eduPersonScopedAffiliation",
    "eduPersonPrincipalName",
    "eduPersonScopedAffiliation",
    "eduPersonUniqueId",
];

/// The scopes of one identity provider, prepared.
pub(super) struct ScopeFilter {
    literal: Vec<String>,
    patterns: Vec<Regex>,
}

impl ScopeFilter {
    /// # Errors
    /// When a pattern is none.
    pub fn new(scopes: &[Scope]) -> Result<Self> {
        let mut filter = Self { literal: Vec::new(), patterns: Vec::new() };
        for scope in scopes {
            if !scope.regexp {
                filter.literal.push(scope.value.to_ascii_lowercase());
                continue;
            }
            // The pattern must match the whole scope, whether or not it is anchored.
            let pattern = Regex::new(&format!("^(?:{})$", scope.value)).map_err(|error| {
                Error::new(ErrorKind::Misconfigured, "a Scope of the identity provider's metadata is no regular expression").because(error)
            })?;
            filter.patterns.push(pattern);
        }
        Ok(filter)
    }

    /// Is this an attribute whose values must be looked at?
    pub fn concern(&self, attribute: &str) -> bool {
        !(self.literal.is_empty() && self.patterns.is_empty()) && SCOPED.contains(&attribute)
    }

    /// Everything behind the first `@` is the scope; a value without one has none, and is not allowed.
    pub fn allow(&self, value: &str) -> bool {
        let Some((_, scope)) = value.split_once('@') else { return false };
        let scope = scope.to_ascii_lowercase();
        self.literal.contains(&scope) || self.patterns.iter().any(|pattern| pattern.is_match(&scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(scopes: &[(&str, bool)]) -> ScopeFilter {
        let scopes: Vec<_> = scopes.iter().map(|(value, regexp)| Scope { value: (*value).to_owned(), regexp: *regexp }).collect();
        ScopeFilter::new(&scopes).expect("good scopes")
    }

    const AFFILIATION: &str = "urn:oid:1.3.6.1.4.1.5923.1.1.1.9";

    #[test]
    fn without_scopes_nothing_is_filtered() {
        assert!(!filter(&[]).concern(AFFILIATION));
        assert!(!filter(&[("example.org", false)]).concern("mail"));
    }

    #[test]
    fn only_the_listed_scopes_pass() {
        let filter = filter(&[("example.org", false)]);
        assert!(filter.concern(AFFILIATION));
        assert!(filter.allow("staff@example.org") && filter.allow("staff@Example.ORG"));
        for value in
            ["staff@evil.example", "staff@sub.example.org", "staff@evil.example@example.org", "staff@example.org.evil", "staff", "staff@"]
        {
            assert!(!filter.allow(value), "{value}");
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_scope() {
        let filter = filter(&[(r"(.+\.)?example\.org", true)]);
        assert!(filter.allow("a@example.org") && filter.allow("a@b.example.org"));
        assert!(!filter.allow("a@example.org.evil") && !filter.allow("a@notexample.org"));
    }

    #[test]
    fn a_broken_pattern_is_refused() {
        assert!(ScopeFilter::new(&[Scope { value: "(".to_owned(), regexp: true }]).is_err());
    }
}
