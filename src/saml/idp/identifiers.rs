//! Identifiers of users that we make ourselves, as attributes: eduPersonTargetedID, and the two of the SAML V2.0 Subject
//! Identifier Attributes Profile. Nobody can tell whose they are without our key.

use super::attributes::{ReleasedAttribute, ReleasedValue};
use super::name_id::persistent;
use super::reply_to::Responder;
use crate::error::Result as CrateResult;
use crate::id;
use crate::saml::assertion::NameId;
use crate::saml::names;

/// The kinds of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// Another one at every application.
    PairwiseId,
    /// The same at all applications: they can compare.
    SubjectId,
    /// The persistent NameID as an attribute, for applications that want it there.
    TargetedId,
}

impl Identifier {
    /// pairwise-id and subject-id are scoped.
    pub const fn needs_scope(self) -> bool {
        matches!(self, Self::PairwiseId | Self::SubjectId)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::PairwiseId => names::PAIRWISE_ID,
            Self::SubjectId => names::SUBJECT_ID,
            Self::TargetedId => names::EDU_PERSON_TARGETED_ID,
        }
    }

    const fn friendly_name(self) -> &'static str {
        match self {
            Self::PairwiseId => "pairwise-id",
            Self::SubjectId => "subject-id",
            Self::TargetedId => "eduPersonTargetedID",
        }
    }
}

/// Which identifier an application needs, as its metadata say (entity attribute
/// `urn:oasis:names:tc:SAML:profiles:subject-id:req`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectIdRequirement {
    SubjectId,
    PairwiseId,
    /// It wants neither.
    None,
    /// It needs one of the two, whichever.
    Any,
}

impl SubjectIdRequirement {
    /// By the value of the entity attribute.
    pub fn from_value(value: &str) -> Option<Self> {
        Some(match value {
            "subject-id" => Self::SubjectId,
            "pairwise-id" => Self::PairwiseId,
            "none" => Self::None,
            "any" => Self::Any,
            _ => return None,
        })
    }

    /// What it is sent. Of the two the one by which applications cannot compare people, unless it needs the other.
    pub const fn identifier(self) -> Option<Identifier> {
        match self {
            Self::SubjectId => Some(Identifier::SubjectId),
            Self::PairwiseId | Self::Any => Some(Identifier::PairwiseId),
            Self::None => None,
        }
    }
}

/// Those that an application gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identifiers {
    pub kinds: Vec<Identifier>,
    /// Behind the @: a domain of the operator's.
    pub scope: Option<String>,
}

