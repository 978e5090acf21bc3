//! Scoped attributes: what an identity provider may say about whom, where metadata says so.
//!
//! A value such as `staff@example.org` claims something about `example.org`; `shibmd:Scope` in an identity provider's
//! metadata lists the scopes that it may speak for. Without any the connection is trusted for what it sends.

use crate::error::{Error, ErrorKind, Result};
use crate::saml::Scope;
use regex_lite::Regex;

/// Where the scope of a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scoped {
    BehindAt,
    /// The value is a scope and nothing else.
    Whole,
    /// The attribute has two names that contradict each other, so no value is right.
    Contradictory,
}

/// Attributes whose values have a scope (eduPerson; SAML Subject Identifier Attributes 3; SCHAC): object identifiers, the
/// names of SAML 1.1, and plain names, which are FriendlyNames too.
const SCOPED: &[(&str, Scoped)] = &[
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.6", Scoped::BehindAt),
    ("urn:mace:dir:attribute-def:eduPersonPrincipalName", Scoped::BehindAt),
    ("eduPersonPrincipalName", Scoped::BehindAt),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.12", Scoped::BehindAt),
    ("urn:mace:dir:attribute-def:eduPersonPrincipalNamePrior", Scoped::BehindAt),
    ("eduPersonPrincipalNamePrior", Scoped::BehindAt),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.9", Scoped::BehindAt),
    ("urn:mace:dir:attribute-def:eduPersonScopedAffiliation", Scoped::BehindAt),
    ("eduPersonScopedAffiliation", Scoped::BehindAt),
    ("urn:oid:1.3.6.1.4.1.5923.1.1.1.13", Scoped::BehindAt),
    ("urn:mace:dir:attribute-def:eduPersonUniqueId", Scoped::BehindAt),
    ("eduPersonUniqueId", Scoped::BehindAt),
    ("urn:oasis:names:tc:SAML:attribute:subject-id", Scoped::BehindAt),
    ("subject-id", Scoped::BehindAt),
    ("urn:oasis:names:tc:SAML:attribute:pairwise-id", Scoped::BehindAt),
    ("pairwise-id", Scoped::BehindAt),
    ("urn:oid:1.3.6.1.4.1.25178.1.2.9", Scoped::Whole),
    ("urn:mace:terena.org:attribute-def:schacHomeOrganization", Scoped::Whole),
    ("schacHomeOrganization", Scoped::Whole),
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

    /// Whether, and how, the values of an attribute must be looked at. Both names count, since a mapping row finds an
    /// attribute by either.
    pub fn concern(&self, name: &str, friendly_name: Option<&str>) -> Option<Scoped> {
        if self.literal.is_empty() && self.patterns.is_empty() {
            return None;
        }
        let listed = |name: &str| SCOPED.iter().find(|(scoped, _)| *scoped == name).map(|(_, form)| *form);
        match (listed(name), friendly_name.and_then(listed)) {
            (Some(one), Some(other)) if one != other => Some(Scoped::Contradictory),
            (one, other) => one.or(other),
        }
    }

    /// Everything behind the first `@` is the scope; a value without one has none, and is not allowed.
    pub fn allow(&self, form: Scoped, value: &str) -> bool {
        let scope = match form {
            Scoped::BehindAt => match value.split_once('@') {
                Some((_, scope)) => scope,
                None => return false,
            },
            Scoped::Whole => value,
            Scoped::Contradictory => return false,
        };
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
        assert_eq!(filter(&[]).concern(AFFILIATION, None), None);
        assert_eq!(filter(&[("example.org", false)]).concern("mail", Some("mail")), None);
    }

    #[test]
    fn every_scoped_attribute_is_looked_at_under_each_of_its_names() {
        let filter = filter(&[("example.org", false)]);
        for name in [
            "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
            "urn:oid:1.3.6.1.4.1.5923.1.1.1.9",
            "urn:oid:1.3.6.1.4.1.5923.1.1.1.12",
            "urn:oid:1.3.6.1.4.1.5923.1.1.1.13",
            "urn:oasis:names:tc:SAML:attribute:subject-id",
            "urn:oasis:names:tc:SAML:attribute:pairwise-id",
            "urn:mace:dir:attribute-def:eduPersonPrincipalName",
            "urn:mace:dir:attribute-def:eduPersonScopedAffiliation",
            "urn:mace:dir:attribute-def:eduPersonUniqueId",
            "eduPersonPrincipalName",
            "eduPersonScopedAffiliation",
            "eduPersonUniqueId",
            "subject-id",
            "pairwise-id",
        ] {
            assert_eq!(filter.concern(name, None), Some(Scoped::BehindAt), "{name}");
            assert_eq!(filter.concern("urn:x", Some(name)), Some(Scoped::BehindAt), "{name} as FriendlyName");
        }
        for name in ["urn:oid:1.3.6.1.4.1.25178.1.2.9", "schacHomeOrganization"] {
            assert_eq!(filter.concern(name, None), Some(Scoped::Whole), "{name}");
            assert_eq!(filter.concern("urn:x", Some(name)), Some(Scoped::Whole), "{name} as FriendlyName");
        }
    }

    #[test]
    fn no_value_is_right_for_two_names_that_contradict_each_other() {
        let filter = filter(&[("example.org", false)]);
        for (name, friendly_name) in [(AFFILIATION, "schacHomeOrganization"), ("schacHomeOrganization", "subject-id")] {
            let form = filter.concern(name, Some(friendly_name)).expect("looked at");
            assert!(!filter.allow(form, "staff@example.org") && !filter.allow(form, "example.org"), "{name}");
        }
        assert_eq!(filter.concern(AFFILIATION, Some("anything")), Some(Scoped::BehindAt), "a FriendlyName opens nothing");
    }

    #[test]
    fn only_the_listed_scopes_pass() {
        let filter = filter(&[("example.org", false)]);
        let allow = |value: &str| filter.allow(Scoped::BehindAt, value);
        assert!(allow("staff@example.org") && allow("staff@Example.ORG"));
        for value in
            ["staff@evil.example", "staff@sub.example.org", "staff@evil.example@example.org", "staff@example.org.evil", "staff", "staff@"]
        {
            assert!(!allow(value), "{value}");
        }
    }

    #[test]
    fn a_home_organization_is_a_scope_as_a_whole() {
        let filter = filter(&[("example.org", false)]);
        assert!(filter.allow(Scoped::Whole, "example.org") && filter.allow(Scoped::Whole, "Example.org"));
        for value in ["evil.example", "sub.example.org", "x@example.org", "example.org ", ""] {
            assert!(!filter.allow(Scoped::Whole, value), "{value}");
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_scope() {
        let filter = filter(&[(r"(.+\.)?example\.org", true)]);
        let allow = |value: &str| filter.allow(Scoped::BehindAt, value);
        assert!(allow("a@example.org") && allow("a@b.example.org"));
        assert!(!allow("a@example.org.evil") && !allow("a@notexample.org"));
    }

    #[test]
    fn a_broken_pattern_is_refused() {
        assert!(ScopeFilter::new(&[Scope { value: "(".to_owned(), regexp: true }]).is_err());
    }
}
