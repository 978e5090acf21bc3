//! `[[application]]`: what holds for every protocol, and the two protocols below it.

mod fapi;
mod members;
mod oidc;
mod saml;
mod sp;

use super::context::Context;
use crate::application::saml_sp_template::ByMetadata;
use crate::application::{Application, ProfileUse, SamlApplication, management};
use crate::connection::metadata::Living;
use crate::oidc::{ClientFacts, ClientKeys, GrantType, SubjectType};
use crate::profile::dialect::Dialect;
use crate::profile::{Direction, MappingTable};
use crate::toml_file::{At, Section, nearest};
use saml::Saml;
use std::sync::Arc;
use url::Url;

/// The mapping table of SAML applications that name none.
const SAML_TABLE: &str = "saml";

/// An application, and what it may do at the management API by itself.
pub struct Registered {
    pub application: Application,
    /// Where its SAML metadata come from, if they live.
    pub living: Option<Living>,
    /// Scopes of the management API.
    pub api_scopes: Option<Vec<String>>,
}

/// Reads one application; `connections` are the names that exist.
pub fn read(context: &Context<'_>, section: &Section<'_>, connections: &[String]) -> Option<Registered> {
    let client_id = section.required("client_id").map(|at| at.value.to_owned());
    if client_id.as_ref().is_some_and(|id| id.len() > 255 || id.bytes().any(|byte| !(0x21..=0x7e).contains(&byte))) {
        section.problem("client_id", "a client_id has up to 255 printable ASCII characters and no space", "choose another one");
    }
    let name = section.string("name").map(|at| at.value.to_owned());
    let enabled = section.bool("enabled").unwrap_or(true);
    let allowed =
        section.strings("connections").map(|names| names.into_iter().map(|at| known_connection(section, &at, connections)).collect());
    let profile = profile_use(section);
    let protocols = protocols(context, section, client_id.as_deref().unwrap_or_default());
    let api_scopes = section.section("api").map(|api| api_scopes(&api, section.has("oidc"), protocols.as_ref()));
    if let Some(oidc) = protocols.as_ref().and_then(|protocols| protocols.oidc.as_ref()).filter(|_| profile.legacy_profile) {
        check_legacy_profile(section, oidc);
    }
    let (client_id, protocols) = (client_id?, protocols?);
    let application = Application {
        name: name.unwrap_or_else(|| client_id.clone()),
        client_id,
        enabled,
        connections: allowed,
        mapping: protocols.mapping,
        profile,
        oidc: protocols.oidc,
        saml: protocols.saml,
        by_metadata: protocols.by_metadata,
    };
    Some(Registered { application, living: protocols.living, api_scopes })
}

/// How an application is spoken to, and what it is told.
struct Protocols {
    mapping: Arc<MappingTable>,
    oidc: Option<ClientFacts>,
    saml: Option<SamlApplication>,
    by_metadata: Option<Arc<ByMetadata>>,
    living: Option<Living>,
}

/// `[application.oidc]`, `[application.saml]`, or both. `mapping` is for claims, where claims are given, else for attributes.
fn protocols(context: &Context<'_>, section: &Section<'_>, client_id: &str) -> Option<Protocols> {
    let (has_oidc, has_saml) = (section.has("oidc"), section.has("saml"));
    if !has_oidc && !has_saml {
        let help = "add [application.oidc] with its redirect_uris, or [application.saml] with its metadata_file";
        section.problem("oidc", "the application has no protocol", help);
    }
    let usual = if has_saml && !has_oidc { SAML_TABLE } else { "oidc" };
    let mapping = context.mapping(section, usual, Direction::FromProfile);
    let oidc = section.section("oidc").map(|section| {
        let facts = oidc::read(context, &section, client_id.to_owned());
        section.finish();
        facts
    });
    let outer = mapping.as_ref().filter(|_| !has_oidc);
    let saml = section.section("saml").map(|section| {
        let read = saml::read(context, &section, client_id, outer);
        section.finish();
        read
    });
    if oidc.is_none() && saml.is_none() {
        return None;
    }
    let (saml, by_metadata, living) = match transposed(saml)? {
        None => (None, None, None),
        Some(Saml::Fixed(saml)) => (Some(saml), None, None),
        Some(Saml::Living(by_metadata, living)) => (None, Some(Arc::new(by_metadata)), Some(*living)),
    };
    Some(Protocols { mapping: mapping?, oidc: transposed(oidc)?, saml, by_metadata, living })
}

/// What is not there is good; what is there and cannot be read is not.
fn transposed<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    read.map_or(Some(None), |value| value.map(Some))
}

