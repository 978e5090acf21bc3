//! `[connection.saml]`: what our metadata for a connection say of us (`ui`, `organization`, `contact`, entity categories).

use crate::saml::idp::{Localized, Logo};
use crate::saml::metadata::about::{Contact, ContactKind, EntityInfo, Organization, UiInfo};
use crate::saml::names;
use crate::toml_file::Section;
use url::Url;

/// Entity categories that promise a privacy statement.
const CODES_OF_CONDUCT: &[&str] =
    &["http://www.geant.net/uri/dataprotection-code-of-conduct/v1", "https://refeds.org/category/code-of-conduct/v2"];
const RESEARCH_AND_SCHOLARSHIP: &str = "http://refeds.org/category/research-and-scholarship";

/// Pixels of a picture at most.
const PIXELS: i64 = 10_000;

pub(super) fn read(section: &Section<'_>) -> EntityInfo {
    let info = EntityInfo {
        ui: section.section("ui").map(|ui| ui_info(&ui)).unwrap_or_default(),
        organization: section.section("organization").map(|organization| organization_of(&organization)),
        contacts: section.sections("contact").iter().filter_map(contact).collect(),
        entity_attributes: vec![
            (names::ENTITY_CATEGORY, uris(section, "entity_categories")),
            (names::ASSURANCE_CERTIFICATION, uris(section, "assurance_certifications")),
            (names::SUBJECT_ID_REQUIREMENT, subject_id_requirement(section)),
        ],
    };
    check_categories(section, &info);
    info
}

/// `{ en = "..", de = ".." }`, or a text in English.
pub(super) fn localized(section: &Section<'_>, key: &'static str) -> Vec<Localized> {
    let Some(value) = section.value(key) else { return Vec::new() };
    if let Some(text) = value.value.as_str() {
        return vec![Localized { language: Some("en".to_owned()), text: text.to_owned() }];
    }
    let Some(texts) = section.section(key) else { return Vec::new() };
    let read = |(language, at): (&str, crate::toml_file::At<&toml::de::DeValue<'_>>)| {
        let good = !language.is_empty() && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match at.value.as_str().filter(|text| good && !text.trim().is_empty()) {
            Some(text) => Some(Localized { language: Some(language.to_owned()), text: text.to_owned() }),
            None => {
                texts.file().problem(at.span.clone(), &at.path, "expected a text under the code of its language", "as in en = \"..\"");
                None
            }
        }
    };
    texts.entries().filter_map(read).collect()
}

fn ui_info(ui: &Section<'_>) -> UiInfo {
    let info = UiInfo {
        display_names: localized(ui, "display_name"),
        descriptions: localized(ui, "description"),
        information_urls: addresses(ui, "information_url"),
        privacy_statement_urls: addresses(ui, "privacy_statement_url"),
        logos: ui.sections("logo").iter().filter_map(logo).collect(),
    };
    ui.finish();
    info
}

fn logo(section: &Section<'_>) -> Option<Logo> {
    let pixels = |key: &'static str| {
        if !section.has(key) {
            section.problem(key, format!("`{key}` is missing"), "give the picture's size in pixels");
        }
        section.integer(key, 1..=PIXELS).and_then(|at| u32::try_from(at.value).ok())
    };
    let (width, height) = (pixels("width"), pixels("height"));
    let language = section.string("language").map(|at| at.value.to_owned());
    let url = section.required("url").and_then(|at| {
        let url = Url::parse(at.value).ok().filter(|url| url.scheme() == "https");
        if url.is_none() {
            section.problem("url", format!("`{}` is no https address", at.value), "pages of identity providers show it");
        }
        url
    });
    section.finish();
    Some(Logo { url: url?, width, height, language })
}

fn organization_of(section: &Section<'_>) -> Organization {
    let organization = Organization {
        names: localized(section, "name"),
        display_names: localized(section, "display_name"),
        urls: addresses(section, "url"),
    };
    for (key, texts) in [("name", &organization.names), ("display_name", &organization.display_names), ("url", &organization.urls)] {
        if texts.is_empty() {
            section.problem(key, format!("`{key}` is missing"), "an organization has a name, a display_name and a url");
        }
    }
    section.finish();
    organization
}

fn contact(section: &Section<'_>) -> Option<Contact> {
    let kinds = [
        ("technical", ContactKind::Technical),
        ("support", ContactKind::Support),
        ("administrative", ContactKind::Administrative),
        ("billing", ContactKind::Billing),
        ("security", ContactKind::Security),
        ("other", ContactKind::Other),
    ];
    let text = |key: &'static str| section.string(key).map(|at| at.value.to_owned());
    let texts = |key: &'static str| section.strings(key).unwrap_or_default().into_iter().map(|at| at.value.to_owned()).collect::<Vec<_>>();
    if !section.has("kind") {
        section.problem("kind", "`kind` is missing", "as in kind = \"technical\"");
    }
    let kind = section.choice("kind", &kinds);
    let contact = Contact {
        kind: kind.unwrap_or(ContactKind::Other),
        company: text("company"),
        given_name: text("given_name"),
        surname: text("surname"),
        emails: texts("email"),
        telephones: texts("telephone"),
    };
    if contact.emails.is_empty() {
        section.problem("email", "`email` is missing", "somebody should be reached by it");
    }
    if let Some(wrong) = contact.emails.iter().find(|email| !email.contains('@') || email.starts_with("mailto:")) {
        section.problem("email", format!("`{wrong}` is no e-mail address"), "write it without mailto:");
    }
    section.finish();
    kind.map(|_| contact)
}

/// Addresses of pages.
fn addresses(section: &Section<'_>, key: &'static str) -> Vec<Localized> {
    let found = localized(section, key);
    for localized in &found {
        if !Url::parse(&localized.text).is_ok_and(|url| matches!(url.scheme(), "https" | "http")) {
            section.problem(key, format!("`{}` is no address of a page", localized.text), "write it with https://");
        }
    }
    found
}

fn uris(section: &Section<'_>, key: &'static str) -> Vec<String> {
    let mut found = Vec::new();
    for at in section.strings(key).unwrap_or_default() {
        if Url::parse(at.value).is_err() {
            let message = format!("`{}` is no URI", at.value);
            section.file().problem(at.span.clone(), &at.path, message, "as in http://refeds.org/category/research-and-scholarship");
        }
        found.push(at.value.to_owned());
    }
    found
}

/// SAML V2.0 Subject Identifier Attributes Profile 2.1: what kind of identifier we need.
fn subject_id_requirement(section: &Section<'_>) -> Vec<String> {
    let kinds = [("subject-id", "subject-id"), ("pairwise-id", "pairwise-id"), ("any", "any"), ("none", "none")];
    section.choice("subject_id_requirement", &kinds).map(str::to_owned).into_iter().collect()
}

/// What a category promises must be there too.
fn check_categories(section: &Section<'_>, info: &EntityInfo) {
    let has = |category: &str| info.entity_attributes.iter().flat_map(|(_, values)| values).any(|value| value == category);
    if CODES_OF_CONDUCT.iter().any(|category| has(category)) && info.ui.privacy_statement_urls.is_empty() {
        let message = "a code of conduct is promised without a privacy statement";
        section.warning("entity_categories", message, "add `privacy_statement_url` to [connection.saml.ui]");
    }
    if has(RESEARCH_AND_SCHOLARSHIP) && (info.ui.display_names.is_empty() || info.ui.information_urls.is_empty()) {
        let message = "research and scholarship wants a name and a page about the service";
        section.warning("entity_categories", message, "add `display_name` and `information_url` to [connection.saml.ui]");
    }
}
