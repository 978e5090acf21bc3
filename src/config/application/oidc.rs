//! `[application.oidc]`.

use super::check_uri;
use crate::config::context::Context;
use crate::config::secrets;
use crate::id;
use crate::oidc::{ApplicationType, ClientFacts, GrantType, SigningAlg, TokenEndpointAuthMethod};
use crate::toml_file::Section;

/// Bytes that a client secret needs at least.
const SECRET_LENGTH: usize = 16;

/// Reads what is registered of an OpenID Connect client.
pub fn read(context: &Context<'_>, section: &Section<'_>, client_id: String) -> Option<ClientFacts> {
    let application_type = section
        .choice("application_type", &[("web", ApplicationType::Web), ("native", ApplicationType::Native)])
        .unwrap_or(ApplicationType::Web);
    let native = application_type == ApplicationType::Native;
    let grant_types = grant_types(section);
    let redirect_uris = uris(section, "redirect_uris", native);
    if redirect_uris.is_empty() && grant_types.contains(&GrantType::AuthorizationCode) {
        let (message, help) = ("`redirect_uris` is missing", "list the addresses to which people return after a login");
        match context.stored() {
            None => section.problem("redirect_uris", message, help),
            Some(_) => section.warning("redirect_uris", "is empty: nobody can sign in", help),
        }
    }
    let post_logout_redirect_uris = uris(section, "post_logout_redirect_uris", native);
    let initiate_login_uri = initiate_login_uri(section);
    let secret = secrets::read(context, section, "client_secret");
    if secret.as_ref().is_some_and(|secret| secret.expose().len() < SECRET_LENGTH) {
        let (message, help) = (
            format!("a client secret needs at least {SECRET_LENGTH} characters"),
            "use a random one, such as `openssl rand -hex 32` prints",
        );
        if context.development { section.warning("client_secret", message, help) } else { section.problem("client_secret", message, help) }
    }
    let secret_digests = match context.stored() {
        None => secret.iter().map(|secret| id::digest(secret.expose())).collect(),
        Some(stored) => stored.secret_digests.to_vec(),
    };
    let method = auth_method(context, section, section.has("client_secret") || !secret_digests.is_empty());
    if method == TokenEndpointAuthMethod::None && grant_types.contains(&GrantType::ClientCredentials) {
        let help = "choose client_secret_basic or client_secret_post, or remove client_credentials";
        section.problem("grant_types", "a public client cannot have tokens by itself", help);
    }
    let require_pkce = section.bool("require_pkce").unwrap_or(true);
    if !require_pkce {
        let public = method == TokenEndpointAuthMethod::None;
        if public {
            section.problem(
                "require_pkce",
                "a public client cannot do without PKCE",
                "remove `require_pkce = false`, or give the client a secret",
            );
        } else {
            section.warning(
                "require_pkce",
                "weakened: a code works without PKCE",
                "remove it as soon as the application's library can do PKCE",
            );
        }
    }
    let alg = section
        .choice("id_token_signed_response_alg", &[("RS256", SigningAlg::RS256), ("ES256", SigningAlg::ES256), ("EdDSA", SigningAlg::EdDSA)])
        .unwrap_or(SigningAlg::RS256);
    let scopes = section.strings("scopes").map(|scopes| scopes.into_iter().map(|at| at.value.to_owned()).collect());
    Some(ClientFacts {
        redirect_uris,
        initiate_login_uri,
        post_logout_redirect_uris,
        application_type,
        token_endpoint_auth_method: method,
        secret_digests,
        require_pkce,
        grant_types,
        scopes,
        id_token_signed_response_alg: alg,
        backchannel_logout_uri: logout_uri(section, "backchannel_logout_uri"),
        backchannel_logout_session_required: section.bool("backchannel_logout_session_required").unwrap_or(false),
        frontchannel_logout_uri: logout_uri(section, "frontchannel_logout_uri"),
        frontchannel_logout_session_required: section.bool("frontchannel_logout_session_required").unwrap_or(false),
        ..ClientFacts::public(client_id)
    })
}

/// Where the application is told of logouts.
fn logout_uri(section: &Section<'_>, key: &'static str) -> Option<String> {
    let at = section.string(key)?;
    if let Err((message, help)) = check_uri(at.value, false) {
        section.problem(key, format!("`{}` {message}", at.value), help);
    }
    Some(at.value.to_owned())
}

/// Codes always; refresh tokens unless the list leaves them out.
fn grant_types(section: &Section<'_>) -> Vec<GrantType> {
    let Some(texts) = section.strings("grant_types") else { return vec![GrantType::AuthorizationCode, GrantType::RefreshToken] };
    let mut grants = Vec::new();
    for at in texts {
        match GrantType::from_wire(at.value) {
            Some(grant) => grants.push(grant),
            None => section.file().problem(
                at.span.clone(),
                &at.path,
                format!("the grant type `{}` is not available", at.value),
                "use authorization_code, refresh_token and client_credentials",
            ),
        }
    }
    grants
}

fn auth_method(context: &Context<'_>, section: &Section<'_>, has_secret: bool) -> TokenEndpointAuthMethod {
    let default = if has_secret { TokenEndpointAuthMethod::ClientSecretBasic } else { TokenEndpointAuthMethod::None };
    let method = section
        .choice(
            "token_endpoint_auth_method",
            &[
                ("client_secret_basic", TokenEndpointAuthMethod::ClientSecretBasic),
                ("client_secret_post", TokenEndpointAuthMethod::ClientSecretPost),
                ("none", TokenEndpointAuthMethod::None),
            ],
        )
        .unwrap_or(default);
    match (method, has_secret) {
        // Stored clients always have a secret, for the day when they are public no more.
        (TokenEndpointAuthMethod::None, true) if context.stored().is_none() => {
            section.problem(
                "token_endpoint_auth_method",
                "a public client has no secret",
                "remove `client_secret`, or choose client_secret_basic",
            );
        }
        (TokenEndpointAuthMethod::ClientSecretBasic | TokenEndpointAuthMethod::ClientSecretPost, false) => {
            section.problem(
                "token_endpoint_auth_method",
                "this method needs a `client_secret`",
                "add `client_secret = { env = \"NAME\" }`, or choose none",
            );
        }
        _ => {}
    }
    method
}

/// OpenID Connect Core 4: https.
fn initiate_login_uri(section: &Section<'_>) -> Option<String> {
    let at = section.string("initiate_login_uri").filter(|at| !at.value.is_empty())?;
    if let Err((message, help)) = check_uri(at.value, false) {
        section.problem("initiate_login_uri", format!("`{}` {message}", at.value), help);
    }
    Some(at.value.to_owned())
}

/// Redirect addresses: absolute, without a fragment; https, or http on loopback, or a native application's own scheme.
fn uris(section: &Section<'_>, key: &'static str, native: bool) -> Vec<String> {
    let texts = section.strings(key).unwrap_or_default();
    texts
        .into_iter()
        .map(|at| {
            if let Err((message, help)) = check_uri(at.value, native) {
                section.file().problem(at.span.clone(), &at.path, format!("`{}` {message}", at.value), help);
            }
            at.value.to_owned()
        })
        .collect()
}
