//! Which NameID an application gets (SAML Core 8.3).

use super::attributes::{ReleasedAttribute, ReleasedValue};
use crate::error::{Error, ErrorKind, Result as CrateResult};
use crate::id;
use crate::keys::Sealer;
use crate::saml::assertion::NameId;
use crate::saml::names;
use serde::{Deserialize, Serialize};

/// Characters of a persistent or transient identifier (Core 8.3.7, 8.3.8), and of any other here.
const LENGTH: usize = 256;

/// The kinds of NameID that are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameIdFormat {
    /// The same for one user at one application always, another at every other application.
    Persistent,
    /// Another at every sign-in.
    Transient,
    EmailAddress,
    /// What application and operator have agreed on.
    Unspecified,
}

impl NameIdFormat {
    pub const ALL: [Self; 4] = [Self::Persistent, Self::Transient, Self::EmailAddress, Self::Unspecified];

    pub const fn urn(self) -> &'static str {
        match self {
            Self::Persistent => names::NAMEID_PERSISTENT,
            Self::Transient => names::NAMEID_TRANSIENT,
            Self::EmailAddress => names::NAMEID_EMAIL,
            Self::Unspecified => names::NAMEID_UNSPECIFIED,
        }
    }

    pub fn from_urn(urn: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.urn() == urn)
    }
}

/// Whom the assertion is about, before they have a name at the application.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Never changes and is never given to somebody else.
    pub user_id: &'a str,
    pub email: Option<&'a str>,
}

/// What a NameID is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameIdSource<'a> {
    pub subject: Subject<'a>,
    pub attributes: &'a [ReleasedAttribute],
    /// Names of attributes; the first with a value becomes the NameID, where the format leaves that open.
    pub probes: &'a [String],
    pub idp_entity_id: &'a str,
    pub sp_entity_id: &'a str,
}

impl NameIdSource<'_> {
    /// # Errors
    /// When there is no value for this format.
    pub fn name_id(&self, format: NameIdFormat, sealer: &Sealer) -> CrateResult<NameId> {
        let value = match format {
            NameIdFormat::Persistent => persistent(self.subject.user_id, self.sp_entity_id, sealer)?,
            NameIdFormat::Transient => format!("_{}", id::hex(&id::random_bytes::<20>())),
            NameIdFormat::EmailAddress => {
                let probed = self.probed(is_address).or(self.subject.email.filter(|email| is_address(email)));
                probed.ok_or_else(|| missing("the user has no e-mail address"))?.to_owned()
            }
            NameIdFormat::Unspecified => self.probed(|_| true).unwrap_or(self.subject.user_id).trim().to_owned(),
        };
        if value.is_empty() || value.chars().count() > LENGTH {
            return Err(missing("the value for it is empty or longer than 256 characters"));
        }
        // SAML Core 8.3.7: a persistent identifier is qualified by both parties; for the others that would mean nothing.
        let qualified = |entity_id: &str| (format == NameIdFormat::Persistent).then(|| entity_id.to_owned());
        Ok(NameId {
            value,
            format: Some(format.urn().to_owned()),
            name_qualifier: qualified(self.idp_entity_id),
            sp_name_qualifier: qualified(self.sp_entity_id),
            sp_provided_id: None,
        })
    }

    fn probed(&self, fits: impl Fn(&str) -> bool) -> Option<&str> {
        let values = self.probes.iter().flat_map(|probe| self.attributes.iter().filter(move |attribute| attribute.name == *probe));
        let texts = values.flat_map(|attribute| &attribute.values).filter_map(|value| match value {
            ReleasedValue::Text(text) => Some(text.trim()),
            ReleasedValue::NameId(name_id) => Some(name_id.value.trim()),
            _ => None,
        });
        texts.filter(|text| !text.is_empty()).find(|text| fits(text))
    }
}

/// Pairwise: without the key nobody can say whose it is, nor that two applications have the same user.
pub(super) fn persistent(user_id: &str, sp_entity_id: &str, sealer: &Sealer) -> CrateResult<String> {
    let parts = ["saml persistent name id", user_id, sp_entity_id];
    sealer.mac(&parts.map(str::as_bytes)).map(|mac| format!("_{}", id::hex(&mac)))
}

/// Enough of RFC 5322 for an addr-spec: one part before and one behind the @, without white space.
fn is_address(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty()) && !text.contains(char::is_whitespace)
}

fn missing(why: &str) -> Error {
    Error::new(ErrorKind::ProfileIncomplete, format!("there is no NameID of the wanted format: {why}"))
}