/// `[application.api]`: scopes of the management API.
fn api_scopes(section: &Section<'_>, has_oidc: bool, protocols: Option<&Protocols>) -> Vec<String> {
    let scopes = section.strings("scopes").unwrap_or_default();
    if !section.has("scopes") {
        section.problem("scopes", "`scopes` is missing", "list what the application may do, as in [\"read:users\"]");
    }
    for at in &scopes {
        if !management::SCOPES.iter().any(|(known, _)| *known == at.value) {
            let nearest = nearest(at.value, management::SCOPES.iter().map(|(known, _)| *known));
            let help = nearest.map_or_else(|| "docs/api.md lists them".to_owned(), |name| format!("did you mean `{name}`?"));
            section.file().problem(at.span.clone(), &at.path, format!("the management API has no scope `{}`", at.value), help);
        }
    }
    let oidc = protocols.and_then(|protocols| protocols.oidc.as_ref());
    if !has_oidc || oidc.is_some_and(|oidc| !oidc.may_use(GrantType::ClientCredentials)) {
        let help = "add client_credentials to the grant_types of [application.oidc]";
        section.problem("scopes", "the application cannot get a token for the management API by itself", help);
    }
    section.finish();
    scopes.into_iter().map(|at| at.value.to_owned()).collect()
}

/// What does not go with the whole profile.
fn check_legacy_profile(section: &Section<'_>, oidc: &ClientFacts) {
    if oidc.subject_type == SubjectType::Pairwise {
        let help = "remove it, or the pairwise subject_type of [application.oidc]";
        section.problem("legacy_profile", "the whole profile shows the user's id, which a pairwise subject hides", help);
    }
    if oidc.fapi2 {
        let why =
            "FAPI 2.0 (security_profile) wants tokens that nobody else can use, and with this an ID token gives the profile to anybody";
        section.problem("legacy_profile", why, "remove it, or the security_profile of [application.oidc]");
    }
}

/// What it sees of the profile beside its table, and how old that may be.
fn profile_use(section: &Section<'_>) -> ProfileUse {
    let legacy_profile = section.bool("legacy_profile").unwrap_or(false);
    if legacy_profile {
        let message = "weakened: UserInfo gives the whole profile, whatever scopes were granted";
        section.warning("legacy_profile", message, "keep it for applications that were written for it, and use scopes for the others");
    }
    let dialects = [("auth0", Dialect::Auth0), ("gigya", Dialect::Gigya), ("logto", Dialect::Logto)];
    let dialect = section.choice("dialect", &dialects);
    if dialect.is_some() && !legacy_profile {
        section.problem("dialect", "`dialect` is the form of the whole profile", "add `legacy_profile = true`, or remove `dialect`");
    }
    let reads_sealed = section.bool("reads_sealed").unwrap_or(false);
    ProfileUse {
        legacy_profile,
        dialect: dialect.unwrap_or_default(),
        stale_profile_max: section.integer("stale_profile_max", 0..=365 * 86_400).and_then(|at| u64::try_from(at.value).ok()),
        reads_sealed,
    }
}

/// The public keys of somebody: `jwks`, `jwks_file` or `jwks_uri`.
pub fn public_keys(context: &Context<'_>, section: &Section<'_>) -> ClientKeys {
    members::keys(context, section)
}

/// A name of a connection that exists.
pub fn known_connection(section: &Section<'_>, name: &At<&str>, connections: &[String]) -> String {
    if !connections.iter().any(|known| known == name.value) {
        let help =
            if connections.is_empty() { "add the [[connection]]".to_owned() } else { format!("there are: {}", connections.join(", ")) };
        section.file().problem(name.span.clone(), &name.path, format!("there is no connection `{}`", name.value), help);
    }
    name.value.to_owned()
}

/// `localhost`, 127.0.0.0/8 or ::1.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An address to which browsers are sent: absolute, without a fragment; https, or http on loopback, or, where `native`, an
/// own scheme.
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn check_uri(text: &str, native: bool) -> Result<(), (&'static str, &'static str)> {
    let url = Url::parse(text).map_err(|_| ("is no absolute address", "write it with its scheme, as in https://app.example/callback"))?;
    // Parsing forgives blanks and line ends, and an answer's Location header cannot carry anything else.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(("has a blank or a character that is not ASCII", "percent-encode it, and write a host name in its xn-- form"));
    }
    if url.fragment().is_some() || text.contains('#') {
        return Err(("has a fragment", "remove everything from the # on"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(("contains credentials", "remove them"));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        "http" => Err(("is not https", "use https; http is for loopback addresses only")),
        "javascript" | "data" | "file" | "vbscript" | "blob" | "about" => Err(("has a scheme that is no place to return to", "use https")),
        // RFC 8252 7.1: private-use schemes contain a dot.
        scheme if native && scheme.contains('.') => Ok(()),
        _ => Err(("is not https", "use https; a native application may use its own scheme with a dot (application_type = \"native\")")),
    }
}
