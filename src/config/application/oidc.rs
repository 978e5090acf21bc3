//! `[application.oidc]`.

use super::members::{self, Members, named};
use super::{check_uri, fapi};
use crate::config::context::Context;
use crate::config::secrets;
use crate::id;
use crate::oidc::{ApplicationType, ClientFacts, GrantType, ResponseType, SigningAlg, TokenEndpointAuthMethod, TokenExchange};
use crate::toml_file::Section;

/// Bytes that a client secret needs at least.
const SECRET_LENGTH: usize = 16;

/// Reads what is registered of an OpenID Connect client.
pub fn read(context: &Context<'_>, section: &Section<'_>, client_id: String) -> Option<ClientFacts> {
    let application_type = section
        .choice("application_type", &[("web", ApplicationType::Web), ("native", ApplicationType::Native)])
        .unwrap_or(ApplicationType::Web);
    let native = application_type == ApplicationType::Native;
    let response_types = response_types(section);
    let grant_types = grant_types(section, &response_types);
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
    let alg = named(section, "id_token_signed_response_alg", SigningAlg::ALL, SigningAlg::as_str).unwrap_or(SigningAlg::RS256);
    let scopes = section.strings("scopes").map(|scopes| scopes.into_iter().map(|at| at.value.to_owned()).collect());
    let members = members::read(context, section, method, &redirect_uris);
    let kept = context.stored().and_then(|stored| stored.shared_secret.cloned());
    let shared_secret = secret.or(kept).filter(|_| method == TokenEndpointAuthMethod::ClientSecretJwt || members.has_mac());
    let Members { keys, token_endpoint_auth_signing_alg, tls_client_auth, request_objects, .. } = members;
    let token_exchange = token_exchange(section, &grant_types);
    let mut client = ClientFacts {
        introspects: texts(section, "introspects"),
        token_exchange,
        redirect_uris,
        initiate_login_uri,
        post_logout_redirect_uris,
        application_type,
        token_endpoint_auth_method: method,
        secret_digests,
        require_pkce,
        response_types,
        grant_types,
        scopes,
        shared_secret,
        keys,
        token_endpoint_auth_signing_alg,
        tls_client_auth,
        tls_client_certificate_bound_access_tokens: section.bool("tls_client_certificate_bound_access_tokens").unwrap_or(false),
        dpop_bound_access_tokens: section.bool("dpop_bound_access_tokens").unwrap_or(false),
        request_objects,
        id_token_encryption: members.id_token_encryption,
        userinfo_signed_response_alg: members.userinfo_signed_response_alg,
        userinfo_encryption: members.userinfo_encryption,
        default_max_age: section.integer("default_max_age", 0..=i64::from(u32::MAX)).and_then(|at| u32::try_from(at.value).ok()),
        require_auth_time: section.bool("require_auth_time").unwrap_or(false),
        default_acr_values: texts(section, "default_acr_values"),
        subject_type: members.subject_type,
        sector_identifier: members.sector_identifier,
        first_party: section.bool("first_party").unwrap_or(true),
        about: members.about,
        fapi2: section.choice("security_profile", &[("fapi2", true), ("standard", false)]).unwrap_or(false),
        id_token_signed_response_alg: alg,
        backchannel_logout_uri: logout_uri(section, "backchannel_logout_uri"),
        backchannel_logout_session_required: section.bool("backchannel_logout_session_required").unwrap_or(false),
        frontchannel_logout_uri: logout_uri(section, "frontchannel_logout_uri"),
        frontchannel_logout_session_required: section.bool("frontchannel_logout_session_required").unwrap_or(false),
        id_token_lifetime: section.integer("id_token_lifetime", 1..=30 * 86_400).and_then(|at| u32::try_from(at.value).ok()),
        ..ClientFacts::public(client_id)
    };
    if client.fapi2 {
        fapi::apply(context.development, section, &mut client);
    }
    Some(client)
}

/// Where the application is told of logouts.
fn logout_uri(section: &Section<'_>, key: &'static str) -> Option<String> {
    let at = section.string(key)?;
    if let Err((message, help)) = check_uri(at.value, false) {
        section.problem(key, format!("`{}` {message}", at.value), help);
    }
    Some(at.value.to_owned())
}

