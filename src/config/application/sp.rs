//! Whom a SAML application's answers go to: out of its metadata, or out of what the operator writes.

use super::check_uri;
use crate::config::connection::certificates;
use crate::config::context::Context;
use crate::saml::idp::{AssertionConsumerService, AttributeConsumingService, EncryptionKey, RequestedAttribute, SpParts, SpTrust, read_sp};
use crate::saml::logout::LogoutService;
use crate::saml::{Binding, MetadataOptions, TrustedKeys};
use crate::toml_file::{At, Section};
use openssl::x509::X509;
use url::Url;

/// What says itself what metadata would say.
const LITERALS: [&str; 7] =
    ["acs_urls", "certificates", "encryption_certificates", "slo_url", "slo_response_url", "authn_requests_signed", "requested_attributes"];

/// Reads whom it is, and the entity categories that its metadata list; logout messages go out by `logout_binding` where only
/// their address is written.
pub fn read(context: &Context<'_>, section: &Section<'_>, logout_binding: Binding) -> Option<(SpTrust, Vec<String>)> {
    if section.has("metadata_url") {
        section.value("metadata_url");
        section.problem("metadata_url", "metadata cannot be fetched in this version", "save the document and use `metadata_file`");
    }
    let entity_id = section.string("entity_id").map(|at| at.value);
    let pinned = certificates(context, section, "metadata_certificates");
    let document = section.string("metadata").map(|at| ("metadata", Ok(at.value.to_owned())));
    let from_file = section.string("metadata_file").map(|at| ("metadata_file", context.read_file(at.value)));
    if document.is_some() && from_file.is_some() {
        section.problem("metadata_file", "`metadata` and `metadata_file` contradict each other", "remove one of the two");
    }
    let Some((key, document)) = document.or(from_file) else {
        if section.has("metadata_certificates") {
            section.problem("metadata_certificates", "there are no metadata that it could have signed", "add `metadata_file`");
        }
        return literal(context, section, entity_id, logout_binding).map(|trust| (trust, Vec::new()));
    };
    for literal in LITERALS {
        if section.value(literal).is_some() {
            section.problem(literal, format!("`{literal}` and `{key}` contradict each other"), "remove one of the two");
        }
    }
    match document {
        Ok(text) => from_metadata(context, section, (key, &text), entity_id, pinned),
        Err(why) => {
            section.problem(key, why, "correct the path; it is relative to the configuration");
            None
        }
    }
}