/// Is this a scope, as the profile defines it (3.3.1.2)?
pub fn is_scope(text: &str) -> bool {
    let first = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 127 && text.starts_with(first) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

impl Responder<'_> {
    /// The identifiers of a user at this application. Those that need a scope are left out without one.
    ///
    /// # Errors
    /// When our key cannot be used.
    pub fn identifiers(&self, user_id: &str) -> CrateResult<Vec<ReleasedAttribute>> {
        let wanted = &self.settings.identifiers;
        let kinds = wanted.kinds.iter().filter(|kind| !kind.needs_scope() || wanted.scope.is_some());
        kinds.map(|kind| self.identifier(*kind, user_id, wanted.scope.as_deref().unwrap_or_default())).collect()
    }

    fn identifier(&self, kind: Identifier, user_id: &str, scope: &str) -> CrateResult<ReleasedAttribute> {
        let application = self.application.entity_id();
        let scoped = |parts: &[&str]| -> CrateResult<ReleasedValue> {
            let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
            Ok(ReleasedValue::Text(format!("{}@{scope}", id::hex(&self.sealer.mac(&parts)?))))
        };
        let value = match kind {
            Identifier::PairwiseId => scoped(&["saml pairwise-id", user_id, application])?,
            Identifier::SubjectId => scoped(&["saml subject-id", user_id])?,
            Identifier::TargetedId => ReleasedValue::NameId(NameId {
                value: persistent(user_id, application, self.sealer)?,
                format: Some(names::NAMEID_PERSISTENT.to_owned()),
                name_qualifier: Some(self.issuer().to_owned()),
                sp_name_qualifier: Some(application.to_owned()),
                sp_provided_id: None,
            }),
        };
        Ok(ReleasedAttribute {
            name: kind.name().to_owned(),
            name_format: Some(names::ATTRNAME_URI.to_owned()),
            friendly_name: Some(kind.friendly_name().to_owned()),
            values: vec![value],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{CertifiedKey, KeyKind, PrivateKey, Sealer};
    use crate::saml::idp::{AssertionConsumerService, ResponseSettings, SpParts, SpTrust};
    use crate::secret::Secret;

    /// Name and value of all three, for a user at an application.
    fn made(user_id: &str, entity_id: &str, scope: Option<&str>) -> Vec<(String, String)> {
        let acs = AssertionConsumerService::new("https://app.example/acs", None, None).expect("an address");
        let parts = SpParts { entity_id: entity_id.to_owned(), acs: vec![acs], ..SpParts::default() };
        let application = SpTrust::new(parts).expect("an application");
        let kinds = vec![Identifier::PairwiseId, Identifier::SubjectId, Identifier::TargetedId];
        let identifiers = Identifiers { kinds, scope: scope.map(str::to_owned) };
        let settings = ResponseSettings { identifiers, ..ResponseSettings::default() };
        let key = CertifiedKey::self_signed(PrivateKey::generate(KeyKind::EcP256).expect("a key"), "us").expect("a certificate");
        let sealer = Sealer::new(&Secret::new(vec![7; 32])).expect("a sealer");
        let responder =
            Responder { entity_id: "https://us", application: &application, settings: &settings, signing_key: &key, sealer: &sealer };
        let attributes = responder.identifiers(user_id).expect("identifiers");
        let value = |attribute: &ReleasedAttribute| match attribute.values.as_slice() {
            [ReleasedValue::Text(text)] => text.clone(),
            [ReleasedValue::NameId(name_id)] => {
                assert_eq!(
                    (name_id.name_qualifier.as_deref(), name_id.sp_name_qualifier.as_deref()),
                    (Some("https://us"), Some(entity_id))
                );
                name_id.value.clone()
            }
            other => unreachable!("{other:?}"),
        };
        attributes.iter().map(|attribute| (attribute.name.clone(), value(attribute))).collect()
    }

    #[test]
    fn identifiers_are_pairwise_or_shared_and_stable() {
        let jane = made("jane", "urn:a", Some("example.org"));
        assert_eq!(jane, made("jane", "urn:a", Some("example.org")));
        let names: Vec<_> = jane.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, [names::PAIRWISE_ID, names::SUBJECT_ID, names::EDU_PERSON_TARGETED_ID]);
        let elsewhere = made("jane", "urn:b", Some("example.org"));
        let other = made("joe", "urn:a", Some("example.org"));
        let same = |others: &[(String, String)]| jane.iter().zip(others).map(|(one, other)| one == other).collect::<Vec<_>>();
        assert_eq!(same(&elsewhere), [false, true, false], "only subject-id is the same everywhere");
        assert_eq!(same(&other), [false, false, false]);
        for (_, value) in &jane[..2] {
            let (id, scope) = value.split_once('@').expect("a scope");
            assert!((1..=127).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
            assert_eq!(scope, "example.org");
        }
        assert!(jane.iter().all(|(_, value)| !value.contains("jane")));
    }

    #[test]
    fn without_a_scope_there_is_nothing_scoped() {
        let names: Vec<_> = made("jane", "urn:a", None).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [names::EDU_PERSON_TARGETED_ID]);
        for (text, good) in [("example.org", true), ("x", true), ("", false), ("-x", false), ("a b", false), ("a@b", false)] {
            assert_eq!(is_scope(text), good, "{text}");
        }
    }
}
