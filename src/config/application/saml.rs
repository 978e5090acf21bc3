//! `[application.saml]`: how an application gets its assertions. Whom it goes to is in `sp`.

use super::{SAML_TABLE, check_uri, sp};
use crate::application::SamlApplication;
use crate::application::saml_sp::{Problem, SamlSp, SamlSpSettings};
use crate::application::saml_sp_template::{ByMetadata, Said, SamlTemplate};
use crate::application::saml_words::{ENCRYPTED, meaning, name_id_format, name_id_formats};
use crate::config::context::Context;
use crate::config::living;
use crate::connection::metadata::Living;
use crate::profile::{Direction, MappingTable};
use crate::saml::algorithms::{CIPHERS, DIGESTS, SIGNATURES, TRANSPORTS};
use crate::saml::idp::{
    AttributeStyle, Identifier, Identifiers, NameFormats, NameIdFormat, ResponseSettings, SpTrust, ValueTypes, is_scope,
};
use crate::saml::{Binding, MessagePolicy};
use crate::toml_file::{At, Section};
use std::sync::Arc;
use url::Url;

/// What the table makes of an application.
pub enum Saml {
    Fixed(SamlApplication),
    /// Its metadata are fetched while the process runs.
    Living(ByMetadata, Box<Living>),
}

/// Reads the table; `outer` is the application's own mapping table, if that one is for attributes.
pub fn read(context: &Context<'_>, section: &Section<'_>, client_id: &str, outer: Option<&Arc<MappingTable>>) -> Option<Saml> {
    let made = context.stored().and_then(|stored| stored.attributes);
    let mapping = match made.or(outer).filter(|_| !section.has("mapping")) {
        Some(outer) => Some(Arc::clone(outer)),
        None => context.mapping(section, SAML_TABLE, Direction::FromProfile),
    };
    let mut template = template(context, section);
    for (setting, why) in template.settings.weaknesses() {
        section.warning(setting, format!("weakened: {why}"), "remove it as soon as the application can do better");
    }
    if section.has("metadata_url") {
        // Whoever serves the address may say anything; what is signed, somebody has looked at.
        template.believes_categories = section.has("metadata_certificates");
        let template = Arc::new(template);
        let living = living::of_application(context, section, client_id, Arc::clone(&template), &sp::fixed().collect::<Vec<_>>());
        let problems = template.problems();
        let living = living.filter(|_| problems.is_empty());
        tell(section, problems);
        let living = living?;
        let (source, entity_id) = (living.source.shown(), living.source.expects.clone());
        return Some(Saml::Living(ByMetadata { template, mapping: mapping?, source, entity_id }, Box::new(living)));
    }
    living::refuse_alone(section);
    match sp::read(context, section, template.settings.logout_binding) {
        Some(said) => fixed(context, section, &template, &said, mapping).map(Saml::Fixed),
        None => {
            tell(section, template.problems());
            None
        }
    }
}

/// An application that is known now.
fn fixed(
    context: &Context<'_>,
    section: &Section<'_>,
    template: &SamlTemplate,
    said: &Said,
    mapping: Option<Arc<MappingTable>>,
) -> Option<SamlApplication> {
    let (sp, release) = match template.with(said) {
        Ok(made) => made,
        Err(problems) => {
            tell(section, problems);
            return None;
        }
    };
    let place = ["metadata_file", "metadata"].into_iter().find(|key| section.has(key)).unwrap_or("certificates");
    for message in sp.ending_certificates(context.now) {
        section.warning(place, message, "ask the application for the next one; logins go on, since keys are pinned and not dates");
    }
    if template.lacks_scope_for(said).is_some() {
        let message = "the application's metadata say that it needs a subject identifier, which has a scope, and there is none";
        section.warning(place, message, "add `scope`, a domain of yours, or say with `identifiers` what it gets");
    }
    warn_unlisted(section, &sp);
    Some(SamlApplication { sp: Arc::new(sp), mapping: mapping?, release, valid_until: said.valid_until })
}