/// `key` is where the document is, or its path.
fn from_metadata(
    context: &Context<'_>,
    section: &Section<'_>,
    (key, text): (&'static str, &str),
    entity_id: Option<&str>,
    pinned: Option<Vec<X509>>,
) -> Option<(SpTrust, Vec<String>)> {
    let pinned = match pinned.map(|certificates| TrustedKeys::new(&certificates)).transpose() {
        // A list that could not be read must not become "any signature will do".
        Ok(None) if section.has("metadata_certificates") => return None,
        Ok(pinned) => pinned,
        Err(error) => {
            section.problem("metadata_certificates", error.detail, "name the certificate that signs the metadata");
            return None;
        }
    };
    match read_sp(text, MetadataOptions { entity_id, pinned: pinned.as_ref() }, context.now) {
        Ok(metadata) => {
            let categories = metadata.entity_categories().map(str::to_owned).collect();
            Some((metadata.trust, categories))
        }
        Err(error) => {
            let place = section.string("metadata_file").map(|at| format!("{}: ", at.value)).unwrap_or_default();
            section.problem(key, format!("{place}{error}"), "ask the application's operator for its current metadata");
            None
        }
    }
}

fn literal(context: &Context<'_>, section: &Section<'_>, entity_id: Option<&str>, logout_binding: Binding) -> Option<SpTrust> {
    if entity_id.is_none() && !section.has("entity_id") {
        let help = "add `metadata_file`, or `entity_id`, `acs_urls` and `certificates`";
        section.problem("entity_id", "it is not said which application this is", help);
    }
    let acs = consumer_services(section);
    let logout = logout_service(section, logout_binding);
    let signing = certificates(context, section, "certificates");
    let encrypting = certificates(context, section, "encryption_certificates");
    let encryption_keys = encrypting.clone().map(|certificates| encryption_keys(section, certificates));
    let authn_requests_signed = section.bool("authn_requests_signed").unwrap_or(false);
    let wishes = requested_attributes(section);
    let unread = |key: &str, read: bool| section.has(key) && !read;
    if unread("certificates", signing.is_some()) || unread("encryption_certificates", encrypting.is_some()) {
        return None;
    }
    let parts = SpParts {
        entity_id: entity_id?.to_owned(),
        acs: acs?,
        logout_services: logout?.into_iter().collect(),
        signing_certificates: signing.unwrap_or_default(),
        encryption_keys: encryption_keys.unwrap_or(Some(Vec::new()))?,
        authn_requests_signed,
        attribute_consuming_services: wishes.into_iter().collect(),
        ..SpParts::default()
    };
    match SpTrust::new(parts) {
        Ok(trust) => Some(trust),
        Err(problems) => {
            problems.into_iter().for_each(|why| section.problem("entity_id", why, "correct what is registered of the application"));
            None
        }
    }
}

/// What the application would say itself, if it had metadata.
fn requested_attributes(section: &Section<'_>) -> Option<AttributeConsumingService> {
    let texts = section.strings("requested_attributes")?;
    let wish = |at: At<&str>| RequestedAttribute { name: at.value.to_owned(), name_format: None, friendly_name: None, required: false };
    Some(AttributeConsumingService { index: None, is_default: Some(true), attributes: texts.into_iter().map(wish).collect() })
}

/// The first is the default; a request may name the others by address, or by their place in the list, from 0.
fn consumer_services(section: &Section<'_>) -> Option<Vec<AssertionConsumerService>> {
    let texts = section.strings("acs_urls").unwrap_or_default();
    if texts.is_empty() {
        section.problem("acs_urls", "`acs_urls` is missing", "list the addresses where the application takes responses by HTTP-POST");
        return None;
    }
    let read: Vec<_> = (0..=u16::MAX)
        .zip(&texts)
        .map(|(index, at)| {
            let acs = AssertionConsumerService::new(at.value, Some(index), (index == 0).then_some(true));
            let help = "write the address as the application's operator gives it";
            acs.map_err(|why| section.file().problem(at.span.clone(), &at.path, why, help)).ok()
        })
        .collect();
    // Collected first: every faulty address is reported.
    read.into_iter().collect()
}

/// `Some(None)`: it has none.
fn logout_service(section: &Section<'_>, binding: Binding) -> Option<Option<LogoutService>> {
    let (location, response) = (address(section, "slo_url"), address(section, "slo_response_url"));
    if section.has("slo_response_url") && !section.has("slo_url") {
        section.problem("slo_response_url", "there is no `slo_url` that it could belong to", "add `slo_url`");
        return None;
    }
    let (location, response_location) = (location?, response?);
    Some(location.map(|location| LogoutService { binding, location, response_location }))
}

/// `Some(None)`: it is not there.
fn address(section: &Section<'_>, key: &'static str) -> Option<Option<Url>> {
    let Some(at) = section.string(key) else { return (!section.has(key)).then_some(None) };
    if let Err((message, help)) = check_uri(at.value, false) {
        section.problem(key, format!("`{}` {message}", at.value), help);
        return None;
    }
    Url::parse(at.value).ok().map(Some)
}

fn encryption_keys(section: &Section<'_>, certificates: Vec<X509>) -> Option<Vec<EncryptionKey>> {
    let keys: Result<Vec<_>, String> = certificates.into_iter().map(|certificate| EncryptionKey::new(certificate, Vec::new())).collect();
    match keys {
        Ok(keys) => Some(keys),
        Err(why) => {
            section.problem("encryption_certificates", why, "ask the application's operator for an RSA certificate");
            None
        }
    }
}
