//! Whom a SAML application's answers go to: out of its metadata, or out of what the operator writes.

use super::check_uri;
use crate::application::saml_sp_template::Said;
use crate::config::connection::certificates;
use crate::config::context::Context;
use crate::saml::binding::ResponseBinding;
use crate::saml::idp::{AssertionConsumerService, AttributeConsumingService, EncryptionKey, RequestedAttribute, SpParts, SpTrust, read_sp};
use crate::saml::logout::LogoutService;
use crate::saml::{Binding, MetadataOptions, TrustedKeys};
use crate::toml_file::{At, Section};
use openssl::x509::X509;
use url::Url;

/// What says itself what metadata would say.
const LITERALS: [&str; 8] = [
    "acs_urls",
    "acs",
    "certificates",
    "encryption_certificates",
    "slo_url",
    "slo_response_url",
    "authn_requests_signed",
    "requested_attributes",
];

/// What says who the application is without metadata that are fetched.
pub fn fixed() -> impl Iterator<Item = &'static str> {
    ["metadata", "metadata_file"].into_iter().chain(LITERALS)
}

/// Reads who it is; logout messages go out by `logout_binding` where only their address is written.
pub fn read(context: &Context<'_>, section: &Section<'_>, logout_binding: Binding) -> Option<Said> {
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
        return literal(context, section, entity_id, logout_binding).map(Said::by_operator);
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
) -> Option<Said> {
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
        // Of a document that is read once, nobody would notice that it is over: its date is for those who serve it.
        Ok(metadata) => Some(Said { valid_until: None, ..Said::by_metadata(&metadata) }),
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
    let wish = |at: At<&str>| RequestedAttribute {
        name: at.value.to_owned(),
        name_format: None,
        friendly_name: None,
        required: false,
        values: Vec::new(),
    };
    Some(AttributeConsumingService { index: None, is_default: Some(true), attributes: texts.into_iter().map(wish).collect() })
}

/// `acs`: addresses one by one, each with its binding; `acs_urls`: addresses for HTTP-POST.
fn consumer_services(section: &Section<'_>) -> Option<Vec<AssertionConsumerService>> {
    if section.has("acs") {
        if section.value("acs_urls").is_some() {
            section.value("acs");
            section.problem("acs_urls", "`acs_urls` and `acs` contradict each other", "remove one of the two");
            return None;
        }
        return described_services(section);
    }
    posted_services(section)
}

/// Each is a table of its own: `url`, and, if it is not as usual, `binding`, `index` and `default`.
fn described_services(section: &Section<'_>) -> Option<Vec<AssertionConsumerService>> {
    let tables = section.sections("acs");
    if tables.is_empty() {
        section.problem("acs", "there is no address in it", "write at least one table with its `url`");
        return None;
    }
    let says_default = tables.iter().any(|table| table.has("default"));
    let bindings = [("post", ResponseBinding::Post), ("artifact", ResponseBinding::Artifact)];
    let mut read = Vec::with_capacity(tables.len());
    for (number, table) in (0..=u16::MAX).zip(&tables) {
        let url = table.required("url");
        let binding = table.choice("binding", &bindings).unwrap_or(ResponseBinding::Post);
        let index = table.integer("index", 0..=i64::from(u16::MAX)).and_then(|at| u16::try_from(at.value).ok()).unwrap_or(number);
        let is_default = table.bool("default").unwrap_or(number == 0 && !says_default);
        table.finish();
        let acs = url.and_then(|at| {
            let acs = AssertionConsumerService::new(at.value, Some(index), Some(is_default));
            let help = "write the address as the application's operator gives it";
            acs.map_err(|why| table.file().problem(at.span.clone(), &at.path, why, help)).ok()
        });
        read.push(acs.map(|acs| acs.by(binding)));
    }
    let several = tables.iter().filter(|table| table.bool("default") == Some(true)).count() > 1;
    if several {
        section.problem("acs", "several addresses are said to be the default", "leave `default = true` at one of them");
    }
    // Collected first: every faulty address is reported.
    read.into_iter().collect::<Option<_>>().filter(|_| !several)
}

/// The first is the default; a request may name the others by address, or by their place in the list, from 0.
fn posted_services(section: &Section<'_>) -> Option<Vec<AssertionConsumerService>> {
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