/// `token_exchange`: what the application may exchange tokens for; it goes with the grant, and the grant with it.
fn token_exchange(section: &Section<'_>, grant_types: &[GrantType]) -> Option<TokenExchange> {
    let has_grant = grant_types.contains(&GrantType::TokenExchange);
    let Some(policy) = section.section("token_exchange") else {
        if has_grant {
            let help = "add `token_exchange = { audiences = [\"https://api.example/\"] }`, or remove the grant type";
            section.problem("grant_types", "the application may exchange tokens for nothing", help);
        }
        return None;
    };
    if !has_grant {
        section.problem(
            "token_exchange",
            "the application does not have the grant",
            format!("add `{}` to `grant_types`", GrantType::TokenExchange.as_str()),
        );
    }
    let read = TokenExchange { audiences: texts(&policy, "audiences"), may_act: policy.bool("may_act").unwrap_or(false) };
    if read.audiences.is_empty() {
        policy.problem("audiences", "there is no resource server for which tokens may be had", "list the identifiers of resource servers");
    }
    policy.finish();
    Some(read)
}

fn texts(section: &Section<'_>, key: &'static str) -> Vec<String> {
    section.strings(key).unwrap_or_default().into_iter().map(|at| at.value.to_owned()).collect()
}

/// Codes, unless the list says more.
fn response_types(section: &Section<'_>) -> Vec<ResponseType> {
    let Some(listed) = section.strings("response_types") else { return vec![ResponseType::Code] };
    let mut types = Vec::new();
    for at in listed {
        let known = ResponseType::parse(at.value).filter(|known| ResponseType::SERVED.contains(known));
        let Some(known) = known else {
            let help = format!("use {}", quoted(ResponseType::SERVED.iter().map(|known| known.as_str())));
            section.file().problem(at.span.clone(), &at.path, format!("the response type `{}` is not available", at.value), help);
            continue;
        };
        if known.gives_access_token() {
            let message = "weakened: access tokens are given in the address of the browser";
            section.file().warning(at.span.clone(), &at.path, message, "use the response type code as soon as the application can");
        }
        types.push(known);
    }
    types
}

/// What the response types need; codes and refresh tokens unless the list leaves them out.
fn grant_types(section: &Section<'_>, types: &[ResponseType]) -> Vec<GrantType> {
    let Some(texts) = section.strings("grant_types") else {
        let mut grants = vec![GrantType::AuthorizationCode, GrantType::RefreshToken];
        if types.iter().any(|asked| asked.is_implicit()) {
            grants.push(GrantType::Implicit);
        }
        return grants;
    };
    let mut grants = Vec::new();
    for at in texts {
        match GrantType::from_wire(at.value).filter(|grant| GrantType::SERVED.contains(grant)) {
            Some(grant) => grants.push(grant),
            None => section.file().problem(
                at.span.clone(),
                &at.path,
                format!("the grant type `{}` is not available", at.value),
                format!("use {}", quoted(GrantType::SERVED.iter().map(|grant| grant.as_str()))),
            ),
        }
    }
    grants
}

fn quoted<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn auth_method(context: &Context<'_>, section: &Section<'_>, has_secret: bool) -> TokenEndpointAuthMethod {
    let default = if has_secret { TokenEndpointAuthMethod::ClientSecretBasic } else { TokenEndpointAuthMethod::None };
    let method = named(section, "token_endpoint_auth_method", TokenEndpointAuthMethod::SERVED, TokenEndpointAuthMethod::as_str);
    let method = method.unwrap_or(default);
    match (method.has_secret(), has_secret) {
        // Stored clients always have a secret, for the day when they need it.
        (false, true) if context.stored().is_none() => {
            section.problem(
                "token_endpoint_auth_method",
                if method == TokenEndpointAuthMethod::None { "a public client has no secret" } else { "this method needs no secret" },
                "remove `client_secret`, or choose client_secret_basic",
            );
        }
        (true, false) => {
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
