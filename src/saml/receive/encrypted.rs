//! The encrypted parts of an assertion: the EncryptedID of its subject, and EncryptedAttributes.
//!
//! They are taken from where the assertion's signature covers them, so whoever signed it has said them. Failures to open
//! one are as alike as those of an encrypted assertion.

use crate::keys::CertifiedKey;
use crate::saml::assertion::{AssertionContent, Attribute, NameId, only};
use crate::saml::encryption::decrypt_element;
use crate::saml::message::name_id;
use crate::saml::names;
use crate::saml::rejection::{Checks, Part, Rejection};
use crate::saml::xml::{Element, Limits, parse_in_context};

/// EncryptedAttributes of one assertion; each costs an operation with a private key.
const ATTRIBUTES: usize = 32;

/// What opens them.
#[derive(Clone, Copy)]
pub(in crate::saml) struct Keys<'a> {
    pub keys: &'a [&'a CertifiedKey],
    pub allow_cbc: bool,
}

impl Keys<'_> {
    /// An assertion with its encrypted parts opened.
    ///
    /// # Errors
    /// When it is not built as it must be, or a part cannot be opened.
    pub fn read(self, assertion: Element<'_>, checks: &mut Checks<'_>) -> Result<AssertionContent, Rejection> {
        let mut content = AssertionContent::read(assertion)?;
        content.name_id = self.name_id(assertion, checks)?;
        content.attributes.extend(self.attributes(assertion, checks)?);
        Ok(content)
    }

    /// The subject's NameID, whether or not it is encrypted; an empty one is none.
    pub fn name_id(self, assertion: Element<'_>, checks: &mut Checks<'_>) -> Result<Option<NameId>, Rejection> {
        let subject = only(assertion, names::SAML, "Subject", Part::Assertion)?;
        let found = subject.map(|subject| name_id(subject, Part::Assertion, self.keys, self.allow_cbc, checks));
        found.transpose().map(Option::flatten)
    }

    /// The EncryptedAttributes of all statements, in order.
    pub fn attributes(self, assertion: Element<'_>, checks: &mut Checks<'_>) -> Result<Vec<Attribute>, Rejection> {
        let statements = assertion.children_named(names::SAML, "AttributeStatement");
        let encrypted: Vec<_> =
            statements.flat_map(|statement| statement.children_named(names::SAML, "EncryptedAttribute")).take(ATTRIBUTES + 1).collect();
        if encrypted.len() > ATTRIBUTES {
            return Err(Rejection::Structure { on: Part::Assertion, why: format!("there are more than {ATTRIBUTES} EncryptedAttributes") });
        }
        let mut open = |element| checks.outcome("attribute-decryption", "our key opens it", self.attribute(element));
        encrypted.into_iter().map(&mut open).collect()
    }

    // SAML Core 2.7.3.2: what is encrypted is one Attribute.
    fn attribute(self, encrypted: Element<'_>) -> Result<Attribute, Rejection> {
        // AES-CBC has no integrity: how its plain text is broken must not be told.
        let told = |rejection: Rejection| if self.allow_cbc { Rejection::DecryptionFailed } else { rejection };
        let text = decrypt_element(encrypted, self.keys, self.allow_cbc)?;
        let document = parse_in_context(&text, Limits::MESSAGE, &encrypted.namespace_context()).map_err(|error| told(error.into()))?;
        let root = document.root();
        if !root.is(names::SAML, "Attribute") {
            return Err(told(Rejection::WrongRoot { expected: "saml:Attribute", found: root.local_name().to_owned() }));
        }
        Ok(Attribute::read(root))
    }
}