fn tell(section: &Section<'_>, problems: Vec<Problem>) {
    problems.into_iter().for_each(|problem| section.problem(problem.setting, problem.why, "correct the setting"));
}

/// The settings that hold whoever the application is.
fn template(context: &Context<'_>, section: &Section<'_>) -> SamlTemplate {
    let logout_binding = section.choice("logout_binding", &[("post", Binding::Post), ("redirect", Binding::Redirect)]);
    let formats = section.strings("name_id_formats").map(|texts| texts.iter().filter_map(|at| format_of(section, at)).collect());
    let require_signed_requests = section.bool("require_signed_requests");
    if require_signed_requests == Some(false) {
        section.warning(
            "require_signed_requests",
            "weakened: requests may come unsigned: whoever sends a person here chooses what is asked",
            "remove it if the application signs its requests",
        );
    }
    let settings = SamlSpSettings {
        response: response_settings(section),
        require_signed_requests: require_signed_requests.unwrap_or(false),
        name_id_formats: formats,
        allow_unsolicited: section.bool("allow_unsolicited").unwrap_or(false),
        logout: section.bool("logout").unwrap_or(true),
        logout_binding: logout_binding.unwrap_or(Binding::Post),
        policy: policy(context, section),
        discovery_urls: discovery_urls(section),
        mirror: section.bool("mirror").unwrap_or(false),
        ..SamlSpSettings::new(SpTrust::nobody())
    };
    let categories = section.strings("entity_categories").map(|texts| texts.into_iter().map(|at| at.value.to_owned()).collect());
    SamlTemplate {
        settings,
        names_format: section.has("name_id_format"),
        names_identifiers: section.has("identifiers"),
        only_requested: section.choice("release", &[("all", false), ("requested", true)]).unwrap_or(false),
        categories,
        believes_categories: true,
    }
}

/// Where people return from our discovery service.
fn discovery_urls(section: &Section<'_>) -> Vec<Url> {
    let texts = section.strings("discovery_urls").unwrap_or_default();
    let read = texts.into_iter().filter_map(|at| {
        if let Err((message, help)) = check_uri(at.value, false) {
            section.file().problem(at.span.clone(), &at.path, format!("`{}` {message}", at.value), help);
        }
        Url::parse(at.value).ok()
    });
    read.collect()
}

/// `identifiers`, and the `scope` of those that have one.
fn identifiers(section: &Section<'_>) -> Identifiers {
    const KINDS: [(&str, Identifier); 3] =
        [("pairwise-id", Identifier::PairwiseId), ("subject-id", Identifier::SubjectId), ("eduPersonTargetedID", Identifier::TargetedId)];
    let scope = section.string("scope").map(|at| at.value);
    if scope.is_some_and(|scope| !is_scope(scope)) {
        section.problem("scope", "a scope has up to 127 letters, digits, - and .", "write a domain of yours, as in example.org");
    }
    let mut kinds = Vec::new();
    for at in section.strings("identifiers").unwrap_or_default() {
        match meaning(&KINDS, at.value) {
            Some(kind) if kind.needs_scope() && scope.is_none() => {
                let message = format!("{} has a scope, and there is none", at.value);
                section.file().problem(at.span.clone(), &at.path, message, "add `scope`, a domain of yours");
            }
            Some(kind) if kinds.contains(&kind) => {
                section.file().problem(at.span.clone(), &at.path, format!("{} is there twice", at.value), "remove one");
            }
            Some(kind) => kinds.push(kind),
            None => {
                let help = format!("use one of {}", KINDS.map(|(name, _)| format!("\"{name}\"")).join(", "));
                section.file().problem(at.span.clone(), &at.path, format!("`{}` is no identifier that is made here", at.value), help);
            }
        }
    }
    Identifiers { kinds, scope: scope.map(str::to_owned) }
}

