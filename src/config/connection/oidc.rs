//! `[connection.oidc]`.

use crate::config::application::is_loopback;
use crate::config::context::Context;
use crate::config::secrets;
use crate::connection::config::OidcConnection;
use crate::connection::outbound::download::Reach;
use crate::oidc::rp::{IssuerRule, Overrides, provider, request};
use crate::oidc::{ClientSigningAlg, TokenEndpointAuthMethod};
use crate::toml_file::Section;
use std::collections::BTreeMap;
use url::Url;

const METHODS: &[(&str, TokenEndpointAuthMethod)] = &[
    ("client_secret_basic", TokenEndpointAuthMethod::ClientSecretBasic),
    ("client_secret_post", TokenEndpointAuthMethod::ClientSecretPost),
    ("client_secret_jwt", TokenEndpointAuthMethod::ClientSecretJwt),
    ("none", TokenEndpointAuthMethod::None),
];

/// Reads the settings of a provider.
pub fn read(context: &Context<'_>, section: &Section<'_>) -> Option<OidcConnection> {
    let issuer = issuer(context, section);
    let metadata = match section.has("metadata_url") {
        true => endpoint(context, section, "metadata_url"),
        false => issuer.as_ref().and_then(|rule| provider::metadata_address(rule.text())),
    };
    let client_id = section.required("client_id").map(|at| at.value.to_owned());
    let client_secret = secrets::read(context, section, "client_secret");
    let has_secret = section.has("client_secret");
    let usual = if has_secret { TokenEndpointAuthMethod::ClientSecretBasic } else { TokenEndpointAuthMethod::None };
    let auth_method = section.choice("token_endpoint_auth_method", METHODS).unwrap_or(usual);
    if auth_method.has_secret() && !has_secret {
        section.problem("client_secret", "`client_secret` is missing", "add the secret that the provider gave with the client id");
    }
    if !auth_method.has_secret() && has_secret {
        section.problem("client_secret", "a client without authentication has no secret", "remove it, or choose client_secret_basic");
    }
    let pinned = Overrides {
        authorization_endpoint: endpoint(context, section, "authorization_endpoint"),
        token_endpoint: endpoint(context, section, "token_endpoint"),
        userinfo_endpoint: endpoint(context, section, "userinfo_endpoint"),
        jwks_uri: endpoint(context, section, "jwks_uri"),
        end_session_endpoint: endpoint(context, section, "end_session_endpoint"),
    };
    let private_network = section.bool("private_network").unwrap_or(false);
    if private_network {
        let message = "weakened: the provider may be a machine of our own network";
        section.warning("private_network", message, "keep it only for a provider that is there");
    }
    let settings = OidcConnection {
        issuer: issuer?,
        metadata: metadata?,
        pinned,
        client_id: client_id?,
        client_secret,
        auth_method,
        scopes: scopes(section),
        id_token_algs: id_token_algs(section, has_secret),
        form_post: section.choice("response_mode", &[("query", false), ("form_post", true)]).unwrap_or(false),
        userinfo: section.bool("userinfo").unwrap_or(true),
        parameters: parameters(section, "parameters"),
        acr: super::acr_table(section),
        allow_passive_probe: section.bool("allow_passive_probe").unwrap_or(false),
        force_authn: section.bool("force_authn").unwrap_or(false),
        login_hint: section.bool("login_hint").unwrap_or(true),
        clock_skew: section.integer("clock_skew", 0..=600).map_or(60, |at| at.value),
        reach: reach(context, private_network),
        plain_http: context.development,
        apple: None,
    };
    Some(settings)
}

/// Which machines may be asked.
pub(super) const fn reach(context: &Context<'_>, private_network: bool) -> Reach {
    match (context.development, private_network) {
        (true, _) => Reach::Everything,
        (false, true) => Reach::Network,
        (false, false) => Reach::Public,
    }
}

