//! What a source describes: an identity provider, or an application. All that metadata which live have to know of the
//! difference is here.

use super::difference::{self, Change, Place};
use crate::application::saml_sp_template::{Said, SamlTemplate};
use crate::clock::Timestamp;
use crate::id;
use crate::saml::aggregate::{Aggregate, Entity};
use crate::saml::idp::ApplicationMetadata;
use crate::saml::{IdpMetadata, MetadataError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Who uses a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// By its name.
    Connection(String),
    /// By its client id.
    Application(String),
}

impl Owner {
    pub fn connection(name: &str) -> Self {
        Self::Connection(name.to_owned())
    }

    pub fn application(client_id: &str) -> Self {
        Self::Application(client_id.to_owned())
    }

    pub const fn name(&self) -> &str {
        match self {
            Self::Connection(name) | Self::Application(name) => name.as_str(),
        }
    }

    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Application(_) => "application",
        }
    }

    /// A key of its own among those of all owners: no name of a connection has a colon.
    pub fn key(&self) -> String {
        match self {
            Self::Connection(name) => name.clone(),
            Self::Application(client_id) => format!("application:{client_id}"),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.name())
    }
}

/// The role in which the entities of a source are used here.
#[derive(Clone, Debug, Default)]
pub enum Role {
    #[default]
    IdentityProvider,
    /// With the settings that its metadata have to go together with.
    Application(Arc<SamlTemplate>),
}

impl Role {
    /// Has the entity this role?
    pub fn is_of(&self, entity: &Entity) -> bool {
        match self {
            Self::IdentityProvider => entity.is_idp,
            Self::Application(_) => entity.is_sp,
        }
    }

    /// # Errors
    /// When the entity has not this role, or is valid no longer.
    pub fn describe(&self, entity: &Entity, now: Timestamp) -> Result<Description, MetadataError> {
        match self {
            Self::IdentityProvider => entity.idp(now).map(|idp| Description::Idp(Box::new(idp))),
            Self::Application(_) => entity.sp(now).map(|sp| Description::Sp(Box::new(sp))),
        }
    }

    /// What a document must have beside what holds for all: where it is the only source of an application, that application,
    /// described so that it goes together with its settings. `expected`: its entity ID, if that is said.
    ///
    /// # Errors
    /// Why the document cannot be used.
    pub fn check(&self, document: &Aggregate, expected: Option<&str>, now: Timestamp) -> Result<(), String> {
        let Self::Application(template) = self else { return Ok(()) };
        let is_meant = |entity: &&Arc<Entity>| entity.is_sp && expected.is_none_or(|expected| *expected == *entity.entity_id);
        let mut meant = document.entities().filter(is_meant);
        let entity = match (meant.next(), meant.next()) {
            (Some(entity), None) => entity,
            (None, _) => return Err("the metadata describe no application".to_owned()),
            (Some(_), Some(_)) => return Err("the metadata describe several applications; `entity_id` says which is meant".to_owned()),
        };
        let said = Said::by_metadata(&entity.sp(now).map_err(|error| error.to_string())?);
        let told = |problems: Vec<crate::application::saml_sp::Problem>| {
            let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
            format!("the metadata and the settings of the application do not go together: {}", texts.join("; "))
        };
        template.with(&said).map(drop).map_err(told)
    }
}

/// One partner as its metadata describe it.
#[derive(Clone, Debug)]
pub enum Description {
    Idp(Box<IdpMetadata>),
    Sp(Box<ApplicationMetadata>),
}

impl Description {
    pub fn entity_id(&self) -> &str {
        match self {
            Self::Idp(idp) => &idp.entity_id,
            Self::Sp(sp) => sp.trust.entity_id(),
        }
    }

    /// The earliest validUntil that applies.
    pub const fn valid_until(&self) -> Option<Timestamp> {
        match self {
            Self::Idp(idp) => idp.valid_until,
            Self::Sp(sp) => sp.valid_until,
        }
    }

    /// All endpoints.
    pub fn places(&self) -> BTreeSet<Place> {
        match self {
            Self::Idp(idp) => difference::places(idp),
            Self::Sp(sp) => difference::places_of_application(sp),
        }
    }

    /// The same with other endpoints. Those that cannot be read are left out.
    #[must_use]
    pub fn with_places(self, places: &BTreeSet<Place>) -> Self {
        match self {
            Self::Idp(idp) => Self::Idp(Box::new(difference::with_places(*idp, places))),
            Self::Sp(sp) => Self::Sp(Box::new(difference::application_with_places(*sp, places))),
        }
    }

    /// Everything of the new description that a login would notice.
    pub fn difference(&self, new: &Self) -> Vec<Change> {
        match (self, new) {
            (Self::Idp(old), Self::Idp(new)) => difference::difference(old, new),
            (Self::Sp(old), Self::Sp(new)) => difference::difference_of_applications(old, new),
            // A source has one role.
            (Self::Idp(_), Self::Sp(_)) | (Self::Sp(_), Self::Idp(_)) => Vec::new(),
        }
    }

    /// All of it that [`Self::difference`] compares, in an order of its own, as a digest.
    pub fn state(&self) -> String {
        let text = match self {
            Self::Idp(idp) => difference::state(idp),
            Self::Sp(sp) => difference::state_of_application(sp),
        };
        id::hex(&id::sha256(text.as_bytes()))
    }

    /// SHA-256 of its signing certificates, hex.
    pub fn fingerprints(&self) -> Vec<String> {
        match self {
            Self::Idp(idp) => idp.keys.fingerprints().map(str::to_owned).collect(),
            Self::Sp(sp) => sp.trust.keys().into_iter().flat_map(|keys| keys.fingerprints()).map(str::to_owned).collect(),
        }
    }
}
