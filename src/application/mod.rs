//! Applications: relying parties that trust us, with what they are told and who may come to them.

pub mod management;
pub mod release;
mod resource_server;
pub mod saml_sp;
pub mod saml_sp_template;
pub mod saml_words;

pub use resource_server::{ClientGrant, ResourceServer, TOKEN_LIFETIME, TokenFormat};

use crate::clock::Timestamp;
use crate::oidc::ClientFacts;
use crate::profile::MappingTable;
use crate::profile::dialect::Dialect;
use release::ReleasePolicy;
use saml_sp::SamlSp;
use saml_sp_template::ByMetadata;
use std::sync::Arc;

/// A registered application.
#[derive(Clone, Debug)]
pub struct Application {
    pub client_id: String,
    /// For people.
    pub name: String,
    pub enabled: bool,
    /// Names of the connections by which its users may come; `None`: by all.
    pub connections: Option<Vec<String>>,
    /// From the profile to its claims.
    pub mapping: Arc<MappingTable>,
    pub profile: ProfileUse,
    /// As an OpenID Connect client.
    pub oidc: Option<ClientFacts>,
    /// As a SAML service provider. Not there either where its metadata live and there are none at present.
    pub saml: Option<SamlApplication>,
    /// How it becomes one, where its metadata live.
    pub by_metadata: Option<Arc<ByMetadata>>,
}

impl Application {
    /// Did it register itself, instead of being made by an operator?
    pub fn is_self_registered(&self) -> bool {
        self.oidc.as_ref().is_some_and(|client| client.self_registered.is_some())
    }
}

/// An application in its part as a SAML service provider.
#[derive(Clone, Debug)]
pub struct SamlApplication {
    pub sp: Arc<SamlSp>,
    /// From the profile to its attributes.
    pub mapping: Arc<MappingTable>,
    pub release: ReleasePolicy,
    /// When the metadata that all this is from are over.
    pub valid_until: Option<Timestamp>,
}

impl SamlApplication {
    /// Are the metadata over that it is made from?
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.valid_until.is_some_and(|until| until <= now)
    }
}

/// What an application gets to see of the profile, beside what its table releases, and how old it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileUse {
    /// UserInfo answers with the whole profile of the transaction, whatever the scopes (S4-16), and `/tokeninfo` answers
    /// (S4-17).
    pub legacy_profile: bool,
    /// In which form, if the request does not say.
    pub dialect: Dialect,
    /// Seconds since the connection was last asked, after which neither single sign-on nor a refresh token may go on
    /// without asking it again. `None`: as long as session and token live.
    pub stale_profile_max: Option<u64>,
    /// Sealed metadata are opened for it.
    pub reads_sealed: bool,
}

impl ProfileUse {
    /// Is a profile of this age (seconds) still good? An unknown age is not judged.
    pub fn is_fresh(&self, age: Option<i64>) -> bool {
        self.stale_profile_max.zip(age).is_none_or(|(limit, age)| i64::try_from(limit).is_ok_and(|limit| age <= limit))
    }
}