/// Whose ID tokens are believed.
fn issuer(context: &Context<'_>, section: &Section<'_>) -> Option<IssuerRule> {
    let at = section.required("issuer")?;
    let tenants = section.strings("tenants").map(|tenants| tenants.into_iter().map(|at| at.value.to_owned()).collect::<Vec<_>>());
    let is_template = at.value.contains(provider::TENANT);
    let plain = at.value.replace(provider::TENANT, "x");
    let url = Url::parse(&plain).ok().filter(|url| provider::is_endpoint(url, context.development && is_loopback(url)));
    if url.is_none_or(|url| url.query().is_some()) {
        let message = format!("`{}` is no issuer: an https address without query and fragment", at.value);
        section.problem("issuer", message, "copy it from the provider's /.well-known/openid-configuration, letter by letter");
        return None;
    }
    if !is_template {
        if tenants.is_some() {
            let help = format!("write {} into the issuer where the tenant stands, or remove `tenants`", provider::TENANT);
            section.problem("tenants", "the issuer is that of one tenant", help);
        }
        return Some(IssuerRule::Exact(at.value.to_owned()));
    }
    if tenants.is_none() {
        let message = "weakened: people of every tenant of the provider can sign in";
        section.warning("issuer", message, "list `tenants`, unless everybody is meant");
    }
    Some(IssuerRule::OfTenants { template: at.value.to_owned(), tenants })
}

pub(super) fn endpoint(context: &Context<'_>, section: &Section<'_>, key: &'static str) -> Option<Url> {
    let at = section.string(key)?;
    let url = Url::parse(at.value).ok().filter(|url| provider::is_endpoint(url, context.development && is_loopback(url)));
    if url.is_none() {
        section.problem(key, format!("`{}` is no https address", at.value), "write the provider's endpoint");
    }
    url
}

fn scopes(section: &Section<'_>) -> Vec<String> {
    let Some(scopes) = scopes_of(section) else { return ["openid", "profile", "email"].map(str::to_owned).into() };
    if !scopes.iter().any(|scope| scope == "openid") {
        section.problem("scopes", "`openid` is missing: without it there is no ID token", "add it");
    }
    scopes
}

/// `scopes`, if they are said.
pub(super) fn scopes_of(section: &Section<'_>) -> Option<Vec<String>> {
    let scopes = section.strings("scopes")?;
    for at in scopes.iter().filter(|at| at.value.is_empty() || !at.value.bytes().all(|byte| (b'!'..=b'~').contains(&byte))) {
        let message = format!("`{}` is no scope", at.value);
        section.file().problem(at.span.clone(), &at.path, message, "write each scope as a text of its own");
    }
    Some(scopes.into_iter().map(|at| at.value.to_owned()).collect())
}

fn id_token_algs(section: &Section<'_>, has_secret: bool) -> Option<Vec<ClientSigningAlg>> {
    let at = section.string("id_token_signed_response_alg")?;
    let alg = ClientSigningAlg::from_wire(at.value).filter(|alg| *alg != ClientSigningAlg::None);
    match alg {
        None => {
            let message = format!("`{}` is no algorithm that ID tokens can be signed with here", at.value);
            section.problem("id_token_signed_response_alg", message, "use RS256, ES256, PS256 or EdDSA, as the provider has registered");
        }
        Some(alg) if !alg.is_asymmetric() && !has_secret => {
            section.problem("id_token_signed_response_alg", "without a secret nobody can check a MAC", "add `client_secret`, or use RS256");
        }
        Some(_) => {}
    }
    alg.map(|alg| vec![alg])
}

/// `parameters = { hd = "acme.example" }`.
pub(super) fn parameters(section: &Section<'_>, key: &'static str) -> Vec<(String, String)> {
    let Some(table) = section.section(key) else { return Vec::new() };
    let mut parameters = BTreeMap::new();
    for (name, at) in table.entries() {
        match at.value.as_str() {
            Some(_) if request::OWN.contains(&name) => {
                let message = format!("`{name}` belongs to the protocol");
                table.file().problem(at.span.clone(), &at.path, message, "remove it; the login sets it itself");
            }
            Some(value) => drop(parameters.insert(name.to_owned(), value.to_owned())),
            None => table.file().problem(at.span.clone(), &at.path, "expected a text", "put it in quotes"),
        }
    }
    parameters.into_iter().collect()
}
