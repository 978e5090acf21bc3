//! What `[connection.saml]` says of Single Logout.

use crate::config::application::is_loopback;
use crate::saml::logout::LogoutService;
use crate::saml::{Binding, IdpTrust};
use crate::toml_file::Section;
use url::Url;

const BINDINGS: &[(&str, Binding)] = &[("redirect", Binding::Redirect), ("post", Binding::Post)];

/// Where an identity provider without metadata takes logout messages: `slo_url`, `slo_response_url`, `slo_binding`.
pub(super) fn literal_services(section: &Section<'_>) -> Vec<LogoutService> {
    let binding = section.choice("slo_binding", BINDINGS).unwrap_or(Binding::Redirect);
    let (location, response_location) = (address(section, "slo_url"), address(section, "slo_response_url"));
    if location.is_none() && !section.has("slo_url") && (section.has("slo_binding") || section.has("slo_response_url")) {
        section.problem("slo_url", "`slo_url` is missing", "write the identity provider's single logout address");
    }
    location.map(|location| LogoutService { binding, location, response_location }).into_iter().collect()
}

/// Is the identity provider told when a session ends here, by which binding, and with the NameID encrypted?
pub(super) fn settings(section: &Section<'_>, idp: Option<&IdpTrust>) -> (bool, Binding, bool) {
    let told = section.bool("logout").unwrap_or(false);
    let binding = section.choice("logout_binding", BINDINGS).unwrap_or(Binding::Redirect);
    let encrypt = section.bool("logout_encrypt_name_id").unwrap_or(false);
    if let Some(idp) = idp {
        if encrypt && let Err(error) = idp.encryption() {
            section.problem(
                "logout_encrypt_name_id",
                error.detail,
                "remove it, or ask the identity provider for its encryption certificate",
            );
        }
        if told && idp.logout_services.is_empty() {
            let help = "remove `logout`, or ask the identity provider for metadata with a SingleLogoutService";
            section.problem("logout", "the identity provider has no single logout address", help);
        }
        if section.has("logout_binding") && !idp.logout_services.iter().any(|service| service.binding == binding) {
            section.problem("logout_binding", "the identity provider offers no such endpoint for logouts", "choose the other binding");
        }
    }
    (told, binding, encrypt)
}

fn address(section: &Section<'_>, key: &'static str) -> Option<Url> {
    let at = section.string(key)?;
    match Url::parse(at.value) {
        Ok(url) if url.fragment().is_none() && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url))) => Some(url),
        _ => {
            section.problem(key, format!("`{}` is no https address", at.value), "write the identity provider's single logout address");
            None
        }
    }
}
