//! What the settings and what an application says of itself come to.

use super::*;
use crate::saml::MetadataOptions;
use crate::saml::idp::read_sp;

const RESEARCH: &str = "http://refeds.org/category/research-and-scholarship";

fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

/// Metadata with entity attributes and more children of the role.
fn said(attributes: &str, children: &str) -> Said {
    let xml = format!(
        "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"https://app.example/sp\" \
         xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"><md:Extensions><mdattr:EntityAttributes \
         xmlns:mdattr=\"urn:oasis:names:tc:SAML:metadata:attribute\">{attributes}</mdattr:EntityAttributes></md:Extensions>\
         <md:SPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:NameIDFormat>\
         urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat><md:AssertionConsumerService \
         Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"https://app.example/acs\" index=\"0\"/>{children}\
         </md:SPSSODescriptor></md:EntityDescriptor>"
    );
    Said::by_metadata(&read_sp(&xml, MetadataOptions::default(), now()).expect("metadata"))
}

fn attribute(name: &str, values: &[&str]) -> String {
    let values: String = values.iter().map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>")).collect();
    format!("<saml:Attribute Name=\"{name}\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:uri\">{values}</saml:Attribute>")
}

fn needs(values: &[&str]) -> Said {
    said(&attribute("urn:oasis:names:tc:SAML:profiles:subject-id:req", values), "")
}

fn template(change: impl FnOnce(&mut SamlTemplate)) -> SamlTemplate {
    let mut settings = SamlSpSettings::new(SpTrust::nobody());
    settings.response.identifiers.scope = Some("example.org".to_owned());
    let mut template = SamlTemplate {
        settings,
        names_format: false,
        names_identifiers: false,
        only_requested: false,
        categories: None,
        believes_categories: true,
    };
    change(&mut template);
    template
}

fn identifiers(template: &SamlTemplate, said: &Said) -> Vec<Identifier> {
    template.with(said).expect("usable").0.response().identifiers.kinds.clone()
}

#[test]
fn the_subject_identifier_is_the_one_that_the_application_needs_where_nobody_says() {
    let open = template(|_| {});
    for (value, sent) in [
        ("subject-id", vec![Identifier::SubjectId]),
        ("pairwise-id", vec![Identifier::PairwiseId]),
        ("any", vec![Identifier::PairwiseId]),
        ("none", vec![]),
        ("Subject-ID", vec![]),
    ] {
        assert_eq!(identifiers(&open, &needs(&[value])), sent, "{value}");
    }
    assert_eq!(identifiers(&open, &said("", "")), [], "who says nothing gets nothing");
    assert_eq!(identifiers(&open, &needs(&["subject-id", "pairwise-id"])), [], "it has one value");
    let said_otherwise = template(|template| {
        template.names_identifiers = true;
        template.settings.response.identifiers.kinds = vec![Identifier::TargetedId];
    });
    assert_eq!(identifiers(&said_otherwise, &needs(&["subject-id"])), [Identifier::TargetedId]);
    assert_eq!(identifiers(&template(|template| template.names_identifiers = true), &needs(&["any"])), [], "an empty list is said, too");
}

#[test]
fn an_identifier_that_cannot_be_made_is_noticed() {
    let without = template(|template| template.settings.response.identifiers.scope = None);
    assert_eq!(without.lacks_scope_for(&needs(&["any"])), Some(Identifier::PairwiseId));
    assert_eq!(without.lacks_scope_for(&needs(&["none"])), None);
    assert_eq!(template(|_| {}).lacks_scope_for(&needs(&["any"])), None);
}

#[test]
fn what_metadata_say_of_categories_counts_where_somebody_has_looked() {
    let category = said(&attribute("http://macedir.org/entity-category", &[RESEARCH]), "");
    let categories = |template: &SamlTemplate| template.with(&category).expect("usable").1.categories;
    assert_eq!(categories(&template(|_| {})), [RESEARCH]);
    assert_eq!(categories(&template(|template| template.believes_categories = false)), [""; 0]);
    let written = template(|template| {
        template.believes_categories = false;
        template.categories = Some(vec!["urn:written".to_owned()]);
    });
    assert_eq!(categories(&written), ["urn:written"]);
}

#[test]
fn settings_that_do_not_go_together_with_the_metadata_are_told() {
    let settings = |template: &SamlTemplate, said: &Said| -> Vec<&'static str> {
        template.with(said).map_or_else(|problems| problems.into_iter().map(|problem| problem.setting).collect(), |_| Vec::new())
    };
    let strict = template(|template| {
        template.only_requested = true;
        template.settings.require_signed_requests = true;
        template.settings.response.encrypt = crate::saml::idp::EncryptedParts::Assertion;
    });
    assert_eq!(strict.problems(), [], "by themselves they are good");
    assert_eq!(settings(&strict, &said("", "")), ["release", "require_signed_requests", "encrypt"]);
    let asks = "<md:AttributeConsumingService index=\"0\"><md:ServiceName xml:lang=\"en\">x</md:ServiceName><md:RequestedAttribute \
                Name=\"mail\"><saml:AttributeValue> a@b.example </saml:AttributeValue></md:RequestedAttribute></md:AttributeConsumingService>";
    let asking = said("", asks);
    assert_eq!(asking.trust.attribute_consuming_services[0].attributes[0].values, ["a@b.example"]);
    assert_eq!(settings(&template(|template| template.only_requested = true), &asking), [""; 0]);
    let open = template(|_| {}).with(&said("", "")).expect("usable").0;
    assert_eq!(open.response().name_id_format, NameIdFormat::Transient, "it likes that best");
}
