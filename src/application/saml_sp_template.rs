//! What is registered of a SAML application beside what it says of itself, and what becomes of the two together. What it
//! says of itself stands in metadata, read once or again and again, or the operator writes it in their place.

use super::release::ReleasePolicy;
use super::saml_sp::{Problem, SamlSp, SamlSpSettings};
use super::{Application, SamlApplication};
use crate::clock::Timestamp;
use crate::profile::MappingTable;
use crate::saml::idp::{ApplicationMetadata, Identifier, NameIdFormat, SpTrust, SubjectIdRequirement};
use std::sync::Arc;

/// What an application says of itself.
#[derive(Clone, Debug)]
pub struct Said {
    pub trust: SpTrust,
    /// Entity categories (RFC 8409).
    pub categories: Vec<String>,
    pub subject_id: Option<SubjectIdRequirement>,
    /// How long it may be believed.
    pub valid_until: Option<Timestamp>,
}

impl Said {
    /// By an operator, who has nothing to say about the rest.
    pub const fn by_operator(trust: SpTrust) -> Self {
        Self { trust, categories: Vec::new(), subject_id: None, valid_until: None }
    }

    pub fn by_metadata(metadata: &ApplicationMetadata) -> Self {
        Self {
            trust: metadata.trust.clone(),
            categories: metadata.entity_categories().map(str::to_owned).collect(),
            subject_id: metadata.subject_id_requirement(),
            valid_until: metadata.valid_until,
        }
    }
}

/// The settings that do not depend on what the application says, and which of the others the operator has left to it.
#[derive(Clone, Debug)]
pub struct SamlTemplate {
    /// Whom they are for is not said in them ([`SpTrust::nobody`]).
    pub settings: SamlSpSettings,
    /// The operator names the format of NameIDs; else it is what the application likes best.
    pub names_format: bool,
    /// The operator names the identifiers of ours; else they are what the application needs.
    pub names_identifiers: bool,
    pub only_requested: bool,
    /// As the operator names them; else those that it has.
    pub categories: Option<Vec<String>>,
    /// What it says of its own entity categories counts: an operator has seen it, or somebody has signed it.
    pub believes_categories: bool,
}

impl SamlTemplate {
    /// What is wrong with the settings, whoever they are for.
    pub fn problems(&self) -> Vec<Problem> {
        self.settings.problems()
    }

    /// The application with both.
    ///
    /// # Errors
    /// What its settings and what it says have against each other.
    pub fn with(&self, said: &Said) -> Result<(SamlSp, ReleasePolicy), Vec<Problem>> {
        let mut settings = SamlSpSettings { trust: said.trust.clone(), ..self.settings.clone() };
        if !self.names_format {
            settings.response.name_id_format = quiet_format(&said.trust);
        }
        if !self.names_identifiers {
            settings.response.identifiers.kinds = said.subject_id.and_then(SubjectIdRequirement::identifier).into_iter().collect();
        }
        let asks = self.only_requested && said.trust.attribute_consuming_services.is_empty();
        let silent =
            asks.then(|| Problem { setting: "release", why: "the application asks for no attributes, and would get none".to_owned() });
        let sp = match (SamlSp::new(settings), silent) {
            (Ok(sp), None) => sp,
            (Ok(_), Some(silent)) => return Err(vec![silent]),
            (Err(problems), silent) => return Err(silent.into_iter().chain(problems).collect()),
        };
        let own = if self.believes_categories { said.categories.clone() } else { Vec::new() };
        let categories = self.categories.clone().unwrap_or(own);
        Ok((sp, ReleasePolicy { only_requested: self.only_requested, categories }))
    }

    /// An identifier that the application says it needs, and that cannot be made without a scope.
    pub fn lacks_scope_for(&self, said: &Said) -> Option<Identifier> {
        let left_open = !self.names_identifiers && self.settings.response.identifiers.scope.is_none();
        said.subject_id.filter(|_| left_open)?.identifier()
    }
}

/// Where nobody says anything: what the application likes best among the formats that tell nothing.
fn quiet_format(trust: &SpTrust) -> NameIdFormat {
    let quiet = [NameIdFormat::Persistent, NameIdFormat::Transient];
    trust.name_id_formats.iter().copied().find(|format| quiet.contains(format)).unwrap_or(NameIdFormat::Persistent)
}

/// What stays of a SAML application while its metadata come and go.
#[derive(Clone, Debug)]
pub struct ByMetadata {
    pub template: Arc<SamlTemplate>,
    /// From the profile to its attributes.
    pub mapping: Arc<MappingTable>,
    /// Where the metadata come from, for people: without the query of an address.
    pub source: String,
    /// As far as the operator says it.
    pub entity_id: Option<String>,
}

impl ByMetadata {
    /// # Errors
    /// When the settings and the metadata do not go together.
    pub fn with(&self, metadata: &ApplicationMetadata) -> Result<SamlApplication, Vec<Problem>> {
        let said = Said::by_metadata(metadata);
        let (sp, release) = self.template.with(&said)?;
        Ok(SamlApplication { sp: Arc::new(sp), mapping: Arc::clone(&self.mapping), release, valid_until: said.valid_until })
    }
}

impl Application {
    /// The same with another SAML part.
    #[must_use]
    pub fn speaking_saml(&self, saml: Option<SamlApplication>) -> Self {
        Self { saml, ..self.clone() }
    }
}

#[cfg(test)]
#[path = "saml_sp_template_tests.rs"]
mod tests;