fn response_settings(section: &Section<'_>) -> ResponseSettings {
    let usual = ResponseSettings::default();
    let text = |key: &'static str| section.string(key).map(|at| at.value.to_owned());
    let seconds = |key: &'static str, usual: u32| {
        section.integer(key, 0..=i64::from(u32::MAX)).and_then(|at| u32::try_from(at.value).ok()).unwrap_or(usual)
    };
    let name_id = section.string("name_id_format").and_then(|at| format_of(section, &at));
    let probes = section.strings("name_id_probes").unwrap_or_default();
    ResponseSettings {
        sign_assertion: section.bool("sign_assertion").unwrap_or(usual.sign_assertion),
        sign_response: section.bool("sign_response").unwrap_or(usual.sign_response),
        signature: section.choice("signature_algorithm", SIGNATURES),
        digest: section.choice("digest_algorithm", DIGESTS),
        encrypt: section.choice("encrypt", ENCRYPTED).unwrap_or_default(),
        cipher: section.choice("encryption_algorithm", CIPHERS),
        transport: section.choice("key_transport", TRANSPORTS),
        issuer: text("issuer"),
        audience: text("audience"),
        recipient: text("recipient"),
        destination: text("destination"),
        lifetime_seconds: seconds("lifetime", usual.lifetime_seconds),
        backdate_seconds: seconds("backdate", usual.backdate_seconds),
        name_id_format: name_id.unwrap_or(usual.name_id_format),
        name_id_probes: probes.into_iter().map(|at| at.value.to_owned()).collect(),
        authn_context_class_ref: text("authn_context_class_ref").unwrap_or(usual.authn_context_class_ref),
        attributes: attribute_style(section),
        identifiers: identifiers(section),
    }
}

fn attribute_style(section: &Section<'_>) -> AttributeStyle {
    let typed = section.bool("typed_attributes").unwrap_or(true);
    let name_formats = section.choice("attribute_name_format", &[("inferred", NameFormats::Inferred), ("none", NameFormats::Omitted)]);
    AttributeStyle { types: if typed { ValueTypes::Inferred } else { ValueTypes::AnyType }, name_formats: name_formats.unwrap_or_default() }
}

fn format_of(section: &Section<'_>, at: &At<&str>) -> Option<NameIdFormat> {
    let format = name_id_format(at.value);
    if format.is_none() {
        let help = format!("use one of {}, or its URN", name_id_formats());
        section.file().problem(at.span.clone(), &at.path, format!("`{}` is no format of a NameID", at.value), help);
    }
    format
}

/// Requests and logout messages; loosenings are reported with those of the application.
fn policy(context: &Context<'_>, section: &Section<'_>) -> MessagePolicy {
    let strict = MessagePolicy::default();
    let on = |key: &'static str| section.bool(key).unwrap_or(false);
    MessagePolicy {
        skew_seconds: section.integer("clock_skew", 0..=600).map_or(strict.skew_seconds, |at| at.value),
        max_age_seconds: section.integer("message_max_age", 30..=3600).map_or(strict.max_age_seconds, |at| at.value),
        allow_sha1: on("allow_sha1"),
        allow_inclusive_c14n: on("allow_inclusive_c14n"),
        allow_cbc: on("allow_cbc"),
        second_opinion: context.second_opinion,
    }
}

/// An application may refuse what its own metadata do not list.
fn warn_unlisted(section: &Section<'_>, sp: &SamlSp) {
    let (listed, given) = (&sp.trust().name_id_formats, sp.response().name_id_format);
    if !listed.is_empty() && !listed.contains(&given) && !listed.contains(&NameIdFormat::Unspecified) {
        let listed = listed.iter().map(|format| format.urn()).collect::<Vec<_>>().join(", ");
        let message = format!("the application's metadata list only {listed}, and it will be given {}", given.urn());
        section.warning("name_id_format", message, "name the format that the application is to have");
    }
}

#[cfg(test)]
#[path = "saml_tests.rs"]
mod tests;
