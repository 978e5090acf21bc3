//! What connections by OpenID Connect and by OAuth 2.0 alone have in common: who we are at the provider, and where it may be.

use crate::config::context::Context;
use crate::config::secrets;
use crate::connection::config::{CallbackAddress, ConnectionConfig};
use crate::connection::outbound::download::Reach;
use crate::keys::{ClientCertificate, END_IS_NEAR, certificate_end};
use crate::oidc::TokenEndpointAuthMethod;
use crate::secret::Secret;
use crate::toml_file::Section;
use std::sync::Arc;

/// Who we are at a provider.
pub struct Client {
    pub id: Option<String>,
    pub callback: CallbackAddress,
    pub secret: Option<Secret<String>>,
    /// It is named, whether or not it can be had.
    pub has_secret: bool,
    pub method: TokenEndpointAuthMethod,
    /// For TLS.
    pub certificate: Option<Arc<ClientCertificate>>,
}

/// Reads it; `methods` are those that can be chosen.
pub fn read(context: &Context<'_>, section: &Section<'_>, methods: &[(&str, TokenEndpointAuthMethod)]) -> Client {
    let id = section.required("client_id").map(|at| at.value.to_owned());
    let kept = context.stored().and_then(|stored| stored.shared_secret.cloned());
    let has_secret = section.has("client_secret") || kept.is_some();
    let secret = secrets::read(context, section, "client_secret").or(kept);
    let usual = if has_secret { TokenEndpointAuthMethod::ClientSecretBasic } else { TokenEndpointAuthMethod::None };
    let method = section.choice("token_endpoint_auth_method", methods).unwrap_or(usual);
    if method.has_secret() && !has_secret {
        section.problem("client_secret", "`client_secret` is missing", "add the secret that the provider gave with the client id");
    }
    if !method.has_secret() && has_secret {
        let message = format!("a client that authenticates by {} has no secret", method.as_str());
        section.problem("client_secret", message, "remove it, or choose client_secret_basic");
    }
    let callback = section.choice(CALLBACK, &[("own", CallbackAddress::Own), ("shared", CallbackAddress::Shared)]).unwrap_or_default();
    Client { id, callback, secret, has_secret, method, certificate: certificate(context, section, method) }
}

/// The certificate of RFC 8705: `client_certificate` and `client_key`.
fn certificate(context: &Context<'_>, section: &Section<'_>, method: TokenEndpointAuthMethod) -> Option<Arc<ClientCertificate>> {
    const CERTIFICATE: &str = "client_certificate";
    let by_tls = matches!(method, TokenEndpointAuthMethod::TlsClientAuth | TokenEndpointAuthMethod::SelfSignedTlsClientAuth);
    let (has_certificate, has_key) = (section.has(CERTIFICATE), section.has("client_key"));
    if !has_certificate && !has_key {
        if by_tls {
            let message = format!("`{CERTIFICATE}` is missing: {} is proven by it", method.as_str());
            section.problem(CERTIFICATE, message, "add `client_certificate = \"client.pem\"` and `client_key = { file = \"client.key\" }`");
        }
        return None;
    }
    let certificates = super::certificates(context, section, CERTIFICATE);
    let key = if has_key { secrets::read(context, section, "client_key") } else { None };
    if has_certificate != has_key {
        let (missing, help) = if has_key {
            (CERTIFICATE, "add `client_certificate = \"client.pem\"`")
        } else {
            ("client_key", "add `client_key = { file = \"client.key\" }`")
        };
        section.problem(missing, format!("`{missing}` is missing"), help);
        return None;
    }
    let (certificates, key) = (certificates?, key?);
    if let Some(end) = certificates.first().and_then(certificate_end).filter(|end| *end < context.now.plus_seconds(END_IS_NEAR)) {
        section.warning(CERTIFICATE, format!("our certificate ends on {end}"), "register the next one at the provider");
    }
    match ClientCertificate::new(&key, &certificates) {
        Ok(certificate) => Some(Arc::new(certificate)),
        Err(error) => {
            section.problem("client_key", error.detail, "name the private key of the certificate, in PEM");
            None
        }
    }
}

const CALLBACK: &str = "callback";

/// Several providers that answer to one address: one of them could send the browser on to another, and be given the code that
/// this one gives (mix-up). With an address of its own each would be found out.
pub fn check_callbacks(root: &Section<'_>, connections: &[ConnectionConfig]) {
    let is_shared = |config: &&ConnectionConfig| config.enabled && config.callback() == Some(CallbackAddress::Shared);
    let shared: Vec<&str> = connections.iter().filter(is_shared).map(|config| config.name.as_str()).collect();
    if shared.len() < 2 {
        return;
    }
    let sections = root.sections("connection");
    let named = sections.iter().filter(|section| {
        let name = section.value("name").and_then(|at| at.value.as_str());
        name.is_some_and(|name| shared.contains(&name))
    });
    for settings in named.filter_map(|section| ["oidc", "oauth2", "social"].into_iter().find_map(|key| section.section(key))) {
        let message = format!(
            "weakened: {} answer to one address; one that is hostile could get codes of another that does not say who it is (`iss`)",
            shared.join(" and ")
        );
        settings.warning(CALLBACK, message, "keep it for providers that you cannot tell another address");
    }
}

/// Which machines may be asked.
pub fn reach(context: &Context<'_>, section: &Section<'_>) -> Reach {
    let private_network = section.bool("private_network").unwrap_or(false);
    if private_network {
        let message = "weakened: the provider may be a machine of our own network";
        section.warning("private_network", message, "keep it only for a provider that is there");
    }
    match (context.development, private_network) {
        (true, _) => Reach::Everything,
        (false, true) => Reach::Network,
        (false, false) => Reach::Public,
    }
}
