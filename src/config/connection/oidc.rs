//! `[connection.oidc]`.

use super::{client, upstream_params};
use crate::config::application::is_loopback;
use crate::config::context::Context;
use crate::connection::config::OidcConnection;
use crate::oidc::rp::{IssuerRule, Overrides, provider};
use crate::oidc::{ClientSigningAlg, KeyManagementAlg, SigningAlg, TokenEndpointAuthMethod};
use crate::toml_file::Section;
use url::Url;

const METHODS: &[(&str, TokenEndpointAuthMethod)] = &[
    ("client_secret_basic", TokenEndpointAuthMethod::ClientSecretBasic),
    ("client_secret_post", TokenEndpointAuthMethod::ClientSecretPost),
    ("client_secret_jwt", TokenEndpointAuthMethod::ClientSecretJwt),
    ("private_key_jwt", TokenEndpointAuthMethod::PrivateKeyJwt),
    ("tls_client_auth", TokenEndpointAuthMethod::TlsClientAuth),
    ("self_signed_tls_client_auth", TokenEndpointAuthMethod::SelfSignedTlsClientAuth),
    ("none", TokenEndpointAuthMethod::None),
];

/// Reads the settings of a provider.
pub fn read(context: &Context<'_>, section: &Section<'_>) -> Option<OidcConnection> {
    let issuer = issuer(context, section);
    let metadata = match section.has("metadata_url") {
        true => endpoint(context, section, "metadata_url"),
        false => issuer.as_ref().and_then(|rule| provider::metadata_address(rule.text())),
    };
    let client = client::read(context, section, METHODS);
    let (auth_method, has_secret) = (client.method, client.has_secret);
    let pinned = Overrides {
        authorization_endpoint: endpoint(context, section, "authorization_endpoint"),
        token_endpoint: endpoint(context, section, "token_endpoint"),
        userinfo_endpoint: endpoint(context, section, "userinfo_endpoint"),
        jwks_uri: endpoint(context, section, "jwks_uri"),
        end_session_endpoint: endpoint(context, section, "end_session_endpoint"),
        pushed_authorization_request_endpoint: endpoint(context, section, "pushed_authorization_request_endpoint"),
    };
    let (pushed, logout) = (section.bool("pushed_authorization_requests").unwrap_or(false), section.bool("logout").unwrap_or(false));
    without_effect(section, auth_method, &pinned, (pushed, logout));
    let settings = OidcConnection {
        issuer: issuer?,
        metadata: metadata?,
        pinned,
        client_id: client.id?,
        callback: client.callback,
        client_secret: client.secret,
        auth_method,
        client_certificate: client.certificate,
        auth_alg: own_alg(section, "token_endpoint_auth_signing_alg").unwrap_or(SigningAlg::RS256),
        pushed,
        request_object_alg: own_alg(section, "request_object_signing_alg"),
        scopes: scopes(section),
        id_token_algs: alg(section, "id_token_signed_response_alg", has_secret).map(|alg| vec![alg]),
        id_token_encryption: encryption(section, "id_token_encrypted_response_alg"),
        userinfo_alg: alg(section, "userinfo_signed_response_alg", has_secret),
        userinfo_encryption: encryption(section, "userinfo_encrypted_response_alg"),
        form_post: section.choice("response_mode", &[("query", false), ("form_post", true)]).unwrap_or(false),
        userinfo: section.bool("userinfo").unwrap_or(true),
        parameters: upstream_params::read(section),
        logout,
        store_tokens: section.bool("store_tokens").unwrap_or(false),
        acr: super::acr_table(section),
        allow_passive_probe: section.bool("allow_passive_probe").unwrap_or(false),
        force_authn: section.bool("force_authn").unwrap_or(false),
        login_hint: section.bool("login_hint").unwrap_or(true),
        clock_skew: section.integer("clock_skew", 0..=600).map_or(60, |at| at.value),
        reach: client::reach(context, section),
        plain_http: context.development,
        apple: None,
    };
    Some(settings)
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

/// What is said, and nothing can come of.
fn without_effect(section: &Section<'_>, auth_method: TokenEndpointAuthMethod, pinned: &Overrides, (pushed, logout): (bool, bool)) {
    if section.has("token_endpoint_auth_signing_alg") && auth_method != TokenEndpointAuthMethod::PrivateKeyJwt {
        let message = format!("nothing is signed for {}", auth_method.as_str());
        section.problem("token_endpoint_auth_signing_alg", message, "remove it, or choose private_key_jwt");
    }
    if !pinned.are_whole() {
        return;
    }
    // The provider is not asked about itself, so that nobody else can say where these are.
    if pushed && pinned.pushed_authorization_request_endpoint.is_none() {
        let help = "add `pushed_authorization_request_endpoint`";
        section.problem("pushed_authorization_requests", "it is not known where requests are pushed", help);
    }
    if logout && pinned.end_session_endpoint.is_none() {
        section.problem("logout", "it is not known where sessions are ended", "add `end_session_endpoint`");
    }
}

/// What the provider signs with.
fn alg(section: &Section<'_>, key: &'static str, has_secret: bool) -> Option<ClientSigningAlg> {
    let at = section.string(key)?;
    let alg = ClientSigningAlg::from_wire(at.value).filter(|alg| *alg != ClientSigningAlg::None);
    match alg {
        None => {
            let message = format!("`{}` is no algorithm that the provider can sign with here", at.value);
            section.problem(key, message, "use RS256, ES256, PS256 or EdDSA, as the provider has registered");
        }
        Some(alg) if !alg.is_asymmetric() && !has_secret => {
            section.problem(key, "without a secret nobody can check a MAC", "add `client_secret`, or use RS256");
        }
        Some(_) => {}
    }
    alg
}

/// What we sign with ourselves.
fn own_alg(section: &Section<'_>, key: &'static str) -> Option<SigningAlg> {
    let choices: Vec<_> = SigningAlg::ALL.iter().map(|alg| (alg.as_str(), *alg)).collect();
    section.choice(key, &choices)
}

fn encryption(section: &Section<'_>, key: &'static str) -> Option<KeyManagementAlg> {
    let choices: Vec<_> = KeyManagementAlg::ALL.iter().map(|alg| (alg.as_str(), *alg)).collect();
    section.choice(key, &choices)
}
